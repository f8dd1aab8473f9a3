"""What can be wrong with a region store, said all at once, each with the cure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region import layout
from hybridflux.region.chunks import READ_ERRORS, lost_axes, lost_chunks
from hybridflux.region.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES, UNVEGETATED, VARIABLES

MAPS = ("plant_type", "soil_capacity", "cell", "zone")


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


def daily_maps(group: zarr.Group) -> tuple[str, ...]:
    """Names of the arrays that change by pixel and day, `fapar` first."""
    others = (name for name, array in group.arrays() if array.metadata.dimension_names == ("time", "y", "x") and name != "fapar")
    return ("fapar", *sorted(others))


def check_region(path: Path, group: zarr.Group) -> None:
    """Look at everything.

    Raises:
        ValueError: a list of all that is wrong.
    """
    try:
        if group.attrs.get("state", layout.COMPLETE) != layout.COMPLETE:
            raise ValueError("it is not complete; go on with `hybridflux region build ... --resume`")
        found = [*lost_axes(path, group)]
        if not found:
            grid = grid_of(group)
            found = [*_attributes(group), *_arrays(group, grid)] or [*lost_chunks(path, group, grid)] or [*_values(group)]
    except READ_ERRORS as error:
        found = [str(error)]
    if found:
        raise ValueError(f"{path} is not a region that can be mapped:\n" + "\n".join(f"- {one}" for one in found))


def _name(wkt: str) -> str:
    from pyproj import CRS

    code = CRS.from_wkt(wkt).to_epsg()
    return f"EPSG:{code}" if code else wkt


def _attributes(group: zarr.Group) -> Iterator[str]:
    """What is lost when a store is computed with and saved again."""
    if group.attrs.get("format") != layout.FORMAT:
        yield (
            f"the attribute `format` is `{group.attrs.get('format', '')}`, not `{layout.FORMAT}`: attributes of the store "
            "(`lead`, `time_zone` ...) were lost when it was saved again; put those of the first store back (`.attrs` in xarray)"
        )
    if "time" in group and int(group.attrs.get("lead", 0)) >= group["time"].size:
        lead, days = group.attrs["lead"], group["time"].size
        yield f"the attribute `lead` is {lead} days of {days}: no day is left to map; set it to the days before the first mapped one"


def _arrays(group: zarr.Group, grid: Grid) -> Iterator[str]:
    """Missing arrays, wrong dimensions, shapes, types and chunks."""
    if "time" not in group:
        yield "the array `time` is missing"
        return
    days = group["time"].size
    missing = [name for name in layout.WEATHER if name not in group]
    if missing:
        yield f"weather is missing: {', '.join(missing)}; a region has {', '.join(layout.WEATHER)}"
    yield from (f"the map `{name}` is missing" for name in MAPS if name not in group)
    for name, array in group.arrays():
        if not layout.is_ours(name, array.metadata.dimension_names):
            continue
        dims = _dims_of(name, array)
        shape = {("time", "y", "x"): (days, *grid.shape), ("y", "x"): grid.shape}.get(dims, array.shape)
        if tuple(array.metadata.dimension_names or ()) != dims:
            found = ", ".join(map(str, array.metadata.dimension_names or ("without names",)))
            yield f"`{name}` has the dimensions {found}; they must be {', '.join(dims)}: rename or transpose them and save the store again"
        if array.shape != shape:
            yield f"`{name}` has shape {array.shape}; [{', '.join(dims)}] is {shape}"
        elif array.shards:
            yield f"`{name}` is kept in shards {array.shards}; save the store again without them (`shards` None in the encoding)"
        elif dims == ("time", "y", "x"):
            yield from _daily(name, array, grid, days)
        elif dims:
            yield from _plain(name, array, dims)
    cells = {group[name].shape[1:] for name in layout.WEATHER if name in group}
    if len(cells) > 1 or any(group[name].shape[0] != days for name in layout.WEATHER if name in group):
        shapes = ", ".join(f"{name} {group[name].shape}" for name in layout.WEATHER if name in group)
        yield f"the weather must all be [time, cell] with {days} days and the same cells; it is {shapes}"


def _dims_of(name: str, array: zarr.Array) -> tuple[str, ...]:
    """The dimensions an array must have by its name; its own where the name says nothing."""
    if name in MAPS:
        return ("y", "x")
    if name == "fapar" or array.ndim == 3:
        return ("time", "y", "x")
    if name in layout.WEATHER:
        return ("time", "cell")
    return tuple(array.metadata.dimension_names or ())


def _daily(name: str, array: zarr.Array, grid: Grid, days: int) -> Iterator[str]:
    """Type, scale and chunks of a daily map."""
    wanted = (days, grid.tile, grid.tile)
    lengths = zip(array.chunks, wanted, array.shape, strict=True)
    if not all(chunk == tile or (chunk >= size and tile >= size) for chunk, tile, size in lengths):
        yield f"`{name}` has chunks {array.chunks}; a chunk must hold a tile for all days, for instance {wanted}: write it anew{_ANEW}"
    scale, missing = array.attrs.get("scale_factor", layout.SCALE), array.attrs.get("_FillValue", layout.NODATA)
    if array.dtype != np.int16:
        kept = f"int16 with scale_factor {layout.SCALE:g} and _FillValue {layout.NODATA}"
        yield f"`{name}` is {array.dtype}; it is kept as {kept}: write it anew{_ANEW}"
    elif not np.isclose(float(scale), layout.SCALE) or float(array.attrs.get("add_offset", 0)):
        offset = f" and add_offset {array.attrs['add_offset']}" if "add_offset" in array.attrs else ""
        yield f"`{name}` has the scale_factor {scale}{offset}; it is kept with {layout.SCALE:g} and no offset: write it anew{_ANEW}"
    elif str(missing) != str(layout.NODATA):
        yield f"`{name}` marks missing days by {missing}; it is kept with _FillValue {layout.NODATA}: write it anew{_ANEW}"


_ANEW = (
    f" (in xarray `encoding={{name: {{'dtype': 'int16', 'scale_factor': {layout.SCALE:g}, '_FillValue': {layout.NODATA}, "
    "'chunks': (all days, tile, tile)}}`)"
)


def _plain(name: str, array: zarr.Array, dims: tuple[str, ...]) -> Iterator[str]:
    """Type of weather, maps and axes: numbers as they are."""
    whole = name in ("plant_type", "cell", "zone")
    if array.dtype.kind not in ("iu" if whole else "iuf"):
        kind = "whole numbers" if whole else "numbers"
        empty = f"`plant_type` is {layout.OUTSIDE} outside, `zone` 0 where there is none"
        yield f"`{name}` is {array.dtype}; it holds {kind}: convert it ({empty})"
    packed = [key for key in ("scale_factor", "add_offset") if key in array.attrs]
    if packed:
        yield f"`{name}` is packed ({', '.join(packed)}), which only daily maps are; save it as numbers, without these in its encoding"


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
    for name, array in group.arrays():
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
        yield array[start : start + height]
