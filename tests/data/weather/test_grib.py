"""GRIB gives the same days as netCDF, in both editions; what is wrong with it is named."""

import zipfile

import numpy as np
import pytest
import xarray as xr

from hybridflux.data.moisture import reader as moisture
from hybridflux.data.weather import reader
from hybridflux.data.weather.netcdf import parts
from tests.data.weather.conftest import LATITUDES, LONGITUDES, as_dataset, since_midnight, sky, stamps_of
from tests.data.weather.grib_files import ACCUMULATED, TABLE_128, first, second

TOLERANCE = {"tair": 1e-3, "tmin": 1e-3, "tair_night": 1e-3, "vpd": 1e-3, "par": 1e-3, "rain": 1e-3}


def messages(variables, stamps, *, latitudes=LATITUDES, longitudes=LONGITUDES, land=False):
    """Edition 1, hour after hour."""
    midnight = (stamps - np.timedelta64(30, "m")).astype("datetime64[D]").astype("datetime64[s]")
    out = []
    for i, stamp in enumerate(stamps):
        for name, values in variables.items():
            since = midnight[i] if land and name in ACCUMULATED else None
            out.append(first(name, np.asarray(values[i], float), stamp, latitudes, longitudes, since=since))
    return b"".join(out)


@pytest.fixture
def read(catalog, tmp_path, extent):
    def call(place, start, end, dataset="era5", extent=extent, utc_offset=1.0):
        return reader("era5")(catalog[dataset], place, extent, np.datetime64(start), np.datetime64(end), utc_offset)

    return call


def same(one, other):
    order, like = (np.lexsort((part.longitude.round(3), part.latitude.round(3))) for part in (one, other))
    assert one.latitude[order] == pytest.approx(other.latitude[like], abs=1e-6)
    assert one.longitude[order] == pytest.approx(other.longitude[like], abs=1e-6)
    for name, tolerance in TOLERANCE.items():
        assert one.values[name][:, order] == pytest.approx(other.values[name][:, like], abs=tolerance), name


def test_real_hours_in_both_forms(read, shared, tmp_path):
    """Temperatures and radiation of ERA5 over southern Germany, June 2022."""
    with xr.open_dataset(shared / "data" / "eo" / "era5" / "era5_hourly_2022_06.nc", engine="h5netcdf") as data:
        part = data.isel(lat=slice(4, 8), lon=slice(3, 6)).load()
    stamps = part["time"].to_numpy().astype("datetime64[s]")
    real = {"t2m": part["t2m"].to_numpy(), "ssrd": part["ssrd"].to_numpy()}
    real |= {"d2m": real["t2m"] - 5.0, "tp": sky(stamps)["tp"]}
    as_dataset(stamps, real).to_netcdf(tmp_path / "june.nc", engine="h5netcdf")
    (tmp_path / "june.grib").write_bytes(messages(real, stamps))
    given = [read(tmp_path / name, "2022-06-02", "2022-06-29") for name in ("june.nc", "june.grib")]
    same(*given)
    assert given[1].origin["ssrd_and_tp"] == "single hours" and given[1].origin["files"] == ["june.grib"]
    assert 5 < given[1].values["tair"].mean() < 30, "degC of K, not of what GDAL would make of K"


@pytest.mark.parametrize("packed", [False, True], ids=["file", "zip"])
def test_sums_since_midnight(read, store, tmp_path, packed):
    stamps = store.month(end="2018-05-12")
    expected = read(store.folder / "one.nc", "2018-05-02", "2018-05-11", "era5-land")
    hourly = sky(stamps)
    content = messages(hourly | {name: since_midnight(stamps, hourly[name]) for name in ACCUMULATED}, stamps, land=True)
    place = tmp_path / "may.zip" if packed else tmp_path / "may.grb"
    if packed:
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.grib", content)
    else:
        place.write_bytes(content)
    weather = read(place, "2018-05-02", "2018-05-11", "era5-land")
    same(weather, expected)
    assert weather.origin["ssrd_and_tp"].startswith("sums since 00 UTC")


