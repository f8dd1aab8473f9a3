"""What the world may check of a run's products: STAC by its schemas, netCDF by a CF checker, credit, sign, spread and days in each file."""

import json
import warnings

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
import zarr
from rasterio.warp import transform_bounds

from hybridflux.data.origin import read_origin
from hybridflux.products.effect_maps import write_effect_maps
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.region.store import layout

pytestmark = pytest.mark.long

CREDIT = ["Sentinel-2 L2A: Contains modified Copernicus Sentinel data 2017-2018 (free and open)", "ERA5-Land: made up (CC-BY-4.0)"]
DAYS = ("2017-12-20", "2018-02-10")

SUBTRACTS_LABELS = "check_coordinate_variables_strict_monotonicity"  # fails itself: names of fluxes and plant types have no difference


@pytest.fixture(scope="module")
def run(make_region, make_posterior, tmp_path_factory):
    """A run of parts of two years."""
    folder = tmp_path_factory.mktemp("products")
    path = make_region(folder / "r.zarr", attribution=CREDIT).path
    map_region(make_posterior(), path, folder / "my run", draws=6, period=Period(DAYS[0], DAYS[1]))
    return folder / "my run"


def products(run):
    """Name -> attributes of every product."""
    yield from ((path.name, read_origin(path)) for path in sorted((run / "cog").glob("*.tif")))
    yield from ((name, read_origin(run / name)) for name in ("totals.nc", "series.nc", "fluxes.zarr"))
    yield from ((group, dict(zarr.open_group(run / "fluxes.zarr", mode="r")[group].attrs)) for group in ("monthly", "annual"))


def test_every_product_says_credit_sign_spread_and_days(run):
    names = []
    for name, said in products(run):
        names.append(name)
        assert all(text in said["credit"] for text in CREDIT), name
        assert "positive to the atmosphere" in said["sign"] and said["spread"] == "parameter+random_effects", name
        assert DAYS[0] <= said["time_coverage_start"] <= said["time_coverage_end"] <= DAYS[1] and int(said["days"]) <= 53, name
    assert len(names) == 6 * 2 * 2 + 5
    assert read_origin(run / "item.json")["config_hash"] == read_origin(run)["config_hash"]
    assert read_origin(run)["attribution"] == CREDIT and read_origin(run)["days"] == 53


def test_a_region_that_names_no_source_says_so(region_path, make_posterior, tmp_path):
    map_region(make_posterior(), region_path, tmp_path / "run", draws=2, period=Period("2018-12-31"))
    assert read_origin(tmp_path / "run" / "totals.nc")["credit"].startswith("not recorded: the region store does not say")


def test_the_item_is_valid_and_says_where_and_when(run):
    item = json.loads((run / "item.json").read_text())
    extensions = item.pop("stac_extensions")
    assert len(extensions) == 2 and all(one.startswith("https://stac-extensions.github.io/p") for one in extensions)
    read = pystac.Item.from_dict(item | {"stac_extensions": []})
    assert read.validate() == ["https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"]
    with rasterio.open(run / "cog" / "NEE_annual_2018.tif") as file:
        np.testing.assert_allclose(item["bbox"], transform_bounds(file.crs, "EPSG:4326", *file.bounds, densify_pts=99), atol=1e-6)
    ring = np.array(item["geometry"]["coordinates"][0])
    assert (ring[0] == ring[-1]).all() and np.cross(np.diff(ring[:-1], axis=0)[0], [0, 1]) > 0
    assert item["properties"]["datetime"] is None
    assert item["properties"]["start_datetime"] == "2017-12-19T23:00:00Z" and item["properties"]["end_datetime"] == "2018-02-10T22:59:59Z"
    assert item["properties"]["proj:code"] == "EPSG:2154" and item["properties"]["hybridflux:credit"] == CREDIT
    assert {one["name"]: one["roles"] for one in item["properties"]["providers"]} == {
        "hybridflux": ["processor"], "Sentinel-2 L2A": ["producer"], "ERA5-Land": ["producer"],
    }  # fmt: skip


