"""What can be wrong with a region store, said all at once, each with the cure."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region import layout
from hybridflux.region.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

MAPS = ("plant_type", "soil_capacity", "cell", "zone")


def grid_of(group: zarr.Group) -> Grid:
    """The grid of a store, from its coordinates.

    Raises:
        ValueError: no coordinate system, or not a grid of square north-up pixels.
    """
    if "spatial_ref" not in group or not group["spatial_ref"].attrs.get("crs_wkt"):
        raise ValueError("there is no coordinate system: `spatial_ref` with the attribute `crs_wkt` is missing")
    for name in ("x", "y", "fapar"):
        if name not in group:
            raise ValueError(f"the array `{name}` is missing")
    x, y = group["x"][:], group["y"][:]
    pixel = float(x[1] - x[0]) if len(x) > 1 else float(y[0] - y[1])
    if not (np.allclose(np.diff(x), pixel) and np.allclose(np.diff(y), -pixel)):
        raise ValueError("`x` must rise and `y` fall in equal steps of the same size: square pixels, north up")
    tile = group["fapar"].chunks[-1]
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
        grid = grid_of(group)
        found = [*_arrays(group, grid)] or [*_values(group), *_chunks(path, group, grid)]
    except ValueError as error:
        found = [str(error)]
    if found:
        raise ValueError(f"{path} is not a region that can be mapped:\n" + "\n".join(f"- {one}" for one in found))


def _name(wkt: str) -> str:
    from pyproj import CRS

    code = CRS.from_wkt(wkt).to_epsg()
    return f"EPSG:{code}" if code else wkt


def _arrays(group: zarr.Group, grid: Grid) -> Iterator[str]:
    """Missing arrays, wrong shapes, wrong chunks."""
    if "time" not in group:
        yield "the array `time` is missing"
        return
    days = len(group["time"][:])
    missing = [name for name in layout.WEATHER if name not in group]
    if missing:
        yield f"weather is missing: {', '.join(missing)}; a region has {', '.join(layout.WEATHER)}"
    for name in MAPS:
        if name not in group:
            yield f"the map `{name}` is missing"
        elif group[name].shape != grid.shape:
            yield f"`{name}` has shape {group[name].shape}; [y, x] is {grid.shape}"
    for name in daily_maps(group):
        if group[name].shape != (days, *grid.shape):
            yield f"`{name}` has shape {group[name].shape}; [time, y, x] is {(days, *grid.shape)}"
        elif group[name].chunks[1:] != (grid.tile, grid.tile) or group[name].chunks[0] < days:
            wanted = (days, grid.tile, grid.tile)
            yield f"`{name}` has chunks {group[name].chunks}; a chunk must hold a tile for all days, {wanted}: write it anew"
    cells = {group[name].shape[1:] for name in layout.WEATHER if name in group}
    if len(cells) > 1 or any(group[name].shape[0] != days for name in layout.WEATHER if name in group):
        shapes = ", ".join(f"{name} {group[name].shape}" for name in layout.WEATHER if name in group)
        yield f"the weather must all be [time, cell] with {days} days and the same cells; it is {shapes}"


def _values(group: zarr.Group) -> Iterator[str]:
    """Days, codes, cells and units that cannot be."""
    days = group["time"][:].astype(int)
    if group["time"].attrs.get("units") != layout.TIME_UNITS:
        yield f"`time` must be in `{layout.TIME_UNITS}`, not `{group['time'].attrs.get('units')}`"
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
    for name in layout.WEATHER:
        low, high = VARIABLES[name].bounds
        values = group[name][:]
        if np.nanmin(values, initial=low) < low or np.nanmax(values, initial=high) > high:
            span = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
            yield f"`{name}` runs from {span}; {VARIABLES[name].units} between {low:g} and {high:g} is expected, check the unit"


def _rows(array: zarr.Array, height: int = 0) -> Iterator[np.ndarray]:
    """A map, some rows at a time: those of a row of its chunks, if nothing else is asked for."""
    height = height or array.chunks[0]
    for start in range(0, array.shape[0], height):
        yield array[start : start + height]


def _chunks(path: Path, group: zarr.Group, grid: Grid) -> Iterator[str]:
    """Tiles with vegetation whose chunk is missing or cut short."""
    tiles, columns = list(grid.tiles()), -(-grid.shape[1] // grid.tile)
    for name in daily_maps(group):
        lost = []
        for row, kinds in enumerate(_rows(group["plant_type"], grid.tile)):
            for column, tile in enumerate(tiles[row * columns : (row + 1) * columns]):
                whole = _is_whole(path / name / "c" / "0" / str(row) / str(column))
                if whole is None and (kinds[:, tile.x] != layout.OUTSIDE).any():
                    lost.append(f"{tile.id} (missing)")
                elif whole is False:
                    lost.append(f"{tile.id} (cut short)")
        if lost:
            shown = ", ".join(lost[:8]) + (f" and {len(lost) - 8} more" if len(lost) > 8 else "")
            yield f"`{name}` cannot be read in {len(lost)} of {len(grid)} tiles: {shown}; write these tiles again"


def _is_whole(file: Path) -> bool | None:
    """Whether a Blosc chunk is as long as its header says (bytes 12 to 15); None where there is no file."""
    try:
        with open(file, "rb") as stream:
            header, size = stream.read(16), os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        return None
    return len(header) == 16 and struct.unpack("<I", header[12:])[0] == size
