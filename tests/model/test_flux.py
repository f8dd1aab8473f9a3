"""The composed model: identities, limits, day by day equals whole series, gradients, spec."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model import Fixed, HybridFlux, Laplace, Neural, PerClass, Pooled, Shared, StudentT, observe
from hybridflux.model.compositions import MODELS, get
from hybridflux.model.learned import learned, over_draws, parameters_over_draws, pooled_effects, with_learned, with_places
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.process import light, respiration, stress, water

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def model():
    return with_places(get("static"), {"site": 3})


def test_nee_is_reco_minus_gpp_and_day_and_night_add_up(drivers):
    fluxes = with_places(get("hybrid"), {"site": 3}).fluxes({"fapar_top": 0.8, "fapar_base": 0.2, "par_potential": 20.0, **drivers})
    np.testing.assert_allclose(fluxes["nee"], fluxes["reco"] - fluxes["gpp"], atol=1e-6)
    up = drivers["day_fraction"]
    np.testing.assert_allclose(up * fluxes["nee_day"] + (1 - up) * fluxes["nee_night"], fluxes["nee"], atol=1e-4)
    assert np.all(fluxes["gpp"] >= 0) and np.all(fluxes["reco"] > 0)


def test_dark_days_have_no_gpp(model, drivers):
    assert np.all(model.fluxes({**drivers, "par": np.zeros_like(drivers["par"])})["gpp"] == 0)


def test_day_by_day_equals_whole_series(model, drivers):
    whole = model.fluxes(drivers)
    parameters = model.parameters(drivers)
    state = {name: values[-1] for name, values in model.states({n: v[:365] if v.ndim == 2 else v for n, v in drivers.items()}).items()}
    for day in range(40):
        today = {name: values[day] if values.ndim == 2 else values for name, values in drivers.items()}
        state, _ = model.advance(state, today, parameters)
        np.testing.assert_allclose(model.exchange(state, today, parameters)["nee"], whole["nee"][day], rtol=2e-4, atol=2e-5)


def test_one_place_alone_equals_the_same_place_among_others(model, drivers):
    alone = model.fluxes({name: values[..., 1:2] for name, values in drivers.items()})
    np.testing.assert_allclose(alone["nee"], model.fluxes(drivers)["nee"][:, 1:2], rtol=1e-5, atol=1e-6)


def test_every_learned_number_that_acts_has_a_gradient(model, drivers):
    slope = jax.grad(lambda leaves: jnp.sum(with_learned(model, leaves).fluxes(drivers)["nee"] ** 2))(
        jax.tree.map(lambda leaf: leaf + 0.1, learned(model))
    )
    for name, values in slope.items():
        assert np.all(np.isfinite(values)), name
        if name.startswith("sources."):
            assert np.any(values != 0), f"{name} changes nothing"


def test_gradient_against_finite_differences_through_the_bucket(drivers):
    model = HybridFlux(
        gpp=(light.absorbed, stress.water_ramp),
        reco=(respiration.basal, respiration.q10_response),
        memory=(water.BUCKET,),
        sources={"root_zone_capacity": Shared(), "rew_critical": Shared(), "q10": Shared()},
    )
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # values of the vocabulary are float32
        days = {name: np.asarray(v[:200], float) if v.ndim == 2 else v for name, v in drivers.items()}
        leaves = {name: jnp.full(leaf.shape, 0.3, jnp.float64) for name, leaf in learned(model).items()}
        total = lambda values: jnp.mean(with_learned(model, values).fluxes(days)["nee"])  # noqa: E731
        slope = jax.grad(total)(leaves)
        for name in slope:
            if not name.startswith("sources."):
                continue
            up, down = ({**leaves, name: leaves[name] + step} for step in (1e-5, -1e-5))
            assert float(slope[name]) == pytest.approx(float(total(up) - total(down)) / 2e-5, rel=1e-4, abs=1e-9), name


def test_observed_soil_water_replaces_the_bucket(drivers):
    model = HybridFlux(gpp=(light.absorbed, stress.water_ramp), reco=(respiration.basal,), memory=(water.OBSERVED,), sources={})
    wet, dry = (model.fluxes({**drivers, "swc": np.full_like(drivers["swc"], swc)})["gpp"] for swc in (0.35, 0.105))
    assert np.all(dry <= wet) and dry.sum() < 0.3 * wet.sum()
    assert "rain" not in model.needs() and "swc" in model.needs()


def test_daily_parameters_enter_the_memory(drivers):
    model = HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), memory=(water.BUCKET,), sources={"evaporation_scalar": Neural("tair_30d")}
    )
    moved = with_learned(model, {name: leaf + 1.0 for name, leaf in learned(model).items() if "evaporation" in name})
    assert not np.allclose(model.fluxes(drivers)["soil_water"], moved.fluxes(drivers)["soil_water"])


def test_sources_for_nothing_and_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="no factor of this model uses `q10`"):
        HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={"q10": Shared()})
    with pytest.raises(ValueError, match="neither a variable nor a parameter.*Did you mean `vpd`"):
        HybridFlux(gpp=(lambda *, vpdd: vpdd,), reco=(respiration.basal,), sources={})


@pytest.mark.parametrize("name", MODELS)
def test_spec_round_trip(name):
    spec = to_spec(get(name))
    assert to_spec(from_spec(json.loads(json.dumps(spec)))) == spec


def test_spec_keeps_noise_and_fixed_values(drivers):
    model = HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal,),
        sources={"light_use_efficiency": Fixed([1.0, 2.0, 3.0]), "respiration_ref": Pooled(PerClass(), spread=0.7)},
        observed=(observe.nee(StudentT(tail=Shared()), weight=0.3), observe.nee_night(Laplace(slope=Fixed(0.1)))),
    )
    again = from_spec(to_spec(model))
    np.testing.assert_allclose(again.fluxes(drivers)["gpp"], model.fluxes(drivers)["gpp"])
    assert again.observed["nee"].weight == 0.3 and again.sources["respiration_ref"].spread == 0.7
    assert learned(again).keys() == learned(model).keys()


def test_spec_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version"):
        from_spec({**to_spec(get("static")), "version": 99})


def test_draws_are_models(model, drivers):
    key = jax.random.key(1)
    stack = with_learned(
        model, {n: 0.3 * jax.random.normal(jax.random.fold_in(key, i), (4, *v.shape)) for i, (n, v) in enumerate(learned(model).items())}
    )
    together = over_draws(stack, lambda one: one.fluxes(drivers)["nee"])
    third = with_learned(model, {name: leaf[2] for name, leaf in learned(stack).items()})
    np.testing.assert_allclose(together[2], third.fluxes(drivers)["nee"], rtol=1e-4, atol=1e-5)
    values = parameters_over_draws(stack, drivers)
    assert values["light_use_efficiency"].shape == (4, 3) and values["vpd_sensitivity"].shape == (4, 1) and values["snow_melt"].shape == ()


def test_effects_are_found_through_nesting():
    model = HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal,),
        sources={"light_use_efficiency": Pooled(Pooled(Shared()), by="site_year", spread=0.1)},
    )
    found = pooled_effects(model)
    assert found == {
        "sources.light_use_efficiency.z.effect": "site_year",
        "sources.light_use_efficiency.source.z.effect": "site",
    }
    sized = learned(with_places(model, {"site": 4, "site_year": 12}))
    assert {sized[path].shape[0] for path in found} == {4, 12}


def test_unknown_model_names_a_near_one():
    with pytest.raises(ValueError, match="Did you mean `static`"):
        get("statik")


@pytest.mark.parametrize("name", ["light.jnp", "light.__builtins__", "water.Memory", "stress.__loader__", "os.system", "light"])
def test_a_specification_names_physics_and_nothing_else(name):
    """A spec is read from files of others: what it names is run on arrays, so only functions of `process/` may be named."""
    spec = to_spec(get("static"))
    with pytest.raises(ValueError, match="asks for the process"):
        from_spec(spec | {"gpp": [name]})
