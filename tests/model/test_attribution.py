"""Changes against the usual year: they add up, follow the driver that was switched, and are those of all orders of the causes."""

from itertools import combinations, permutations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.causes import CAUSES, USUAL, change_name
from hybridflux.model.attribution import AgainstUsual, cause_of, following
from hybridflux.model.compositions import hybrid, static
from hybridflux.model.evaluated import evaluated
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.rollout import states
from hybridflux.model.shapley import Moved, of_product, shapley
from hybridflux.region.kernels.networks import Members
from hybridflux.region.kernels.networks_moved import following_networks, in_a_loop, one_by_one
from hybridflux.region.kernels.passes.one_pass import in_one_pass
from hybridflux.region.kernels.passes.vector_math import LANES
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

FEW = 6  # pixels
YEAR, SEASON = 365, slice(365 + 151, 365 + 243)
STATES, DAYS = ("soil_water", "snow"), 92
WHOLE = -(-DAYS * FEW // LANES) * LANES  # days and places, in whole vectors
PLAYERS = tuple(cause for cause in CAUSES if cause != "rest")
SUBSETS = [frozenset(inside) for size in range(len(PLAYERS) + 1) for inside in combinations(PLAYERS, size)]


@pytest.fixture(scope="module")
def usual():
    """Two years of weather and vegetation of a few places, the second with the summer that is looked at."""
    random, time = np.random.default_rng(3), np.arange(2 * YEAR)
    season = -np.cos(2 * np.pi * time / YEAR)[:, None]
    noise = random.normal(size=(len(time), FEW))
    drivers = {
        "tair": 10 + 9 * season + 2 * noise, "tmin": 5 + 8 * season + 2 * noise, "par": np.clip(6 + 4.5 * season + noise, 0.3, 14),
        "vpd": np.clip(5 + 4 * season + noise, 0.1, 60), "rain": random.gamma(0.3, 8.0, noise.shape),
        "par_potential": 9 + 5 * season + 0 * noise,
        "fapar": np.clip(0.5 + 0.3 * season + 0 * noise, 0.05, 0.95),
    }  # fmt: skip
    place = {"soil_capacity": np.linspace(60, 200, FEW), "fapar_base": np.full(FEW, 0.2), "fapar_top": np.full(FEW, 0.8)}
    found = {name: jnp.asarray(values, jnp.float32) for name, values in (drivers | place).items()}
    return found | {"plant_type": jnp.full(FEW, PLANT_TYPES.index("GRA")), "site": jnp.zeros(FEW, jnp.int32)}


def dry(usual, size=1.0, only=()):
    """Drivers of a summer of drought, of which all or some are not usual."""
    days = np.zeros((2 * YEAR, 1), np.float32)
    days[365 + 90 : 365 + 243] = size
    found = {"rain": usual["rain"] * (1 - 0.7 * days), "vpd": usual["vpd"] * (1 + 0.5 * days), "tair": usual["tair"] + 3 * days,
             "par": usual["par"] * (1 + 0.1 * days), "fapar": usual["fapar"] * (1 - 0.15 * days)}  # fmt: skip
    return {name: values if name in (only or found) else usual[name] for name, values in found.items()}


def a_model(kind):
    """One draw of a composition; networks have weights of the size of their prior."""
    model = with_places({"static": static, "hybrid": hybrid}[kind](), {"site": 1, "site_year": 1})
    keys = dict(zip(learned(model), jax.random.split(jax.random.key(1), len(learned(model))), strict=True))
    drawn = {name: jax.random.normal(keys[name], leaf.shape) for name, leaf in learned(model).items() if ".w" in name}
    return with_learned(model, drawn)


@eqx.filter_jit
def day_by_day(model, usual, changes, passes=False):
    """Of the days of the season what `AgainstUsual` says, and the fluxes under every subset of the causes, `[subset, day, place]`."""
    runs = [states(model, drivers, model.parameters(drivers)) for drivers in (usual, usual | changes)]
    moved = {name: (usual[name][SEASON], values[SEASON]) for name, values in changes.items()}
    moved |= {name: (runs[0][name][SEASON], runs[1][name][SEASON]) for name in STATES}
    fixed = {name: values if values.ndim == 1 else values[SEASON] for name, values in usual.items()}

    def under(switched):
        names = fixed | {name: jnp.where(switched[PLAYERS.index(cause_of(name))], after, before) for name, (before, after) in moved.items()}
        return model.exchange({name: names[name] for name in STATES}, names, model.parameters(names))

    fluxes = jax.vmap(under)(jnp.array([[cause in inside for cause in PLAYERS] for inside in SUBSETS]))
    today = {name: flat(values) for name, values in (fixed | {name: moved[name][1] for name in changes}).items()}
    today |= {USUAL + name: flat(moved[name][0]) for name in changes}
    state = {prefix + name: flat(moved[name][side]) for side, prefix in ((0, USUAL), (1, "")) for name in STATES}
    drawn = with_learned(model, {name: leaf[None] for name, leaf in learned(model).items()})  # one draw
    networks = {name: Members(found, None) for name, one in drawn.sources.items() if (found := one.network()) is not None}
    of_units = one_by_one if passes else in_a_loop
    pair = AgainstUsual(drawn, tuple(changes), following_networks(drawn, networks, tuple(changes), of_units))
    exchange = in_one_pass(pair.exchange, (1, WHOLE)) if passes else pair.exchange
    found = exchange(state, today, {name: flat(value) for name, value in model.parameters(fixed).items()})
    return {name: jnp.broadcast_to(value, (1, WHOLE))[0, : DAYS * FEW].reshape(DAYS, FEW) for name, value in found.items()}, fluxes


def on_arrays(found):
    """In float64, so that sums over a season do not round."""
    return jax.tree.map(lambda values: np.asarray(values, float), found)


def flat(values):
    """All days and places one after the other, the last one repeated."""
    return jnp.pad(jnp.broadcast_to(values, (DAYS, FEW)).reshape(-1), (0, WHOLE - DAYS * FEW), mode="edge")


def over_orders(fluxes, flux):
    """Cause -> the mean over all orders of the causes of what its switch changes: what the Shapley value is, in float64."""
    parts = dict.fromkeys(PLAYERS, 0.0)
    orders = list(permutations(PLAYERS))
    for order in orders:
        for place, cause in enumerate(order):
            before, after = (fluxes[flux][SUBSETS.index(frozenset(order[:end]))] for end in (place, place + 1))
            parts[cause] += (after - before) / len(orders)
    return parts


@pytest.mark.parametrize("kind", ["static", "hybrid"])
def test_changes_by_cause_add_up_and_are_the_mean_over_all_orders_of_the_causes(usual, kind):
    """The loss is half of GPP here. Parts are within 0.1 % of the loss; those of networks, shared out in their units, within 0.5 %.

    Causes of RECO act against each other, so that their parts are held against the sum of their sizes.
    """
    found, fluxes = on_arrays(day_by_day(a_model(kind), usual, dry(usual)))
    for flux in ("gpp", "reco"):
        whole = np.sum([found[change_name(flux, cause)] for cause in CAUSES], axis=0)
        change = fluxes[flux][-1] - fluxes[flux][0]
        np.testing.assert_allclose(whole, change, atol=2e-5)
        np.testing.assert_allclose(found[flux], fluxes[flux][-1], rtol=1e-5)
        exact = over_orders(fluxes, flux)
        assert flux == "reco" or -change.sum() > 0.3 * fluxes[flux][0].sum()
        size = -change.sum() if flux == "gpp" else sum(abs(part.sum()) for part in exact.values())
        for cause, part in exact.items():
            off = abs(found[change_name(flux, cause)].sum() - part.sum())
            assert off < size * {"static": 0.001, "hybrid": 0.005}[kind], (flux, cause, off / size)


@pytest.mark.parametrize("kind", ["static", "hybrid"])
def test_a_pass_gives_what_xla_gives(usual, kind):
    found, by_xla = (on_arrays(day_by_day(a_model(kind), usual, dry(usual), passes)[0]) for passes in (True, False))
    largest = {flux: max(abs(by_xla[change_name(flux, cause)]).max() for cause in CAUSES) for flux in ("gpp", "reco")}
    for flux, size in largest.items():
        np.testing.assert_allclose(found[flux], by_xla[flux], rtol=2e-6)
        for cause in CAUSES:
            part = change_name(flux, cause)
            np.testing.assert_allclose(found[part], by_xla[part], atol=1e-5 * size, err_msg=part)


def test_small_changes_are_those_of_integrated_gradients(usual):
    """Aumann-Shapley along the straight path, by differences of the model at 64 points, is the limit of both for small changes."""
    share = (np.arange(64) + 0.5) / 64
    model, changes = a_model("static"), dry(usual, 0.1)
    found, _ = on_arrays(day_by_day(model, usual, changes))
    runs = [states(model, drivers, model.parameters(drivers)) for drivers in (usual, usual | changes)]
    ends = {name: (usual[name][SEASON], values[SEASON]) for name, values in changes.items()}
    ends |= {name: (runs[0][name][SEASON], runs[1][name][SEASON]) for name in STATES}
    fixed = {name: values if values.ndim == 1 else values[SEASON] for name, values in usual.items()}

    def gpp(point):
        names = fixed | point
        return model.exchange({name: names[name] for name in STATES}, names, model.parameters(names))["gpp"]

    def slope(at, cause):
        point = {name: before + at * (after - before) for name, (before, after) in ends.items()}
        along = {name: (after - before) * float(cause_of(name) == cause) for name, (before, after) in ends.items()}
        return jax.jvp(gpp, (point,), (along,))[1]

    for cause in PLAYERS:
        integral = np.mean(jax.jit(jax.vmap(lambda at, cause=cause: slope(at, cause)))(jnp.asarray(share, jnp.float32)), 0)
        assert abs(found[change_name("gpp", cause)].sum() - integral.sum()) < 2e-3 * sum(
            np.abs(found[change_name("gpp", one)]).sum() for one in PLAYERS
        )


@pytest.mark.parametrize(("driver", "cause"), [("rain", "soil_water"), ("vpd", "vpd"), ("fapar", "greenness")])
def test_a_driver_switched_alone_has_its_loss(usual, driver, cause):
    """Less rain acts through soil water alone; drivers that move the water too leave it a tenth at most."""
    found, fluxes = on_arrays(day_by_day(a_model("static"), usual, dry(usual, only=(driver,))))
    assert found[change_name("gpp", cause)].sum() / (fluxes["gpp"][-1] - fluxes["gpp"][0]).sum() > 0.9


def test_dry_soil_and_dry_air_at_once_have_their_own_losses(usual):
    """Known truth of both together: the mean over both orders of what each takes alone and beside the other; nothing else has a part."""
    truth, changes = a_model("static"), dry(usual, only=("rain", "vpd"))
    found, fluxes = on_arrays(day_by_day(truth, usual, changes))
    water, both, vpd = (
        (fluxes["gpp"][SUBSETS.index(frozenset(inside))] - fluxes["gpp"][0]).sum()
        for inside in (("soil_water",), ("soil_water", "vpd"), ("vpd",))
    )
    parts = {cause: found[change_name("gpp", cause)].sum() for cause in CAUSES}
    expected = {"soil_water": 0.5 * (water + both - vpd), "vpd": 0.5 * (vpd + both - water)}
    assert water < 0 and vpd < 0 and both > water + vpd  # each takes less of what the other has left
    for cause, exact in expected.items():
        assert parts[cause] == pytest.approx(exact, rel=1e-3)
    assert all(abs(part) < 1e-3 * abs(both) for cause, part in parts.items() if cause not in expected)


def test_a_product_is_shared_out_as_by_all_subsets():
    """Zeros among them, and a factor of two causes, which is first made a product of them."""
    random = np.random.default_rng(0)
    ends = {cause: random.uniform(0.2, 1.5, (2, 50)) for cause in "abcde"}
    ends["a"][1] = 0.0

    def of(cause):
        return Moved((cause,), lambda inside: ends[cause][int(cause in inside)])

    both = Moved(("b", "c"), lambda inside: of("b").at(inside) ** 2 * of("c").at(inside))
    factors = [*(of(cause) for cause in ends), both]
    with jax.numpy_dtype_promotion("standard"):
        found = of_product(factors)
    exact = shapley(lambda inside: np.prod([one.at(inside & {*one.causes}) for one in factors], axis=0), tuple(ends))
    for cause, part in exact.items():
        np.testing.assert_allclose(found[cause], part, rtol=1e-4, atol=1e-5)


def test_two_runs_side_by_side_are_two_runs(usual):
    """`AgainstUsual` walks the states of both runs as each alone would."""
    model = with_places(static(), {"site": 1, "site_year": 1})
    changes = dry(usual)
    pair = AgainstUsual(model, tuple(changes), following(model, tuple(changes), lambda name, names: model.parameters(names, (name,))[name]))
    today = usual | changes | {f"usual_{name}": usual[name] for name in changes}
    at = [{name: values if values.ndim == 1 else values[day] for name, values in today.items()} for day in range(40)]
    parameters = model.parameters(usual)
    state = pair.start(at[0], parameters)
    alone = {name: model.start({**at[0], **changed(at[0], name)}, parameters) for name in ("", "usual_")}
    for names in at:
        state, diagnostics = pair.advance(state, names, parameters)
        alone = {name: model.advance(one, {**names, **changed(names, name)}, parameters)[0] for name, one in alone.items()}
    found = pair.exchange(state, {**names, **diagnostics}, parameters)
    for prefix, one in alone.items():
        for name, values in one.items():
            np.testing.assert_allclose(state[prefix + name], values, rtol=1e-6)
    np.testing.assert_allclose(found["water_missing"], alone["usual_"]["soil_water"] - alone[""]["soil_water"], rtol=1e-4, atol=1e-4)
    assert jax.tree.structure(pair.warm_up(state, names, parameters)) == jax.tree.structure(state)


def changed(names, prefix):
    """Drivers of one of the two runs."""
    return {name.removeprefix("usual_"): names[name] for name in names if name.startswith("usual_")} if prefix else {}


def test_every_cause_knows_its_inputs():
    named = [name for cause in CAUSES.values() for name in cause.inputs]
    assert len(named) == len(set(named)) and set(named) <= set(VARIABLES)


def test_two_causes_of_a_factor_multiply_it_by_the_mean_of_their_orders():
    """Square roots of ratios are the exponents of the Shapley value of the logarithm, and make the actual value of the usual one."""
    values = {frozenset(): 0.8, frozenset({"light"}): 0.5, frozenset({"greenness"}): 0.7, frozenset({"light", "greenness"}): 0.3}
    factor = Moved(("light", "greenness"), lambda inside: jnp.float32(values[inside]))
    ratios = factor.ratios()
    for cause, part in factor.log_parts().items():
        np.testing.assert_allclose(ratios[cause], np.exp(part), rtol=1e-6)
    np.testing.assert_allclose(ratios["light"] * ratios["greenness"] * factor.usual, factor.actual, rtol=1e-6)


def test_what_is_evaluated_first_stays_what_it_is():
    given = {"a": jnp.array([jnp.nan, 2.0]), "b": jnp.array([3.0, 4.0]), "c": jnp.array([jnp.nan, 5.0])}  # gaps at the first place too
    for name, values in jax.jit(evaluated)(given).items():
        np.testing.assert_array_equal(values, given[name])
