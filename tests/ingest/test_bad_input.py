"""What a user gets wrong: told before work is lost, with the value and the cure."""

import json
import os
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from hybridflux.ingest.build import build_region
from hybridflux.region.drivers.open import open_region
from hybridflux.terminal import is_for_user
from tests.ingest.test_static_maps import parcels

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def finished_build(place, make, tmp_path_factory):
    """Configuration, region, and the folder of its build."""
    folder = shutil.copytree(place, tmp_path_factory.mktemp("finished") / "place")
    config, out = make.configuration(folder), folder.parent / "r.zarr"
    build_region(config, out)
    return config, out, out.with_suffix(".build")


@pytest.fixture
def copy(place, tmp_path):
    """A place that a test may spoil."""
    return shutil.copytree(place, tmp_path / "place")


def test_no_clear_pixel_in_the_whole_period(copy, make, tmp_path):
    seen = len(np.arange(2, len(make.days), 5))
    make.cube(copy, make.days, SCL=np.full((seen, *make.size), 9, np.uint16))
    with pytest.raises(ValueError, match="4 clear views of ndvi.*loosen the mask"):
        build_region(make.configuration(copy), tmp_path / "r.zarr")
    assert len(list((tmp_path / "r.build" / "views").iterdir())) == seen  # what was read stays


def test_weather_that_ends_too_soon(copy, make, tmp_path):
    make.weather(copy, make.days[:-40])
    with pytest.raises(ValueError, match=r"2020-01-20|40 days"):
        build_region(make.configuration(copy), tmp_path / "r.zarr")
    assert not (tmp_path / "r.build" / "views").exists()  # told before the images are read


def test_weather_in_another_unit(copy, make, tmp_path):
    celsius = np.full((len(make.days), 2, 2), 10.0)
    make.weather(copy, make.days, temperature_mean=celsius, temperature_min=celsius - 3, temperature_max=celsius + 3)
    with pytest.raises(ValueError, match=r"tair|temperature"):
        build_region(make.configuration(copy), tmp_path / "r.zarr")


def test_a_truncated_image_is_named_and_the_rest_is_kept(copy, make, tmp_path):
    cube = next(copy.glob("S2_L2A*.nc"))
    cube.write_bytes(cube.read_bytes()[: cube.stat().st_size // 2])
    with pytest.raises((ValueError, OSError), match="S2_L2A_made_up.nc"):
        build_region(make.configuration(copy), tmp_path / "r.zarr")


def test_a_band_is_missing(copy, make, tmp_path):
    with pytest.raises(ValueError, match="B11"):
        build_region(make.configuration(copy, vegetation={"also": ["lswi"]}), tmp_path / "r.zarr")


def test_images_that_went_and_came_after_the_build_began(copy, make, tmp_path):
    config, out = make.configuration(copy), tmp_path / "r.zarr"
    with pytest.raises(RuntimeError, match="stop"):
        build_region(config, out, progress=stop_after(10))
    begun = json.loads((tmp_path / "r.build" / "scenes.json").read_text())["days"]
    make.cube(copy, make.days, every=10)
    with pytest.raises(ValueError, match=f"36 of the 73 scenes this build began with are missing now, first .*{begun[1]}"):
        build_region(config, out, resume=True)
    make.cube(copy, make.days, every=1)
    assert build_region(config, out, resume=True).scenes == 73  # those it began with, not the new ones


@pytest.mark.parametrize("times_kept", [False, True])
def test_a_scene_that_was_replaced_between_stop_and_resume_is_named(copy, make, tmp_path, times_kept):
    config, out, path = make.configuration(copy), tmp_path / "r.zarr", copy / "S2_L2A_made_up.nc"
    with pytest.raises(RuntimeError, match="stop"):
        build_region(config, out, progress=stop_after(10))
    before, begun = path.stat(), json.loads((tmp_path / "r.build" / "scenes.json").read_text())["days"]
    make.cube(copy, make.days, seed=1)
    assert path.stat().st_size == before.st_size
    if times_kept:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ValueError, match="scene .* of 2019-03-[0-9]+ was replaced after this build had read it: ndvi differs at [0-9]+ of"):
        build_region(config, out, resume=True)
    make.cube(copy, make.days)  # the same images, written again
    assert build_region(config, out, resume=True).scenes == len(begun)


def damaged(path, how, random):
    content = path.read_bytes()
    if how == "bit":
        place, bit = int(random.integers(len(content))), 1 << int(random.integers(7))
        content = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "bit": content, "list": b"[1]"}[how])


