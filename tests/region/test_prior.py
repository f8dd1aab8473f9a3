"""Fluxes for inversions: carbon closes between pixels and coarse cells in every draw, and the files say what they hold."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.products import prior_error
from hybridflux.products.coarse_daily import CoarseDaily
from hybridflux.products.coarse_grid_file import grid_of_file
from hybridflux.products.hours_of_day import light_shares
from hybridflux.products.prior import export_prior
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.store.coarse_grid import CoarseGrid

pytestmark = pytest.mark.long

SETTINGS = {"draws": 6, "period": Period("2018-01-20", "2018-02-10")}
DAYS = [12, 10]
SUBTRACTS_LABELS = "check_coordinate_variables_strict_monotonicity"  # fails itself: names of fluxes have no difference


def opened(path):
    return xr.open_dataset(path, engine="h5netcdf").load()


def mass(files):
    """Carbon of the cells `[flux, draw, day, row, column]`, g."""
    months = []
    for path in files:
        one = opened(path)
        months.append([one[f"{flux}_members"].astype(float) * one["cell_area"] * 86_400 * 1000 for flux in ("NEE", "GPP", "RECO")])
    return np.concatenate([np.stack(month) for month in months], 2)


@pytest.fixture(scope="module")
def edges(region_path):
    """Edges of a grid of 4 x 3 cells over the small region, one of which no tile or pixel keeps to."""
    grid = open_region(region_path).grid
    longitude, latitude = grid.lonlat(np.array([grid.west, grid.west + 200]), np.array([grid.north - 240, grid.north]))
    return tuple(tuple(np.linspace(*(side + [-1e-4, 1e-4]), count).tolist()) for side, count in ((latitude, 5), (longitude, 4)))


@pytest.fixture(scope="module")
def run(region_path, make_posterior, edges, tmp_path_factory):
    out = tmp_path_factory.mktemp("prior") / "run"
    map_region(make_posterior(), region_path, out, **SETTINGS, keep=(ZoneTotals(), CoarseDaily(edges)))
    return out


@pytest.fixture(scope="module")
def files(run, edges):
    return export_prior(run, run.parent / "out", grid=edges)


def test_carbon_closes_between_pixels_and_cells_in_every_draw(run, files):
    assert [path.name for path in files] == ["prior_2018-01.nc", "prior_2018-02.nc"]
    of_cells, totals = mass(files), opened(run / "totals.nc")["total"]
    assert of_cells.shape[1:] == (6, sum(DAYS), 4, 3)
    of_months = np.stack([month.sum((2, 3, 4)) for month in np.split(of_cells, [DAYS[0]], axis=2)], -1)
    scale = np.abs(totals.sel(flux="GPP").sum("cell").values) + totals.sel(flux="RECO").sum("cell").values
    assert (np.abs(of_months - totals.sum("cell").values) < 1e-6 * scale).all()
    np.testing.assert_allclose(of_months[1:], totals.sum("cell").values[1:], rtol=1e-6)


def test_each_cell_has_its_pixels(region_path, run, files, edges):
    grid, region = CoarseGrid.of(edges), open_region(region_path)
    (tile,) = [tile for tile in region.tiles() if tile.id == "r000_c000"]
    longitude, latitude = region.grid.lonlat(*np.meshgrid(region.grid.x[tile.x], region.grid.y[tile.y]))
    place = grid.places(region.grid, tile)
    row, column = place // 3, place % 3
    for axis, at, where in ((edges[0], row, latitude), (edges[1], column, longitude)):
        assert (np.array(axis)[at] <= where).all() and (where < np.array(axis)[at + 1]).all()
    one = opened(files[0])
    np.testing.assert_allclose((one["mapped_fraction"] * one["cell_area"]).sum(), opened(run / "totals.nc")["area"].sum(), rtol=1e-12)


def test_signs_and_statistics_are_those_of_the_members(files):
    one = opened(files[0])
    members = one["NEE_members"].astype(float)
    gap = one["RECO_members"] - one["GPP_members"] - members
    assert float(np.abs(gap).max()) < 1e-6 * float(one["GPP_members"].max() + one["RECO_members"].max())
    assert (one["GPP_members"] >= 0).all() and (one["RECO_members"] > 0).sum() > 0 and float(one["NEE"].mean()) > 0  # winter
    np.testing.assert_allclose(one["NEE"], members.mean("realization"), rtol=1e-5, atol=1e-15)
    np.testing.assert_allclose(one["NEE_sd"], members.std("realization"), rtol=1e-4, atol=1e-15)


def test_a_day_of_local_time_is_written_in_utc_and_keeps_its_date(files):
    one = opened(files[0])
    assert str(one["time"].values[0])[:16] == "2018-01-20T11:00" and str(one["time_bnds"].values[0, 0])[:16] == "2018-01-19T23:00"
    assert (one.attrs["time_coverage_start"], one.attrs["time_coverage_end"], one.attrs["days"]) == ("2018-01-20", "2018-01-31", "12")
    assert "positive to the atmosphere" in one.attrs["sign"] and one.attrs["spread"] and one["NEE"].attrs["units"] == "kg m-2 s-1"
    assert one["NEE"].dims == ("time", "lat", "lon") and one["lat"].attrs["bounds"] == "lat_bnds"


def test_hours_add_up_to_days_and_follow_light_and_warmth(run, files, edges, tmp_path):
    (path, _) = export_prior(run, tmp_path, grid=edges, hourly=True)
    hours, days = opened(path), opened(files[0])
    assert str(hours["time"].values[0])[:16] == "2018-01-19T23:30" and hours.sizes["time"] == 24 * DAYS[0]
    scale = (days["GPP_members"] + days["RECO_members"]).max().item()
    for flux in ("NEE", "GPP", "RECO"):
        summed = hours[f"{flux}_members"].astype(float).values.reshape(6, DAYS[0], 24, 4, 3).mean(2)
        np.testing.assert_allclose(summed, days[f"{flux}_members"], rtol=1e-6 if flux != "NEE" else 0, atol=1e-6 * scale)
    gpp, reco = (hours[flux].values.reshape(DAYS[0], 24, -1).sum(-1) for flux in ("GPP", "RECO"))
    lit = gpp > 0  # hours of UTC+1 near Paris in late January: up at about 8:30, noon at 13:02, down at about 17:30
    assert not lit[:, :8].any() and lit[:, 10:16].all() and not lit[:, 18:].any() and set(gpp.argmax(1)) == {13}
    assert set(reco.argmax(1)) == {15} and set(reco.argmin(1)) == {3} and (reco > 0).all()


def test_without_a_sunrise_all_hours_are_equal():
    shares = light_shares(np.datetime64("2018-12-21"), np.array([80.0, 45.0]), np.zeros(2), 0.0)
    np.testing.assert_allclose(shares.sum(0), 1)
    assert np.ptp(shares[:, 0]) == 0 and shares[0, 1] == 0


@pytest.mark.parametrize("tile", [24, 7])
def test_any_tiling_gives_the_same_carbon(tmp_path, make_region, make_posterior, edges, files, tile):
    path = make_region(tmp_path / "other.zarr", tile=tile).path
    map_region(make_posterior(), path, tmp_path / "run", **SETTINGS, keep=(CoarseDaily(edges),))
    for one, other in zip(mass(files)[1:], mass(export_prior(tmp_path / "run", tmp_path / "out", grid=edges))[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_run_without_sums_of_this_grid_is_mapped_again_with_the_same_draws(tmp_path, region_path, make_posterior, edges, files):
    map_region(make_posterior(), region_path, tmp_path / "run", **SETTINGS, keep=(ZoneTotals(),))
    again = export_prior(tmp_path / "run", tmp_path / "out", grid=edges)
    np.testing.assert_array_equal(mass(again), mass(files))
    with pytest.raises(FileExistsError, match="holds a prior "):
        export_prior(tmp_path / "run", tmp_path / "out", grid=edges)


def test_the_command_line_writes_the_same(run, files, edges, tmp_path):
    data = xr.Dataset({"lat_bnds": (("lat", "b"), np.stack([edges[0][:-1], edges[0][1:]], 1)),
                       "lon_bnds": (("lon", "b"), np.stack([edges[1][:-1], edges[1][1:]], 1))})  # fmt: skip
    data = data.assign_coords(lat=data["lat_bnds"].mean("b"), lon=data["lon_bnds"].mean("b"))
    data.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    done = CliRunner().invoke(app, ["export", "prior", str(run), "--grid", str(tmp_path / "grid.nc"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0 and "mapping again" not in done.output, done.output
    np.testing.assert_array_equal(mass(sorted((tmp_path / "out").glob("*.nc"))), mass(files))


def test_a_step_in_degrees_gives_the_cells_around_the_region(run, tmp_path):
    (path, _) = export_prior(run, tmp_path, grid=0.1)
    one = opened(path)
    assert one["lat"].size * one["lon"].size <= 4 and np.allclose(one["lat_bnds"] * 10, np.round(one["lat_bnds"] * 10))
    totals = opened(run / "totals.nc")["total"].sel(flux="GPP").sum("cell").values[:, 0]
    np.testing.assert_allclose(mass([path])[1].sum((1, 2, 3)), totals, rtol=1e-6)


def test_pixels_outside_the_grid_are_not_lost_without_a_word(run, tmp_path, edges):
    with pytest.raises(ValueError, match="% of the mapped area lies outside the grid"):
        export_prior(run, tmp_path, grid=(edges[0][1:], edges[1]))


def test_a_checker_of_the_conventions_finds_nothing(run, files, tmp_path):
    pytest.importorskip("compliance_checker", reason="compliance-checker is not installed (extra `dev`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compliance_checker.runner import CheckSuite, ComplianceChecker

        CheckSuite.load_all_available_checkers()
        for path, skipped in ((files[0], []), (run / "coarse_daily.nc", [SUBTRACTS_LABELS])):
            out = tmp_path / f"{path.stem}.json"
            settings = {"output_filename": str(out), "output_format": "json", "skip_checks": skipped}
            ComplianceChecker.run_checker(str(path), ["cf:1.11"], 0, "normal", **settings)
            report = json.loads(out.read_text())["cf:1.11"]
            levels = [report[f"{level}_priorities"] for level in ("high", "medium", "low")]
            assert [f"{check['name']}: {check['msgs']}" for level in levels for check in level if check["msgs"]] == [], path


def test_the_area_of_the_earth():
    assert CoarseGrid.of(1.0).area().sum() == pytest.approx(5.10065621724e14, rel=1e-12)  # WGS84


@pytest.mark.parametrize("bounds", [False, True])
def test_a_grid_file_is_read_by_its_bounds_or_centres(tmp_path, bounds):
    lat, lon = np.array([50.0, 49.5, 49.0]), np.array([1.0, 1.5])
    data = xr.Dataset(coords={"lat": lat, "lon": lon})
    if bounds:
        data["lat_bnds"] = ("lat", "b"), np.stack([lat + 0.25, lat - 0.25], 1)
        data["lon_bnds"] = ("lon", "b"), [[0.75, 1.25], [1.25, 1.8]]
    data.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    latitude, longitude = grid_of_file(tmp_path / "grid.nc")
    assert latitude == (48.75, 49.25, 49.75, 50.25) and longitude == (0.75, 1.25, 1.8 if bounds else 1.75)
    assert CoarseDaily(str(tmp_path / "grid.nc")) == CoarseDaily((latitude, longitude))


def test_a_step_that_does_not_divide_the_earth_is_refused():
    with pytest.raises(ValueError, match="0.07 degrees.*such as 0.1"):
        CoarseDaily("0.07")
    with pytest.raises(FileNotFoundError, match="grid `tenth` is neither a step in degrees, such as 0.1, nor a netCDF file"):
        CoarseDaily("tenth")


def test_lengths_of_known_errors_are_recovered():
    random, at, days = np.random.default_rng(0), np.linspace(0, 8, 40), np.arange(30)
    cov = np.exp(-np.abs(at[:, None] - at) * 111.195 / 150)
    in_time = np.exp(-np.abs(days[:, None] - days) / 6.0)
    draws = np.linalg.cholesky(in_time) @ random.normal(size=(400, 30, 40)) @ np.linalg.cholesky(cov).T
    found = prior_error.summary((lambda cells: (draws - draws.mean(0))[:, :, cells], 40), 45 + at, np.full(40, 3.0))
    assert found["NEE_error_correlation_length"][1] == pytest.approx(150, rel=0.08)
    assert found["NEE_error_correlation_time"][1] == pytest.approx(6, rel=0.08)
