"""The grid of a netCDF file: axes of latitude and longitude, or the curved ones of a transport model."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np

from hybridflux.data.grid_axes import check_axis
from hybridflux.data.hdf5 import open_netcdf
from hybridflux.region.store.curvilinear_grid import around, coarse_grid, degrees, unit_vectors

AXES = {
    "latitude": ("lat", "latitude", "XLAT_M", "XLAT", "nav_lat"),
    "longitude": ("lon", "longitude", "XLONG_M", "XLONG", "nav_lon"),
}
"""Names of the centres of cells: CF and CHIMERE, `geo_em` and `wrfinput` files of WRF, NEMO."""
CORNERS = {"latitude": "XLAT_C", "longitude": "XLONG_C"}
"""Names of the corners of cells: `geo_em` files of WRF."""
APART = 0.01
"""Of a cell: how far two corners may be apart that are one."""
DECIMALS = 7
"""Of the degrees of a corner: 1 cm."""


def grid_of_file(path: str | Path) -> tuple:
    """The grid of a netCDF file, as `CoarseDaily` keeps it.

    Axes with one dimension give edges of rows and columns: their bounds, or half-way between the centres. Those with two give
    corners: `XLAT_C` and `XLONG_C` of WRF, the bounds of the centres, or half-way between four centres, beyond the outermost ones by
    as much as before them.

    Raises:
        OSError: no such file, or not netCDF.
        ValueError: no latitude and longitude, or cells that do not touch.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"grid `{path}` is neither a step in degrees, such as 0.1, nor a netCDF file with `lat` and `lon`")
    with open_netcdf(path, classic=True, decode_times=False) as data:
        if all(name in data.variables for name in CORNERS.values()):
            corners = tuple(_at_first_time(data[name]) for name in CORNERS.values())
        else:
            names = {axis: _name(data, axis, path) for axis in AXES}
            if all(data[name].ndim == 1 for name in names.values()):
                return tuple(_edges(data, name, axis, path) for axis, name in names.items())
            corners = _corners(data, tuple(names.values()), path)
    found = tuple(tuple(map(tuple, np.round(one, DECIMALS).tolist())) for one in corners)
    try:
        coarse_grid(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return found


def _name(data, axis: str, path: str | Path) -> str:
    by_standard_name = (str(name) for name, one in data.variables.items() if one.attrs.get("standard_name") == axis)
    name = next((one for one in (*AXES[axis], *by_standard_name) if one in data.variables), None)
    if name is None:
        others = ", ".join(AXES[axis][1:])
        raise ValueError(f"{path} has no `{AXES[axis][0]}`, nor another name of the {axis}: {others}, or a `standard_name`")
    return name


def _edges(data, name: str, axis: str, path: str | Path) -> tuple[float, ...]:
    centres, bounds = np.asarray(data[name].values, float), data[name].attrs.get("bounds", f"{name}_bnds")
    check_axis(centres, f"{path}: `{name}`")
    if bounds in data.variables:
        pairs = np.sort(np.asarray(data[bounds].values, float).reshape(-1, 2)[np.argsort(centres)], axis=1)
        if np.abs(pairs[1:, 0] - pairs[:-1, 1]).max(initial=0.0) > 1e-6:
            raise ValueError(f"{path}: the cells of `{bounds}` leave gaps or overlap; write the bounds again")
        return (*pairs[:, 0].tolist(), float(pairs[-1, 1]))
    if len(centres) < 2:
        raise ValueError(f"{path}: `{name}` has one cell and no bounds; add `{name}_bnds`")
    ordered = np.sort(centres)
    middle = 0.5 * (ordered[1:] + ordered[:-1])
    found = np.round(np.concatenate([[2 * ordered[0] - middle[0]], middle, [2 * ordered[-1] - middle[-1]]]), 9)
    return tuple((np.clip(found, -90, 90) if axis == "latitude" else found).tolist())


def _corners(data, names: tuple[str, str], path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of the corners `[row + 1, column + 1]`."""
    centres = [_at_first_time(data[name]) for name in names]
    if centres[0].ndim != 2 or centres[0].shape != centres[1].shape or min(centres[0].shape) < 2:
        shapes = " and ".join(f"`{name}` is {' x '.join(map(str, one.shape))}" for name, one in zip(names, centres, strict=True))
        raise ValueError(f"{path}: {shapes}; the centres of a grid are along one axis each, or both rows x columns, two at least")
    if not all(np.isfinite(one).all() for one in centres):
        raise ValueError(f"{path}: `{names[0]}` or `{names[1]}` is missing in some cells; write the file again with all centres")
    bounds = [data[name].attrs.get("bounds", f"{name}_bnds") for name in names]
    if all(name in data.variables for name in bounds):
        return degrees(_joined(unit_vectors(*(np.asarray(data[name].values, float) for name in bounds)), f"{path}: `{bounds[0]}`"))
    beyond = unit_vectors(*centres)
    for axis in (0, 1):
        first, second, before, last = (np.take(beyond, [at], axis) for at in (0, 1, -2, -1))
        beyond = np.concatenate([2 * first - second, beyond, 2 * last - before], axis)
    return degrees(around(beyond).mean(-1))


def _joined(corners: np.ndarray, where: str) -> np.ndarray:
    """The corners `[row + 1, column + 1, 3]` of those of each cell `[row, column, 4, 3]`, whichever of them is the first one.

    Raises:
        ValueError: neighbours do not have two corners in common.
    """
    if corners.ndim != 4 or corners.shape[2] != 4:
        raise ValueError(f"{where} is not rows x columns x 4 corners; write the bounds again, or leave them out")
    size = np.linalg.norm(corners[0, 0, 2] - corners[0, 0, 0])
    for order in permutations(range(4)):
        one = corners[:, :, order]
        along = np.abs(one[:, 1:, [0, 3]] - one[:, :-1, [1, 2]]).max()
        across = np.abs(one[1:, :, [0, 1]] - one[:-1, :, [3, 2]]).max()
        if max(along, across) < APART * size:
            upper = np.concatenate([one[:, :, 0], one[:, -1:, 1]], 1)
            return np.concatenate([upper, np.concatenate([one[-1:, :, 3], one[-1:, -1:, 2]], 1)], 0)
    raise ValueError(f"{where}: the cells leave gaps or overlap; write the bounds again, or leave them out")


def _at_first_time(variable) -> np.ndarray:
    """Values without leading axes, along which the grid does not change."""
    values = np.asarray(variable.values, float)
    return values.reshape(-1, *values.shape[-2:])[0] if values.ndim > 2 else values
