"""Tables of scores of posteriors and of plain predictions."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

from hybridflux.evaluate.calibration import PIT
from hybridflux.evaluate.metrics import SCORES
from hybridflux.evaluate.scores import COLUMNS, evaluate, pooled_rmse, score_table, summary

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def scores(posterior, sequences):
    return evaluate(posterior, sequences, draws=60)


def test_one_row_per_site_and_variable(scores, sequences):
    assert tuple(scores.columns) == COLUMNS
    assert list(zip(scores.site, scores.variable, strict=True)) == [(s, v) for s in sequences.places for v in ("NEE", "GPP", "RECO")]
    assert scores.igbp.tolist()[::3] == ["ENF", "DBF", "ENF", "CRO"]
    empty = scores[(scores.site == "S1") & (scores.variable == "RECO")].iloc[0]
    assert empty.n == 0 and np.isnan(empty.nse)
    assert (scores[scores.n > 0].n == 486).all()


def test_known_sites_keep_their_effects_and_others_draw_them(scores):
    assert scores.groupby("site").known.first().tolist() == [True, True, True, False]
    seen = scores[(scores.n > 0) & (scores.variable == "NEE")].set_index("site")
    assert seen.nse[["S0", "S1", "S2"]].min() > 0.5 > seen.nse["S3"]


def test_coverage_on_sites_of_the_fit_is_near_nominal(scores):
    nee = scores[(scores.variable == "NEE") & scores.known]
    for level in (50, 80, 90):
        assert abs(nee[f"coverage{level}"].mean() - level / 100) < 0.15


def test_same_seed_same_scores_whatever_the_company(posterior, sequences, scores):
    again = evaluate(posterior, sequences.select(["S0", "S1"]), draws=60)
    pd.testing.assert_frame_equal(again, scores[scores.site.isin(["S0", "S1"])])
    assert not evaluate(posterior, sequences.select(["S0"]), draws=60, seed=1).crps.equals(scores[scores.site == "S0"].crps)


def test_unseen_sites_do_not_share_their_effects(posterior, sequences):
    twins = sequences.select(["S3", "S3"])
    twins = type(twins)(("T0", "T1"), twins.days, twins.drivers, twins.targets, {})
    table = evaluate(posterior, twins, draws=60)
    assert not np.allclose(table.crps[:3], table.crps[3:])


def test_towers_are_asked_for_what_the_model_needs(posterior, sequences, scores):
    class Towers:
        def sequences(self, names):
            assert set(names) >= {"tair", "par", "fapar", "vpd", "plant_type"}
            return sequences

    pd.testing.assert_frame_equal(evaluate(posterior, Towers(), draws=60), scores)


def test_few_draws_are_repeated_with_other_errors(posterior, sequences):
    ensemble = posterior.thin(3)
    table = evaluate(ensemble, sequences, draws=40, variables=("nee",))
    assert table.coverage90.notna().all()


def test_yearly_scores_are_sums(posterior, sequences):
    full = {name: np.array(np.nan_to_num(values)) for name, values in sequences.targets.items()}
    whole = type(sequences)(sequences.places, sequences.days, sequences.drivers, full, {})
    table = evaluate(posterior, whole, draws=40, step="year", variables=("nee",))
    assert (table.n == 2).all()
    predicted = posterior.thin(40).simulate(whole.select(["S0"]), key=jax.random.fold_in(jax.random.key(0), 0), variables=("nee",))["nee"]
    error = 365 * (np.asarray(predicted).mean(0)[:, 0] - whole.targets["nee"][:, 0]).reshape(2, 365).mean(1)
    assert table.rmse[0] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)


def test_several_steps_stand_in_one_table(posterior, sequences):
    table = evaluate(posterior, sequences, draws=20, step=("day", "week", "hottest"), variables=("nee",))
    assert table.columns.tolist() == [*COLUMNS, "step"] and len(table) == 4 * 3
    day, week, hottest = (table[table.step == step].set_index("site") for step in ("day", "week", "hottest"))
    np.testing.assert_array_equal(day[list(PIT)].sum(axis=1), day.n)
    assert (week.n == [104, 104, 104, 104]).all()  # weeks of four or five observed days, whole ones
    assert (abs(hottest.n - 0.1 * 2 * 153 * 2 / 3) <= 1).all()
    alone = evaluate(posterior, sequences, draws=20, step="week", variables=("nee",))
    pd.testing.assert_frame_equal(week.reset_index()[list(COLUMNS)], alone)


def test_steps_that_read_drivers_say_which(posterior, sequences):
    with pytest.raises(ValueError, match="extreme days need rain"):
        evaluate(posterior, sequences, draws=5, step="drought")
    with pytest.raises(ValueError, match="`weak` is not a step"):
        evaluate(posterior, sequences, draws=5, step="weak")


def test_towers_are_asked_for_what_the_steps_need(posterior, sequences):
    class Towers:
        def sequences(self, names):
            assert {"rain", "vpd"} <= set(names)
            rain = np.ones_like(sequences.drivers["tair"])
            return replace(sequences, drivers={**sequences.drivers, "rain": rain})

    table = evaluate(posterior, Towers(), draws=5, step="driest", variables=("nee",))
    assert (table.n > 15).all()


def test_plain_predictions_and_pooled_rmse(sequences):
    ones = {name: np.nan_to_num(values) + 1.0 for name, values in sequences.targets.items()}
    ones["nee"][:, 0] += 1.0
    table = score_table(sequences, ones, known={"S0"})
    assert table.coverage90.isna().all()
    seen = table[table.n > 0]
    np.testing.assert_allclose(seen.crps, seen.rmse, rtol=1e-5)
    pooled = pooled_rmse(table)
    assert pooled["NEE"] == pytest.approx(np.sqrt((4 + 1 + 1 + 1) / 4), rel=1e-5) and pooled["RECO"] == pytest.approx(1.0, rel=1e-5)


def test_summary_has_medians_and_quartiles_of_all_and_of_each_type():
    rows = [
        {"site": f"S{i}", "igbp": "ENF" if i < 3 else "CRO", "variable": "NEE", "n": 10, "nse": float(i), "known": False} for i in range(5)
    ]
    rows.append({"site": "S9", "igbp": "CRO", "variable": "NEE", "n": 0, "known": False})
    table = summary(pd.DataFrame(rows, columns=list(COLUMNS))).set_index("igbp")
    assert table.index.tolist() == ["all", "CRO", "ENF"]
    assert table.loc["all", ["sites", "n", "nse", "nse_q25", "nse_q75"]].tolist() == [5, 50, 2.0, 1.0, 3.0]
    assert table.loc["ENF", "nse"] == 1.0 and table.loc["CRO", "nse"] == 3.5
    assert set(SCORES[1:]) <= set(table.columns)
