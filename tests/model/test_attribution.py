"""Changes against the usual year: they add up, follow the driver that was switched, and are near the full Shapley sum."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.causes import CAUSES, change_name
from hybridflux.model.attribution import AgainstUsual, moving, shapley, split
from hybridflux.model.compositions import static
from hybridflux.model.learned import with_places
from hybridflux.model.rollout import states
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

FEW = 6  # pixels
WALK = eqx.filter_jit(lambda model, drivers: states(model, drivers, model.parameters(drivers)))
YEAR, SEASON = 365, slice(365 + 151, 365 + 243)


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


def ledger(model, usual, changes, how=split):
    """Changes of the season by cause `[day, place]`, and the fluxes of both runs there."""
    actual = usual | changes
    daily = {name: (usual[name][SEASON], actual[name][SEASON]) for name in changes}
    runs = [WALK(model, drivers) for drivers in (usual, actual)]
    of_state = {name: tuple(run[name][SEASON] for run in runs) for name in ("soil_water", "snow")}
    before, after = ({name: pair[side] for name, pair in (daily | of_state).items()} for side in (0, 1))
    fixed = {name: values if values.ndim == 1 else values[SEASON] for name, values in usual.items() if name not in before}

    def fluxes(point):
        names = {**fixed, **point}
        return model.exchange({name: point[name] for name in of_state}, names, model.parameters(names))

    return jax.jit(lambda: (how(fluxes, before, after), fluxes(before), fluxes(after)))()


def dry(usual, **factors):
    """Drivers of a summer of drought."""
    days = np.zeros((2 * YEAR, 1), np.float32)
    days[365 + 90 : 365 + 243] = 1.0
    found = {"rain": usual["rain"] * (1 - 0.7 * days), "vpd": usual["vpd"] * (1 + 0.5 * days), "tair": usual["tair"] + 3 * days,
             "par": usual["par"] * (1 + 0.1 * days), "fapar": usual["fapar"] * (1 - 0.15 * days)}  # fmt: skip
    return {name: found[name] for name in factors or found}


def test_changes_by_cause_add_up_and_are_near_the_full_shapley_sum(usual):
    """Both share out what causes do together, each in its way, so they are near and not equal; the loss is half of GPP here."""
    model = with_places(static(), {"site": 1, "site_year": 1})
    (parts, full), before, after = ledger(model, usual, dry(usual), lambda *path: (split(*path), shapley(*path)))
    for flux in ("gpp", "reco"):
        for found in (parts, full):
            whole = np.sum([found[change_name(flux, cause)] for cause in CAUSES], axis=0)
            np.testing.assert_allclose(whole, after[flux] - before[flux], atol=2e-5)
    loss = -float(np.sum(after["gpp"] - before["gpp"]))
    assert loss > 0.3 * float(np.sum(before["gpp"])) and abs(float(np.sum(parts["gpp_by_rest"]))) < 1e-3 * loss
    for cause in CAUSES:
        name = change_name("gpp", cause)
        assert abs(float(np.sum(parts[name]) - np.sum(full[name]))) < 0.02 * loss, cause


def test_parameters_follow_the_path():
    """A parameter that a network makes of VPD changes with it along the path, and the change is that of VPD."""
    row = {"fapar": jnp.float32(0.7), "par": jnp.float32(9.0)}

    def fluxes(point):
        efficiency = 2.0 * jnp.exp(-0.1 * point["vpd"])  # as a network would
        gpp = efficiency * row["fapar"] * row["par"] * jnp.clip(point["soil_water"] / 100, 0.0, 1.0)
        return {"gpp": gpp, "reco": 0.3 * gpp}

    ends = [{"vpd": jnp.float32(vpd), "soil_water": jnp.float32(water)} for vpd, water in ((8.0, 90.0), (20.0, 30.0))]
    parts, share = split(fluxes, *ends), np.linspace(0, 1, 20001)
    path = {name: ends[0][name] + share * (ends[1][name] - ends[0][name]) for name in ends[0]}
    gpp = 2.0 * np.exp(-0.1 * path["vpd"]) * 6.3 * path["soil_water"] / 100
    exact = {"vpd": np.trapezoid(-0.1 * gpp * 12.0, share), "soil_water": np.trapezoid(gpp / path["soil_water"] * -60.0, share)}
    for cause in ("vpd", "soil_water"):
        np.testing.assert_allclose(parts[f"gpp_by_{cause}"], exact[cause], rtol=1e-4)
        np.testing.assert_allclose(parts[f"reco_by_{cause}"], 0.3 * parts[f"gpp_by_{cause}"], rtol=1e-5)


@pytest.mark.parametrize(("driver", "cause"), [("rain", "soil_water"), ("vpd", "vpd"), ("fapar", "greenness")])
def test_a_driver_switched_alone_has_its_loss(usual, driver, cause):
    """Less rain acts through soil water alone; drivers that move the water too leave it a tenth at most."""
    model = with_places(static(), {"site": 1, "site_year": 1})
    parts, before, after = ledger(model, usual, dry(usual, **{driver: 1}))
    change = float(np.sum(after["gpp"] - before["gpp"]))
    assert float(np.sum(parts[change_name("gpp", cause)])) / change > 0.9


def test_two_runs_side_by_side_are_two_runs(usual):
    """`AgainstUsual` walks the states of both runs as each alone would."""
    model = with_places(static(), {"site": 1, "site_year": 1})
    changes = dry(usual)
    pair = AgainstUsual(model, tuple(changes), lambda names: model.parameters(names, moving(model, tuple(changes))))
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
