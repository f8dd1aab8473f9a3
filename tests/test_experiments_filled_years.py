"""E27: which quarters of years are hidden, and years beside those of the files."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "experiments"))

import e27_filled_years as e27  # noqa: E402


def test_each_place_hides_a_quarter_of_each_year_and_all_four_in_four_years():
    days = np.arange("2001-01-01", "2009-01-01", dtype="datetime64[D]")
    for place in (0, 5):
        found = pd.DataFrame({"year": days.astype("datetime64[Y]").astype(int), "month": days.astype("datetime64[M]").astype(int) % 12})
        found = found[e27.hidden(np.full(len(days), place), days.astype(int))]
        months = found.groupby("year").month.unique()
        assert len(months) == 8 and all(len(one) == 3 and one.min() % 3 == 0 and np.ptp(one) == 2 for one in months)
        assert {int(one.min()) for one in months[:4]} == {0, 3, 6, 9}
    assert (e27.hidden(np.array([0, 1]), np.array([0, 0])) == [True, False]).all()  # January of 1970
