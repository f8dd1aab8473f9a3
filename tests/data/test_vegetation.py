"""Satellite series: which column, which file, cleaning, long gaps, refusals."""

import gzip

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.vegetation import daily, despike, read_series, read_vegetation

DATES = pd.date_range("2003-01-01", "2006-12-31", freq="8D")
LEAVES = pd.Series(0.5 + 0.3 * np.cos(2 * np.pi * (DATES.day_of_year.to_numpy() - 200) / 365), index=DATES)


def test_dips_and_jumps_are_dropped_and_the_season_is_kept():
    rng = np.random.default_rng(1)
    raw = LEAVES + rng.normal(0, 0.02, len(LEAVES))
    raw.iloc[[20, 61, 110]] = 0.05
    raw.iloc[[40]] = 1.0
    clean = despike(raw, 8)
    assert not set(raw.index[[20, 61, 110, 40]]) & set(clean.index)
    line = daily(raw, evergreen=False)
    truth = LEAVES.set_axis(DATES + pd.Timedelta("3D")).reindex(line.index).interpolate(limit_direction="both")
    assert np.abs(line - truth).max() < 0.08 and np.abs(line - truth).mean() < 0.02


def test_a_harvest_stays():
    crop = pd.Series(np.where(DATES.month < 7, 0.8, 0.15), index=DATES)
    line = daily(crop, evergreen=False)
    assert line["2004-06-15"] == pytest.approx(0.8) and line["2004-08-01"] == pytest.approx(0.15)


def test_evergreen_winters_are_lifted():
    raw = pd.Series(np.where(DATES.month.isin([12, 1, 2]), 0.2, 0.8), index=DATES)
    assert daily(raw, evergreen=True).min() == pytest.approx(0.7 * 0.8)
    assert daily(raw, evergreen=False)["2005-01-15"] < 0.3


def test_long_gaps_are_left_open_and_short_ones_bridged():
    raw = LEAVES.drop(LEAVES.index[20:27]).drop(LEAVES.index[80:100])
    line = daily(raw, evergreen=False)
    assert line.index[0] == DATES[0] and line.index[-1] == DATES[-1] + pd.Timedelta("7D")
    assert line[DATES[20] : DATES[26]].notna().all()
    assert line[DATES[80] : DATES[99]].isna().all() and line[DATES[79]] > 0 and line[DATES[100]] > 0


def test_a_single_value_is_a_series():
    assert daily(LEAVES.iloc[:1], evergreen=True).tolist() == [LEAVES.iloc[0]]


def write(tmp_path, table, name="some.csv"):
    path = tmp_path / name
    table.to_csv(path, index=False)
    return path


def test_columns_sources_and_ndvi(tmp_path):
    table = pd.DataFrame({"site_id": ["A"] * 3 + ["B"] * 2 + ["C"], "date": ["2003-01-01", "2003-01-09", "2003-01-17"] * 2})
    table["fpar_3x3_median"] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    table["fpar_center"] = [0.11, 0.21, np.nan, np.nan, np.nan, 0.61]
    series = read_series(write(tmp_path, table))
    assert series["A"].tolist() == [0.11, 0.21], "the middle pixel where there is one"
    assert series["B"].tolist() == [0.4, 0.5], "the median of the pixels else"
    ndvi = table[["site_id", "date"]].assign(ndvi=0.8)
    assert read_series(write(tmp_path, ndvi))["C"].iloc[0] == pytest.approx(0.824)
    two = pd.concat([table.assign(source="x"), table.iloc[:1].assign(source="y", date="2009-01-01")])
    assert len(read_series(write(tmp_path, two))["A"]) == 2, "the longest of several sources, not a mix"


def test_auto_prefers_collection_5_site_by_site(tmp_path, make_vegetation):
    write(tmp_path, make_vegetation(["A", "B"]).assign(fapar=0.9), "another.csv")
    write(tmp_path, make_vegetation(["A"]).assign(fapar=0.4), "modis_fpar_c5_8day.csv.gz")
    types = pd.Series({"A": "DBF", "B": "DBF", "C": "DBF"})
    chosen = read_vegetation(tmp_path, types, "auto")
    assert {site: round(series.iloc[0], 3) for site, series in chosen.items()} == {"A": 0.4, "B": 0.9}
    assert list(read_vegetation(tmp_path, types, "modis_fpar_c5_8day")) == ["A"]
    with pytest.raises(ValueError, match="vegetation `modis` is not a file.*another, modis_fpar_c5_8day, or `auto`"):
        read_vegetation(tmp_path, types, "modis")


