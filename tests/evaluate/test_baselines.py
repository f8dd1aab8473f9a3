"""Climatology and gradient boosting on towers whose fluxes are known."""

import numpy as np
import pytest

from hybridflux.evaluate.baselines import PREDICTORS, Climatology, LightGBM, day_of_year
from hybridflux.evaluate.scores import score_table
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


def test_day_of_year():
    np.testing.assert_array_equal(day_of_year(np.array(["2001-01-01", "2004-12-31"], "datetime64[D]")), [1, 366])


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


def test_baselines_must_be_fitted():
    with pytest.raises(ValueError, match="not fitted"):
        Climatology().predict(towers(["ENF"]))
    with pytest.raises(ValueError, match="not fitted"):
        LightGBM().predict(towers(["ENF"]))


def test_lightgbm_learns_what_climatology_cannot():
    pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'hybridflux[baselines]'")
    sequences, unseen = towers(["ENF", "DBF"], noise=0.1), towers(["DBF", "ENF"], seed=1)
    trees = LightGBM(trees=60).fit(sequences).predict(unseen)
    assert {name: values.shape for name, values in trees.items()} == dict.fromkeys(("nee", "gpp", "reco"), (len(DAYS), 2))
    by_trees = score_table(unseen, trees).set_index(["site", "variable"]).nse
    by_season = score_table(unseen, Climatology().fit(sequences).predict(unseen)).set_index(["site", "variable"]).nse
    assert by_trees.min() > 0.85
    assert (by_trees - by_season).xs("NEE", level="variable").min() > 0.1


def test_lightgbm_says_which_predictor_is_missing():
    pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'hybridflux[baselines]'")
    with pytest.raises(ValueError, match="LightGBM reads vpd_30d"):
        LightGBM().fit(towers(["ENF"], names=[name for name in PREDICTORS if name != "vpd_30d"]))


def test_seventeen_predictors():
    assert len(set(PREDICTORS)) == 17
