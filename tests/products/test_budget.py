import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.data.origin import read_origin
from hybridflux.products.budget import budget_table, rows_of
from hybridflux.products.rows import summary
from hybridflux.products.sheet import write_table
from hybridflux.products.totals import open_totals
from hybridflux.products.years import coefficient_of_variation, quantities_of_years
from hybridflux.region.outputs import PeriodMaps, ZoneTotals

ERROR = np.linspace(-1, 1, 41)


def pick(table, zone, cover, variable, period="2018", quantity="flux"):
    wanted = {"zone": zone, "land_cover": cover, "variable": variable, "period": period, "quantity": quantity}
    found = table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]
    assert len(found) == 1
    return found.iloc[0]


def test_totals_by_hand(make_run):
    table = budget_table(make_run())
    row = pick(table, "region", "all", "NEE")
    grams = -200 * 3e6 - 50 * 1e6
    assert row["mean"] == pytest.approx(grams / 4e6)
    assert row["area_ha"] == pytest.approx(400)  # water left out
    assert row["total_tCO2"] == pytest.approx(grams * 44 / 12 / 1e6)  # the factor of inventories: IPCC 2006
    assert row["sd"] == pytest.approx(abs(grams) / 4e6 * 0.5 * ERROR.std(ddof=1))
    assert row["q05"] == pytest.approx(grams / 4e6 * (1 + 0.5 * np.quantile(ERROR, 0.95)))
    assert (row["units"], row["total_units"], row["sign"]) == ("gC m-2 yr-1", "tCO2 yr-1", "positive to the atmosphere")
    assert (row["spread"], row["draws"]) == ("parameter+random_effects", 41)


def test_nothing_mapped_is_said():
    with pytest.raises(ValueError, match="nothing was mapped"):
        rows_of(None, [], None, yearly=True)


def test_a_run_that_keeps_no_totals_says_so(make_run):
    run = make_run()
    (run / "totals.nc").unlink()
    kept = [output.to_json() for output in (PeriodMaps(), ZoneTotals("evapotranspiration"))]
    (run / "run.json").write_text(json.dumps({"state": "done", "spec": {"keep": kept}}))
    with pytest.raises(FileNotFoundError, match=r"keeps no `ZoneTotals` of NEE, GPP, RECO; .*with `ZoneTotals\(\)` in `keep`"):
        open_totals(run)
    (run / "run.json").write_text(json.dumps({"state": "running", "spec": {"keep": [*kept, ZoneTotals().to_json()]}}))
    with pytest.raises(FileNotFoundError, match="not finished"):
        open_totals(run)


def test_one_draw_has_no_spread_but_a_number():
    row = summary(np.array([3.0]))
    assert row["mean"] == 3.0 and np.isnan(row["sd"]) and pd.DataFrame([row]).dtypes.map(str).eq("float64").all()


def test_errors_stay_correlated(make_run):
    """The sd of the whole is the sum of the sds of its parts, where all parts share their draws."""
    table = budget_table(make_run())
    parts = pick(table, "north", "all", "NEE")["total_tCO2_sd"] + pick(table, "south", "all", "NEE")["total_tCO2_sd"]
    assert pick(table, "region", "all", "NEE")["total_tCO2_sd"] == pytest.approx(parts)


def test_nee_is_reco_minus_gpp_in_every_row(make_run):
    wide = budget_table(make_run()).pivot(index=["zone", "land_cover"], columns="variable", values="mean")
    np.testing.assert_allclose(wide["NEE"], wide["RECO"] - wide["GPP"])


def test_a_part_of_a_year_is_not_scaled_up(make_run):
    row = pick(budget_table(make_run(start="2018-06-01", end="2018-08-31")), "north", "CRO", "NEE", period="2018-06..2018-08")
    assert row["mean"] == pytest.approx(-200 * 92 / 365)
    assert (row["units"], row["total_units"], row["days"]) == ("gC m-2", "tCO2", 92)


SHIFT = {2016: 40.0, 2018: 100.0, 2019: -30.0}


YEARS = {2016: -160.0 * 366 / 365, 2017: -200.0, 2018: -100.0, 2019: -230.0}  # of north/CRO; the totals of 2016 hold a day more


