"""Stamps that are not local standard time: another zone, one year of another zone, daylight saving of either hemisphere."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.archives import find_archives
from hybridflux.data.clock import Noon, check_clock, daylight_saving
from hybridflux.data.fluxnet_table import read_table
from hybridflux.data.solar import equation_of_time

PLACES = {
    "ES": (37.0, -3.0, 1, "Europe/Paris"), "FR": (43.5, 1.2, 1, "Europe/Paris"), "DK": (55.0, 10.0, 1, "Europe/Paris"),
    "FI": (67.0, 26.0, 2, "Europe/Helsinki"), "US": (42.5, -72.2, -5, "America/New_York"), "AU": (-36.0, 148.0, 10, "Australia/Sydney"),
    "NZ": (-43.0, 171.0, 12, "Pacific/Auckland"), "CL": (-40.0, -73.0, -4, "America/Santiago"),
}  # fmt: skip


def light(latitude, longitude, utc_offset, years=("2009", "2010"), step=30):
    """Radiation of a cloudy sky whose centre moves from day to day, and stamps of the middle of each step in standard time."""
    middle = pd.Series(pd.date_range(years[0], f"{years[1]}-12-31 23:59", freq=f"{step}min")) + pd.Timedelta(minutes=step / 2)
    day = middle.dt.day_of_year.to_numpy()
    declination = 0.409 * np.sin(2 * np.pi * day / 365 - 1.39)
    hour = (middle.dt.hour + middle.dt.minute / 60).to_numpy() - utc_offset + longitude / 15 + equation_of_time(day) - 12
    latitude, angle = np.radians(latitude), hour * np.pi / 12
    sun = np.clip(np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle), 0, None)
    tilt = np.random.default_rng(0).normal(0, 0.03, 4000)[(middle - middle[0]).dt.days]  # morning or afternoon clouds
    return pd.Series(900 * sun * np.clip(0.5 + tilt * hour, 0.05, 1)), middle


def largest(values, middle):
    return max(jump for years in daylight_saving(values.to_numpy(), middle)[0].values() for jump in years.values())


def civil(values, middle, utc_offset, zone):
    """The same on a clock with daylight saving, the doubled hour of autumn dropped."""
    clock = (middle - pd.Timedelta(hours=utc_offset)).dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    keep = ~clock.duplicated()
    return values[keep].reset_index(drop=True), clock[keep].reset_index(drop=True)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", [30, 60])
def test_daylight_saving_is_refused_and_standard_time_is_not(place, step):
    latitude, longitude, utc_offset, zone = PLACES[place]
    values, middle = light(latitude, longitude, utc_offset, step=step)
    noon = Noon.of(longitude, utc_offset)
    check_clock(values, middle, noon, "my file")
    assert largest(values, middle) < 0.35
    with pytest.raises(ValueError, match="my file: .*light.*(daylight saving; write local standard time|without daylight saving)"):
        check_clock(*civil(values, middle, utc_offset, zone), noon, "my file")


def test_daylight_saving_of_some_years_is_refused_with_these_years():
    values, middle = light(43.5, 1.2, 1, ("2005", "2012"))
    summer = middle.dt.year.isin([2010, 2011])
    parts = [(values[~summer], middle[~summer]), civil(values[summer], middle[summer], 1, "Europe/Paris")]
    values, clock = (pd.concat(columns) for columns in zip(*parts, strict=True))
    with pytest.raises(ValueError, match="in 2010, 2011 the light comes .* when the clocks of Europe/Paris are set to summer time"):
        check_clock(values, clock, Noon.of(1.2, 1), "my file")


def test_a_year_in_another_zone_is_refused_though_the_mean_of_all_is_right():
    values, middle = light(48.0, 2.0, 1, ("2005", "2010"))
    shifted = middle.where(middle.dt.year != 2007, middle - pd.Timedelta(hours=1))
    with pytest.raises(ValueError, match="the light in 2007 is centred on 11.8 h, the sun of this longitude and utc_offset on 12.9 h"):
        check_clock(values, shifted, Noon.of(2.0, 1), "my file")


def test_without_an_offset_only_stamps_far_from_the_sun_are_refused():
    values, middle = light(-36.0, 148.0, 10)
    check_clock(values, middle, Noon.of(148.0, np.nan), "my file")
    with pytest.raises(ValueError, match="centred on 2.1 h, the sun of local time near 12 h .sites.csv gives no utc_offset"):
        check_clock(values, middle - pd.Timedelta(hours=10), Noon.of(148.0, np.nan), "my file")


@pytest.mark.parametrize("site", ["DK-Sor", "FR-Fon"])
def test_real_half_hours_of_standard_time(shared, site):
    """Every year stays below a third of an hour; stamped with daylight saving, two thirds of an hour are exceeded."""
    archive = find_archives(shared / "data" / "towers" / "halfhourly", [site])[site]
    table = read_table(archive, frozenset(("TIMESTAMP_START", "SW_IN_F")))
    middle = pd.to_datetime(table["TIMESTAMP_START"], format="%Y%m%d%H%M") + pd.Timedelta(minutes=15)
    values = table["SW_IN_F"].clip(lower=0).fillna(0)
    assert largest(values, middle) < 0.33
    check_clock(values, middle, None, str(archive))
    values, clock = civil(values, middle, 1, "Europe/Paris")
    assert min(daylight_saving(values.to_numpy(), clock)[0]["Europe/Paris"].values()) > 0.65
    with pytest.raises(ValueError, match=r"1\.\d h later when the clocks of Europe/Paris"):
        check_clock(values, clock, None, str(archive))
