"""The experiments run in their smoke size on the real data."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hybridflux.evaluate.card import load_card, row_of

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent


def run(script: str, *arguments) -> None:
    """Run an experiment as a user would."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "experiments" / script), "--smoke", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def e03(shared, tmp_path_factory):
    for folder in ("towers", "eo/flanders_s2"):
        if not (shared / "data" / folder).is_dir():
            pytest.skip(f"no real data at {shared / 'data' / folder}")
    out = tmp_path_factory.mktemp("e03")
    run("e03_unseen_sites.py", "--model", "hybrid", "--data", shared / "data" / "towers", "--out", out)  # the quickest to compile
    return out


def test_unseen_towers_are_scored_beside_the_baselines(e03):
    scores = pd.read_csv(e03 / "scores.csv")
    assert {"hybridflux", "LightGBM", "XGBoost", "random forest", "VPRM (EU2007)", "VPRM re-fitted", "climatology"} <= set(scores.model)
    assert {"day", "week", "month", "year", "anomaly", "iav", "driest", "hottest"} == set(scores.step)
    ours = scores[(scores.model == "hybridflux") & (scores.step == "day")]
    assert not ours.known.any() and ours.groupby("variable").site.nunique().eq(10).all()
    nee = ours[ours.variable == "NEE"]
    assert nee.r2.median() > 0.2 and nee.coverage90.between(0.3, 1.0).all()


def test_the_card_of_the_experiment_is_whole(e03):
    card = load_card(e03 / "card.json")
    assert card["main"] == "hybridflux" and card["splits"] == ["unseen sites"]
    row = row_of(card, "hybridflux", "NEE")
    scores = pd.read_csv(e03 / "scores.csv").query("model == 'hybridflux' and step == 'day' and variable == 'NEE'")
    assert row["nse"] == pytest.approx(scores.nse.median())
    summary = json.loads((e03 / "structural_error.json").read_text())
    assert summary["residuals"] == "of draws that left the tower out"
    assert 3.0 < summary["quantiles"]["structural_days"][0] < 120.0
    assert "NEE" in (e03 / "card.html").read_text()


def test_the_real_patch_is_mapped_and_its_fluxes_are_of_this_world(e03, shared, tmp_path):
    data = shared / "data"
    run("e02_flanders_map.py", "--data", data, "--posterior", e03 / "posterior.nc", "--out", tmp_path)
    budget = pd.read_csv(tmp_path / "budget.csv")
    year = budget[(budget.zone == "maize") & (budget.land_cover == "CRO") & (budget.quantity == "flux") & (budget.days == 365)]
    flux = year.set_index("variable")["mean"]
    assert -1200 < flux["NEE"] < 300 and 500 < flux["GPP"] < 3000
    assert flux["NEE"] == pytest.approx(flux["RECO"] - flux["GPP"], abs=0.5)
    assert (tmp_path / "report.html").stat().st_size > 1e5
    drought = pd.read_csv(tmp_path / "drought.csv")
    assert drought.scenario.nunique() == 3
    assert set(drought.land_cover) == {"GRA", "CRO"}
    rows = drought.set_index(["scenario", "land_cover", "flux"])
    for (scenario, cover), of in rows.groupby(level=[0, 1]):
        change = of.change.droplevel([0, 1])
        assert change["NEE"] == pytest.approx(change["RECO"] - change["GPP"], abs=0.01), (scenario, cover)


@pytest.mark.slow
def test_sample_regions_are_built_mapped_and_drawn(e03, shared, tmp_path):
    """Builds, maps and draws as E02 above does, on another patch: `make test ARGS="-m slow -k sample_regions"`."""
    run("e10_regions.py", "--data", shared / "data", "--posterior", e03 / "posterior.nc", "--out", tmp_path)
    assert (tmp_path / "bouconne.png").stat().st_size > 5e4
    results = (tmp_path / "results.md").read_text()
    row = next(line.split("|") for line in results.splitlines() if "| all |" in line and "| GPP |" in line)
    mean, sd, given = (float(row[column]) for column in (6, 8, 9))
    assert 500 < mean < 3000 and sd >= given > 0


@pytest.mark.slow
def test_losses_of_summers_stand_beside_measured_soil_water(e03, shared, tmp_path):
    """Three towers: `make test ARGS="-m slow -k measured_soil_water"`."""
    run("e24_soil_moisture_management.py", "--data", shared / "data", "--posterior", e03 / "posterior.nc", "--out", tmp_path)
    summers, slopes = pd.read_csv(tmp_path / "summers.csv"), pd.read_csv(tmp_path / "slopes.csv").set_index(["group", "what"])
    assert set(summers.site) == {"DE-Geb", "IT-Ro1", "DK-Sor"} and summers.anomaly.abs().max() < 0.3
    parts = summers.filter(like="GPP by").sum(axis=1)
    assert (parts - summers.GPP).abs().max() < 1e-2  # causes add up
    assert {"observed", "ledger", "ledger, soil water"} <= set(slopes.loc["all"].index) and (slopes.low <= slopes.high).all()
