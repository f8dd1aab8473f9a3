"""Stacking: shares recover a known mixture; a stacked fit holds draws of both kinds, and a file keeps them."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import norm

from hybridflux.inference import MAP, Ensemble, stacking, training_days
from hybridflux.inference.batch import Indices
from hybridflux.inference.fit_structural_error import Learned, learn
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.stacking import shares, stack
from hybridflux.inference.summary import lines
from hybridflux.inference.towers_beside import joined, without_beside
from hybridflux.model import HybridFlux, Neural, Pooled, Shared, StudentT, observe
from hybridflux.model.compositions import get
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.model.stacked import Stacked
from hybridflux.process import direct, light, respiration
from hybridflux.vocabulary import PLANT_TYPES
from tests.inference.conftest import dark_series

pytestmark = pytest.mark.long

GRA, CRO, DBF = (PLANT_TYPES.index(code) for code in ("GRA", "CRO", "DBF"))


@pytest.mark.parametrize("truth", [0.15, 0.5, 0.8])
def test_shares_of_a_known_mixture_are_recovered(truth):
    """Towers of one year each, drawn from either kind: the prior about equal shares counts as some ten of two thousand."""
    rng = np.random.default_rng(1)
    of_network = rng.random(2000) < truth
    residual = np.where(of_network, rng.normal(2.0, 1.0, 2000), rng.normal(-1.0, 0.7, 2000))
    found = shares(norm.logpdf(residual, -1.0, 0.7), norm.logpdf(residual, 2.0, 1.0), np.ones(2000), np.full(2000, GRA))
    assert found[GRA] == pytest.approx(truth, abs=3 * np.sqrt(truth * (1 - truth) / 2000) + 0.01)


def test_shares_differ_between_plant_types_as_far_as_towers_say():
    """Many towers take the share of their type to its own best; few leave it near that of all; a type without towers takes the centre."""
    kind, better = np.r_[np.full(400, GRA), np.full(400, CRO), np.full(2, DBF)], np.r_[np.full(400, 1.0), np.full(400, -1.0), [1.0, 1.0]]
    found = shares(np.zeros(802), better, np.ones(802), kind)
    assert found[GRA] > 0.8 and found[CRO] < 0.2
    assert 0.5 < found[DBF] < 0.75 and found[PLANT_TYPES.index("EBF")] == pytest.approx(0.5, abs=0.05)
    assert shares(np.zeros(9), np.zeros(9), np.ones(9), np.full(9, GRA)) == pytest.approx(0.5)


def two_kinds():
    noise = {"weight": 0.05}
    process = HybridFlux(
        gpp=(light.absorbed,), reco=(respiration.basal,), sources={"respiration_ref": Pooled(Shared(), spread=0.5)},
        observed=(observe.nee(StudentT(), **noise),),
    )  # fmt: skip
    networks = {"network_gpp": Shared(), "network_reco": Neural("tair", width=2)}
    network = HybridFlux(gpp=(direct.productivity,), reco=(direct.respiration,), sources=networks, observed=(observe.nee(**noise),))
    return Stacked(process, network)


@pytest.fixture(scope="module")
def fitted():
    towers = dark_series(2.3 * np.exp(0.4 * np.random.default_rng(5).normal(size=8)), seed=1)
    return Ensemble(members=4, steps=300).fit(two_kinds(), towers, seed=2), towers


def test_a_stacked_fit_holds_every_member_of_both_kinds(fitted):
    posterior, towers = fitted
    about = posterior.info["stacking"]
    share = about["share_of_networks"]["ENF"]
    assert about["towers"] == 8 and 0 < share < 1 and list(about["share_of_networks"]) == ["ENF"]
    kinds = {kind: posterior.of_kind(kind).predict(towers)["nee"].values for kind in ("process", "network")}
    both = posterior.predict(towers)["nee"].values
    is_kind = {kind: np.isclose(both, alone, rtol=1e-5).all(axis=(1, 2)) for kind, alone in kinds.items()}
    of_network = is_kind["network"]
    assert np.array_equal(of_network, ~is_kind["process"])
    assert posterior.draws == 16 and abs(of_network.mean() - share) <= 0.5 / 16 + 1e-6
    for chosen, predicted in ((of_network, kinds["network"]), (~of_network, kinds["process"])):
        times = np.unique(predicted[chosen][:, 0, 0], return_counts=True)[1]
        assert len(times) == 4 and np.ptp(times) <= 1  # all members of a kind, equally often
    assert any("share of networks among the draws ENF" in line for line in lines(posterior))
    assert not [name for name in posterior.summary().parameter if "member_kind" in name]


def test_what_the_kinds_differ_by_counts_once(fitted, monkeypatch):
    """It is in the spread of a stacked posterior: the structural error of each kind is learned beside the draws of both
    (`test_few_towers.test_the_spread_of_draws_is_counted_once`), from the towers that each draw left out."""
    towers = fitted[1]
    kinds = {kind: Ensemble(members=4, steps=300)._fit(one, towers, 2, lambda *_: None) for kind, one in two_kinds().kinds().items()}
    seen = []
    monkeypatch.setattr(stacking, "learn", lambda *of: seen.append(of) or learn(*of))
    again = stack(kinds, towers, 2)
    for (kind, (posterior, _)), (model, _, left_out, _, predicted) in zip(kinds.items(), seen, strict=True):
        assert model is posterior.model and isinstance(predicted, Stacked) and len(learned(predicted)["sources.member_kind.z"]) == 16
        for at, place in enumerate(towers.places):
            assert np.flatnonzero(left_out[:, at]).tolist() == posterior.info["draws_without"][place], kind
    summaries = [learn(*of).summary for of in seen]
    assert [again.info[name] for name in ("structural_error", "structural_error_of_networks")] == summaries


def test_draws_that_left_a_tower_out_are_known(fitted):
    """Both kinds leave the same towers out in the same members, so that every draw of a tower's list has not seen it, whatever its kind."""
    without = fitted[0].info["draws_without"]
    assert set(without) == set(fitted[1].places)
    assert all(len(draws) == 4 and draws[3] == draws[0] + 3 for draws in without.values())


