"""The ledgers of E13: they balance, and their units are those of the tables they come from."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments"))

import e13_closure as e13  # noqa: E402


def test_the_field_of_grignon_balances_as_published():
    entry = e13.field((2006, 2009))
    away, sd = entry.pools["export"]
    assert e13.GRIGNON["NEP"][0] - away == pytest.approx(e13.GRIGNON["NBP"][0])
    assert sd == pytest.approx((110**2 - 70**2 + 5**2) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("place", "cover"), [("FR-Fon", "DBF"), ("FR-Hes", "DBF"), (e13.REGION, "DBF"), (e13.REGION, "ENF")])
def test_trees_gain_what_grows_less_what_is_felled_or_dies(shared, place, cover):
    if not (shared / "data" / "inventories").is_dir():
        pytest.skip(f"no real data at {shared / 'data' / 'inventories'}")
    trees = e13.balance(shared / "data", place, cover)
    assert trees["gain"] == pytest.approx(trees["increment"] - trees["felling"] - trees["mortality"], abs=12)  # of means per hectare
    assert 150 < trees["increment"] < 500  # gC m-2 yr-1: 1.5 to 5 tC ha-1 yr-1
    entry = e13.forest(shared / "data", place, cover, (2016, 2020))
    assert entry.pools["export"][0] == pytest.approx(trees["felling"] + e13.LEACHING["forest"][0])
