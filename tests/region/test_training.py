"""What a tile may lack, and that it stays there: missing drivers, weather without numbers, a broken chunk, unseen covariates."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import zarr

from hybridflux.inference.batch import plant_types_at_towers
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.products.budget import budget_table
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region, plan_map
from hybridflux.region.run.training_range import OUTSIDE_RANGE, WITHOUT_TOWER, outside
from hybridflux.region.store.checksums import accept
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

SETTINGS = dict(draws=3, period=Period("2018-06-01", "2018-06-30"))


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
    accept(region)
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

    masked = map_region(posterior, open_region(region_path).within("soil_capacity"), tmp_path / "masked", **SETTINGS)
    assert masked.masked[OUTSIDE_RANGE] == beyond.sum() > 0
    np.testing.assert_array_equal(annual(tmp_path / "masked"), np.where(beyond, -32768, whole))
    with pytest.raises(ValueError, match="ranges outside which pixels are left out: .* there, {} now"):
        map_region(posterior, region_path, tmp_path / "masked", **SETTINGS, resume=True)


@pytest.mark.parametrize(("name", "said"), [("elevation", "does not know the range of `elevation`"), ("tair", "changes from day to day")])
def test_masking_by_something_else_is_refused(tmp_path, region_path, make_posterior, name, said):
    posterior = with_ranges(make_posterior(), soil_capacity=[0, 1], tair=[0, 1])
    with pytest.raises(ValueError, match=said):
        map_region(posterior, open_region(region_path).within(name), tmp_path / "run", **SETTINGS)


def test_days_outside_count_by_their_share(region_path):
    region = open_region(region_path)
    tile = next(region.tiles())
    drivers = read_tile(region, tile, ["tair", "fapar"], region.window(region.days[0], region.days[-1]))
    share = (drivers.weather["tair"] > 15).mean(0)[drivers.cell].sum()
    fapar = (drivers.daily["fapar"] > 7000).mean(0)[drivers.pixel].sum()
    found = outside(drivers, {"tair": (-99.0, 15.0), "fapar": (0.0, 0.7)})
    assert 0 < found["tair"] < len(drivers.pixel) and found == pytest.approx({"tair": share, "fapar": fapar}, abs=1e-3)


def of_types(posterior, **towers):
    return dataclasses.replace(posterior, info=dict(posterior.info) | {"plant_types": towers})


def test_plant_types_without_a_tower_are_reported_everywhere(tmp_path, region_path, make_posterior, whole):
    posterior, run = of_types(make_posterior(), ENF=2, DBF=1), tmp_path / "run"
    kinds = open_region(region_path).group["plant_type"][:]
    expected = {code: int(((kinds == PLANT_TYPES.index(code)) & (whole != -32768)).sum()) for code in ("GRA", "CRO")}
    with pytest.warns(UserWarning, match=r"no tower of the posterior has plant type GRA \(.* %.*CRO .*--within plant_type"):
        report = map_region(posterior, region_path, run, **SETTINGS)
    assert report.without_tower == expected and f"CRO ({100 * expected['CRO'] / 466:.1f} % of the pixels)" in str(report)
    record = json.loads((run / "run.json").read_text())["plant_types"]
    assert record == {"at_towers": {"DBF": 1, "ENF": 2}, "without_tower": expected}
    np.testing.assert_array_equal(annual(run), whole)
    budget = budget_table(run).query("zone == 'region' and variable == 'GPP'").set_index("land_cover")
    unseen, area = budget["area_without_tower_ha"], budget["area_ha"]
    assert unseen[["ENF", "DBF"]].tolist() == [0, 0] and unseen["CRO"] == area["CRO"] and unseen["all"] == area["GRA"] + area["CRO"]
    shown = str(plan_map(posterior, region_path, **SETTINGS))
    assert "no tower of the posterior has plant type GRA" in shown


def test_plant_types_without_a_tower_are_masked_where_declared(tmp_path, region_path, make_posterior, whole):
    posterior = with_ranges(of_types(make_posterior(), ENF=2, DBF=1), soil_capacity=[60.0, 140.0])
    region = open_region(region_path).group
    unseen = ~np.isin(region["plant_type"][:], [PLANT_TYPES.index("ENF"), PLANT_TYPES.index("DBF")]) & (whole != -32768)
    beyond = ((region["soil_capacity"][:] < 60) | (region["soil_capacity"][:] > 140)) & (whole != -32768)
    report = map_region(posterior, open_region(region_path).within("plant_type", "soil_capacity"), tmp_path / "run", **SETTINGS)
    assert report.masked[WITHOUT_TOWER] == unseen.sum() and report.masked[OUTSIDE_RANGE] == (beyond & ~unseen).sum() > 0
    assert report.without_tower == {} and json.loads((tmp_path / "run" / "run.json").read_text())["spec"]["within"]["plant_type"] == [
        "DBF",
        "ENF",
    ]
    np.testing.assert_array_equal(annual(tmp_path / "run"), np.where(unseen | beyond, -32768, whole))
    with pytest.raises(ValueError, match="ranges outside which pixels are left out: .* there, .* now"):
        limited = open_region(region_path).within("plant_type", "soil_capacity")
        map_region(of_types(posterior, ENF=2), limited, tmp_path / "run", **SETTINGS, resume=True)


def test_a_region_of_which_nothing_was_seen(tmp_path, region_path, make_posterior):
    report = map_region(of_types(make_posterior(), SAV=1), open_region(region_path).within("plant_type"), tmp_path / "run", **SETTINGS)
    assert report.pixels == 0 and report.masked[WITHOUT_TOWER] == 466
    with pytest.raises(ValueError, match="nothing was mapped"):
        budget_table(tmp_path / "run")


def test_a_posterior_that_does_not_record_its_plant_types(tmp_path, region_path, make_posterior):
    report = map_region(make_posterior(), region_path, tmp_path / "all", **SETTINGS)
    assert report.without_tower is None and "the posterior does not record the plant types of its towers" in str(report)
    assert json.loads((tmp_path / "all" / "run.json").read_text())["plant_types"] == {"at_towers": None, "without_tower": None}
    assert budget_table(tmp_path / "all")["area_without_tower_ha"].isna().all()
    with pytest.raises(ValueError, match="does not record the plant types of its towers; fit it again"):
        map_region(make_posterior(), open_region(region_path).within("plant_type"), tmp_path / "run", **SETTINGS)


def test_a_tower_without_a_measured_day_has_taught_nothing():
    days, kinds = np.arange("2018-01-01", "2018-01-04", dtype="datetime64[D]"), [PLANT_TYPES.index(code) for code in ("ENF", "CRO", "ENF")]
    nee = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 2.0], [0.5, np.nan, np.nan]])
    sequences = Sequences(("a", "b", "c"), days, {"plant_type": np.array(kinds)}, {"nee": nee}, {})
    assert plant_types_at_towers(sequences) == {"ENF": 2}
