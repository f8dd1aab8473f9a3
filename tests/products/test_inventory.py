import json

import h5netcdf
import numpy as np
import pytest

from hybridflux.products.budget import budget_table
from hybridflux.products.closure import judge
from hybridflux.products.inventory import read_inventory
from hybridflux.products.inventory_match import check_match
from hybridflux.products.totals import open_totals

HEAD = "zone,land_cover,pool,start_year,end_year,value,sd\n"


def write(folder, *rows):
    path = folder / "inventory.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


def ledger(biomass=0.0, soil=0.0, export=0.0, sd=5.0):
    return {"biomass": (biomass, sd), "soil": (soil, sd), "export": (export, sd)}


def nee(mean, sd, draws=400):
    return mean + sd * np.random.default_rng(0).standard_normal(draws)


def test_difference_and_sd_by_hand():
    flux = nee(-400.0, 30.0)
    verdict = judge(flux, {"biomass": (100.0, 10.0), "soil": (20.0, 8.0), "export": (250.0, 20.0)}, years=(1, 1), spread="parameter")
    assert verdict.difference == pytest.approx(-flux.mean() - 250 - 120)
    assert verdict.difference_sd == pytest.approx(np.sqrt(flux.var(ddof=1) + 10**2 + 8**2 + 20**2))
    assert verdict.z == pytest.approx(verdict.difference / verdict.difference_sd)
    assert verdict.limiting_term == "flux"


@pytest.mark.parametrize(
    ("flux", "pools", "expected", "term"),
    [
        (nee(-400, 20), ledger(biomass=150, export=250, sd=10), "closed", "flux"),
        (nee(-400, 20), ledger(biomass=150, export=50, sd=10), "open", "flux"),
        (nee(-400, 300), ledger(biomass=150, export=250), "undecidable", "flux"),
        (nee(-400, 20), ledger(biomass=150, export=250, sd=200), "undecidable", "biomass"),
        (nee(-2000, 300), ledger(biomass=150, export=250), "open", "flux"),  # wide errors, wider gap
        (nee(0, 10), ledger(sd=5), "closed", "flux"),  # nothing happens and all know it
        (nee(-400, 20), {"biomass": (150, 10), "export": (250, 10)}, "undecidable", "soil"),
        (np.array([-400.0]), ledger(biomass=150, export=250), "undecidable", "flux"),
    ],
)
def test_verdicts(flux, pools, expected, term):
    verdict = judge(flux, pools, years=(1, 1), spread="parameter+random_effects")
    assert (verdict.verdict, verdict.limiting_term) == (expected, term)


def test_too_few_years_are_undecidable():
    assert judge(nee(-400, 20), ledger(biomass=150, export=250), years=(2, 10), spread="parameter").verdict == "undecidable"


def test_harvest_flips_the_sign(make_run, tmp_path):
    """A crop that takes up carbon loses it when the harvest leaves (Grignon: Loubet et al. 2011)."""
    inventory = write(tmp_path, "north,CRO,export,2018,2018,300,10", "north,CRO,soil,2018,2018,-90,10", "north,CRO,biomass,2018,2018,0,1")
    table = budget_table(make_run(), inventory=inventory)
    row = table[table.variable == "NBP"].iloc[0]
    assert row["mean"] == pytest.approx(200 - 300, abs=1e-6)
    assert row["total_tCO2"] == pytest.approx(-100 * 2.0 * 44 / 12)  # 2 km2: 2e6 m2
    assert row["difference"] == pytest.approx(-100 + 90, abs=1e-6)
    assert row["sd"] == pytest.approx(np.hypot(200 * 0.5 * np.linspace(-1, 1, 41).std(ddof=1), 10))
    assert row["sign"] == "positive gain of the land"


def test_exports_of_a_period_add_up(tmp_path):
    path = write(
        tmp_path,
        "all,all,export,2017,2017,100,10", "all,all,export,2018,2018,200,10", "all,all,export,2017,2018,5,0",
        "region,,biomass,2017,2018,1,1",
    )  # fmt: skip
    (entry,) = read_inventory(path)
    assert (entry.zone, entry.land_cover, entry.years) == ("region", "all", (2017, 2018))
    assert entry.pools["export"] == (pytest.approx(155.0), pytest.approx(np.hypot(5, 5)))


