"""The experiment on filled vegetation series runs in its smoke size on real series."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent


def test_gaps_of_real_series_are_filled_with_intervals_that_hold(shared, tmp_path):
    data = shared / "data" / "eo"
    if not (data / "gapfill").is_dir():
        pytest.skip(f"no real data at {data}")
    command = [sys.executable, "-W", "ignore", str(ROOT / "experiments" / "e08_gap_filling.py"), "--smoke", "--data", str(data)]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = pd.read_csv(tmp_path / "scores.csv").set_index(["place", "held_out", "method"])
    ours = scores.xs("hybridflux", level="method")
    assert len(ours) == 12 and ours.cover90.between(0.78, 0.99).all() and ours.cover90.mean() > 0.86
    whittaker = scores.xs("Whittaker", level="method")
    assert (ours.rmse < whittaker.rmse).mean() > 0.8 and ours.rmse.mean() < scores.xs("straight line", level="method").rmse.mean()
    drops = pd.read_csv(tmp_path / "drops.csv")
    mown = drops[drops.place == "meadow"].groupby("method").kept.median()
    assert mown["hybridflux"] > 0.85 > 0.6 > mown["Savitzky-Golay"]
    text = (tmp_path / "results.md").read_text()
    assert "felled stand" in text and "| hybridflux | 83 |" in text
    assert (tmp_path / "series.png").stat().st_size > 1e5


def test_mowings_of_a_real_meadow_are_found_on_their_days(shared, monkeypatch):
    towers = shared / "data" / "towers"
    if not (towers / "management_CH-Cha.csv").exists():
        pytest.skip(f"no record of mowings at {towers}")
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import e18_management as e18

    mown, _ = e18.mowings(towers)
    assert len(mown) == 92
    days, values = e18.views(towers)["Sentinel-2", "fapar_50m"]
    at, probability = e18.cuts_of(days, values, e18.GRASS)
    near, wide = (e18.score(at[probability > 0.5], mown, "Sentinel-2", tolerance) for tolerance in (5, 10))
    assert near["mowings"] == 32 and near["precision"] > 0.85 and near["f1"] > 0.72 and wide["f1"] > 0.8 and abs(near["late"]) < 1.5
    plain = e18.threshold_cuts(days, values, 0.15, middle=False)
    assert near["f1"] > e18.score(plain, mown, "Sentinel-2", 5)["f1"] + 0.1
    seen = e18.shown(days, values, mown, "Sentinel-2")
    assert (seen.off <= 5).sum() == 26  # of 32: the ceiling of any reader