def test_edition_2(read, tmp_path):
    stamps = stamps_of("2018-05-01", "2018-05-04")
    hourly = sky(stamps)
    as_dataset(stamps, hourly).to_netcdf(tmp_path / "may.nc", engine="h5netcdf")
    axes = LATITUDES, LONGITUDES, tmp_path / "message"
    content = [second(name, values[i].astype(float), stamp, *axes) for name, values in hourly.items() for i, stamp in enumerate(stamps)]
    (tmp_path / "may.grib2").write_bytes(b"".join(content))
    same(*(read(tmp_path / name, "2018-05-02", "2018-05-03") for name in ("may.grib2", "may.nc")))


@pytest.mark.parametrize("longitudes", [(359.9, 0.0, 0.1), (-0.1, 0.0, 0.1)])
@pytest.mark.parametrize("north_up", [True, False])
def test_longitudes_across_greenwich_and_either_order(read, tmp_path, longitudes, north_up):
    stamps = stamps_of("2018-05-01", "2018-05-03")
    latitudes = LATITUDES if north_up else LATITUDES[::-1]
    hourly = sky(stamps, longitudes=(-0.1, 0.0, 0.1), latitudes=latitudes)
    cold = {"t2m": hourly["t2m"] + np.asarray(latitudes)[:, None] - 44.0}  # warmest in the north
    content = messages(hourly | cold, stamps, latitudes=latitudes, longitudes=longitudes)
    (tmp_path / "may.grib").write_bytes(content)
    weather = read(tmp_path, "2018-05-02", "2018-05-02", extent=(-0.05, 44.0, 0.05, 44.1))
    assert sorted(set(weather.longitude.round(2))) == [-0.1, 0.0, 0.1]
    index = [int(np.argmin(np.abs(weather.latitude - one))) for one in latitudes]
    which = slice(23, 47)
    expected = (hourly | cold)["t2m"][which].mean(axis=0)[:, 0] - 273.15
    assert weather.values["tair"][0, index] == pytest.approx(expected, abs=1e-3)


def test_the_whole_globe(read, tmp_path):
    """From 0 to 359 degrees, which GDAL turns to begin in the west: values stay with their places."""
    stamps = stamps_of("2018-05-01", "2018-05-03")
    longitudes, latitudes = tuple(np.arange(0.0, 360.0, 10.0)), (50.0, 40.0)
    hourly = sky(stamps, longitudes, latitudes)
    hourly["t2m"] = np.broadcast_to(273.15 + 20 * np.cos(np.radians(longitudes)), hourly["t2m"].shape)
    hourly["d2m"] = hourly["t2m"] - 4.0
    (tmp_path / "globe.grib").write_bytes(messages(hourly, stamps, latitudes=latitudes, longitudes=longitudes))
    for west in (-21.0, 119.0, 169.0):
        weather = read(tmp_path, "2018-05-02", "2018-05-02", extent=(west, 45.0, west + 12, 55.0))
        assert len(set(weather.longitude)) >= 1
        assert weather.values["tair"][0] == pytest.approx(20 * np.cos(np.radians(weather.longitude)), abs=1e-3)


def test_cells_of_the_sea_and_the_height(read, tmp_path):
    stamps = stamps_of("2018-05-01", "2018-05-03")
    land = np.ones((4, 3))
    land[:, 0] = np.nan
    hourly = {name: values * land for name, values in sky(stamps).items()}
    height = first("z", np.full((4, 3), 3000.0), stamps[0], LATITUDES, LONGITUDES)
    (tmp_path / "may.grib").write_bytes(messages(hourly, stamps) + height)
    weather = read(tmp_path, "2018-05-02", "2018-05-02")
    assert set(weather.longitude.round(2)) == {1.1, 1.2} and weather.elevation == pytest.approx(3000.0 / 9.80665, rel=1e-5)


def test_layers_of_the_soil(catalog, extent, tmp_path):
    stamps = stamps_of("2018-05-01", "2018-05-02")
    wet = np.linspace(0.2, 0.3, len(stamps) * 12).reshape(-1, 4, 3)
    (tmp_path / "soil.grib").write_bytes(messages({"swvl1": wet}, stamps))
    found = moisture("era5-land-moisture")(catalog["era5-land-soil"], tmp_path, extent, "2018-05-01", "2018-05-02", 0.0)
    assert found.values["swvl1"][1] == pytest.approx(wet[24:].mean(axis=0).ravel(), abs=1e-5)


