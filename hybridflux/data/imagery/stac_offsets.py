"""What is added to the stored numbers of a Sentinel-2 item: by its metadata, and by what the darkest land shows.

Since processing baseline 04.00 (25 January 2022 on, and all reprocessed scenes) a level 2A product stores reflectance * 10000 + 1000, so
that negative reflectances keep their place (Sentinel-2 Products Specification Document, BOA_ADD_OFFSET). Providers differ: CDSE and the
collection 1 of Earth Search serve the numbers as they are and say -0.1 in `raster:bands`; Planetary Computer serves them as they are and
says nothing (github.com/microsoft/PlanetaryComputer issue 134); `sentinel-2-l2a` of Earth Search has subtracted it from some scenes, and
its flag `earthsearch:boa_offset_applied` is wrong for some of 2022 and 2025 (github.com/Element84/earth-search issues 66 and 71). No date
tells.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hybridflux.data.catalog import Band
from hybridflux.data.imagery.stac_items import asset_of, baseline_of

if TYPE_CHECKING:
    import pystac

SHIFT = -0.1  # reflectance; BOA_ADD_OFFSET = -1000 over QUANTIFICATION_VALUE = 10000
SINCE = (4, 0)  # processing baseline that brought it
_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")

ENOUGH = 200  # clear pixels below which the data do not testify
IMPOSSIBLE, TOO_MANY = -0.03, 0.02
"""Red reflectance that clear land does not have, and the share of clear pixels from which on it is proof: of 60 unshifted dates in Flanders
with 200 clear pixels or more (64 x 64 pixels, 2017-2018), 59 have more than 2 % below 0.07, that is, below -0.03 if shifted wrongly."""
DARK, TOO_FEW = 0.08, 0.005
"""Red reflectance under which some clear land lies nearly everywhere, and the share from which on it does: each of those 60 dates has more
than 1.5 % below 0.08. Deserts, and small windows of bare soil, have less: on its own this is no proof."""


@dataclass(frozen=True)
class Stated:
    """The offset that the metadata of an item give.

    Attributes:
        value: added to scaled numbers [1]; None if the item says nothing that tells.
        source: what says so.
        doubtful: whether the source is one known to err, or contradicts another.
        claims: what each source says.
    """

    value: float | None
    source: str
    doubtful: bool
    claims: Mapping[str, float] = field(default_factory=dict)


def stated(item: pystac.Item, band: Band) -> Stated:
    """The offset of a band by the metadata of its item.

    A flag outranks `raster:bands`, which Earth Search fills alike for scenes with and without offset (issue 66); `raster:bands` outranks
    the baseline, because a provider that has harmonised its files says it there.
    """
    claims = {}
    declared, baseline = _declared(item, band), baseline_of(item)
    flag = next((item.properties[key] for key in _FLAGS if key in item.properties), None)
    if baseline is not None:
        claims["processing baseline"] = SHIFT if baseline >= SINCE else 0.0
    if declared is not None:
        claims["raster:bands"] = declared
    if flag is not None:
        claims["boa_offset_applied"] = 0.0 if flag else claims.get("processing baseline", SHIFT)
    for source in ("boa_offset_applied", "raster:bands", "processing baseline"):
        if source in claims:
            doubtful = flag is not None and claims.get("processing baseline") != 0.0
            return Stated(claims[source], source, doubtful or len(set(claims.values())) > 1, claims)
    return Stated(None, "nothing", True)


def _declared(item: pystac.Item, band: Band) -> float | None:
    fields = item.assets[asset_of(item, band)].extra_fields
    for described in (*(fields.get("raster:bands") or []), *(fields.get("bands") or []), fields):
        for key in ("offset", "raster:offset"):
            if described.get(key) is not None:
                return float(described[key])
    return None


def seen_offset(dark: np.ndarray) -> float | None:
    """The offset that the darkest clear land shows: 0, `SHIFT`, or None where it does not tell.

    With the offset subtracted twice dark land goes far below zero; without it nothing lies under 0.1.

    Args:
        dark: scaled numbers of the red band of clear pixels, before any offset [1].
    """
    if len(dark) < ENOUGH:
        return None
    if np.mean(dark < IMPOSSIBLE - SHIFT) > TOO_MANY:
        return 0.0
    return SHIFT if np.mean(dark < DARK) < TOO_FEW else None


@dataclass(frozen=True)
class Verdict:
    """The offset that is used.

    Attributes:
        value: added to scaled numbers [1]; None if the item has to be left out.
        source: who decided.
    """

    value: float | None
    source: str


def judge(name: str, said: Stated, dark: np.ndarray) -> Verdict:
    """The offset of an item from its metadata and its data; a contradiction is a warning that names both.

    Impossible reflectances outrank any metadata. Missing dark land outranks only metadata that are doubtful themselves.

    Args:
        name: of the item.
        said: by its metadata.
        dark: see `seen_offset`.
    """
    seen = seen_offset(dark)
    if said.value is None and seen is None:
        _warn(f"item {name} tells neither its processing baseline nor an offset, and {len(dark)} clear pixels do not tell: left out")
        return Verdict(None, "unknown")
    if seen is None or (said.value is not None and (seen == 0.0) == (said.value == 0.0)):
        return Verdict(said.value, said.source)
    if said.value is None:
        return Verdict(seen, "dark pixels")
    lowest = np.percentile(dark, 1)
    by_data = seen == 0.0 or said.doubtful
    _warn(
        f"item {name}: {said.source} gives an offset of {said.value:+.1f}, but one in a hundred clear pixels has a red reflectance below "
        f"{lowest + said.value:.3f} with it and {lowest + seen:.3f} with {seen:+.1f}; used {seen if by_data else said.value:+.1f}"
    )
    return Verdict(seen, f"dark pixels against {said.source}") if by_data else Verdict(said.value, said.source)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)
