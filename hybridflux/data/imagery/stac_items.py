"""Content of a STAC item in the dialects of providers: tile, processing, asset of a band, solar day."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geom import Geometry

from hybridflux.data.catalog import Band
from hybridflux.data.imagery.frames import solar_day

if TYPE_CHECKING:
    import pystac

_TILE = re.compile(r"(?:^|[_.-])T?(\d{1,2}[C-X][A-HJ-NP-Z][A-HJ-NP-V])(?=[_.-]|$)")  # of the military grid, in the name of an item
_NAMED_BASELINE = re.compile(r"_N(\d{2})(\d{2})_R\d{3}")  # in a product name: Sentinel-2 Products Specification Document, naming convention
_BASELINE = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline")
_PROCESSED = ("s2:generation_time", "processing:datetime", "updated", "created")
_PRODUCT = ("s2:product_uri", "sentinel:product_id")
_RIM = 0.1  # share of its footprint by which two versions of one acquisition may differ
_SAME_ACQUISITION = np.timedelta64(60, "s")  # items of one acquisition differ by seconds between processings


def assets(item: pystac.Item, bands: Sequence[Band]) -> dict[str, str]:
    """Band name -> key of the asset that holds it, without bands that the item lacks."""
    return {band.name: key for band in bands if (key := _asset(item, band)) is not None}


def asset_of(item: pystac.Item, band: Band) -> str:
    """Key of the asset of an item that holds a band.

    Tried in this order: an asset of that name or of an alias; the same with any case; a name with the size of its pixels, `B04_10m`, the
    finest first; an asset of one band with that name in `eo:bands` or `bands`.

    Raises:
        ValueError: there is none; names the item, the band and the assets.
    """
    key = _asset(item, band)
    if key is None:
        raise ValueError(
            f"item {item.id} has no asset of band {band.name} (tried {', '.join((band.name, *band.aliases))}); its assets are "
            f"{', '.join(sorted(item.assets))}: add the name to the aliases of the band in the catalog, or take the item out"
        )
    return key


def _asset(item: pystac.Item, band: Band) -> str | None:
    names = (band.name, *band.aliases)
    folded = {key.lower(): key for key in item.assets}
    for name in names:
        if name in item.assets or name.lower() in folded:
            return name if name in item.assets else folded[name.lower()]
    for name in names:
        sizes = {key: re.fullmatch(rf"{re.escape(name)}_(\d+)m", key, re.IGNORECASE) for key in item.assets}
        if any(sizes.values()):
            return min((key for key in sizes if sizes[key]), key=lambda key: int(sizes[key].group(1)))
    for key, asset in item.assets.items():
        described = asset.extra_fields.get("eo:bands") or asset.extra_fields.get("bands") or []
        if len(described) == 1 and described[0].get("name") in names:
            return key
    return None


def baseline_of(item: pystac.Item) -> tuple[int, int] | None:
    """Processing baseline of a Sentinel-2 item, (4, 0) for 04.00; None without one."""
    for key in _BASELINE:
        if match := re.fullmatch(r"0?(\d{1,2})\.(\d{1,2})(\.\d+)?", str(item.properties.get(key, ""))):
            return int(match.group(1)), int(match.group(2))
    for text in (*(str(item.properties.get(key, "")) for key in _PRODUCT), item.id):
        if match := _NAMED_BASELINE.search(text):
            return int(match.group(1)), int(match.group(2))
    return None


def tile_of(item: pystac.Item) -> str | None:
    """Tile of the military grid, `31UDS`; None where the item has none."""
    properties = item.properties
    if code := properties.get("s2:mgrs_tile") or properties.get("grid:code"):
        return str(code).removeprefix("MGRS-").removeprefix("T")
    match = _TILE.search(item.id)
    return match.group(1) if match else None


def processed(item: pystac.Item) -> str:
    """Time of processing as text that sorts by time; empty without one."""
    return next((str(item.properties[key]) for key in _PROCESSED if item.properties.get(key)), "")


def acquired(item: pystac.Item) -> np.datetime64:
    """Time of the acquisition, UTC, `datetime64[s]`; the middle where the item covers a period, as composites do.

    Raises:
        ValueError: the item gives none.
    """
    moment, (start, end) = item.datetime, (item.common_metadata.start_datetime, item.common_metadata.end_datetime)
    if moment is None and (start is None or end is None):
        raise ValueError(f"item {item.id} has neither `datetime` nor `start_datetime` and `end_datetime`; a scene needs its day")
    return np.datetime64((moment or start + (end - start) / 2).astimezone(UTC).replace(tzinfo=None), "s")


def by_day(items: Iterable[pystac.Item], longitude: float) -> dict[np.datetime64, list[pystac.Item]]:
    """Items by solar day, days in order; in a day the latest processing first, then by name, whatever the order of the service."""
    days = defaultdict(list)
    for item in sorted(items, key=lambda item: item.id):
        days[solar_day(acquired(item), longitude)].append(item)
    return {day: sorted(days[day], key=processed, reverse=True) for day in sorted(days)}


def without_superseded(items: Sequence[pystac.Item]) -> tuple[list[pystac.Item], list[str]]:
    """Items of a day without those whose acquisition exists in a newer baseline, and the names of the omitted ones.

    Two items of one tile, time and baseline are both kept, and so are two of different baselines whose footprints differ: an acquisition
    that a ground station received in two parts is two items.
    """
    kept: list[pystac.Item] = []
    left: list[pystac.Item] = []
    for item in items:
        newer = any(
            _same_acquisition(item, other) and (baseline_of(other) or (0, 0)) > (baseline_of(item) or (0, 0)) and _covers(other, item)
            for other in items
        )
        (left if newer else kept).append(item)
    return kept, [item.id for item in left]


def _covers(newer: pystac.Item, item: pystac.Item) -> bool:
    """Whether the footprint of an item lies in that of a newer one, but for a rim."""
    if item.geometry is None or newer.geometry is None:
        return True
    own, other = (Geometry(footprint.geometry, "EPSG:4326") for footprint in (item, newer))
    return bool(own.area == 0 or own.intersects(other) and (own & other).area >= (1 - _RIM) * own.area)


def _same_acquisition(item: pystac.Item, other: pystac.Item) -> bool:
    same_tile = tile_of(item) is not None and tile_of(item) == tile_of(other)
    same_platform = item.properties.get("platform") == other.properties.get("platform")
    return same_tile and same_platform and abs(acquired(item) - acquired(other)) <= _SAME_ACQUISITION
