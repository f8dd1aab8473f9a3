"""E25: what is compared with what, and its smoke run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "experiments"))

import e25_next_tower as e25  # noqa: E402


def test_expected_and_found_reductions_of_draws_that_are_known():
    """The region is 2 a + b, the tower sees a: of the variance 5 it leaves 1; the own pixel it leaves its errors alone."""
    random, scale = np.random.default_rng(0), 1000.0  # gC m-2, so that errors of measuring are small
    found = {"plant_types": np.array(["CRO", "GRA", "ENF"])}
    for fit, left in ((e25.BEFORE, (1.0, 1.0)), (e25.AGAIN, (1.0, 1.0)), (e25.RANKS[0], (0.01, 0.5))):
        a, b, gpp = random.normal(size=(3, 4000)) * scale
        sums = dict(zip(e25.TARGETS, (left[0] * 2 * a + left[1] * b, left[0] * 2 * a + left[1] * b, left[0] * a), strict=True))
        for part in e25.PARTS:
            for target, nee in sums.items():
                found |= {f"{fit};best;{part};{target};NEE": nee, f"{fit};best;{part};{target};GPP": 1000.0 + 0.1 * gpp}
    found |= {f"truth;best;{target}": 0.5 * scale for target in e25.TARGETS}
    rows = pd.DataFrame(e25.compared(3, found))
    region = rows[(rows.target == "region") & (rows.part == e25.PARTS[0])].iloc[0]
    assert region.before == pytest.approx(5**0.5 * scale, rel=0.03) and region.after == pytest.approx(0.5 * scale, rel=0.03)
    assert region.expected == pytest.approx(1 - 5**-0.5, abs=0.02) and region.found == pytest.approx(1 - 0.5 / 5**0.5, abs=0.02)
    assert region["z after"] == pytest.approx(1.0, abs=0.05) and abs(region.chance) < 0.1
    assert rows[rows.target == "pixel"].expected.min() > 0.95
    text = e25.report(rows)
    assert "| best | region | 1 | 2" in text and len(rows) == len(e25.PARTS) * len(e25.TARGETS)


@pytest.mark.slow
def test_a_refit_narrows_the_region(tmp_path):
    """One world, the best candidate alone, short chains: `make test ARGS="-m slow -k refit_narrows"`."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "experiments" / "e25_next_tower.py"), "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    table = pd.read_csv(tmp_path / "reductions.csv").set_index(["fit", "part", "target"]).sort_index()
    assert set(table.index.levels[0]) == {"best"} and table.loc[("best", e25.PARTS[0], "pixel"), "found"] > 0.5
    assert "refit with a tower" in done.stdout
