"""ERA5 and ERA5-Land as delivered: hours to days, whatever the packing of the download; what is wrong is named."""

import zipfile

import numpy as np
import pytest
import xarray as xr

from hybridflux.data.solar import potential_par
from hybridflux.data.weather import hours, reader
from hybridflux.data.weather.air import vpd_of_dewpoint
from hybridflux.units import PAR_PER_SHORTWAVE

START, END = "2018-05-02", "2018-05-30"


@pytest.fixture
def read(catalog, store, extent):
    def call(dataset="era5-land", start=START, end=END, utc_offset=1.0, place=None, extent=extent):
        days = np.datetime64(start), np.datetime64(end)
        return reader("era5")(catalog[dataset], place or store.folder, extent, *days, utc_offset)

    return call


def test_land_and_single_hours_give_the_same_days(read, store):
    store.month(land=True)
    land = read()
    store.month(land=False)
    single = read("era5")
    assert land.origin["ssrd_and_tp"].startswith("sums since 00 UTC") and single.origin["ssrd_and_tp"] == "single hours"
    assert land.other_days == "" and land.origin["days_with_fewer_hours"] == {} and len(land.days) == 29
    for name, values in land.values.items():
        assert values == pytest.approx(single.values[name], rel=1e-4, abs=2e-4), name


def test_days_against_the_sky_they_were_made_of(read, store):
    store.month(land=False)
    weather = read("era5")
    with xr.open_dataset(store.folder / "one.nc", engine="h5netcdf") as data:
        local = data.sel(latitude=[44.1], longitude=[1.1], method="nearest").isel(latitude=0, longitude=0).to_dataframe()
    cell = int(np.argmin(np.abs(weather.latitude - 44.1) + np.abs(weather.longitude - 1.1)))
    one = local.loc["2018-05-09 23:00":"2018-05-10 22:00"]  # the clock of 10 May in UTC+1
    fell = local.loc["2018-05-10 00:00":"2018-05-10 23:00"]
    day = int((np.datetime64("2018-05-10") - weather.days[0]).astype(int))
    got = {name: float(values[day, cell]) for name, values in weather.values.items()}
    assert got["tair"] == pytest.approx(one["t2m"].mean() - 273.15, abs=1e-3)
    assert got["tmin"] == pytest.approx(one["t2m"].min() - 273.15, abs=1e-3)
    assert got["par"] == pytest.approx(fell["ssrd"].sum() * 1e-6 * PAR_PER_SHORTWAVE, rel=1e-5)
    assert got["rain"] == pytest.approx(fell["tp"].sum() * 1e3, rel=1e-5)
    assert got["vpd"] == pytest.approx(vpd_of_dewpoint(one["t2m"] - 273.15, one["d2m"] - 273.15).mean(), rel=1e-4)
    dark = one["t2m"][one["ssrd"] <= 3600] - 273.15
    assert got["tair_night"] == pytest.approx(dark.mean(), abs=1e-3) and got["tmin"] < got["tair_night"] < got["tair"]


def test_day_and_night_make_the_whole(read, store):
    """Weighted with their hours the means of light and dark are the mean of the day; the extremes enclose them."""
    stamps = store.month(land=False)
    got = {name: values.astype(float) for name, values in read("era5").values.items()}
    with xr.open_dataset(store.folder / "one.nc", engine="h5netcdf") as data:
        lit = (data["ssrd"].to_numpy() > 3600).reshape(len(stamps), -1)
    days = np.arange(np.datetime64(START), np.datetime64(END) + 1)
    share = hours.means(hours.day_of(stamps, days, 1.0, before=0.0), lit.astype(float), len(days))
    assert 0.4 < share.min() and share.max() < 0.6
    assert share * got["tair_day"] + (1 - share) * got["tair_night"] == pytest.approx(got["tair"], abs=1e-4)
    for less, more in zip(("tmin", "tair_night", "tair", "tair_day"), ("tair_night", "tair", "tair_day", "tmax"), strict=True):
        assert (got[less] < got[more]).all(), (less, more)
    assert (got["vpd_day"] > got["vpd"]).all(), "warm hours are dry"


