"""E26 and the capacities of E16: evidence, populations and sources whose answers are known."""

import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hybridflux.model.sources import Shared
from hybridflux.vocabulary import PARAMETERS

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "experiments"))

import e16_capacity as e16  # noqa: E402
import e26_effect_correlation as e26  # noqa: E402

NAMES = ("light_use_efficiency", "respiration_ref", "temp_optimum")
CORRELATED = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_evidence_is_that_of_normal_data():
    """Data y = z + noise of covariance V say as much of two populations as the densities N(y; 0, R + V) do."""
    random = np.random.default_rng(0)
    noise, y = np.array([[0.5, 0.3, 0.0], [0.3, 0.7, -0.1], [0.0, -0.1, 0.4]]), random.normal(size=3)
    precision, both = np.linalg.inv(noise), (CORRELATED, np.eye(3))
    found = [float(e26.log_evidence(*map(jnp.asarray, (one, precision, precision @ y)))) for one in both]
    wanted = [multivariate_normal(cov=one + noise).logpdf(y) for one in both]
    assert found[0] - found[1] == pytest.approx(wanted[0] - wanted[1], abs=1e-4)


def drawn(correlation: np.ndarray, towers: int = 40) -> e26.Effects:
    """Effects of towers of a known population, seen with errors that are correlated the other way."""
    random = np.random.default_rng(1)
    noise = np.array([[0.3, -0.2, 0.0], [-0.2, 0.3, 0.0], [0.0, 0.0, 0.3]])
    precision = np.broadcast_to(np.linalg.inv(noise), (1, towers, 3, 3))
    seen = random.multivariate_normal(np.zeros(3), correlation, towers) + random.multivariate_normal(np.zeros(3), noise, towers)
    information = np.einsum("mpij,pj->mpi", precision, seen)
    mode = np.linalg.solve(precision + np.eye(3), information[..., None])[..., 0]
    return e26.Effects(NAMES, mode, precision, information, np.ones((1, 3)), np.zeros((1, towers), bool))


def test_a_correlation_is_found_through_noise_of_the_other_sign():
    effects = drawn(CORRELATED, towers=80)
    found, evidence = e26.compared(effects, ~effects.unseen, updates=200)
    assert e26.scaled(found[e26.ONE_PAIR])[0, 1] == pytest.approx(0.8, abs=0.15)
    for kind in e26.KINDS[1:]:  # the true covariance gains 0.23 nats a tower here
        assert (evidence[kind] - evidence[e26.INDEPENDENT]).mean() > 0.1


def test_no_correlation_is_found_where_there_is_none():
    effects = drawn(np.eye(3))
    found, evidence = e26.compared(effects, ~effects.unseen, updates=200)
    for kind in (e26.ONE_PAIR, e26.FACTOR, e26.SHOWN):
        assert abs(e26.scaled(found[kind])[0, 1]) < 0.3
        assert (evidence[kind] - evidence[e26.INDEPENDENT]).mean() < 0.02


def test_modes_of_independent_effects_are_correlated_as_expected():
    effects = drawn(np.eye(3), towers=4000)
    pairs, _, _ = e26.of_pairs(effects, {"x": {e26.SHOWN: np.eye(3)}}, shuffles=200)
    first = pairs.iloc[0]
    assert first.within < -0.2 and first.r == pytest.approx(first.expected, abs=0.05) and first.expected > 0.1


def test_a_capacity_follows_whc_and_stays_inside_its_bounds():
    row = PARAMETERS["root_zone_capacity"]
    names = {"whc": jnp.array([e16.CENTRE, 2 * e16.CENTRE, 1e4]), "site": jnp.arange(3)}
    value = np.asarray(e16.BY_DEFICITS.value(row, names))
    assert value[:2] == pytest.approx([row.typical, 2 * row.typical], rel=1e-4) and row.upper * 0.99 < value[2] < row.upper
    of_places = e16.OfPlaces(Shared(), 3, spread=0.4)
    assert np.asarray(of_places.value(row, names)) == pytest.approx([row.typical] * 3, rel=1e-4)
    moved = eqx.tree_at(lambda one: one.z, of_places, jnp.array([0.0, 1.0, 1e3]))
    assert np.asarray(moved.value(row, names))[1] == pytest.approx(row.typical * np.exp(0.4), rel=1e-4)
    assert np.isfinite(np.asarray(moved.value(row, names))).all()
