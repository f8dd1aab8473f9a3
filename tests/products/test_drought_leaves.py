"""Greenness in two: leaves that only followed the water lose nothing else."""

import numpy as np

from hybridflux.causes import change_name
from hybridflux.data.gaps import trailing_mean
from hybridflux.model.leaf_response import FOLLOWED, LEAF_RESPONSE
from hybridflux.model.sequences import Sequences
from hybridflux.process.leaves import rain_deficit
from hybridflux.products.drought_leaves import PARTS, greenness_at_towers, leaves_without_the_deficit, slopes
from hybridflux.products.drought_towers import usual_drivers
from hybridflux.region.draws.followed_leaves import WEATHER, leaf_drivers
from hybridflux.vocabulary import PLANT_TYPES

DAYS = np.arange(np.datetime64("2015-01-01"), np.datetime64("2019-01-01"))
KINDS = ("GRA", "ENF")


def test_parts_of_greenness_at_towers_are_slope_times_elasticity_times_departure():
    """GPP in proportion to NIRv, RECO to its square root: departures of NIRv of 30 % in a season of a dry year, whatever made them."""
    random, season = np.random.default_rng(4), np.sin(2 * np.pi * (np.arange(len(DAYS)) - 110) / 365.25)[:, None] * np.ones(2)
    rain = random.gamma(0.3, 6.0, (len(DAYS), 2)) * np.where((DAYS >= np.datetime64("2018-01-01"))[:, None], 0.4, 1.0)
    usual = 0.2 + 0.1 * season
    drivers = {"tair": 10 + 8 * season, "par": 6 + 4 * season, "rain": rain, "vpd": 5 + 3 * season, "nirv": 0.7 * usual,
               "plant_type": np.array([PLANT_TYPES.index(k) for k in KINDS])}  # fmt: skip
    summer = (DAYS >= np.datetime64("2018-06-01")) & (DAYS < np.datetime64("2018-09-01"))
    years = [frozenset({2015, 2016, 2017})] * 2
    towers = Sequences(("a", "b"), DAYS, drivers, {}, {})
    light = np.stack([np.full(season[summer].shape, 1.0), np.full(season[summer].shape, 2.0)])  # draw, day, place
    found = {}
    for flux, power in (("gpp", 1.0), ("reco", 0.5)):
        found[flux] = 30 * light * drivers["nirv"][summer] ** power
        found[change_name(flux, "greenness")] = found[flux] - 30 * light * usual[summer] ** power
    parts = greenness_at_towers(found, towers, summer, {"nirv": usual}, years, seed=5)
    weather = usual_drivers(towers, WEATHER, years)
    for flux, power in (("gpp", 1.0), ("reco", 0.5)):
        total = found[change_name(flux, "greenness")].sum(1)
        np.testing.assert_allclose(sum(parts[f"{flux}_{part}"] for part in PARTS), total, rtol=1e-5)
        mean = total / len(found[flux][0]) / (power * np.log(0.7))  # flux between, on the mean of the days
        deficit = np.subtract(*(leaf_drivers(one, LEAF_RESPONSE.memory_days)["water"][summer] for one in (drivers, weather)))
        slope = np.stack([slopes(2, 5, (n,))["water"][PLANT_TYPES.index(kind)] for n, kind in enumerate(KINDS)], 1)
        expected = slope * power * (mean * deficit.mean(0)) * summer.sum()
        np.testing.assert_allclose(parts[f"{flux}_water"], expected, rtol=0.03)
        assert parts[f"{flux}_water"].std() > 0


def test_leaves_moved_back_are_those_before_the_drought():
    """A last year with half the rain, whose leaves follow it and nothing else; moved back they are those of a wet year again."""
    random, season = np.random.default_rng(3), np.sin(2 * np.pi * (np.arange(len(DAYS)) - 110) / 365.25)[:, None] * np.ones(2)
    last = (DAYS >= np.datetime64("2018-01-01"))[:, None]
    rain = random.gamma(0.3, 6.0, (len(DAYS), 2)) * np.where(last, 0.4, 1.0)
    drivers = {"tair": 10 + 8 * season, "par": 6 + 4 * season, "rain": rain, "plant_type": np.array([PLANT_TYPES.index(k) for k in KINDS])}
    before = {"nirv": 0.2 + 0.1 * season, "lswi": 0.2 + 0.1 * season}
    towers = Sequences(("a", "b"), DAYS, drivers, {}, {})
    years = [frozenset({2015, 2016, 2017})] * 2
    water = ("tair", "par", "rain")
    usual = usual_drivers(towers, water, years)
    memory = {"memory_days": LEAF_RESPONSE.memory_days}
    after, before_it = (rain_deficit(**{name: of[name] for name in water}, **memory) for of in (drivers, usual))
    more = after - before_it
    summer = (DAYS >= np.datetime64("2018-07-01")) & (DAYS < np.datetime64("2018-09-01"))
    assert more[summer].min() > 0.3
    for name, follow in FOLLOWED.items():
        slope = np.array([LEAF_RESPONSE.mean[name][kind] for kind in KINDS])
        drivers[name] = np.asarray(follow(**{name: before[name], "response": slope * more}))
        drivers[f"{name}_30d"] = trailing_mean(drivers[name], 30)
    back = leaves_without_the_deficit(towers, years, LEAF_RESPONSE).drivers
    for name, values in before.items():
        assert np.abs(drivers[name] - values)[summer].max() > 0.005
        np.testing.assert_allclose(back[name], values, atol=1e-6)
        np.testing.assert_allclose(back[f"{name}_30d"], trailing_mean(values, 30), atol=1e-6)
    np.testing.assert_array_equal(back["rain"], rain)
