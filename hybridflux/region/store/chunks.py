"""Whether every chunk of a region store is there and whole: zarr reads a chunk that is lost as the fill value of its array, without a word.

Writers of Zarr may leave out a chunk that holds nothing but the fill value, so a missing file alone proves nothing. What must be there is
decided by what the store says of itself: `create` notes for each map which tiles hold one value only (attribute `uniform_tiles`), a daily
map is needed where there is vegetation, and weather everywhere.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

from hybridflux.region.store import layout
from hybridflux.region.store.blocks import READ_ERRORS, SEAL, read_chunk
from hybridflux.region.store.checksums import Recorded
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES, UNVEGETATED

UNIFORM = "uniform_tiles"
"""Attribute of a map: size of a tile, then runs of tiles, row by row, with the one value all their pixels have, `-` where they differ:
`128: 3*255 1*- 252*0`."""
MIXED = "-"
SHOWN = 8  # tiles named in a message


@dataclass(frozen=True)
class Needed:
    """What the tiles of a grid need, `[row of tiles, column of tiles]`.

    Attributes:
        inside: a pixel is part of the region.
        vegetated: a pixel has vegetation.
    """

    inside: np.ndarray
    vegetated: np.ndarray


def only_value(values: np.ndarray) -> str:
    """The one value of all pixels of a tile as text, `-` where they differ.

    >>> only_value(np.zeros((2, 2), np.int32)), only_value(np.array([[0.0, np.nan]]))
    ('0', '-')
    """
    first = values.flat[0]
    same = np.isnan(values).all() if np.isnan(first) else (values == first).all()
    return str(first.item()) if same else MIXED


def uniform_tiles(tile: int, values: Iterable[str]) -> str:
    """The attribute `uniform_tiles`.

    >>> uniform_tiles(128, ["255", "255", "-"])
    '128: 2*255 1*-'
    """
    return f"{tile}: " + " ".join(f"{len(list(run))}*{value}" for value, run in groupby(values))


def lost_chunks(path: Path, group: zarr.Group, grid: Grid) -> Iterator[str]:
    """One line for each array that has lost a chunk, or has one that cannot be read, with the cure."""
    needed, fault = _needed(path, group, grid)
    if fault:
        yield fault
    for name, array in sorted(group.arrays()):
        ours = layout.is_ours(name, array.metadata.dimension_names)
        if not ours or not array.size or not array.shape or name in ("x", "y", "time") or (name == "plant_type" and fault):
            continue
        faults = [*_faults(path, name, array, grid, needed)]
        if faults:
            yield _line(name, array, grid, faults)
        _warn_of_undecided(path, name, array, grid, needed)


def lost_axes(path: Path, group: zarr.Group) -> Iterator[str]:
    """The same for `x`, `y` and `time`, which are read before all others."""
    for name in ("x", "y", "time"):
        if name in group and group[name].ndim == 1:
            faults = [*_faults(path, name, group[name])]
            if faults:
                yield _line(name, group[name], None, faults)


def _warn_of_undecided(path: Path, name: str, array: zarr.Array, grid: Grid, needed: Needed) -> None:
    """Warn of plant types and zones without a chunk in a store that does not say which tiles hold one value only."""
    if name not in ("plant_type", "zone") or _uniform(array, grid) is not None or str(array.fill_value) not in (str(layout.OUTSIDE), "0"):
        return
    chunks = [*np.ndindex(*(-(-size // length) for size, length in zip(array.shape, array.chunks, strict=True)))]
    without = [chunk for chunk in chunks if _state(path / name / array.metadata.encode_chunk_key(chunk), array) == "missing"]
    if name == "zone":
        without = [chunk for chunk in without if needed.inside[_tiles(array, grid, chunk)].any()]
    if without and len(without) < len(chunks):
        meaning = "outside the region" if name == "plant_type" else "in no zone"
        warnings.warn(
            f"{path}: `{name}` has no chunk in {len(without)} of {len(chunks)} tiles, whose pixels count as {meaning}; this store does not "
            "say whether they were empty when it was written: if they were not, restore it from a copy or build it again",
            stacklevel=2,
        )


def _faults(
    path: Path, name: str, array: zarr.Array, grid: Grid | None = None, needed: Needed | None = None
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Chunk and what is wrong with it; an axis needs no grid."""
    uniform, kept = _uniform(array, grid), Recorded.of(path / name)
    daily = array.metadata.dimension_names == ("time", "y", "x")  # read tile by tile later
    for chunk in np.ndindex(*(-(-size // length) for size, length in zip(array.shape, array.chunks, strict=True))):
        key = array.metadata.encode_chunk_key(chunk)
        state, recorded = _state(path / name / key, array), kept is not None and key in kept.chunks
        if state == "missing":
            if _must_be(name, array, grid, chunk, needed, uniform):
                yield chunk, "missing"
        elif state == "cut short":
            yield chunk, state
        elif daily:
            continue  # a tile that cannot be read is refused alone
        elif recorded and (fault := kept.fault(key)):
            yield chunk, fault
        elif state == "not sized" or _sealed(array):
            try:
                read_chunk(array, chunk)
            except READ_ERRORS as error:
                yield chunk, f"not readable: {str(error)[:80]}"


def _state(file: Path, array: zarr.Array) -> str:
    """`missing`, `cut short`, `whole`, or `not sized` where only reading can tell."""
    codec, seal = array.metadata.codecs[-1], 0
    if _sealed(array):
        codec, seal = array.metadata.codecs[-2], SEAL
    try:
        with open(file, "rb") as stream:
            header, size = stream.read(16), os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        return "missing"
    if isinstance(codec, BloscCodec):  # bytes 12 to 15 of the header: the size of the compressed chunk
        return "whole" if len(header) == 16 and struct.unpack("<I", header[12:])[0] + seal == size else "cut short"
    if isinstance(codec, BytesCodec):
        return "whole" if size == np.prod(array.chunks) * array.dtype.itemsize + seal else "cut short"
    return "not sized" if size else "cut short"


def _sealed(array: zarr.Array) -> bool:
    """Whether the chunks of an array end with their crc32c."""
    return isinstance(array.metadata.codecs[-1], Crc32cCodec)


def _must_be(name: str, array: zarr.Array, grid: Grid, chunk: tuple[int, ...], needed: Needed, uniform: np.ndarray | None) -> bool:
    """Whether a chunk that is not there would read as something else than what was written."""
    dims = array.metadata.dimension_names
    if dims == ("time", "y", "x"):
        return bool(needed.vegetated[_tiles(array, grid, chunk)].any())
    if dims != ("y", "x"):
        return True  # weather and axes: no series is its fill value on all days of a chunk
    tiles = _tiles(array, grid, chunk)
    if uniform is not None:
        return bool((uniform[tiles] != str(np.asarray(array.fill_value).item())).any())
    if name == "plant_type":
        return int(array.fill_value) != layout.OUTSIDE
    if not needed.inside[tiles].any() or name == "zone":
        return False
    if name == "cell":  # one weather cell: nothing else can have been there
        return int(array.fill_value) != 0
    return bool(needed.vegetated[tiles].any())


def _tiles(array: zarr.Array, grid: Grid, chunk: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of tiles that a chunk of a map touches."""
    return tuple(
        slice(number * length // grid.tile, -(-min((number + 1) * length, size) // grid.tile))
        for number, length, size in zip(chunk[-2:], array.chunks[-2:], grid.shape, strict=True)
    )


def _uniform(array: zarr.Array, grid: Grid | None) -> np.ndarray | None:
    """The one value of each tile `[row, column]` as text, or None where the store does not say, or says it of another grid."""
    if grid is None:
        return None
    size, _, runs = str(array.attrs.get(UNIFORM, "")).partition(": ")
    shape = tuple(-(-length // grid.tile) for length in grid.shape)
    if size != str(grid.tile) or array.metadata.dimension_names != ("y", "x"):
        return None
    values = [value for run in runs.split() for count, value in [run.split("*", 1)] for _ in range(int(count))]
    return np.array(values, object).reshape(shape) if len(values) == np.prod(shape) else None


def _needed(path: Path, group: zarr.Group, grid: Grid) -> tuple[Needed, str]:
    """What the tiles need by the plant types, and what is wrong with those."""
    array = group["plant_type"]
    shape = tuple(-(-length // grid.tile) for length in grid.shape)
    needed = Needed(np.zeros(shape, bool), np.zeros(shape, bool))
    faults = [*_faults(path, "plant_type", array, grid, needed)]
    bare = [*(PLANT_TYPES.index(code) for code in UNVEGETATED), layout.OUTSIDE]
    for chunk, _ in faults:
        needed.inside[_tiles(array, grid, chunk)] = True
    if not any(what != "missing" for _, what in faults):
        for row in range(shape[0]):
            kinds = array[row * grid.tile : (row + 1) * grid.tile]
            for column in range(shape[1]):
                part = kinds[:, column * grid.tile : (column + 1) * grid.tile]
                needed.inside[row, column] |= bool((part != layout.OUTSIDE).any())
                needed.vegetated[row, column] = not np.isin(part, bare).all()
    return needed, _line("plant_type", array, grid, faults) if faults else ""


def _line(name: str, array: zarr.Array, grid: Grid | None, faults: list[tuple[tuple[int, ...], str]]) -> str:
    """What is wrong with an array, and the cure."""
    dims = array.metadata.dimension_names or ()
    if dims[-2:] == ("y", "x") and array.chunks[-2:] == (grid.tile, grid.tile):
        named, what, all_ = [f"r{chunk[-2]:03d}_c{chunk[-1]:03d} ({why})" for chunk, why in faults], "tiles", len(grid)
    else:
        named, what = [f"{'/'.join(map(str, chunk))} ({why})" for chunk, why in faults], "chunks"
        all_ = int(np.prod([-(-size // length) for size, length in zip(array.shape, array.chunks, strict=True)]))
    shown = ", ".join(named[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
    cure = "write these tiles again" if dims[:1] == ("time",) and what == "tiles" else "restore the store from a copy, or make it again"
    if any(why == "missing" for _, why in faults):
        cure += (
            f" (a missing chunk reads as {array.fill_value}; where xarray left it out because it holds nothing else, save the store again "
            "with `to_zarr(..., write_empty_chunks=True)`"
            + (f"; where you emptied it yourself, delete the attribute `{UNIFORM}` of `{name}`)" if UNIFORM in array.attrs else ")")
        )
    return f"`{name}` cannot be read in {len(faults)} of {all_} {what}: {shown}; {cure}"
