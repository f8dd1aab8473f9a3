"""Climatology, boosted trees and the quantile forest on towers whose fluxes are known."""

import numpy as np
import pytest

from hybridflux.evaluate.baselines import PREDICTORS, Climatology, LightGBM, QuantileForest, XGBoost, baseline_of
from hybridflux.evaluate.baselines.forest import wandering_ranks
from hybridflux.evaluate.calibration import coverage_curve
from hybridflux.evaluate.scores import score_table
from hybridflux.evaluate.seasons import day_of_year
from hybridflux.model import compositions
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PLANT_TYPES

DAYS = np.arange("2001-01-01", "2004-01-01", dtype="datetime64[D]")
LEVEL = {"ENF": 1.0, "DBF": 3.0}


def towers(codes, noise=0.0, names=PREDICTORS, seed=0):
    rng = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * (day_of_year(DAYS) - 100) / 365.25)[:, None]
    level = np.array([LEVEL.get(code, 9.0) for code in codes])
    shape = (len(DAYS), len(codes))
    drivers = {name: rng.normal(size=shape).astype(np.float32) for name in names if name not in ("plant_type", "day_of_year")}
    drivers["plant_type"] = np.array([PLANT_TYPES.index(code) for code in codes])
    gpp = level * (1.2 + season)
    clean = {"gpp": gpp, "reco": 0.5 * gpp, "nee": 0.5 * gpp - gpp - 0.8 * drivers.get("par", np.zeros(shape))}
    targets = {name: values + noise * rng.normal(size=shape) for name, values in clean.items()}
    return Sequences(tuple(f"S{i}" for i in range(len(codes))), DAYS, drivers, targets, {})


def test_climatology_is_the_season_of_the_plant_type():
    fitted = Climatology().fit(towers(["ENF", "ENF", "DBF"], noise=0.5))
    unseen = towers(["DBF", "ENF"], seed=1)
    scores = score_table(unseen, fitted.predict(unseen), variables=("gpp", "reco"))
    assert scores.nse.min() > 0.97
    assert abs(scores.bias).max() < 0.1


def test_climatology_of_a_new_type_is_that_of_all_sites():
    sequences = towers(["ENF", "DBF"])
    fitted = Climatology(window=1).fit(sequences)
    predicted = fitted.predict(towers(["CRO"]))["gpp"]
    np.testing.assert_allclose(predicted[:, 0], sequences.targets["gpp"].mean(axis=1), rtol=1e-6)


def test_climatology_does_not_let_a_long_record_win_and_bridges_gaps():
    sequences = towers(["ENF", "ENF"])
    sequences.targets["gpp"][:, 0] = 2.0
    sequences.targets["gpp"][:, 1] = 4.0
    sequences.targets["gpp"][400:, 1] = np.nan  # one year against three
    sequences.targets["gpp"][170:190, :] = np.nan
    predicted = Climatology(variables=("gpp",)).fit(sequences).predict(sequences)
    assert tuple(predicted) == ("gpp",)
    np.testing.assert_allclose(predicted["gpp"], 3.0)


BOOSTED = pytest.mark.parametrize("kind", [LightGBM, XGBoost])


def needs(kind):
    module = kind.__name__.lower() if kind is not QuantileForest else "sklearn"
    pytest.importorskip(module, reason=f"{module} is not installed: pip install 'hybridflux[baselines]'")


@pytest.mark.parametrize("kind", [Climatology, LightGBM, XGBoost, QuantileForest])
def test_baselines_must_be_fitted(kind):
    with pytest.raises(ValueError, match=f"not fitted; use {kind.__name__}"):
        kind().predict(towers(["ENF"]))


@BOOSTED
def test_trees_learn_what_climatology_cannot(kind):
    needs(kind)
    sequences, unseen = towers(["ENF", "DBF"], noise=0.1), towers(["DBF", "ENF"], seed=1)
    trees = kind(trees=60).fit(sequences).predict(unseen)
    assert {name: values.shape for name, values in trees.items()} == dict.fromkeys(("nee", "gpp", "reco"), (len(DAYS), 2))
    by_trees = score_table(unseen, trees).set_index(["site", "variable"]).nse
    by_season = score_table(unseen, Climatology().fit(sequences).predict(unseen)).set_index(["site", "variable"]).nse
    assert by_trees.min() > 0.85
    assert (by_trees - by_season).xs("NEE", level="variable").min() > 0.1


