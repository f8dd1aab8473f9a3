"""Few towers: the prior of the structural error and of population spreads holds until the towers say more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference import MAP
from hybridflux.inference.batch import Indices, batch
from hybridflux.inference.fit_structural_error import learn
from hybridflux.inference.mean_residuals import departures_at_centre
from hybridflux.inference.methods.adam import settle_populations
from hybridflux.model import Fixed, HybridFlux, PerClass, Pooled, Sequences, Shared, StudentT, observe
from hybridflux.model.learned import learned, over_draws, with_learned, with_places
from hybridflux.model.sources import to_raw
from hybridflux.model.structural_error import NAMES, PRIOR_TOWERS, StructuralError, growth, prior_of
from hybridflux.process import light, respiration
from hybridflux.vocabulary import PARAMETERS
from tests.inference.conftest import SD, dark_series

pytestmark = pytest.mark.long

TOWERS, DAYS = 9, 500


@pytest.fixture(scope="module")
def bright_model():
    """Reco and GPP are one number each: their mean, which the error grows with, is the same on all days."""
    return HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,),
        sources={"respiration_ref": Pooled(Shared(), spread=0.1), "light_use_efficiency": Shared()},
        observed=(observe.nee(StudentT(floor=Fixed(SD), slope=Fixed(1e-3), tail=Fixed(39.0))),),
    )  # fmt: skip


def towers_of_error(model, size, seed=0, towers=TOWERS):
    """Towers whose NEE is that of the model at its prior medians + `size` times the structural error of the prior."""
    rng, day = np.random.default_rng(seed), np.ones((DAYS, towers), np.float32)
    when = np.datetime64("2019-01-01") + np.arange(DAYS).astype("timedelta64[D]")
    drivers = {"par": 8.0 * day, "fapar": 0.3 * day, "tair": 10.0 * day, "plant_type": np.zeros(towers, np.int32)}
    blank = Sequences(tuple(f"P{at}" for at in range(towers)), when, drivers, {"nee": day}, {})
    flux = with_places(model, Indices.of(blank).sizes())
    flux = with_learned(flux, jax.tree.map(jnp.zeros_like, learned(flux))).fluxes({**drivers, **Indices.of(blank).lookup(blank)})
    nee, activity = (jnp.broadcast_to(flux[name], day.shape) for name in ("nee", "gpp"))
    raw = dict(zip(NAMES, jnp.asarray(prior_of(towers)[0], jnp.float32), strict=True))
    error = StructuralError(raw).sample(jax.random.key(seed), nee, activity, jnp.zeros(())) - nee
    noise = SD * rng.normal(size=day.shape)
    return Sequences(blank.places, when, drivers, {"nee": np.asarray(nee + size * error + noise, np.float32)}, {})


def drift_sd(error, activity=2.0):
    """Root mean square over draws of the error of a month, gC m-2 d-1."""
    numbers = [jnp.float32(value) for value in (activity, 1.0, 1.0, 0.0, 30.0, 30.0)]
    return float(np.sqrt(np.mean(error.variance_of_mean(*numbers))))


def at_prior(model, sequences, draws=4):
    """The model with draws that all stand at the prior medians."""
    whole = with_places(model, Indices.of(sequences).sizes())
    return with_learned(whole, {name: jnp.zeros((draws, *leaf.shape)) for name, leaf in learned(whole).items()})


@pytest.mark.parametrize("size", [0.0, 1.0], ids=["right model", "error of the prior"])
def test_fewer_towers_never_give_a_smaller_structural_error(bright_model, size):
    everyone = towers_of_error(bright_model, size)
    found = []
    for count in (1, 3, 5, 9):
        some = everyone.select(everyone.places[:count])
        away = np.arange(count)[None, :] % 4 == np.arange(4)[:, None] if count >= 5 else None
        found.append(drift_sd(learn(at_prior(bright_model, some), some, away, seed=0).error))
    assert np.all(np.diff(found) <= 0.0), found
    assert found[0] > 1.3 * found[-1]


def test_the_interval_of_an_unseen_place_does_not_shrink_as_towers_are_removed(pooled_model):
    """From fit to prediction: 90 % of a month at one place that no fit has seen; the towers differ, their middle is the same."""
    series = dark_series(2.3 * np.exp(0.3 * np.array([0, 1, -1, 1, -1, 1, -1, 1, -1])), seed=1, days=300)
    new = dark_series([2.3], days=30)
    new = Sequences(("new",), new.days, new.drivers, new.targets, {})
    widths = []
    for count in (1, 3, 9):
        posterior = MAP(steps=60).fit(pooled_model, series.select(series.places[:count]), seed=0).thin(4000)
        month = np.asarray(posterior.simulate(new, key=jax.random.key(1), noise=True)["nee"])[:, :, 0].mean(axis=1)
        widths.append(float(np.diff(np.quantile(month, [0.05, 0.95]))[0]))
    assert np.all(np.diff(widths) < 0.03 * widths[0]), widths


def test_one_tower_leaves_the_prior(pooled_model, pooled_series):
    posterior = MAP(steps=60).fit(pooled_model, pooled_series.select(["P0"]), seed=0)
    found = posterior.info["structural_error"]
    assert (found["prior_towers"], found["data_towers"], found["residuals"]) == (PRIOR_TOWERS, 0.0, "none: the prior alone")
    for name in ("structural_floor", "structural_slope", "structural_year", "structural_place"):
        assert found["prior"][name] == pytest.approx(growth(1) * PARAMETERS[name].typical, rel=1e-3)
        assert found["quantiles"][name][0] == pytest.approx(found["prior"][name], rel=0.03)
    assert found["prior"]["structural_days"] == pytest.approx(71.0, rel=1e-3)


def test_nine_towers_of_a_right_model_say_less_than_the_prior(bright_model):
    """Each was left out, none is wrong for weeks: the error of a month falls below its prior, which still counts as ten towers."""
    nine = towers_of_error(bright_model, 0.0)
    found = learn(at_prior(bright_model, nine, draws=9), nine, np.eye(9, dtype=bool), seed=0)
    prior = StructuralError(dict(zip(NAMES, jnp.asarray(prior_of(9)[0], jnp.float32), strict=True)))
    assert 0.5 < drift_sd(found.error) / drift_sd(prior) < 0.9
    assert found.summary["data_towers"] == 9.0 and found.summary["inside_50_90"]["30 d"][1] > 0.9
    numbers, flux = found.error.values(), float(np.abs(np.nanmean(nine.targets["nee"])))
    of_day = np.median(np.asarray(numbers["noise_floor"] + flux * numbers["noise_slope"]))
    assert of_day == pytest.approx(SD, rel=0.15)  # of successive days; the prior has .83


def test_the_spread_of_draws_is_counted_once(bright_model):
    """The residual of a draw holds its departure from the mean of the draws, and a prediction has those of all draws beside its error: what
    draws that differ leave to the structural error is what towers depart from their mean by, the same as of draws that agree."""
    many, away = towers_of_error(bright_model, 1.0, seed=2, towers=18), np.tile(np.eye(6, dtype=bool), 3)
    alike = at_prior(bright_model, many, draws=6)
    level = jnp.linspace(-1.0, 1.0, 6, dtype=jnp.float32)
    differing = with_learned(alike, {"sources.light_use_efficiency.z": level})
    nee = np.asarray(over_draws(differing, lambda one: one.fluxes({**many.drivers, **Indices.of(many).lookup(many)})["nee"]))
    apart = departures_at_centre(differing, many)
    np.testing.assert_allclose((apart**2).sum(axis=0)[0], np.broadcast_to(nee.reshape(6, -1)[:, :1].var(axis=0, ddof=1), 18), rtol=1e-4)
    assert len(departures_at_centre(at_prior(bright_model, many, draws=1), many)) == 0
    of_alike, of_differing = (drift_sd(learn(model, many, away, seed=0).error) for model in (alike, differing))
    assert of_differing == pytest.approx(of_alike, rel=0.1)
    without = drift_sd(learn(differing, many, away, seed=0, predicted=alike).error)  # of draws that predictions do not have
    assert without > 1.2 * of_alike


def test_towers_a_draw_was_fitted_to_count_less_where_it_knows_their_types(pooled_model):
    """Three towers of three plant types: a model with values per type passes through all of them and learns nothing of its error."""
    series = dark_series([1.0, 2.0, 4.0], days=500)
    series = Sequences(series.places, series.days, {**series.drivers, "plant_type": np.array([0, 3, 9], np.int32)}, series.targets, {})
    by_type = HybridFlux(
        gpp=pooled_model.gpp,
        reco=pooled_model.reco,
        sources={"respiration_ref": Pooled(PerClass())},
        observed=pooled_model.observed.values(),
    )
    assert learn(at_prior(by_type, series), series, None, seed=0).summary["data_towers"] == 0.0
    assert learn(at_prior(pooled_model, series), series, None, seed=0).summary["data_towers"] == 2.0


def test_a_tower_of_a_month_counts_as_part_of_one(pooled_model):
    """Thirty wild days at one of six towers do not set the error of all."""
    calm = dark_series([2.3] * 6, seed=4, days=730)
    wild = calm.targets["nee"].copy()
    wild[:, 5] = np.nan
    wild[:30, 5] = 9.0
    sizes = []
    for nee in (calm.targets["nee"], wild):
        some = Sequences(calm.places, calm.days, calm.drivers, {"nee": nee}, {})
        sizes.append(drift_sd(learn(at_prior(pooled_model, some, draws=6), some, np.eye(6, dtype=bool), seed=0).error))
    assert sizes[1] < 1.25 * sizes[0]


def test_the_width_of_the_prior_is_what_its_towers_are_worth():
    """Standard error of a log standard deviation from n values: 1 / sqrt(2 n) (e.g. Kendall & Stuart, vol. 1, 10.10)."""
    for name in ("structural_floor", "structural_slope", "structural_days", "structural_transient_days", "structural_place"):
        row = PARAMETERS[name]
        raw, step = float(to_raw(row.typical, row)), 1e-4
        slope = (float(to_raw(row.typical * np.exp(step), row)) - raw) / step
        assert row.prior_sd / slope == pytest.approx((2.0 * PRIOR_TOWERS) ** -0.5, rel=0.03)


@pytest.mark.parametrize(("places", "expected"), [(1, 0.0), (2, None), (400, None)])
def test_population_spread_goes_from_its_prior_to_the_moments(pooled_model, places, expected):
    series = dark_series([2.3] * places, days=20)
    model = with_places(pooled_model, Indices.of(series).sizes())
    effects = np.random.default_rng(0).normal(size=(1, places)).astype(np.float32)
    leaves = {**{name: leaf[None] for name, leaf in learned(model).items()}, "sources.respiration_ref.z.effect": 0.3 * effects}
    settled = settle_populations(model, leaves, batch(model, series))
    spread, effect = (np.asarray(settled[f"sources.respiration_ref.z.{name}"]) for name in ("spread", "effect"))
    np.testing.assert_allclose(effect * np.exp(0.5 * spread), 0.3 * effects, rtol=1e-4)
    variance = (PRIOR_TOWERS + np.sum((0.3 * effects) ** 2) * (places > 1)) / (PRIOR_TOWERS + places - 1)
    assert np.exp(spread[0]) == pytest.approx(variance, rel=1e-4)
    if expected is not None:
        assert spread[0] == pytest.approx(expected, abs=1e-6)
