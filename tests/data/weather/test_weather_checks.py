"""What is refused or warned of before a unit is believed: the same sky written in other units."""

import numpy as np
import pytest

from hybridflux.data.solar import potential_par
from hybridflux.data.weather.border import assemble

DAYS = np.arange(np.datetime64("2019-01-01"), np.datetime64("2020-01-01"))
NUMBER = np.arange(1, 366)[:, None]


def sky(days=slice(None), latitude=48.0, **changes):
    """A year of a temperate place, two cells: sun, warmth, humidity of 60 to 80 %, 2.2 mm of rain a day."""
    rng = np.random.default_rng(3)
    season = -np.cos(2 * np.pi * (NUMBER - 20) / 365) * np.sign(latitude)
    warm = 11 + 8 * season + rng.normal(size=(365, 2))
    values = {
        "tair": warm, "tmin": warm - 4, "tmax": warm + 5, "vpd": 4 + 3 * season + 0 * warm,
        "par": potential_par(latitude, NUMBER) * rng.uniform(0.1, 0.75, (365, 2)), "rain": np.minimum(rng.gamma(0.3, 7.8, (365, 2)), 45),
    }  # fmt: skip
    values = {name: changes.get(name, lambda part: part)(part)[days] for name, part in values.items()}
    return assemble(DAYS[days], values, [latitude] * 2, [2.0, 2.1], np.nan, {}, "the file")


@pytest.mark.parametrize("latitude", [48.0, -35.0])
def test_a_sky_that_can_be(latitude):
    assert len(sky(latitude=latitude).days) == 365


WEEK = slice(100, 107)


@pytest.mark.parametrize(
    ("days", "changes", "said"),
    [
        (slice(None), {"tair": lambda tair: tair + 273.15}, "`tair` is .* outside -60 to 50"),
        (slice(0, 60), {"par": lambda par: par * 2.2}, "on its clearest day radiation is 1.6.* of that at the top"),  # shortwave as PAR
        (WEEK, {"par": lambda par: par / 86400}, "on its clearest day radiation is .*e-06 of that"),  # W m-2 in the place of J m-2 d-1
        (WEEK, {"par": lambda par: par / 3600}, "on its clearest day radiation is 0.000"),
        (slice(None), {"vpd": lambda vpd: vpd * 10}, "deficit is 40 hPa, air at these temperatures holds 14.* hPa at most"),
        (slice(None), {"tmin": lambda tmin: tmin + 9}, r"`tmin` \(mean .* degC\) lies more than 1 K above `tair` .* on 100% of the days"),
        (slice(None), {"tmax": lambda tmax: tmax - 20}, "`tair` .* lies more than 1 K above `tmax`"),
        (slice(None), {"rain": lambda rain: rain * 1e3}, "`rain` is .* outside 0 to 500"),
        (slice(None), {"rain": lambda rain: np.where([True, False], rain, np.nan)}, "1 of 2 cells are incomplete: .* no day has rain"),
        (slice(None), {"vpd": lambda vpd: np.where(NUMBER == 40, np.nan, vpd)}, "`vpd` has 2 gaps, the first on 2019-02-09"),
    ],
)  # fmt: skip
def test_refused(days, changes, said):
    with pytest.raises(ValueError, match=said):
        sky(days, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"par": lambda par: par * 0.45}, "on the clearest of 365 days radiation is 34% of .* is it PAR"),
        ({"vpd": lambda vpd: vpd / 100}, "deficit of 365 days is 0.04 hPa, 0.3% of saturation"),
        ({"rain": lambda rain: rain / 1e3}, "the wettest of 365 days has 0.0.* mm of rain; is the file in m"),
        ({"rain": lambda rain: rain * 10}, "365 days have 2. mm of rain a day on average, .* mm a year; is it in tenths of a mm"),
    ],
)
def test_warned(changes, said):
    with pytest.warns(UserWarning, match=said):
        sky(**changes)


def test_hemispheres_swapped_are_refused():
    """Radiation of a southern year under northern days exceeds the sun."""
    with pytest.raises(ValueError, match="of that at the top of the atmosphere"):
        sky(par=lambda par: np.roll(par, 182, axis=0))
