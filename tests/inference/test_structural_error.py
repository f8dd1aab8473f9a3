"""The structural error: its equations, its recovery from residuals of left-out towers, and what it does to a posterior."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit, logsumexp

from hybridflux.inference import fit_months_together, place_amplitude
from hybridflux.inference.error_hyperparameters import SEARCHED, misfit, variance, variance_of_differences
from hybridflux.inference.mean_residuals import Means, Record, joined, means_of_places, with_given, years_apart
from hybridflux.inference.methods.ensemble import left_out
from hybridflux.model.sources import to_raw, to_value
from hybridflux.model.structural_error import (
    ACTIVITY,
    BETWEEN_TYPES,
    FLOOR_SHARE,
    LEVEL,
    NAMES,
    RECURRING,
    StructuralError,
    amplitude,
    floor_share,
    of_weeks,
    ornstein_uhlenbeck,
    persistence,
    prior_level,
)
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

pytestmark = pytest.mark.long

TRUTH = {
    "structural_floor": 0.6, "structural_slope": 0.3, "structural_days": 30.0, "structural_year": 0.1, "structural_recurring": 0.7,
    "structural_place": 0.15, "structural_amplitude": 0.01, "structural_transient_days": 30.0, "structural_recurring_days": 3650.0,
    "noise_floor": 0.3, "noise_slope": 0.1,
}  # fmt: skip


def error_of(**values):
    return StructuralError({name: jnp.float32(to_raw(value, PARAMETERS[name])) for name, value in {**TRUTH, **values}.items()})


def period_means(values, length):
    """Means over whole periods `[place * period]` of daily values `[time, place]`."""
    first = np.ceil(np.arange(int(len(values) / length + 1e-9)) * length).astype(int)
    return (np.add.reduceat(np.asarray(values), first) / np.diff([*first, len(values)])[:, None]).T.ravel()


def test_the_process_is_stationary_with_exponential_memory():
    path = np.asarray(ornstein_uhlenbeck(jax.random.key(0), (600, 4000), 20.0))
    assert abs(path.var() - 1.0) < 0.02
    for lag in (1, 10, 40):
        assert np.mean(path[:-lag] * path[lag:]) == pytest.approx(np.exp(-lag / 20.0), abs=0.02)


def test_variance_of_an_annual_sum_is_that_of_the_published_illustration():
    # science notes 5.1: sd 2.5, 30 d: 370 gC m-2 yr-1 where n is large against the memory; exactly 356 for 365 days
    annual = 2.5 * 365 * float(persistence(jnp.float32(365.0), 30.0)) ** 0.5
    assert annual == pytest.approx(354.5, abs=0.5)
    assert annual < 2.5 * 365 * (2 * 30 / 365) ** 0.5 < 371


@pytest.mark.parametrize("spread", [0.01, 0.4])
def test_the_implied_variance_is_that_of_sampled_means(spread):
    error, days = error_of(structural_amplitude=spread), 120
    flux, activity = jnp.full((days, 3000), -2.0), jnp.full((days, 3000), 5.0)
    drawn = np.asarray(error.sample(jax.random.key(1), flux, activity, jnp.zeros(()))) + 2.0
    for span in (1, 7, 30, 120):
        implied = error.variance_of_mean(*(jnp.float32(v) for v in (5.0, 2.0, 4.0, 0.0, span, span)))
        assert drawn[:span].mean(axis=0).var() == pytest.approx(float(implied), rel=0.12)


@pytest.mark.parametrize("of_effects", [(0.5, 2.0, 0.1), (0.5, np.nan, 0.1)], ids=["all", "but one"])
def test_effects_of_known_variance_are_the_same_without_their_slopes(of_effects):
    """Of means of all lengths and of differences between years, which share what an effect does to both."""
    random, days = np.random.default_rng(0), 6 * 365
    season = np.sin(np.arange(days) / 365.0 * 2 * np.pi)
    slopes = np.stack([np.ones(days), season, random.standard_normal(days)]).astype(np.float32)
    activity, flux = 4.0 + 3.0 * season, random.standard_normal(days)
    means = means_of_places([(0, Record(flux, 0.0 * flux, activity, slopes, 0.0 * flux))], 7)
    whole, pairs = joined(means), years_apart(means)
    start = np.array([float(to_raw(PARAMETERS[name].typical, PARAMETERS[name])) for name in SEARCHED])
    variances = np.array(of_effects)
    at = jnp.asarray(np.r_[start, 0.5 * np.log(np.where(np.isfinite(variances), variances, 0.3))], jnp.float32)
    less, fewer = with_given(whole, pairs, variances)
    free = np.r_[np.ones(len(SEARCHED), bool), np.isnan(variances)]
    rows = np.asarray(pairs.share) > 0
    np.testing.assert_allclose(variance(at[free], less), variance(at, whole), rtol=1e-5)
    of_pairs = variance_of_differences(at[free], less, fewer), variance_of_differences(at, whole, pairs)
    np.testing.assert_allclose(*(np.asarray(one)[rows] for one in of_pairs), rtol=1e-4)
    assert rows.sum() > 50 and np.asarray(fewer.given)[rows].min() > 0.1


def test_what_recurs_and_what_lasts_cancels_in_the_difference_of_two_years(monkeypatch):
    """Of the variance of a year, 2 (1 - correlation) is left in the difference; a persistent error is the same in both."""
    activity = jnp.full((730, 3000), 5.0)
    noise = error_of().noise(jax.random.key(1), 0.0 * activity, jnp.zeros(()))
    monkeypatch.setattr(StructuralError, "noise", lambda *_: noise)  # of both the same numbers, of Student's t, which take longest
    for changed in ({"structural_recurring": 0.999}, {"structural_recurring": 0.001}):
        error = error_of(structural_year=0.02, **changed)
        drawn = np.asarray(error.sample(jax.random.key(1), 0.0 * activity, activity, jnp.zeros(())))
        first, second = drawn[:365].mean(0), drawn[365:].mean(0)
        of_year = error.variance_of_mean(*(jnp.float32(v) for v in (5.0, 0.0, 0.0, 0.0, 365, 365)))
        of_both = error.covariance_of_means(*(jnp.float32(v) for v in (5.0, 5.0, 365.0, 365.0)))
        assert first.var() == pytest.approx(float(of_year), rel=0.1)
        assert (second - first).var() == pytest.approx(float(2.0 * (of_year - of_both)), rel=0.1)


def test_the_part_of_weeks_that_comes_again_has_its_own_memory():
    path = np.asarray(of_weeks(jax.random.key(2), (800, 3000), 60.0, 0.7, 15.0, 3650.0))
    assert path.var() == pytest.approx(1.0, abs=0.02)
    assert np.mean(path[:-30] * path[30:]) == pytest.approx(0.7 * np.exp(-0.5) + 0.3 * np.exp(-2.0), abs=0.03)
    assert np.mean(path[:-365] * path[365:]) == pytest.approx(0.7 * np.exp(-0.1), abs=0.03)  # its pattern changes over ten years
    soon = np.asarray(of_weeks(jax.random.key(2), (800, 3000), 60.0, 0.7, 15.0, 730.0))
    assert np.mean(soon[:-365] * soon[365:]) == pytest.approx(0.7 * np.exp(-0.5), abs=0.03)
    alone = of_weeks(jax.random.key(2), (800, 2), 60.0, 0.0, 30.0, 3650.0)
    np.testing.assert_array_equal(alone, ornstein_uhlenbeck(jax.random.key(2), (800, 2), 30.0))


def test_a_posterior_of_an_earlier_version_has_one_memory_of_weeks():
    raw = {name: value for name, value in error_of(structural_days=40.0).raw.items() if name != "structural_transient_days"}
    assert float(StructuralError(raw).values()["structural_transient_days"]) == pytest.approx(40.0, rel=1e-5)


def test_in_a_posterior_of_an_earlier_version_the_pattern_that_comes_again_changes_over_ten_years():
    """Draws and variances as they were when ten years were a constant; those of 40 years differ."""
    raw = {name: value for name, value in error_of().raw.items() if name != "structural_recurring_days"}
    plain = jnp.zeros((740, 50)), jnp.full((740, 50), 5.0), jnp.zeros(())
    errors = StructuralError(raw), error_of(), error_of(structural_recurring_days=14600.0)
    before, same, other = (one.sample(jax.random.key(1), *plain) for one in errors)
    assert float(StructuralError(raw).values()["structural_recurring_days"]) == 3650.0
    np.testing.assert_allclose(before, same, rtol=1e-4, atol=1e-4)
    assert np.abs(before - other).max() > 0.1
    years = [jnp.float32(value) for value in (5.0, 5.0, 365.0, 365.0)]
    lasting = [float(one.covariance_of_means(*years)) for one in errors[::2]]
    season = 0.7 * (0.6 + 0.3 * 5.0) ** 2 * (1.0 - np.exp(-365.0 / 60.0)) * 60.0 / 365.0  # of 30 d, half a circle
    assert lasting[1] - lasting[0] == pytest.approx(season * (np.exp(-0.025) - np.exp(-0.1)), rel=2e-3)


def test_the_amplitude_has_a_mean_square_of_one_and_of_a_cell_the_mean_of_its_places():
    score = np.random.default_rng(0).standard_normal((400_000, 2))
    assert (amplitude(0.5, score[:, 0]) ** 2).mean() == pytest.approx(1.0, abs=0.01)
    places = 0.3 + 0.8 * score[:, 0]  # of one cell: scores of variance one a priori, about the mean of the cell, whose variance is 0.36
    assert amplitude(0.5, places).mean() == pytest.approx(amplitude(0.5, 0.3, 0.36), rel=5e-3)


def months_of(error, months, kinds, seed):
    """Mean residuals of months of places of some plant types with an error."""
    places = len(kinds)
    activity = 4.0 + 4.0 * np.sin(np.arange(months * 365 // 12) / 365.0 * 2 * np.pi)
    many = jnp.asarray(np.repeat(activity[:, None], places, 1), jnp.float32)
    residual = period_means(np.asarray(error.sample(jax.random.key(seed), 0.0 * many, many, jnp.zeros(()), kinds)), 365 / 12)
    mean, number = period_means(np.asarray(many), 365 / 12), np.tile(np.arange(months), places)
    place, ones = np.repeat(np.arange(places), months), np.ones(len(number))
    none, given, *of_days = np.zeros((0, len(ones))), *np.zeros((4, len(ones)))
    return Means(residual, none, given, mean, *of_days, 30 * ones, 30 * ones, place, ones / months, number)


def test_means_over_amplitudes_are_exact_even_where_likelihood_and_prior_lie_far_apart():
    """Sums of exponentials, one by one; some are smaller than a number of the machine, and some spreads narrower than the grid."""
    random, grid = np.random.default_rng(0), fit_months_together.LOG_AMPLITUDES
    given = -random.uniform(1.0, 3000.0, (9, 1)) * (grid - random.normal(size=(9, 1))) ** 2
    prior = np.stack([[-0.5 * ((grid - level) / spread) ** 2 for level in (-3.0, 0.0, 2.5)] for spread in (0.02, 0.3, 1.0)])
    found = fit_months_together.log_means(given, prior)
    np.testing.assert_allclose(found, logsumexp(given[:, None, None] + prior, axis=-1), rtol=1e-9)
    assert found.min() < -800.0


@pytest.mark.parametrize(("truth", "low", "high"), [(2500.0, 2000.0, 3100.0), (40_000.0, 25_000.0, 55_000.0)])
def test_whether_what_comes_again_changes_in_some_years_or_hardly_is_recovered(truth, low, high):
    """Thirty towers of twelve years, all else known; the prior lies between the two."""
    name = "structural_recurring_days"
    error, kinds = error_of(structural_amplitude=0.3, **{name: truth}), np.full(30, 4)
    values = {one: float(value) for one, value in error.values().items()}
    cases = [[values | {name: float(to_value(node, PARAMETERS[name]))} for node in fit_months_together.NODES[name]]] * 30
    found = fit_months_together.evidence(cases, months_of(error, 144, kinds, 5), np.zeros(0), np.zeros((30, 1)), np.array([0.3]))
    prior = np.array([[to_raw(9000.0, PARAMETERS[name])]])
    raw = fit_months_together.means([found[:, :, 0, 0].sum(axis=0)], prior, np.array([2.0]), (name,))
    assert low < float(to_value(raw[0, 0], PARAMETERS[name])) < high


def test_amplitudes_recurring_shares_both_memories_and_the_year_are_recovered_from_all_months_of_a_tower():
    """Fifty towers of six years and two plant types that differ in their errors; single periods would take the shares for larger."""
    truth = {"structural_recurring": 0.4, "structural_amplitude": 0.35, "structural_days": 70.0, "structural_transient_days": 15.0}
    truth |= {"structural_year": 0.02, "structural_recurring_days": 3650.0}
    places, kinds = 50, np.where(np.arange(50) < 20, 9, 4)
    of_types = np.zeros((3, len(PLANT_TYPES)), np.float32)
    of_types[:, 9], of_types[:, 4] = (0.5, *logit([0.15, 0.1])), (-0.4, *logit([0.65, 0.6]))
    error = StructuralError(error_of(**truth).raw | dict(zip((LEVEL, RECURRING, FLOOR_SHARE), of_types, strict=True)))
    months = months_of(error, 72, kinds, 4)
    wrong = {"structural_recurring": 0.8, "structural_days": 30.0, "structural_transient_days": 30.0, "structural_year": 0.065}
    values = {name: float(value) for name, value in error.values().items()} | wrong
    prior = {name: np.array([to_raw(({**truth, **wrong})[name], PARAMETERS[name])] * 2) for name in truth}
    width = dict.fromkeys(truth, 2.0)
    weights, nobody = [np.ones(places), np.zeros(places)], np.zeros((2, len(PLANT_TYPES)))
    scores = {name: nobody + [[0.0], [score]] for name, score in ((LEVEL, 1.5), (RECURRING, -0.5), (FLOOR_SHARE, 0.5))}
    found = fit_months_together.learn(prior, width, weights, values, months, np.zeros(0), kinds, scores)
    level, spread = found.pop(LEVEL), float(to_value(found["structural_amplitude"][0], PARAMETERS["structural_amplitude"]))
    assert level[0, [9, 4]] == pytest.approx([0.5, -0.4], abs=0.2)  # of 20 and 30 amplitudes a mean is known to .08
    nobody = prior_level(spread, np.array([0.0, 1.5]))
    np.testing.assert_allclose(level[:, 3], nobody, rtol=1e-6)  # a plant type without a tower
    np.testing.assert_allclose(level[1, [9, 4]], nobody[1], atol=1e-3)  # towers without weight
    share, grows = found.pop(RECURRING), found.pop(FLOOR_SHARE)
    assert expit(share[0, [9, 4]]) == pytest.approx([0.15, 0.65], abs=0.08)
    assert expit(grows[0, [9, 4]]) == pytest.approx([0.1, 0.6], abs=0.08)
    nobody = found["structural_recurring"][0] + BETWEEN_TYPES * np.array([0.0, -0.5])
    np.testing.assert_allclose(share[:, 3], nobody, atol=1e-6)  # a plant type without a tower
    np.testing.assert_allclose(share[1, [9, 4]], nobody[1], atol=0.08)  # towers without weight; logits end at -3
    np.testing.assert_allclose(np.diff(grows[:, 3]), 0.5 * BETWEEN_TYPES, rtol=1e-6)
    one = {name: float(to_value(raw[0], PARAMETERS[name])) for name, raw in found.items()}
    assert 0.2 < one["structural_recurring"] < 0.65  # the centre of two types
    assert one["structural_amplitude"] == pytest.approx(0.35, abs=0.08)  # of 50 amplitudes a spread is known to .04
    assert one["structural_days"] == pytest.approx(70.0, rel=0.25) and one["structural_transient_days"] == pytest.approx(15.0, rel=0.3)
    assert one["structural_year"] < 0.05  # of the variance of a year .02 is a hundredth here: its upper limit is learned
    nothing = fit_months_together.means([np.zeros(7)], np.array([[-3.0]]), np.array([0.3]), ["structural_year"])
    np.testing.assert_allclose(nothing, [[-3.0]], atol=1e-3)


def test_the_level_of_a_plant_type_scales_its_structural_error():
    """In sampled errors, and in what the months of a tower say of its score; without levels all types have the same."""
    error, plain = error_of(), (jnp.zeros((40, 3)), jnp.full((40, 3), 5.0), jnp.zeros(()))
    levels = jnp.zeros(len(PLANT_TYPES)).at[9].set(0.7)
    drawn = StructuralError(error.raw | {LEVEL: levels}).sample(jax.random.key(1), *plain, np.array([4, 9, 9]))
    before, noise = (np.asarray(one(jax.random.key(1), *args)) for one, args in ((error.sample, plain), (error.noise, plain[::2])))
    np.testing.assert_allclose(drawn - noise, (before - noise) * np.exp([0.0, 0.7, 0.7]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(before, error.sample(jax.random.key(1), *plain, np.array([4, 9, 9])))  # of an earlier version
    assert set(error.of_type(9)) == {*NAMES, LEVEL} and error.of_type(9)[LEVEL] == 0.0
    covariance, residual = np.diag([1.0, 0.5, 2.0]), np.array([1.0, -2.0, 0.5])
    given = place_amplitude.score_given(covariance, np.full(3, 0.1), residual, 0.4, 0.7, 0.3)
    assert given == pytest.approx(place_amplitude.score_given(np.exp(1.4) * covariance, np.full(3, 0.1), residual, 0.4, 0.0, 0.3))


def test_what_comes_again_and_what_grows_with_activity_are_shares_of_the_plant_type():
    """Errors of a type all of whose error comes again are those of the year before, those of a type without are not; those of a type that
    has no floor vanish with activity. Without shares all types have the same error."""
    lasting = error_of(structural_recurring_days=59_000.0, structural_year=1e-4, structural_place=1e-4, noise_floor=0.021, noise_slope=1e-4)
    shape, kinds = (1095, 100), np.repeat([4, 9], 50)
    plain = jnp.zeros(shape), jnp.full(shape, 5.0), jnp.zeros(())
    shares = jnp.zeros(len(PLANT_TYPES)).at[4].set(9.0).at[9].set(-9.0)
    before = lasting.sample(jax.random.key(1), *plain, kinds)
    np.testing.assert_array_equal(before, lasting.sample(jax.random.key(1), *plain))  # of an earlier version
    drawn = np.asarray(StructuralError(lasting.raw | {RECURRING: shares}).sample(jax.random.key(1), *plain, kinds))
    again = [np.corrcoef(drawn[:365, kinds == kind].ravel(), drawn[730:, kinds == kind].ravel())[0, 1] for kind in (4, 9)]
    assert again[0] > 0.95 and abs(again[1]) < 0.2
    growing = StructuralError(lasting.raw | {FLOOR_SHARE: shares})
    at = [np.asarray(growing.sample(jax.random.key(2), 0.0 * a, a, jnp.zeros(()), kinds))
          for a in (jnp.full(shape, level) for level in (0.0, ACTIVITY, 2.0 * ACTIVITY))]  # fmt: skip
    size = [[float(one[:, kinds == kind].std()) for kind in (4, 9)] for one in at]
    assert size[0][1] < 0.05 and size[2][1] == pytest.approx(2.0 * size[1][1], rel=0.02)
    assert size[0][0] == pytest.approx(size[2][0], rel=0.02) and size[1] == pytest.approx([0.6 + 0.3 * ACTIVITY] * 2, rel=0.15)
    values = lasting.values()
    same = jnp.full((2, len(PLANT_TYPES)), jnp.stack([values["structural_recurring"], floor_share(values)])[:, None])
    one_for_all = StructuralError(lasting.raw | dict(zip((RECURRING, FLOOR_SHARE), jax.scipy.special.logit(same), strict=True)))
    np.testing.assert_allclose(before, one_for_all.sample(jax.random.key(1), *plain, kinds), rtol=1e-4, atol=1e-5)
    assert growing.of_type(9)["structural_floor"] == pytest.approx(0.0, abs=1e-3)


def test_numbers_are_recovered_from_residuals():
    """Eighty synthetic towers of six years with a known error: size and the variance of every period are found.

    The measuring error is a few percent of the variance of a day here and stays near its prior: it is not asserted.
    """
    from scipy.optimize import minimize

    error, places, days = error_of(), 80, 2190
    season = 4.0 + 4.0 * np.sin(np.arange(days) / 365.0 * 2 * np.pi)
    activity = jnp.asarray(np.repeat(season[:, None], places, 1), jnp.float32)
    residual = np.asarray(error.sample(jax.random.key(3), -0.3 * activity, activity, jnp.zeros(()))) + 0.3 * np.asarray(activity)
    found = []
    for length in (1, 7, 365 / 12, 365):
        count = int(days / length + 1e-9)
        mean = partial(period_means, length=length)
        flux, ones = 0.3 * np.asarray(activity), np.ones(count * places)
        known, span = 0 * ones, length * ones
        columns = (mean(residual), np.zeros((0, len(ones))), 0 * ones, mean(activity), mean(flux), mean(flux**2), known, span, span)
        place, number = np.repeat(np.arange(places), count), np.tile(np.arange(count), places)
        found.append(Means(*(np.asarray(v, np.float32) for v in columns), place, np.asarray(ones / count, np.float32), number))
    start = np.array([float(to_raw(PARAMETERS[name].typical, PARAMETERS[name])) for name in SEARCHED])
    width = np.array([PARAMETERS[name].prior_sd for name in SEARCHED])
    for name in sum(fit_months_together.GROUPS, ()):  # learned apart, see `fit_months_together`
        start[SEARCHED.index(name)] = to_raw(TRUTH[name], PARAMETERS[name])
    slope, whole, pairs = jax.jit(jax.value_and_grad(misfit)), joined(found), years_apart(found)
    assert sum(pairs.share > 0) == places * (60 + 24 + 5 + 2)  # months and years that lie one and four years apart

    def both(at):
        value, gradient = slope(*(jnp.asarray(part, jnp.float32) for part in (at, start, width)), whole, pairs, jnp.ones(places))
        return float(value), np.asarray(gradient, float)

    best = minimize(both, start, jac=True, method="L-BFGS-B").x
    values = {name: float(value) for name, value in StructuralError(dict(zip(NAMES, best[: len(NAMES)], strict=True))).values().items()}
    assert values["structural_floor"] + 4.0 * values["structural_slope"] == pytest.approx(0.6 + 4.0 * 0.3, rel=0.15)
    assert values["structural_place"] == pytest.approx(0.15, abs=0.05)
    for one in found:
        ratio = np.asarray(one.residual) ** 2 / np.asarray(variance(jnp.asarray(best, jnp.float32), one))
        assert ratio.mean() == pytest.approx(1.0, abs=0.2)  # of 80 towers that are wrong for good, a mean square is known to .16


def test_each_place_is_left_out_by_one_member():
    away = left_out(13, 5, seed=2)
    assert away.shape == (5, 13) and np.all(away.sum(axis=0) == 1) and away.sum(axis=1).max() <= 3
    assert left_out(4, 5, seed=2) is None and left_out(13, 3, seed=2) is None