def test_only_the_window_is_read(tmp_path):
    """What an index picks is what the whole would give there."""
    stamps = stamps_of("2018-05-01", "2018-05-01")
    (tmp_path / "may.grib").write_bytes(messages({"t2m": sky(stamps)["t2m"]}, stamps))
    for name, data in parts(tmp_path / "may.grib"):
        assert name == "may.grib" and data["t2m"].shape == (24, 4, 3)
        part = data["t2m"].isel(valid_time=[1, 5], latitude=[0, 2], longitude=1)
        assert part.to_numpy() == pytest.approx(sky(stamps)["t2m"][[1, 5]][:, [0, 2], 1], abs=1e-3)


def test_refused(read, tmp_path):
    stamps = stamps_of("2018-05-01", "2018-05-03")
    content = messages(sky(stamps), stamps)
    path = tmp_path / "may.grib"
    for cut in (len(content) - 1, len(content) * 2 // 3 + 5, 60):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=f"may.grib is damaged, cut short or not GRIB .after {cut} bytes .*; download it again"):
            read(path, "2018-05-02", "2018-05-02")
    path.write_bytes(b"GRIB" + bytes(60) + b"7777")
    with pytest.raises(ValueError, match="may.grib is damaged, cut short or not GRIB"):
        read(path, "2018-05-02", "2018-05-02")
    size = len(first("t2m", sky(stamps)["t2m"][0], stamps[0], LATITUDES, LONGITUDES))
    path.write_bytes(content[: len(content) // 2 - len(content) // 2 % size])
    with pytest.raises(ValueError, match="is missing|runs from|other hours"):
        read(path, "2018-05-02", "2018-05-02")


def test_a_rasterio_without_grib_is_told(read, tmp_path, monkeypatch):
    stamp = np.datetime64("2018-05-01T00", "s")
    (tmp_path / "may.grib").write_bytes(first("t2m", np.full((4, 3), 280.0), stamp, LATITUDES, LONGITUDES))
    monkeypatch.setattr("rasterio.Env.drivers", lambda self: {"GTiff": "GeoTIFF"})
    with pytest.raises(ValueError, match="may.grib is GRIB, which this build of rasterio cannot read; take a wheel of PyPI"):
        read(tmp_path, "2018-05-02", "2018-05-02")


def test_zeros_behind_the_last_message(read, tmp_path):
    stamps = stamps_of("2018-05-01", "2018-05-03")
    (tmp_path / "may.grib").write_bytes(messages(sky(stamps), stamps) + bytes(120))
    assert len(read(tmp_path, "2018-05-02", "2018-05-02").days) == 1


def test_other_elements_are_named(read, tmp_path):
    stamps = stamps_of("2018-05-01", "2018-05-03")
    wind = {"u10": np.ones((len(stamps), 4, 3)) + sky(stamps)["t2m"]}
    (tmp_path / "may.grib").write_bytes(messages(wind, stamps))
    with pytest.raises(ValueError, match="no netCDF, GRIB or CSV file with t2m, d2m, ssrd, tp and an axis of time; found 10U"):
        read(tmp_path, "2018-05-02", "2018-05-02")
    (tmp_path / "may.grib").write_bytes(messages(wind | {"t2m": sky(stamps)["t2m"]}, stamps))
    with pytest.raises(ValueError, match="no d2m, ssrd, tp in the files; add `2m_dewpoint_temperature`"):
        read(tmp_path, "2018-05-02", "2018-05-02")


def test_a_mean_of_radiation_is_no_sum(read, tmp_path):
    """Edition 2 has one number for W m-2, means and sums: only a sum is ssrd."""
    stamp, values = np.datetime64("2018-05-01T10", "s"), sky(stamps_of("2018-05-01", "2018-05-01"))["ssrd"][10]
    axes = LATITUDES, LONGITUDES, tmp_path / "message"
    names = {}
    for total in (0, 1):
        (tmp_path / "one.grib2").write_bytes(second("ssrd", values, stamp, *axes, total=total))
        names[total] = [str(name) for _, data in parts(tmp_path / "one.grib2") for name in data.data_vars]
    assert names == {0: ["DSWRF 0-4-7-0-SFC"], 1: ["ssrd"]}


def test_every_element_of_the_catalog_is_known(catalog):
    """Bands of ERA5 that netCDF gives are among those of GRIB."""
    names = {band.name for dataset in ("era5", "era5-land") for band in catalog[dataset].bands}
    assert names <= set(TABLE_128)