@pytest.mark.parametrize(("reference", "label"), [(None, "2016-2019"), ((2016, 2017), "2016-2017"), ((2018, 2018), "2018")])
def test_years_and_their_anomalies_from_a_declared_reference(make_run, reference, label):
    table = budget_table(make_run(start="2016-01-01", end="2019-12-31", shift=SHIFT), reference=reference)
    first, last = reference or (2016, 2019)
    of_reference = np.mean([value for year, value in YEARS.items() if first <= year <= last])
    assert pick(table, "north", "CRO", "NEE")["mean"] == pytest.approx(-100)
    anomaly = pick(table, "north", "CRO", "NEE", quantity="anomaly")
    assert anomaly["mean"] == pytest.approx(-100 - of_reference) and anomaly["reference"] == label
    assert anomaly["sd"] == pytest.approx(abs(anomaly["mean"]) * 0.5 * ERROR.std(ddof=1))  # the error that years share is gone
    difference = pick(table, "north", "CRO", "NEE", "2018 - 2017", quantity="difference")
    assert difference["mean"] == pytest.approx(100) and difference["sd"] == pytest.approx(100 * 0.5 * ERROR.std(ddof=1))


def test_what_years_say_adds_up_and_draw_by_draw(make_run):
    """Anomalies of the reference have the mean zero in every draw, years add up to their sum, zones add up, the trend is the slope."""
    totals = open_totals(make_run(start="2016-01-01", end="2019-12-31", shift=SHIFT))
    years = totals.complete_years()
    cells = [np.arange(3), *np.arange(3)[:, None]]
    carbon = np.stack([totals.sums("NEE", cells, totals.months.year == year) for year in years])
    wanted = quantities_of_years(years, [2016, 2017])
    found = {(one.period, one.quantity): one.of(carbon[[years.index(year) for year in one.years]]) for one in wanted}
    for values in found.values():
        assert values.shape == (4, 41)
    np.testing.assert_allclose(found["2016", "anomaly"] + found["2017", "anomaly"], 0.0, atol=1e-3)
    np.testing.assert_allclose(found["2016-2018", "cumulative"], carbon[:3].sum(0))
    linear = [values for (_, quantity), values in found.items() if quantity != "variation"]
    for values in linear:
        np.testing.assert_allclose(values[0], values[1:].sum(0), rtol=1e-9, atol=1e-3)
    np.testing.assert_allclose(found["2016-2019", "trend"], np.polyfit(years, carbon.reshape(4, -1), 1)[0].reshape(4, 41))
    rows = budget_table(make_run("same", start="2016-01-01", end="2019-12-31", shift=SHIFT))
    trend, variation = (pick(rows, "north", "CRO", flux, "2016-2019", kind) for flux, kind in (("NEE", "trend"), ("GPP", "variation")))
    assert (trend["units"], trend["total_units"], trend["days"]) == ("gC m-2 yr-2", "tCO2 yr-2", 1461)
    of_days = np.std([366, 365, 365, 365], ddof=1) / np.mean([366, 365, 365, 365])
    assert variation["units"] == "1" and variation["mean"] == pytest.approx(of_days) and np.isnan(variation["total_tCO2"])


def test_a_share_of_an_unknown_sign_has_no_value():
    carbon = np.array([[-1.0, 0.5, 1.0], [-2.0, 0.0, 2.0]])
    assert np.isnan(coefficient_of_variation(carbon)).all()


@pytest.mark.parametrize(
    ("reference", "why"),
    [((2015, 2017), "2015:2017 needs 2015, and the run maps 2016, 2017, 2018"), ((2030, 2030), "needs 2030, .*; name years among these")],
)
def test_a_reference_that_is_not_mapped_is_refused(make_run, reference, why):
    with pytest.raises(ValueError, match=why):
        budget_table(make_run(start="2016-01-01", end="2018-12-31"), reference=reference)


@pytest.mark.parametrize(("spread", "why"), [(None, "does not name its spread"), ("predictive", "measurement noise"), ("x", "needs one")])
def test_a_spread_must_be_named(make_run, spread, why):
    with pytest.raises(ValueError, match=why):
        budget_table(make_run(spread=spread))


def test_zones_put_together(make_run, tmp_path):
    groups = tmp_path / "groups.csv"
    groups.write_bytes("Zone;Group;\r\nnorth;catchment;\r\nsouth;catchment;\r\n;;\r\n".encode("utf-16"))  # as a spreadsheet saves it
    table = budget_table(make_run(), zones=groups)
    assert set(table.zone) == {"region", "catchment"}
    assert pick(table, "catchment", "CRO", "GPP")["mean"] == pytest.approx(1200)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("zones.xlsx", "", "not a CSV"),
        ("a.csv", "zone,name\nnorth,x\n", "lacks column group"),
        ("b.csv", "zone,group\nwest,x\n", "no zone `west`"),
        ("c.csv", "zone,group\nnorth,x\nnorth,y\n", "stands twice"),
        ("d.csv", "zone,group\nnorth,\nwest,x\neast,x\n", "row 2: zone `north` has no group; row 3: .*`west`.*; row 4: .*`east`"),
    ],
)
def test_bad_zone_files(make_run, tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=why):
        budget_table(make_run(), zones=tmp_path / name)


