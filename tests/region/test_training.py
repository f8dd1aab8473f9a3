"""What a tile may lack, and that it stays there: missing drivers, weather without numbers, a broken chunk, unseen covariates."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import zarr

from hybridflux.model.tree import learned, with_learned
from hybridflux.region.run import map_region
from hybridflux.region.store import open_region
from hybridflux.region.training import OUTSIDE_RANGE, outside

SETTINGS = dict(draws=3, start="2018-06-01", end="2018-06-30")


def annual(out):
    return zarr.open_group(out / "fluxes.zarr", mode="r")["annual"]["NEE"][0]


def with_ranges(posterior, **ranges):
    return dataclasses.replace(posterior, info=dict(posterior.info) | {"ranges": ranges})


@pytest.fixture(scope="module")
def whole(region_path, make_posterior, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    map_region(make_posterior(), region_path, out, **SETTINGS)
    return annual(out)


@pytest.fixture
def region(region_path, tmp_path):
    return shutil.copytree(region_path, tmp_path / "r.zarr")


def test_weather_without_numbers_masks_its_cell(tmp_path, region, make_posterior, whole):
    group = zarr.open_group(region, mode="r+")
    group["vpd"][400, 1] = np.nan
    report = map_region(make_posterior(), region, tmp_path / "run", **SETTINGS)
    found, in_cell = annual(tmp_path / "run"), group["cell"][:] == 1
    assert report.masked["no weather"] == (in_cell & (whole != -32768)).sum() > 0
    assert (found[in_cell] == -32768).all()
    np.testing.assert_array_equal(found[~in_cell], whole[~in_cell])


def test_a_broken_chunk_refuses_its_tile_and_no_other(tmp_path, region, make_posterior, whole):
    chunk = region / "fapar" / "c" / "0" / "1" / "0"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:16] + bytes(len(good) - 16))  # as long as it should be, so that only reading it tells
    run = tmp_path / "run"
    with pytest.raises(
        ValueError, match=r"1 tiles cannot be mapped; 5 of 6 tiles are done.*neither totals(?s:.*)`fapar` of tile r001_c000"
    ):
        map_region(make_posterior(), region, run, **SETTINGS)
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "incomplete" and list(record["refused"]) == ["r001_c000"]
    assert not (run / "totals.nc").exists() and not (run / "tiles" / "r001_c000.json").exists()
    tile = open_region(region).grid.tile_of("r001_c000")
    others = np.ones(whole.shape, bool)
    others[tile.y, tile.x] = False
    np.testing.assert_array_equal(annual(run)[others], whole[others])
    assert (annual(run)[~others] == -32768).all()
    chunk.write_bytes(good)
    report = map_region(make_posterior(), region, run, **SETTINGS, resume=True)
    assert report.skipped == 5 and "refused" not in json.loads((run / "run.json").read_text())
    np.testing.assert_array_equal(annual(run), whole)


def test_fluxes_that_are_no_numbers_are_refused(tmp_path, region, make_posterior):
    posterior = make_posterior()
    broken = {name: values * np.nan if "respiration_ref" in name else values for name, values in learned(posterior.model).items()}
    with pytest.raises(ValueError, match="fluxes of tile .* are not all numbers"):
        map_region(dataclasses.replace(posterior, model=with_learned(posterior.model, broken)), region, tmp_path / "run", **SETTINGS)


def test_outside_the_towers_is_counted_and_masked_only_where_declared(tmp_path, region_path, make_posterior, whole):
    soil = open_region(region_path).group["soil_capacity"][:]
    posterior = with_ranges(make_posterior(), soil_capacity=[60.0, 140.0], tair=[-50.0, 50.0])
    counted = map_region(posterior, region_path, tmp_path / "counted", **SETTINGS)
    beyond = ((soil < 60) | (soil > 140)) & (whole != -32768)
    assert counted.outside == {"soil_capacity": beyond.sum(), "tair": 0} and "outside the range of the towers: soil_capacity" in str(
        counted
    )
    assert json.loads((tmp_path / "counted" / "run.json").read_text())["outside"]["soil_capacity"] == beyond.sum()
    np.testing.assert_array_equal(annual(tmp_path / "counted"), whole)

    masked = map_region(posterior, region_path, tmp_path / "masked", **SETTINGS, within=("soil_capacity",))
    assert masked.masked[OUTSIDE_RANGE] == beyond.sum() > 0
    np.testing.assert_array_equal(annual(tmp_path / "masked"), np.where(beyond, -32768, whole))
    with pytest.raises(ValueError, match="within: .* there, {} now"):
        map_region(posterior, region_path, tmp_path / "masked", **SETTINGS, resume=True)


@pytest.mark.parametrize(("name", "said"), [("elevation", "does not know the range of `elevation`"), ("tair", "changes from day to day")])
def test_masking_by_something_else_is_refused(tmp_path, region_path, make_posterior, name, said):
    posterior = with_ranges(make_posterior(), soil_capacity=[0, 1], tair=[0, 1])
    with pytest.raises(ValueError, match=said):
        map_region(posterior, region_path, tmp_path / "run", **SETTINGS, within=(name,))


def test_days_outside_count_by_their_share(region_path):
    region = open_region(region_path)
    tile = next(region.tiles())
    drivers = region.read(tile, ["tair", "fapar"], region.window(region.days[0], region.days[-1]))
    share = (drivers.weather["tair"] > 15).mean(0)[drivers.cell].sum()
    fapar = (drivers.daily["fapar"] > 7000).mean(0)[drivers.pixel].sum()
    found = outside(drivers, {"tair": (-99.0, 15.0), "fapar": (0.0, 0.7)})
    assert 0 < found["tair"] < len(drivers.pixel) and found == pytest.approx({"tair": share, "fapar": fapar}, abs=1e-3)
