"""Stock changes inform the draws of totals: the exact posterior, worlds whose truth is known, what adds up, what is refused."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from hybridflux.products.assimilation import assimilate_totals
from hybridflux.products.assimilation_table import agreement_of, assimilated_table, table_of
from hybridflux.products.ensemble_update import METHODS, errors_of, kalman, posterior_predictive_p, prior_predictive_p, weights
from hybridflux.products.inventory import Entry, read_inventory
from hybridflux.products.measured_stocks import export_covariance, region_of, stock_changes
from hybridflux.products.stock_agreement import VERDICTS, Uncertainties, agreement, said_of
from hybridflux.products.totals import RunTotals, open_totals

AREA = 1e4  # m2
HEAD = "zone,land_cover,pool,start_year,end_year,value,sd,campaign,correlation\n"


@pytest.mark.parametrize("name", METHODS)
def test_the_exact_posterior_of_a_linear_gaussian_problem(name):
    """Three quantities, two measurements with correlated errors, 3000 draws against the formulae."""
    rng = np.random.default_rng(3)
    prior = np.array([[9.0, 4.0, -2.0], [4.0, 4.0, 0.0], [-2.0, 0.0, 1.0]])
    reads, noise, observed = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([2.0, -1.5])
    draws = np.linalg.cholesky(prior) @ rng.standard_normal((3, 3000))
    gain = prior @ reads.T @ np.linalg.inv(reads @ prior @ reads.T + noise)
    matrix = METHODS[name](reads @ draws, observed, noise, 5)
    updated = draws @ matrix
    np.testing.assert_allclose(matrix.sum(0), 1.0, rtol=1e-9)
    error = 5 * np.sqrt(np.diag(prior) / (3000 if name == "kalman" else 800))
    assert (np.abs(updated.mean(1) - gain @ observed) < error).all()
    np.testing.assert_allclose(np.cov(updated), prior - gain @ reads @ prior, atol=0.4)


def test_a_measurement_without_error_is_met_and_one_without_worth_changes_nothing():
    draws = np.random.default_rng(1).standard_normal((1, 40))
    np.testing.assert_allclose((draws @ kalman(draws, np.array([3.0]), np.zeros((1, 1)), 0)), 3.0)
    np.testing.assert_allclose(draws @ kalman(draws, np.array([3.0]), np.full((1, 1), 1e16), 0), draws, atol=1e-6)


def test_the_width_of_a_sum_of_places_is_no_matter_of_the_seed():
    """Errors have their covariance exactly and none with the draws, so the mean of 13 places has the error that theirs leave in it."""
    draws, sds = 100.0 * np.random.default_rng(2).standard_normal((13, 64)), np.linspace(2.0, 6.0, 13)
    errors = errors_of(np.diag(sds**2), draws, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(errors), np.diag(sds**2), atol=1e-9)
    np.testing.assert_allclose((draws - draws.mean(1, keepdims=True)) @ errors.T, 0.0, atol=1e-7)
    widths = [(draws @ kalman(draws, np.zeros(13), np.diag(sds**2), seed)).mean(0).std(ddof=1) for seed in range(5)]
    np.testing.assert_allclose(widths, np.sqrt((sds**2).sum()) / 13, rtol=0.05)


def test_weights_are_refused_where_they_degenerate_and_tension_is_seen():
    draws = np.random.default_rng(1).standard_normal((1, 200))
    with pytest.raises(ValueError, match=r"of 200 draws keep weight, 30 are needed; take the method `kalman`"):
        weights(draws, np.array([3.0]), np.full((1, 1), 0.01), 0)
    sd, far, near = np.array([1.0]), np.array([8.0]), np.array([0.5])
    assert prior_predictive_p(draws, far, sd) < 1e-6 < 0.5 < prior_predictive_p(draws, near, sd)
    assert posterior_predictive_p(draws, far, sd) < 0.01 < posterior_predictive_p(draws, near, sd)


ZONES, COVERS, YEARS = 4, ("DBF", "CRO"), 4
STOCK, EXPORT = 60.0, 20.0  # gC m-2 yr-1, of a zone's stock change (two pools) and export


def a_world(seed, draws=64):
    """Totals drawn from a hierarchy, and one more draw that is the truth, with exports and a measured inventory of both."""
    rng = np.random.default_rng(seed)
    size = draws + 1
    cover = rng.normal(0, 150, (1, 2, 1, size))
    place = rng.normal(0, 80, (ZONES, 2, 1, size))
    bias = rng.normal(0, 120, (1, 2, 1, size)) + rng.normal(0, 60, (1, 2, YEARS, size)) + np.zeros((ZONES, 2, YEARS, size))
    modelled = -250 + cover + place + rng.normal(0, 40, (1, 2, YEARS, size))
    months = pd.date_range("2016-01-01", periods=12 * YEARS, freq="MS")
    cells = [(zone, number) for zone in range(ZONES) for number in range(2)]

    def monthly(values):
        return np.repeat(np.array([values[cell] for cell in cells]), 12, 1) / 12 * AREA

    modelled, bias = monthly(modelled), monthly(bias)
    gpp = np.full_like(modelled, 100 * AREA)
    totals = RunTotals(
        total={"NEE": modelled[..., :draws], "GPP": gpp[..., :draws], "RECO": (gpp + modelled)[..., :draws]},
        zone=np.array([f"z{zone}" for zone, _ in cells], object), land_cover=np.array([COVERS[number] for _, number in cells], object),
        area=np.full(len(cells), AREA), months=months, days=months.days_in_month.to_numpy(), spread="parameter+random_effects",
        structural={"NEE": bias[..., :draws]},
    )  # fmt: skip
    nee = (modelled + bias)[..., -1].reshape(len(cells), YEARS, 12).sum(2) / AREA
    entries, truth, pool_sd = [], {}, STOCK / np.sqrt(2)
    shared = rng.standard_normal()
    for number, (zone, cover) in enumerate(zip(totals.zone, totals.land_cover, strict=True)):
        export = 100.0 + 30 * number
        gain = -nee[number].mean() - export
        soil = 0.3 * gain
        error = np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal()
        entries.append(Entry(
            zone, cover, (2016, 2019),
            {"biomass": (gain - soil + pool_sd * error, pool_sd), "soil": (soil + pool_sd * rng.standard_normal(), pool_sd),
             "export": (export + EXPORT * rng.standard_normal(), EXPORT)},
            campaigns={"biomass": ("forest inventory", 0.5)},
        ))  # fmt: skip
        entries[-1].carried["export"] = entries[-1].pools["export"]
        truth[zone, cover, "NBP"], truth[zone, cover, "export"] = gain, export
        truth[zone, cover, "NEE"] = nee[number].mean()
        truth[zone, cover, "structural bias"] = bias[number, :, -1].sum() / AREA / YEARS
    return totals, entries, truth


def test_the_truth_of_synthetic_worlds_is_recovered():
    """90 % intervals of 200 worlds hold the truth .85 to .95 of the time, of every quantity, and the error falls where stocks speak."""
    rows, decided = [], []
    for seed in range(200):
        totals, entries, truth = a_world(seed)
        found = assimilate_totals(totals, entries, seed=seed)
        for change, after in zip(found.changes, found.updated, strict=True):
            said = agreement_of(change, after, None)
            off = abs(change.nbp.mean() - truth[change.entry.zone, change.entry.land_cover, "NBP"]) > said.gap_that_matters
            decided += [(said.verdict == "disagree") == off] if "gap" in said.reason and said.verdict != "undecidable" else []
            pairs = {"NBP": (change.nbp, after.nbp), "NEE": (change.nee, after.nee), "structural bias": (change.bias, after.bias)}
            pairs["export"] = change.carried["export"], after.carried["export"]
            for name, (before, draws) in pairs.items():
                true = truth[change.entry.zone, change.entry.land_cover, name]
                low, high = np.quantile(draws, [0.05, 0.95])
                rows.append((name, low <= true <= high, abs(draws.mean() - true), abs(before.mean() - true), draws.std() / before.std()))
    table = pd.DataFrame(rows, columns=["name", "inside", "error", "prior_error", "left"]).groupby("name").mean()
    assert table["inside"].between(0.85, 0.95).all(), table
    better = table["error"] / table["prior_error"]
    assert (better[["NBP", "NEE"]] < 0.35).all() and better["structural bias"] < 0.9 and better["export"] < 1.0
    assert (table["left"] <= 1.01).all()
    assert np.mean(decided) > 0.9 and len(decided) > 200, (np.mean(decided), len(decided))


def test_sums_anomalies_and_balances_of_an_update_add_up():
    totals, entries, _ = a_world(1)
    found = assimilate_totals(totals, entries)
    table = table_of(found)
    flux = table[table["variable"].isin(["NEE", "GPP", "RECO"])].set_index(["zone", "land_cover", "period", "quantity", "variable"])
    sums = flux["mean"].xs("z1", level="zone").xs("DBF", level="land_cover")
    assert sums["2016-2019", "cumulative", "NEE"] == pytest.approx(sum(sums[str(year), "flux", "NEE"] for year in range(2016, 2020)))
    assert sum(sums[str(year), "anomaly", "NEE"] for year in range(2016, 2020)) == pytest.approx(0, abs=1e-6)
    anomaly = table[table["quantity"] == "anomaly"]  # a stock change of four years says nothing of how they differ
    np.testing.assert_allclose(anomaly[["mean", "sd"]], anomaly[["prior_mean", "prior_sd"]], atol=1e-6)
    index = [(entry.zone, entry.land_cover, "mean of 2016-2019", "flux", "NEE") for entry in entries]
    np.testing.assert_allclose(flux.loc[index, "mean"], [after.nee.mean() for after in found.updated])
    assert sums["2016", "flux", "NEE"] == pytest.approx(sums["2016", "flux", "RECO"] - sums["2016", "flux", "GPP"])
    parts = [found.totals.sum("NEE", [number], totals.months.year == 2018) for number in range(len(totals.area))]
    np.testing.assert_allclose(sum(parts), found.totals.sum("NEE", np.arange(len(totals.area)), totals.months.year == 2018))
    assert set(table["stage"]) == {"assimilated"} and (table["prior_sd"].notna() | (table["quantity"] == "variation")).all()
    for change, after in zip(found.changes, found.updated, strict=True):
        np.testing.assert_allclose(after.nbp, -after.nee - after.carried["export"])
        assert change.carried["export"] is not after.carried["export"]
    np.testing.assert_array_equal(table_of(assimilate_totals(totals, entries))["mean"], table["mean"])


def test_the_verdict_of_a_region_is_that_of_the_sum_of_its_parts():
    """Means, draws and errors of the eight places by hand; biomass of one campaign shares half of the variance of its errors."""
    totals, entries, _ = a_world(2)
    found = assimilate_totals(totals, entries)
    before, after = region_of(found.changes, found.updated, found.prior)
    np.testing.assert_allclose(after.nee, found.totals.sum("NEE", np.arange(8), np.ones(48, bool)) / 4 / totals.area.sum())
    assert before.measured == pytest.approx(np.mean([one.measured for one in found.changes]))
    assert before.sd == pytest.approx(np.sqrt((8 * STOCK**2 + 56 * 0.5 * STOCK**2 / 2) / 64))
    exported = np.mean([one.pools["export"][0] for one in entries])
    assert before.entry.pools["export"] == (pytest.approx(exported), pytest.approx(EXPORT / 8**0.5))
    table = table_of(found)
    assert (table["zone"][0], table["land_cover"][0], table["variable"][0]) == ("region", "all", "NBP")
    assert table["mean"][0] == pytest.approx(after.nbp.mean()) and table["verdict"][0] in VERDICTS
    assert region_of(found.changes[1:], found.updated[1:], found.prior) is None


def an_inventory(folder, *rows, head=HEAD):
    path = folder / "inventory.csv"
    path.write_text(head + "\n".join(rows) + "\n")
    return path


def ledger(zone, cover, years="2016,2019", soil="-40,25,,"):
    return (f"{zone},{cover},biomass,{years},10,5,,", f"{zone},{cover},soil,{years},{soil}", f"{zone},{cover},export,{years},250,30,,")


def test_a_region_that_its_zones_make_up_is_measured_once(make_run, tmp_path):
    run = make_run(start="2016-01-01", end="2019-12-31")
    zones = (*ledger("north", "CRO"), *ledger("south", "CRO", soil="-60,25,,"))
    alone = assimilated_table(run, an_inventory(tmp_path, *zones))
    both = assimilated_table(run, an_inventory(tmp_path, *ledger("region", "CRO", soil="900,1,,"), *zones))
    place = (both["zone"] == "region") & (both["land_cover"] == "CRO") & (both["variable"] == "NBP")
    assert both.loc[place, "note"].item() == "the sum of other rows, and no measurement of its own"
    rows = alone["variable"] == "NEE"
    np.testing.assert_allclose(alone.loc[rows, "mean"], both.loc[both["variable"] == "NEE", "mean"])
    with pytest.warns(UserWarning, match="share area and years: region/CRO 2016-2019 and north/CRO 2016-2019, and"):
        assimilated_table(run, an_inventory(tmp_path, *ledger("region", "CRO"), *ledger("north", "CRO")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("north", "all", (2016, 2019)), ("region", "CRO", (2016, 2019))),
        (("north", "CRO", (2016, 2019)), ("north", "CRO", (2018, 2020))),
        (("region", "all", (2016, 2019)), ("north", "all", (2017, 2020))),
    ],
)
def test_rows_that_share_cells_and_years_are_warned_of(make_run, one, other):
    totals = open_totals(make_run(start="2016-01-01", end="2020-12-31"))
    pools = {"biomass": (10.0, 5.0), "soil": (-40.0, 25.0), "export": (250.0, 30.0)}
    entries = [Entry(*place, pools, {"export": pools["export"]}) for place in (one, other)]
    with pytest.warns(UserWarning, match="share area and years: .*leave one") as said:
        stock_changes(totals, entries, 0)
    assert all(f"{zone}/{cover} {first}-{last}" in str(said[0].message) for zone, cover, (first, last) in (one, other))


def test_rows_that_share_no_cell_or_no_year_are_not(make_run):
    totals = open_totals(make_run(start="2016-01-01", end="2020-12-31"))
    pools = {"biomass": (10.0, 5.0), "soil": (-40.0, 25.0), "export": (250.0, 30.0)}
    places = ("north", "all", (2016, 2019)), ("south", "CRO", (2016, 2019)), ("region", "all", (2020, 2020))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stock_changes(totals, [Entry(*place, pools, {"export": pools["export"]}) for place in places], 0)


def test_the_run_is_not_touched_and_rows_say_their_stage(make_run, tmp_path):
    run = make_run(start="2016-01-01", end="2019-12-31", structural=0.3)
    (run / "run.json").write_text(json.dumps({"state": "done", "effect_nugget": 0.5}))
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    table = assimilated_table(run, an_inventory(tmp_path, *ledger("north", "CRO")))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    bias = table[table["variable"] == "structural bias"].iloc[0]
    assert bias["shrinkage"] > 0.2
    nbp = table[table["variable"] == "NBP"].iloc[0]
    assert (nbp["period"], nbp["stock_change"], nbp["stage"]) == ("2016-2019", -30.0, "assimilated")
    assert nbp["sd"] < nbp["prior_sd"] and nbp["stock_change_sd"] > np.hypot(5, 25) - 1e-9 and nbp["verdict"] in VERDICTS
    (first, second) = said_of(table)
    assert first.startswith("do fluxes and stocks agree? of 1 place") and f"north/CRO 2016-2019: {nbp['verdict']}, " in second


EXACT = [f"north,CRO,{pool},2018,2018,90,{sd},," for pool, sd in (("biomass", 0), ("soil", 0), ("export", 9))]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ledger("north", "CRO", "2010,2014"), r"inventory.csv: .*north/CRO 2010-2014: the run maps 2018, 0 of its 5 years; map at least"),
        (ledger("north", "CRO", "2016,2021"), "north/CRO 2016-2021: the run maps 2018, 1 of its 6 years; map at least half of them, or"),
        (ledger("north", "CRO", "2018,2019"), "the run maps 1 of its 2 years, too few to know how years differ; map 3 or more"),
        (ledger("north", "CRO", "2018,2018")[1:2], "no value of biomass and export; give 0 and its sd where the pool"),
        (EXACT, "north/CRO 2018: its stock change has no error; give the sd of biomass and soil"),
        (("north,CRO,soil,2018,2018,1,1,,0.5",), "row 2: correlation `0.5` is of no campaign; name it in the column `campaign`"),
        (("north,CRO,soil,2018,2018,1,1,ign,1.5",), "row 2: correlation `1.5` is not between 0 and 1"),
        (ledger("west", "CRO", "2018,2018"), "the inventory has west/CRO, the run has"),
    ],
)
def test_what_cannot_inform_a_run_is_refused_with_the_cure(make_run, tmp_path, rows, why):
    with pytest.raises(ValueError, match=why):
        assimilated_table(make_run(), an_inventory(tmp_path, *rows))


def test_campaigns_leaching_and_imports_are_read(tmp_path):
    rows = (
        "north,CRO,biomass,2018,2018,10,5,ign,0.4", "north,CRO,soil,2018,2018,1,5,,", "north,CRO,export,2018,2018,200,10,,",
        "north,CRO,import,2018,2018,50,5,,", "north,CRO,leaching,2018,2018,20,8,,",
    )  # fmt: skip
    (entry,) = read_inventory(an_inventory(tmp_path, *rows))
    assert entry.campaigns == {"biomass": ("ign", 0.4)}
    assert entry.pools["export"] == (pytest.approx(170.0), pytest.approx(np.sqrt(10**2 + 5**2 + 8**2)))
    assert entry.carried == {"export": (200.0, 10.0), "import": (50.0, 5.0), "leaching": (20.0, 8.0)}


@pytest.mark.parametrize("turned", [False, True])
def test_the_campaign_of_a_pool_does_not_depend_on_the_order_of_rows(tmp_path, turned):
    rows = ["north,CRO,import,2018,2019,50,5,,", "north,CRO,export,2018,2018,200,10,,", "north,CRO,export,2019,2019,200,10,stat,0.8"]
    rows.append("north,CRO,fire,2018,2019,7,5,satellite,0.3")
    (entry,) = read_inventory(an_inventory(tmp_path, *(reversed(rows) if turned else rows)))
    assert {pool: name for pool, (name, _) in entry.campaigns.items()} == {"export": "stat", "fire": "satellite"}


def test_years_of_one_campaign_share_a_part_of_their_error(tmp_path):
    """The variance of the mean of two years is s^2 (1 + correlation) / 2, and what another place shares of it is correlation s^2."""
    rows = [f"north,CRO,export,{year},{year},200,10,stat,0.8" for year in (2018, 2019)]
    (both,) = read_inventory(an_inventory(tmp_path, *rows))
    assert both.pools["export"] == both.carried["export"] == (pytest.approx(200.0), pytest.approx(np.sqrt(100 * 1.8 / 2)))
    assert both.campaigns["export"] == ("stat", pytest.approx(80 / 90))
    (one,) = read_inventory(an_inventory(tmp_path, rows[0], rows[1].replace("stat,0.8", ",")))
    assert one.pools["export"][1] == pytest.approx(np.sqrt(100 / 2)) and one.campaigns["export"] == ("stat", pytest.approx(20 / 50))


def test_rows_of_a_campaign_share_errors_in_every_pool():
    totals, entries, _ = a_world(0)
    for entry in entries[1:3]:
        entry.carried["import"], entry.campaigns["import"] = (30.0, 10.0), ("stat", 0.5)
    found = export_covariance(stock_changes(totals, entries[:3], 0), "import")
    np.testing.assert_allclose(found, [[0, 0, 0], [0, 100, 50], [0, 50, 100]])


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("other,0.8", "export of north/CRO is of the campaigns `stat` and `other`; a pool of a place is of one campaign, .*or leave"),
        ("stat,0.5", "export of north/CRO, campaign `stat`, has the correlations 0.8 and 0.5; .*the same correlation"),
    ],
)
def test_two_campaigns_of_one_pool_are_refused(tmp_path, second, why):
    rows = "north,CRO,export,2018,2018,200,10,stat,0.8", f"north,CRO,export,2019,2019,200,10,{second}"
    with pytest.raises(ValueError, match=why):
        read_inventory(an_inventory(tmp_path, *rows))


SPREAD = np.random.default_rng(0).standard_normal(4000)
SPREAD = (SPREAD - SPREAD.mean()) / SPREAD.std(ddof=1)


@pytest.mark.parametrize(
    ("gap", "sd", "p", "verdict", "why"),
    [
        (0.0, 20.0, 0.6, "agree", "the gap is 0"),
        (-200.0, 20.0, 0.6, "disagree", "the mean of the run is off, within the interval that the run declares"),
        (10.0, 20.0, 0.01, "disagree", "run and inventory contradict each other"),
        (80.0, 20.0, 0.6, "undecidable", "if it stays there, 7 years in place of 4 or 2.8 times the plots would decide"),
        (100.0, 20.0, 0.6, "undecidable", "no more years, plots or towers alone would decide"),
    ],
)
def test_whether_fluxes_and_stocks_agree(gap, sd, p, verdict, why):
    """A gap of 100 matters; the prior is wide, so sd 20 is all of the stock change: 20 away needs 1.645^2 times the plots."""
    found = agreement(1e6 * SPREAD + 100.0 + gap, 100.0 + sd * SPREAD, p, 100.0, Uncertainties(20.0, 0.0, 4))
    assert found.verdict == verdict and why in found.reason and found.gap == pytest.approx(gap, abs=1e-6)
    assert np.isfinite(found.plots_to_decide) == (gap == 80.0)


def test_towers_that_would_decide():
    """With an inventory of little worth k towers leave .4 / (.4 + .6 k) of the variance of the flux: three leave .18."""
    found = agreement(50.0 * SPREAD, 60.0 + 50.0 * SPREAD, 0.6, 100.0, Uncertainties(1e6, 0.0, 4, nugget=0.4))
    assert found.verdict == "undecidable" and found.towers_to_decide == 3  # (40 / 1.645 / 50)^2 = .236, and .4 / (.4 + .6 * 3) = .18
