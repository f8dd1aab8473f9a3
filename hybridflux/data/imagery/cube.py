"""Image cubes in netCDF or Zarr: axes of time, y and x, and one variable for each band, as openEO, WorldCereal and xarray write them.

Bands of different pixel sizes come in several files. A variable without y and x, the angle of the sun for instance, holds for all pixels.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401  gives xarray objects `.odc.geobox`
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import spatial_dims

from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.grid_axes import check_axis
from hybridflux.data.hdf5 import open_netcdf
from hybridflux.data.imagery.frames import Frame, FrameBand, is_reflectance, scenes, solar_day_at
from hybridflux.data.imagery.offset_frames import by_catalog
from hybridflux.data.imagery.scene import Scene
from hybridflux.data.imagery.window import Image, damaged, stated
from hybridflux.limits import AXIS, PIXELS, Refused

TIME_NAMES = ("time", "timestamp", "t")
_DAMAGE = (OSError, RuntimeError, ValueError)  # of HDF5, of the codecs of Zarr, of axes that cannot be decoded


@dataclass(frozen=True)
class _OpenCube:
    """An open cube: its variables by band name, its grid, and the time of each image."""

    path: Path
    cube: xr.Dataset
    variables: dict[str, str]
    grid: GeoBox
    time: str
    times: np.ndarray


def cube_scenes(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """Scenes of cubes, see `scene.Reader`.

    The place is a file, a Zarr store, or a folder of them. Images of one time in several files, of 10 and 20 m for instance, make one
    frame. Two images of one band and day are merged if they share a grid, with a warning.

    Raises:
        FileNotFoundError: no cube at the place.
        ValueError: no coordinate system or time axis, another scale factor than the catalog's, two grids for one band and day.
    """
    files = [_open(path, dataset) for path in _find(Path(place), dataset.files)]
    by_time: dict[np.datetime64, list[tuple[_OpenCube, int]]] = defaultdict(list)
    for file in files:
        for index, time in enumerate(file.times):
            if start - 1 <= time.astype("datetime64[D]") <= end + 1:
                by_time[time].append((file, index))
    frames = [frame for time, images in sorted(by_time.items()) for frame in _frames(time, images, dataset)]
    _check_days(frames, dataset)
    return scenes(frames, dataset, geobox, start, end)


def _find(place: Path, patterns: Sequence[str]) -> list[Path]:
    if not place.exists():
        raise FileNotFoundError(f"no file or folder {place}")
    if place.is_file() or place.suffix == ".zarr" or (place / "zarr.json").exists():
        return [place]
    cubes = sorted({path for pattern in patterns or ("*.nc", "*.zarr") for path in place.glob(pattern)})
    if not cubes:
        raise FileNotFoundError(f"{place} holds no {' or '.join(patterns or ('*.nc', '*.zarr'))}")
    return cubes


def _open(path: Path, dataset: Dataset) -> _OpenCube:
    try:
        options: dict[str, Any] = {"mask_and_scale": False, "chunks": None}
        if path.is_dir():
            _refuse_symbolic_links(path)
            _check_sizes(path)
        cube = xr.open_zarr(path, consolidated=False, **options) if path.is_dir() else open_netcdf(path, **options)
    except Refused:
        raise
    except (*_DAMAGE, KeyError, ImportError, TypeError, AttributeError, IndexError) as error:
        raise damaged(str(path), error) from error
    time = next((name for name in TIME_NAMES if name in cube.dims), None)
    if time is None or time not in cube.coords or not np.issubdtype(cube[time].dtype, np.datetime64):
        raise ValueError(f"{path} has no axis of dates called {' or '.join(TIME_NAMES)}; it has {', '.join(map(str, cube.dims))}")
    if lost := int(np.isnat(cube[time].values).sum()):
        raise ValueError(f"{path} has {lost} entries of `{time}` that are no dates; write it again with them")
    names = {alias: band.name for band in dataset.bands for alias in (band.name, *band.aliases)}
    variables = {names[name]: str(name) for name in cube.data_vars if name in names}
    for band in dataset.bands:
        _check_scale(path, cube, band, variables)
    return _OpenCube(path, cube, variables, _grid(path, cube), time, cube[time].values)


def _refuse_symbolic_links(store: Path) -> None:
    """Refuse a store with symbolic links, which would show other files of the user as images."""
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            if os.path.islink(path := os.path.join(folder, name)):
                raise Refused(f"{path} is a symbolic link, which a store must not hold; copy the store with `cp -rL`")


def _check_sizes(store: Path) -> None:
    """The axes and the pieces of a store, which its metadata may claim to be of any size."""
    import zarr

    for name, array in sorted(zarr.open_group(store, mode="r", use_consolidated=False).arrays()):
        AXIS.check(max(array.shape, default=0), f"{store}, {name},")
        PIXELS.check(prod(array.chunks), f"{store}, a chunk of {name},")


def _check_scale(path: Path, cube: xr.Dataset, band: Band, variables: dict[str, str]) -> None:
    if band.name not in variables:
        return
    own = cube[variables[band.name]].attrs
    scale, offset = own.get("scale_factor", band.scale), own.get("add_offset", band.offset)
    if not (np.isclose(scale, band.scale) and np.isclose(offset, band.offset, atol=1e-9)):
        raise ValueError(
            f"{path}, {variables[band.name]}: the file says {scale:g} x stored + {offset:g}, the catalog says "
            f"{band.scale:g} x stored + {band.offset:g}; write a dataset with the scale and offset of the file"
        )


def _grid(path: Path, cube: xr.Dataset) -> GeoBox:
    for axis in spatial_dims(cube) or ():
        if axis in cube.coords:
            check_axis(cube[axis].values, f"{path}, axis {axis},", regular=True)
    grid = cube.odc.geobox
    if grid is not None and grid.crs is None:
        named = cube.attrs.get("crs") or cube.attrs.get("epsg")
        code = re.fullmatch(r"(?:\+init=)?(?:epsg:)?(\d{4,5})", str(named), re.IGNORECASE)
        grid = GeoBox(grid.shape, grid.affine, f"EPSG:{code[1]}") if code else grid
    if grid is None or grid.crs is None or not np.isfinite(grid.extent.centroid.to_crs("EPSG:4326").coords[0]).all():
        raise ValueError(
            f"{path} has no coordinate system, or one row or column of pixels whose size nothing says; add a CF grid mapping with its "
            "`GeoTransform`, with `.odc.assign_crs` for instance"
        )
    return grid


def _frames(time: np.datetime64, images: list[tuple[_OpenCube, int]], dataset: Dataset) -> list[Frame]:
    """The frames of one time: bands of several files together; a band that repeats, from two files of one grid, starts another frame."""
    frames: list[tuple[dict[str, FrameBand], list[tuple[_OpenCube, int]]]] = []
    for file, index in images:
        layers = {band.name: _layer(file, index, file.variables[band.name], band) for band in dataset.bands if band.name in file.variables}
        for taken, members in frames:
            if not taken.keys() & layers.keys():
                taken.update(layers)
                members.append((file, index))
                break
        else:
            frames.append((layers, [(file, index)]))
    return [_frame(time, number, layers, members, dataset) for number, (layers, members) in enumerate(frames) if layers]


def _frame(time: np.datetime64, number: int, layers: dict[str, FrameBand], members: list[tuple[_OpenCube, int]], dataset: Dataset) -> Frame:
    file = members[0][0]
    masks = []
    bands = dict(layers)
    if dataset.mask:
        label = bands.pop(dataset.mask.band, None)
        if label is None:
            raise ValueError(f"{file.path}: no mask {dataset.mask.band} for the image of {time}; it is in another file of the same times?")
        masks.append((dataset.mask, label))
    finest = min((file.grid for file, _ in members), key=lambda grid: abs(grid.resolution.x))
    stamp = str(np.datetime_as_string(time, unit="s")) + (f"#{number}" if number else "")
    origin = {"files": [str(file.path) for file, _ in members], "time": str(np.datetime_as_string(time, unit="s"))}
    absent, day = f"the cube has {', '.join(bands)}", solar_day_at(time, finest)
    return Frame(f"{dataset.id} {stamp}", day, finest, bands, masks, absent, origin, declared=by_catalog(dataset), tile=str(finest))


def _layer(file: _OpenCube, index: int, name: str, band: Band) -> FrameBand:
    own = file.cube[name].attrs
    nodata = stated(band.nodata, own.get("_FillValue"), own.get("missing_value"))
    image = Image(f"{file.path}, {name}, {file.times[index]}", file.grid, partial(_stored, file, index, name), nodata)
    return FrameBand(lambda: image, band.scale, band.offset, reflective=is_reflectance(band))


def _stored(file: _OpenCube, index: int, name: str, roi: tuple[slice, slice]) -> np.ndarray:
    variable = file.cube[name].isel({file.time: index})
    rows, columns = file.grid.dimensions
    if variable.ndim == 0:
        return np.full([part.stop - part.start for part in roi], variable.values)
    try:
        return variable.transpose(rows, columns).isel({rows: roi[0], columns: roi[1]}).values
    except _DAMAGE as error:
        raise damaged(str(file.path), error) from error


def _check_days(frames: Sequence[Frame], dataset: Dataset) -> None:
    """Two images of one day are one mosaic if they share a grid; else it is unknown which is right."""
    by_day: dict[np.datetime64, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_day[frame.day].append(frame)
    double = {day: group for day, group in by_day.items() if len(group) > 1}
    for day, group in double.items():
        if any(frame.grid != group[0].grid for frame in group):
            names = ", ".join(f"{frame.id} ({', '.join(frame.origin['files'])})" for frame in group)
            raise ValueError(f"two images of {day} on two grids: {names}; keep the files of one grid in the folder")
    if double:
        days = ", ".join(str(day) for day in list(double)[:5])
        warnings.warn(f"{dataset.id}: {len(double)} days have several images, merged pixel by pixel: {days}", stacklevel=3)
