"""Scenario and budget of the small world, against each other and against the truth."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from hybridflux.data.origin import read_origin
from hybridflux.products.budget import budget_of, budget_table
from hybridflux.products.scenario import effect_table, open_scenario, run_scenario
from hybridflux.products.totals import open_totals
from hybridflux.report.overview import independence_factor
from hybridflux.report.seasonal_fluxes import monthly_means, open_cover_fluxes
from hybridflux.report.truth import read_truth


def test_pairing_makes_the_effect_sharper(mapped):
    table = effect_table(open_scenario(mapped.scenario))
    gpp = table[(table["variable"] == "GPP") & (table["zone"] == "region")]
    assert (gpp["sd"] < 0.5 * gpp["sd_unpaired"]).all()
    assert (gpp["mean"] < 0).all()  # half of the rain and a warmer year cost GPP here


def test_effect_is_changed_minus_control(mapped):
    control, changed = open_totals(mapped.scenario / "control"), open_totals(mapped.scenario / "changed")
    row = pd.read_csv(mapped.scenario / "effect.csv").query("zone == 'region' and land_cover == 'all' and variable == 'NEE'").iloc[0]
    expected = (changed.total["NEE"][:] - control.total["NEE"][:]).sum((0, 1)) / control.area.sum()
    assert row["mean"] == pytest.approx(expected.mean(), rel=1e-5)
    assert row["sd"] == pytest.approx(expected.std(ddof=1), rel=1e-5)
    assert (row["spread"], row["quantity"], row["changes"]) == ("parameter", "effect", "rain=*0.5 tair=+1")


def test_effect_maps_agree_with_the_runs_and_open_in_a_gis(mapped):
    runs = [xr.open_zarr(mapped.scenario / name / "fluxes.zarr", group="annual") for name in ("control", "changed")]
    effect = xr.open_zarr(mapped.scenario / "effect.zarr", group="annual")
    np.testing.assert_allclose(effect["NEE_change"], runs[1]["NEE"] - runs[0]["NEE"], atol=1e-3)
    with rasterio.open(mapped.scenario / "cog" / "NEE_change_annual_2022.tif") as file:
        assert file.crs.to_epsg() == 2154 and file.res == (10.0, 10.0)
        tags = file.tags()
        assert (
            tags["spread"] == "parameter" and tags["days"] == "365" and file.units == ("g m-2 year-1",) and file.descriptions == ("2022",)
        )
        assert "hybridflux twin" in tags["credit"] and "NEE = RECO - GPP" in tags["sign"] and read_origin(file.name)["config_hash"]
        np.testing.assert_allclose(file.read(1), effect["NEE_change"][0], equal_nan=True)
        assert (file.bounds.left + 5, file.bounds.top - 5) == (float(effect["x"][0]), float(effect["y"][0]))


def test_a_scenario_needs_a_change_and_a_known_folder(mapped, tmp_path):
    with pytest.raises(ValueError, match="needs a change"):
        run_scenario(mapped.posterior, mapped.region, {}, tmp_path)
    with pytest.raises(FileNotFoundError, match="scenario.json"):
        open_scenario(mapped.run)


def test_truth_has_the_rows_of_the_budget(mapped):
    keys = ["zone", "land_cover", "period", "variable", "quantity"]
    estimated, true = budget_table(mapped.run), budget_of(read_truth(mapped.truth).totals)
    assert set(map(tuple, estimated[keys].values)) == set(map(tuple, true[keys].values))
    both = estimated.merge(true, on=keys, suffixes=("", "_true"))
    np.testing.assert_allclose(both["area_ha"], both["area_ha_true"], rtol=1e-6)


def test_inventory_of_the_world_is_read_whole(mapped):
    table = budget_table(mapped.run, inventory=mapped.inventory)
    assert set(table.loc[table["variable"] == "NBP", "verdict"]) <= {"closed", "open", "undecidable"}


def test_courses_add_up_to_the_budget(mapped):
    courses, totals = open_cover_fluxes(mapped.run), open_totals(mapped.run)
    steps = np.diff([*range(0, 365, 10), 365])
    for cover, found in courses.flux.items():
        cells = np.flatnonzero(totals.land_cover == cover)
        year = totals.sum("NEE", cells, np.arange(12)) / totals.area[cells].sum()
        np.testing.assert_allclose((found["NEE"] * steps[:, None]).sum(0), year, rtol=1e-3, atol=0.05)
    means = monthly_means(totals, cover)["GPP"]
    assert means.shape == (12,) and (means >= 0).all()


def test_independence_would_understate(mapped):
    annual = xr.open_zarr(mapped.run / "fluxes.zarr", group="annual")
    assert independence_factor(annual, open_totals(mapped.run)) > 3