def with_sun(change):
    return lambda data: data.assign(ssrd=change(data.ssrd).assign_attrs(units="J m**-2"))


def test_days_without_light_or_dark(read, store):
    """Where the sun does not set or rise a mean of nothing is told by the whole day."""
    store.month(land=False, change=with_sun(lambda sun: sun.clip(min=7200.0)))
    bright = read("era5").values
    assert np.array_equal(bright["tair_night"], bright["tmin"]) and bright["tair_day"] == pytest.approx(bright["tair"], abs=1e-5)
    night = np.datetime64("2018-05-11T12"), np.datetime64("2018-05-13T12")
    store.month(land=False, change=with_sun(lambda sun: sun.where((sun.valid_time < night[0]) | (sun.valid_time > night[1]), 0.0)))
    dark = read("era5").values  # 12 May is the day of number 10
    assert np.array_equal(dark["tair_day"][10], dark["tair"][10]) and np.array_equal(dark["vpd_day"][10], dark["vpd"][10])
    assert dark["tair_night"][10] == pytest.approx(dark["tair"][10], abs=1e-5)


def test_radiation_and_rain_are_conserved(read, store):
    stamps = store.month(land=False)
    weather = read("era5", "2018-05-01", "2018-05-31")
    assert weather.origin["days_with_fewer_hours"] == {"2018-05-01": 23}, "one UTC hour of 30 April is not in the file"
    with xr.open_dataset(store.folder / "one.nc", engine="h5netcdf") as data:
        part = data.astype(float)
        total = {name: part[name].to_numpy().reshape(len(stamps), -1).sum(axis=0) for name in ("ssrd", "tp")}
    assert weather.values["par"].sum(axis=0, dtype=float) == pytest.approx(total["ssrd"] * 1e-6 * PAR_PER_SHORTWAVE, rel=1e-6)
    assert weather.values["rain"].sum(axis=0, dtype=float) == pytest.approx(total["tp"] * 1e3, rel=1e-6)


def test_months_and_streams_and_zips(read, store, tmp_path):
    store.month(land=True)
    expected = read(end="2018-05-29")
    (tmp_path / "one.nc").unlink()
    instant, fallen = ["t2m", "d2m"], ["ssrd", "tp"]
    store.month("a.nc", change=lambda data: data[instant].isel(valid_time=slice(0, 12 * 24)))
    store.month("b.nc", change=lambda data: data[fallen].isel(valid_time=slice(0, 12 * 24)))
    with zipfile.ZipFile(tmp_path / "first.zip", "w") as archive:
        archive.write(tmp_path / "a.nc", "data_stream-oper_stepType-instant.nc")
        archive.write(tmp_path / "b.nc", "data_stream-oper_stepType-accum.nc")
    for name in ("a.nc", "b.nc"):
        (tmp_path / name).unlink()
    store.month("rest.nc", change=lambda data: data.isel(valid_time=slice(12 * 24, None)))
    weather = read(end="2018-05-29")
    assert weather.origin["n_files"] == 3
    for name, values in expected.values.items():
        assert weather.values[name] == pytest.approx(values, abs=1e-5), name


def split_expver(data, late=5):
    """The old layout: two versions side by side, each missing where the other is."""
    half = data.sizes["valid_time"] // 2
    final = data.where(np.arange(data.sizes["valid_time"])[:, None, None] < half)
    later = data.where(np.arange(data.sizes["valid_time"])[:, None, None] >= half)
    return xr.concat([final, later], dim=xr.DataArray([1, late], dims="expver", name="expver")).transpose("valid_time", "expver", ...)


