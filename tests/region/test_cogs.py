"""Maps for GIS: every number as in the store, overviews where a map is large, nothing stored where no tile is."""

import resource
import subprocess
import sys
import types

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import zarr

from hybridflux.region.draws.spread import Spread
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.map_periods import MapPeriod
from hybridflux.region.outputs import ArraySpec, PeriodMaps, cogs
from hybridflux.region.outputs.base import arrays_of
from hybridflux.region.outputs.flux_store import create_store, write_tile
from hybridflux.region.outputs.geotiff import is_complete, whole_geotiff
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Grid

pytestmark = pytest.mark.long

DAYS = np.arange(np.datetime64("2017-06-01"), np.datetime64("2019-01-01"))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """What `write_cogs` asks of a job: a store of 1100 x 700 pixels, two tiles of it mapped, with holes."""
    out, grid = tmp_path_factory.mktemp("run"), Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (1100, 700), 256)
    region = types.SimpleNamespace(grid=grid, time_zone="UTC+01:00", group=types.SimpleNamespace(attrs={}))
    made = types.SimpleNamespace(
        out=out, region=region, store=out / "fluxes.zarr", spread=Spread.parameter, keep=(PeriodMaps(quantiles=()),),
        calendar=Calendar.of(DAYS, np.datetime64("2017-11-01"), np.datetime64("2018-12-31")),
    )  # fmt: skip
    create_store(made.store, region, made.calendar, {"spread": "parameter"}, arrays_of(made.keep, made.calendar))
    made.tiles = [tile for tile in grid.tiles() if tile.id in ("r001_c000", "r004_c002")]
    random, root = np.random.default_rng(0), zarr.open_group(made.store, mode="r+")
    for group, count in (("monthly", 14), ("annual", 2)):
        for name in ("NEE", "NEE_sd", "GPP", "GPP_sd", "RECO", "RECO_sd"):
            for tile in made.tiles:
                values = random.integers(-3000, 3000, (count, *tile.shape)).astype(np.int16)
                folder = made.store / group / name
                write_tile(root[group][name], folder, tile, np.where(random.random(values.shape) < 0.1, layout.NODATA, values))
    (out / "cog").mkdir()
    made.written = cogs.write_cogs(made, made.tiles, {"title": "made up", "spread": "parameter"})
    return made


def test_a_file_for_each_flux_year_and_period_and_nothing_else(job):
    names = {f"{flux}{sd}_{group}_{year}.tif" for flux in ("NEE", "GPP", "RECO") for sd in ("", "_sd") for group in ("annual", "monthly")
             for year in (2017, 2018)}  # fmt: skip
    assert {path.name for path in job.written} == names == {path.name for path in (job.out / "cog").iterdir()}


@pytest.mark.parametrize(("name", "window"), [("NEE_monthly_2017", slice(0, 2)), ("GPP_sd_monthly_2018", slice(2, 14))])
def test_every_number_is_that_of_the_store(job, name, window):
    with rasterio.open(job.out / "cog" / f"{name}.tif") as file:
        raw = zarr.open_group(job.store, mode="r")["monthly"][name.rpartition("_monthly")[0]][window]
        expected = np.where(raw == layout.NODATA, np.nan, raw * np.float32(0.002)).astype(np.float32)
        np.testing.assert_array_equal(file.read(), expected)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.overviews(1) == [2, 4] and np.isfinite(expected).mean() < 0.2


@pytest.mark.parametrize(
    ("name", "units", "bands", "days"),
    [
        ("NEE_annual_2017", "g m-2", ["2017-11-01..2017-12-31 (61 days)"], "61"),
        ("NEE_annual_2018", "g m-2 year-1", ["2018"], "365"),
        ("GPP_sd_monthly_2017", "g m-2 day-1", ["2017-11", "2017-12"], "61"),
    ],
)
def test_a_file_says_of_which_days_it_is(job, name, units, bands, days):
    with rasterio.open(job.out / "cog" / f"{name}.tif") as file:
        tags = file.tags()
        assert set(file.units) == {units} == {tags["units"]} and list(file.descriptions) == bands and tags["days"] == days
        assert [file.tags(band)["period"][:7] for band in file.indexes] == [tags["time_coverage_start"][:7], *(b[:7] for b in bands[1:])]
        assert ("only 2017-11-01..2017-12-31 (61 days)" in tags["long_name"]) == (units == "g m-2")
        assert "positive to the atmosphere" in tags["sign"] and tags["spread"] == "parameter"


def test_arrays_that_hold_a_part_of_a_year_are_no_amounts_per_year(job, tmp_path):
    annual = zarr.open_group(job.store, mode="r")["annual"]
    assert (
        annual["GPP"].attrs["units"] == "g m-2" and "standard_name" not in annual["GPP"].attrs and annual["days"][:].tolist() == [61, 365]
    )
    whole = Calendar.of(DAYS, np.datetime64("2018-01-01"), np.datetime64("2018-12-31"))
    create_store(tmp_path / "whole.zarr", job.region, whole, {"spread": "parameter"}, arrays_of(job.keep, whole))
    gpp = zarr.open_group(tmp_path / "whole.zarr", mode="r")["annual"]["GPP"].attrs
    assert gpp["units"] == "g m-2 year-1" and gpp["standard_name"] == "gross_primary_productivity_of_biomass_expressed_as_carbon"


