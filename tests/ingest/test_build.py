"""A region built from files: right values, the same whatever the tiles, errors before work is lost."""

import os
import shutil
import time

import numpy as np
import pytest
import zarr
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery.stac import stac_scenes
from hybridflux.data.imagery.stac_search import expected
from hybridflux.ingest import build_trial
from hybridflux.ingest.build import build_region, lines_of, plan_region
from hybridflux.ingest.made_up import made_up_items
from hybridflux.ingest.region_report import check
from hybridflux.region.draws.vegetation_error import CalibrationLineError, VegetationError, sd_of
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.outputs import ArraySpec
from hybridflux.region.outputs.flux_store import create_store
from hybridflux.region.run.executors import Dask, Serial, Share, Slurm
from hybridflux.vocabulary import PLANT_TYPES
from tests.ingest.test_commands import write

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def built(place, make, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "region.zarr"
    report = build_region(make.configuration(place, vegetation={"also": ["kndvi"]}), out)
    return out, report


def arrays(path):
    """Everything that a store holds, by name."""
    group = zarr.open_group(path, mode="r")
    return {name: array[...] for name, array in group.arrays()}


def test_the_truth_is_found(built, make):
    path, report = built
    region = open_region(path)
    assert report.scenes == len(region.group.attrs["scenes"]) == 73
    true = make.truth(make.days)
    line = region.group.attrs["lines"]["all"]
    wanted = np.clip(line["offset"] + line["slope"] * true, 0, line["highest"])
    found, sd = unpacked(region.group["fapar"][:]), unpacked(region.group[sd_of("fapar")][:])
    error = (found - wanted)[region.warm_up :]
    assert np.sqrt((error**2).mean()) < 0.06
    crop_after = found[142:, :, 30]  # the harvest of day 140 is not smeared over weeks
    assert np.abs(crop_after - wanted[142:, :, 30]).mean() < 0.05
    inside = np.abs(error) < 1.645 * sd[region.warm_up :]
    assert inside.mean() > 0.8


def test_an_index_is_brought_to_the_instrument_of_the_towers(place, make, tmp_path):
    """`like` puts the line of E15 on the daily series and its dataset on the layer; an index without a line stays, and says nothing."""
    vegetation, out = {"also": ["nirv", "ndre"], "like": "modis-1km-points"}, tmp_path / "region.zarr"
    lines = lines_of(make.configuration(place, vegetation=vegetation), load_catalog())
    assert set(lines) == {"fapar", "nirv"}
    with pytest.raises(ValueError, match="`modis-1km-points` has no calibration line for the index `ndre`; it has ndvi, evi2, nirv, kndvi"):
        lines_of(make.configuration(place, vegetation={"also": ["ndre"], "like": "modis-1km-points"}), load_catalog())
    one = lines_of(make.configuration(place, vegetation={"also": ["nirv", "evi2"], "like": {"evi2": "modis-1km-points"}}), load_catalog())
    assert set(one) == {"fapar", "evi2"}, "an index that is not named stays"
    with pytest.raises(ValueError, match="`like` names kndvi, which `also` does not"):
        make.configuration(place, vegetation={"also": ["nirv"], "like": {"kndvi": "modis-1km-points"}})
    build_region(make.configuration(place, vegetation=vegetation | {"also": ["nirv"]}), out)
    region, line = open_region(out), lines["nirv"]["all"]
    assert region.group["nirv"].attrs["like"] == "modis-1km-points"
    assert region.group.attrs["lines_of_indices"]["nirv"]["all"]["slope"] == line.slope
    ndvi = make.truth(make.days)
    near = 0.05 * (1 + ndvi) / (1 - ndvi)  # red is 0.05 everywhere
    error = unpacked(region.group["nirv"][:]) - (line.offset + line.slope * ndvi * near)
    assert np.sqrt((error[region.warm_up :] ** 2).mean()) < 0.03 and np.abs(np.median(error)) < 0.005
    sd = unpacked(region.group["nirv_sd"][:])[region.warm_up :]
    assert sd.min() >= line.residual_sd - 1e-4, "what towers differ by from the line is part of it"
    assert (np.abs(error[region.warm_up :]) < 1.645 * sd).mean() > 0.9
    known = VegetationError.of(region.group["nirv_sd"].attrs)
    assert known.lines["all"] == CalibrationLineError(**line.relative())
    assert known.memory_days == region.group.attrs["smoother"]["nirv"]["region"]["fast_days"]


def test_land_and_weather_arrive(built):
    path, _ = built
    region = open_region(path)
    kinds = region.group["plant_type"][:]
    assert (kinds[5, 5], kinds[5, 30], kinds[0, 0]) == tuple(PLANT_TYPES.index(code) for code in ("GRA", "CRO", "WAT"))
    assert region.days[0] == np.datetime64("2019-03-01") and region.warm_up == 92 and region.time_zone == "UTC+01:00"
    assert region.group["soil_capacity"][0, 0] == 120
    tair, tmin = region.group["tair"][:], region.group["tmin"][:]
    np.testing.assert_allclose(tair - tmin, 5, atol=1e-4)
    np.testing.assert_allclose(region.group["tmax"][:] - tair, 5, atol=1e-4)


def test_foreign_days_are_told(built, tmp_path):
    """AgERA5 has days of its own: the build says so, the store and its maps carry it."""
    path, report = built
    region = open_region(path)
    said = region.group.attrs["weather_days"]
    assert "local time" in said and str(report).splitlines()[1].endswith(said)
    calendar = Calendar.of(region.days, region.days[region.warm_up], region.days[-1])
    an_array = ArraySpec("monthly", "NEE", "made up", "1", 60)
    create_store(tmp_path / "fluxes.zarr", region, calendar, {"spread": "parameter"}, {"monthly": [an_array]})
    assert zarr.open_group(tmp_path / "fluxes.zarr", mode="r")["monthly"].attrs["weather_days"] == said


def test_days_of_the_region_are_not_told(built, tmp_path):
    path = tmp_path / "region.zarr"
    shutil.copytree(built[0], path)
    del zarr.open_group(path, mode="r+").attrs["weather_days"]
    assert "the days of the weather differ" not in check(path).text


def test_check_says_what_there_is(built):
    text = check(built[0]).text
    differ = "the days of the weather differ from those of the region (UTC+01:00): days of local time as the product defines them"
    assert text.count(differ) == 1
    assert "tmax " in text and "tair_day" not in text, "what the source has and what it has not"
    for said in ("made-up", "GRA grassland", "CRO cropland", "kndvi", "73", "Contains modified Copernicus", "commit", "2019-06-01"):
        assert said in text


def test_tiles_do_not_matter(place, make, tmp_path, monkeypatch):
    """Two sizes of tiles, one no multiple of the squares in which pixels are sampled and filled: the same store to the last bit."""
    monkeypatch.setattr("hybridflux.ingest.smoother_fit.SQUARE", 16)
    monkeypatch.setattr("hybridflux.ingest.smoother_fit.SAMPLE", 40)  # a sample, not all pixels
    stores = []
    for tile in (20, 64):
        config = make.configuration(place, vegetation={"also": ["kndvi"]}).model_dump()
        config["grid"]["tile"] = tile
        stores.append(tmp_path / f"{tile}.zarr")
        build_region(type(make.configuration(place)).model_validate(config), stores[-1])
    one, other = (arrays(store) for store in stores)
    assert one.keys() == other.keys() and {"fapar", "fapar_sd", "kndvi", "kndvi_sd"} <= one.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)
    learned = [zarr.open_group(store, mode="r").attrs.asdict() for store in stores]
    assert learned[0]["smoother"] == learned[1]["smoother"] and learned[0]["views"] == learned[1]["views"]


