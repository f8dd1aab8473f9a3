"""The store of fluxes: CF arrays whose chunk is a tile, and their attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region.draws.spread import Spread
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.map_periods import bounds_of, mapped_days, periods_of
from hybridflux.region.drivers.open import Region
from hybridflux.region.kernels.contract import LIMIT
from hybridflux.region.outputs.base import ArraySpec
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import SIGN

CHUNK_DAYS = 366  # in a chunk of daily maps, at most


def create_store(
    path: Path, region: Region, calendar: Calendar, attributes: Mapping, arrays: Mapping[str, Sequence[ArraySpec]]
) -> None:
    """Write the template: coordinates, attributes and arrays without data.

    Args:
        path: of the store; replaced if it is there.
        region: that is mapped.
        calendar: of the run.
        attributes: of every group: title, spread, provenance and so on.
        arrays: by group (`base.arrays_of`); a group that is not named is not made.

    Raises:
        ValueError: the spread is not named.
    """
    if attributes.get("spread") not in [*Spread]:
        raise ValueError(f"a store of fluxes must name its spread, one of {', '.join(Spread)}; it is {attributes.get('spread')!r}")
    other = {name: text for name, text in region.group.attrs.items() if name == layout.WEATHER_DAYS}
    common = {"Conventions": layout.CONVENTIONS, "sign": SIGN, "time_zone": region.time_zone} | other | dict(attributes)
    root = zarr.create_group(path, overwrite=True, attributes=common)
    for name, specs in arrays.items():
        first, end = bounds_of(calendar, name)
        whole = all(period.whole for period in periods_of(calendar, name))
        group = root.create_group(name, attributes=common)
        for axis, (values, described) in layout.axes(region.grid.x, region.grid.y).items():
            layout.put(group, axis, values, (axis,), **described)
        grid = region.grid
        layout.put(group, "spatial_ref", np.int32(0), (), **layout.spatial_ref(grid.crs, grid.west, grid.north, grid.pixel))
        time = layout.TIME | {"units": layout.TIME_UNITS, "calendar": "standard", "long_name": "first mapped day of the period"}
        time["bounds"] = "time_bnds"
        layout.put(group, "time", first, ("time",), fill=-1, **time)
        layout.put(group, "time_bnds", np.stack([first, end], 1), ("time", "bnds"), fill=-1)
        described = {"units": "1", "long_name": "number of mapped days in the period"}
        layout.put(group, "days", mapped_days(calendar, name), ("time",), fill=0, **described)
        chunks = (min(len(first), CHUNK_DAYS), grid.tile, grid.tile)
        for spec in specs:
            group.create_array(
                spec.name, shape=(len(first), *grid.shape), dtype=np.int16, chunks=chunks, compressors=layout.codecs(),
                dimension_names=("time", "y", "x"), fill_value=layout.NODATA,
                attributes=spec.described(whole) | {"spread": attributes["spread"]},
            )  # fmt: skip
    layout.consolidate(path)


def write_tile(group: zarr.Group, tile: Tile, name: str, values: np.ndarray) -> None:
    """Write one array over a tile; `values` are int16 `[time, pixels of the tile]`."""
    group[name][:, tile.y, tile.x] = values.reshape(-1, *tile.shape)


def keys_of_tile(tile: Tile, side: int, periods: int) -> list[str]:
    """Keys of the chunks of a tile in an array of the store.

    Args:
        tile: of the grid.
        side: pixels along the side of a whole tile.
        periods: of the array.

    >>> keys_of_tile(Tile("r001_c002", slice(64, 128), slice(128, 192)), 64, 730)
    ['c/0/1/2', 'c/1/1/2']
    """
    place = f"{tile.y.start // side}/{tile.x.start // side}"
    return [f"c/{number}/{place}" for number in range(-(-periods // CHUNK_DAYS))]


def packed(values: np.ndarray, scale: float) -> np.ndarray:
    """Scaled integers of numbers that are all there, int16."""
    return np.clip(np.rint(values / scale), -LIMIT, LIMIT).astype(np.int16)
