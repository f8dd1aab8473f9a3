"""Reflectance at towers: tables as they are exported, the rules of the catalog, the daily series, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.data.gaps import CLIMATOLOGY
from hybridflux.data.imagery.indices import INDICES, compute
from hybridflux.data.points import dataset_of, gives, read_points
from hybridflux.data.reflectance import INDICES_AT_TOWERS, LONGEST_GAP, SMOOTHER, daily, read_reflectance
from hybridflux.data.towers import open_towers
from hybridflux.model.compositions import get
from hybridflux.vocabulary import VARIABLES

CATALOG = load_catalog()
SITES = ("FR-Aaa", "DE-Bbb")
RED, NIR, SWIR = 0.05, 0.35, 0.15
TRUTH = {
    "ndvi": 0.75, "nirv": 0.2625, "lswi": 0.4, "evi2": 2.5 * 0.3 / (0.35 + 0.12 + 1), "kndvi": np.tanh(0.75**2),
}  # fmt: skip
"""By the formulae of the papers, worked out by hand for these three reflectances."""


def modis_table(site="FR-Aaa"):
    return pd.DataFrame({"site_id": site, "date": ["2009-05-01"], "red": RED * 1e4, "nir": NIR * 1e4, "swir1640": SWIR * 1e4})


EXPORTS = {
    "modis_1km.csv": modis_table(),
    "TASK-MOD09GA-061-results.csv": pd.DataFrame({
        "ID": ["fr-aaa"] * 3, "Category": "x", "Latitude": 48.5, "Date": ["2009-05-01", "2009-05-02", "2009-05-03"],
        "MOD09GA_061_sur_refl_b01_1": [RED, 0.4, -28672], "MOD09GA_061_sur_refl_b02_1": [NIR, 0.42, -28672],
        "MOD09GA_061_sur_refl_b06_1": [SWIR, 0.2, -28672], "MOD09GA_061_state_1km_1": [8, 1, 8],
    }),
    "TASK-HLSS30-020-results.csv": pd.DataFrame({
        "ID": ["FR-Aaa"] * 2, "Date": ["2009-05-01", "2009-05-04"], "HLSS30_020_B04": [RED, 0.3], "HLSS30_020_B8A": [NIR, 0.32],
        "HLSS30_020_B11": [SWIR, 0.2], "HLSS30_020_Fmask": [64, 66],
    }),
    "TASK-MCD43A4-061-results.csv": pd.DataFrame({
        "ID": ["FR-Aaa"] * 2, "Date": ["2009-05-01", "2009-05-02"], "MCD43A4_061_Nadir_Reflectance_Band1": [RED, 0.3],
        "MCD43A4_061_Nadir_Reflectance_Band2": [NIR, 32767], "MCD43A4_061_Nadir_Reflectance_Band6": [SWIR, 0.2],
        "MCD43A4_061_BRDF_Albedo_Band_Mandatory_Quality_Band1": [0, 1],
    }),
    "S2_SR_HARMONIZED_towers.csv": pd.DataFrame({
        "system:index": ["a", "b", "c"], "site_id": "FR-Aaa", "system:time_start": [1241172000000, 1241172000000, 1241431200000],
        "B4": [RED * 1e4] * 2 + [9000], "B8": [NIR * 1e4] * 2 + [9500], "B11": [SWIR * 1e4] * 2 + [5000], "SCL": [4, 5, 9], ".geo": "{}",
    }),
    "reflectance_mine.csv": pd.DataFrame({"site": ["FR-Aaa"], "date": ["01.05.2009"], "red": RED, "nir": NIR, "swir1": SWIR}),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_gives_the_indices_of_its_clear_views(tmp_path, name):
    """Scale, missing values, mask, names of sites and days by the catalog; views of one day are one."""
    EXPORTS[name].to_csv(tmp_path / name, index=False)
    dataset = dataset_of(tmp_path / name, CATALOG)
    found = read_points(tmp_path / name, dataset, INDICES_AT_TOWERS, SITES)
    assert set(found) == set(TRUTH)
    for index, value in TRUTH.items():
        assert found[index].index.tolist() == [("FR-Aaa", pd.Timestamp("2009-05-01"))]
        assert found[index].iloc[0] == pytest.approx(value, abs=1e-6), index


def test_a_composite_stands_in_the_middle_of_its_days(tmp_path):
    table = EXPORTS["TASK-MOD09GA-061-results.csv"].rename(columns=lambda name: name.replace("GA", "A1").removesuffix("_1"))
    path = tmp_path / "T-MOD09A1-061-results.csv"
    table.rename(columns={"MOD09A1_061_state_1km": "MOD09A1_061_sur_refl_state_500m"}).to_csv(path, index=False)
    found = read_points(path, dataset_of(path, CATALOG), ["nirv"], SITES)
    assert found["nirv"].index.tolist() == [("FR-Aaa", pd.Timestamp("2009-05-04"))]


def read(path, table, names=("nirv", "lswi")):
    table.to_csv(path, index=False)
    return read_points(path, dataset_of(path, CATALOG), names, SITES)


def test_each_band_of_mcd43a4_has_its_own_quality(tmp_path, caplog):
    """User guide of MCD43, V006: the mandatory quality is of each band; 0 is a full inversion."""
    table = EXPORTS["TASK-MCD43A4-061-results.csv"].iloc[:1]
    path, quality = tmp_path / "TASK-MCD43A4-061-results.csv", "MCD43A4_061_BRDF_Albedo_Band_Mandatory_Quality_Band"
    found = read(path, table.assign(**{f"{quality}2": 0, f"{quality}6": 1}))
    assert len(found["nirv"]) == 1 and len(found["lswi"]) == 0 and not caplog.records
    assert not any(map(len, read(path, table.assign(**{f"{quality}2": 255, f"{quality}6": 0})).values()))
    assert all(map(len, read(path, table).values()))
    assert f"{path.name} lacks the columns {quality}2, {quality}6, which say where a band is bad" in caplog.text


@pytest.mark.parametrize(
    ("qc", "given"),
    [(1 << 30, {"nirv", "lswi"}), (0b1100 << 22, {"nirv"}), (0b1000 << 2, {"lswi"}), (0b0111 << 6, set()), (787410671, set()), ("", set())],
    ids=("all ideal", "1640 nm", "red: dead detector", "near infrared: noisy detector", "missing", "empty"),
)
def test_the_quality_of_each_band_of_mod09_is_read(tmp_path, caplog, qc, given):
    """User's guide of MOD09, collection 6, table of QC_500m: bits 2-5 are of band 1, 6-9 of band 2, 22-25 of band 6; 0 is the highest."""
    table = EXPORTS["TASK-MOD09GA-061-results.csv"].iloc[:1]
    path = tmp_path / "TASK-MOD09GA-061-results.csv"
    found = read(path, table.assign(MOD09GA_061_QC_500m_1=qc))
    assert {name for name, views in found.items() if len(views)} == given and not caplog.records
    assert all(map(len, read(path, table).values())) and "lacks the columns MOD09GA_061_QC_500m_1, which say" in caplog.text


