"""Every command of the command line, one after the other, on a small world: what one writes the next reads."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import rasterio
import xarray as xr
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.twin.world import make_world

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]

SCORES = ["site", "igbp", "variable", "n", "nse", "r2", "rmse", "bias", "crps", "coverage50", "coverage80", "coverage90"]
MONTHS = ("--start", "2022-05-01", "--end", "2022-06-30")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A world and all that the commands make of it, in the order a user would."""
    here = tmp_path_factory.mktemp("chain")
    world = make_world(here / "world", size=16, days=365, towers=4, seed=2)
    posterior, region, run, drought = here / "posterior.nc", world.region, here / "run", here / "drought"
    hybridflux("fit", "--towers", world.towers, "--method", "map", "--years", "2020:2021", "--seed", 1, "--out", posterior)
    hybridflux("evaluate", "--posterior", posterior, "--towers", world.towers, "--out", here / "scores.csv")
    predicted = "--step", "month,year", "--out", here / "predicted.csv"
    said = hybridflux("predict", "--posterior", posterior, "--towers", world.towers, *predicted)
    (here / "predicted.txt").write_text(said)
    said = hybridflux("responses", "--posterior", posterior, "--towers", world.towers, "--out", here / "curves.csv")
    (here / "signs.txt").write_text(said)
    hybridflux("map", "--posterior", posterior, "--region", region, "--out", run, "--draws", 4, *MONTHS, "--daily")
    options = ("--change", "rain=*0.2", "--change", "tair=+2", "--draws", 4, *MONTHS)
    hybridflux("scenario", "--posterior", posterior, "--region", region, *options, "--out", drought)
    with pytest.warns(UserWarning, match="the run has no whole calendar year .2022-05..2022-06., less than half of the years of"):
        hybridflux("budget", "--run", run, "--inventory", world.inventory, "--out", here / "budget.csv")
    hybridflux("report", "--run", run, "--posterior", posterior, "--scenario", drought, "--out", here / "report.html")
    return here


def hybridflux(*arguments) -> str:
    """Run a command in this process; gives what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_scores_have_the_promised_columns(folder):
    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores.columns[: len(SCORES)]) == SCORES
    assert not scores.duplicated(["site", "variable"]).any()
    assert set(scores.variable) == {"NEE", "GPP", "RECO"} and scores.site.nunique() == 4


def test_a_prediction_has_each_period_of_each_tower_and_its_table_is_described(folder):
    table = pd.read_csv(folder / "predicted.csv")
    assert set(table.step) == {"month", "year"} and set(table.variable) == {"NEE", "GPP", "RECO"} and table.site.nunique() == 4
    assert (table.q05 < table["mean"]).all() and (table["mean"] < table.q95).all()
    described = json.loads((folder / "predicted.csv-metadata.json").read_text())
    assert described["spread"] == "predictive" and "positive to the atmosphere" in described["sign"]
    assert "4 sites, 4 in the fit, 0 unseen" in (folder / "predicted.txt").read_text()


def test_responses_are_a_table_with_bands_and_what_contradicts_physics_is_printed(folder):
    curves = pd.read_csv(folder / "curves.csv")
    assert set(curves.corner) == {"growing season", "dry and hot", "wet and cool"} and {"GPP", "RECO"} < set(curves.of)
    assert {"par", "tair", "vpd", "rew", "fapar"} == set(curves.driver)
    said = (folder / "signs.txt").read_text()
    assert "responses whose sign is known contradicts it" in said or "as physics has it, with a probability of" in said


def test_maps_hold_the_months_asked_for(folder):
    with xr.open_zarr(folder / "run" / "fluxes.zarr", group="monthly") as monthly:
        assert monthly.sizes["time"] == 2
        closed = monthly["NEE"] - (monthly["RECO"] - monthly["GPP"])
        assert float(abs(closed).max()) < 0.05 * float(abs(monthly["GPP"]).max())
    with rasterio.open(next((folder / "run" / "cog").glob("GPP_monthly_*.tif"))) as raster:
        assert raster.crs and raster.shape == (16, 16)


def test_the_budget_names_its_spread_and_units(folder):
    budget = pd.read_csv(folder / "budget.csv")
    assert set(budget.spread) <= {"parameter+random_effects", "parameter+random_effects+structural_error"}
    assert {"gC m-2"} <= set(budget.units) and {"tCO2"} <= set(budget.total_units)


def test_a_dry_spring_is_paired_with_the_run_as_observed(folder):
    effect = pd.read_csv(folder / "drought" / "effect.csv")
    whole = effect[(effect.zone == "region") & (effect.land_cover == "all") & (effect.variable == "GPP")]
    assert (whole["mean"] < 0).all()


def test_the_report_needs_no_network(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page) > 50_000
    assert 'src="http' not in page and '<link rel="stylesheet" href="http' not in page


def test_dry_run_and_resume(folder):
    options = ("--posterior", folder / "posterior.nc", "--region", folder / "world" / "region.zarr", "--draws", 4, *MONTHS, "--daily")
    said = hybridflux("map", *options, "--out", folder / "other", "--dry-run")
    assert "pixels" in said and not (folder / "other").exists()
    assert "1 done before" in hybridflux("map", *options, "--out", folder / "run", "--resume")


PRODUCTS = ["posterior.nc", "run", "run/fluxes.zarr", "run/totals.nc", "world/region.zarr", "drought", "drought/changed"]


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_tells_its_origin(folder, name):
    origin = json.loads(hybridflux("info", folder / name))
    assert origin["provenance"]["packages"]["jax"]


def test_info_names_what_of_a_product_changed_since(folder, tmp_path):
    """The maps of a run and the table of a scenario: the origin is printed, then one line with the name, and exit code 2."""
    for product, file in (("run", next((folder / "run" / "cog").glob("*.tif"))), ("drought", folder / "drought" / "effect.csv")):
        assert '"provenance"' in hybridflux("info", folder / product)
        copy = shutil.copytree(folder / product, tmp_path / product)
        changed = copy / file.relative_to(folder / product)
        changed.write_bytes(changed.read_bytes()[:-7])
        with pytest.raises(ValueError, match=f"{changed.name} are not the files that were written"):
            hybridflux("info", copy)
