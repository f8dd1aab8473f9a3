"""What GPP and RECO have wrong in common: its equations, its recovery from left-out towers, and intervals of places never seen."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri

from hybridflux.inference import MAP
from hybridflux.inference.batch import Indices
from hybridflux.inference.fit_gross_error import of_posterior
from hybridflux.inference.fit_structural_error import learn as learn_structural_error
from hybridflux.inference.mean_residuals import judged
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.stacking import _members
from hybridflux.model import Fixed, HybridFlux, Pooled, Sequences, Shared, StudentT, observe
from hybridflux.model.gross_error import GrossError, share_of_gpp
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sources import to_raw
from hybridflux.model.stacked import Stacked
from hybridflux.model.structural_error import NAMES, StructuralError, prior_of
from hybridflux.process import direct, light, respiration
from hybridflux.vocabulary import CARBON, PARAMETERS

pytestmark = pytest.mark.long

DAYS, TOWERS, SD = 730, 24, 0.2


def error_of(size, year=0.02):
    """The prior, its size and its part of a year changed; without a measuring error to speak of."""
    prior = dict(zip(NAMES, prior_of(45)[0], strict=True))
    values = {name: PARAMETERS[name].typical * size for name in ("structural_floor", "structural_slope", "structural_place")}
    values |= {"structural_year": year, "noise_floor": 0.021, "noise_slope": 1e-3, "structural_amplitude": 0.05}
    return StructuralError({**prior, **{name: float(to_raw(value, PARAMETERS[name])) for name, value in values.items()}})


@pytest.fixture(scope="module")
def model():
    """GPP and Reco are one number each."""
    return HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,),
        sources={"respiration_ref": Pooled(Shared(), spread=0.1), "light_use_efficiency": Shared()},
        observed=(observe.nee(StudentT(floor=Fixed(SD), slope=Fixed(1e-3), tail=Fixed(39.0))),),
    )  # fmt: skip


def fluxes_of(shape, gpp=4.0, reco=3.0):
    return {"nee": jnp.full(shape, reco - gpp), "gpp": jnp.full(shape, gpp), "reco": jnp.full(shape, reco)}


def towers(model, net, gross, seed=0):
    """Towers whose fluxes are those of the model at its prior medians with both errors."""
    day = np.ones((DAYS, TOWERS), np.float32)
    when = np.datetime64("2019-01-01") + np.arange(DAYS).astype("timedelta64[D]")
    drivers = {"par": 8.0 * day, "fapar": 0.5 * day, "tair": 10.0 * day, "plant_type": np.zeros(TOWERS, np.int32)}
    blank = Sequences(tuple(f"P{at}" for at in range(TOWERS)), when, drivers, {name: day for name in CARBON}, {})
    whole = with_places(model, Indices.of(blank).sizes())
    whole = with_learned(whole, jax.tree.map(jnp.zeros_like, learned(whole)))
    fluxes = {name: jnp.broadcast_to(one, day.shape) for name, one in whole.fluxes({**drivers, **Indices.of(blank).lookup(blank)}).items()}
    kinds, key = np.zeros(TOWERS, int), jax.random.key(seed)
    found = gross.sample(net, key, {name: fluxes[name] for name in CARBON}, {}, kinds)
    return replace(blank, targets={name: np.asarray(one, np.float32) for name, one in found.items()}), whole


def test_nee_is_the_difference_in_every_draw_and_has_nothing_of_the_gross_error(monkeypatch):
    net, gross, shape = error_of(1.0), GrossError(error_of(2.0), 3.0), (500, 40)
    key, nobody = jax.random.key(3), jnp.zeros(())
    fluxes = fluxes_of(shape)
    whole = gross.sample(net, key, fluxes, {}, None)
    np.testing.assert_array_equal(whole["nee"], net.sample(jax.random.fold_in(key, 0), fluxes["nee"], jnp.full(shape, 3.5), nobody))
    monkeypatch.setattr(StructuralError, "noise", lambda *_: 0.0)
    found = gross.sample(net, key, fluxes, {}, None)
    np.testing.assert_allclose(found["nee"], found["reco"] - found["gpp"], atol=1e-5)
    wrong = {name: np.asarray(found[name] - fluxes[name]) for name in CARBON}
    share = float(share_of_gpp(4.0, 3.0, 3.0))
    common = (1.0 - share) * wrong["gpp"] + share * wrong["reco"]
    assert share == pytest.approx(0.8) and abs(np.corrcoef(common.ravel(), wrong["nee"].ravel())[0, 1]) < 0.1
    assert common.std() == pytest.approx(2.0 * wrong["nee"].std(), rel=0.15)
    winter = gross.sample(net, key, fluxes_of(shape, gpp=0.0), {}, None)
    np.testing.assert_allclose(winter["reco"] - winter["gpp"], winter["nee"], atol=1e-5)
    only = GrossError(error_of(2.0), 1e-6).sample(net, key, fluxes_of(shape, gpp=0.0), {}, None)
    np.testing.assert_allclose(winter["gpp"], only["gpp"], atol=1e-5)  # without GPP all of the error of NEE is one of RECO


@pytest.fixture(scope="module", params=[(0.3, 0.4), (1.5, 6.0)], ids=["small", "large"])
def learned_from(request, model):
    """Size and odds of towers, and a posterior of six draws, each of which left four of twenty-four towers out."""
    size, odds = request.param
    seen, whole = towers(model, error_of(1.0), GrossError(error_of(size), odds))
    draws = with_learned(whole, {name: jnp.zeros((6, *leaf.shape)) for name, leaf in learned(whole).items()})
    away = np.tile(np.eye(6, dtype=bool), 4)
    without = {place: np.flatnonzero(away[:, at]).tolist() for at, place in enumerate(seen.places)}
    net = learn_structural_error(draws, seen, away, 0)
    posterior = Posterior(draws, Indices.of(seen), info={"draws_without": without, "seed": 0}).with_structure(net.error, net.spread)
    gross, about = of_posterior(posterior, seen)
    assert about["odds_of_gpp"] == pytest.approx(gross.odds, abs=1e-3) and about["residuals"] == "of draws that left the tower out"
    return size, odds, replace(posterior, gross=gross)


def test_size_and_odds_are_recovered_from_left_out_towers(learned_from):
    """The prior counts as ten towers, and says 1 of both."""
    size, odds, posterior = learned_from
    months = [jnp.float32(value) for value in (3.5, 3.5, 3.5**2, 0.0, 30.0, 30.0)]
    gross = posterior.gross
    of_found, of_truth = (
        float(np.sqrt(np.mean(one.variance_of_mean(*months) * np.exp(2.0 * one.level(0))))) for one in (gross.error, error_of(size))
    )
    assert abs(np.log(gross.odds / odds)) < 0.8 and np.log(gross.odds) * np.log(odds) > 0
    assert of_found == pytest.approx(of_truth, rel=0.35)


def test_intervals_of_gpp_and_reco_of_places_never_seen(learned_from, model, tmp_path):
    """What it says of months of other towers holds; a file keeps it; without it intervals are those of the error of NEE alone."""
    size, odds, few = learned_from
    others, _ = towers(model, error_of(1.0), GrossError(error_of(size), odds), seed=2)
    new = replace(others, places=tuple(f"Q{at}" for at in range(TOWERS)))
    held = {}
    for name, one in (("with", few), ("without", replace(few, gross=None))):
        drawn = one.thin(200).predict(new, noise=True, seed=3)
        for flux in CARBON:
            means = drawn[flux].values[:, :720].reshape(200, 24, 30, TOWERS).mean(axis=2)
            low, high = np.quantile(means, (0.05, 0.95), axis=0)
            truth = new.targets[flux][:720].reshape(24, 30, TOWERS).mean(axis=1)
            held[name, flux] = float(((truth >= low) & (truth <= high)).mean())
    assert held["with", "nee"] == held["without", "nee"]
    assert all(0.82 < held["with", flux] < 0.98 for flux in CARBON)
    gross = [held["without", flux] for flux in ("gpp", "reco")]
    assert max(gross) < 0.75 if size > 1.0 else min(gross) > 0.98
    few.save(tmp_path / "fit.nc")
    before, after = (one.predict(new, noise=True, seed=3) for one in (few, Posterior.load(tmp_path / "fit.nc")))
    assert all(np.array_equal(before[name], after[name]) for name in CARBON)


def of_two_kinds(members, share):
    """Draws of both kinds as `stack` orders them; GPP of process members is 4 gC m-2 d-1 where that of networks is 3."""
    process = HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), sources={"respiration_ref": Shared(), "light_use_efficiency": Fixed(1.0)}
    )
    networks = {"network_gpp": Shared(), "network_reco": Shared()}
    network = HybridFlux(gpp=(direct.productivity,), reco=(direct.respiration,), sources=networks)
    _, quantile = _members(members, members)
    model = Stacked(process, network, share)
    leaves = {name: np.zeros(len(quantile), np.float32) for name in learned(model)}
    return with_learned(model, leaves | {"sources.member_kind.z": ndtri(quantile).astype(np.float32)})


def seen_at(model, kinds):
    """A fit to places of some plant types, of 100 days, and whether a network judges the GPP of each."""
    day = np.ones((100, len(kinds)), np.float32)
    when = np.datetime64("2019-01-01") + np.arange(100)
    drivers = {"par": 8.0 * day, "fapar": 0.5 * day, "tair": 10.0 * day, "plant_type": np.asarray(kinds, np.int32)}
    seen = Sequences(tuple(f"P{at}" for at in range(len(kinds))), when, drivers, {name: day for name in CARBON}, {})

    def of_network(left_out):
        return np.array([one.modelled["gpp"].mean() < 3.5 for one in sorted(judged(model, seen, left_out), key=lambda one: one.place)])

    return seen, of_network


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("members", [8, 40])
def test_kinds_judge_as_many_left_out_towers_as_their_shares(share, members):
    """Each tower was left out by one member of both kinds, whose draws are one after the other; two plant types take turns."""
    model = of_two_kinds(members, share)
    _, of_network = seen_at(model, [0, 9] * 20)
    number, _ = _members(members, members)
    away = number[:, None] == np.random.default_rng(3).permutation(40) % members
    found = of_network(away)
    for kind in (0, 1):
        assert len(found) == 40 and abs(found[kind::2].mean() - share) < (0.13 if members == 8 else 0.25)  # 40 members have one draw each


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_kinds_judge_as_many_towers_as_their_shares_where_all_draws_saw_all(share):
    """Of 500 draws that are ordered by their kinds, as of a sampler."""
    _, of_network = seen_at(of_two_kinds(500, share), [0, 9] * 10)
    assert abs(of_network(None).mean() - share) <= 0.1


def test_a_tower_that_no_draw_left_out_is_not_judged():
    """Where networks learned from towers beside too, a draw may be of the kind that was fitted to a tower, in all draws of a tower."""
    model = of_two_kinds(8, 0.5)
    away = np.zeros((32, 3), bool)
    away[4, 0], away[9, 2] = True, True
    seen, _ = seen_at(model, [0, 0, 0])
    assert [one.place for one in judged(model, seen, away)] == [0, 2]


def test_where_gpp_and_reco_were_not_measured_there_is_none(model):
    seen, _ = towers(model, error_of(1.0), GrossError(error_of(1.0), 1.0))
    fitted = MAP(steps=20).fit(model, replace(seen, targets={"nee": seen.targets["nee"]}))
    assert fitted.gross is None and "structural_error_of_gross_fluxes" not in fitted.info