@pytest.mark.filterwarnings("ignore:.*are preliminary")
@pytest.mark.parametrize(
    "change",
    [
        split_expver,
        lambda data: data.expand_dims(number=[0]),
        lambda data: data.assign_coords(expver=("valid_time", ["0001"] * data.sizes["valid_time"]), number=0),
        lambda data: data.assign_coords(longitude=data.longitude % 360 + 360).assign_coords(longitude=lambda d: d.longitude % 360),
        lambda data: data.rename(valid_time="time", latitude="lat", longitude="lon"),
        lambda data: data.isel(latitude=slice(None, None, -1)),
    ],
    ids=["expver axis", "number axis", "expver along time", "longitudes to 360", "old names", "latitudes ascending"],
)
def test_layouts(read, store, change):
    store.month()
    expected = read()
    store.month(change=change)
    weather = read()
    order, same = (np.lexsort((one.longitude.round(3), one.latitude.round(3))) for one in (weather, expected))
    for name, values in expected.values.items():
        assert weather.values[name][:, order] == pytest.approx(values[:, same], abs=1e-5), name


def along_time(data):
    """The layout since 2024: one version for each hour."""
    late = np.arange(data.sizes["valid_time"]) >= data.sizes["valid_time"] // 2
    return data.assign_coords(expver=("valid_time", np.where(late, "0005", "0001")))


@pytest.mark.parametrize("change", [split_expver, along_time, lambda data: split_expver(data).rename(valid_time="time")])
def test_preliminary_hours_are_reported(read, store, change):
    store.month(change=change)
    with pytest.warns(UserWarning, match="372 hours, 2018-05-16T12:00:00 to 2018-05-31T23:00:00 UTC, are preliminary"):
        read()


def test_longitudes_across_greenwich(read, store):
    store.month(longitudes=(359.9, 0.0, 0.1), change=None)
    weather = read(extent=(-0.05, 44.0, 0.05, 44.1))
    assert sorted(set(weather.longitude.round(2))) == [-0.1, 0.0, 0.1]


def test_cells_of_the_sea_are_left_out(read, store):
    store.month(change=lambda data: data.where(data.longitude > 1.05))
    assert set(read().longitude.round(2)) == {1.1, 1.2}
    store.month(change=lambda data: data.where(data.longitude > 5))
    with pytest.raises(ValueError, match="no cell of the extent holds a number"):
        read()


def test_elevation_from_the_geopotential(read, store):
    store.month(change=lambda data: data.assign(z=(("latitude", "longitude"), np.full((4, 3), 3000.0))))
    assert read().elevation == pytest.approx(3000.0 / 9.80665)


def test_units_that_are_not_said_are_warned_of(read, store):
    store.month(units=False)
    with pytest.warns(UserWarning, match="d2m, ssrd, t2m, tp have no units"):
        read()


def says(name, units):
    return lambda data: data.assign({name: data[name].assign_attrs(units=units)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (says("t2m", "degC"), "`t2m` is in `degC`, the catalog says `K`"),
        (says("tp", "mm"), "`tp` is in `mm`, the catalog says `m d-1`"),
        (lambda data: data.assign(t2m=(data.t2m - 273.15).assign_attrs(units="K")), "`t2m` is .* is the file in degC"),
        (lambda data: data.assign(d2m=data.d2m.where(data.longitude > 1.05, -9999.0).assign_attrs(units="K")), "-9999 missing"),
        (lambda data: data.assign(ssrd=(data.ssrd / 3600).assign_attrs(units="J m**-2")), "on its clearest day radiation is 0.000"),
        (lambda data: data.assign(tp=(data.tp * 1e3).assign_attrs(units="m")), "`rain` is .* outside 0 to 500"),
        (lambda data: data.assign_coords(valid_time=data.valid_time + np.timedelta64(2, "h")), "do not tell|goes down|centred"),
        (lambda data: data.isel(valid_time=np.delete(np.arange(744), 100)), "2018-05-05T04:00:00 UTC is missing"),
        (lambda data: data.isel(valid_time=np.sort(np.append(np.arange(744), 100))), "2018-05-05T04:00:00 UTC comes twice"),
        (lambda data: data.isel(valid_time=slice(0, 240)), "runs from .* to 2018-05-10T23:00:00 UTC"),
        (lambda data: data.drop_vars("d2m"), "no d2m in the files; add `2m_dewpoint_temperature` to the request of era5-land"),
        (lambda data: data.rename(t2m="a", d2m="b", ssrd="c", tp="d"), "no netCDF, GRIB or CSV file with t2m, d2m, ssrd, tp"),
        (lambda data: data.expand_dims(number=[0, 1]), "2 entries along `number`"),
        (lambda data: data.rename(t2m="d2m", d2m="t2m"), "`d2m` lies more than 1 K above the temperature `t2m` in 100% of the hours"),
        (lambda data: data.assign(tp=data.tp.where(data.longitude > 1.05)), "4 of 12 cells are incomplete: at 44.20 1.00 .* has rain"),
        (lambda data: data.where(data.valid_time != np.datetime64("2018-05-10T12")), "12 gaps, the first at 2018-05-10T12:00:00 UTC"),
        (lambda data: data.drop_vars("latitude"), "no axis of place"),
    ],
)  # fmt: skip
def test_refused(read, store, change, said):
    store.month(change=change)
    with pytest.raises(ValueError, match=said):
        read()


