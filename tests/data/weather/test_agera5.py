"""AgERA5: original daily files and cut-outs give the same days."""

import shutil
import zipfile

import numpy as np
import pytest
import xarray as xr

from hybridflux.data.weather import reader
from hybridflux.data.weather.air import saturation_pressure

pytestmark = pytest.mark.long

NAMES = {
    "Temperature_Air_2m_Mean_24h": (285.0, "K"), "Temperature_Air_2m_Min_24h": (280.0, "K"), "Temperature_Air_2m_Max_24h": (291.0, "K"),
    "Solar_Radiation_Flux": (1.9e7, "J m-2 d-1"), "Precipitation_Flux": (2.0, "mm d-1"), "Vapour_Pressure_Mean": (9.0, "hPa"),
}  # fmt: skip
DAYS = np.arange(np.datetime64("2018-05-01"), np.datetime64("2018-05-06"))


def original(name, day, value, units):
    """One variable of one day on the 0.1 degree grid, as the data store names it."""
    axes = {"time": [day.astype("datetime64[ns]")], "lat": [44.1, 44.0], "lon": [1.0, 1.1]}
    return xr.Dataset({name: (("time", "lat", "lon"), np.full((1, 2, 2), value, np.float32), {"units": units})}, coords=axes)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agera5")
    for name, (value, units) in NAMES.items():
        for number, day in enumerate(DAYS):
            offset = 0.1 * number if units == "K" else 0.0
            file = f"{name.replace('_', '-')}_C3S-glob-agric_AgERA5_{str(day).replace('-', '')}_final-v1.1.nc"
            original(name, day, value + offset, units).to_netcdf(folder / file, engine="h5netcdf")
    return folder