def test_rows_of_one_day_are_one_view_or_several_that_are_warned_of(tmp_path, caplog):
    table = modis_table()
    rows = pd.concat([table, table, table.assign(nir=2500.0), table.assign(date="2009-05-02"), table.assign(date="2009-05-02")])
    found = read(tmp_path / "modis_1km.csv", rows)["nirv"]
    other = 0.25 * (0.25 - RED) / (0.25 + RED)
    assert found.to_numpy() == pytest.approx([(TRUTH["nirv"] + other) / 2, TRUTH["nirv"]], abs=1e-6), "a row that stands twice counts once"
    assert len(caplog.records) == 1
    assert "modis_1km.csv: 1 days have several clear views of one site that differ, the first is 2009-05-01 at FR-Aaa; their" in caplog.text


def test_views_of_one_day_in_two_files_that_differ_are_warned_of(folder, caplog):
    write_reflectance(folder, SITES, "modis_1km_a.csv")
    write_reflectance(folder, SITES, "modis_1km_b.csv")
    read_reflectance(folder.path, SITES, ["nirv"])
    assert not caplog.records
    path = folder.path / "reflectance" / "modis_1km_b.csv"
    table = pd.read_csv(path)
    table.loc[3:4, "nir"] += 100
    table.to_csv(path, index=False)
    read_reflectance(folder.path, SITES, ["nirv", "ndvi"])
    assert len(caplog.records) == 1
    said = "modis_1km_a.csv, modis_1km_b.csv: 2 days have views of one site that differ between these files"
    assert f"{said}, the first is 2008-06-16 at FR-Aaa; their indices are averaged" in caplog.text


def test_fapar_in_the_folder_of_reflectance_is_warned_of(tmp_path, caplog):
    (tmp_path / "reflectance").mkdir()
    (tmp_path / "reflectance" / "TASK-MCD15A3H-061-results.csv").write_text("ID,Date,MCD15A3H_061_Fpar_500m\nFR-Aaa,2009-05-01,0.5\n")
    assert not read_reflectance(tmp_path, SITES)
    assert "appeears-fpar gives no index of reflectance; fapar belongs into the folder satellite" in caplog.text


