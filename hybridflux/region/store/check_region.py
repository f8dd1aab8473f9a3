"""What can be wrong with a region store, said all at once, each with the cure."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region.store import blocks, layout
from hybridflux.region.store.blocks import READ_ERRORS
from hybridflux.region.store.checksums import damaged_metadata
from hybridflux.region.store.chunks import lost_axes, lost_chunks
from hybridflux.region.store.form import MAPS, arrays, attributes
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES, UNVEGETATED, VARIABLES


def grid_of(group: zarr.Group) -> Grid:
    """The grid of a store, from its coordinates.

    Raises:
        ValueError: no coordinate system, or not a grid of square north-up pixels.
    """
    if "spatial_ref" not in group or not group["spatial_ref"].attrs.get("crs_wkt"):
        raise ValueError(
            "there is no coordinate system: `spatial_ref` with the attribute `crs_wkt` is missing; write it with "
            "`layout.spatial_ref(crs, west, north, pixel)` or `rio.write_crs` of rioxarray"
        )
    for name in ("x", "y", "fapar"):
        if name not in group:
            raise ValueError(f"the array `{name}` is missing")
    x, y = group["x"][:], group["y"][:]
    pixel = float(x[1] - x[0]) if len(x) > 1 else float(y[0] - y[1])
    if not (np.allclose(np.diff(x), pixel) and np.allclose(np.diff(y), -pixel)):
        raise ValueError(
            "`x` must rise and `y` fall in equal steps of the same size: square pixels, north up; sort a store that is turned "
            "(`sortby('y', ascending=False)`) and save it again"
        )
    tile = max(group["fapar"].chunks[-2:]) if group["fapar"].ndim == 3 else max(len(x), len(y))
    return Grid(
        _name(group["spatial_ref"].attrs["crs_wkt"]), float(x[0]) - pixel / 2, float(y[0]) + pixel / 2, pixel, (len(y), len(x)), tile
    )


def open_store(path: Path) -> zarr.Group:
    """The group of a store, read only, by the metadata of the arrays themselves: consolidated metadata may be older.

    Raises:
        FileNotFoundError: no Zarr group there.
        ValueError: Zarr of version 2, or metadata that cannot be read, with the file.
    """
    if any((path / name).exists() for name in (".zgroup", ".zmetadata")):
        raise ValueError(f"{path} is Zarr of version 2; a region store is of version 3: save it again with `to_zarr(..., zarr_format=3)`")
    if not (path / "zarr.json").exists():
        what = "a folder without zarr.json" if path.is_dir() else "a file, not a folder" if path.exists() else "not there"
        raise FileNotFoundError(f"{path} is not a region store ({what}); name a store written by `hybridflux region build`")
    faults = []
    for file in (path / "zarr.json", *sorted(path.glob("*/zarr.json"))):
        try:
            opened = {"array": zarr.open_array, "group": zarr.open_group}[json.loads(file.read_text(encoding="utf-8"))["node_type"]]
            opened(file.parent, mode="r")
        except (*READ_ERRORS, KeyError, TypeError) as error:
            said = f"{type(error).__name__}: {str(error)[:120]}"
            faults.append(f"- `{file.relative_to(path)}` cannot be read ({said}); restore it from a copy, or make the store again")
    if faults:
        raise ValueError(f"{path} is not a region that can be mapped:\n" + "\n".join(faults))
    return zarr.open_group(path, mode="r", use_consolidated=False)


def daily_maps(group: zarr.Group) -> tuple[str, ...]:
    """Names of the arrays that change by pixel and day, `fapar` first."""
    daily = sorted(name for name, array in group.arrays() if array.metadata.dimension_names == ("time", "y", "x"))
    return ("fapar", *(name for name in daily if name != "fapar"))


def check_region(path: Path, group: zarr.Group) -> None:
    """Look at everything.

    Raises:
        ValueError: a list of all that is wrong.
    """
    try:
        if group.attrs.get("state", layout.COMPLETE) != layout.COMPLETE:
            raise ValueError("it is not complete; go on with `hybridflux region build ... --resume`")
        found = [*damaged_metadata(path), *lost_axes(path, group)]
        if not found:
            grid = grid_of(group)
            found = [*attributes(group), *arrays(group, grid)] or [*lost_chunks(path, group, grid)] or [*_values(group)]
    except READ_ERRORS as error:
        found = [str(error)]
    if found:
        raise ValueError(f"{path} is not a region that can be mapped:\n" + "\n".join(f"- {one}" for one in found))
    _warn_of_cut(path, group)


def _warn_of_cut(path: Path, group: zarr.Group) -> None:
    """Warn of a store that begins later than the one it was made of, whose warm-up would be counted from there."""
    made = (group.attrs.get("provenance") or {}).get("config") or {}
    first, lead = layout.days_of(group["time"])[0], int(group.attrs.get("lead", 0))
    if lead and made.get("lead") == lead and "first" in made and first > np.datetime64(made["first"]):
        gone = int((first - np.datetime64(made["first"])).astype(int))
        warnings.warn(
            f"{path} begins on {first}, {gone} days later than the store it was made of, and still says `lead` {lead}: no day before "
            f"{first + np.timedelta64(lead, 'D')} is mapped unless `--start` asks for it; set the attribute to {max(lead - gone, 0)}",
            stacklevel=2,
        )


def _name(wkt: str) -> str:
    from pyproj import CRS

    code = CRS.from_wkt(wkt).to_epsg()
    return f"EPSG:{code}" if code else wkt


def _values(group: zarr.Group) -> Iterator[str]:
    """Days, codes, cells and units that cannot be."""
    days = layout.days_of(group["time"]).astype(int)
    for step, what in ((0, "is there twice"), (None, "is not followed by the next day")):
        wrong = np.flatnonzero(np.diff(days) == 0 if step == 0 else (np.diff(days) > 1) | (np.diff(days) < 0))
        if len(wrong):
            yield f"the day {layout.EPOCH + np.timedelta64(int(days[wrong[0]]), 'D')} {what}; a region has every day once"
    cells = group["tair"].shape[1]
    known = np.array([*range(len(PLANT_TYPES)), layout.OUTSIDE])
    for part in _rows(group["plant_type"]):
        strange = np.setdiff1d(part, known)
        if len(strange):
            yield f"`plant_type` holds the unknown code {strange[0]}; codes are 0 to {len(PLANT_TYPES) - 1}, {layout.OUTSIDE} is outside"
            break
    for part, kind in zip(_rows(group["cell"]), _rows(group["plant_type"]), strict=True):
        wrong = ((part < 0) | (part >= cells)) & (kind != layout.OUTSIDE)
        if wrong.any():
            yield f"`cell` holds {part[wrong][0]}; the weather has cells 0 to {cells - 1}"
            break
    for part in _rows(group["zone"]):
        if (part < 0).any():
            yield f"`zone` holds {part[part < 0][0]}; zones have numbers from 1 on, 0 is no zone"
            break
    for name, array in sorted(group.arrays()):
        dims = tuple(array.metadata.dimension_names or ())
        if name in VARIABLES and name not in MAPS[:1] and dims in (("time", "cell"), ("y", "x")):
            yield from _bounds(name, array, group["plant_type"] if dims == ("y", "x") else None)


def _bounds(name: str, array: zarr.Array, kinds: zarr.Array | None) -> Iterator[str]:
    """Values of weather, or of a map where there is vegetation, outside the bounds of the quantity."""
    bare, ends = [*(PLANT_TYPES.index(code) for code in UNVEGETATED), layout.OUTSIDE], []
    for start in range(0, array.shape[0], array.chunks[0]):
        part = array[start : start + array.chunks[0]]
        part = part if kinds is None else part[~np.isin(kinds[start : start + array.chunks[0]], bare)]
        part = part[~np.isnan(part)]
        ends += [float(part.min()), float(part.max())] if part.size else []
    low, high = VARIABLES[name].bounds
    if ends and (min(ends) < low or max(ends) > high):
        units = VARIABLES[name].units
        yield f"`{name}` runs from {min(ends):g} to {max(ends):g}; {units} between {low:g} and {high:g} is expected, check the unit"


def _rows(array: zarr.Array, height: int = 0) -> Iterator[np.ndarray]:
    """A map, some rows at a time: those of a row of its chunks, if nothing else is asked for."""
    height = height or array.chunks[0]
    for start in range(0, array.shape[0], height):
        yield blocks.read(array, (slice(start, start + height),))
