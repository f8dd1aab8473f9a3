"""No site or day on both sides of a split."""

import numpy as np
import pytest

from hybridflux.data.site_table import distance_km
from hybridflux.evaluate.splits import leave_plant_type_out, leave_site_out, leave_year_out, only_days, spatial_blocks
from hybridflux.model.sequences import Sequences

SITES = tuple(f"S{number:02d}" for number in range(23))


def is_a_partition(splits, sites):
    splits = list(splits)
    for train, test in splits:
        assert train and test and not set(train) & set(test)
    assert sorted(site for _, test in splits for site in test) == sorted(sites)
    return splits


def test_leave_site_out_tests_every_site_once():
    splits = is_a_partition(leave_site_out(SITES, 10), SITES)
    assert len(splits) == 10 and all(len(train) + len(test) == 23 for train, test in splits)
    assert {len(test) for _, test in splits} == {2, 3}
    assert splits == list(leave_site_out(SITES, 10)) != list(leave_site_out(SITES, 10, seed=1))


def test_folds_of_someone_else(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("site_id,fold,igbp\nA,1,ENF\nB,0,DBF\nC,1,ENF\nD,2,CRO\n")
    expected = [(("A", "C"), ("B",)), (("B",), ("A", "C"))]
    assert list(leave_site_out(("A", "B", "C"), path)) == expected
    assert list(leave_site_out(("A", "B", "C"), {"A": 1, "B": 0, "C": 1})) == expected
    with pytest.raises(ValueError, match="no fold for E"):
        list(leave_site_out(("A", "E"), path))


def test_folds_of_a_spreadsheet(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("Site ID;fold;remarque\nA;1;forêt\nB;0;\nC;1;\n;;\n", encoding="cp1252")
    assert list(leave_site_out(("A", "B", "C"), path)) == [(("A", "C"), ("B",)), (("B",), ("A", "C"))]
    path.write_text("site_id,fold\nA,1\nA,0\n")
    with pytest.raises(ValueError, match="row 3: the site A stands twice"):
        list(leave_site_out(("A",), path))


def test_impossible_folds_say_so():
    with pytest.raises(ValueError, match="2 to 23 folds"):
        list(leave_site_out(SITES, 24))
    with pytest.raises(ValueError, match="nothing would be left"):
        list(leave_plant_type_out({"A": "ENF", "B": "ENF"}))


def test_leave_plant_type_out():
    splits = is_a_partition(leave_plant_type_out({"A": "ENF", "B": "DBF", "C": "ENF"}), "ABC")
    assert splits == [(("A", "C"), ("B",)), (("B",), ("A", "C"))]


def test_spatial_blocks_keep_neighbours_together():
    positions = {"Paris": (48.9, 2.3), "Fontainebleau": (48.5, 2.8), "Lyon": (45.8, 4.8), "Hyytiala": (61.8, 24.3)}
    splits = is_a_partition(spatial_blocks(positions, size=1000.0), positions)
    assert ("Hyytiala",) in [test for _, test in splits]
    assert any({"Paris", "Fontainebleau"} <= set(test) for _, test in splits)
    for train, test in spatial_blocks(positions, size=20.0, buffer=100.0):
        assert min(distance_km(*positions[a], *positions[b]) for a in train for b in test) >= 100.0


def test_leave_year_out():
    days = np.arange("2001-06-01", "2004-03-01", dtype="datetime64[D]")
    splits = list(leave_year_out(days))
    assert len(splits) == 4
    for train, test in splits:
        assert not (train & test).any() and (train | test).all()
        assert len(np.unique(days[test].astype("datetime64[Y]"))) == 1
    assert len(list(leave_year_out(days, block=2))) == 2


def test_only_days_keeps_drivers_whole():
    days = np.arange("2001-01-01", "2001-01-05", dtype="datetime64[D]")
    values = np.arange(8.0).reshape(4, 2)
    sequences = Sequences(("A", "B"), days, {"tair": values}, {"nee": values}, {})
    kept = only_days(sequences, np.array([True, False, False, True]))
    np.testing.assert_array_equal(kept.drivers["tair"], values)
    np.testing.assert_array_equal(np.isfinite(kept.targets["nee"]), [[True, True], [False, False], [False, False], [True, True]])
    assert np.isfinite(sequences.targets["nee"]).all()