def test_a_table_without_the_columns_of_its_dataset_is_warned_of(tmp_path, caplog):
    assert not read(tmp_path / "modis_1km.csv", modis_table().drop(columns="nir"))
    assert "modis_1km.csv gives no nirv, lswi: it lacks the columns of modis-1km-points, and has site_id, date, red, swir" in caplog.text


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("reflectance.csv", lambda t: t.assign(nir=3500.0), "column nir, row 2: 3500 is not between -0.3 and 1.6 .1 of 1 clear values"),
        ("modis_1km.csv", lambda t: pd.concat([t.assign(nir=0.35, date=f"2009-05-{d:02d}") for d in range(1, 28)]), "scale applied before"),
        ("S2_SR_HARMONIZED.csv", lambda t: t.drop(columns="SCL"), "lacks the column SCL, which says what is cloud"),
        ("S2_SR_HARMONIZED.csv", lambda t: t.assign(SCL=4.5), "column SCL, row 2: 4.5 is no class but a mean of classes"),
        ("modis_1km.csv", lambda t: t.drop(columns="date"), "needs the columns site_id .or ID. and date"),
        ("modis_1km.csv", lambda t: t.assign(red="x"), "column red, row 2: `x` is not a number"),
    ],
)
def test_a_table_that_contradicts_its_dataset_is_refused(tmp_path, name, change, message):
    like = {"reflectance.csv": "reflectance_mine.csv", "S2_SR_HARMONIZED.csv": "S2_SR_HARMONIZED_towers.csv"}.get(name, name)
    change(EXPORTS[like]).to_csv(tmp_path / name, index=False)
    with pytest.raises(ValueError, match=message):
        read_points(tmp_path / name, dataset_of(tmp_path / name, CATALOG), ["nirv"], SITES)


def test_names_of_files_say_of_which_dataset_they_are(tmp_path):
    assert dataset_of(tmp_path / "whatever.csv", CATALOG) is None
    tables = {one.id: one for one in CATALOG.values() if one.format == "points"}
    for one in tables.values():  # no file is of two datasets
        assert [dataset_of(tmp_path / pattern.replace("*", "x"), CATALOG).id for pattern in one.files] == [one.id] * len(one.files)
    assert "cci" in gives(tables["modis-1km-points"]) and gives(tables["hr-vpp-points"]) == ("ndvi", "evi2")
    assert all(VARIABLES[name].bounds[0] <= INDICES[name].bounds[0] for name in INDICES_AT_TOWERS)


def views_of(signal, days, noise, rng, every=4):
    when = np.arange(0, len(days), every)
    return pd.Series(signal[when] + noise * rng.standard_normal(len(when)), days[when])


def test_the_daily_series_recovers_the_season_with_its_error():
    """Two towers of other seasons: 90 % intervals hold 90 % of the truth, a cloud is dropped, a long gap is left open."""
    days, rng = pd.date_range("2005-01-01", "2008-12-31"), np.random.default_rng(0)
    wave = np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 190) / 365.25)
    truth = {"A": 0.15 + 0.10 * wave, "B": 0.25 + 0.02 * wave}
    views = {site: views_of(signal, days, 0.02, rng) for site, signal in truth.items()}
    views["A"].iloc[100] = 0.0  # an unseen cloud in a warm month
    views["B"] = views["B"][(views["B"].index < "2006-03-01") | (views["B"].index > "2006-08-01")]
    views["C"] = views["A"].iloc[:5]
    found = daily(pd.concat(views, names=["site", "day"]), SMOOTHER["nirv"], "nirv")
    assert set(found) == {"A", "B"}, "five views are no season"
    for site, series in found.items():
        z = (series["nirv"] - pd.Series(truth[site], days)) / series["nirv_sd"]
        assert 0.8 < (z.abs() < 1.645).mean() / z.notna().mean() <= 1 and series["nirv_sd"].mean() < 0.02
    assert abs(found["A"]["nirv"].iloc[400] - truth["A"][400]) < 0.03
    gap = found["B"]["nirv"]["2006-03-10":"2006-07-20"]
    assert gap.isna().all() and LONGEST_GAP < 150 and found["B"]["nirv"]["2007"].notna().all()


def write_reflectance(folder, sites, name="modis_1km.csv", start="2008-06-01", end="2010-06-30"):
    days = pd.date_range(start, end, freq="5D")
    season = 0.5 + 0.5 * np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 190) / 365.25)
    bands = {"red": 800 - 400 * season, "nir": 2000 + 2000 * season, "swir1640": 2200 - 500 * season, "green531": 900 - 400 * season}
    parts = [pd.DataFrame({"site_id": site, "date": days} | {name: values.round() for name, values in bands.items()}) for site in sites]
    (folder.path / "reflectance").mkdir(exist_ok=True)
    pd.concat(parts).to_csv(folder.path / "reflectance" / name, index=False)


