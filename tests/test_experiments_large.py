"""The experiment on a large region runs in its smoke size, on made-up data."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def test_a_large_region_gives_what_its_tiles_give_alone(tmp_path):
    command = [sys.executable, "-W", "ignore", str(ROOT / "experiments" / "e11_large_region.py"), "--smoke", "--out", str(tmp_path / "e11")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "e11" / "results.md").read_text()
    same, every = re.search(r"Totals: ([\d,]+) of ([\d,]+) cells", text).groups()
    assert same == every and int(every) > 200
    assert "3 tiles of 3 were known as done" in text and "1,052 zones in 16 tiles" in text
    assert float(re.search(r"off by (\S+)\.\n", text)[1]) < 1e-12
    assert all(f"| {step} |" in text for step in ("open and check", "work list", "map the tiles", "merge totals", "GeoTIFFs"))
