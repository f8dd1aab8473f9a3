"""Experiments on drought years and French towers run in their smoke size on the real data."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent


def run(script: str, shared: Path, out: Path) -> None:
    """Run an experiment as a user would."""
    towers = shared / "data" / "towers"
    if not towers.is_dir():
        pytest.skip(f"no real data at {towers}")
    command = [sys.executable, "-W", "ignore", str(ROOT / "experiments" / script), "--smoke", "--data", str(towers), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_droughts_that_were_not_fitted_are_scored_beside_all_baselines_on_the_same_days(shared, tmp_path):
    run("e04_drought_years.py", shared, tmp_path)
    scores = pd.read_csv(tmp_path / "scores.csv")
    trees = {"LightGBM", "LightGBM, site known", "XGBoost", "quantile forest"}
    average = "mean of hybrid_water and LightGBM, site known"
    ours = {"hybrid_water", "stacked", "no water", average, "hybrid_water, discrepancy", "stacked, discrepancy"}
    assert {*ours, "climatology", "VPRM re-fitted", "VPRM EU2007", *trees} == set(scores.model)
    days = scores[scores.variable == "NEE"].groupby(["step", "model"]).n.sum().unstack()
    assert (days.loc["drought"] > 20).all() and days.nunique(axis=1).eq(1).all()  # all models on the same periods
    water = pd.read_csv(tmp_path / "water.csv").set_index(["fit", "parameter"])
    assert 0.05 < water.loc[("all days", "rew_critical"), "median"] < 0.95
    few = water[water.draws < 20]  # members tell no contraction: undecided, if fluxes depend on the parameter at all
    assert few.contraction.isna().all() and set(few.verdict) <= {"undecided", "dead"}
    weeks = pd.read_csv(tmp_path / "water_short.csv").set_index(["days of", "seed", "model", "variable", "site"]).sort_index()
    all_days, short = (weeks.loc[name] for name in ("all days of drought", "water is short"))
    again = scores[(scores.step == "drought") & (scores.n > 0)].set_index(["model", "variable", "site"]).rmse
    for model in ("hybrid_water", "no water"):  # the same weeks as the step `drought` scores, to what a file of float32 holds
        assert np.allclose(all_days.loc[4, model].rmse, again[model].reindex(all_days.loc[4, model].index), rtol=1e-4)
    assert len(short) and (short.n <= all_days.n.reindex(short.index)).all() and (short.days < all_days.days.reindex(short.index)).any()
    summers = pd.read_csv(tmp_path / "summers.csv")
    assert set(summers.year) == {2003} and (summers.low < summers.high).all() and (summers.sd > 0).all()
    assert summers.groupby("model").size().to_dict() == dict.fromkeys(("hybrid_water", "hybrid_water, discrepancy"), len(summers) // 2)
    assert summers.groupby(["site", "variable"]).predicted.nunique().max() == 2  # with the discrepancy it is another prediction


@pytest.mark.slow
def test_french_towers_known_and_unseen_and_those_never_fitted(shared, tmp_path):
    """Fits and scores as E03 does, with fewer towers left out: `make test ARGS="-m slow -k french_towers"`."""
    run("e07_french_towers.py", shared, tmp_path)
    years = pd.read_csv(tmp_path / "years.csv")
    assert set(years[years.faulty].site) == {"FR-Pue"} and set(years[years.faulty].year) == {2013, 2014}
    own = years[(years.site == "FR-Fon") & ~years.faulty]
    error = (own.predicted - own.observed).abs().groupby(own.case).mean()
    assert error["known"] < error["unseen"]
    # mean of the twelve official monthly means of FR-Aur 2011 x 365 (QC 0.98): +33 gC m-2 yr-1
    aurade = years[(years.site == "FR-Aur") & (years.year == 2011)]
    assert aurade.observed.item() == pytest.approx(33, abs=5)
    months = pd.read_csv(tmp_path / "months.csv").set_index("site")
    assert not months.known.any() and (months.loc[["FR-Aur", "FR-Lam"], "n"] > 150).all() and np.isfinite(months.crps).all()


@pytest.mark.slow
def test_the_water_balance_is_judged_at_towers_it_has_not_seen_and_its_stress_on_droughts(shared, tmp_path):
    """Two minutes: pytest -m slow tests/test_experiments_drought.py -k water_balance."""
    run("e16_water.py", shared, tmp_path)
    water = pd.read_csv(tmp_path / "water.csv").set_index("form")
    assert water.learned["bucket of `hybrid_nirv`, nothing learned"] == 0 and (water.learned[1:] > 0).all()
    assert water.monthly["Makkink, leaves, deep store"] < water.monthly["bucket of `hybrid_nirv`, nothing learned"]
    drought = pd.read_csv(tmp_path / "drought.csv")
    assert drought[drought.step == "drought"].groupby(["variable", "model"]).n.sum().groupby("variable").nunique().eq(1).all()