def test_no_series_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="no vegetation series.*site_id, date and fapar"):
        read_vegetation(tmp_path / "satellite", pd.Series(dtype=str), "auto")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fapar": 65}, r"column fapar, row 2: `65` is not a share of 0 to 1 .141 of 141 rows, largest 65: per cent\?.; divide percent"),
        ({"fapar": 6500}, r"largest 6500: stored numbers with a scale factor\?"),
        ({"fapar": "cloud"}, "row 2: `cloud` is not a number"),
        ({"date": "1/2/2003"}, "column date, row 2: `1/2/2003` may be day/month or month/day; write YYYY-MM-DD"),
        ({"date": "2003-01-01"}, "two values for A on 2003-01-01; keep one"),
    ],
)
def test_refusals(tmp_path, make_vegetation, change, message):
    path = write(tmp_path, make_vegetation(["A"]).assign(**change))
    with pytest.raises(ValueError, match=f"some.csv.*{message}"):
        read_series(path)


def test_missing_columns_and_damage(tmp_path, make_vegetation):
    with pytest.raises(ValueError, match="needs the columns site_id, date and one of fapar, fpar, ndvi; it has site_id, date, lai"):
        read_series(write(tmp_path, make_vegetation(["A"]).rename(columns={"fapar": "lai"})))
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(make_vegetation(["A"]).to_csv().encode())[:80])
    with pytest.raises(ValueError, match="cut.csv.gz is damaged"):
        read_series(cut)