@pytest.mark.parametrize("kind", [LightGBM, XGBoost, QuantileForest])
def test_trees_say_which_predictor_is_missing(kind):
    needs(kind)
    with pytest.raises(ValueError, match=f"{kind.__name__} reads vpd_30d"):
        kind().fit(towers(["ENF"], names=[name for name in PREDICTORS if name != "vpd_30d"]))


def uneven(seed, places=3):
    """Fluxes around 2 tair whose spread is 0.5 + |tair|: `[time, place]`."""
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), places)
    tair = rng.uniform(-2, 2, shape).astype(np.float32)
    nee = 2 * tair + (0.5 + np.abs(tair)) * rng.normal(size=shape)
    drivers = {"tair": tair, "plant_type": np.zeros(places, int)}
    return Sequences(tuple(f"S{i}" for i in range(places)), DAYS, drivers, {"nee": nee}, {})


@pytest.fixture(scope="module")
def forest():
    needs(QuantileForest)
    settings = {"n_estimators": 50, "min_samples_leaf": 40, "max_samples": 0.5, "random_state": 0}
    return QuantileForest(variables=("nee",), predictors=("tair",), settings=settings).fit(uneven(0))


def test_forest_knows_where_the_spread_is_wide(forest):
    unseen = uneven(1)
    draws = forest.draws(unseen, count=200, seed=2)["nee"]
    curve = coverage_curve(unseen.targets["nee"], draws, levels=(0.5, 0.8, 0.9))
    np.testing.assert_allclose(curve.covered, curve.level, atol=0.03)
    tair, spread = unseen.drivers["tair"], draws.std(axis=0)
    for where, expected in ((np.abs(tair) < 0.3, 0.65), (np.abs(tair) > 1.7, 2.35)):
        assert spread[where].mean() == pytest.approx(expected, rel=0.15)
        assert coverage_curve(unseen.targets["nee"][where], draws[:, where], (0.8,)).covered[0] == pytest.approx(0.8, abs=0.05)


def test_draws_of_the_forest_have_the_mean_it_predicts_and_repeat(forest):
    unseen = uneven(1, places=1)
    draws = forest.draws(unseen, count=400, seed=0)["nee"]
    error = draws.mean(axis=0) - forest.predict(unseen)["nee"]
    assert np.abs(error).max() < 5 * draws.std(axis=0).max() / np.sqrt(400)
    np.testing.assert_array_equal(draws[:3], forest.draws(unseen, count=3, seed=0)["nee"])
    assert not np.array_equal(draws[:3], forest.draws(unseen, count=3, seed=1)["nee"])


def test_mean_of_the_forest_is_that_of_the_leaves_by_hand(forest):
    rows = np.array([[0.5]], np.float32)
    inner, train = forest.forests["nee"].forest, uneven(0)
    all_rows, targets = train.drivers["tair"].reshape(-1, 1), train.targets["nee"].reshape(-1)
    same = inner.apply(all_rows) == inner.apply(rows)
    by_hand = np.mean([targets[same[:, tree]].mean() for tree in range(same.shape[1])])
    assert forest.forests["nee"].mean(rows)[0] == pytest.approx(by_hand, rel=1e-5)


def test_ranks_are_uniform_and_forget_with_their_memory():
    ranks = wandering_ranks(np.random.default_rng(0), (4000, 40), 30.0)
    np.testing.assert_allclose(np.histogram(ranks, 10, (0, 1))[0] / ranks.size, 0.1, atol=0.012)
    score = ranks - 0.5
    correlation = (score[30:] * score[:-30]).mean() / (score**2).mean()
    assert correlation == pytest.approx(6 / np.pi * np.arcsin(np.exp(-1) / 2), abs=0.05)  # of ranks, for normal scores 1/e
    assert abs(np.corrcoef(*(wandering_ranks(np.random.default_rng(0), (4000, 1), 0.0)[:, 0][lag:][:3999] for lag in (0, 1)))[0, 1]) < 0.05


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "quantile-forest"])
def test_trees_beside_a_model_see_the_satellites_that_it_sees(name):
    assert baseline_of(name, compositions.get("hybrid").needs()).predictors == PREDICTORS
    green = baseline_of(name, compositions.get("hybrid_water").needs()).needs
    assert {"nirv", "nirv_30d", "lswi", "lswi_30d", "rain_90d"} <= {*green} and not any(one.startswith("fapar") for one in green)
    assert type(baseline_of("climatology", ("nirv",))) is Climatology


def test_seventeen_predictors():
    assert len(set(PREDICTORS)) == 17
