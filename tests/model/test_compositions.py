"""The composition on reflectance: the physics of `hybrid` with other light, and what it needs of towers and regions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model.compositions import get
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.process import light, vegetation, water
from hybridflux.process.call import arguments
from hybridflux.vocabulary import VARIABLES

RNG = np.random.default_rng(0)


def test_gpp_of_hybrid_signed_never_gains_from_drought():
    """Twenty models with random parameters on days far outside any climate; `hybrid_water` goes the wrong way on some."""
    signs = {"vpd": -1.0, "lswi": 1.0, "lswi_30d": 1.0}
    bounds = {one: VARIABLES[one].bounds for one in ("tair", "par", "vpd", "lswi")}
    bounds |= {"nirv": (0.0, 0.4), "nirv_30d": (0.0, 0.4), "lswi_30d": (-0.5, 0.8), "nirv_top": (0.3, 0.3), "nirv_base": (0.1, 0.1)}
    day = {one: RNG.uniform(*of, 50).astype(np.float32) for one, of in bounds.items()}
    day |= {"par_potential": day["par"], "tair_lagged": day["tair"], "plant_type": RNG.integers(0, 12, 50), "site": np.array(-1)}
    worst = {}
    for of in ("hybrid_signed", "hybrid_water"):
        model = get(of)

        asked = {name for factor in model.gpp for name in arguments(factor)}
        drawn = {name: RNG.normal(size=(20, *leaf.shape)).astype(np.float32) for name, leaf in learned(model).items()}

        def gained(leaves, model=model, asked=asked):
            one = with_learned(model, leaves)
            gpp = lambda there: one.flux("gpp", {**there, **one.parameters(there, asked), "rew": np.float32(1.0)})  # noqa: E731
            base = gpp(day)
            wetter = [sign * (gpp(day | {name: day[name] + np.float32(0.3)}) - base) for name, sign in signs.items()]
            return jnp.min(jnp.stack(wetter) / jnp.maximum(base, 1e-3))

        worst[of] = float(jnp.min(jax.jit(jax.vmap(gained))(drawn)))
    assert worst["hybrid_signed"] > -1e-4 > -1e-2 > worst["hybrid_water"]


def test_light_from_nirv_is_that_of_fapar_in_its_units():
    """Where NIRv over NIRV_FULL is fapar, every green factor is that of fapar; bright canopies evaporate no more than a closed one."""
    nirv, par = RNG.uniform(0.0, vegetation.NIRV_FULL, 50), RNG.uniform(0.0, 14.0, 50)
    fapar = nirv / vegetation.NIRV_FULL
    day = {"par": par, "light_use_efficiency": 2.0}
    np.testing.assert_allclose(light.absorbed_green(nirv=nirv, **day), light.absorbed(fapar=fapar, **day), rtol=1e-6)
    bright = {"par": par, "light_saturation": 0.1}
    np.testing.assert_allclose(light.saturation_green(nirv=nirv, **bright), light.saturation(fapar=fapar, **bright), rtol=1e-6)
    soil = {"soil_water": 80.0, "snow": 0.0, "tair": 18.0, "par": 9.0, "rain": 1.0, "root_zone_capacity": 100.0, "evaporation_scalar": 0.65}
    soil |= {"bare_evaporation": 0.25, "rew_evaporation": 0.4, "drainage_rate": 0.02, "snow_melt": 3.0}
    for green, cover in ((0.1, 0.1 / vegetation.NIRV_FULL), (0.45, 1.0), (-0.05, 0.0)):
        wet, dry = water.bucket_green(nirv=green, **soil), water.bucket(fapar=cover, **soil)
        assert {name: float(value) for name, value in wet.items()} == pytest.approx({name: float(value) for name, value in dry.items()})


def test_the_composition_reads_reflectance_and_no_fapar():
    model = get("hybrid_nirv")
    assert {"nirv", "lswi", "nirv_base", "nirv_top"} <= set(model.needs())
    assert not [name for name in (*model.needs(), *model.needs_at_towers()) if name.startswith("fapar")]
    assert to_spec(from_spec(to_spec(model))) == to_spec(model)


def test_leaf_and_soil_water_and_warmth_move_its_fluxes():
    """Each new driver acts: a canopy without green fixes nothing, acclimation lags the day by two weeks, LSWI reaches the networks."""
    model, days = get("hybrid_nirv"), 60
    names = {name: np.full((days, 1), value) for name, value in {"tair": 2.0, "tmin": -2.0, "par": 8.0, "vpd": 5.0, "rain": 2.0}.items()}
    names |= {"par_potential": np.full((days, 1), 12.0), "nirv": np.full((days, 1), 0.2), "lswi": np.full((days, 1), 0.2)}
    names |= {"nirv_base": np.full(1, 0.1), "nirv_top": np.full(1, 0.3), "plant_type": np.zeros(1, int), "site": np.full(1, -1)}
    fluxes = jax.jit(lambda given: model.fluxes(given))
    bare = fluxes({**names, "nirv": np.zeros((days, 1))})
    assert np.all(np.asarray(bare["gpp"]) == 0) and np.all(np.asarray(bare["reco"]) > 0)
    warm = {**names, "tair": np.where(np.arange(days) < 20, 2.0, 16.0)[:, None]}
    lagged = np.asarray(fluxes(warm)["tair_lagged"])[:, 0]
    assert np.asarray(fluxes(names)["tair_lagged"])[-1, 0] == pytest.approx(2.0, abs=1e-4)
    left = (16.0 - lagged[20:]) / (16.0 - lagged[19])
    assert np.interp(np.exp(-1), left[::-1], np.arange(1, 41)[::-1]) == pytest.approx(14.0, abs=0.5)
    assert np.abs(fluxes({**names, "lswi": np.full((days, 1), -0.2)})["gpp"] - fluxes(names)["gpp"]).max() > 1e-4
