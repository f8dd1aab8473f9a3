"""What a posterior remembers of its towers: residuals of months, how they correlate in space, and the days of the fit."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.special import logit, ndtri

from hybridflux.evaluate.scores import evaluate
from hybridflux.inference import (
    conditioned_error,
    fit_structural_correlation,
    fit_structural_error,
    month_covariance,
    tower_residuals,
    training_days,
)
from hybridflux.inference.batch import Indices
from hybridflux.inference.mean_residuals import Means
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.stacking import _members
from hybridflux.inference.unknown_plant_type import UNKNOWN, with_unknown
from hybridflux.model import structural_covariance
from hybridflux.model.flux import HybridFlux
from hybridflux.model.gross_error import GrossError, share_of_gpp
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Pooled, Shared, to_raw
from hybridflux.model.stacked import Stacked
from hybridflux.model.structural_covariance import Errors, Periods
from hybridflux.model.structural_error import BETWEEN_TYPES, FLOOR_SHARE, LEVEL, NAMES, OF_TYPES, RECURRING, StructuralError
from hybridflux.process import direct, light, respiration
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

VALUES = {
    "structural_floor": 0.5, "structural_slope": 0.3, "structural_days": 30.0, "structural_recurring": 0.7, "structural_year": 0.08,
    "structural_place": 0.1, "structural_amplitude": 1e-6, "structural_transient_days": 15.0, "structural_recurring_days": 3650.0,
    "noise_floor": 0.3, "noise_slope": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def sequences():
    random, days = np.random.default_rng(0), np.arange(np.datetime64("2018-01-01"), np.datetime64("2019-01-01"))
    shape = len(days), 3
    drivers = {"par": random.uniform(2, 12, shape), "fapar": random.uniform(0.2, 0.9, shape), "tair": random.uniform(0, 25, shape)}
    nee = random.normal(-1.0, 2.0, shape)
    nee[40:50, 0] = nee[90:, 1] = np.nan  # in February 2018 18 days are left of the first place
    nee[31:60, 2] = np.nan
    drivers = {name: values.astype(np.float32) for name, values in drivers.items()} | {"plant_type": np.array([4, 4, 9], np.int32)}
    return Sequences(("A", "B", "C"), days, drivers, {"nee": nee.astype(np.float32)}, {"nee": np.full(shape, 0.2, np.float32)})


@pytest.fixture(scope="module")
def posterior(sequences):
    model = HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), sources={"light_use_efficiency": Pooled(Shared()), "respiration_ref": Shared()}
    )
    model = with_places(model, {"site": 3, "site_year": 3})
    leaves = {name: 0.3 * jax.random.normal(jax.random.key(1), (40, *leaf.shape)) for name, leaf in learned(model).items()}
    return Posterior(with_learned(model, leaves), Indices(sequences.places, (2018,)), info={"method": "made up"})


def test_residuals_are_those_of_each_draw_and_survive_saving(posterior, sequences, tmp_path):
    found = tower_residuals.of_posterior(posterior, sequences)
    assert found.residual.shape[0] == tower_residuals.MOST_DRAWS and found.row.max() == 31 and (np.diff(found.row) >= 0).all()
    assert [int((found.place == place).sum()) for place in range(3)] == [12, 3, 11]
    month = np.flatnonzero((found.place == 0) & (found.first == np.datetime64("2018-02-01").astype(int)))[0]
    assert found.count[month] == 18 and found.end[month] - found.first[month] == 28
    np.testing.assert_allclose(found.known_sq, 0.04, rtol=1e-5)
    drawn = posterior.pick([39]).predict(sequences)
    seen = np.isfinite(sequences.targets["nee"][31:59, 0])
    error = (sequences.targets["nee"][31:59, 0] - drawn["nee"].values[0, 31:59, 0])[seen]
    assert found.residual[31, month] == pytest.approx(error.mean(), abs=1e-4)
    activity = (0.5 * (drawn["gpp"] + drawn["reco"])).values[0, 31:59, 0][seen]
    assert found.activity[31, month] == pytest.approx(activity.mean(), rel=1e-4)
    whole = replace(posterior, residuals=found, training=training_days.of_posterior(posterior, sequences))
    whole.save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc")
    for name, values in found.to_arrays().items():
        np.testing.assert_array_equal(getattr(again.residuals, name), values)
    np.testing.assert_array_equal(again.thin(4).residuals.row, found.row[[0, 13, 26, 39]])
    assert again.training.names == whole.training.names and again.training.threshold == whole.training.threshold


def of_two_kinds(sequences, members, share):
    """Draws of both kinds as `stack` orders them: members take turns, and NEE of networks is far from that of process members."""
    process = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={"respiration_ref": Shared()})
    networks = {"network_gpp": Shared(), "network_reco": Shared()}
    network = HybridFlux(gpp=(direct.productivity,), reco=(direct.respiration,), sources=networks)
    number, quantile = _members(members, members)
    model = Stacked(process, network, share)
    apart = 0.2 * jax.random.normal(jax.random.key(2), (members,))
    leaves = {name: apart[number] for name in learned(model)} | {"sources.member_kind.z": ndtri(quantile).astype(np.float32)}
    return Posterior(with_learned(model, leaves), Indices.of(sequences), info={"seed": 0})


@pytest.mark.parametrize("members", [8, 16, 32])
def test_residuals_of_a_stacked_posterior_are_those_of_the_kind_and_member_of_each_draw(sequences, members):
    shares = np.full(len(PLANT_TYPES), 0.3)
    shares[9] = 0.6
    stacked = of_two_kinds(sequences, members, shares)
    found = tower_residuals.of_posterior(stacked, sequences)
    nee = stacked.predict(sequences)["nee"].values
    for place in range(3):
        seen = np.isfinite(sequences.targets["nee"][:31, place])
        error = (sequences.targets["nee"][:31, place] - nee[:, :31, place])[:, seen].mean(axis=1)
        month = np.flatnonzero(found.place == place)[0]
        np.testing.assert_allclose(found.residual[found.row, month], error, atol=1e-4)


def test_where_a_stacked_posterior_has_too_many_draws_a_kept_one_of_the_same_kind_stands_for_each(sequences):
    shares = np.full(len(PLANT_TYPES), 0.31)
    shares[9] = 0.62
    model = of_two_kinds(sequences, 500, shares).model
    kept, row = tower_residuals.kept_and_rows(model, sequences.plant_types)
    of_network = _members(500, 500)[1][:, None] < shares[[4, 9]]
    assert len(kept) == tower_residuals.MOST_OF_KINDS and (of_network[kept[row]] == of_network).all()
    assert np.abs(kept[row] - np.arange(500)).max() <= 4


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 0.7])
def test_kinds_keep_their_shares_among_the_draws_whose_spread_is_looked_at(sequences, share):
    model = of_two_kinds(sequences, 16, share).model
    quantile = _members(16, 16)[1]
    kept = tower_residuals.kept_draws(model)
    assert len(set(kept)) == tower_residuals.MOST_DRAWS and abs((quantile[kept] < share).mean() - share) <= 1 / 32


def test_importance_is_what_a_predictor_does_to_the_fluxes(posterior, sequences):
    found = training_days.of_posterior(posterior, sequences)
    weight = dict(zip(found.names, found.weight, strict=True))
    assert set(weight) == {"par", "fapar"} and max(weight.values()) == 1.0  # basal respiration reads nothing
    of = {name: sequences.drivers[name][np.isfinite(sequences.targets["nee"])] for name in weight}
    expected = {"par": of["fapar"].mean() * of["par"].std(), "fapar": of["par"].mean() * of["fapar"].std()}  # d(efficiency par fapar)
    assert weight["par"] / weight["fapar"] == pytest.approx(expected["par"] / expected["fapar"], rel=0.02)
    assert np.bincount(found.place).tolist() == [171, 90, 170]  # the second tower has no more
    np.testing.assert_allclose(found.dissimilarity(found.values), 0.0, atol=2e-3)


def test_importance_in_a_large_fit_is_not_that_of_networks_alone(sequences, monkeypatch):
    """Of many days few draws are looked at, of both kinds; here process members alone read light."""
    monkeypatch.setattr(training_days, "SMALL", 0)
    assert training_days.importance(of_two_kinds(sequences, 8, 0.3), sequences, {"par": 1.0}).tolist() == [1.0]


def test_importance_in_a_large_fit_is_near_that_of_all_draws(sequences, monkeypatch):
    """Draws differ in how much RECO there is beside GPP; the first and the last alone say more of temperature than all do."""
    sources = {"light_use_efficiency": Shared(), "respiration_ref": Shared()}
    model = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal, respiration.lloyd_taylor), sources=sources)
    z = {name: np.zeros(32, np.float32) for name in learned(model)}
    z["sources.respiration_ref.z"] = np.linspace(-3, 3, 32, dtype=np.float32)
    several = Posterior(with_learned(model, z), Indices.of(sequences), info={})
    sd = {name: float(sequences.drivers[name].std()) for name in ("par", "fapar", "tair")}
    of_all = training_days.importance(several, sequences, sd)
    monkeypatch.setattr(training_days, "SMALL", 0)
    few = training_days.importance(several, sequences, sd)
    monkeypatch.setattr(training_days, "MOST_DRAWS", 2)
    ends = training_days.importance(several, sequences, sd)
    assert np.abs(few - of_all).max() < 0.04 and np.abs(ends - of_all).max() > 0.1


@pytest.fixture(scope="module")
def remembering(posterior, sequences):
    """With a structural error whose hyperparameters are known, and residuals."""
    raw = {name: np.full(3, to_raw(VALUES[name], PARAMETERS[name]), np.float32) for name in NAMES}
    known = replace(posterior, structure=StructuralError(raw))
    return replace(known, residuals=tower_residuals.of_posterior(known, sequences))


def test_a_known_tower_is_predicted_through_its_residuals(remembering, sequences):
    """Mean and sd of the error of a month of next year against the formulae of a Gaussian process; a measured month is known."""
    draws, here = remembering.pick(np.zeros(150, int)), sequences.select(["A"])
    next_year = replace(here, days=here.days + 365, targets={}, uncertainty={})
    for asked, months, month in ((here, "all-months", 6), (next_year, "other-months", 3)):
        exact = {name: np.asarray(one) for name, one in draws.simulate(asked, key=jax.random.key(5)).items()}
        found = draws.simulate(asked, key=jax.random.key(5), residuals=months)
        np.testing.assert_allclose(found["nee"], found["reco"] - found["gpp"], atol=1e-4)
        inside = asked.days.astype("datetime64[M]").astype(int) % 12 == month
        error = (np.asarray(found["nee"]) - exact["nee"])[:, inside, 0].mean(1)
        known = draws.residuals.only(draws.residuals.place == 0)
        day = asked.days[inside].astype(int)
        wanted = Periods(day, day + 1)
        every = lambda one, other: structural_covariance.unit_means(VALUES, one, other)  # noqa: E731
        activity = 0.5 * (exact["gpp"] + exact["reco"])[0, inside, 0].astype(float)
        size = lambda one: structural_covariance.size_of(VALUES, one)  # noqa: E731
        rows = Errors(np.arange(len(known.first)), size(known.activity[0].astype(float)), known.activity[0].astype(float))
        columns = Errors(np.arange(len(day)), size(activity), activity)
        within = structural_covariance.covariance(VALUES, every(known.periods, known.periods), rows, rows, 1.0)
        within += np.diag(known.noise(VALUES, 0))
        across = structural_covariance.covariance(VALUES, every(wanted, known.periods), columns, rows, 1.0).mean(0)
        prior = structural_covariance.covariance(VALUES, every(wanted, wanted), columns, columns, 1.0).mean()
        sd = np.sqrt(prior - across @ np.linalg.solve(within, across))
        assert error.mean() == pytest.approx(across @ np.linalg.solve(within, known.residual[0]), abs=4 * sd / 150**0.5)
        assert error.std(ddof=1) == pytest.approx(sd, rel=0.2) and sd < 0.8 * np.sqrt(prior)


@pytest.mark.parametrize("residuals", ["unused", "all-months"])
def test_places_whose_plant_type_nobody_said_are_one_kind(remembering, sequences, residuals):
    """The level of the amplitude is that of the first type, which a fit without plant types learns for all."""
    few, said = remembering.thin(2), replace(sequences.select(["A"]), targets={}, uncertainty={})
    raw = {**few.structure.raw, LEVEL: np.tile(np.eye(1, len(PLANT_TYPES), dtype=np.float32), (3, 1))}
    levelled = replace(few, structure=StructuralError(raw))
    unsaid, first, second = (
        replace(said, drivers={name: one for name, one in said.drivers.items() if name != "plant_type"} | kind)
        for kind in ({}, {"plant_type": np.array([0])}, {"plant_type": np.array([1])})
    )
    found = [levelled.simulate(one, key=jax.random.key(3), noise=True, residuals=residuals)["nee"] for one in (unsaid, first, second)]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01


def without_types(sequences):
    return replace(sequences, drivers={name: one for name, one in sequences.drivers.items() if name != "plant_type"})


@pytest.mark.parametrize("residuals", ["unused", "all-months"])
def test_of_a_fit_that_knew_plant_types_a_place_of_unknown_type_has_the_error_of_no_particular_one(remembering, sequences, residuals):
    """Nothing of what the first type has wrong is in it; a place of the fit has the type that it had there."""
    few, said = remembering.thin(2), replace(sequences.select(["A", "B"]), targets={}, uncertainty={})
    level = np.zeros((3, len(PLANT_TYPES)), np.float32)
    level[:, 0], level[:, 4] = 3.0, 1.0
    places = {"A": {"plant_type": PLANT_TYPES[4]}, "B": {"plant_type": PLANT_TYPES[4]}}
    info = {"plant_types": {PLANT_TYPES[4]: 2}, "places": places}

    def errors(of, places, level=level):
        typed = replace(few, info=info, structure=StructuralError({**few.structure.raw, LEVEL: level}))
        exact = typed.simulate(of, key=jax.random.key(3))["nee"]
        return np.asarray(typed.simulate(replace(of, places=places), key=jax.random.key(3), noise=True, residuals=residuals)["nee"] - exact)

    known = errors(said, ("A", "B"))
    np.testing.assert_array_equal(errors(without_types(said), ("A", "B")), known)
    unseen = errors(without_types(said), ("A", "Z"))[..., 1]
    of_first = errors(replace(said, drivers=said.drivers | {"plant_type": np.zeros(2, int)}), ("A", "Z"))[..., 1]
    assert unseen.std() < 0.3 * of_first.std()  # of an amplitude of exp(3)
    other = np.where(np.arange(len(PLANT_TYPES)) == 0, np.float32(-2), level)
    np.testing.assert_array_equal(errors(without_types(said), ("A", "Z"), other)[..., 1], unseen)


def test_an_unknown_plant_type_is_drawn_from_the_population_of_types():
    spread = np.full(400, to_raw(0.4, PARAMETERS["structural_amplitude"]), np.float32)
    raw = {name: np.full(400, to_raw(VALUES[name], PARAMETERS[name]), np.float32) for name in NAMES} | {"structural_amplitude": spread}
    types = {LEVEL: 2.0, RECURRING: 4.0, FLOOR_SHARE: -4.0}  # of all types with towers
    found = with_unknown(StructuralError(raw | {name: np.full((400, len(PLANT_TYPES)), one, np.float32) for name, one in types.items()}))
    level, again, floor = (np.asarray(found.raw[name])[:, UNKNOWN] for name in (LEVEL, RECURRING, FLOOR_SHARE))
    assert level.mean() == pytest.approx(-0.16, abs=1e-3) and level.std() == pytest.approx(0.4, rel=0.01)  # `prior_level`
    assert again.mean() == pytest.approx(logit(0.7), abs=1e-3) and again.std() == pytest.approx(BETWEEN_TYPES, rel=0.01)
    assert floor.mean() == pytest.approx(logit(0.5 / (0.5 + 4 * 0.3)), abs=1e-3) and abs(np.corrcoef(level, again)[0, 1]) < 0.15
    assert with_unknown(StructuralError(raw)).raw is raw  # of an earlier version, where all types have the same error


def test_a_fit_without_plant_types_learns_one_error_for_all_of_them(posterior, sequences, few_resamples):
    """A map of its model asks for the error of every type; that of the types of its towers is as it was."""
    away = np.arange(40)[:, None] % 3 == np.arange(3)
    learned_of = lambda of: fit_structural_error.learn(posterior.model, of, away, 0)  # noqa: E731
    of_one_type = replace(sequences, drivers=sequences.drivers | {"plant_type": np.zeros(3, int)})
    plain, typed = learned_of(without_types(sequences)), learned_of(of_one_type)
    for name in OF_TYPES:
        rows, first = np.asarray(plain.error.raw[name]), np.asarray(typed.error.raw[name])
        np.testing.assert_array_equal(rows, np.repeat(first[:, :1], len(PLANT_TYPES), axis=1))
        assert np.ptp(first, axis=1).min() > 0.01
    about = "root mean square amplitude, "
    assert plain.summary["quantiles"][about + "all plant types"] == typed.summary["quantiles"][about + PLANT_TYPES[0]]
    assert not any(name.startswith(about) and name.endswith(PLANT_TYPES[0]) for name in plain.summary["quantiles"])


def test_months_that_are_asked_for_are_not_used_unless_it_is_said(remembering, sequences, tmp_path):
    few, there = remembering.thin(4), sequences.select(["A"])
    fluxes = {name: np.asarray(one) for name, one in few.simulate(there, key=jax.random.key(0)).items()}
    nothing = replace(few, residuals=few.residuals.only(np.zeros(len(few.residuals.place), bool)))
    other, without, known = (
        conditioned_error.with_error(one, fluxes, there, months, 7)["nee"] - fluxes["nee"]
        for one, months in ((few, "other-months"), (nothing, "all-months"), (few, "all-months"))
    )
    np.testing.assert_array_equal(other, without)
    march = few.residuals.residual[few.residuals.row, 2]
    off = [np.abs(one[:, 59:90, 0].mean(1) - march).mean() for one in (known, other)]
    assert off[0] < 0.3 and off[1] > 3 * off[0]
    remembering.save(tmp_path / "posterior.nc")
    options = {"seed": 2, "noise": True, "residuals": "all-months", "variables": ("nee",)}
    one, again = (loaded.predict(there, **options) for loaded in (few, Posterior.load(tmp_path / "posterior.nc").thin(4)))
    np.testing.assert_array_equal(one["nee"], again["nee"])
    assert one.attrs["spread"] == "predictive" and one.attrs["residuals"] == "all-months"
    options["noise"] = False
    assert few.predict(there, **options).attrs["spread"] == "parameter+random_effects+structural_error"


def test_what_gpp_and_reco_have_in_common_is_added_to_the_error_that_residuals_inform(remembering, sequences):
    """NEE does not change; g is identifiable from GPP and NEE, has the variance of its hyperparameters, and is not correlated with e."""
    many, there = remembering.thin(150), sequences.select(["A"])
    fluxes = {name: np.asarray(one) for name, one in many.simulate(there, key=jax.random.key(0)).items()}
    gross = GrossError(many.structure, 3.0)
    plain, wide = (conditioned_error.with_error(replace(many, gross=one), fluxes, there, "all-months", 7) for one in (None, gross))
    np.testing.assert_allclose(wide["nee"], plain["nee"], atol=1e-4)
    wrong = {name: wide[name] - fluxes[name] for name in ("nee", "gpp", "reco")}
    common = wrong["gpp"] + share_of_gpp(fluxes["gpp"], fluxes["reco"], 3.0) * wrong["nee"]
    activity = 0.5 * (fluxes["gpp"] + fluxes["reco"])
    keys, kinds = jax.random.split(jax.random.key(1), many.draws), there.plant_types
    drawn = jax.vmap(lambda one, key, of: one.drawn(key, of, kinds))(many.structure.of_draws(many.draws), keys, activity)
    assert common.std() == pytest.approx(float(np.std(drawn)), rel=0.15)
    assert abs(np.corrcoef(common.mean(axis=1).ravel(), wrong["nee"].mean(axis=1).ravel())[0, 1]) < 0.25


@pytest.mark.parametrize("place", ["X", "A"])
def test_what_gpp_and_reco_have_in_common_is_not_the_error_of_nee(remembering, sequences, place):
    """Both had the same random numbers at a place without months: in every draw their courses were the same."""
    there = replace(sequences.select(["A"]), places=(place,))
    fluxes = {name: np.asarray(one) for name, one in remembering.simulate(there, key=jax.random.key(0)).items()}
    gross = GrossError(remembering.structure, 3.0)
    found = conditioned_error.with_error(replace(remembering, gross=gross), fluxes, there, "other-months", 7)
    wrong = {name: found[name] - fluxes[name] for name in ("nee", "gpp")}
    common = wrong["gpp"] + share_of_gpp(fluxes["gpp"], fluxes["reco"], 3.0) * wrong["nee"]
    of_draws = [np.corrcoef(common[draw, :, 0], wrong["nee"][draw, :, 0])[0, 1] for draw in range(remembering.draws)]
    assert abs(np.mean(of_draws)) < 0.25


def test_residuals_that_cannot_be_used_are_refused(posterior, remembering, sequences):
    with pytest.raises(ValueError, match="remembers no residuals of its towers: .* fit again, or leave them unused"):
        posterior.predict(sequences, residuals="all-months")
    with pytest.raises(ValueError, match="residuals `some` are not understood; they are unused, other-months, all-months"):
        remembering.predict(sequences, residuals="some")
    with pytest.raises(ValueError, match="know the measured months that are scored; take `other-months`"):
        evaluate(remembering, sequences, residuals="all-months")
    scores = evaluate(remembering, sequences.select(["A"]), variables=["nee"], draws=4, residuals="other-months")
    assert scores["known"].all() and scores["rmse"].notna().all()


@pytest.mark.parametrize("truth", [0.0, 0.8])
def test_the_likelihood_of_a_pair_finds_the_correlation_of_its_errors(truth):
    """Residuals of two towers of ten years, drawn with a correlation; the second one errs twice as much."""
    random, months, best = np.random.default_rng(3), 120, []
    number = np.tile(np.arange(months), 2).astype(np.int32)
    first, end = (np.floor((number + step) * month_covariance.MONTH).astype(int) for step in (0, 1))
    activity = (4.0 - 3.0 * np.cos(2 * np.pi * number / 12)).astype(np.float32)
    units = structural_covariance.unit_means(VALUES, Periods(first, end), Periods(first, end))
    rows = Errors(np.arange(2 * months), structural_covariance.size_of(VALUES, activity), activity.astype(float))
    place = np.repeat([0, 1], months)
    rho = np.where(place[:, None] == place, 1.0, truth)
    error = structural_covariance.covariance(VALUES, units, rows, rows, rho)
    flat = lambda value: np.full(2 * months, value, np.float32)  # noqa: E731
    root = np.linalg.cholesky(error + np.diag(np.full(2 * months, (0.04 + 0.16) / 20)))
    for _ in range(6):
        residual = np.where(place == 1, 2.0, 1.0) * (root @ random.normal(size=2 * months))
        of_days = flat(1.0), flat(1.0), flat(0.04), flat(20.0), flat(30.0)
        means = Means(residual, np.zeros((0, 2 * months)), flat(0.0), activity, *of_days, place, flat(0.1), number)
        curve = fit_structural_correlation.of_pair(VALUES, means, np.zeros(0), np.array([0, 1]), 0.0)
        best.append(fit_structural_correlation.RHO[curve.argmax()])
    assert np.mean(best) == pytest.approx(truth, abs=0.12)