@pytest.mark.parametrize("years", ["2018,2019", "2018,2018"])
def test_an_export_of_some_years_is_no_export_of_all(tmp_path, years):
    """An import, fire or leaching that no row gives of a year counts as none; an export does not."""
    stocks = ("north,CRO,biomass,2018,2019,0,5", "north,CRO,soil,2018,2019,-90,10", f"north,CRO,import,{years},50,10")
    with pytest.raises(ValueError, match="export of north/CRO must cover 2018 to 2019, all and only; no row gives 2019, .* add a row"):
        read_inventory(write(tmp_path, *stocks, "north,CRO,export,2018,2018,400,40"))
    (entry,) = read_inventory(write(tmp_path, *stocks, "north,CRO,export,2018,2018,400,40", "north,CRO,export,2019,2019,300,30"))
    share = 1.0 if years.endswith("9") else 0.5
    assert entry.carried["import"][0] == 50 * share and entry.pools["export"][0] == pytest.approx(350 - 50 * share)


def test_a_place_with_leaching_or_fire_alone_is_said_to_be_left_out(tmp_path):
    """It has nothing to compare with a run; a table of such places alone is refused."""
    others = "south,all,leaching,2018,2019,12,3", "south,all,fire,2018,2018,20,5", "region,CRO,import,2018,2018,50,9"
    said = r"no stock change and no export of south/all \(only leaching, fire\); region/CRO \(only import\).*add its biomass, soil"
    with pytest.warns(UserWarning, match=said + " and export, or give the table to `hybridflux ledger --yields`"):
        (entry,) = read_inventory(write(tmp_path, "north,DBF,biomass,2018,2019,95,30", *others))
    assert (entry.zone, entry.land_cover) == ("north", "DBF")
    with pytest.raises(ValueError, match=r"has no stock change and no export of any place: south/all \(only leaching, fire\)"):
        read_inventory(write(tmp_path, *others))


@pytest.mark.parametrize("stocks", [(), ("north,CRO,soil,2018,2018,-90,10",)])
def test_an_import_beyond_the_years_of_an_entry_is_refused(tmp_path, stocks):
    with pytest.raises(ValueError, match="import of north/CRO is of 2018 to 2019, beyond 2018 to 2018, .*split the row"):
        read_inventory(write(tmp_path, *stocks, "north,CRO,import,2018,2019,50,10", "north,CRO,export,2018,2018,400,40"))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((), "no rows"),
        (("a,CRO,litter,2018,2018,1,1",), "row 2: pool `litter` is not one of biomass, soil, export"),
        (("a,CRO,soil,2018,2018,x,1",), "column value, row 2: `x` is not a number"),
        (("a,CRO,soil,2018.5,2018,1,1",), "not a whole year"),
        (("a,CRO,soil,2018,2017,1,1",), "before start_year"),
        (("a,CRO,soil,2018,2018,1,-1",), "sd must not be negative"),
        (("a,CRO,soil,2018,2018,1,",), "row 2: sd `` is missing"),
        (("a,CRO,soil,2018,2018,1,1", "a,CRO,litter,2018,2018,1,1", "a,CRO,soil,2019,2018,1,-1"), "row 3: pool .*; row 4: end_year"),
        (("a,CRO,export,2018,2018,9,1", "a,CRO,export,2018,2018,9,1"), "row 3: .*the whole row is the same as one above"),
        (('a,CRO,soil,2018,2018,"48,5",1',), "row 2: `48,5` has a decimal comma"),
        (("a,CRO,soil,2018,2018,1,1", "a,CRO,biomass,2017,2018,1,1"), "different periods"),
        (("a,CRO,soil,2017,2018,1,1", "a,CRO,export,2018,2018,1,1"), "must cover 2017 to 2018"),
        (("a,CRO,soil,2018,2018,1,1", "a,CRO,soil,2018,2018,2,1"), "stands twice"),
    ],
)
def test_bad_inventories(tmp_path, rows, why):
    with pytest.raises(ValueError, match=why):
        read_inventory(write(tmp_path, *rows))


@pytest.mark.filterwarnings("ignore:.*nothing can be decided")
def test_missing_column_and_unknown_place(make_run, tmp_path):
    (tmp_path / "bad.csv").write_text("zone,pool\na,soil\n")
    with pytest.raises(ValueError, match="lacks column land_cover.*it must have zone,land_cover"):
        read_inventory(tmp_path / "bad.csv")
    with pytest.raises(ValueError, match="west/CRO, east/DBF, the run has"):
        rows = ("west,CRO,soil,2018,2018,1,1", "east,DBF,soil,2018,2018,1,1")
        budget_table(make_run(), inventory=write(tmp_path, *rows))
    with pytest.raises(FileNotFoundError, match="nowhere.csv is not a file"):
        read_inventory(tmp_path / "nowhere.csv")


