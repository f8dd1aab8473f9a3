"""Networks of the day in a block: the parameters of the model itself, whatever its draws share."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model import compositions
from hybridflux.model.learned import learned, parameters_over_draws, with_learned, with_places
from hybridflux.model.sources import Neural, Pooled
from hybridflux.region.kernels.networks import members_of, solve

pytestmark = pytest.mark.long

DAILY = ("light_use_efficiency", "respiration_ref")
N = 40


def a_model(draws, distinct):
    """`hybrid` with random weights, of which only the first `distinct` draws differ in their networks; effects differ in all.

    The network of one parameter has inputs whose sign is declared.
    """
    signed = Neural(*compositions.TODAY, rising=("tair",), falling=("fapar", "vpd"))
    model = eqx.tree_at(lambda one: one.sources["light_use_efficiency"].source, compositions.get("hybrid"), signed)
    model = with_places(model, {"site": 2, "site_year": 2})
    random = np.random.default_rng(0)
    values = {name: random.normal(size=(draws, *leaf.shape)).astype(np.float32) for name, leaf in learned(model).items()}
    repeated = {name: leaf if "effect" in name or "spread" in name else leaf[np.arange(draws) % distinct] for name, leaf in values.items()}
    return with_learned(model, {name: jnp.asarray(leaf) for name, leaf in repeated.items()})


def names(draws=None, one_cell=True):
    random = np.random.default_rng(1)
    shape = (1,) if one_cell else (N,)
    found = {name: random.uniform(low, high, shape) for name, low, high in (("tair", 0, 30), ("par", 0, 14), ("vpd", 0, 20))}
    found |= {"par_potential": found["par"] + 2.0, "fapar_base": random.uniform(0.0, 0.3, N), "fapar_top": random.uniform(0.5, 0.9, N)}
    found["fapar"] = random.uniform(0.0, 1.0, N if draws is None else (draws, N))
    found = {name: jnp.asarray(values, jnp.float32) for name, values in found.items()}
    return found | {"plant_type": jnp.array([3]), "site": jnp.int32(0), "site_year": jnp.int32(0)}


def solved(model, given, drawn=None):
    """The networks of a block, the parameters that they give, and those of the model itself."""
    networks = {name: members_of(model.sources[name].network(), apart=drawn is not None) for name in DAILY}
    return networks, *both(model, networks, given, drawn)


@eqx.filter_jit  # as a kernel does: operation by operation it is some hundred programs
def both(model, networks, given, drawn):
    found = parameters_over_draws(solve(model, networks, given | (drawn or {})), given, DAILY, drawn)
    return found, parameters_over_draws(model, given, DAILY, drawn)


@pytest.mark.parametrize(("draws", "distinct"), [(1, 1), (6, 6), (20, 8)])
@pytest.mark.parametrize("one_cell", [True, False])
def test_the_same_as_the_model(draws, distinct, one_cell):
    model, given = a_model(draws, distinct), names(one_cell=one_cell)
    networks, found, expected = solved(model, given)
    assert all(len(jax.tree.leaves(members.network)[0]) == distinct for members in networks.values())
    for name in DAILY:
        assert found[name].shape == (draws, N)
        np.testing.assert_allclose(found[name], expected[name], rtol=3e-6)


def test_draws_with_the_same_network_and_effect_are_the_same_to_the_last_bit():
    found = solved(with_learned(a_model(16, 8), {f"sources.{name}.z.effect": jnp.zeros((16, 2)) for name in DAILY} | {
        f"sources.{name}.z.spread": jnp.zeros(16) for name in DAILY}), names())[1]  # fmt: skip
    for values in found.values():
        np.testing.assert_array_equal(values[:8], values[8:])


def test_each_draw_has_its_own_vegetation():
    model, given = a_model(20, 8), names()
    drawn = {"fapar": names(draws=20)["fapar"]}
    networks, found, expected = solved(model, given, drawn)
    assert all(members.pick is None for members in networks.values())
    for name in DAILY:
        np.testing.assert_allclose(found[name], expected[name], rtol=3e-6)


def test_a_network_of_weather_and_plant_type_alone():
    """No input differs between the pixels of a block, so that none is made for them."""
    weather = Pooled(Neural("tair", "vpd", "plant_type"), spread=0.2)
    model = eqx.tree_at(lambda one: [one.sources[name] for name in DAILY], compositions.get("hybrid"), [weather, weather])
    model = with_places(model, {"site": 2, "site_year": 2})
    random = np.random.default_rng(2)
    values = {name: jnp.asarray(random.normal(size=(5, *leaf.shape)), jnp.float32) for name, leaf in learned(model).items()}
    _, found, expected = solved(with_learned(model, values), names())
    for name in DAILY:
        assert found[name].shape == (5, 1)
        np.testing.assert_allclose(found[name], expected[name], rtol=3e-6)


def test_a_pixel_without_vegetation_takes_no_other_with_it():
    model, given = a_model(6, 6), names()
    missing = given | {"fapar": given["fapar"].at[0].set(jnp.nan)}
    _, found, _ = solved(model, missing)
    _, expected, _ = solved(model, given)
    for name in DAILY:
        assert np.isnan(found[name][:, 0]).all()
        np.testing.assert_array_equal(found[name][:, 1:], expected[name][:, 1:])


def test_a_source_without_a_network_has_none():
    model = compositions.get("hybrid")
    assert model.sources["vpd_sensitivity"].network() is None
