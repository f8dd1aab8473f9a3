"""Greenness in two: the share of leaves that follow the rain deficit, beside the whole of `attribution.split`."""

import jax.numpy as jnp
import numpy as np

from hybridflux.causes import change_name
from hybridflux.data.gaps import trailing_mean
from hybridflux.model.attribution import NODES, split
from hybridflux.model.leaf_response import FOLLOWED, LEAF_RESPONSE
from hybridflux.process.leaves import WATER, rain_deficit
from hybridflux.products.drought_leaves import slopes_along, through_leaves

DAYS, PLACES = 500, 2
SEASON = np.arange(420, 480)
KINDS = np.array([5, 9])  # MF, GRA


def fluxes(point):
    gpp = 20 * point["nirv"] * (1 + point["lswi_30d"]) * jnp.exp(-0.05 * point["vpd"]) + point["nirv_30d"] ** 2
    return {"gpp": gpp, "reco": 0.4 * gpp}


def drivers():
    """Usual drivers, those of a year with half the rain, and leaves that have followed it and nothing else, by one draw of the response."""
    random, season = np.random.default_rng(3), np.sin(2 * np.pi * (np.arange(DAYS) - 110) / 365.25)[:, None]
    usual = {"tair": 10 + 8 * season, "par": 6 + 4 * season, "rain": random.gamma(0.3, 7.0, (DAYS, PLACES)), "vpd": 5 + 3 * season,
             "nirv": 0.2 + 0.1 * season, "lswi": 0.2 + 0.1 * season}  # fmt: skip
    usual = {name: np.broadcast_to(values, (DAYS, PLACES)) for name, values in usual.items()}
    actual = usual | {"rain": 0.5 * usual["rain"], "vpd": usual["vpd"] + 2.0}
    before, after = (rain_deficit(**{name: of[name] for name in WATER}, memory_days=LEAF_RESPONSE.memory_days) for of in (usual, actual))
    drawn = LEAF_RESPONSE.drawn(1, seed=7)
    for name, moved in FOLLOWED.items():
        actual[name] = np.asarray(moved(**{name: usual[name], "response": drawn[name][KINDS, 0] * (after - before)}), float)
    assert (after - before)[SEASON].max() > 0.4
    for of in (usual, actual):
        of |= {f"{name}_30d": trailing_mean(of[name], 30) for name in FOLLOWED}
    return usual, actual


def test_leaves_that_only_follow_the_water_are_all_of_greenness():
    usual, actual = drivers()
    read = ("vpd", "nirv", "nirv_30d", "lswi_30d")
    before, after = ({name: jnp.asarray(of[name][SEASON]) for name in read} for of in (usual, actual))
    parts, slopes = split(fluxes, before, after), slopes_along(fluxes, before, after, NODES)
    slopes = {name: np.asarray(values)[None] for name, values in slopes.items()}
    through = through_leaves(slopes, usual, actual, KINDS, SEASON, LEAF_RESPONSE, seed=7)
    for flux in ("gpp", "reco"):
        whole = np.asarray(parts[change_name(flux, "greenness")])
        assert np.abs(whole).max() > 0.05
        np.testing.assert_allclose(through[flux][0], whole, rtol=2e-3, atol=1e-5)