@pytest.mark.parametrize("name", ["RECO_annual_2018", "NEE_sd_monthly_2018"])
def test_a_checker_of_others_takes_them_for_cloud_optimised(job, name):
    rio_cogeo = pytest.importorskip("rio_cogeo", reason="rio-cogeo is not installed (extra `dev`)")
    valid, errors, warned = rio_cogeo.cog_validate(job.out / "cog" / f"{name}.tif", strict=True, quiet=True)
    assert valid and not errors and not warned


def test_overviews_of_means_are_means_and_of_sds_are_single_sds(job):
    for name in ("RECO", "RECO_sd"):
        path = job.out / "cog" / f"{name}_annual_2018.tif"
        with rasterio.open(path) as file, rasterio.open(path, overview_level=0) as half:
            full, small = file.read(1)[256:512, :256], half.read(1)[128:256, :128]
        squares = full.reshape(128, 2, 128, 2).transpose(0, 2, 1, 3).reshape(128, 128, 4)
        whole = np.isfinite(squares).all(-1)
        if name == "RECO":
            np.testing.assert_allclose(small[whole], squares[whole].mean(-1), rtol=1e-5, atol=1e-3)
        else:
            assert (small[whole][:, None] == squares[whole]).any(-1).all()


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("shape", [(700, 1024), (300, 400)])
def test_a_rough_copy_on_the_disk_gives_the_same_bytes_as_one_in_memory(tmp_path, monkeypatch, shape, linear):
    """With missing values, and a block of the file without any value."""
    grid, random = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, shape, 128), np.random.default_rng(0)
    months = [[np.datetime64(f"2018-0{month}{day}") for day in ("-01", "-28", "")] for month in (1, 2)]
    bands = [MapPeriod(*month) for month in months]
    parts = []
    for tile in (tile for tile in grid.tiles() if tile.x.start < shape[1] // 2):
        values = random.normal(size=(2, *tile.shape)).astype(np.float32)
        parts.append((tile.y, tile.x, np.where(random.random(values.shape) < 0.2, np.float32(np.nan), values)))
    found = []
    for most in (cogs.IN_MEMORY, -1):
        monkeypatch.setattr(cogs, "IN_MEMORY", most)
        cogs.write_cog(tmp_path / f"{most}.tif", grid, bands, {"long_name": "x", "units": "1"}, parts, linear)
        found.append((tmp_path / f"{most}.tif").read_bytes())
    assert found[0] == found[1]
    with rasterio.open(tmp_path / "1.tif") as file:
        assert np.isnan(file.read()[:, :, -shape[1] // 3 :]).all()


def test_what_fails_in_a_thread_is_told(job, monkeypatch):
    def fails(*about):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cogs, "_write_cog", fails)
    with pytest.raises(OSError, match="No space left"):
        cogs.write_cogs(job, job.tiles, {})


def test_a_file_that_may_pass_4_gib_can(tmp_path):
    """A classic TIFF cannot; the copy of a rough file is told so, though nearly nothing is in it."""
    grid = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (33_280, 33_280), 256)
    array = zarr.create_array(tmp_path / "map.zarr", shape=(1, *grid.shape), chunks=(1, 256, 256), dtype=np.int16, fill_value=layout.NODATA)
    array.attrs.update({name: "x" for name in ("units", "long_name", "comment", "cell_methods")} | {"scale_factor": 0.1})
    made = types.SimpleNamespace(region=types.SimpleNamespace(grid=grid), spread=Spread.parameter)
    year = MapPeriod(np.datetime64("2018-01-01"), np.datetime64("2018-12-31"), np.datetime64("2018", "Y"))
    content = cogs.File(ArraySpec("annual", "NEE", "x", "x", 6000.0), slice(0, 1), [year])
    cogs._write_cog(tmp_path / "NEE_annual_2018.tif", made, [], array, content, {"title": "made up"})
    assert (tmp_path / "NEE_annual_2018.tif").read_bytes()[:4] == b"II+\0"


def test_a_write_that_fails_unsaid_is_found(tmp_path, job):
    """Of a file whose last block does not reach the disk GDAL says nothing at all."""
    source = job.out / "cog" / "NEE_monthly_2018.tif"
    whole = tmp_path / "NEE.tif"
    with whole_geotiff(whole) as partial:
        rasterio.shutil.copy(source, partial, driver="COG", compress="ZSTD")
    before, size = resource.getrlimit(resource.RLIMIT_FSIZE), whole.stat().st_size
    for share in (0.999, 0.5):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), before[1]))
        try:
            with pytest.raises(OSError, match="File too large"), whole_geotiff(tmp_path / "cut.tif") as partial:
                rasterio.shutil.copy(source, partial, driver="COG", compress="ZSTD")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["NEE.tif"]


def test_memory_that_slurm_does_not_grant_is_named(tmp_path, job):
    """GDAL keeps to the limit of resident memory that SLURM sets to what a job has asked for."""
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_RSS, (1 << 20, 1 << 20))
import rasterio.shutil
from pathlib import Path
from hybridflux.region.outputs.geotiff import whole_geotiff
with whole_geotiff(Path("{tmp_path}/NEE.tif")) as partial:
    rasterio.shutil.copy("{job.out}/cog/NEE_monthly_2018.tif", partial, driver="COG", compress="ZSTD")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "GDAL may not take memory: this process is allowed 1048576 bytes (SLURM: give --mem)" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_cut_short_is_not_complete(tmp_path, job):
    source = job.out / "cog" / "NEE_annual_2018.tif"
    content = source.read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(content[:-100])
    assert is_complete(source) and not is_complete(cut)
