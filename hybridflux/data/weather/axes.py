"""Data of the Climate Data Store, also rewritten by other programs, on the axes `valid_time`, latitude and longitude."""

from __future__ import annotations

from math import prod

import numpy as np
import xarray as xr

from hybridflux.limits import PIXELS

_VALID, _LATEST = "valid_time", "5"
_PLACES = (("latitude", "lat"), ("longitude", "lon"))


def on_axes(data: xr.Dataset, where: str) -> xr.Dataset:
    """The same data with the usual axes where a file has fewer or more; other data are not changed.

    * a forecast's `time` and `step` with a `valid_time` of both, as cfgrib writes it, become one axis of hours, and hours on which no
      variable has a value are left out; a `valid_time` along `time` becomes the axis;
    * a point, with latitude and longitude as single numbers, among the coordinates or the attributes, becomes a grid of one cell;
    * points along one axis become a grid with holes.

    Raises:
        Refused: points whose grid would be larger than `HYBRIDFLUX_LIMIT_PIXELS`.
    """
    return _at_places(_at_hours(data), where)


def _at_hours(data: xr.Dataset) -> xr.Dataset:
    if _VALID not in data.variables or data[_VALID].dims in ((), (_VALID,)):
        return data
    axes = data[_VALID].dims
    stamps = data[_VALID].to_numpy().ravel()
    bare = data.drop_vars([name for name in (*axes, _VALID) if name in data.variables])
    flat = bare.stack({_VALID: axes}, create_index=False) if len(axes) > 1 else bare.rename({axes[0]: _VALID})
    flat = flat.assign_coords({_VALID: stamps})
    if len(axes) == 1:
        return flat
    of_time = [part for part in flat.data_vars.values() if _VALID in part.dims]
    known = [part.notnull().any([axis for axis in part.dims if axis != _VALID]).to_numpy() for part in of_time]
    return flat.isel({_VALID: np.flatnonzero(np.any(known, axis=0))}).sortby(_VALID) if known else flat


def _at_places(data: xr.Dataset, where: str) -> xr.Dataset:
    coordinates = [next((name for name in names if name in data.variables or name in data.attrs), None) for names in _PLACES]
    if None in coordinates:
        return data
    for name in coordinates:
        if name not in data.variables:
            data = data.assign_coords({name: float(data.attrs[name])})
    data = data.set_coords(coordinates)
    data = data.expand_dims([name for name in coordinates if data[name].dims == ()])
    axes = {data[name].dims for name in coordinates}
    if len(axes) == 1 and len(next(iter(axes))) == 1:
        (axis,) = next(iter(axes))
        others = prod(length for name, length in data.sizes.items() if name != axis)
        PIXELS.check(prod(len(np.unique(data[name])) for name in coordinates) * others, f"{where}, points on a grid,")
        return data.drop_vars([axis] if axis in data.variables else []).set_index({axis: coordinates}).unstack(axis)
    return data


def preliminary(data: xr.Dataset) -> np.ndarray:
    """Hours of which the data are preliminary, ERA5T or `expver` 5: ECMWF replaces them two to three months later.

    An axis `expver` holds both versions, the final one NaN where it does not exist yet; newer files have one version for each hour.
    """
    time = next((name for name in (_VALID, "time") if name in data.variables), None)
    if "expver" not in data.variables or time is None:
        return np.zeros(0, "datetime64[s]")
    version = np.char.lstrip(np.atleast_1d(data["expver"].to_numpy()).astype(str), "0")
    stamps = np.atleast_1d(data[time].to_numpy()).astype("datetime64[s]")
    if "expver" not in data.dims:
        return stamps[np.broadcast_to(version == _LATEST, stamps.shape)]
    if not (version == _LATEST).any():
        return stamps[:0]
    of_both = [part for part in data.data_vars.values() if {"expver", time} <= set(part.dims)]
    parts = [part.isel(expver=int(np.argmax(version == _LATEST))) for part in of_both]
    present = [part.notnull().any([axis for axis in part.dims if axis != time]).to_numpy() for part in parts]
    return stamps[np.any(present, axis=0)] if present else stamps[:0]