def test_local_stamps_are_refused(read, store):
    store.month(land=False, change=lambda data: data.assign_coords(valid_time=data.valid_time + np.timedelta64(2, "h")))
    with pytest.raises(ValueError, match=r"centred \+2.[01] h from the sun's noon at 1.1 degrees east"):
        read("era5")


def test_a_mixture_of_products_is_refused(read, store):
    store.month("a.nc", end="2018-05-15", land=True)
    store.month("b.nc", start="2018-05-16", land=False)
    with pytest.raises(ValueError, match="do not tell|centred"):
        read()


def test_missing_month(read, store):
    store.month("may.nc")
    store.month("july.nc", start="2018-07-01", end="2018-07-31")
    with pytest.raises(ValueError, match="2018-06-01T00:00:00 UTC is missing"):
        read(end="2018-07-30")


@pytest.mark.parametrize("utc_offset, lacking", [(9.0, "2018-04-30T15:00:00"), (-8.0, "2018-06-01T08:00:00")])
def test_a_day_at_the_end_without_its_morning_or_evening_is_refused(read, store, utc_offset, lacking):
    """Days far from Greenwich reach into the UTC day before or after; without it their sums miss sun and rain."""
    store.month(land=False)
    with pytest.raises(ValueError, match=f"the days 2018-05-01 to 2018-05-31 need {lacking}; get the file"):
        read("era5", "2018-05-01", "2018-05-31", utc_offset=utc_offset)
    assert len(read("era5", "2018-05-02", "2018-05-30", utc_offset=utc_offset).days) == 29


def test_outside(read, store):
    store.month()
    with pytest.raises(ValueError, match="covers 1.00 to 1.20 degrees east .* lies outside"):
        read(extent=(3.0, 44.0, 3.1, 44.1))


def test_old_packed_files(read, store):
    """netCDF-3 of 16-bit numbers, as until 2024: their noise is neither rain nor a falling sum."""
    store.month()
    expected = read()
    with xr.open_dataset(store.folder / "one.nc", engine="h5netcdf") as data:
        data = data.load()
    packed = {}
    for name, part in data.data_vars.items():
        low, high = float(part.min()), float(part.max())
        packed[name] = {"dtype": "int16", "scale_factor": (high - low) / 65000, "add_offset": 0.5 * (high + low), "_FillValue": -32767}
    (store.folder / "one.nc").unlink()
    data.rename(valid_time="time").to_netcdf(store.folder / "one.nc", engine="scipy", format="NETCDF3_64BIT", encoding=packed)
    weather = read()
    for name, tolerance in {"tair": 2e-3, "tmin": 2e-3, "vpd": 5e-3, "par": 5e-3, "rain": 0.02}.items():
        assert weather.values[name] == pytest.approx(expected.values[name], abs=tolerance), name


def test_damaged_files(read, store, tmp_path):
    path = store.folder / "one.nc"
    store.month()
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ValueError, match="one.nc is damaged, cut short or not netCDF .*; download it again"):
        read()
    path.unlink()
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("data.txt", b"sorry")
    with pytest.raises(ValueError, match="one.zip is a zip without netCDF or GRIB, it holds data.txt"):
        read()
    with pytest.raises(FileNotFoundError, match="no file, or a folder without"):
        read(place=tmp_path / "nowhere")