@pytest.mark.parametrize("who", [(Share(0, 2), Share(1, 2), Share(0, 2), Share(1, 2), Serial()), (Dask(1),)], ids=["tasks", "dask"])
def test_whoever_builds_it_the_store_is_the_same(built, place, make, tmp_path, who):
    """Two tasks read their scenes, then fill their tiles, and a last call completes the store; a worker of dask does all of it."""
    out, config = tmp_path / "region.zarr", make.configuration(place, vegetation={"also": ["kndvi"]})
    notes = [build_region(config, out, resume=number > 0, executor=one).note for number, one in enumerate(who)]
    if len(who) > 1:
        assert "task 0 of 2: its scenes are read" in notes[0] and "its tiles are filled" in notes[1]
        assert len(list((tmp_path / "region.build" / "tiles").glob("*.json"))) == 9
    assert notes[-1] == ""
    whole, again = arrays(built[0]), arrays(out)
    assert whole.keys() == again.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_slurm_reads_then_fills_then_completes(place, make, tmp_path, monkeypatch):
    """Two arrays, each behind the one before it, and the last job; a stand-in for sbatch notes what it was given."""
    program = tmp_path / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {tmp_path}/log\nwc -l < {tmp_path}/log\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    config, out = write(tmp_path / "made-up.toml", make.configuration(place)), tmp_path / "region.zarr"
    report = build_region(config, out, executor=Slurm(2, "--mem=4G"))
    assert "73 scenes and 9 tiles are left; submitted 2 tasks as SLURM job 1, 2 tasks as SLURM job 2, and job 3" in report.note
    submitted = (tmp_path / "log").read_text().splitlines()
    assert ["--dependency" in line for line in submitted] == [False, True, True] and "afterok:2" in submitted[2]
    script = (tmp_path / "region.build" / "slurm" / "tasks2.sh").read_text()
    command = f"region build {config} --out {out} --resume --seed 0 --task $SLURM_ARRAY_TASK_ID --tasks 2"
    assert "#SBATCH --array=0,1" in script and command in script
    with pytest.raises(ValueError, match="as a file or an id"):
        build_region(make.configuration(place), out, resume=True, executor=Slurm(2))