@pytest.fixture
def folder(originals, tmp_path):
    """A copy of its own for each test, which may change it."""
    return shutil.copytree(originals, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def read(catalog):
    def call(place, start="2018-05-01", end="2018-05-05", extent=(1.02, 44.02, 1.08, 44.08)):
        return reader("agera5")(catalog["agera5"], place, extent, np.datetime64(start), np.datetime64(end), 1.0)

    return call


def test_original_files_one_variable_one_day_each(read, folder):
    weather = read(folder)
    assert len(weather.latitude) == 4 and len(weather.days) == 5
    assert weather.values["tair"][3, 0] == pytest.approx(285.3 - 273.15, abs=1e-4)
    assert weather.values["par"][0, 0] == pytest.approx(19 * 0.45, rel=1e-6)
    mean = 0.5 * (saturation_pressure(280 - 273.15) + saturation_pressure(291 - 273.15))
    assert weather.values["vpd"][0, 0] == pytest.approx(mean - 9.0, rel=1e-5)
    assert "local time" in weather.other_days and weather.other_days == weather.origin["days"]


def test_zipped_months_are_the_same(read, folder, tmp_path_factory):
    expected = read(folder)
    path = tmp_path_factory.mktemp("zip") / "2018-05.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    weather = read(path)
    for name, values in expected.values.items():
        assert np.array_equal(weather.values[name], values), name


def edit(folder, pattern, change):
    path = next(folder.glob(pattern))
    with xr.open_dataset(path, engine="h5netcdf") as data:
        data = data.load()
    path.unlink()
    change(data).to_netcdf(path, engine="h5netcdf")


def test_a_missing_and_a_double_day_are_named(read, folder):
    double = next(folder.glob("Precipitation-Flux*20180503*"))
    (folder / f"copy_{double.name}").write_bytes(double.read_bytes())
    with pytest.raises(ValueError, match="`precipitation_flux`: 2018-05-03 comes 2 times"):
        read(folder)
    for path in folder.glob("*20180503*"):
        path.unlink()
    with pytest.raises(ValueError, match="1 of 5 days are missing, the first is 2018-05-03"):
        read(folder)


def test_a_missing_variable_is_named_as_in_the_request(read, folder):
    for path in folder.glob("Vapour*"):
        path.unlink()
    with pytest.raises(ValueError, match="no Vapour_Pressure_Mean; add these variables"):
        read(folder)


@pytest.mark.parametrize(
    ("pattern", "change", "said"),
    [
        ("Temperature-Air-2m-Mean*0504*", lambda data: data - 273.15, "`tair` is -2.* on 2018-05-04, outside"),
        ("Temperature-Air-2m-Min*0504*", lambda data: data * 0 - 9999, "`tmin` has 4 gaps, the first on 2018-05-04"),
        ("Solar*0504*", lambda data: data.where(data.lat > 44.05), "`par` has 2 gaps"),
        ("Precipitation*0504*", lambda data: data * 0 + 600, "`rain` is 600 mm d-1 on 2018-05-04"),
    ],
)
def test_refused(read, folder, pattern, change, said):
    edit(folder, pattern, change)
    with pytest.raises(ValueError, match=said):
        read(folder)


def test_vapour_in_another_unit(read, folder):
    for path in folder.glob("Vapour*"):
        edit(folder, path.name, lambda data: data * 100)
    with pytest.raises(ValueError, match="perhaps in Pa"):
        read(folder)


def test_other_cells_in_one_folder(read, folder):
    edit(folder, "Solar*0504*", lambda data: data.isel(lon=[0]))
    with pytest.raises(ValueError, match="have other cells"):
        read(folder)


def test_real_cut_out(read, shared):
    """The Flanders file: seen by experiment E02 with the same equations."""
    place = shared / "data" / "eo" / "flanders_s2"  # Sentinel-2 files lie beside it
    weather = read(place, "2017-08-01", "2018-11-30", (3.0202, 50.8115, 3.0291, 50.8171))
    assert weather.latitude == pytest.approx(50.8143, abs=1e-3) and weather.longitude == pytest.approx(3.0264, abs=1e-3)
    with xr.open_dataset(next(place.glob("AgERA5*.nc")), engine="h5netcdf") as data:
        series = data.squeeze(("y", "x")).load()
    es = [0.6108 * np.exp(17.27 * t / (t + 237.3)) * 10 for t in (series["temperature_max"] - 273.15, series["temperature_min"] - 273.15)]
    vpd = np.maximum(0.5 * (es[0] + es[1]) - series["vapour_pressure"], 0)
    assert weather.values["vpd"][:, 0] == pytest.approx(vpd.to_numpy(), abs=1e-4)
    assert weather.values["rain"].sum() == pytest.approx(float(series["precipitation_flux"].sum()), rel=1e-6)
    with pytest.raises(ValueError, match="lies outside it"):
        read(place, "2018-01-01", "2018-01-31", (5.0, 50.8, 5.1, 50.9))
    with pytest.raises(ValueError, match="31 of 92 days are missing, the first is 2018-12-01"):
        read(place, "2018-10-01", "2018-12-31", (3.0202, 50.8115, 3.0291, 50.8171))


def test_days_are_those_of_the_towers(read, catalog, shared):
    """The product's local days and the local standard days of a tower 118 km away agree best without a shift."""
    days = "2017-08-02", "2018-11-29"
    extent = (3.0202, 50.8115, 3.0291, 50.8171)
    cell = read(shared / "data" / "eo" / "flanders_s2", *days, extent)
    with pytest.warns(UserWarning, match="the weather is that of BE-Bra, 118 km away"):
        tower = reader("tower-weather")(catalog["tower-weather"], shared / "data" / "towers", extent, *days, 1.0)
    assert not {"tmax", "vpd_day"} & set(tower.values), "what the file does not give is not offered as a climatology"
    for name, least in {"tair": 0.98, "par": 0.95, "vpd": 0.94, "rain": 0.8}.items():
        one, other = cell.values[name][:, 0], tower.values[name][:, 0]
        rank = [np.corrcoef(one[1:-1], np.roll(other, shift)[1:-1])[0, 1] for shift in (-1, 0, 1)]
        assert rank[1] > least and rank[1] > max(rank[0], rank[2]) + 0.02, name