def test_of_some_draws_and_of_one_kind_it_is_known_which_left_a_tower_out(fitted):
    """The numbers of all draws stayed: towers counted as never seen by draws that were fitted to them."""
    posterior, towers = fitted
    for pick in ([15, 3, 2, 3], range(5, 11)):
        np.testing.assert_array_equal(posterior.pick(pick).left_out, posterior.left_out[list(pick)])
    np.testing.assert_array_equal(posterior.thin(32).left_out, np.tile(posterior.left_out, (2, 1)))
    other = towers.places[-1]
    both = {"process": {other: [1, 2]}, "network": {other: [7]}}
    named = replace(posterior, info=posterior.info | {"draws_without_of_kinds": both}).pick([7, 2, 1])
    assert named.of_kind("process").info["draws_without"] == {other: [1, 2]}
    assert named.of_kind("network").info["draws_without"] == {other: [0]} and "draws_without_of_kinds" not in named.of_kind("network").info
    for kind in ("process", "network"):
        np.testing.assert_array_equal(posterior.of_kind(kind).left_out, posterior.left_out)  # in this fit both leave the same towers out


def test_what_counts_as_outside_is_asked_of_both_kinds(fitted, monkeypatch):
    """Of many days two draws were asked, of the same quantile of their members: networks alone."""
    posterior, towers = fitted
    sd = {name: float(np.std(towers.drivers[name])) for name in training_days.predictors(posterior, towers)}
    monkeypatch.setattr(training_days, "SMALL", 0)
    asked, pick = [], Posterior.pick
    monkeypatch.setattr(Posterior, "pick", lambda self, numbers: (asked.append(np.array(numbers)), pick(self, numbers))[1])
    training_days.importance(posterior, towers, sd)
    is_kind = {kind: np.isclose(posterior.predict(towers)["nee"], posterior.of_kind(kind).predict(towers)["nee"]).all(axis=(1, 2))
               for kind in ("process", "network")}  # fmt: skip
    assert all(of_kind[asked[0]].any() for of_kind in is_kind.values())


