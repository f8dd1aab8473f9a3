"""Measured soil water as a term of the likelihood: what it tells of the bucket, and what it leaves alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from hybridflux.data.towers import open_towers
from hybridflux.evaluate import sbc
from hybridflux.evaluate.alive import effect_of_leaves
from hybridflux.inference import MAP, NUTS, Ensemble, LaplaceApproximation, Posterior
from hybridflux.inference.batch import batch, days, memory_is_known, names_of, series
from hybridflux.inference.joint import log_likelihood, predicted
from hybridflux.inference.mean_residuals import site_populations
from hybridflux.model import Fixed, Given, HybridFlux, Neural, Pooled, Sequences, Shared, observe
from hybridflux.model.learned import learned, physics_effects, pooled_effects, with_learned, with_places
from hybridflux.model.noise import Constant
from hybridflux.model.sources import to_value
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.model.structural_error import NAMES, StructuralError
from hybridflux.process import light, respiration, stress, water
from hybridflux.vocabulary import PARAMETERS

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]

CAPACITY, WILTING, FIELD, ERROR, DAYS = 260.0, 0.07, 0.36, 0.02, 730


def composed(*observed, **sources):
    """GPP and Reco do not feel the soil: NEE says nothing of its capacity."""
    return HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), memory=(water.BUCKET,), observed=observed or (observe.nee(),),
        sources={"root_zone_capacity": Shared(), "respiration_ref": Shared(), **sources},
    )  # fmt: skip


def both(**options):
    return composed(observe.nee(), observe.soil_water(wilting=Shared(), field=Shared(), **options))


@pytest.fixture(scope="module")
def sequences():
    """Two places with dry summers, `nee` and `swc` of a known soil, half of the days of `swc` missing."""
    rng = np.random.default_rng(0)
    shape = (DAYS, 2)
    season = np.sin(2 * np.pi * (np.arange(DAYS) - 100) / 365)[:, None] + np.zeros(shape)
    rain = np.where(rng.random(shape) < 0.3 - 0.2 * season, rng.exponential(8, shape), 0.0)
    drivers = {"tair": 12 + 9 * season, "par": 6 + 4 * season, "rain": rain, "fapar": 0.5 + 0.3 * season}
    drivers = {name: values.astype(np.float32) for name, values in drivers.items()} | {"plant_type": np.array([0, 3], np.int32)}
    truth = composed(observe.nee(), root_zone_capacity=Fixed(CAPACITY), respiration_ref=Fixed(2.5))
    fluxes = truth.fluxes({name: jnp.asarray(values) for name, values in drivers.items()})
    rew = np.asarray(fluxes["soil_water"]) / CAPACITY
    assert rew.min() < 0.15 and rew.max() == 1.0, "the soil is seen from dry to full"
    swc = WILTING + rew * (FIELD - WILTING) + ERROR * rng.normal(size=shape)
    swc[rng.random(shape) < 0.5] = np.nan
    targets = {"nee": np.asarray(fluxes["nee"]) + rng.laplace(scale=0.5, size=shape), "swc": swc}
    targets = {name: values.astype(np.float32) for name, values in targets.items()}
    return Sequences(("A", "B"), np.datetime64("2018-01-01") + np.arange(DAYS).astype("timedelta64[D]"), drivers, targets, {})


@pytest.fixture(scope="module")
def posterior(sequences):
    return LaplaceApproximation().fit(both(), sequences, seed=1)


def contraction(posterior):
    return 1 - float(np.var(np.asarray(learned(posterior.model)["sources.root_zone_capacity.z"])))


def test_soil_water_tells_the_capacity(sequences, posterior):
    alone = LaplaceApproximation().fit(composed(), sequences, seed=1)
    assert contraction(alone) < 0.15 and contraction(posterior) > 0.97
    draws = posterior.parameter_draws()
    soil = {"root_zone_capacity": CAPACITY, "swc_wilting.swc": WILTING, "swc_field.swc": FIELD, "noise_sd.swc": ERROR}
    for name, true in soil.items():
        low, high = np.quantile(draws[name], [0.001, 0.999])
        assert low < true < high and high - low < 0.25 * true, name
    assert abs(np.mean(learned(alone.model)["sources.root_zone_capacity.z"])) < 0.2


@pytest.mark.parametrize("method", [MAP(steps=400), Ensemble(members=4, steps=400), NUTS(warmup=60, draws=60, mode_steps=200)],
                         ids=lambda method: type(method).__name__)  # fmt: skip
@pytest.mark.filterwarnings("ignore::hybridflux.inference.methods.base.InferenceWarning")  # short runs
def test_every_method_finds_it(method, sequences, posterior):
    other = method.fit(both(), sequences, seed=2)
    found = other.parameter_draws()["root_zone_capacity"]
    assert np.mean(found) == pytest.approx(np.mean(posterior.parameter_draws()["root_zone_capacity"]), rel=0.05)
    assert other.info["observed_days"]["swc"] == np.isfinite(sequences.targets["swc"]).sum()


def test_saved_and_loaded_is_the_same(posterior, sequences, tmp_path):
    posterior.save(tmp_path / "p.nc")
    again = Posterior.load(tmp_path / "p.nc")
    assert all(np.array_equal(leaf, learned(again.model)[name]) for name, leaf in learned(posterior.model).items())
    predict = lambda one: one.simulate(sequences, key=jax.random.key(0), noise=True, variables=("nee", "swc"))  # noqa: E731
    before, after = predict(posterior), predict(again)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert posterior.observed["swc"].shape == (DAYS, 2)


@pytest.mark.parametrize("tail", [None, Fixed(4.0), Shared()], ids=["normal", "t", "learned t"])
def test_spec_round_trip(tail):
    model = composed(
        observe.nee(),
        observe.soil_water(Constant(observe.SENSOR_ERROR, tail=tail), wilting=Fixed(0.08), field=Pooled(Shared()), weight=0.1),
    )
    again = from_spec(to_spec(model))
    assert to_spec(again) == to_spec(model) and again.observed["swc"].weight == 0.1
    assert learned(again).keys() == learned(model).keys()


def test_predicted_soil_water_covers_what_was_measured(posterior, sequences):
    draws = np.asarray(posterior.simulate(sequences, key=jax.random.key(3), noise=True, variables=("swc",))["swc"])
    seen, observed = np.isfinite(sequences.targets["swc"]), sequences.targets["swc"]
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    assert np.mean((observed > low)[seen] & (observed < high)[seen]) == pytest.approx(0.9, abs=0.03)


def test_days_without_measurement_count_nothing(sequences):
    model = both()
    data = series(model, sequences)
    full = float(log_likelihood(model, data))
    wild = data._replace(targets={name: jnp.where(data.measured[name], values, 1e3) for name, values in data.targets.items()})
    assert float(log_likelihood(model, wild)) == full
    empty = replace(sequences, targets=sequences.targets | {"swc": np.full_like(sequences.targets["swc"], np.nan)})
    slope = jax.grad(lambda leaves: log_likelihood(with_learned(model, leaves), series(model, empty)))(learned(model))
    assert all(float(slope[name]) == 0 for name in slope if name.startswith("observed.swc") or "capacity" in name)
    without = float(log_likelihood(composed(), series(composed(), sequences)))
    assert float(log_likelihood(model, series(model, empty))) == pytest.approx(without, rel=1e-6)


def test_weight_is_a_power(sequences):
    one, half = (float(log_likelihood(both(weight=weight), series(both(weight=weight), sequences))) for weight in (1.0, 0.5))
    fluxes = float(log_likelihood(composed(), series(composed(), sequences)))
    assert half - fluxes == pytest.approx(0.5 * (one - fluxes), rel=1e-3)


def test_gaussian_and_heavy_tails():
    noise, heavy = (Constant(observe.SENSOR_ERROR, sd=Fixed(0.03), tail=tail) for tail in (None, Fixed(5.0)))
    zero, far = jnp.zeros(()), jnp.asarray(0.3)
    assert float(noise.log_density(zero, zero, zero)) == pytest.approx(-np.log(0.03 * np.sqrt(2 * np.pi)), rel=1e-5)
    assert float(noise.log_density(far, zero, zero) - noise.log_density(zero, zero, zero)) == pytest.approx(-50.0, rel=1e-4)
    assert float(heavy.log_density(far, zero, zero)) > float(noise.log_density(far, zero, zero)) + 30
    spread = np.std(noise.sample(jax.random.key(0), jnp.zeros(20_000), jnp.zeros(()) + 0.04))
    assert spread == pytest.approx(0.05, rel=0.03), "a known error adds to the own"


def test_days_and_series_have_one_likelihood(sequences):
    """With a bucket that is not learned single days are fitted, those of soil water among them."""
    model = composed(observe.nee(), observe.soil_water(), root_zone_capacity=Fixed(200.0))
    assert memory_is_known(model)
    one, other = (float(log_likelihood(model, data)) for data in (days(model, sequences), series(model, sequences)))
    assert one == pytest.approx(other, rel=1e-4)


def test_effects_of_places(sequences):
    """Soils differ from sensor to sensor: pooled ends of the line have rows of their own, in none of the tables of the physics."""
    model = composed(observe.nee(), observe.soil_water(wilting=Pooled(Shared())), respiration_ref=Pooled(Shared()))
    table = "observed.swc.sources.swc_wilting.z.effect"
    assert table in pooled_effects(model) and table not in physics_effects(model)
    assert table not in {one.effect for one in site_populations(model)}
    model = with_places(model, {"site": 2})
    moved = with_learned(model, {table: jnp.asarray([1.0, -1.0])})
    flat, tilted = (predicted(one, series(one, sequences))["swc"] for one in (model, moved))
    assert (tilted > flat)[:, 0].mean() > 0.9 and (tilted < flat)[:, 1].mean() > 0.9
    posterior = MAP(steps=60).fit(model, sequences, seed=0)
    other = posterior.simulate(replace(sequences, places=("A", "C")), key=jax.random.key(0), variables=("swc",))["swc"]
    assert np.isfinite(other).all()


def test_a_structural_error_is_of_fluxes(posterior, sequences):
    """`predict` adds it to fluxes; soil water keeps the error of its sensor."""
    error = StructuralError({name: jnp.zeros(3) + 3.0 for name in NAMES})
    predict = lambda one: one.simulate(sequences, key=jax.random.key(0), noise=True, variables=("swc",))["swc"]  # noqa: E731
    np.testing.assert_array_equal(predict(posterior), predict(replace(posterior, structure=error)))


def test_truths_can_be_simulated(sequences):
    """What simulation-based calibration needs: targets of drawn truths, and quantities to rank, soil water among them."""
    model = with_places(composed(observe.nee(), observe.soil_water()), {})
    data = batch(model, sequences)
    truth = sbc.truths(model, 2, jax.random.key(0))
    simulated = sbc.simulate(model, data, truth, jax.random.key(1))
    true = sbc.at_truth(model, simulated, truth)
    assert simulated.targets["swc"].shape == (2, *data.targets["swc"].shape) and {"swc_field.swc", "noise_sd.swc", "mean swc"} <= set(true)
    assert all(np.isfinite(values).all() for values in true.values())


def test_leaves_are_alive(sequences):
    model = with_places(both(), {})
    effects = effect_of_leaves(model, {name: jnp.asarray(values) for name, values in names_of(model, sequences).items()})
    assert all(effects[f"observed.swc.{name}.z"] > 0.1 for name in ("sources.swc_wilting", "sources.swc_field", "error.sources.noise_sd"))


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={},
                            observed=(observe.soil_water(),)), "add water.BUCKET"),
        (lambda: HybridFlux(gpp=(light.absorbed, stress.water_ramp), reco=(respiration.basal,), memory=(water.OBSERVED,), sources={},
                            observed=(observe.soil_water(),)), "take water.BUCKET"),
        (lambda: composed(observe.nee(), observe.nee()), "observed twice: nee, nee"),
        (lambda: observe.soil_water(field=Neural("tair_30d")), "`swc_field` cannot be learned from tair_30d"),
    ],
)  # fmt: skip
def test_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_what_its_sources_read_is_asked_for(sequences):
    model = composed(observe.soil_water(field=Given("soil_capacity")))
    assert {"plant_type", "soil_capacity"} <= set(model.needs_at_towers()) and "soil_capacity" not in model.needs()
    with pytest.raises(ValueError, match="needs soil_capacity"):
        series(model, sequences)
    assert "swc" not in model.fluxes({name: jnp.asarray(values) for name, values in sequences.drivers.items()})


def test_prior_of_the_line_is_that_of_the_vocabulary():
    operator = observe.soil_water(wilting=Shared(), field=Shared())
    dry, full = (float(operator.expected({"rew": jnp.asarray(rew)})) for rew in (0.0, 1.0))
    assert dry == pytest.approx(PARAMETERS["swc_wilting"].typical, rel=1e-5) and full == pytest.approx(0.30, rel=1e-5)
    crossed = with_learned(operator, {"sources.swc_wilting.z": jnp.asarray(9.0), "sources.swc_field.z": jnp.asarray(-9.0)})
    dry, full = (float(crossed.expected({"rew": jnp.asarray(rew)})) for rew in (0.0, 1.0))
    assert full - dry == pytest.approx(water.NARROWEST, rel=1e-3), "more water never reads as less"
    assert dry == pytest.approx(float(to_value(to_raw_of("swc_wilting") + 0.8 * 9.0, PARAMETERS["swc_wilting"])), rel=1e-4)


def to_raw_of(name):
    row = PARAMETERS[name]
    share = (row.typical - row.lower) / (row.upper - row.lower)
    return np.log(share / (1 - share))


@pytest.fixture(scope="module")
def toulouse(shared, tmp_path_factory):
    """FR-Tou, grass near Toulouse, 2018 to 2020; no satellite series of it is at hand, a constant fapar stands in."""
    folder, real = tmp_path_factory.mktemp("towers"), shared / "data" / "towers"
    sites = pd.read_csv(real / "sites.csv")
    sites[sites["site_id"] == "FR-Tou"].to_csv(folder / "sites.csv", index=False)
    for part in ("fluxnet_dd", "satellite"):
        (folder / part).mkdir()
    [file] = (real / "fluxnet_dd").glob("FLX_FR-Tou_*")
    (folder / "fluxnet_dd" / file.name).symlink_to(file)
    days = pd.date_range("2018-01-01", "2020-12-31", freq="8D")
    pd.DataFrame({"site_id": "FR-Tou", "date": days, "fapar": 0.5}).to_csv(folder / "satellite" / "declared.csv", index=False)
    return open_towers(folder)


def test_a_real_tower(toulouse):
    """The course of measured soil water is that of the bucket, once the line of the sensor is learned."""
    model = HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.water_ramp), reco=(respiration.lin_gpp, respiration.lloyd_taylor),
        memory=(water.BUCKET,), sources={name: Shared() for name in ("light_use_efficiency", "respiration_ref", "root_zone_capacity")},
        observed=(observe.nee(weight=0.1), observe.soil_water(weight=0.05)),
    )  # fmt: skip
    found = toulouse.sequences(model.needs_at_towers())
    posterior = MAP(steps=400).fit(model, found, seed=0)
    assert posterior.info["observed_days"]["swc"] > 1000
    seen = np.isfinite(found.targets["swc"][:, 0])
    swc = np.asarray(posterior.simulate(found, key=jax.random.key(0), variables=("swc",))["swc"])[0, seen, 0]
    r, rmse = np.corrcoef(swc, found.targets["swc"][seen, 0])[0, 1], np.sqrt(np.mean((swc - found.targets["swc"][seen, 0]) ** 2))
    assert r > 0.7 and rmse < 0.06
