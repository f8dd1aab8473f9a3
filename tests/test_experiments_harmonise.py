"""The experiment on the harmonisation runs in its smoke size on the real patches and towers."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from hybridflux.data.harmonisation import Line

ROOT = Path(__file__).resolve().parent.parent


def test_line_between_fields_and_towers(shared, tmp_path):
    script = str(ROOT / "experiments" / "e09_harmonisation.py")
    command = [sys.executable, "-W", "ignore", script, "--smoke", "--data", str(shared / "data"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    line = Line(**json.loads((tmp_path / "lines.json").read_text())["ndvi"])
    assert 0.7 < line.slope < 1.6 and line.offset < 0 and 0.02 < line.slope_sd < 0.5 and line.correlation < -0.5
    matched = pd.read_csv(tmp_path / "matched.csv").set_index("patch")
    assert "BE-Lon (125 km" in matched.towers["Flanders crop landscape"]
    assert matched.towers["Bearn grassland parcels"] == "none"  # no grassland tower near: not fitted, but told
    checks = pd.read_csv(tmp_path / "left_out.csv")
    assert (checks.line_sd > 0.03).all() and (checks.bias.abs() < 0.25).all()
    assert (tmp_path / "lines.png").stat().st_size > 1e4 and "Flanders" in (tmp_path / "results.md").read_text()