def test_a_finished_build_is_not_done_again(built, place, make):
    began = time.perf_counter()
    build_region(make.configuration(place, vegetation={"also": ["kndvi"]}), built[0], resume=True)
    assert time.perf_counter() - began < 5
    with pytest.raises(FileExistsError, match="--resume"):
        build_region(make.configuration(place), built[0])


def test_another_configuration_is_refused_with_the_difference(built, place, make):
    with pytest.raises(ValueError, match="capacity"):
        build_region(make.configuration(place, vegetation={"also": ["kndvi"]}, soil={"capacity": 90}), built[0], resume=True)


def test_plan_of_local_files(place, make, tmp_path):
    plan = plan_region(make.configuration(place), tmp_path / "r.zarr")
    text = str(plan)
    assert "73 scenes" in text and plan.bytes == 0 and not (tmp_path / "r.zarr").exists()
    assert plan.compute is None and "time" not in text, "nothing was tried"


def test_images_of_a_service_are_made_up_for_the_trial(place, make, tmp_path):
    """They are read as those of the service would be, whatever its bands and mask."""
    config, catalog = make.configuration(place), load_catalog()
    for name, bands in (("sentinel-2-l2a", ("B04", "B08")), ("hls-s30", ("B04", "B8A"))):
        (tmp_path / name).mkdir()
        path = made_up_items(tmp_path / name, config, catalog[name], bands, 3)
        scenes = stac_scenes(catalog[name], str(path), config.region_grid.geobox, *config.period.days[[0, -1]])
        read = scenes[1].read(config.region_grid.geobox, bands)
        red, near = (values[2:-2, 2:-2] for values in read.values())  # a turned grid sees beyond the edge of the files
        assert len(scenes) == 3 and abs(np.median((near - red) / (near + red)) - 0.76) < 0.05


def test_files_are_sent_by_blocks(place, make):
    """A window takes 1024 pixels more of each file along each side than it has, so that a small one takes much more than it has."""
    geobox, dataset = make.configuration(place).region_grid.geobox, load_catalog()["sentinel-2-l2a"]
    days, bands = np.array(["2019-01-01", "2019-01-04"], "datetime64[D]"), ("B04", "B08")

    def size(rows, columns, side=0):
        return expected(dataset, "earth-search", GeoBox((rows, columns), geobox.affine, geobox.crs), *days, bands, side)

    one, of_mask = ((1 + 2048 * scale / 1024) ** 2 for scale in (1.0, 0.5))
    assert size(2048, 2048).bytes == pytest.approx(1.2 * (2 * 2 * one + of_mask) * 1024**2 * 0.6)
    assert size(4096, 2048, side=2048).bytes == pytest.approx(2 * size(2048, 2048).bytes) and size(4096, 2048).bytes < 6e7
    assert size(10, 10).bytes > 1e6 and size(4096, 2048, side=2048).requests > size(2048, 2048).requests > 3 * 4


def test_the_plan_is_tried_on_this_machine(place, make, tmp_path, monkeypatch):
    """Scenes and land cover are read and made-up series filled in a folder that is thrown away; each part costs something."""
    for name, few in (("SAMPLE", 100), ("SIDE", 16)):  # pixels, so that it takes less
        monkeypatch.setattr(build_trial, name, few)
    plan = plan_region(make.configuration(place, vegetation={"also": ["kndvi"]}), tmp_path / "r.zarr", trial=True)
    found = plan.compute
    assert min(found.land, found.scene, found.learning, found.pixel_day) > 0
    assert plan.seconds == pytest.approx(found.begin + found.land + 73 * found.scene + found.learning + 36 * 40 * 365 * found.pixel_day)
    assert "on this machine as busy as it is now" in str(plan) and not list(tmp_path.iterdir())
    assert found.seconds(1e9, 73) > found.seconds(1e6, 73)