def test_a_towers_folder_with_reflectance(folder, caplog):
    """Drivers by name, those of a model alone; a tower without reflectance is left out where the model needs it, and named otherwise."""
    write_reflectance(folder, ["FR-Aaa"])
    towers = open_towers(folder.path)
    assert len(towers) == 2 and towers.daily.attrs == {"reflectance": "modis-1km-points"}
    assert set(INDICES_AT_TOWERS) <= set(towers.daily) and towers.daily["nirv_sd"].attrs["units"] == "1"
    with pytest.raises(ValueError, match="no `lswi` at DE-Bbb; leave these sites out"):
        towers.sequences(["lswi"])
    needs = get("hybrid_nirv").needs_at_towers()
    only = open_towers(folder.path, needs=needs)
    assert only.left_out == {"DE-Bbb": "no lswi, nirv of satellites"} and "ndvi" not in only.daily
    sequences = only.sequences(needs)
    assert sequences.drivers["nirv"].max() == pytest.approx(0.4 * 36 / 44, abs=0.01)
    assert sequences.drivers["nirv_top"][0] > 0.25 > 0.15 > sequences.drivers["nirv_base"][0]
    counted = np.isfinite(sequences.targets["nee"][:, 0])
    assert counted[:540].all() and not counted[550:].any(), "no view after June 2010"
    assert (only.daily["nirv_flag"].to_numpy()[550:] == CLIMATOLOGY).all()


def test_fapar_is_not_asked_for_where_no_model_reads_it(folder):
    write_reflectance(folder, SITES)
    (folder.path / "satellite" / "series.csv").unlink()
    with pytest.raises(FileNotFoundError, match="no vegetation series"):
        open_towers(folder.path)
    towers = open_towers(folder.path, needs=get("hybrid_nirv").needs_at_towers())
    assert len(towers) == 2 and "fapar" not in towers.daily


def test_one_sensor_serves_all_towers(folder, caplog):
    """Two datasets are never mixed: that of most sites and views is taken, and a file of none is named."""
    write_reflectance(folder, SITES)
    days = pd.date_range("2009-01-01", "2010-12-31", freq="2D")
    table = pd.DataFrame({"site_id": "FR-Aaa", "date": days, "ndvi": 0.1, "evi2": 0.1})
    table.to_csv(folder.path / "reflectance" / "sentinel2_hrvpp_10m.csv", index=False)
    table.to_csv(folder.path / "reflectance" / "other.csv", index=False)
    found = read_reflectance(folder.path, SITES, ["ndvi", "cci"])
    assert set(found) == set(SITES) and found["FR-Aaa"].attrs["dataset"] == "modis-1km-points"
    assert found["FR-Aaa"]["ndvi"].min() > 0.3 and "other.csv is the file of no dataset" in caplog.text


def test_real_reflectance_of_towers(shared, tmp_path):
    """European towers in MODIS at 1 km: the driver is the index of imagery, its sd what views left out see, seasons as known."""
    folder, sites = shared / "data" / "towers", ["FR-Pue", "DK-Sor", "DE-Geb"]
    table = pd.read_csv(folder / "reflectance" / "modis_1km.csv.gz", parse_dates=["date"])
    table = table[table.site_id.isin(sites)].reset_index(drop=True)
    bands = {"B8A": table.nir.to_numpy() / 1e4, "B04": table.red.to_numpy() / 1e4}
    raw = pd.Series(compute("nirv", bands), pd.MultiIndex.from_frame(table[["site_id", "date"]])).dropna()
    path = tmp_path / "reflectance" / "modis_1km.csv.gz"
    path.parent.mkdir()
    table.to_csv(path, index=False)
    views = read_points(path, CATALOG["modis-1km-points"], ["nirv"], sites)["nirv"]
    pd.testing.assert_series_equal(views, raw.sort_index(), check_names=False)
    found = read_reflectance(tmp_path, sites, ["nirv", "lswi"])
    assert set(found) == set(sites) and all(frame.attrs["dataset"] == "modis-1km-points" for frame in found.values())
    beech, oak = (found[site]["nirv"].groupby(found[site].index.month).mean() for site in ("DK-Sor", "FR-Pue"))
    assert beech[6] > 0.25 > 0.13 > beech[3] and np.ptp(oak) < 0.1, "a beech wood has a season, an evergreen oak hardly"
    held = np.random.default_rng(0).random(len(views)) < 0.1
    again = daily(views[~held], SMOOTHER["nirv"], "nirv")
    z = [
        (value - again[site]["nirv"].get(day)) / np.hypot(again[site]["nirv_sd"].get(day), SMOOTHER["nirv"].view_sd)
        for (site, day), value in views[held].items()
        if day in again[site]["nirv"].index
    ]
    inside = np.mean(np.abs(np.array(z)[np.isfinite(z)]) < 1.645)
    assert 0.85 < inside < 0.96, inside
