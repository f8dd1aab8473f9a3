"""The ledger: what is removed is exported or stays, NBP holds in every draw, signs, intervals, and what is not known is said."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.products.carbon_ledger import VARIABLES, carry, ledger_of, ledger_table
from hybridflux.products.harvest import CUE, FRACTIONS, HUMIFIED, decay
from hybridflux.products.management import Event, Flow, read_events, read_flows
from hybridflux.products.totals import open_totals

YEAR = dict(start="2018-01-01", end="2018-12-31")
DAY = pd.Timestamp("2018-07-01")


def pick(table, zone, cover, variable, period="2018", quantity="flux"):
    wanted = {"zone": zone, "land_cover": cover, "variable": variable, "period": period, "quantity": quantity}
    found = table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]
    assert len(found) == 1
    return found.iloc[0]


def written(path, text):
    path.write_text(text)
    return path


def test_a_harvest_takes_its_share_of_the_gpp_since_the_last(make_run):
    totals = open_totals(make_run(**YEAR))
    carried = carry(totals, [Event("north", "CRO", DAY, "harvest", crop="wheat")], [], seed=0)
    cell = np.flatnonzero((totals.zone == "north") & (totals.land_cover == "CRO"))[0]
    grown = 1200 * 181 / 365 * totals.area[cell]  # evenly over the days of the made-up run, to the first of July
    wheat = FRACTIONS["wheat"]
    share = carried.export[cell, 0] / (grown * (1 + 0.1 * np.linspace(-1, 1, 41)))
    assert share.mean() == pytest.approx(wheat.export, abs=2.5 * wheat.sd / np.sqrt(41))
    assert share.std() == pytest.approx(wheat.sd, rel=0.35)
    removed = (carried.export + carried.residue)[cell, 0]  # all that the plants had not respired
    np.testing.assert_allclose(removed, CUE * grown * (1 + 0.1 * np.linspace(-1, 1, 41)))


def test_rows_of_a_campaign_share_a_part_of_their_error(make_run, tmp_path):
    """The correlation over the draws of what two places export is that of the table; other pools and campaigns are independent."""
    rows = ["zone,land_cover,pool,start_year,end_year,value,sd,campaign,correlation", "north,CRO,export,2018,2018,400,40,stat,0.8",
            "north,GRA,export,2018,2018,200,20,stat,0.8", "south,CRO,export,2018,2018,300,30,,", "north,CRO,fire,2018,2018,50,5,stat,0.8",
            "south,CRO,fire,2018,2018,60,6,other,0.8"]  # fmt: skip
    flows = read_flows(written(tmp_path / "f.csv", "\n".join(rows)))
    assert [(flow.campaign, flow.correlation) for flow in flows[1:4]] == [("stat", 0.8), ("", 0.0), ("stat", 0.8)]
    totals = open_totals(make_run(**YEAR, draws=4001))
    carried = carry(totals, [], flows, 0)
    places = [("north", "CRO"), ("north", "GRA"), ("south", "CRO")]
    cells = [np.flatnonzero((totals.zone == zone) & (totals.land_cover == cover))[0] for zone, cover in places]
    drawn = np.concatenate([carried.export[cells, 0], carried.brought["fire"][cells[::2], 0]]) / totals.area[[*cells, *cells[::2]], None]
    expected = np.eye(5)
    expected[0, 1] = expected[1, 0] = 0.8
    np.testing.assert_allclose(np.corrcoef(drawn), expected, atol=0.05)
    np.testing.assert_allclose(drawn.std(1), [40, 20, 30, 5, 6], rtol=0.05)
    plain = carry(totals, [], [Flow("south", "CRO", "export", (2018, 2018), 300.0, 30.0)], 0)
    np.testing.assert_array_equal(carried.export[cells[2]], plain.export[cells[2]])  # without a campaign as before


@pytest.mark.parametrize("name", FRACTIONS)
def test_a_harvest_never_takes_more_than_the_plants_kept(name):
    export, residue = FRACTIONS[name].draw(5000, np.random.default_rng(0))
    assert (export >= 0).all() and (residue >= 0).all() and (export + residue <= CUE + 1e-12).all()


def test_cuts_share_the_gpp_of_the_year_between_them(make_run):
    totals = open_totals(make_run(**YEAR))
    days = [pd.Timestamp(day) for day in ("2018-05-01", "2018-07-01", "2018-12-31")]
    cuts = [Event("north", "GRA", day, "mowing") for day in days]
    together, once = carry(totals, cuts, [], 0), carry(totals, cuts[-1:], [], 0)
    np.testing.assert_allclose(together.export[1], once.export[1])
    since = [Event("north", "GRA", days[1], "mowing", since=days[0]), *cuts[:1]]
    assert np.all(carry(totals, since[:1], [], 0).export[1] < carry(totals, cuts[1:2], [], 0).export[1])


def test_an_event_that_may_not_have_been_widens_the_interval_and_leaves_its_grass_to_the_next(make_run):
    totals = open_totals(make_run(**YEAR, draws=4001))
    maybe = Event("north", "GRA", pd.Timestamp("2018-06-01"), "mowing", probability=0.3)
    sure = Event("north", "GRA", pd.Timestamp("2018-09-01"), "mowing")
    alone = carry(totals, [maybe], [], 0).export[1, 0]
    assert (alone > 0).mean() == pytest.approx(0.3, abs=0.03)
    both, last = carry(totals, [maybe, sure], [], 0).export[1, 0], carry(totals, [sure], [], 0).export[1, 0]
    np.testing.assert_allclose(both, last)  # whether or not it was, all that had grown by September is gone
    moved = carry(totals, [Event("north", "GRA", sure.date, "mowing", date_sd=20.0)], [], 0).export[1, 0]
    assert moved.std() > last.std() and moved.mean() == pytest.approx(last.mean(), rel=0.03)


def test_nbp_holds_in_every_draw_and_of_every_sum(make_run):
    totals = open_totals(make_run(start="2017-01-01", end="2019-12-31", shift={2018: 100.0}))
    events = [Event("region", "CRO", pd.Timestamp(f"{year}-07-20"), "harvest", probability=0.8) for year in (2017, 2018, 2019)]
    flows = [Flow("region", "GRA", "export", (2017, 2019), 200.0, 30.0), Flow("north", "GRA", "import", (2018, 2018), 80.0, 20.0)]
    carried = carry(totals, events, flows, 0)
    table = ledger_of(totals, carried)
    wide = table.pivot(index=["zone", "land_cover", "period", "quantity"], columns="variable", values=["mean", "sd"])
    mean = wide["mean"]
    np.testing.assert_allclose(mean["NEE"], mean["RECO"] - mean["GPP"], atol=1e-9)
    np.testing.assert_allclose(mean["NBP"], -mean["NEE"] - mean["export"] + mean["import"].fillna(0) - mean["fire"].fillna(0), atol=1e-9)
    cells = np.arange(len(totals.area))
    grams = -totals.sum("NEE", cells, np.arange(12)) - carried.export[:, 0].sum(0)
    row = table[(table.zone == "region") & (table.land_cover == "all") & (table.period == "2017") & (table.variable == "NBP")].iloc[0]
    assert row["sd"] == pytest.approx((grams / totals.area.sum()).std(ddof=1))  # of the sum of each draw, not of sds
    years = [pick(table, "north", "GRA", "NBP", str(year))["mean"] for year in (2017, 2018, 2019)]
    assert pick(table, "north", "GRA", "NBP", "2017-2019", "cumulative")["mean"] == pytest.approx(sum(years))
    assert pick(table, "north", "GRA", "NBP", "mean of 2017-2019")["mean"] == pytest.approx(np.mean(years))
    np.testing.assert_allclose(years[1] - years[0], -100 + 80, atol=15)


def test_more_export_is_less_gain_and_more_import_more(make_run):
    totals = open_totals(make_run(**YEAR))

    def gain(*flows):
        return pick(ledger_of(totals, carry(totals, [], [Flow("region", "all", "export", (2018, 2018), 100.0, 0.0), *flows], 0)),
                    "region", "all", "NBP")["mean"]  # fmt: skip

    plain = gain()
    assert gain(Flow("region", "all", "export", (2018, 2018), 50.0, 0.0)) == pytest.approx(plain - 50)
    assert gain(Flow("region", "all", "import", (2018, 2018), 30.0, 0.0)) == pytest.approx(plain + 30)
    assert gain(Flow("region", "all", "fire", (2018, 2018), 20.0, 0.0)) == pytest.approx(plain - 20)
    assert gain(Flow("region", "all", "leaching", (2018, 2018), 12.0, 0.0)) == pytest.approx(plain - 12)
    assert gain(Flow("north", "CRO", "export", (2018, 2018), 100.0, 0.0)) == pytest.approx(plain)  # the narrower place holds


def test_the_table_of_the_user_holds_instead_of_events_and_its_sd_is_in_the_interval(make_run):
    totals = open_totals(make_run(**YEAR, draws=2001))
    event, flow = Event("north", "GRA", DAY, "mowing"), Flow("north", "GRA", "export", (2018, 2018), 333.0, 44.0)
    export = carry(totals, [event], [flow], 0).export[1, 0] / totals.area[1]
    assert export.mean() == pytest.approx(333, abs=3) and export.std() == pytest.approx(44, rel=0.06)


def test_what_is_not_known_is_empty_and_said(make_run, tmp_path):
    run = make_run(**YEAR)
    table = ledger_table(run)
    row = pick(table, "region", "all", "NBP")
    assert np.isnan(row["mean"]) and "no fire is given" in row["note"]
    assert "export is not known of CRO, GRA, 100% of the area" in row["note"]
    events = written(tmp_path / "events.csv", "zone,land_cover,date,event\nnorth,GRA,2018-06-01,mowing\n")
    table = ledger_table(run, events=events)
    assert np.isfinite(pick(table, "north", "GRA", "NBP")["mean"]) and "CRO, 75% of the area" in pick(table, "region", "all", "NBP")["note"]
    felled = carry(open_totals(run), [Event("north", "CRO", DAY, "felling")], [], 0)
    assert np.isnan(felled.export[0]).all()  # wood is not a share of the GPP since the last felling


def test_a_seed_gives_the_same_ledger_and_another_one_another(make_run, tmp_path):
    run = make_run(**YEAR)
    events = written(tmp_path / "events.csv", "zone,land_cover,date,event,probability\nnorth,GRA,2018-06-01,mowing,0.5\n")
    same, again, other = (ledger_table(run, events=events, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(same, again)
    assert not np.allclose(same["mean"], other["mean"], equal_nan=True)


def test_residues_decay_and_nothing_is_lost():
    fresh = np.array([[100.0], [0.0], [50.0], [0.0]])
    respired, humified, left = decay(fresh)
    np.testing.assert_allclose(np.cumsum(respired + humified, 0) + left, np.cumsum(fresh, 0))
    np.testing.assert_allclose(humified, HUMIFIED * (respired + humified))
    assert left[1, 0] == pytest.approx(100 * np.exp(-1.5 * 0.8)) and (respired > 0).all()


def test_tables_of_events_are_checked(tmp_path):
    events = read_events(written(tmp_path / "e.csv", "zone;land_cover;date;event;share;crop\n;gra;2018-06-01;Mowing;0,5;\n"))
    assert events == [Event("region", "GRA", pd.Timestamp("2018-06-01"), "mowing", share=0.5)]
    with pytest.raises(ValueError, match=r"row 2: event `burning`.*mowing, harvest, felling"):
        read_events(written(tmp_path / "e.csv", "zone,land_cover,date,event\nnorth,GRA,2018-06-01,burning\n"))
    with pytest.raises(ValueError, match=r"row 2: date `June` is not a date"):
        read_events(written(tmp_path / "e.csv", "zone,land_cover,date,event\nnorth,GRA,June,mowing\n"))
    with pytest.raises(ValueError, match=r"probability `2` is not between 0 and 1"):
        read_events(written(tmp_path / "e.csv", "zone,land_cover,date,event,probability\nnorth,GRA,2018-06-01,mowing,2\n"))
    with pytest.raises(FileNotFoundError, match="zone,land_cover,date,event"):
        read_events(tmp_path / "none.csv")
    header = "zone,land_cover,pool,start_year,end_year,value,sd,units\n"
    flows = read_flows(written(tmp_path / "f.csv", header + "region,CRO,export,2018,2018,4,1,tC ha-1 yr-1\n"))
    assert flows == [Flow("region", "CRO", "export", (2018, 2018), 400.0, 100.0)]


def test_every_flow_of_an_inventory_is_in_the_ledger(make_run, tmp_path):
    header = "zone,land_cover,pool,start_year,end_year,value,sd\n"
    given = {"export": 300.0, "import": 50.0, "fire": 20.0, "leaching": 12.0}
    rows = "".join(f"region,all,{pool},2018,2018,{value},0\n" for pool, value in given.items())
    flows = written(tmp_path / "f.csv", f"{header}region,all,biomass,2018,2018,30,9\n{rows}")
    table = ledger_table(make_run(**YEAR), flows=flows)
    assert {pool: pick(table, "north", "CRO", pool)["mean"] for pool in given} == pytest.approx(given)
    assert pick(table, "north", "CRO", "NBP")["mean"] == pytest.approx(200 - 300 + 50 - 20 - 12)
    assert pick(table, "north", "CRO", "leaching")["sign"] == "positive out of the land"


def test_a_place_that_the_run_does_not_have_is_refused(make_run, tmp_path):
    events = written(tmp_path / "e.csv", "zone,land_cover,date,event\nwest,GRA,2018-06-01,mowing\n")
    with pytest.raises(ValueError, match="west/GRA"):
        ledger_table(make_run(**YEAR), events=events)


def test_the_command_writes_the_table_with_its_description(make_run, tmp_path):
    run, out = make_run(**YEAR), tmp_path / "ledger.csv"
    events = written(tmp_path / "e.csv", "zone,land_cover,date,event,crop\nregion,CRO,2018-07-20,harvest,wheat\n,GRA,2018-06-01,mowing,\n")
    done = CliRunner().invoke(app, ["ledger", "--run", str(run), "--events", str(events), "--out", str(out)])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out, dtype={"period": str})
    assert list(dict.fromkeys(table["variable"])) == list(VARIABLES) and table["spread"].nunique() == 1
    row = pick(table, "region", "all", "NBP")
    assert np.isfinite(row[["mean", "sd", "q05", "q95"]].astype(float)).all() and row["sign"] == "positive gain of the land"
    described = json.loads((tmp_path / "ledger.csv-metadata.json").read_text())
    assert {column["titles"] for column in described["tableSchema"]["columns"]} == set(table.columns)


def test_events_hold_for_the_years_from_the_first_to_the_last(make_run):
    totals = open_totals(make_run(start="2017-01-01", end="2019-12-31"))
    events = [Event("north", "CRO", pd.Timestamp(f"{year}-07-01"), "harvest") for year in (2017, 2018)]
    carried = carry(totals, events, [], 0)
    table = ledger_of(totals, carried)
    south = [pick(table, "south", "CRO", "export", str(year))["mean"] for year in (2017, 2018, 2019)]
    assert south[:2] == [0.0, 0.0] and np.isnan(south[2])  # a cell without a harvest, and a year that nobody looked at
    assert "export is not known of CRO" in pick(table, "north", "CRO", "NBP", "2019")["note"]
    residue = [pick(table, "north", "CRO", "residue", str(year))["mean"] for year in (2017, 2018, 2019)]
    assert residue[0] > 0 and residue[1] > 0 and np.isnan(residue[2])
    assert pick(table, "north", "CRO", "residue respiration", "2019")["mean"] > 0  # of what the years before left
    assert np.isnan(pick(table, "north", "GRA", "residue", "2017")["mean"])  # without an event, it is not known either


def test_a_table_with_nothing_of_the_mapped_days_is_refused(make_run, tmp_path):
    run = make_run(**YEAR)
    events = written(tmp_path / "e.csv", "zone,land_cover,date,event\nnorth,GRA,2017-06-01,mowing\nnorth,GRA,2019-06-01,mowing\n")
    with pytest.raises(ValueError, match=r"e.csv has events from 2017-06-01 to 2019-06-01, the run maps 2018-01-01 to 2018-12-31"):
        ledger_table(run, events=events)
    flows = written(tmp_path / "f.csv", "zone,land_cover,pool,start_year,end_year,value,sd\nnorth,GRA,export,2017,2017,200,20\n")
    with pytest.raises(ValueError, match=r"f.csv has no row export, import, fire, leaching of a year of the run, which maps 2018"):
        ledger_table(run, flows=flows)


MISSED = "counts GPP from the first mapped day 2018-01-01 on, and is too low by what grew before"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([Event("north", "CRO", DAY, "harvest", since=pd.Timestamp("2017-10-01"))], True),
        ([Event("north", "CRO", DAY, "harvest")], True),  # nobody knows since when it grew
        ([Event("north", "CRO", pd.Timestamp("2017-09-01"), "harvest"), Event("north", "CRO", DAY, "harvest")], True),
        ([Event("north", "CRO", DAY, "harvest", since=pd.Timestamp("2018-03-01"))], False),
    ],
)
def test_a_harvest_that_grew_before_the_first_mapped_day_is_said_to_be_too_low(make_run, events, said):
    totals = open_totals(make_run(start="2018-01-01", end="2019-12-31"))
    later = Event("north", "CRO", pd.Timestamp("2019-07-01"), "harvest")
    table = ledger_of(totals, carry(totals, [*events, later], [], 0))
    for period, quantity in (("2018", "flux"), ("mean of 2018-2019", "flux"), ("2018-2019", "cumulative")):
        assert (f"export of CRO, 100% of the area, {MISSED}" in pick(table, "north", "CRO", "NBP", period, quantity)["note"]) == said
    assert MISSED not in pick(table, "north", "CRO", "NBP", "2019")["note"]
    assert (f"export of CRO, 50% of the area, {MISSED}" in pick(table, "region", "all", "export")["note"]) == said
    given = ledger_of(totals, carry(totals, [*events, later], [Flow("region", "CRO", "export", (2018, 2018), 300.0, 30.0)], 0))
    assert MISSED not in pick(given, "north", "CRO", "NBP")["note"]  # the table of the user holds instead


def test_a_run_that_maps_the_growing_period_has_its_whole_export(make_run):
    since = Event("north", "CRO", DAY, "harvest", since=pd.Timestamp("2017-10-01"))
    early, late = (open_totals(make_run(start, start=start, end="2018-12-31")) for start in ("2017-01-01", "2018-01-01"))
    whole, part = (carry(totals, [since], [], 0).export[0, -1].mean() for totals in (early, late))
    assert part == pytest.approx(whole * 181 / 273)
    plain = Event("north", "CRO", DAY, "harvest")
    for event, totals, short in ((since, early, False), (plain, early, False), (since, late, True), (plain, late, True)):
        assert carry(totals, [event], [], 0).short[0, -1] == short


def test_a_first_harvest_takes_the_gpp_of_a_year_at_most(make_run):
    """A table that begins in the third year of a run knows of no harvest before, but fields are not left for years."""
    totals = open_totals(make_run(start="2017-01-01", end="2019-12-31"))
    first, of_a_year = (carry(totals, [Event("north", "CRO", pd.Timestamp("2019-07-01"), "harvest", since=since)], [], 0)
                        for since in (None, pd.Timestamp("2018-07-01")))  # fmt: skip
    np.testing.assert_allclose(first.export[0, 2], of_a_year.export[0, 2])
    assert not first.short.any()


def test_a_zone_whose_name_shows_its_crop_needs_no_table_of_crops(make_run):
    """A parcel of maize is harvested as maize where the event names no crop; what an event names holds, and grass stays grass."""
    totals = open_totals(make_run(**YEAR))
    fields = totals.regroup({"north": "12 MIS", "south": "beets"})
    plain, named = Event("region", "CRO", DAY, "harvest"), Event("region", "CRO", DAY, "harvest", crop="wheat")
    shown = carry(fields, [plain], [], 0)
    of_crop = {crop: carry(fields, [Event("region", "CRO", DAY, "harvest", crop=crop)], [], 0) for crop in ("maize", "sugar beet")}
    for cell, crop in ((0, "maize"), (2, "sugar beet")):
        np.testing.assert_array_equal(shown.export[cell], of_crop[crop].export[cell])
    assert shown.export[0].mean() != carry(totals, [plain], [], 0).export[0].mean()
    np.testing.assert_array_equal(carry(fields, [named], [], 0).export, carry(totals, [named], [], 0).export)
