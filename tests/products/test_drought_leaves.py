"""Greenness in two: leaves that only followed the water lose nothing else."""

import numpy as np

from hybridflux.data.gaps import trailing_mean
from hybridflux.model.leaf_response import FOLLOWED, LEAF_RESPONSE
from hybridflux.model.sequences import Sequences
from hybridflux.process.leaves import rain_deficit
from hybridflux.products.drought_leaves import leaves_without_the_deficit
from hybridflux.products.drought_towers import usual_drivers
from hybridflux.vocabulary import PLANT_TYPES

DAYS = np.arange(np.datetime64("2015-01-01"), np.datetime64("2019-01-01"))
KINDS = ("GRA", "ENF")


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
