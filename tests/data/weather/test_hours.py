"""Hours to days: nothing is lost, nothing is taken apart twice, nothing that is not UTC passes."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.solar import equation_of_time
from hybridflux.data.weather import hours

HOUR = np.timedelta64(1, "h")


def stamps(n, start="2018-05-01T01"):
    return np.datetime64(start, "s") + np.arange(n) * HOUR


def accumulate(when, values):
    day = (when - np.timedelta64(30, "m")).astype("datetime64[D]")
    return np.concatenate([np.cumsum(values[day == one], axis=0) for one in np.unique(day)])


@pytest.fixture(scope="module")
def provence(shared):
    """Eleven years of hourly ERA5-Land rain of a point [mm], as the data store gives it: sums since 00 UTC."""
    path = shared / "data" / "eo" / "era5" / "era5land_hourly_tp_provence_2010_2020.csv.gz"
    with gzip.open(path) as file:
        table = pd.read_csv(file)
    return pd.to_datetime(table["time_utc"]).dt.tz_localize(None).to_numpy("datetime64[s]"), table.iloc[:, [1]].to_numpy()


def test_taking_apart_undoes_summing():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(24 * 5, 3))
    assert hours.deaccumulate(stamps(120), accumulate(stamps(120), values), "x") == pytest.approx(values)


def test_sums_that_never_begin_again_are_refused():
    """Somebody summed a month: its first hour of each day would be the rain since the beginning."""
    values = np.random.default_rng(0).exponential(size=(24 * 5, 1))
    with pytest.raises(ValueError, match="continue to grow from day to day, up to 1.*; those of ERA5-Land restart after 00 UTC"):
        hours.deaccumulate(stamps(120), np.cumsum(values, axis=0), "x")


@pytest.mark.parametrize(("step", "said"), [(24, "one value a day"), (3, "a value every 3 h"), (0.5, "a value every 0.5 h")])
def test_what_is_no_series_of_hours_is_called_so(step, said):
    when = np.datetime64("2018-05-01T00", "s") + np.arange(30) * np.timedelta64(int(step * 3600), "s")
    with pytest.raises(ValueError, match=f"holds {said} from 2018-05-01T00:00:00 UTC; hours are needed"):
        hours.check_hours(when, "x")


def test_first_hour_is_unknown_unless_it_begins_a_sum():
    values = np.ones((24, 1))
    when = stamps(24, "2018-05-01T06")
    apart = hours.deaccumulate(when, accumulate(when, values), "x")
    assert np.isnan(apart[0]) and apart[1:] == pytest.approx(1.0)


def test_noise_of_packing_is_no_rain_and_a_falling_sum_is_refused():
    sums = accumulate(stamps(24), np.ones((24, 1)))
    sums[5] = sums[4] - 1e-3
    assert hours.deaccumulate(stamps(24), sums, "x").min() == 0
    sums[5] = sums[4] - 1.0
    with pytest.raises(ValueError, match=r"-1 in the hour before 2018-05-01T06:00:00 UTC in cell 0"):
        hours.deaccumulate(stamps(24), sums, "x")


def test_real_rain_is_a_sum_and_once_taken_apart_it_is_not(provence):
    when, sums = provence
    assert hours.is_accumulated(when, sums) is True
    apart = hours.deaccumulate(when, sums, "x")
    assert hours.is_accumulated(when, np.nan_to_num(apart)) is False, "never twice"
    at_midnight = sums[(when - when.astype("datetime64[D]")) == np.timedelta64(0, "s")]
    assert np.nansum(apart) == pytest.approx(at_midnight[1:].sum()), "the value of 00 UTC is the whole day before"
    assert 700 < np.nansum(apart) / 11 < 950, "mm a year; as single hours the stored values would be 10,148"


def test_zeros_and_single_days_tell_nothing():
    assert hours.is_accumulated(stamps(48), np.zeros((48, 2))) is None
    assert hours.is_accumulated(stamps(3), np.ones((3, 1))) is None


def test_real_rain_to_local_days(provence):
    when, sums = provence
    rain = np.nan_to_num(hours.deaccumulate(when, sums, "x"))
    days = np.arange(np.datetime64("2014-01-01"), np.datetime64("2015-01-01"))
    total, count = hours.sums(hours.day_of(when, days, 1.0, before=0.5), rain, len(days))
    table = pd.Series(rain[:, 0], pd.DatetimeIndex(when) - pd.Timedelta(hours=1) + pd.Timedelta(hours=1))  # start of the hour, local clock
    expected = table.resample("D").sum().loc["2014-01-01":"2014-12-31"]
    assert count.min() == count.max() == 24
    assert total[:, 0] == pytest.approx(expected.to_numpy(), abs=1e-9)
    assert total.sum() == pytest.approx(table.loc["2014"].sum())
    utc, _ = hours.sums(hours.day_of(when, days, 0.0, before=0.5), rain, len(days))
    assert np.abs(utc - total).max() > 1.0, "the shift matters for single days"


@pytest.mark.parametrize("offset", [0.0, 1.0, -5.0, 5.5])
def test_sums_are_conserved_whatever_the_offset(offset):
    rng = np.random.default_rng(1)
    when, values = stamps(24 * 10), rng.random((240, 2))
    days = np.arange(np.datetime64("2018-04-30"), np.datetime64("2018-05-13"))
    total, count = hours.sums(hours.day_of(when, days, offset, before=0.5), values, len(days))
    assert total.sum(axis=0) == pytest.approx(values.sum(axis=0), rel=1e-12)
    assert count.sum() == 480


def test_an_hour_belongs_to_the_day_it_fell_in():
    days = np.array(["2018-05-01", "2018-05-02"], "datetime64[D]")
    when = np.array(["2018-04-30T23:00", "2018-05-01T00:00", "2018-05-01T23:00", "2018-05-02T00:00"], "datetime64[s]")
    assert hours.day_of(when, days, 1.0, before=0.5).tolist() == [-1, 0, 0, 1]  # what fell in the hour before
    assert hours.day_of(when, days, 1.0, before=0.0).tolist() == [0, 0, 1, 1]  # the clock at the stamp
    assert hours.day_of(when, days, 0.0, before=0.5).tolist() == [-1, -1, 0, 0]


def test_missing_and_double_hours_are_named():
    with pytest.raises(ValueError, match="2018-05-01T05:00:00 UTC is missing"):
        hours.check_hours(np.delete(stamps(24), 4), "x")
    with pytest.raises(ValueError, match="2018-05-01T05:00:00 UTC comes twice"):
        hours.check_hours(np.sort(np.append(stamps(24), stamps(24)[4])), "x")


@pytest.mark.parametrize("wrong", [0.0, 1.0, 2.0, -6.0])
def test_stamps_that_are_not_utc(wrong):
    """A series whose solar noon is known: at 15 degrees east the sun is highest at 11 UTC less the equation of time."""
    when = stamps(24 * 20)
    clock = (when - when.astype("datetime64[D]")).astype(float) / 3600 - 0.5
    noon = 11 - equation_of_time((when.astype("datetime64[D]") - when.astype("datetime64[Y]")).astype(int) + 1)
    radiation = np.maximum(np.cos((clock - noon) / 24 * 2 * np.pi), 0)[:, None] * 2e6
    shifted = when + np.timedelta64(int(wrong), "h")
    if wrong == 0:
        hours.check_noon(shifted, radiation, np.array([15.0]), "x")
    else:
        with pytest.raises(ValueError, match=re.escape(f"centred {wrong:+.1f} h from the sun's noon")):
            hours.check_noon(shifted, radiation, np.array([15.0]), "x")


def test_real_hours_are_utc(shared):
    import xarray as xr

    with xr.open_dataset(shared / "data" / "eo" / "era5" / "era5_hourly_2022_06.nc", engine="h5netcdf") as data:
        when = data["time"].to_numpy().astype("datetime64[s]")
        radiation = data["ssrd"].to_numpy().reshape(len(when), -1)
        longitude = np.tile(data["lon"].to_numpy(), data.sizes["lat"])
    hours.check_noon(when, radiation, longitude, "x")
    assert hours.is_accumulated(when, radiation) is False
    with pytest.raises(ValueError, match=r"centred \+(0\.9|1\.[0-2]) h"):
        hours.check_noon(when + HOUR, radiation, longitude, "x")
