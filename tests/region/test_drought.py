"""The drought ledger of a small region: it adds up in every pixel and draw, whatever the tiles, and says what it does not know."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

from hybridflux.causes import CAUSES, change_name
from hybridflux.cli import app
from hybridflux.model.held_water import with_soil_water
from hybridflux.products import drought_classes, drought_pixels
from hybridflux.products.drought import ALL, RUN, changes_of, drought_record, drought_table, run_drought, separable
from hybridflux.products.drought_classes import write_classes
from hybridflux.products.drought_outputs import KEEP, DroughtTotals
from hybridflux.products.drought_pixels import sums_of
from hybridflux.products.drought_response import response_table
from hybridflux.products.pixel_classes import Classes, crossed
from hybridflux.products.scenario import run_scenario
from hybridflux.products.totals import draws_of, file_of, open_totals, read_totals
from hybridflux.records import run_record
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.driver_change import read_changes
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.usual_weather import typical
from hybridflux.region.map import job_of_run, map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.report.drought_section import signed
from hybridflux.report.droughts_section import Season, droughts_section
from hybridflux.report.style import interval

pytestmark = pytest.mark.long
SEASON = Period("2018-06-01", "2018-08-31")
USUAL = {"rain": "*1.6", "vpd": "*0.7", "tair": "-2", "par": "*0.95", "fapar": "*1.1"}


@pytest.fixture(scope="module")
def ledgers(make_region, make_posterior, tmp_path_factory):
    """The same region in tiles of 10 and of 8 pixels, against a usual year that is declared."""
    folder, tables = tmp_path_factory.mktemp("drought"), {}
    for tile in (10, 8):  # of one program
        region = make_region(folder / f"r{tile}.zarr", size=(20, 20), tile=tile).path
        out = folder / str(tile)
        tables[tile] = run_drought(make_posterior(network=True), region, out, period=SEASON, usual=USUAL, draws=3), out
    return tables


def test_the_parts_add_up_in_every_draw(ledgers):
    table, out = ledgers[10]
    for flux in ("GPP", "RECO", "NEE"):
        of = table[(table.variable == flux)].pivot_table(index=["zone", "land_cover"], columns="cause", values="mean")
        np.testing.assert_allclose(of[list(CAUSES)].sum(axis=1), of[ALL], atol=1e-5)
    with xr.open_dataset(out / RUN / DroughtTotals().file, engine="h5netcdf") as data:
        total = data["total"].load()
    flux = [str(name) for name in data["flux"].values]
    assert {change_name("gpp", cause) for cause in CAUSES} < set(flux)
    nee = table[(table.zone == "region") & (table.land_cover == ALL)].set_index(["variable", "cause"])["mean"]
    assert nee["NEE", ALL] == pytest.approx(nee["RECO", ALL] - nee["GPP", ALL]) and nee["GPP", ALL] < 0 < nee["water missing", ""]
    assert np.isfinite(total).all()


def test_the_usual_fluxes_are_those_of_a_map_under_usual_drivers(ledgers, make_posterior, tmp_path):
    """What was minus what changed is, in every draw and zone, what a map of the region under the usual drivers gives."""
    out = ledgers[10][1]
    region = open_region(json.loads((out / RUN / "run.json").read_text())["region"]).with_changes(USUAL)
    map_region(make_posterior(network=True), region, tmp_path / "usual", draws=3, period=SEASON, keep=(ZoneTotals(),))
    with xr.open_dataset(tmp_path / "usual" / ZoneTotals().file, engine="h5netcdf") as one:
        usual = one["total"].load()
    with xr.open_dataset(out / RUN / DroughtTotals().file, engine="h5netcdf") as other:
        found = other["total"].load()
    for flux in ("gpp", "reco"):
        change = sum(found.sel(flux=change_name(flux, cause)).values for cause in CAUSES)
        np.testing.assert_allclose(found.sel(flux=flux.upper()).values - change, usual.sel(flux=flux.upper()).values, rtol=1e-5)


def test_the_ledger_does_not_depend_on_tiles(ledgers):
    pd.testing.assert_frame_equal(ledgers[10][0].drop(columns=["sd"]), ledgers[8][0].drop(columns=["sd"]), rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def of_towers(make_region, make_posterior, tmp_path_factory):
    """A region, and a posterior whose towers stand in it."""
    folder = tmp_path_factory.mktemp("towers")
    region = make_region(folder / "region.zarr", size=(12, 10), tile=12).path
    grid, posterior = open_region(region).grid, make_posterior(draws=3)
    rows = {}
    for name, kind, at in zip(posterior.places, ("CRO", "DBF", "GRA"), (2, 5, 8), strict=True):
        longitude, latitude = (float(one) for one in grid.lonlat(grid.x[at], grid.y[at]))
        rows[name] = {"plant_type": kind, "latitude": latitude, "longitude": longitude, "years": [2017, 2018]}
    return region, replace(posterior, info={**posterior.info, "places": rows})


@pytest.mark.parametrize("draws", [Draws(3, towers=()), Draws(3, effect_length=200.0, effect_nugget=0.4)], ids=["no towers", "a length"])
def test_a_ledger_of_a_run_has_the_draws_of_the_run(of_towers, tmp_path, draws):
    """Its GPP is that of the run, draw by draw, with the towers and the correlation of the effects that the run was given."""
    region, posterior = of_towers
    run = tmp_path / "run"
    map_region(posterior, region, run, draws=draws, period=SEASON, keep=(ZoneTotals(),))
    options = ["--out", tmp_path / "ledger", "--start", SEASON.start, "--end", SEASON.end, "--run", run]
    options += [part for name, change in USUAL.items() for part in ("--usual", f"{name}={change}")]
    done = CliRunner().invoke(app, ["drought", *map(str, options)], catch_exceptions=False)
    assert done.exit_code == 0
    of_run, of_ledger = open_totals(run), read_totals(file_of(tmp_path / "ledger" / RUN, DroughtTotals()))
    np.testing.assert_allclose(of_ledger.total["GPP"][:], of_run.total["GPP"][:], rtol=1e-5)
    assert draws_of(run_record(run)) == draws_of(run_record(tmp_path / "ledger" / RUN))


def test_a_ledger_of_a_run_without_effects_draws_them_through_the_towers(of_towers, tmp_path, monkeypatch):
    """A run of the spread `parameter` names no towers because it has no effects of places, so the ledger takes those of the posterior."""
    from hybridflux.products import drought

    region, posterior = of_towers
    map_region(posterior, region, tmp_path / "run", draws=Draws(3, "parameter", 7), period=SEASON, keep=(ZoneTotals(),))
    asked = {}
    monkeypatch.setattr(drought, "run_drought", lambda *arguments, draws, **others: asked.update(draws=draws))
    monkeypatch.setattr(drought_classes, "keeps_pixels", lambda ledger: False)
    options = ["--out", tmp_path / "ledger", "--start", SEASON.start, "--end", SEASON.end, "--run", tmp_path / "run"]
    CliRunner().invoke(app, ["drought", *map(str, options)], catch_exceptions=False)
    assert (asked["draws"].number, asked["draws"].seed, asked["draws"].towers) == (3, 7, None) and asked["draws"].spread.has_random_effects


def ask_for_a_ledger(folder, *options, run=None):
    asked = ["--out", folder / "ledger", "--start", SEASON.start, "--end", SEASON.end, "--run", run or folder / "run", *options]
    return CliRunner().invoke(app, ["drought", *map(str, asked)], catch_exceptions=False)


def test_a_ledger_of_a_run_leaves_out_the_pixels_that_the_run_left_out(region_path, make_posterior, tmp_path):
    """Towers of two plant types of three: land covers and their areas are those of the run, and so is its GPP."""
    posterior = replace(make_posterior(draws=2), info={"plant_types": {"CRO": 1, "DBF": 1}})
    map_region(posterior, open_region(region_path).within("plant_type"), tmp_path / "run", draws=2, period=SEASON, keep=(ZoneTotals(),))
    ask_for_a_ledger(tmp_path, *(part for name, change in USUAL.items() for part in ("--usual", f"{name}={change}")))
    of_run, of_ledger = open_totals(tmp_path / "run"), read_totals(file_of(tmp_path / "ledger" / RUN, DroughtTotals()))
    assert set(of_run.land_cover) == {"CRO", "DBF"} and list(of_ledger.land_cover) == list(of_run.land_cover)
    np.testing.assert_allclose(of_ledger.area, of_run.area)
    np.testing.assert_allclose(of_ledger.total["GPP"][:], of_run.total["GPP"][:], rtol=1e-5)


def test_a_ledger_of_a_run_against_a_usual_year_has_that_year(ledgers, tmp_path, monkeypatch):
    """What --usual names is taken from there, the rest from the run."""
    from hybridflux.products import drought

    asked = {}
    monkeypatch.setattr(drought, "run_drought", lambda *arguments, **options: asked.update(options))
    monkeypatch.setattr(drought_classes, "keeps_pixels", lambda ledger: False)
    ask_for_a_ledger(tmp_path, "--usual", "rain=*2", run=ledgers[10][1] / RUN)
    assert {name: str(change).removeprefix(f"{name}=") for name, change in asked["usual"].items()} == USUAL | {"rain": "*2"}


def test_a_ledger_of_a_scenario_or_with_other_draws_than_its_run_is_refused(region_path, make_posterior, tmp_path):
    dry = open_region(region_path).with_changes({"rain": "*0.6"})
    map_region(make_posterior(draws=2), dry, tmp_path / "run", draws=2, period=SEASON, keep=(ZoneTotals(),))
    with pytest.raises(ValueError, match=r"this is a scenario, under rain=\*0.6; give a run or a region without changes.*`control`"):
        ask_for_a_ledger(tmp_path, "--usual", "rain=*1.6")
    with pytest.raises(ValueError, match=r"this is a scenario, under rain=\*0.6"):
        run_drought(make_posterior(), dry, tmp_path / "ledger", period=SEASON, usual=USUAL)
    with pytest.raises(ValueError, match="--draws and --seed: a ledger of a run has the draws and the seed of the run; leave it out"):
        ask_for_a_ledger(tmp_path, "--draws", 8, "--seed", 1)
    assert not (tmp_path / "ledger").exists()


def test_the_sensitivity_of_each_year_is_of_the_water_missing_in_the_days_of_that_year(make_region, make_posterior, tmp_path):
    """Of a single draw the mapped sensitivity is 10 mm times the change by soil water over the water missing of the same year."""
    region = make_region(tmp_path / "region.zarr", size=(6, 5), tile=6, days=("2017-01-01", "2019-12-31")).path
    season = Period("2018-07-01", "2019-08-31")
    run_drought(make_posterior(draws=1), region, tmp_path / "out", period=season, usual=USUAL | {"rain": "*3"}, draws=1)
    with xr.open_zarr(tmp_path / "out" / RUN / "fluxes.zarr", group="annual", consolidated=False) as maps:
        change, missing, found = (maps[name].load() for name in ("gpp_by_soil_water", "water_missing", "sensitivity"))
        assert maps["days"].values.tolist() == [184, 243]
    for year in range(2):
        known = missing.values[year] > 5.0
        assert known.any()
        np.testing.assert_allclose(found.values[year][known], (10 * change / missing).values[year][known], rtol=0.02, atol=0.1)


def test_losses_by_class_of_a_finished_ledger_are_those_of_its_zones_whatever_the_tiles(ledgers, tmp_path):
    """By zone they are the rows of the ledger; crossed with a map, and by polygons, nothing changes with the size of the tiles."""
    table, out = ledgers[10]
    region = open_region(json.loads((out / RUN / "run.json").read_text())["region"])
    grid = region.grid
    left, middle, right = (grid.west + grid.pixel * column for column in (0, 7, grid.shape[1]))
    bottom = grid.north - grid.pixel * grid.shape[0]
    fields = [
        {"type": "Feature", "properties": {"crop": crop}, "geometry": {"type": "Polygon", "coordinates": [
            [[west, grid.north], [east, grid.north], [east, bottom], [west, bottom], [west, grid.north]]]}}
        for crop, west, east in (("maize", left, middle), ("wheat", middle, right))
    ]  # fmt: skip
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    (tmp_path / "fields.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": fields}))
    found = {}
    for by in ("zone", "land_cover,soil_capacity", f"{tmp_path / 'fields.geojson'}:crop"):
        found[by] = [[pd.read_csv(path) for path in write_classes(ledgers[tile][1], by)] for tile in (10, 8)]
        for one, other in zip(*found[by], strict=True):
            pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-4)
    zones = table[table.land_cover == ALL].set_index(["zone", "variable", "cause"])["mean"].dropna()
    by_zone = found["zone"][0][0].fillna({"cause": ""}).set_index(["class", "variable", "cause"])["mean"].dropna()
    np.testing.assert_allclose(by_zone, zones[by_zone.index], rtol=1e-4, atol=1e-4)
    crops = found[[*found][-1]][0][0].query("variable == 'GPP' and cause == 'all'")
    assert list(crops["class"]) == ["maize", "wheat"]
    assert np.average(crops["mean"], weights=crops["area_ha"]) == pytest.approx(zones["region", "GPP", ALL], rel=1e-4)
    assert set(found["land_cover,soil_capacity"][0][0]["by"]) == {"land_cover, soil_capacity"}
    assert 6 < found["land_cover,soil_capacity"][0][0]["class"].nunique() <= 12  # four types, three thirds of capacity


def test_a_loss_that_follows_soil_moisture_has_its_slope(ledgers):
    """Four cells of a product are put over the region, each as dry as its pixels have lost: 1 gC m-2 for 0.001 m3 m-3."""
    out = ledgers[10][1]
    job = job_of_run(out / RUN)
    grid = job.region.grid
    x, y = np.meshgrid(grid.x[[4, 15]], grid.y[[4, 15]])
    longitude, latitude = grid.lonlat(x.reshape(-1), y.reshape(-1))
    whole = Classes("all", ("all",), lambda tile: np.zeros(tile.shape[0] * tile.shape[1], int))
    rows = lambda tile: np.repeat((np.arange(tile.y.start, tile.y.stop) >= 10).astype(int), tile.shape[1])  # noqa: E731
    columns = lambda tile: np.tile((np.arange(tile.x.start, tile.x.stop) >= 10).astype(int), tile.shape[0])  # noqa: E731
    halves = [Classes("half", ("first", "second"), number) for number in (rows, columns)]
    loss = changes_of(sums_of(job, crossed(*halves)).sums)["GPP", ALL].mean(1)
    days = np.arange(np.datetime64("2012-01-01"), np.datetime64("2019-01-01"))
    dry = np.where(days[:, None] >= np.datetime64("2018-01-01"), 0.001 * loss, 0.0)
    dry[np.isin(days, job.calendar.mapped)] *= np.linspace(0.5, 1.5, len(job.calendar.mapped))[:, None]  # drier from day to day
    group = zarr.open_group(job.region.path, mode="r+").require_group("moisture").create_group("satellite")
    coordinates = {"time": (days.astype(int), ("time",)), "latitude": (latitude, ("cell",)), "longitude": (longitude, ("cell",))}
    for name, (values, dims) in (coordinates | {"ssm": (0.3 + dry, ("time", "cell"))}).items():
        group.create_array(name, data=values, dimension_names=dims, attributes={"units": "m3 m-3"})
    table = response_table(job_of_run(out / RUN), whole)
    slope = table[(table.against == "satellite ssm") & (table.quantity == "slope") & (table.variable == "GPP") & (table.cause == ALL)]
    assert slope.iloc[0]["mean"] == pytest.approx(10, rel=1e-3) and slope.iloc[0]["units"] == "gC m-2 per 0.01 m3 m-3"
    curve = table[(table.against == "satellite ssm") & (table.quantity == "curve") & (table.variable == "GPP") & (table.cause == ALL)]
    np.testing.assert_allclose(curve["water"], 0.001 * curve["mean"], rtol=1e-3)
    missing = table[(table.against == "water missing") & (table.quantity == "curve") & (table.variable == "GPP") & (table.cause == ALL)]
    for parts in (curve, missing):
        assert np.average(parts["mean"], weights=parts["area_ha"]) == pytest.approx(np.average(loss), rel=0.05)
        assert parts["pixels"].sum() == missing["pixels"].sum()
    by_cover = pd.read_csv(write_classes(out, "land_cover")[2])
    assert {"days", "pixels"} == set(by_cover["over"]) and by_cover.query("over == 'days'")["units"].str.startswith("gC m-2 d-1").all()


def test_classes_that_cannot_be_made_say_what_can(ledgers, monkeypatch):
    out = ledgers[10][1]
    done = CliRunner().invoke(app, ["drought", "--out", str(out), "--by", "land_cover"], catch_exceptions=False)
    assert done.exit_code == 0 and done.output.count("drought_by_land_cover") == 3  # of a finished ledger, with no other option
    with pytest.raises(ValueError, match="a ledger takes the first and the last day"):
        CliRunner().invoke(app, ["drought", "--out", str(out)], catch_exceptions=False)
    with pytest.raises(ValueError, match="neither a file nor a map .* Did you mean `soil_capacity`"):
        write_classes(out, "soil_capacty")
    with pytest.raises(ValueError, match="changes from day to day"):
        write_classes(out, "fapar")
    monkeypatch.setattr(drought_pixels, "job_of_run", lambda run: replace(job := job_of_run(run), spec=replace(job.spec, keep=KEEP)))
    with pytest.raises(ValueError, match="not of its pixels.*hybridflux drought --pixels"):
        write_classes(out, "zone")


def test_the_record_says_what_is_usual_and_what_is_not_held(ledgers):
    record = drought_record(ledgers[10][1])
    assert record["usual"] == ["tair=-2", "par=*0.95", "vpd=*0.7", "rain=*1.6", "fapar=*1.1"] and not record["held"]
    assert any("mortality" in one for one in record["not_held"]) and record["members"] == "all"
    assert "irrigation, which is not known" in record["not_held"]


def test_a_region_without_reference_years_says_so(make_posterior, region_path, tmp_path):
    with pytest.raises(ValueError, match="nothing is known of the usual year"):
        run_drought(make_posterior(), region_path, tmp_path / "out", period=SEASON)


def test_soil_water_is_a_factor_of_a_scenario(make_posterior, region_path, tmp_path):
    """Held at field capacity it takes what dry soil took, held dry it takes more; both share the control run."""
    options = {"draws": 3, "period": SEASON}
    effects = {}
    for name, text in (("wet", "1"), ("dry", "0.05")):
        control = None if name == "wet" else tmp_path / "wet" / "control"
        effects[name] = run_scenario(make_posterior(), region_path, {"rew": text}, tmp_path / name, control=control, **options)
    assert (tmp_path / "dry" / "control").resolve() == tmp_path / "wet" / "control"
    runs = {name: (one.control, one.changed) for name, one in effects.items()}
    change = {name: [float(run.sum("GPP", slice(None), slice(None)).mean()) for run in both] for name, both in runs.items()}
    assert change["wet"][0] == change["dry"][0] and change["dry"][1] < change["dry"][0] <= change["wet"][1]
    assert effects["wet"].changes == ("rew=1",)
    with pytest.raises(ValueError, match="the model has no soil water"):
        with_soil_water(make_posterior(stacked=True).of_kind("network").model, abs)
    for text in ("2", "climatology", "*0.5@2018-06-01:"):
        with pytest.raises(ValueError, match="soil water is held at a value, rew=0.8"):
            read_changes({"rew": text})


def test_soil_water_and_dry_air_that_stand_for_each_other_are_not_separable():
    random = np.random.default_rng(0)
    share = random.uniform(0.05, 0.95, 200)
    assert separable(60 * share, 60 * (1 - share)) == "not separable"
    assert separable(60 + random.normal(size=200), 20 + random.normal(size=200)) == "separable"
    assert separable(np.zeros(200), np.zeros(200)) == ""


def test_typical_days_have_the_usual_mean_and_the_weather_of_days():
    random = np.random.default_rng(1)
    days = np.arange(np.datetime64("2010-01-01"), np.datetime64("2015-01-01"))
    rain = random.gamma(0.3, 8.0, (len(days), 2))
    light = np.clip(8 - 0.3 * rain + random.normal(size=rain.shape), 0.3, 14)
    tair = 12 + random.normal(size=rain.shape) + (days >= np.datetime64("2014-01-01"))[:, None] * 4.0  # the last year is warm
    usual = {name: typical(values, rain, light, days, amounts=name != "tair", years=(2010, 2013))
             for name, values in (("rain", rain), ("light", light), ("tair", tair))}  # fmt: skip
    before = days < np.datetime64("2014-01-01")
    assert abs(usual["tair"][~before].mean() - tair[before].mean()) < 0.05
    np.testing.assert_allclose(usual["rain"][~before].mean(0), rain[before].mean(0), rtol=0.03)
    assert np.std(usual["light"]) == pytest.approx(np.std(light), rel=0.1)
    assert np.corrcoef(usual["rain"].mean(1), usual["light"].mean(1))[0, 1] < -0.5  # clouds come with rain
    assert np.corrcoef(usual["light"].mean(1), light.mean(1))[0, 1] > 0.9  # bright days stand opposite bright ones


def cells(html):
    rows = html.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    return [re.findall(r"<td>(.*?)</td>", row) for row in rows]


def region_draws(folder):
    totals = read_totals(file_of(folder / RUN, DroughtTotals()))
    every, months = np.arange(len(totals.area)), np.arange(len(totals.months))
    return changes_of({name.lower(): totals.sum(name, every, months) / totals.area.sum() for name in totals.total})


@pytest.fixture(scope="module")
def folders(ledgers, make_posterior):
    """The summers of two years, of the same draws."""
    out = ledgers[10][1]
    summer = Period("2017-06-01", "2017-08-31")
    run_drought(make_posterior(network=True), out.parent / "r10.zarr", out.parent / "2017", period=summer, usual=USUAL, draws=3)
    return [out.parent / "2017", out]


def test_each_season_has_its_losses_by_cause_and_its_interval(folders):
    rows = cells(droughts_section(folders).split("By cause")[1])
    assert [row[0] for row in rows] == ["2017<br>2017-06 to 2017-08", "10<br>2018-06 to 2018-08"]
    for row, folder in zip(rows, folders, strict=True):
        table = drought_table(folder / RUN)
        of = table[(table.zone == "region") & (table.land_cover == ALL)].set_index(["variable", "cause"])
        assert row[1 : len(CAUSES) + 1] == [signed(of.loc[("GPP", cause), "mean"]) for cause in CAUSES]
        assert row[len(CAUSES) + 1 : len(CAUSES) + 3] == [signed(of.loc[("GPP", ALL), "mean"]),
                                                          interval(*of.loc[("GPP", ALL), ["q05", "q95"]])]  # fmt: skip


def test_differences_are_made_draw_by_draw(folders):
    rows = cells(droughts_section(folders).split("GPP, less that of 2017")[1])
    first, second = (region_draws(folder) for folder in folders)
    assert len(rows) == 1 + len(CAUSES)
    for row, cause in zip(rows, (ALL, *CAUSES), strict=True):
        draws = second["GPP", cause] - first["GPP", cause]
        assert row[1:] == [signed(draws.mean()), interval(*np.quantile(draws, [0.05, 0.95]))]
    assert sum(float(row[1].replace("−", "-")) for row in rows[1:]) == pytest.approx(float(rows[0][1].replace("−", "-")), abs=3)


def test_ledgers_of_other_draws_have_no_interval_of_their_difference(folders, monkeypatch):
    plain = Season.of
    monkeypatch.setattr(Season, "of", lambda path: plain(path).__class__(**plain(path).__dict__ | {"draws": (path.name,)}))
    html = droughts_section(folders)
    assert "do not share draws" in html and {row[2] for row in cells(html.split("GPP, less that of")[1])} == {"–"}


def test_a_ledger_that_is_named_twice_is_refused(folders):
    with pytest.raises(ValueError, match="named twice"):
        droughts_section([folders[0], folders[0]])
