"""The store of fluxes: CF arrays whose chunk is a tile, or some rows of a large one, and their attributes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region.draws.spread import Spread
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.map_periods import bounds_of, mapped_days, periods_of
from hybridflux.region.drivers.open import Region
from hybridflux.region.kernels.contract import LIMIT
from hybridflux.region.outputs.base import ArraySpec, arrays_of
from hybridflux.region.spec import Job
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import SIGN

CHUNK_DAYS = 366  # in a chunk of daily maps, at most
CHUNK_BYTES = 1 << 25  # of a chunk, beyond which it holds some rows of a tile: 32 MiB, a tile of 214 pixels and a year
FEWEST_ROWS = 16  # of a tile in a chunk


def create_store(path: Path, region: Region, calendar: Calendar, attributes: Mapping, arrays: Mapping[str, Sequence[ArraySpec]]) -> None:
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
        chunks = chunk_of(len(first), grid.tile)
        for spec in specs:
            group.create_array(
                spec.name, shape=(len(first), *grid.shape), dtype=np.int16, chunks=chunks, compressors=layout.codecs(),
                dimension_names=("time", "y", "x"), fill_value=layout.NODATA,
                attributes=spec.described(whole) | {"spread": attributes["spread"]},
            )  # fmt: skip
    layout.consolidate(path)


def chunk_of(periods: int, tile: int) -> tuple[int, int, int]:
    """Periods, rows and columns of a chunk of a map: a tile, or so many of its rows that a chunk has `CHUNK_BYTES` at most.

    Args:
        periods: of the map.
        tile: pixels along the side of a tile.

    >>> chunk_of(365, 200), chunk_of(730, 512), chunk_of(12, 512), chunk_of(365, 509)
    ((365, 200, 200), (366, 64, 512), (12, 512, 512), (365, 509, 509))
    """
    deep = min(periods, CHUNK_DAYS)
    rows = [rows for rows in range(tile, FEWEST_ROWS - 1, -1) if tile % rows == 0 and 2 * deep * rows * tile <= CHUNK_BYTES]
    return deep, rows[0] if rows else tile, tile


def write_tile(group: zarr.Group, tile: Tile, name: str, values: np.ndarray, rows: slice | None = None) -> None:
    """Write one array over a tile, or some of its rows; `values` are int16 `[time, pixels of the tile or of the rows]`."""
    first, stop, _ = (rows or slice(None)).indices(tile.shape[0])
    group[name][:, tile.y.start + first : tile.y.start + stop, tile.x] = values.reshape(-1, stop - first, tile.shape[1])


@dataclass
class TileWriter:
    """Writes the maps of a tile into the store of a run.

    Attributes:
        job: the run; its template is written.
        tile: of the grid.
        arrays: group of the store -> names of its maps; empty where a run keeps totals alone, which needs no store.
        seconds: of writing so far.
    """

    job: Job
    tile: Tile
    arrays: dict[str, list[str]]
    seconds: float = 0.0

    @classmethod
    def of(cls, job: Job, tile: Tile) -> TileWriter:
        """The writer of a tile of a run."""
        arrays = {group: [spec.name for spec in specs] for group, specs in arrays_of(job.keep, job.calendar).items()}
        return cls(job, tile, arrays)

    @cached_property
    def store(self) -> zarr.Group:
        """Of the fluxes."""
        return zarr.open_group(self.job.store, mode="r+")

    @cached_property
    def height(self) -> dict[str, int]:
        """Group of the store -> rows of a chunk of its maps; a run of an earlier version has all rows of a tile."""
        return {group: self.store[group][names[0]].chunks[1] for group, names in self.arrays.items()}

    def write(self, group: str, name: str, rows: slice, values: np.ndarray) -> None:
        """Write a map on some rows of the tile (`tile_result.Rows`)."""
        began = time.perf_counter()
        write_tile(self.store[group], self.tile, name, values, rows)
        self.seconds += time.perf_counter() - began

    def files(self) -> list[str]:
        """The chunks of the tile, below the run folder."""
        window = self.tile.y, self.tile.x
        found = [(f"{group}/{name}", self.store[group][name]) for group, names in self.arrays.items() for name in names]
        return [f"{self.job.store.name}/{path}/{key}" for path, array in found for key in checksums.keys_of(array, window)]

    def take_back(self) -> None:
        """Remove what is written of the tile."""
        for file in self.files():
            (self.job.out / file).unlink(missing_ok=True)


def packed(values: np.ndarray, scale: float) -> np.ndarray:
    """Scaled integers of numbers that are all there, int16."""
    return np.clip(np.rint(values / scale), -LIMIT, LIMIT).astype(np.int16)