def test_damage_in_the_middle_of_a_file(read, store):
    """What opens can still be unreadable: a block of compressed numbers, the end of a netCDF-3, a time without origin."""
    store.month()
    path = store.folder / "one.nc"
    with xr.open_dataset(path, engine="h5netcdf") as data:
        data = data.load()
    path.unlink()
    data.to_netcdf(path, engine="h5netcdf", encoding={name: {"zlib": True} for name in data.data_vars})
    content = bytearray(path.read_bytes())
    third = len(content) * 3 // 10
    content[third : third + 400] = b"\xaa" * 400
    path.write_bytes(content)
    with pytest.raises(ValueError, match="one.nc is damaged, cut short"):
        read()
    path.unlink()
    data.rename(valid_time="time").to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(ValueError, match="one.nc is damaged, cut short"):
        read()
    path.unlink()
    times = ("valid_time", np.arange(data.sizes["valid_time"]), {"units": "hours since yesterday"})
    data.assign_coords(valid_time=times).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match="one.nc is damaged, cut short or not netCDF .unable to decode time"):
        read()


def test_real_era5_without_humidity_says_what_to_request(read, shared):
    with pytest.raises(ValueError, match="no d2m, tp .*`2m_dewpoint_temperature`, `total_prec"):
        read("era5", "2022-06-02", "2022-08-30", place=shared / "data" / "eo" / "era5", extent=(11.0, 48.0, 11.5, 48.5))


def test_real_days_and_nights(shared):
    """Southern Germany in June 2022: 15 to 17 lit hours, and days warmer than nights at every place."""
    with xr.open_dataset(shared / "data" / "eo" / "era5" / "era5_hourly_2022_06.nc", engine="h5netcdf") as data:
        stamps = data["time"].to_numpy().astype("datetime64[s]")
        air, sun = (data[name].to_numpy().reshape(len(stamps), -1).astype(float) for name in ("t2m", "ssrd"))
    days = np.arange(np.datetime64("2022-06-02"), np.datetime64("2022-06-30"))
    which, light = hours.day_of(stamps, days, 1.0, before=0.0), (sun > 3600).astype(float)
    day, night = hours.halves(which, air, light, len(days))
    mean, share = hours.means(which, air, len(days)), hours.means(which, light, len(days))
    assert share * day + (1 - share) * night == pytest.approx(mean, abs=1e-9)
    assert 15 / 24 <= share.min() and share.max() <= 17.5 / 24
    low, high = hours.minima(which, air, len(days)), hours.maxima(which, air, len(days))
    assert (low <= night).all() and (night <= high).all() and (low <= day).all() and (day <= high).all()
    assert (day.mean(axis=0) - night.mean(axis=0)).min() > 1.0


def test_real_radiation_is_conserved_and_below_the_sun(shared):
    with xr.open_dataset(shared / "data" / "eo" / "era5" / "era5_hourly_2022_06.nc", engine="h5netcdf") as data:
        stamps = data["time"].to_numpy().astype("datetime64[s]")
        hourly = data["ssrd"].to_numpy().reshape(len(stamps), -1).astype(float)
        latitude = np.repeat(data["lat"].to_numpy(), data.sizes["lon"])
    days = np.arange(np.datetime64("2022-06-01"), np.datetime64("2022-07-01"))
    which = hours.day_of(stamps, days, 1.0, before=0.5)
    total, count = hours.sums(which, hourly, len(days))
    assert total.sum(axis=0) == pytest.approx(hourly[which >= 0].sum(axis=0), rel=1e-12)
    assert (count == 24).all(), "in UTC+1 the hours that end at 00 to 23 UTC make the day"
    share = total * 1e-6 * PAR_PER_SHORTWAVE / potential_par(latitude[None], 152 + np.arange(30)[:, None])
    assert 0.7 < share.max() < 0.85 and share.min() > 0.05  # clear sky: 0.75 + 2e-5 z of FAO-56 equation 37
