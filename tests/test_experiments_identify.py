"""Experiments on identifiability and calibration run in their smoke size on the drivers of real towers."""

import subprocess
import sys
from pathlib import Path

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
def test_q10_is_recovered_without_temperature_in_the_network_and_warned_of_with_it(shared, tmp_path):
    """The guard on a made-up tower: tests/evaluate/test_confounding.py. `make test ARGS="-m slow -k q10_is_recovered"`."""
    run("e05_q10_identifiability.py", shared, tmp_path)
    fits = pd.read_csv(tmp_path / "fits.csv").set_index("case")
    error = (fits["median"] - fits.true_q10).abs()
    assert fits.loc["A"].shape[0] == 2 and error["A"].max() < 0.15  # two starts, one year of data
    assert error["B"].min() > error["A"].max()
    said = pd.read_csv(tmp_path / "comparisons.csv").set_index("case")
    assert said.guard["A"] == "[]" and "`q10` is not identifiable beside the network of `respiration_ref`" in said.guard["B"]
    assert said.correlation["B"] < -0.8 and said.verdict["A"] == "agree"
    assert (tmp_path / "q10.png").stat().st_size > 1e4 and "is not identifiable" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_samplers_are_calibrated_on_real_drivers(shared, tmp_path):
    run("e06_sbc.py", shared, tmp_path)
    ranks = pd.read_csv(tmp_path / "ranks.csv").drop(columns="sampler")
    assert len(ranks) == 3 and ranks.to_numpy().min() >= 0 and ranks.to_numpy().max() <= 63
    assert {"activation_temp", "respiration_ref", "log likelihood", "mean nee_night"} <= set(ranks)
    assert ranks.nunique().gt(1).all()
    assert (tmp_path / "ranks.png").stat().st_size > 1e4 and "SVI" in (tmp_path / "results.md").read_text()