@pytest.mark.parametrize("name", ["build", "template", "scenes", "views/00003_b00_00", "prior_ndvi", "tiles/r000_c000"])
def test_a_damaged_record_of_a_build_is_one_line(tmp_path, name, finished_build):
    random, config = np.random.default_rng(0), finished_build[0]
    for how in ("cut", "empty", "list", "bit", "bit", "bit"):
        store, work = (shutil.copytree(path, tmp_path / path.name, dirs_exist_ok=True) for path in finished_build[1:])
        record = work / f"{name}.json"
        damaged(record, how, random)
        with pytest.raises(ValueError, match=record.name) as error:
            build_region(config, store, resume=True)
        assert is_for_user(error.value) and "\n" not in str(error.value) and ("anew" in str(error.value) or "remove it" in str(error.value))


def stop_after(count):
    """Progress that breaks off."""

    def progress(done, total, message):
        if done == count:
            raise RuntimeError("stop")

    return progress


def test_an_unfinished_region_is_not_mapped(copy, make, tmp_path):
    with pytest.raises(RuntimeError, match="stop"):
        build_region(make.configuration(copy), tmp_path / "r.zarr", progress=stop_after(10))
    with pytest.raises(ValueError, match="not complete.*--resume"):
        open_region(tmp_path / "r.zarr")


def test_unknown_datasets_are_all_named(make, tmp_path):
    config = make.configuration(tmp_path, weather={"dataset": "era6", "place": "x"}, terrain={"dataset": "dem", "place": "y"})
    with pytest.raises(ValueError, match="dem, era6"):
        build_region(config, tmp_path / "r.zarr")
    assert not list(tmp_path.iterdir())


def test_a_period_without_images(make, place, tmp_path):
    config = make.configuration(place, period={"start": "2021-06-01", "end": "2021-07-01", "lead": 0})
    with pytest.raises(ValueError, match="no scene of 2021-06-01 to 2021-07-01"):
        build_region(config, tmp_path / "r.zarr")


def test_a_land_cover_that_does_not_reach(copy, make, tmp_path):
    config = make.configuration(copy).model_dump()
    config["grid"] |= {"west": 510_000.0, "east": 510_400.0}
    with pytest.raises(ValueError, match="no scene|no value"):
        build_region(type(make.configuration(copy)).model_validate(config), tmp_path / "r.zarr")


def test_the_store_says_what_went_in(place, make, tmp_path):
    out = tmp_path / "r.zarr"
    bow = parcels(tmp_path, [(200, 20), (400, 360), (400, 20), (200, 360)])
    with pytest.warns(UserWarning, match="repaired: 1, of 0.00 ha before and 3.40 ha after"):
        build_region(make.configuration(place, zones=bow), out)
    attributes = zarr.open_group(out, mode="r").attrs
    assert attributes["config"]["id"] == "made-up" and attributes["state"] == "complete"
    assert attributes["scenes"][0]["origin"] and attributes["sources"]["weather"]
    assert any("2019" in credit for credit in attributes["attribution"])
    assert attributes["sources"]["land"]["zones"]["repaired"] == 1
    json.dumps(dict(attributes))


def write_soil(folder, days, level=0.25):
    """ERA5-Land soil water of four cells, every six hours of UTC."""
    hours = np.arange(days[0].astype("datetime64[h]") - 1, days[-1].astype("datetime64[h]") + 23, 6)
    values = np.full((len(hours), 2, 2), level, np.float32) + np.float32([[0, 0.05], [0.1, 0.15]])
    data = xr.Dataset({f"swvl{layer}": (("valid_time", "latitude", "longitude"), values, {"units": "m**3 m**-3"}) for layer in (1, 2, 3)})
    data = data.assign_coords(valid_time=hours.astype("datetime64[ns]"), latitude=[48.8, 48.7], longitude=[2.9, 3.0])
    folder.mkdir()
    data.to_netcdf(folder / "soil.nc", engine="h5netcdf")


def test_soil_water_of_a_reanalysis_becomes_a_driver(place, make, tmp_path):
    write_soil(tmp_path / "soil", make.days)
    source = {"dataset": "era5-land-soil", "place": str(tmp_path / "soil"), "driver": "root_zone"}
    build_region(make.configuration(place, moisture=[source]), tmp_path / "r.zarr")
    region = open_region(tmp_path / "r.zarr")
    swc = region.weather(("swc",), slice(0, len(region.days)))["swc"]
    north_west_first = {round(float(value), 3) for value in np.unique(swc.round(3))}
    assert north_west_first <= {0.25, 0.3, 0.35, 0.4} and swc.shape == region.group["tair"].shape
    assert "moisture/era5-land-soil" in region.group


@pytest.mark.parametrize(
    ("days", "driver", "said"),
    [(slice(None, -20), "root_zone", "lacks 20 days, first 2020-02-09"), (slice(None), "ssm", "has no `ssm`; it has root_zone")],
)
def test_soil_water_that_cannot_be_a_driver(place, make, tmp_path, days, driver, said):
    write_soil(tmp_path / "soil", make.days[days])
    source = {"dataset": "era5-land-soil", "place": str(tmp_path / "soil"), "driver": driver}
    with pytest.raises(ValueError, match=said):
        build_region(make.configuration(place, moisture=[source]), tmp_path / "r.zarr")
