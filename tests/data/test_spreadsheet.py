"""No text of a table is run by a spreadsheet; numbers and all other texts stay as they are."""

import pandas as pd
import pytest

from hybridflux.data.spreadsheet import as_text
from hybridflux.products.sheet import write_table

DANGEROUS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "-", "=", "--1"]
HARMLESS = ["region", "a=b", "-3.5", "+2", "-1e-5", "3-4", "", "'=1", "zone 1", "-.5"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_formula_becomes_text(text):
    assert as_text(pd.DataFrame({"zone": [text]})).zone[0] == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay(text):
    assert as_text(pd.DataFrame({"zone": [text]})).zone[0] == text


def test_tables_of_products_are_written_so_and_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"zone": pd.Categorical(["=1+1", "south"]), "mean": [-1.5, 2.0], "=2": [None, "@x"]})
    write_table(table, tmp_path / "budget.csv", {"provenance": {}})
    lines = (tmp_path / "budget.csv").read_text().splitlines()
    assert lines == ["zone,mean,'=2", "'=1+1,-1.5,", "south,2.0,'@x"]
