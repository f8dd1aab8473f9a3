"""Series of points, and axes that other programs wrote: the same weather as from the grid they were cut from."""

import zipfile

import numpy as np
import pytest
import xarray as xr

from hybridflux.data.weather import reader

DAYS = "2018-05-02", "2018-05-30"
POINT = (1.08, 44.08, 1.12, 44.12)


@pytest.fixture
def read(catalog):
    def call(place, dataset="era5-land", extent=POINT):
        days = [np.datetime64(day) for day in DAYS]
        return reader("era5")(catalog[dataset], place, extent, *days, 1.0)

    return call


@pytest.fixture
def grid(store):
    """Hours of ERA5-Land, not accumulated, as the time series of the data store hold them."""
    store.month(land=False)
    with xr.open_dataset(store.folder / "one.nc", engine="h5netcdf") as data:
        data = data.load()
    (store.folder / "one.nc").unlink()
    return data


@pytest.fixture
def expected(read, grid, store):
    """Weather of the cell 44.1 N 1.1 E."""
    whole = read(store.write(grid, "whole.nc"), extent=POINT)
    at = int(np.argmin(np.hypot(whole.latitude - 44.1, whole.longitude - 1.1)))
    (store.folder / "whole.nc").unlink()
    return {name: values[:, at] for name, values in whole.values.items()}


def same(weather, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(weather.values[name][:, 0], values, rtol=2e-6, atol=2e-5, err_msg=name)
    assert (float(weather.latitude[0]), float(weather.longitude[0])) == pytest.approx((44.1, 1.1))


FORMS = {
    "numbers among the coordinates": lambda point: point,
    "attributes": lambda point: point.drop_vars(["latitude", "longitude"]).assign_attrs(latitude=44.1, longitude=1.1),
    "longitude from 0 to 360": lambda point: point.assign_coords(longitude=361.1),
    "one axis of points": lambda point: point.drop_vars(["latitude", "longitude"]).expand_dims("station").assign_coords(
        station=["home"], latitude=("station", [44.1]), longitude=("station", [1.1])
    ),
    "a slice along a parallel": lambda point: point.expand_dims("longitude"),
    "valid_time along time": lambda point: point.rename(valid_time="time").assign_coords(valid_time=("time", point.valid_time.values)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_point_in_a_netcdf(read, grid, expected, store, form):
    store.write(FORMS[form](grid.sel(latitude=44.1, longitude=1.1)), "point.nc")
    same(read(store.folder), expected)


def tables(grid, **where):
    """The CSV files of a zip of the data store."""
    point = grid.sel(**where).to_dataframe().reset_index()
    streams = {"2m-temperature": ["d2m", "t2m"], "radiation-heat": ["ssrd"], "pressure-precipitation": ["tp"]}
    names = {name: f"reanalysis-era5-land-timeseries-sfc-{name}.csv" for name in streams}
    return {names[name]: point[["valid_time", *columns, "latitude", "longitude"]] for name, columns in streams.items()}


@pytest.mark.filterwarnings("ignore:.*have no units")
@pytest.mark.parametrize("zipped", [True, False])
def test_csv_of_the_data_store(read, grid, expected, store, zipped):
    parts = tables(grid, latitude=44.1, longitude=1.1)
    with zipfile.ZipFile(store.folder / "series.zip", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part.to_csv(index=False))
    if not zipped:
        (store.folder / "series.zip").unlink()
        for name, part in parts.items():
            part.to_csv(store.folder / name, index=False, sep=";", decimal=",", encoding="utf-8-sig")
    same(read(store.folder), expected)


@pytest.mark.filterwarnings("ignore:.*have no units")
def test_several_points_are_cells(read, grid, store):
    here, there = ({"latitude": 44.1, "longitude": 1.1}, {"latitude": 44.0, "longitude": 1.2})
    for name, part in tables(grid, **here).items():
        both = np.concatenate([part.to_numpy(), tables(grid, **there)[name].to_numpy()])
        type(part)(both, columns=part.columns).to_csv(store.folder / name, index=False)
    weather = read(store.folder)
    assert sorted(zip(weather.latitude, weather.longitude, strict=True)) == [(44.0, 1.2), (44.1, 1.1)]
    whole = read(store.write(grid, "whole.nc").rename(store.folder.parent / "whole.nc"))
    for point in ((44.0, 1.2), (44.1, 1.1)):
        mine, theirs = (int(np.argmin(np.hypot(one.latitude - point[0], one.longitude - point[1]))) for one in (weather, whole))
        np.testing.assert_allclose(weather.values["par"][:, mine], whole.values["par"][:, theirs], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop(columns="latitude"), "has no column latitude"),
        (lambda table: table.assign(valid_time=table.valid_time.dt.strftime("%d/%m/%Y %H:%M")), "column valid_time, row 2: `01/05/2018"),
        (lambda table: table.iloc[[0, *range(len(table))]], "2018-05-01 00:00:00 UTC comes twice at 44.1 N 1.1 E"),
        (lambda table: table.assign(tp=["trace", *table.tp[1:]]), "precipitation.csv, column tp, row 2: `trace` is not a number"),
        (lambda table: table.assign(latitude=50.0), "lies outside it"),
        (lambda table: table.iloc[:100], "runs from 2018-05-01T00:00:00 to 2018-05-05T03:00:00 UTC"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*have no units")
def test_tables_that_cannot_be(read, grid, store, change, said):
    for name, part in tables(grid, latitude=44.1, longitude=1.1).items():
        (change(part) if "precipitation" in name else part).to_csv(store.folder / name, index=False)
    with pytest.raises(ValueError, match=said):
        read(store.folder)


def test_forecasts_of_cfgrib(read, grid, expected, store):
    """`time` is when a forecast began, `step` how far it went; hours that no forecast holds are NaN."""
    point = grid.isel(valid_time=slice(1, None)).sel(latitude=[44.1], longitude=[1.1])
    hours = point.valid_time.values
    base = np.arange(hours[0] - np.timedelta64(1, "h"), hours[-1] + np.timedelta64(1, "h"), np.timedelta64(24, "h"))
    steps = np.arange(1, 25)
    valid = base[:, None] + steps[None, :] * np.timedelta64(1, "h")
    whole = point.reindex(valid_time=valid.ravel())
    shape = (len(base), 24, 1, 1)
    axes = ("time", "step", "latitude", "longitude")
    data = xr.Dataset(
        {name: (axes, part.values.reshape(shape), part.attrs) for name, part in whole.data_vars.items()},
        coords={"time": base, "step": steps, "valid_time": (("time", "step"), valid), "latitude": [44.1], "longitude": [1.1]},
    )
    assert np.isnan(data.t2m.values).any(), "the last forecast is not whole"
    store.write(data, "forecast.nc")
    same(read(store.folder), expected)


def test_a_turned_grid_is_refused(read, grid, store):
    turned = grid.rename(latitude="y", longitude="x").drop_vars(["x", "y"])
    turned = turned.assign_coords(latitude=(("y", "x"), np.full((4, 3), 44.1)), longitude=(("y", "x"), np.full((4, 3), 1.1)))
    store.write(turned, "turned.nc")
    with pytest.raises(ValueError, match="turned grid"):
        read(store.folder)
