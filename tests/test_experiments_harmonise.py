"""The experiment on the harmonisation runs in its smoke size on the real patches and towers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.harmonisation import CalibrationLine

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def test_line_between_fields_and_towers(shared, tmp_path):
    script = str(ROOT / "experiments" / "e09_harmonisation.py")
    command = [sys.executable, "-W", "ignore", script, "--smoke", "--data", str(shared / "data"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "lines.json").read_text())["ndvi"]
    lines = {kind: CalibrationLine(**numbers) for kind, numbers in told.items()}
    assert set(lines) == {"CRO", "GRA", "all"}
    for line in lines.values():
        assert 0.9 < line.slope < 1.7 and 0.02 < line.slope_sd < 0.6 and line.correlation < 0
        assert line.applied(np.array([0.172]), 0.0)[0][0] == pytest.approx(0.0, abs=0.01)  # bare soil absorbs nothing
    assert lines["all"].slope_sd > lines["CRO"].slope_sd  # a plant type that was not matched is less certain
    matched = pd.read_csv(tmp_path / "matched.csv").set_index("patch")
    assert "FR-Gri (151 km" in matched.towers["Perche arable parcels"]
    assert matched.towers["Bearn grassland parcels"] == "none"  # no grassland tower near: not fitted, but told
    checks = pd.read_csv(tmp_path / "left_out.csv")
    assert (checks.line_sd > 0.03).all() and (checks.bias_e09.abs() < 0.25).all()
    assert (tmp_path / "lines.png").stat().st_size > 1e4 and "Flanders" in (tmp_path / "results.md").read_text()