def test_a_file_keeps_both_kinds(fitted, tmp_path):
    posterior, towers = fitted
    posterior.save(tmp_path / "stacked.nc")
    again = Posterior.load(tmp_path / "stacked.nc")
    assert to_spec(again.model) == to_spec(posterior.model) and again.info["stacking"] == posterior.info["stacking"]
    before, after = (one.predict(towers) for one in (posterior, again))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert all(np.array_equal(raw, again.structure.raw[name]) for name, raw in posterior.structure.raw.items())


def test_equal_shares_where_no_tower_was_left_out():
    towers = dark_series([2.0, 3.0, 2.5], days=60)
    posterior = MAP(steps=20).fit(two_kinds(), towers)
    assert posterior.draws == 4 and posterior.info["stacking"]["share_of_networks"] == {"ENF": 0.5}
    assert posterior.info["stacking"]["from"].startswith("equal: fewer than 5 towers")


def test_what_is_not_there_or_cannot_be_stacked_is_refused(fitted):
    process, network = two_kinds().kinds().values()
    with pytest.raises(ValueError, match="both kinds have the parameter light_use_efficiency, respiration_ref"):
        Stacked(process, process)
    with pytest.raises(ValueError, match="no memory of its own"):
        Stacked(network, get("hybrid"))
    with pytest.raises(ValueError, match="not between 0 and 1"):
        Stacked(process, network, share=1.2)
    with pytest.raises(ValueError, match="no `network` members; it has process"):
        fitted[0].of_kind("process").of_kind("network")


def test_the_composition_is_kept_as_it_is():
    model = get("stacked")
    assert to_spec(from_spec(to_spec(model))) == to_spec(model)
    assert {"nirv_30d", "lswi_30d", "tair_90d"} <= set(model.needs()) and {row.name for row in model.targets()} >= {"nee_night", "gpp"}


def elsewhere(offset=0):
    """Six towers of another record, whose respiration follows temperature, and no driver but those of the network."""
    towers = dark_series([4.0] * 6, seed=9, days=150)
    days = towers.days + np.timedelta64(offset, "D")
    warm = (10.0 + 10.0 * np.sin(np.arange(150) / 20.0))[:, None] * np.ones(6)
    targets = {"nee": (towers.targets["nee"] + 0.1 * (warm - 10.0)).astype(np.float32)}
    drivers = {"tair": warm.astype(np.float32), "plant_type": towers.drivers["plant_type"]}
    return replace(towers, places=tuple(f"Q{at}" for at in range(6)), days=days, drivers=drivers, targets=targets)


def test_towers_beside_keep_their_days_and_add_no_observation():
    towers, others = dark_series([2.0, 3.0], days=60), elsewhere(offset=-200)
    both = joined(towers, others)
    assert both.places == (*towers.places, *others.places) and set(both.drivers) == {"tair", "plant_type"}
    assert both.days[0] == others.days[0] and both.days[-1] == towers.days[-1] and np.all(np.diff(both.days).astype(int) == 1)
    for one in (towers, others):
        here = both.select(one.places)
        at = np.isin(here.days, one.days)
        assert np.array_equal(here.targets["nee"][at], one.targets["nee"], equal_nan=True)
        assert np.array_equal(here.drivers["tair"][at], one.drivers["tair"]) and np.isfinite(here.drivers["tair"]).all()
        assert np.isnan(here.targets["nee"][~at]).all()
    with pytest.raises(ValueError, match="P0, P1 would be fitted to twice"):
        joined(towers, towers)


