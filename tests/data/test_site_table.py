"""sites.csv, choice of sites and years."""

import pandas as pd
import pytest

from hybridflux.data.site_table import parse_years, pick_sites, read_sites

ROW = {"site_id": ["FR-Fon"], "lat": [48.5], "lon": [2.8], "igbp": ["DBF"]}


def read(tmp_path, **changes):
    pd.DataFrame(ROW | changes).to_csv(tmp_path / "sites.csv", index=False)
    return read_sites(tmp_path)


def test_a_small_table_is_enough(tmp_path):
    table = read(tmp_path, soil_capacity=[120])
    assert table.loc["FR-Fon", ["name", "igbp", "soil_capacity"]].tolist() == ["FR-Fon", "DBF", 120] and table["elev"].isna().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"igbp": ["Forest"]}, "column igbp, row 2 .FR-Fon.: `Forest` is unknown; the codes are ENF, EBF"),
        ({"lat": [95]}, "column lat, row 2: `95` is not between -90 and 90"),
        ({"lon": ["east"]}, "column lon, row 2: `east` is not between"),
        ({name: values * 2 for name, values in ROW.items()}, "names FR-Fon twice"),
    ],
)
def test_refusals(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"sites.csv.*{message}"):
        read(tmp_path, **changes)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; a towers folder holds sites.csv"):
        read_sites(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="sites.csv is missing.*site_id, lat, lon, igbp"):
        read_sites(tmp_path)
    (tmp_path / "sites.csv").write_text("site_id;lat\nFR-Fon;48\n")
    with pytest.raises(ValueError, match="lacks column site_id, lat, lon, igbp; it has site_id;lat"):
        read_sites(tmp_path)


def test_unknown_sites_get_a_suggestion():
    known = pd.Index(["FR-Fon", "DE-Tha"])
    with pytest.raises(ValueError, match="FR-Fonn is not in sites.csv. Did you mean `FR-Fon`"):
        pick_sites(["FR-Fonn"], known, "sites.csv")
    with pytest.raises(ValueError, match="no site chosen"):
        pick_sites("", known, "sites.csv")
    with pytest.raises(ValueError, match="chosen twice"):
        pick_sites("FR-Fon,FR-Fon", known, "sites.csv")


@pytest.mark.parametrize("years", [(2001, 2010), "2001:2010", [2001, 2010], ("2001", "2010")])
def test_years(years):
    assert parse_years(years) == (2001, 2010)


def test_one_year():
    assert parse_years(2005) == parse_years("2005") == (2005, 2005)


@pytest.mark.parametrize("years", ["2010:2001", "2001-2010", "", "a:b", (1, 2, 3), [], (None, 2010)])
def test_years_that_are_none(years):
    with pytest.raises(ValueError, match="write 2005"):
        parse_years(years)