def test_a_spreadsheet_and_a_column_of_units_give_the_same_entry(tmp_path):
    (plain,) = read_inventory(write(tmp_path, "north,DBF,biomass,2010,2020,95.5,30"))
    path = tmp_path / "french.csv"
    head = "\ufeffZone;Land Cover;Pool;Start Year;End Year;Value;SD;Units\r\n"
    path.write_bytes(f"{head}north;dbf;Biomass;2010;2020;0,955;0,3;tC ha-1 yr-1\r\n;;;;;;;\r\n".encode())
    (french,) = read_inventory(path)
    assert (french.zone, french.land_cover, french.years) == (plain.zone, plain.land_cover, plain.years)
    assert french.pools["biomass"] == pytest.approx(plain.pools["biomass"])
    path.write_text(HEAD.strip() + ",units\nnorth,DBF,biomass,2010,2020,95,30,kg\n")
    with pytest.raises(ValueError, match="units `kg` is not one of gC m-2 yr-1, tC ha-1 yr-1"):
        read_inventory(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("north,DBF,biomass,2010,2020,0.95,0.3", "biomass and export stay below 0.95, read as gC m-2 yr-1; is it tC ha-1 yr-1"),
        ("north,DBF,biomass,2010,2020,9500,300", "a gain of 9500 gC m-2 yr-1 is beyond any productivity; is it a stock"),
    ],
)
def test_values_of_another_unit_are_warned_of(tmp_path, row, message):
    with pytest.warns(UserWarning, match=message):
        read_inventory(write(tmp_path, row))


@pytest.mark.filterwarnings("ignore:.*nothing can be decided")
@pytest.mark.parametrize(
    ("names", "told_apart"),
    [
        ({"1": "region", "2": "south"}, ["region (zone 1)", "south"]),
        ({"1": "all", "2": "no zone"}, ["all (zone 1)", "no zone (zone 2)"]),
        ({"1": "wood", "2": "wood"}, ["wood (zone 1)", "wood (zone 2)"]),
        ({"1": " region ", "2": ""}, ["region (zone 1)", " (zone 2)"]),
    ],
)
def test_a_zone_is_never_taken_for_the_region_or_for_another_zone(make_run, tmp_path, names, told_apart):
    """A zone named `region` was compared with the inventory of the whole region, and two of one name were one."""
    run = make_run()
    with h5netcdf.File(run / "totals.nc", "a") as file:
        file.attrs["zone_names"] = json.dumps(names)
    with pytest.warns(UserWarning, match="get their numbers: "):
        table = budget_table(run, inventory=write(tmp_path, "region,all,export,2018,2018,100,10"))
    zones = [zone for zone in table["zone"].unique() if zone != "region"]
    assert sorted(zones) == sorted(told_apart)
    whole = table.query("zone == 'region' and land_cover == 'all'")
    assert (whole["area_ha"] == 400.0).all() and len(whole.query("variable == 'NBP'")) == 1
    assert table.query("zone != 'region' and land_cover == 'all' and variable == 'NEE'")["area_ha"].tolist() in ([300, 100], [100, 300])


@pytest.mark.parametrize("word", ["region", "all", "no zone"])
def test_a_group_of_zones_has_a_name_of_its_own(make_run, tmp_path, word):
    (tmp_path / "zones.csv").write_text(f"zone,group\nnorth,{word}\n")
    with pytest.raises(ValueError, match="means something else in a budget"):
        budget_table(make_run(), zones=tmp_path / "zones.csv")


def test_an_inventory_of_other_years_is_refused_at_once(make_run, tmp_path):
    def entries(*rows):
        (tmp_path / "stocks.csv").write_text("\n".join(["zone,land_cover,pool,start_year,end_year,value,sd", *rows]))
        return read_inventory(tmp_path / "stocks.csv")

    totals = open_totals(make_run())
    full = [f"north,CRO,{pool},{{0}},{{1}},20,5" for pool in ("biomass", "soil", "export")]
    with pytest.raises(ValueError, match="stocks is of 2010 to 2014, and the run has the whole years 2018 to 2018; map these years"):
        check_match(totals, entries(*(row.format(2010, 2014) for row in full)), "stocks")
    with pytest.warns(UserWarning, match="less than half of the years of north/CRO 2010-2018: undecidable"):
        check_match(totals, entries(*(row.format(2010, 2018) for row in full)), "stocks")
    with pytest.warns(UserWarning, match=r"all of north/CRO 2018-2018 \(no soil and export\): nothing can be decided"):
        check_match(totals, entries("north,CRO,biomass,2018,2018,20,5"), "stocks")
    check_match(totals, entries(*(row.format(2018, 2018) for row in full)), "stocks")