def test_assets_are_there_and_are_as_the_item_says(run):
    item = pystac.Item.from_file(str(run / "item.json"))
    assert {path.stem for path in (run / "cog").iterdir()} < set(item.assets) > {"fluxes", "totals", "series", "run"}
    for name, asset in item.assets.items():
        assert (run / asset.href).exists(), name
        if asset.media_type != pystac.MediaType.COG:
            continue
        with rasterio.open(run / asset.href) as file:
            fields = asset.extra_fields
            assert fields["proj:code"] == str(file.crs) and fields["proj:shape"] == list(file.shape)
            assert fields["proj:transform"] == list(file.transform)[:6] and fields["proj:bbox"] == list(file.bounds)
            assert [(band["name"], band["unit"]) for band in fields["bands"]] == list(zip(file.descriptions, file.units, strict=True))
            assert fields["hybridflux:days"] == int(file.tags()["days"]) and ("uncertainty" in asset.roles) == ("_sd_" in name)
    assert item.assets["GPP_annual_2018"].extra_fields["start_datetime"] == "2017-12-31T23:00:00Z"


@pytest.mark.parametrize("name", ["totals", "series"])
def test_a_checker_of_the_conventions_finds_nothing(run, name, tmp_path):
    pytest.importorskip("compliance_checker", reason="compliance-checker is not installed (extra `dev`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compliance_checker.runner import CheckSuite, ComplianceChecker

        CheckSuite.load_all_available_checkers()
        out = tmp_path / "report.json"
        settings = {"output_filename": str(out), "output_format": "json", "skip_checks": [SUBTRACTS_LABELS]}
        passed, failed = ComplianceChecker.run_checker(str(run / f"{name}.nc"), ["cf:1.11"], 0, "normal", **settings)
    report = json.loads(out.read_text())["cf:1.11"]
    levels = [report[f"{level}_priorities"] for level in ("high", "medium", "low")]
    found = [f"{check['name']}: {check['msgs']}" for level in levels for check in level if check["msgs"]]
    assert found == [] and passed and not failed and report["scored_points"] == report["possible_points"]


def test_months_are_bounded_by_their_mapped_days(run):
    totals, series = (xr.open_dataset(run / f"{name}.nc", engine="h5netcdf").load() for name in ("totals", "series"))
    first, end = totals["month_bnds"].values.astype("datetime64[D]").T
    assert first.astype(str).tolist() == ["2017-12-20", "2018-01-01", "2018-02-01"] and (first == totals["month"].values).all()
    assert (end - first).astype(int).tolist() == totals["days"].values.tolist() == [12, 31, 10]
    assert (np.diff(series["time_bnds"].values.astype("datetime64[D]"), axis=1).astype(int) == 1).all()
    assert series["series"].dims == ("flux", "plant_type", "draw", "time") and series["time"].attrs["standard_name"] == "time"


def test_every_zarr_group_opens_without_a_warning(run):
    for group in ("monthly", "annual"):
        assert xr.open_zarr(run / "fluxes.zarr", group=group)["NEE"].attrs["units"] == {"monthly": "g m-2 day-1", "annual": "g m-2"}[group]
    tree = xr.open_datatree(run / "fluxes.zarr", engine="zarr")
    assert set(tree.children) == {"monthly", "annual"} and layout.CONVENTIONS == tree.attrs["Conventions"]


def test_effect_maps_of_parts_of_years_say_so(run, tmp_path):
    for name in ("control", "changed"):
        (tmp_path / name).symlink_to(run)
    write_effect_maps(tmp_path, ["rain=*0.5"])
    with rasterio.open(tmp_path / "cog" / "GPP_change_annual_2017.tif") as file:
        said = file.tags()
        assert file.units == ("g m-2",) and said["units"] == "g m-2" and file.descriptions == ("2017-12-20..2017-12-31 (12 days)",)
        assert file.tags(1)["period"] == "2017-12-20/2017-12-31" and file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "ZSTD"
        assert (
            said["days"] == "12"
            and all(text in said["credit"] for text in CREDIT)
            and "provenance" in said
            and said["changes"] == "rain=*0.5"
        )
        assert "only 2017-12-20..2017-12-31" in said["long_name"] and np.nanmax(np.abs(file.read(1))) == 0
    for group in ("monthly", "annual"):
        effect = xr.open_zarr(tmp_path / "effect.zarr", group=group)
        assert effect["days"].values.tolist() == {"monthly": [12, 31, 10], "annual": [12, 41]}[group]
        assert effect.attrs["credit"] and effect["NEE_change"].attrs["units"] == {"monthly": "g m-2 day-1", "annual": "g m-2"}[group]
