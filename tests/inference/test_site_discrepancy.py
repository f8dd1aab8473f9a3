"""What the draws get wrong at each place that they know: recovered from weeks, zero elsewhere, the same after saving."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri

from hybridflux.evaluate.predictions import predictions
from hybridflux.inference import fit_known_place_error
from hybridflux.inference import fit_site_discrepancy as fit
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.stacking import _members
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sequences import Sequences
from hybridflux.model.site_discrepancy import features, frequencies
from hybridflux.model.sources import Pooled, Shared
from hybridflux.model.stacked import Stacked
from hybridflux.model.structural_error import FLOOR_SHARE, StructuralError
from hybridflux.process import direct, light, respiration

DAYS = np.arange(np.datetime64("2015-01-01"), np.datetime64("2019-01-01"))
FITTED = DAYS < np.datetime64("2018-01-01")
SEASON = np.sin(2 * np.pi * (np.arange(len(DAYS)) - 110) / 365.25)


@pytest.fixture(scope="module")
def sequences():
    """Places A and B of one plant type, and C, with light of a season and of weeks; no fluxes."""
    random = np.random.default_rng(0)
    clouds = np.stack([np.convolve(random.standard_normal(len(DAYS) + 6), np.ones(7) / 7**0.5, "valid") for _ in "ABC"], axis=1)
    par = np.clip(6.0 + 3.0 * SEASON[:, None] + 1.5 * clouds, 0.5, 13.0)
    fapar = np.repeat(0.5 + 0.3 * SEASON[:, None], 3, axis=1)
    drivers = {"par": par.astype(np.float32), "fapar": fapar.astype(np.float32), "plant_type": np.array([8, 8, 0], np.int32)}
    return Sequences(("A", "B", "C"), DAYS, drivers, {}, {})


@pytest.fixture(scope="module")
def posterior():
    model = HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), sources={"light_use_efficiency": Pooled(Shared()), "respiration_ref": Shared()}
    )
    model = with_places(model, {"site": 3, "site_year": 12})
    leaves = {name: 0.1 * jax.random.normal(jax.random.key(1), (8, *leaf.shape)) for name, leaf in learned(model).items()}
    return Posterior(with_learned(model, leaves), Indices(("A", "B", "C"), (2015, 2016, 2017, 2018)), info={"method": "made up"})


@pytest.fixture(scope="module")
def truth(sequences):
    """What is added to the GPP of A: more than the model has in dim weeks of spring, less in bright ones."""
    return 1.5 * np.cos(2 * np.pi * np.arange(len(DAYS)) / 365.25) * np.tanh((sequences.drivers["par"][:, 0] - 6.0) / 3.0)


@pytest.fixture(scope="module")
def targets(posterior, sequences, truth):
    """Three years of A and B; nothing was measured at C."""
    fluxes = {name: np.asarray(values).mean(0) for name, values in posterior.simulate(sequences, key=jax.random.key(0)).items()}
    targets, random = {}, np.random.default_rng(3)
    for name in ("gpp", "reco"):
        weeks = np.repeat(random.standard_normal((len(DAYS) // 7 + 1, 3)), 7, axis=0)[: len(DAYS)]
        targets[name] = (fluxes[name] + 0.3 * weeks).astype(np.float32)
        targets[name][~FITTED], targets[name][:, 2] = np.nan, np.nan
    targets["gpp"][:, 0] += truth
    return targets


@pytest.fixture(scope="module")
def known(posterior, sequences, targets):
    """The posterior with the discrepancy of A and B, and the error that is left there."""
    return replace(posterior, discrepancy=fit.of_posterior(posterior, replace(sequences, targets=targets))[0])


def test_an_unseen_year_of_a_known_place_has_its_discrepancy(known, sequences, truth):
    found = known.discrepancy.of(sequences, [0])[:, ~FITTED, 0]
    left = truth[~FITTED]
    assert np.std(found[..., 0].mean(0) - left) < 0.35 * np.std(left)
    low, high = np.quantile(found[..., 0], (0.05, 0.95), axis=0)
    assert np.mean((low < left) & (left < high)) > 0.6  # of eight draws, whose 5 and 95 % lie well within 90 %
    assert np.abs(found[..., 1].mean(0)).max() < 0.35  # RECO lacks nothing


def test_places_that_were_not_measured_and_unknown_places_are_as_without_it(known, posterior, sequences):
    abroad = replace(sequences, places=("A", "elsewhere", "C"))
    of, without = (one.predict(abroad, seed=2, noise=True) for one in (known, posterior))
    for name in ("gpp", "reco", "nee"):
        np.testing.assert_allclose(of[name][:, :, 1:], without[name][:, :, 1:], atol=1e-5)
    assert float(abs(of["gpp"] - without["gpp"])[:, :, 0].max()) > 0.5
    assert of.site_discrepancy == 1 and without.site_discrepancy == 0


def test_each_draw_of_a_stacked_posterior_has_what_its_own_kind_lacks(sequences):
    """GPP of networks was measured, which that of process members is far from; sixteen of each take turns among 64 draws."""
    process = HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), sources={"respiration_ref": Shared(), "light_use_efficiency": Shared()}
    )
    networks = {"network_gpp": Shared(), "network_reco": Shared()}
    network = HybridFlux(gpp=(direct.productivity,), reco=(direct.respiration,), sources=networks)
    member, quantile = _members(16, 16)
    model = Stacked(process, network, 0.5)
    leaves = {name: np.zeros(64, np.float32) for name in learned(model)} | {"sources.member_kind.z": ndtri(quantile).astype(np.float32)}
    stacked = Posterior(with_learned(model, leaves), Indices.of(sequences), info={"seed": 0})
    fluxes = {name: np.asarray(values) for name, values in stacked.simulate(sequences, key=jax.random.key(0)).items()}
    of_network = int(np.flatnonzero(quantile < 0.5)[0])
    targets = {name: fluxes[name][of_network] for name in ("gpp", "reco")}
    found, _ = fit.of_posterior(stacked, replace(sequences, targets=targets))
    lacked = (targets["gpp"] - fluxes["gpp"]).mean(axis=(1, 2))
    assert np.ptp(lacked) > 1.0
    np.testing.assert_allclose(found.of(sequences, [0, 1, 2])[..., 0].mean(axis=(1, 2)), lacked, atol=0.2 * np.ptp(lacked))


def test_fluxes_stay_positive_and_balanced_and_can_be_had_without(known, posterior, sequences):
    found = known.predict(sequences.select(["A"]))
    assert float(found["gpp"].min()) >= 0.0
    np.testing.assert_allclose(found["nee"], found["reco"] - found["gpp"], atol=1e-5)
    plain = posterior.predict(sequences.select(["A"]))
    np.testing.assert_array_equal(known.predict(sequences.select(["A"]), discrepancy=False)["gpp"], plain["gpp"])
    np.testing.assert_array_equal(known.simulate(sequences.select(["A"]), key=jax.random.key(0))["gpp"], plain["gpp"])
    one = next(predictions(known, sequences, variables=("gpp",), draws=8))
    np.testing.assert_allclose(one.point["gpp"], found["gpp"].mean("draw"), atol=1e-4)
    with pytest.raises(ValueError, match="the same twice"):
        known.simulate(sequences, key=jax.random.key(0), residuals="other-months", discrepancy=True)


@pytest.mark.parametrize("error", [True, False], ids=["with its error", "of before"])
def test_the_file_keeps_it(known, sequences, tmp_path, error):
    whole = known if error else replace(known, discrepancy=replace(known.discrepancy, error=None))
    whole.save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc")
    assert again.discrepancy.inputs == ("fapar", "par") and (again.discrepancy.error is not None) == error
    kept = [one.pick([5, 2]).predict(sequences, noise=True, seed=3) for one in (again, whole)]
    for name in ("nee", "gpp", "reco"):
        np.testing.assert_array_equal(*(one[name] for one in kept))


def test_a_known_place_has_an_error_of_its_own(known, posterior, sequences):
    """At A and B, which were measured, and not at C, nor where the discrepancy is not asked for."""
    before = replace(known, discrepancy=replace(known.discrepancy, error=None))
    error, same = (one.predict(sequences, noise=True, seed=2)["nee"] for one in (known, before))
    assert (np.abs(error - same).max(("draw", "time")) > 0.1).values.tolist() == [True, True, False]
    without = [one.predict(sequences, noise=True, seed=2, discrepancy=False)["nee"] for one in (known, posterior)]
    np.testing.assert_array_equal(*without)
    alone = known.predict(sequences.select(["A"]), noise=True, seed=2)["nee"]
    assert float(alone.std("draw").mean()) == pytest.approx(float(error.sel(place=["A"]).std("draw").mean()), rel=0.2)


def test_draws_of_a_known_place_keep_a_part_of_their_departures(known, sequences):
    """Their mean of the record stays where it was; a place that was not measured keeps all."""
    error = known.discrepancy.error
    of_part = {}
    for part in (1.0, 0.0):
        kept = {name: np.full_like(one, part) for name, one in error.departure.items()}
        quiet = {name: np.full_like(one, 1e-3) for name, one in error.amplitude.items()}
        changed = replace(known, discrepancy=replace(known.discrepancy, error=replace(error, amplitude=quiet, departure=kept)))
        of_part[part] = changed.predict(sequences, noise=True, seed=2)["gpp"].mean("time")
    spread = {part: values.std("draw").sel(place="A") for part, values in of_part.items()}
    assert float(spread[0.0]) < 0.2 * float(spread[1.0])  # what is left is the error of measuring
    np.testing.assert_allclose(*(values.mean("draw").sel(place="A") for values in of_part.values()), atol=0.01)
    np.testing.assert_array_equal(*(values.sel(place="C") for values in of_part.values()))


@pytest.mark.parametrize("kind", [8, 3])
def test_the_error_of_a_known_place_has_the_shares_of_its_plant_type(known, sequences, kind):
    """Those of type 8, which A is of; a type that no place is of says nothing."""
    error = known.discrepancy.error
    shares = jnp.asarray(error.error["nee"].raw[FLOOR_SHARE]).at[:, kind].add(6.0)
    changed = {**error.error, "nee": StructuralError({**error.error["nee"].raw, FLOOR_SHARE: shares})}
    other = replace(known, discrepancy=replace(known.discrepancy, error=replace(error, error=changed)))
    before, after = (one.predict(sequences.select(["A"]), noise=True, seed=2)["nee"] for one in (known, other))
    assert bool((before != after).any()) == (kind == 8)


def test_its_error_is_learned_from_years_that_the_discrepancy_has_not_seen(known, posterior, sequences, targets, monkeypatch):
    seen, learn = [], fit_known_place_error.of_records
    monkeypatch.setattr(fit, "FEWEST_DRAWS", posterior.draws)  # those of the predictions below, and no others
    monkeypatch.setattr(fit_known_place_error, "of_records", lambda records, *rest: seen.append(dict(records)) or learn(records, *rest))
    fit.of_posterior(posterior, replace(sequences, targets=targets))
    second = DAYS.astype("datetime64[Y]") == np.datetime64("2016")
    rest = {name: np.where(second[:, None], np.nan, values) for name, values in targets.items()}
    of_others, _ = fit.of_posterior(posterior, replace(sequences, targets=rest), seed=2)  # the seed of the second block
    fluxes = posterior.simulate(sequences, key=jax.random.key(0))
    added = of_others.of(sequences, [0, 1, -1])
    for place in (0, 1):
        for at, name in enumerate(("gpp", "reco")):
            expected = np.maximum(np.asarray(fluxes[name])[:, :, place] + added[:, :, place, at], 0.0).mean(0)
            record = seen[0][place][name]
            np.testing.assert_allclose(record.modelled[second], expected[second], atol=2e-4)
            np.testing.assert_array_equal(record.observed[FITTED], targets[name][FITTED, place])
        assert np.isnan(seen[0][place]["gpp"].observed[~FITTED]).all()


def test_years_left_out_are_predicted_by_many_draws_of_the_discrepancy(posterior, sequences, targets, monkeypatch):
    """Of eight draws of the model as well: the covariance of eight departures would have seven directions."""
    seen, learn = [], fit_known_place_error.of_records
    monkeypatch.setattr(fit_known_place_error, "of_records", lambda records, *rest: seen.append(dict(records)) or learn([], *rest))
    fit.of_posterior(posterior, replace(sequences, targets=targets))
    records = [one[name] for one in seen[0].values() for name in ("nee", "gpp", "reco") if name in one]
    assert records
    for record in records:
        days = np.isfinite(record.slopes).all(axis=0)
        assert len(record.slopes) == fit.FEWEST_DRAWS and np.linalg.matrix_rank(record.slopes[:, days][:, :200]) > 20


def errors(weeks: int) -> np.ndarray:
    """Covariance of weeks one after the other, all of seven days."""
    apart = 7.0 * np.abs(np.subtract.outer(np.arange(weeks), np.arange(weeks)))
    return fit.WEEKS**2 * np.exp(-apart / fit.MEMORY_DAYS) + fit.YEARS**2 * np.exp(-apart / fit.YEAR_DAYS) + fit.ALONE**2 * np.eye(weeks)


def residuals_of_weeks(seed: int, discrepancy: np.ndarray | float = 0.0) -> np.ndarray:
    """Residuals of two fluxes `[row, time, flux]` with the errors that the fit assumes, of size 1."""
    random = np.random.default_rng(seed)
    apart = 7.0 * np.abs(np.subtract.outer(np.arange(len(DAYS) // 7 + 1), np.arange(len(DAYS) // 7 + 1)))
    error = (
        fit.WEEKS**2 * np.exp(-apart / fit.MEMORY_DAYS) + fit.YEARS**2 * np.exp(-apart / fit.YEAR_DAYS) + fit.ALONE**2 * np.eye(len(apart))
    )
    weeks = np.linalg.cholesky(error) @ random.standard_normal((len(apart), 2))
    return (np.repeat(weeks, 7, axis=0)[: len(DAYS)] + np.reshape(discrepancy, (-1, 1)))[None]


def test_its_size_is_found_and_vanishes_where_residuals_are_errors(sequences):
    inputs = ("fapar", "par")
    of_days = features(sequences, 0, inputs, frequencies(inputs))
    made = of_days @ np.random.default_rng(9).standard_normal((of_days.shape[1], 6))
    nothing = [fit.weeks_of(0, residuals_of_weeks(seed), DAYS, of_days) for seed in range(6)]
    something = [fit.weeks_of(0, residuals_of_weeks(seed, made[:, seed]), DAYS, of_days) for seed in range(6)]
    (none, size), (a, same) = fit.amplitude(nothing, 0), fit.amplitude(something, 0)
    assert none < 0.25 and 0.6 < a < 1.6
    assert size == pytest.approx(1.0, rel=0.1) and same == pytest.approx(1.0, rel=0.15)


def test_the_mean_is_that_of_a_gaussian_process_on_the_weeks(sequences, monkeypatch):
    """Against k(x, X) [k(X, X) + N]^-1 r, Rasmussen & Williams 2006, eq. 2.23, solved densely."""
    monkeypatch.setattr(fit, "AMPLITUDES", np.array([0.5]))
    inputs = ("fapar", "par")
    of_days, whole = features(sequences, 0, inputs, frequencies(inputs)), len(DAYS) // 7 * 7
    start = int(-DAYS[0].astype(int) % 7)  # weeks begin where days since 1970 are a multiple of seven
    days, phi = slice(start, start + whole - 7), of_days[start : start + whole - 7].reshape(-1, 7, of_days.shape[1]).mean(1)
    residual = residuals_of_weeks(4)
    r = residual[0, days, 0].reshape(-1, 7).mean(1)
    error = errors(len(r))
    expected = of_days @ (0.25 * phi.T @ np.linalg.solve(0.25 * phi @ phi.T + error, r))
    found = fit.weeks_of(0, residual[:, days], DAYS[days], of_days[days])
    weight = fit.draw_weights([found], np.array([8]), 1, 1, seed=0)
    np.testing.assert_allclose(of_days @ weight[0, 0, 0], expected, atol=2e-5)
    many = fit.draw_weights([found._replace(along=np.repeat(found.along, 400, axis=1))], np.array([8]), 1, 400, seed=0)
    np.testing.assert_allclose((of_days @ many[:, 0, 0].T).mean(1), expected, atol=2e-4)
    size = fit.amplitude([found], 0)[1]
    variance = 0.25 * size**2 * np.linalg.inv(np.eye(phi.shape[1]) + 0.25 * phi.T @ np.linalg.solve(error, phi))
    some = of_days[::50]
    np.testing.assert_allclose(np.var(some @ many[:, 0, 0].T, axis=1), np.einsum("tk,kl,tl->t", some, variance, some), rtol=0.35)