def test_unfinished_run(make_run, tmp_path):
    run = make_run()
    (run / "totals.nc").unlink()
    with pytest.raises(FileNotFoundError, match="not finished"):
        budget_table(run)
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        budget_table(tmp_path)


def test_one_draw_has_no_interval(make_run):
    row = pick(budget_table(make_run(draws=1)), "north", "CRO", "GPP")
    assert row["mean"] == pytest.approx(1200 * 0.9)
    assert np.isnan([row["sd"], row["q05"], row["q95"], row["total_tCO2_q95"]]).all()


def test_csv_reads_back(make_run, tmp_path):
    budget_table(make_run()).to_csv(tmp_path / "budget.csv", index=False)
    back = pd.read_csv(tmp_path / "budget.csv")
    assert {"zone", "land_cover", "period", "variable", "area_ha", "mean", "sd", "q05", "q50", "q95", "spread"} <= set(back)


def test_a_known_structural_error_widens_intervals_and_says_so(make_run):
    plain, wide = budget_table(make_run("plain")), budget_table(make_run("wide", structural=0.3))
    assert set(wide["spread"]) == {"parameter+random_effects+structural_error"}
    key = ["zone", "land_cover", "variable"]
    before, after = (table[table["quantity"] == "flux"].set_index(key) for table in (plain, wide))
    assert (after["sd"] > before["sd"])[[at for at in after.index if at[2] == "NEE"]].all()
    mean = wide[(wide["zone"] == "region") & (wide["land_cover"] == "CRO")].set_index("variable")["mean"]
    assert mean["NEE"] == pytest.approx(mean["RECO"] - mean["GPP"], rel=1e-9)


def test_a_budget_says_where_it_comes_from(make_run, tmp_path):
    run, out = make_run(), tmp_path / "new" / "budget.csv"
    record = {"attribution": ["Contains modified Copernicus Sentinel data 2018"], "config_hash": "abc", "provenance": {"seed": 1}}
    table = budget_table(run)
    write_table(table, out, record)
    said = read_origin(out)
    assert said["attribution"] == record["attribution"] and said["provenance"] == {"seed": 1} and said["url"] == "budget.csv"
    columns = {one["titles"]: one["dc:description"] for one in said["tableSchema"]["columns"]}
    assert list(columns) == list(table) and "44/12" in columns["total_tCO2"] and all(columns[name] != name for name in list(table)[:-3])
    pd.testing.assert_frame_equal(pd.read_csv(out)[["mean", "q95"]], table[["mean", "q95"]])
    (out.parent / "budget.csv-metadata.json").unlink()
    with pytest.raises(ValueError, match="budget.csv-metadata.json is not beside it"):
        read_origin(out)


@pytest.mark.parametrize(
    ("start", "end", "periods"),
    [
        ("2018-06-01", "2018-06-30", {"2018-06": 30}),
        ("2022-07-01", "2022-07-03", {"2022-07-01..2022-07-03": 3}),
        ("2017-12-20", "2019-01-31", {"2017-12-20..2017-12-31": 12, "2018": 365, "2019-01": 31, "2017-12-20..2019-01-31": 408}),
    ],
)
def test_a_part_of_a_year_or_month_is_named_by_its_days(make_run, start, end, periods):
    run = make_run(start=start, end=end)
    path = run / "totals.nc"
    with xr.open_dataset(path, engine="h5netcdf") as data:
        data = data.load()
    first = data["month"].values.copy()
    first[0] = np.datetime64(start)  # as a run writes it
    bounds = np.stack([first, first + data["days"].values.astype("timedelta64[D]")], 1)
    data.assign_coords(month=first).assign(month_bnds=(("month", "bnds"), bounds)).to_netcdf(path, engine="h5netcdf")
    table = budget_table(run)
    assert dict(zip(table["period"], table["days"], strict=True)) == periods
    per_year = table["units"] == "gC m-2 yr-1"
    assert set(table.loc[per_year, "period"]) == {period for period in periods if len(period) == 4}
    assert set(table.loc[~per_year, "total_units"]) <= {"tCO2"}
