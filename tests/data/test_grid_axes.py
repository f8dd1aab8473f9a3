"""Coordinates that do not say where a cell lies are refused by every reader of grids, by file, axis and value, in one line."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

from hybridflux.data.grid_axes import check_axis
from hybridflux.data.land.warp import numbers
from hybridflux.terminal import is_for_user
from tests.data.damage import GRID, read_cube, read_image, read_land, read_weather

Y = GRID.affine.f - 10.0 * (np.arange(48) + 0.5)
X = GRID.affine.c + 10.0 * (np.arange(48) + 0.5)
HOURS = np.arange("2018-06-01", "2018-06-02", dtype="M8[h]").astype("M8[ns]")
LATITUDE, LONGITUDE = np.array([43.5, 43.25, 43.0]), np.array([1.0, 1.25, 1.5])
DATES = np.array(["2018-06-05", "2018-06-10"], "M8[ns]")


def changed(values, index, value):
    out = values.copy()
    out[index] = value
    return out


def cube(path, y=Y, x=X, t=DATES):
    bands = {"B04": 500, "B08": 3000, "SCL": 4}
    data = {name: (("t", "y", "x"), np.full((len(t), len(y), len(x)), value, np.int16)) for name, value in bands.items()}
    xr.Dataset(data, {"t": t, "y": y, "x": x}, {"crs": "EPSG:32631"}).to_netcdf(path, engine="h5netcdf")
    return read_cube(path)


def land(path, y=Y, x=X):
    layers = {"LC": (("y", "x"), np.full((len(y), len(x)), 3.0), {"grid_mapping": "crs"}), "crs": ((), 0, {"crs_wkt": GRID.crs.to_wkt()})}
    xr.Dataset(layers, {"y": y, "x": x}).to_netcdf(path, engine="h5netcdf")
    return numbers([f"{path}#LC"], GRID)


def weather(path, y=LATITUDE, x=LONGITUDE, t=HOURS):
    t2m = np.full((len(t), len(y), len(x)), 280.0, np.float32)
    axes = {"time": t, "latitude": y, "longitude": x}
    xr.Dataset({"t2m": (tuple(axes), t2m, {"units": "K"})}, axes).to_netcdf(path, engine="h5netcdf")
    return read_weather(path)


FAULTS = {
    "one column": (cube, {"x": X[:1]}, "whose size nothing says"),
    "one pixel": (cube, {"x": X[:1], "y": Y[:1]}, "whose size nothing says"),
    "constant": (cube, {"x": np.full(48, X[0])}, "axis x, holds 600005 48 times"),
    "not a number": (cube, {"x": changed(X, 3, np.nan)}, "axis x, has nan as entry 4 of 48"),
    "endless": (cube, {"y": changed(Y, 47, -np.inf)}, "axis y, has -inf as entry 48"),
    "twice": (cube, {"x": changed(X, 3, X[2])}, "holds 600025 2 times"),
    "out of order": (cube, {"y": changed(changed(Y, 5, Y[9]), 9, Y[5])}, "axis y, is uneven: entry 6"),
    "a gap": (cube, {"x": np.where(X > X[20], X + 100, X)}, "axis x, is uneven"),
    "no pixel": (cube, {"y": Y[:0]}, "axis y, has no entry"),
    "no date": (cube, {"t": changed(DATES, 1, np.datetime64("NaT"))}, "1 entries of `t` that are no dates"),
    "land: constant": (land, {"x": np.full(48, X[0])}, "axis x, holds"),
    "land: not a number": (land, {"y": changed(Y, 0, np.nan)}, "axis y, has nan"),
    "land: a gap": (land, {"x": np.where(X > X[20], X + 100, X)}, "axis x, is uneven"),
    "land: one pixel": (land, {"x": X[:1], "y": Y[:1]}, "two pixels or more"),
    "land: no pixel": (land, {"y": Y[:0]}, "axis y, has no entry"),
    "weather: not a number": (weather, {"y": changed(LATITUDE, 1, np.nan)}, "axis latitude, has nan"),
    "weather: twice": (weather, {"x": changed(LONGITUDE, 1, 1.0)}, "axis longitude, holds 1 2 times"),
    "weather: no cell": (weather, {"y": LATITUDE[:0]}, "axis latitude, has no entry"),
    "weather: no hour": (weather, {"t": HOURS[:0]}, "`time` is empty"),
    "weather: no date": (weather, {"t": changed(HOURS, 3, np.datetime64("NaT"))}, "1 of 24 entries of `time` are no dates"),
}  # fmt: skip


@pytest.mark.parametrize(("read", "axes", "fault"), FAULTS.values(), ids=FAULTS)
def test_coordinates_that_place_nothing_are_refused(tmp_path, read, axes, fault):
    path = tmp_path / "S2_L2A_cube.nc"
    with pytest.raises(ValueError, match=fault) as caught:
        read(path, **axes)
    assert is_for_user(caught.value) and path.name in str(caught.value) and "\n" not in str(caught.value)


def test_what_does_place_its_cells_is_read(tmp_path):
    """Axes the other way round, as float32, cells of weather in any order, one cell of weather."""
    for number, y in enumerate((Y[::-1], Y.astype(np.float32))):
        assert np.isfinite(cube(tmp_path / f"S2_L2A_cube{number}.nc", y=y)[0]).all()
    assert np.isfinite(land(tmp_path / "land.nc", y=Y[::-1])).all()
    assert weather(tmp_path / "a.nc", y=LATITUDE[[1, 0, 2]])[0].shape == (24, 9)
    assert weather(tmp_path / "b.nc", y=LATITUDE[:1], x=LONGITUDE[:1])[0].shape == (24, 1)


@pytest.mark.parametrize("read", [read_image, read_land])
@pytest.mark.parametrize("transform", [Affine(10, 10, 6e5, 10, 10, 4.9e6), Affine(np.nan, 0, 6e5, 0, -10, 4.9e6)], ids=["flat", "nan"])
def test_a_raster_without_area_or_place_is_refused(tmp_path, read, transform):
    with rasterio.open(
        tmp_path / "x.tif", "w", driver="GTiff", width=4, height=4, count=1, dtype="int16", crs="EPSG:32631", transform=transform
    ) as file:
        file.write(np.zeros((1, 4, 4), np.int16))
    with pytest.raises(ValueError, match=r"x.tif has pixels without area or place .*gdal_edit.py") as caught:
        read(tmp_path / "x.tif")
    assert is_for_user(caught.value)


def test_a_tenth_of_a_pixel_is_the_limit_of_uneven_steps():
    check_axis(np.array([0.0, 1.09, 2.0, 3.0]), "a.nc", regular=True)
    with pytest.raises(ValueError, match=r"entry 2, 1.11, lies 0.11 pixels from where steps of 1 put it"):
        check_axis(np.array([0.0, 1.11, 2.0, 3.0]), "a.nc", regular=True)