def test_series_of_a_spreadsheet_and_days_that_stand_twice(tmp_path, make_vegetation, caplog):
    """Semicolons, decimal commas, day/month/year, other columns of the same name, a row repeated by a merged download."""
    plain = make_vegetation(["A"])
    other = plain.assign(date=pd.to_datetime(plain["date"]).dt.strftime("%d/%m/%Y"), fapar_qc=255, fapar_sd=7)
    other = pd.concat([other, other.iloc[:1]]).rename(columns={"site_id": "SITE_ID", "fapar": "FAPAR"})
    other.to_csv(tmp_path / "french.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    with caplog.at_level("WARNING"):
        pd.testing.assert_series_equal(
            read_series(tmp_path / "french.csv")["A"], read_series(write(tmp_path, plain))["A"], check_names=False, check_index_type=False
        )
    assert "1 days of A stand twice with the same value" in caplog.text


def test_rows_of_other_sites_and_other_tables_do_not_matter(tmp_path, make_vegetation, caplog):
    write(tmp_path, pd.concat([make_vegetation(["A"]), make_vegetation(["B"]).assign(fapar=255, date="?")]))
    write(tmp_path, pd.DataFrame({"site_id": ["A"], "cloud": [3]}), "clouds.csv")
    with caplog.at_level("WARNING"):
        assert list(read_vegetation(tmp_path, pd.Series({"A": "DBF"}), "auto")) == ["A"]
    assert "ignored: clouds.csv needs the columns" in caplog.text
    with pytest.raises(ValueError, match="some.csv, column date, row 143: .*and 136 more"):
        read_vegetation(tmp_path, pd.Series({"A": "DBF", "B": "DBF"}), "auto")


def test_a_scale_factor_applied_twice_is_reported(tmp_path, make_vegetation, caplog):
    with caplog.at_level("WARNING"):
        read_series(write(tmp_path, make_vegetation(["A"]).assign(fapar=0.006)))
    assert "some.csv: fapar of A stays below 0.006" in caplog.text


APPEEARS = "TASK-MCD15A3H-061-results.csv"


def appeears(site="A", qc=0, **changes):
    """A table of AppEEARS as its columns are named, scale applied, with a standard deviation and the quality in words beside."""
    columns = {"ID": site, "Category": "x", "Latitude": 48.5, "Date": DATES.strftime("%Y-%m-%d"), "MCD15A3H_061_FparStdDev_500m": 0.1}
    columns |= {"MCD15A3H_061_Fpar_500m": LEAVES.to_numpy().round(2)}
    columns |= {"MCD15A3H_061_FparLai_QC": qc, "MCD15A3H_061_FparLai_QC_MODLAND": "0b0"}
    return pd.DataFrame(columns).assign(**changes)


def test_fapar_of_appeears_is_read_with_its_quality(tmp_path, caplog):
    """User's guide of MOD15, collection 6, bits of FparLai_QC: 0 main or back-up algorithm, 3-4 cloud (3: assumed clear), 5-7 algorithm."""
    types = pd.Series({"A": "DBF"})
    write(tmp_path, appeears(qc=0b00000010), APPEEARS)
    expected = read_vegetation(tmp_path, types, "auto")["A"]
    pd.testing.assert_series_equal(expected, daily(LEAVES.round(2), evergreen=False), check_names=False, check_freq=False)
    qc = np.resize([0, 0b00100000, 0b00011000, 0b00000010], len(DATES))
    bad = np.resize([0b01100001, 0b00001000, 0b00010000, 0b00000100, 0b10011101], 12)
    table = appeears(qc=qc)
    table.loc[50:61, "MCD15A3H_061_FparLai_QC"] = bad
    table.loc[50:61, "MCD15A3H_061_Fpar_500m"] = np.where(bad == 0b10011101, 2.55, 0.3)
    write(tmp_path, table, APPEEARS)
    kept = daily(LEAVES.round(2).drop(LEAVES.index[50:62]), evergreen=False)
    pd.testing.assert_series_equal(read_vegetation(tmp_path, types, "auto")["A"], kept, check_names=False, check_freq=False)
    assert not caplog.records


def test_tables_of_one_product_are_one_series(tmp_path):
    """Years that were asked for one after the other; another product is not mixed in."""
    types, early = pd.Series({"A": "DBF"}), appeears()["Date"] < "2005"
    write(tmp_path, appeears(), APPEEARS)
    whole = read_vegetation(tmp_path, types, "auto")["A"]
    (tmp_path / APPEEARS).unlink()
    write(tmp_path, appeears()[early], "a-MCD15A3H-061-results.csv")
    write(tmp_path, appeears()[~early], "b-MCD15A3H-061-results.csv")
    renamed = {name: name.replace("MCD15A3H", "MOD15A2H") for name in appeears()}
    later = appeears(Date=(DATES + pd.Timedelta("1500D")).strftime("%Y-%m-%d")).rename(columns=renamed)
    write(tmp_path, later, "c-MOD15A2H-061-results.csv")
    pd.testing.assert_series_equal(read_vegetation(tmp_path, types, "auto")["A"], whole)


def test_fapar_of_earth_engine_is_read_as_it_is_stored(tmp_path):
    stamps = DATES.astype("datetime64[ns]").astype("int64") // 10**6
    fpar = (100 * LEAVES.to_numpy()).round()
    table = pd.DataFrame({"site_id": "A", "system:time_start": stamps, "Fpar": fpar, "FparLai_QC": 0, "Lai": 30})
    write(tmp_path, table, "MCD15A3H_061_towers.csv")
    found = read_vegetation(tmp_path, pd.Series({"A": "DBF"}), "auto")["A"]
    pd.testing.assert_series_equal(found, daily(LEAVES.round(2), evergreen=False), check_names=False, check_freq=False)


def test_fapar_of_earth_engine_that_was_scaled_before_is_refused(tmp_path):
    table = pd.DataFrame({"site_id": "A", "date": DATES.strftime("%Y-%m-%d"), "Fpar": LEAVES.to_numpy().round(2), "FparLai_QC": 0})
    write(tmp_path, table, "MCD15A3H_061_towers.csv")
    with pytest.raises(ValueError, match="column Fpar: the largest fapar is 0.008 after the scale of 0.01 .* export the stored numbers"):
        read_vegetation(tmp_path, pd.Series({"A": "DBF"}), "auto")


def test_a_table_of_appeears_without_its_quality_is_refused(tmp_path):
    write(tmp_path, appeears().drop(columns="MCD15A3H_061_FparLai_QC"), APPEEARS)
    with pytest.raises(ValueError, match=f"{APPEEARS} lacks the column MCD15A3H_061_FparLai_QC or MCD15A3H_006_FparLai_QC, which"):
        read_vegetation(tmp_path, pd.Series({"A": "DBF"}), "auto")
    write(tmp_path, appeears(), "mine.csv")
    (tmp_path / APPEEARS).unlink()
    with pytest.raises(ValueError, match="mine.csv needs the columns .* keeps its name, TASK-MCD15A3H-061-results.csv"):
        read_vegetation(tmp_path, pd.Series({"A": "DBF"}), "auto")


@pytest.mark.parametrize("name", ["fapar_qc", "FparLai_QC", "QA", "cloud_flag", "SCL", "fapar_quality"])
def test_columns_of_quality_that_are_not_read_are_named(tmp_path, make_vegetation, caplog, name):
    series = read_series(write(tmp_path, make_vegetation(["A"]).assign(**{name: 3, "fparStdDev": 7})))["A"]
    assert series.max() < 0.81 and f"some.csv: the columns {name}, which may say where a value is bad, are not read; leave" in caplog.text
