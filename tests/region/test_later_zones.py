"""Zones of a finished run: the same budget as zones that the region had when it was mapped."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference.training_days import TrainingDays
from hybridflux.model.sources import to_raw
from hybridflux.model.structural_error import StructuralError
from hybridflux.products.budget import budget_table, outside_of
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import PixelTotals, ZoneTotals, merge_totals
from hybridflux.vocabulary import PARAMETERS

pytestmark = pytest.mark.long

ERROR = {"structural_floor": 0.5, "structural_slope": 0.3, "structural_days": 30.0, "structural_year": 0.08, "noise_floor": 0.3}


def polygons(path, grid, rows):
    """A GeoJSON of two polygons, the pixels above and below some row, in the coordinate system of the grid."""
    west, east = grid.west, grid.west + grid.pixel * grid.shape[1]
    edges = [grid.north, grid.north - grid.pixel * rows, grid.north - grid.pixel * grid.shape[0]]
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [
            [[west, top], [east, top], [east, bottom], [west, bottom], [west, top]]]}}
        for name, top, bottom in zip(("north", "south"), edges[:-1], edges[1:], strict=True)
    ]  # fmt: skip
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return path


def days_of_a_fit():
    """Days of towers in a cool and green place, so that a part of the days and pixels of the region is unlike them."""
    random = np.random.default_rng(0)
    values = np.stack([random.uniform(-5, 14, 300), random.uniform(0.1, 0.7, 300)], 1).astype(np.float32)
    mean, sd = values.mean(0), values.std(0)
    return TrainingDays(("tair", "fapar"), values, np.zeros(300, np.int32), mean, sd, np.array([1.0, 0.7], np.float32), 1.0, 0.1)


@pytest.fixture(scope="module")
def run(region_path, make_posterior, tmp_path_factory):
    raw = {name: jnp.asarray([to_raw(value, PARAMETERS[name])], jnp.float32) for name, value in (ERROR | {"noise_slope": 0.1}).items()}
    posterior = make_posterior()
    info = {**posterior.info, "structural_correlation": {"length": 300.0, "nugget": 0.3}}
    posterior = replace(posterior, structure=StructuralError(raw), info=info, training=days_of_a_fit())
    out = tmp_path_factory.mktemp("later") / "run"
    settings = {"draws": Draws(6), "period": Period("2017-10-01", "2018-09-30")}
    map_region(posterior, region_path, out, keep=(ZoneTotals(), PixelTotals()), **settings)
    return out


def test_later_zones_have_the_budget_of_zones_mapped_at_first(run, region_path, tmp_path):
    path = polygons(tmp_path / "halves.geojson", open_region(region_path).grid, 12)
    first, later = budget_table(run), budget_table(run, zones=path)
    names = ["mean", "sd", "q05", "q50", "q95", "total_tCO2", "area_ha", "area_outside_applicability_ha"]
    keys = ["zone", "land_cover", "period", "variable", "quantity"]
    assert first[keys].equals(later[keys]) and {"north", "south"} <= set(first["zone"]) and first["spread"][0].endswith("structural_error")
    np.testing.assert_allclose(later[names], first[names], rtol=1e-6, atol=1e-6)
    assert 0.1 < first["area_outside_applicability_ha"].iloc[0] / first["area_ha"].iloc[0] < 0.9
    path = polygons(tmp_path / "other.geojson", open_region(region_path).grid, 5)
    other = budget_table(run, zones=path)
    names = ["mean", "total_tCO2", "area_ha", "area_outside_applicability_ha"]
    np.testing.assert_allclose(other.query("zone == 'region'")[names], first.query("zone == 'region'")[names], rtol=1e-6, atol=1e-6)
    assert other.query("zone == 'north' and land_cover == 'all'")["area_ha"].iloc[0] < 0.5 * first["area_ha"].iloc[0]


def test_later_zones_of_a_run_without_the_shares_of_its_pixels_do_not_know_the_area_outside(run, region_path, tmp_path, monkeypatch):
    """Runs of earlier versions kept no share outside the area of applicability with their pixels."""
    kept = merge_totals.KeptPixels.of
    monkeypatch.setattr(merge_totals.KeptPixels, "of", lambda path, name: (one := kept(path, name)) and one._replace(outside=None))
    later = budget_table(run, zones=polygons(tmp_path / "halves.geojson", open_region(region_path).grid, 12))
    assert later["area_outside_applicability_ha"].isna().all() and outside_of(later) == ""
    np.testing.assert_allclose(later["mean"], budget_table(run)["mean"], rtol=1e-6, atol=1e-6)


def test_a_crop_year_has_a_row_of_its_own(run):
    table = budget_table(run).query("zone == 'region' and land_cover == 'all' and variable == 'NEE'").set_index("period")
    assert list(table.index) == ["2017-10..2017-12", "2018-01..2018-09", "2017-10..2018-09"]
    whole = table.loc["2017-10..2018-09"]
    assert whole["units"] == "gC m-2 yr-1" and whole["days"] == 365
    assert whole["mean"] == pytest.approx(table["mean"].iloc[:2].sum(), rel=1e-9)


def test_a_run_without_its_pixels_says_what_it_needs(region_path, make_posterior, tmp_path):
    settings = {"draws": Draws(6), "period": Period("2018-06-01", "2018-06-30"), "keep": (ZoneTotals(),)}
    map_region(make_posterior(), region_path, tmp_path / "run", **settings)
    path = polygons(tmp_path / "halves.geojson", open_region(region_path).grid, 12)
    with pytest.raises(ValueError, match="keeps totals of its own zones, not of its pixels.*map again with `--keep PixelTotals`"):
        budget_table(tmp_path / "run", zones=path)
