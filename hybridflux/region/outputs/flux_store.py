"""The store of fluxes: CF arrays whose chunk is a tile, or some rows of a large one, and their attributes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc

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
ROW_BYTES = 1 << 24  # of a chunk of some rows: maps wait in memory until all of its rows are there
FEWEST_ROWS = 16  # of a tile in a chunk
CODEC = Blosc(layout.COMPRESSOR, layout.LEVEL, shuffle=Blosc.BITSHUFFLE)
"""As `layout.codecs`, for the bytes that zarr writes without the tasks and copies it needs to write to any kind of store."""


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
    """Periods, rows and columns of a chunk of a map: a tile of `CHUNK_BYTES` at most, or so many of its rows that a chunk has `ROW_BYTES`.

    Args:
        periods: of the map.
        tile: pixels along the side of a tile.

    >>> chunk_of(365, 200), chunk_of(730, 512), chunk_of(12, 512), chunk_of(365, 509)
    ((365, 200, 200), (366, 32, 512), (12, 512, 512), (365, 509, 509))
    """
    deep = min(periods, CHUNK_DAYS)
    if 2 * deep * tile * tile <= CHUNK_BYTES:
        return deep, tile, tile
    whole_rows = [rows for rows in range(tile, FEWEST_ROWS - 1, -1) if tile % rows == 0]
    found = [rows for most in (ROW_BYTES, CHUNK_BYTES) for rows in whole_rows if 2 * deep * rows * tile <= most]
    return deep, found[0] if found else tile, tile


def write_tile(
    array: zarr.Array, folder: Path, tile: Tile, values: np.ndarray, rows: slice | None = None, beside: Sequence[Path] = ()
) -> dict[str, str]:
    """Write a map over a tile, or some of its rows.

    Args:
        array: one of its group in the store, all of which have the same chunks.
        folder: of the map.
        tile: of the grid.
        values: `[period, pixel of the tile or of the rows]`, int16.
        rows: of the tile, those of some chunks; all by default.
        beside: folders of other maps with the same values.

    Returns:
        Key of each chunk -> its digest, empty for one that is left out because no value is there.
    """
    first, stop, _ = (rows or slice(None)).indices(tile.shape[0])
    values = values.reshape(-1, stop - first, tile.shape[1])
    (deep, high, wide), found = array.chunks, {}
    for begun in range(0, len(values), deep):
        for row in range(0, stop - first, high):
            chunk = values[begun : begun + deep, row : row + high]
            lacking = [(0, size - have) for size, have in zip((deep, high, wide), chunk.shape, strict=True)]
            chunk = np.pad(chunk, lacking, constant_values=layout.NODATA) if any(lack for _, lack in lacking) else chunk
            key = array.metadata.encode_chunk_key((begun // deep, (tile.y.start + first + row) // high, tile.x.start // wide))
            found[key] = write_chunk([one / key for one in (folder, *beside)], chunk)
    return found


def write_chunk(files: Sequence[Path], values: np.ndarray) -> str:
    """Write a chunk of int16, or leave it out where it holds nothing but missing values.

    Args:
        files: of the chunk in maps with the same values; each is replaced whole.
        values: of the whole chunk; those that are the same in all periods may look at one of them (`numpy.broadcast_to`).

    Returns:
        Its digest as `checksums.digest` makes it of the file; empty where it is left out.
    """
    first = values[0]
    if first.flat[0] == layout.NODATA and (values == layout.NODATA).all():
        for file in files:
            file.unlink(missing_ok=True)
        return ""
    data = _of_one_period(first.tobytes(), values.shape) if values.strides[0] == 0 else encoded(values)
    for file in files:
        _put(file, data)
    return checksums.sealed(int.from_bytes(data[1], "little"), data[1])


def encoded(values: np.ndarray) -> tuple[bytes, bytes]:
    """Numbers as `layout.codecs` encodes them: compressed, and the checksum of that."""
    data = CODEC.encode(np.ascontiguousarray(values))
    return data, google_crc32c.value(data).to_bytes(4, "little")


@lru_cache(maxsize=4)
def _of_one_period(row: bytes, shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """All periods the same: three maps of a tile and its neighbours often have the same one."""
    return encoded(np.broadcast_to(np.frombuffer(row, np.int16).reshape(shape[1:]), shape))


def _put(file: Path, data: tuple[bytes, ...]) -> None:
    """Write a file whole or not at all; what a killed process leaves has the name that zarr gives it (`files.sweep`)."""
    left = file.with_suffix(f".{uuid.uuid4().hex}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(left, "wb") as stream:
            stream.writelines(data)
        os.replace(left, file)
    except BaseException:
        left.unlink(missing_ok=True)
        raise


@lru_cache(maxsize=1)
def _first(store: Path, template: int, names: tuple[tuple[str, str], ...]) -> dict[str, zarr.Array]:
    """Group -> an array of it, opened once for all tiles; `template` is the time of the store's metadata."""
    group = zarr.open_group(store, mode="r+") if names else {}
    return {name: group[f"{name}/{array}"] for name, array in names}


@dataclass
class TileWriter:
    """Writes the maps of a tile into the store of a run.

    Attributes:
        job: the run; its template is written.
        tile: of the grid.
        arrays: group of the store -> names of its maps; empty where a run keeps totals alone, which needs no store.
        seconds: of writing so far.
        digests: file, below the run folder -> digest of the chunk that is written, empty where it holds no value and is left out.
    """

    job: Job
    tile: Tile
    arrays: dict[str, list[str]]
    seconds: float = 0.0
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, tile: Tile) -> TileWriter:
        """The writer of a tile of a run."""
        arrays = {group: [spec.name for spec in specs] for group, specs in arrays_of(job.keep, job.calendar).items()}
        return cls(job, tile, arrays)

    @cached_property
    def first(self) -> dict[str, zarr.Array]:
        """Group of the store -> the first of its maps, which all have the same chunks."""
        template = (self.job.store / checksums.METADATA).stat().st_mtime_ns if self.arrays else 0
        return _first(self.job.store, template, tuple((group, names[0]) for group, names in self.arrays.items()))

    @property
    def height(self) -> dict[str, int]:
        """Group of the store -> rows of a chunk of its maps; a run of an earlier version has all rows of a tile."""
        return {group: array.chunks[1] for group, array in self.first.items()}

    def write(self, group: str, names: Sequence[str], rows: slice, values: np.ndarray) -> None:
        """Write maps with the same values on some rows of the tile (`tile_result.Rows`)."""
        began = time.perf_counter()
        paths = [f"{self.job.store.name}/{group}/{name}" for name in names]
        folder, *beside = (self.job.out / path for path in paths)
        written = write_tile(self.first[group], folder, self.tile, values, rows, beside)
        self.digests |= {f"{path}/{key}": digest for path in paths for key, digest in written.items()}
        self.seconds += time.perf_counter() - began

    def take_back(self) -> None:
        """Remove what is written of the tile, by an earlier process too."""
        for group, names in self.arrays.items():
            for key in checksums.keys_of(self.first[group], (self.tile.y, self.tile.x)):
                for name in names:
                    (self.job.store / group / name / key).unlink(missing_ok=True)


def packed(values: np.ndarray, scale: float, over: np.ndarray | float = 1.0) -> np.ndarray:
    """Scaled integers of numbers that are all there, int16, each divided by `over` first."""
    exact = values / over
    for step in (partial(np.divide, exact, scale), partial(np.rint, exact), partial(np.clip, exact, -LIMIT, LIMIT)):
        step(out=exact)  # in place, because new memory costs more than the step
    return exact.astype(np.int16)
