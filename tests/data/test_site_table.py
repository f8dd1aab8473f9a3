"""sites.csv, choice of sites and years."""

import pandas as pd
import pytest

from hybridflux.data.site_table import column_of, parse_years, pick_sites, read_sites

ROW = {"site_id": ["FR-Fon"], "lat": [48.5], "lon": [2.8], "igbp": ["DBF"]}


def read(tmp_path, **changes):
    pd.DataFrame(ROW | changes).to_csv(tmp_path / "sites.csv", index=False)
    return read_sites(tmp_path)


def test_a_small_table_is_enough(tmp_path):
    table = read(tmp_path, soil_capacity=[120]).rows
    assert table.loc["FR-Fon", ["name", "igbp", "soil_capacity"]].tolist() == ["FR-Fon", "DBF", 120] and table["elev"].isna().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lat": [95]}, "column lat, row 2: `95` is not between -90 and 90; are lat and lon swapped"),
        ({"lat": [""]}, "column lat, row 2 is empty; write decimal degrees north"),
        ({"lon": ["east"]}, "column lon, row 2: `east` is not a number; write decimal degrees east"),
        ({"lat": ["48° 30'"]}, "column lat, row 2: .* stands behind it.*write decimal degrees"),
        ({"elev": ["1,100"]}, "column elev, row 2: `1,100` may have a thousands separator"),
        ({"elev": ["100 m"]}, "column elev, row 2: `100 m` .* write metres as a number alone"),
        ({"elev": [9000]}, "column elev, row 2: `9000` is not between -430 and 8850"),
        ({"utc_offset": ["UTC+1"]}, r"column utc_offset, row 2: `UTC\+1` .* 1 for UTC\+1"),
        ({"utc_offset": [-5]}, "column utc_offset, row 2: -5 h contradicts the longitude 2.8, where the sun has .0.2 h"),
        ({"utc_offset": [60]}, "column utc_offset, row 2: `60` is not between -12 and 14"),
    ],
)
def test_faults_of_a_row_are_refused_where_the_site_is_wanted(tmp_path, changes, message):
    table = read(tmp_path, **changes)
    table.refuse(["DE-Tha"])
    with pytest.raises(ValueError, match=f"sites.csv: FR-Fon: .*{message}"):
        table.refuse(["FR-Fon"])


def test_all_faults_of_a_row_and_of_all_rows_come_together(tmp_path):
    table = read(tmp_path, site_id=["FR-Fon", "DE-Tha"], lat=["x", 51], lon=[2, "y"], igbp=["DBF", "ENF"], elev=["100 m", 1])
    with pytest.raises(ValueError, match="FR-Fon: column lat, row 2.*column elev, row 2.*DE-Tha: column lon, row 3"):
        table.refuse(table.rows.index)


def test_a_class_that_is_not_modelled_does_not_refuse_the_table(tmp_path):
    table = read(tmp_path, site_id=["FR-Fon", "US-Cvm", "IL-Sno", "FR-Emp"], lat=45, lon=3, igbp=["dbf", "CVM", "SNO", ""])
    assert table.rows.loc["FR-Fon", "igbp"] == "DBF"
    assert set(table.unusable) == {"US-Cvm", "IL-Sno", "FR-Emp"}
    assert "row 3: `CVM` is unknown; the codes are ENF, EBF" in table.unusable["US-Cvm"] and not table.faults


def test_a_site_named_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sites.csv names fr-fon twice"):
        read(tmp_path, site_id=["FR-Fon", "fr-fon"], lat=45, lon=3, igbp="DBF")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("site_id,name,lat,lon,elev,igbp,utc_offset\r\nFR-Aaa,Forêt,48.5,2.5,100,DBF,1\r\n", "utf-8-sig"),
        ("site_id,name,lat,lon,elev,igbp,utc_offset\r\nFR-Aaa,Forêt,48.5,2.5,100,DBF,1\r\n", "cp1252"),
        ("site_id\tname\tlat\tlon\televation\tigbp\tutc_offset\nFR-Aaa\tForêt\t48.5\t2.5\t100\tDBF\t1\n", "utf-16"),
        ("site_id;name;lat;lon;elev;igbp;utc_offset\r\nFR-Aaa;Forêt;48,5;2,5;100;DBF;1\r\n;;;;;;\r\n", "utf-8-sig"),
        ("Site_ID,NAME,LOCATION_LAT,LOCATION_LONG,LOCATION_ELEV,IGBP,UTC_OFFSET\n FR-Aaa ,Forêt,48.5,2.5,100,DBF,1\n", "utf-8"),
    ],
    ids=("BOM", "windows", "unicode text", "French", "BADM names"),
)
def test_what_spreadsheets_save_is_read(tmp_path, text, encoding):
    (tmp_path / "sites.csv").write_bytes(text.encode(encoding))
    row = read_sites(tmp_path).rows.loc["FR-Aaa"]
    assert row[["name", "lat", "lon", "elev", "igbp", "utc_offset"]].tolist() == ["Forêt", 48.5, 2.5, 100, "DBF", 1]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; a towers folder holds sites.csv"):
        read_sites(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="sites.csv is missing.*site_id, lat, lon, igbp"):
        read_sites(tmp_path)
    (tmp_path / "sites.csv").write_text("site_id;lat\nFR-Fon;48\n")
    with pytest.raises(ValueError, match="lacks column lon, igbp; it has site_id, lat"):
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


@pytest.mark.parametrize(
    ("name", "meant"),
    [(name, "utc_offset") for name in ("utc_ofset", "utc-offset", "timezone")] + [("soil_capcity", "soil_capacity"), ("alt", "elev")],
)
def test_a_column_that_looks_like_a_slip_is_told_of(tmp_path, caplog, name, meant):
    read(tmp_path, **{name: [1], "canopy_height": [20], "clay": [0.2], "salt": [3]})
    assert [record.message for record in caplog.records] == [
        f"sites.csv: the column {name} is taken for a covariate of your own; if `{meant}` is meant, name it so"
    ]
    caplog.clear()
    read(tmp_path, **{name: [1], meant: [1]})
    assert not caplog.records, "the column itself is there too"


def test_the_name_itself_before_one_that_is_the_same_but_for_blanks():
    assert column_of("stand_age", ["Stand Age", "stand_age"]) == "stand_age" and column_of("stand_age", ["age"]) is None
