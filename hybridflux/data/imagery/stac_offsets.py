"""The offset that the metadata of a Sentinel-2 STAC item declare, and the trust in each provider.

CDSE and the collection 1 of Earth Search serve the stored numbers and declare -0.1 in `raster:bands`; Planetary Computer serves the stored
numbers and declares nothing (github.com/microsoft/PlanetaryComputer issue 134). The older collection of Earth Search, `sentinel-2-l2a`, was
meant to have the offset taken out of every scene of baseline 04.00 and later (github.com/Element84/earth-search issue 23); some scenes
still hold it, `raster:bands` gives -0.1 for both, and the flag `earthsearch:boa_offset_applied` is wrong for some of 2022 and 2025: false,
mostly, where the offset was removed (issues 66 and 71, and github.com/cirrus-geo/cirrus-earth-search issue 33). No date separates them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridflux.data.catalog import Band
from hybridflux.data.imagery.offset_evidence import SHIFT
from hybridflux.data.imagery.offset_series import FIRM, Declared
from hybridflux.data.imagery.stac_items import asset_of, baseline_of

if TYPE_CHECKING:
    import pystac

SINCE = (4, 0)
"""Processing baseline that introduced the offset."""
_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_ALIKE = ("sentinel-2-c1-l2a",)  # collections processed in one way, with a right flag
_TRUE, _FALSE, _DISPUTED = 1.6, 0.3, 1.0
"""Log odds, assumed: that a flag is right which declares the offset removed, or present; that of contradictory sources the one that is
used is right."""


def declared(item: pystac.Item, band: Band) -> Declared:
    """The offset of a band by the metadata of its item.

    A flag outranks `raster:bands`, which Earth Search fills equally for scenes with and without offset (issue 66); `raster:bands` outranks
    the baseline, because a provider that has harmonised its files declares it there.
    """
    claims, value, baseline = {}, _in_bands(item, band), baseline_of(item)
    flag = next((item.properties[key] for key in _FLAGS if key in item.properties), None)
    if baseline is not None:
        claims["processing baseline"] = SHIFT if baseline >= SINCE else 0.0
    if value is not None:
        claims["raster:bands"] = value
    if flag is not None:
        claims["boa_offset_applied"] = 0.0 if flag else claims.get("processing baseline", SHIFT)
    source = next((name for name in ("boa_offset_applied", "raster:bands", "processing baseline") if name in claims), None)
    if source is None:
        return Declared(None, "nothing", 0.0)
    agreed = len({claim == 0.0 for claim in claims.values()}) == 1
    if flag is None or claims.get("processing baseline") == 0.0 or (item.collection_id in _ALIKE and agreed):
        return Declared(claims[source], source, FIRM if agreed else _DISPUTED, claims)
    return Declared(claims[source], source, _TRUE if flag else _FALSE, claims)


def _in_bands(item: pystac.Item, band: Band) -> float | None:
    fields = item.assets[asset_of(item, band)].extra_fields
    for described in (*(fields.get("raster:bands") or []), *(fields.get("bands") or []), fields):
        for key in ("offset", "raster:offset"):
            if described.get(key) is not None:
                return float(described[key])
    return None
