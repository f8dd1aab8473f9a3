"""A region built from files: right values, resumable after a kill, the same whatever the tiles, errors before work is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import zarr

from hybridflux.ingest.build import build_region, plan_region
from hybridflux.ingest.check import check_text
from hybridflux.region.calendar import Calendar
from hybridflux.region.outputs import create_store
from hybridflux.region.store import open_region, unpacked
from hybridflux.region.vegetation import SD, VegetationError
from hybridflux.series import Prior
from hybridflux.vocabulary import PLANT_TYPES


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
    found, sd = unpacked(region.group["fapar"][:]), unpacked(region.group[SD][:])
    error = (found - wanted)[region.lead :]
    assert np.sqrt((error**2).mean()) < 0.06
    crop_after = found[142:, :, 30]  # the harvest of day 140 is not smeared over weeks
    assert np.abs(crop_after - wanted[142:, :, 30]).mean() < 0.05
    inside = np.abs(error) < 1.645 * sd[region.lead :]
    assert inside.mean() > 0.8


def test_land_and_weather_arrive(built):
    path, _ = built
    region = open_region(path)
    kinds = region.group["plant_type"][:]
    assert (kinds[5, 5], kinds[5, 30], kinds[0, 0]) == tuple(PLANT_TYPES.index(code) for code in ("GRA", "CRO", "WAT"))
    assert region.days[0] == np.datetime64("2019-03-01") and region.lead == 92 and region.time_zone == "UTC+01:00"
    assert region.group["soil_capacity"][0, 0] == 120
    tair, tmin = region.group["tair"][:], region.group["tmin"][:]
    np.testing.assert_allclose(tair - tmin, 5, atol=1e-4)
    np.testing.assert_allclose(region.group["tmax"][:] - tair, 5, atol=1e-4)
    assert VegetationError.of(region.group[SD].attrs).memory_days > 0


def test_foreign_days_are_told(built, tmp_path):
    """AgERA5 has days of its own: the build says so, the store and its maps carry it."""
    path, report = built
    region = open_region(path)
    said = region.group.attrs["weather_days"]
    assert "local time" in said and str(report).splitlines()[1].endswith(said)
    calendar = Calendar.of(region.days, region.days[region.lead], region.days[-1])
    create_store(tmp_path / "fluxes.zarr", region, calendar, {"spread": "parameter"}, levels={"monthly": (0.5,)})
    assert zarr.open_group(tmp_path / "fluxes.zarr", mode="r")["monthly"].attrs["weather_days"] == said


def test_days_of_the_region_are_not_told(built, tmp_path):
    path = tmp_path / "region.zarr"
    shutil.copytree(built[0], path)
    del zarr.open_group(path, mode="r+").attrs["weather_days"]
    assert "other days" not in check_text(path)


def test_check_says_what_there_is(built):
    text = check_text(built[0])
    assert text.count("the weather is of other days than the region (UTC+01:00): days of local time as the product defines them") == 1
    assert "tmax " in text and "tair_day" not in text, "what the source has and what it has not"
    for said in ("made-up", "GRA grassland", "CRO cropland", "kndvi", "73", "Contains modified Copernicus", "commit", "2019-06-01"):
        assert said in text


@pytest.mark.parametrize("tile", [20, 64])
def test_tiles_do_not_matter(built, place, make, tmp_path, tile):
    config = make.configuration(place, vegetation={"also": ["kndvi"]}).model_dump()
    config["grid"]["tile"] = tile
    priors = {name: json.loads((built[0].with_suffix(".build") / f"prior_{name}.json").read_text()) for name in ("ndvi", "kndvi")}
    out = tmp_path / "region.zarr"
    work = out.with_suffix(".build")
    build_with_priors(type(make.configuration(place)).model_validate(config), out, work, priors)
    for name in ("fapar", SD, "kndvi"):
        difference = arrays(out)[name].astype(int) - arrays(built[0])[name].astype(int)
        assert np.abs(difference).max() <= 1  # the last digit of 1e-4


def build_with_priors(config, out, work, priors):
    """Build with given numbers of the smoother, which are learned from a sample of pixels that depends on the tiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybridflux.ingest.build.learn_priors", lambda *_: _priors(priors))
        build_region(config, out)


def _priors(records):
    return {name: {kind: Prior(**numbers) for kind, numbers in record.items()} for name, record in records.items()}


RUN = """
    import sys
    from hybridflux.ingest.build import build_region
    from hybridflux.ingest.config import RegionConfig
    config = RegionConfig.model_validate_json(open(sys.argv[1]).read())
    build_region(config, sys.argv[2], resume=len(sys.argv) > 3, progress=lambda done, total, message: print(done, message, flush=True))
"""


def test_killed_and_resumed_is_the_same(built, place, make, tmp_path):
    """SIGKILL three times: among the images, after them, among the tiles."""
    config = tmp_path / "config.json"
    config.write_text(make.configuration(place, vegetation={"also": ["kndvi"]}).model_dump_json())
    out, script = tmp_path / "region.zarr", tmp_path / "run.py"
    script.write_text(textwrap.dedent(RUN))
    more = []
    for until in ("20 ", "73 ", "2 tile"):
        run = subprocess.Popen([sys.executable, script, config, out, *more], stdout=subprocess.PIPE, text=True)
        for line in run.stdout:
            if line.startswith(until.split()[0] + " ") and ("tile" in line) == ("tile" in until):
                break
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
        with pytest.raises(ValueError, match="--resume"):
            open_region(out)
        more = ["resume"]
    report = build_region(make.configuration(place, vegetation={"also": ["kndvi"]}), out, resume=True)
    assert report.scenes == 73
    whole, again = arrays(built[0]), arrays(out)
    assert whole.keys() == again.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


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
