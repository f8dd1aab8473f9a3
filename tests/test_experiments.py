"""Every experiment runs in its smoke size on the real data."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(script: str, *arguments) -> None:
    """Run an experiment as a user would."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "experiments" / script), "--smoke", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def e01(shared, tmp_path_factory):
    for folder in ("towers", "eo/flanders_s2"):
        if not (shared / "data" / folder).is_dir():
            pytest.skip(f"no real data at {shared / 'data' / folder}")
    out = tmp_path_factory.mktemp("e01")
    run("e01_european_towers.py", "--data", shared / "data" / "towers", "--out", out)
    return out


def test_unseen_towers_are_scored_beside_the_baselines(e01):
    scores = pd.read_csv(e01 / "scores.csv")
    assert set(scores.model) == {"hybridflux", "LightGBM", "climatology"} and set(scores.step) == {"day", "month", "year"}
    ours = scores[(scores.model == "hybridflux") & (scores.step == "day")]
    assert not ours.known.any() and ours.groupby("variable").site.nunique().eq(6).all()
    nee = ours[ours.variable == "NEE"]
    assert nee.r2.median() > 0.2 and nee.coverage90.between(0.5, 1.0).all()


def test_the_real_patch_is_mapped_and_its_fluxes_are_of_this_world(e01, shared, tmp_path):
    data = shared / "data"
    run("e02_flanders_map.py", "--data", data / "eo" / "flanders_s2", "--towers", data / "towers", "--posterior", e01 / "posterior.nc",
        "--out", tmp_path)  # fmt: skip
    budget = pd.read_csv(tmp_path / "budget.csv")
    year = budget[(budget.zone == "maize") & (budget.land_cover == "CRO") & (budget.quantity == "flux") & (budget.days > 300)]
    flux = year.set_index("variable")["mean"]
    assert -1200 < flux["NEE"] < 300 and 500 < flux["GPP"] < 3000
    assert flux["NEE"] == pytest.approx(flux["RECO"] - flux["GPP"], abs=0.5)
    assert (tmp_path / "report.html").stat().st_size > 1e5