def network_of_both(towers, others, by="site"):
    """Four draws of a network of towers and others, and which of them left out which place: each place by one."""
    both, noise = joined(towers, others), {"weight": 0.05}
    reco = Pooled(Neural("tair", width=2), by=by)
    model = HybridFlux(
        gpp=(direct.productivity,), reco=(direct.respiration,), sources={"network_gpp": Shared(), "network_reco": reco},
        observed=(observe.nee(**noise),),
    )  # fmt: skip
    one = with_places(model, Indices.of(both).sizes())
    leaves = {
        name: 0.3 * jax.random.normal(jax.random.key(number), (4, *leaf.shape)) for number, (name, leaf) in enumerate(learned(one).items())
    }
    info = {
        "seed": 0, "places": {place: {"days": {"nee": 1}} for place in both.places}, "observed_days": {"nee": len(both.places)},
        "draws_without": {place: [at % 4] for at, place in enumerate(both.places)},
    }  # fmt: skip
    return Posterior(with_learned(one, leaves), Indices.of(both), info=info), both


@pytest.mark.parametrize("offset", [0, -3, -200])
def test_towers_beside_change_no_period_that_the_shares_rest_on(offset):
    """Weeks, months and years at which the kinds are compared are those of the fit, whenever the other records begin."""
    towers, others = dark_series(2.3 * np.exp(0.4 * np.random.default_rng(5).normal(size=6)), days=300), elsewhere(offset)
    posterior, both = network_of_both(towers, others)
    trimmed, about = without_beside((posterior, learn(posterior.model, both, posterior.left_out, 0)), towers)
    alone = learn(trimmed.model, towers, np.arange(4)[:, None] == np.arange(6) % 4, 0).unseen
    assert all(np.array_equal(one, other) for one, other in zip(about.unseen, alone, strict=True))


def test_effects_of_years_are_those_of_the_years_of_the_fit():
    """Towers beside have years before those of the fit, and the fit has two."""
    towers, others = dark_series([2.0, 3.0, 2.5], days=400), elsewhere(offset=-500)
    posterior, _ = network_of_both(towers, others, by="site_year")
    posterior = replace(posterior, info={**posterior.info, "draws_without": {}})
    trimmed, _ = without_beside((posterior, Learned(None, {}, {})), towers)
    assert trimmed.indices.years == (2019, 2020) and posterior.indices.years == (2017, 2018, 2019, 2020)
    assert learned(trimmed.model)["sources.network_reco.z.effect"].shape == (4, 6)
    assert np.array_equal(trimmed.predict(towers)["reco"], posterior.predict(towers)["reco"])


def test_networks_learn_from_towers_beside_and_process_members_do_not(fitted, tmp_path):
    """The towers of the fit all stand at 10 degrees: only those beside can say that respiration rises with temperature."""
    alone, towers = fitted
    posterior = Ensemble(members=4, steps=300).fit(two_kinds(), towers, seed=2, beside=elsewhere(offset=-40))
    assert posterior.places == alone.places and posterior.info["towers_beside"] == [f"Q{at}" for at in range(6)]
    before, after = (learned(one.of_kind("process").model)["sources.respiration_ref.source.z"] for one in (alone, posterior))
    assert len(before) == len(after) and np.array_equal(before, after)
    warm = replace(towers, drivers={**towers.drivers, "tair": towers.drivers["tair"] + np.float32(8.0)})
    rise = {
        name: float((one.of_kind("network").predict(warm)["nee"] - one.of_kind("network").predict(towers)["nee"]).mean())
        for name, one in (("alone", alone), ("beside", posterior))
    }
    assert rise["beside"] == pytest.approx(0.8, abs=0.3) and abs(rise["alone"]) < 0.5 * rise["beside"]
    without = posterior.info["draws_without"]
    assert set(without) == set(towers.places) and all(without.values())
    assert any("6 towers beside these too: Q0" in line for line in lines(posterior))
    posterior.save(tmp_path / "beside.nc")
    again = Posterior.load(tmp_path / "beside.nc")
    assert np.array_equal(again.predict(towers)["nee"], posterior.predict(towers)["nee"])


def test_towers_beside_are_for_networks_alone():
    process = two_kinds().kinds()["process"]
    with pytest.raises(ValueError, match="only the networks of a stacked model learn from towers beside"):
        MAP(steps=5).fit(process, dark_series([2.0, 3.0], days=60), beside=elsewhere())
