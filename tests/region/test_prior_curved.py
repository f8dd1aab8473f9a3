"""Fluxes on the rotated grid of a transport model, and by land cover: each pixel's carbon lies in the cell that holds it, once."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.products.coarse_daily import CoarseDaily
from hybridflux.products.coarse_grid_file import grid_of_file
from hybridflux.products.prior import export_prior
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import PixelTotals, ZoneTotals
from hybridflux.region.store.coarse_grid import OUTSIDE
from hybridflux.region.store.curvilinear_grid import CurvilinearGrid, around, coarse_grid
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

ANGLE, CELL, SHAPE = 0.5, 73.0, (6, 5)  # radians, m, cells: no side keeps to a row of pixels
FLUXES = ("NEE", "GPP", "RECO")
TAKES_AXES_FOR_DEGREES = [
    "latitude variable 'south_north' should define valid units for latitude",
    "longitude variable 'west_east' should define valid units for longitude",
]
"""What the checker has against axes Y and X that are no latitude and longitude, as those of CF 1.11, section 5.2."""


class Rotated:
    """A rotated grid around the middle of a region, of which the cell of a point is known in closed form."""

    def __init__(self, grid: Grid, shape=SHAPE, cell=CELL, angle=ANGLE):
        self.grid, self.shape, self.cell = grid, shape, cell
        self.middle = grid.west + 5 * grid.shape[1], grid.north - 5 * grid.shape[0]
        self.turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def lat_lon(self, offset, more):
        """Of the corners (offset 0, more 1) or the centres (0.5, 0)."""
        row, column = np.meshgrid(*(np.arange(count + more) + offset - count / 2 for count in self.shape), indexing="ij")
        x, y = (self.turn @ np.stack([column, row]).reshape(2, -1) * self.cell).reshape(2, *row.shape)
        return self.grid.lonlat(x + self.middle[0], y + self.middle[1])[::-1]

    def cell_of(self, x, y):
        """Row and column of points [m]."""
        column, row = self.turn.T @ np.stack([x - self.middle[0], y - self.middle[1]]).reshape(2, -1) / self.cell
        return tuple(np.floor(at + count / 2).astype(int).reshape(x.shape) for at, count in zip((row, column), self.shape, strict=True))

    def write(self, path, kind):
        """As `geo_em` of WRF with corners, as coordinates of CHIMERE, as bounds of CF in an odd order."""
        (lat, lon), (lat_c, lon_c) = self.lat_lon(0.5, 0), self.lat_lon(0, 1)
        dims = "south_north", "west_east"
        if kind == "wrf":
            stag = "Time", "south_north_stag", "west_east_stag"
            data = {"XLAT_M": (("Time", *dims), lat[None]), "XLONG_M": (("Time", *dims), lon[None])}
            data |= {"XLAT_C": (stag, lat_c[None]), "XLONG_C": (stag, lon_c[None])}
        else:
            data = {"lat": (dims, lat, {"units": "degrees_north"}), "lon": (dims, lon)}
        if kind == "bounds":
            for name, corner in (("lat", lat_c), ("lon", lon_c)):
                data[name] = (*data[name][:2], {"bounds": f"{name}_vertices"})
                data[f"{name}_vertices"] = (*dims, "nv"), around(corner)[..., [2, 1, 0, 3]]
        xr.Dataset(data).to_netcdf(path, engine="h5netcdf")
        return path


@pytest.fixture(scope="module")
def rotated(region_path):
    return Rotated(open_region(region_path).grid)


@pytest.fixture(scope="module")
def run(region_path, make_posterior, rotated, tmp_path_factory):
    out = tmp_path_factory.mktemp("curved")
    output = CoarseDaily(str(rotated.write(out / "geo_em.nc", "wrf")), "land_cover")
    map_region(make_posterior(), region_path, out / "run", draws=4, period=Period("2018-06-01", "2018-06-12"),
               keep=(ZoneTotals(), PixelTotals(), output))  # fmt: skip
    return out / "run"


@pytest.fixture(scope="module")
def prior(run):
    grid, out = str(run.parent / "geo_em.nc"), str(run.parent / "out")
    done = CliRunner().invoke(app, ["export", "prior", str(run), "--grid", grid, "--sectors", "land_cover", "--out", out])
    assert done.exit_code == 0 and "mapping again" not in done.output, done.output
    return xr.open_dataset(run.parent / "out" / "prior_2018-06.nc", engine="h5netcdf").load()


def carbon(prior, name):
    """`[draw, row, column]` over the month, g."""
    return (prior[name].astype(float).sum("time") * prior["cell_area"] * 86_400 * 1000).values


def test_each_cell_and_land_cover_has_the_carbon_of_its_pixels(region_path, run, rotated, prior):
    """Against the sums of single pixels, put into cells by undoing the rotation; to the accuracy of float32."""
    region, truth, area = open_region(region_path), {}, {}
    for tile in region.tiles():
        with np.load(run / "totals" / f"{tile.id}.npz") as file:
            pixel, kinds, areas = (file[f"pixel_totals_{what}"] for what in ("pixel", "plant_type", "area"))
        gpp = np.load(run / "totals" / f"{tile.id}.pixel_totals.npy")[:, 0, 0]  # [pixel, draw]
        row, column = rotated.cell_of(*region.grid.centres(tile, pixel).T)
        for where in zip(kinds.tolist(), row.tolist(), column.tolist(), gpp, areas, strict=True):
            kind, place = PLANT_TYPES[where[0]], where[1:3]
            truth.setdefault(kind, np.zeros((4, *SHAPE)))[:, *place] += where[3] * where[4]
            area.setdefault(kind, np.zeros(SHAPE))[place] += where[4]
    assert len(truth) == 4 and sum((one > 0).sum() for one in area.values()) > 25
    for kind, expected in truth.items():
        np.testing.assert_allclose(carbon(prior, f"GPP_{kind}_members"), expected, rtol=1e-6)
        np.testing.assert_allclose(prior[f"mapped_fraction_{kind}"] * prior["cell_area"], area[kind], rtol=1e-12)
    np.testing.assert_allclose(carbon(prior, "GPP_members"), sum(truth.values()), rtol=1e-6)
    totals = xr.open_dataset(run / "totals.nc", engine="h5netcdf")
    for flux in ("GPP", "RECO"):
        expected = totals["total"].sel(flux=flux).sum(("cell", "month"))
        np.testing.assert_allclose(carbon(prior, f"{flux}_members").sum((1, 2)), expected, rtol=1e-6)


def test_sectors_add_up_to_the_total_in_its_last_digit(prior):
    kinds = [name.removeprefix("mapped_fraction_") for name in prior if name.startswith("mapped_fraction_")]
    assert len(kinds) == 4
    for flux in FLUXES:
        for statistic in ("", "_members"):
            summed = sum(prior[f"{flux}_{kind}{statistic}"].astype(float) for kind in kinds)
            np.testing.assert_array_equal(prior[f"{flux}{statistic}"], summed.astype(np.float32))
    sd = prior["NEE_members"].astype(float).std("realization")
    np.testing.assert_allclose(prior["NEE_sd"], sd, rtol=1e-5, atol=1e-16)
    assert float(prior["NEE_sd"].max()) > 0 and "cropland (CRO)" in prior["NEE_CRO"].attrs["long_name"]


def test_hours_of_sectors_add_up_to_their_days(run, prior, tmp_path):
    """Of a run that keeps land covers apart, which an export without sectors takes as it is."""
    (path,) = export_prior(run, tmp_path, grid=run.parent / "geo_em.nc", hourly=True)
    hours = xr.open_dataset(path, engine="h5netcdf").load()
    for name in ("GPP_members", "GPP_CRO_members", "RECO_ENF_members"):
        days = hours[name].astype(float).values.reshape(4, 12, 24, *SHAPE).mean(2)
        np.testing.assert_allclose(days, prior[name], rtol=1e-6)
    for name in ("NEE_error_correlation_length", "NEE_error_correlation_time"):
        np.testing.assert_allclose(hours[name], prior[name], rtol=1e-6)


def test_coordinates_are_those_of_the_file_and_the_conventions_hold(run, rotated, prior, tmp_path):
    lat, lon = rotated.lat_lon(0.5, 0)
    np.testing.assert_allclose(prior["lat"], lat, atol=2e-7)
    np.testing.assert_allclose(prior["lon"], lon, atol=2e-7)
    np.testing.assert_allclose(prior["lat_bnds"], around(rotated.lat_lon(0, 1)[0]), atol=2e-7)
    assert prior["NEE"].dims == ("time", "south_north", "west_east") and prior["NEE_CRO_members"].dims[0] == "realization"
    pytest.importorskip("compliance_checker", reason="compliance-checker is not installed (extra `dev`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compliance_checker.runner import CheckSuite, ComplianceChecker

        CheckSuite.load_all_available_checkers()
        settings = {"output_filename": str(tmp_path / "report.json"), "output_format": "json"}
        ComplianceChecker.run_checker(str(run.parent / "out" / "prior_2018-06.nc"), ["cf:1.11"], 0, "normal", **settings)
    report = json.loads((tmp_path / "report.json").read_text())["cf:1.11"]
    said = [message for level in ("high", "medium", "low") for check in report[f"{level}_priorities"] for message in check["msgs"]]
    assert sorted(said) == TAKES_AXES_FOR_DEGREES


@pytest.mark.parametrize("kind", ["wrf", "centres", "bounds"])
def test_a_curvilinear_grid_is_read_from_corners_bounds_or_centres(rotated, tmp_path, kind):
    latitude, longitude = grid_of_file(rotated.write(tmp_path / "grid.nc", kind))
    expected = rotated.lat_lon(0, 1)
    np.testing.assert_allclose([latitude, longitude], expected, atol=1e-7)
    found = coarse_grid((latitude, longitude))
    np.testing.assert_allclose(found.centres(*np.indices(SHAPE)), rotated.lat_lon(0.5, 0), atol=1e-6)
    np.testing.assert_allclose(found.area(), CELL**2 * _true_over_map(rotated), rtol=1e-4)


def _true_over_map(rotated):
    (tile, *_) = rotated.grid.tiles()
    return rotated.grid.area(tile).mean() / rotated.grid.pixel**2


def test_pixels_of_touching_cells_leave_no_gap_whatever_the_angle():
    """Each pixel inside has the cell of the closed form, unless its centre lies within 1 mm of a side, when it has one of the two."""
    grid = Grid("EPSG:32631", 400_000.0, 5_400_000.0, 10.0, (60, 60), 60)
    (tile,) = grid.tiles()
    x, y = np.meshgrid(grid.x, grid.y)
    for angle, cell in ((0.0, 100.0), (np.pi / 4, 100.0), (0.3, 37.0), (1.2, 250.0)):
        rotated = Rotated(grid, (40, 40), cell, angle)
        corners = rotated.lat_lon(0, 1)
        found = CurvilinearGrid(*corners).places(grid, tile)
        near = [np.ravel_multi_index(rotated.cell_of(x + dx, y + dy), (40, 40)) for dx in (-1e-3, 1e-3) for dy in (-1e-3, 1e-3)]
        assert (found != OUTSIDE).all() and np.any([found == one for one in near], axis=0).all()


def test_cells_across_the_date_line_are_whole():
    longitude, latitude = np.meshgrid([178.0, 179.5, -179.0, -177.5], [-18.0, -17.0, -16.0])
    grid = CurvilinearGrid(latitude, longitude)
    region = Grid("EPSG:32701", 170_000.0, 8_070_000.0, 100.0, (20, 20), 20)  # Fiji, 179.9 degrees west
    assert np.unique(grid.places(region, next(region.tiles()))).tolist() == [1]
    np.testing.assert_allclose(grid.centres(np.array([0]), np.array([1])), [[-17.5], [-179.75]], atol=0.01)
    np.testing.assert_allclose(grid.area()[0], grid.area()[0, 0], rtol=1e-3)


@pytest.mark.parametrize("mend, message", [
    (lambda data: data.assign(lon=data["lon"][:, :3].rename(west_east="three")), "`lat` is 6 x 5 and `lon` is 6 x 3"),
    (lambda data: data.drop_vars("lon"), "has no `lon`"),
    (lambda data: data.assign(lat=data["lat"].where(data["lat"] > data["lat"].min())), "missing in some cells"),
    (lambda data: data.assign(lat=0 * data["lat"] + 48), "of the grid has no area, or lies folded"),
    (lambda data: data.assign(lat_vertices=data["lat_vertices"] * [0.999, 1, 1, 1]), "leave gaps or overlap"),
])  # fmt: skip
def test_a_grid_that_cannot_be_meant_is_refused_with_its_file(rotated, tmp_path, mend, message):
    with xr.open_dataset(rotated.write(tmp_path / "good.nc", "bounds" if "gaps" in message else "centres"), engine="h5netcdf") as data:
        mend(data.load()).to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=message) as caught:
        grid_of_file(tmp_path / "grid.nc")
    assert str(tmp_path / "grid.nc") in str(caught.value)


def test_a_sector_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="sectors `soil`: there is `land_cover`"):
        CoarseDaily(0.1, "soil")
    assert CoarseDaily("0.1,land_cover") == CoarseDaily(0.1, "land_cover")
