"""Sources: bounds, prior medians, prior spread, composition."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sources import Fixed, Given, Neural, PerClass, Pooled, Shared, is_daily, to_raw, to_value
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, VARIABLES

LUE = PARAMETERS["light_use_efficiency"]
NAMES = {"plant_type": np.array([0, 9, 11]), "tair_30d": np.array([2.0, 12.0, 18.0], np.float32), "site": np.array([0, -1, 1])}
FREE = [Shared(), PerClass(), Neural("tair_30d"), Neural("tair_30d", "plant_type"), Pooled(PerClass())]


@pytest.mark.parametrize("row", PARAMETERS.values(), ids=lambda row: row.name)
def test_bounds_round_trip(row):
    inside = np.linspace(row.lower, row.upper, 13)[1:-1]
    np.testing.assert_allclose(to_value(to_raw(inside, row), row), inside, rtol=2e-5)


def test_value_outside_bounds_is_refused():
    with pytest.raises(ValueError, match="not inside its bounds"):
        to_raw(LUE.upper, LUE)


@pytest.mark.parametrize("source", FREE, ids=lambda s: type(s).__name__)
def test_values_stay_inside_bounds_however_far_z_goes(source):
    for size in (-50.0, 50.0):
        far = with_learned(source, jax.tree.map(lambda leaf, size=size: leaf + size, learned(source)))
        value = np.asarray(far.value(LUE, NAMES))
        assert np.all((value >= LUE.lower) & (value <= LUE.upper))


@pytest.mark.parametrize(
    "source", [Shared(), PerClass(), Neural("tair_30d", "plant_type"), Pooled(PerClass())], ids=lambda s: type(s).__name__
)
def test_zero_is_the_prior_median(source):
    zero = with_learned(source, jax.tree.map(jnp.zeros_like, learned(source)))
    medians = [LUE.typical] * 3 if isinstance(source, Shared) else [LUE.by_class[PLANT_TYPES[i]] for i in NAMES["plant_type"]]
    np.testing.assert_allclose(np.broadcast_to(zero.value(LUE, NAMES), 3), medians, rtol=1e-5)


@pytest.mark.parametrize("source", [Shared(), PerClass()], ids=lambda s: type(s).__name__)
def test_prior_spread_is_the_one_of_the_row(source):
    keys = jax.random.split(jax.random.key(0), 4000)

    def raw(key):
        leaves = {n: jax.random.normal(jax.random.fold_in(key, i), leaf.shape) for i, (n, leaf) in enumerate(learned(source).items())}
        return jnp.broadcast_to(with_learned(source, leaves).raw(LUE, NAMES), 3)

    spread = np.asarray(jax.vmap(raw)(keys)).std(0)
    np.testing.assert_allclose(spread, LUE.prior_sd, rtol=0.05)


def test_fixed_and_given():
    assert float(Fixed().value(LUE, {})) == pytest.approx(LUE.typical)
    assert float(Fixed(1.5).value(LUE, {})) == 1.5
    capacity = PARAMETERS["root_zone_capacity"]
    given = Given("soil_capacity").value(capacity, {"soil_capacity": np.array([5.0, 100.0, 5000.0])})
    np.testing.assert_allclose(given, [capacity.lower, 100.0, capacity.upper])


def test_fixed_by_plant_type_goes_by_code_and_a_list_by_the_position_of_places():
    source, at = Fixed({"CRO": 2.0, "GRA": 1.5}), np.array([PLANT_TYPES.index(code) for code in ("GRA", "ENF", "CRO")])
    np.testing.assert_allclose(source.value(LUE, {"plant_type": at}), [1.5, LUE.typical, 2.0])
    again = Fixed.from_spec(json.loads(json.dumps(source.spec())))
    assert source.reads() == ("plant_type",) and again.codes == source.codes
    np.testing.assert_array_equal(again.value(LUE, {"plant_type": at}), source.value(LUE, {"plant_type": at}))
    assert Fixed([1.0, 2.0, 3.0]).value(LUE, {"plant_type": at}).tolist() == [1.0, 2.0, 3.0]  # of these three places
    with pytest.raises(ValueError, match=r"list of 3 values, which go by the position .* here are 5 places or, in a fit, days"):
        Fixed([1.0, 2.0, 3.0]).value(LUE, {"plant_type": np.zeros(5, int)})
    with pytest.raises(ValueError, match="names `maize`, which is no plant type; name some of ENF"):
        Fixed({"maize": 2.0})
    with pytest.raises(ValueError, match="CRO = nan is not one number"):
        Fixed({"CRO": float("nan")})


def test_unseen_place_sits_at_the_centre_and_known_ones_move():
    pooled = Pooled(Shared(), spread=0.5)
    pooled = with_learned(pooled, {"z.effect": jnp.array([1.0, -2.0]), "z.spread": jnp.zeros(())})
    raw = np.asarray(pooled.raw(LUE, NAMES)) - float(to_raw(LUE.typical, LUE))
    np.testing.assert_allclose(raw, [0.5, 0.0, -1.0], atol=1e-6)


def test_pooled_needs_something_learned():
    with pytest.raises(ValueError, match="learned source"):
        Pooled(Fixed(1.0))


def test_neural_refuses_unknown_and_missing_inputs():
    with pytest.raises(KeyError, match="Did you mean `tair"):
        Neural("tairr")
    with pytest.raises(ValueError, match="at least one input"):
        Neural()


def test_neural_does_not_extrapolate():
    network = Neural("tair_30d")
    hot, hotter = (network.value(LUE, {"tair_30d": np.float32(t)}) for t in (40.0, 90.0))
    assert float(hot) == float(hotter)


SIGNED = Neural("lswi", "plant_type", "vpd", "tair", rising=("lswi",), falling=("vpd",))
POINTS = {"plant_type": np.random.default_rng(3).integers(0, len(PLANT_TYPES), 200)} | {
    name: np.random.default_rng(at).uniform(low, high, 200).astype(np.float32)
    for at, (name, low, high) in enumerate((("lswi", -0.4, 0.8), ("vpd", 0.0, 40.0), ("tair", -10.0, 35.0)))
}


@pytest.mark.parametrize(("name", "sign"), [("lswi", 1), ("vpd", -1), ("tair", 0)])
def test_a_response_with_a_sign_never_goes_the_other_way(name, sign):
    """Fifty networks with random weights at two hundred random points; tair, which has no sign, goes both ways."""

    def steps(key, source=SIGNED):
        keys = iter(jax.random.split(key, 3))
        drawn = jax.tree.map(lambda leaf: 3.0 * jax.random.normal(next(keys), leaf.shape), source)
        values = [drawn.raw(LUE, POINTS | {name: POINTS[name] + 0.01 * part}) for part in range(3)]
        return jnp.diff(jnp.stack(values), axis=0)

    found = np.asarray(jax.vmap(steps)(jax.random.split(jax.random.key(0), 50)))
    assert np.abs(found).max() > 1e-3
    if sign:
        assert (sign * found).min() > -1e-5  # single precision
    else:
        assert found.min() < -1e-3 and found.max() > 1e-3


def test_without_inputs_that_have_a_sign_the_prior_is_the_same():
    """|w2| tanh(x) has the law of w2 tanh(x), because tanh is odd: a response to free inputs is as wide as without any sign."""
    free, spread = Neural("tair", "plant_type", "lswi"), []
    rest = {name: values[:5] for name, values in POINTS.items()}
    rest["lswi"] = np.full(5, VARIABLES["lswi"].centre, np.float32)  # where the input with a sign adds nothing
    for source in (free, Neural("tair", "plant_type", "lswi", rising=("lswi",))):
        keys = iter(jax.random.split(jax.random.key(7), 3))
        drawn = jax.tree.map(lambda leaf, keys=keys: jax.random.normal(next(keys), (4000, *leaf.shape)), source)
        spread.append(np.asarray(jax.vmap(lambda one: one.raw(LUE, rest) - one.centre(LUE, rest))(drawn)))
    np.testing.assert_allclose(spread[0].std(0), spread[1].std(0), rtol=0.06)
    assert np.abs(spread[1].mean(0) / spread[1].std(0)).max() < 0.06


def test_signs_are_kept_and_wrong_ones_refused():
    again = Neural.from_spec(SIGNED.spec())
    assert (again.rising, again.falling) == (("lswi",), ("vpd",))
    weights = {f"z.{name}": leaf - 1.0 for name, leaf in SIGNED.z.items()}
    np.testing.assert_array_equal(*(with_learned(one, weights).raw(LUE, POINTS) for one in (SIGNED, again)))
    assert set(Neural("vpd").spec()) == {"inputs", "width", "reach"}  # files of before read the same
    for signs in ({"rising": ("plant_type",)}, {"rising": ("vpd",), "falling": ("vpd",)}, {"falling": ("par",)}):
        with pytest.raises(ValueError, match="two signs, or is no input that has one; inputs with a sign are vpd"):
            Neural("vpd", "plant_type", **signs)


def test_which_names_change_daily():
    assert [is_daily(name) for name in ("rain", "fapar_90d", "site_year", "site", "elevation")] == [True, True, True, False, False]
