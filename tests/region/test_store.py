import shutil
import tracemalloc
from functools import partial

import numpy as np
import pytest
import zarr

from hybridflux.data.gaps import trailing_mean
from hybridflux.region import layout
from hybridflux.region.change import Change, read_changes
from hybridflux.region.create import create_region
from hybridflux.region.grid import Grid
from hybridflux.region.job import region_fingerprint
from hybridflux.region.store import EXTREMES, _extremes, open_region, unpacked
from hybridflux.region.worklist import Worklist
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

NAMES = ("tair", "tair_30d", "fapar", "fapar_30d", "plant_type", "soil_capacity", "latitude", "fapar_top")


def whole(region):
    return region.window(region.days[0], region.days[-1])


def test_opens(region_path):
    region = open_region(region_path)
    assert region.grid.shape == (24, 20) and len(region.grid) == 6
    assert region.zone_names == {1: "north", 2: "south"} and region.time_zone == "UTC+01:00"
    assert region.grid.crs == "EPSG:2154" and len(region.days) == 730


def test_read_a_tile(region_path):
    region = open_region(region_path)
    tile = list(region.tiles())[0]
    window = region.window(np.datetime64("2018-01-01"), np.datetime64("2018-12-31"))
    drivers = region.read(tile, NAMES, window)
    fapar = region.group["fapar"][:, tile.y, tile.x].reshape(730, -1)[:, drivers.pixel] * 1e-4
    found = {name: unpacked(values)[:, drivers.pixel] for name, values in drivers.daily.items()}
    np.testing.assert_allclose(found["fapar"], fapar[365:], rtol=1e-6)
    np.testing.assert_allclose(found["fapar_30d"], trailing_mean(fapar, 30)[365:], rtol=1e-5)
    np.testing.assert_allclose(drivers.weather["tair_30d"], trailing_mean(region.group["tair"][:], 30)[365:], rtol=1e-6)
    assert found["fapar"].dtype == np.float32 and drivers.weather["tair"].shape == (365, 2)
    np.testing.assert_allclose(drivers.lasting["fapar_top"], np.quantile(fapar, 0.95, axis=0), atol=1e-4)
    assert 48.5 < drivers.lasting["latitude"].mean() < 49 and drivers.area.sum() == pytest.approx(100 * len(drivers.pixel), rel=0.003)


def test_masked_pixels_are_counted_and_stay_alone(region_path, tmp_path):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    group = zarr.open_group(path, mode="r+")
    group["fapar"][400, 5, 6] = -32768  # one missing day
    group["soil_capacity"][7, 7] = np.nan
    tair = group["tair"][:]
    tair[500, 1] = np.nan  # all pixels of cell 1
    group["tair"][:] = tair
    region = open_region(path)
    left = region.read(region.grid.tile_of("r000_c000"), NAMES, whole(region))
    assert left.masked == {"outside": 0, "no vegetation": 6, "no weather": 0, "no covariate": 1, "no vegetation series": 1}
    assert len(left.pixel) == 92 and 56 not in left.pixel and 57 in left.pixel
    assert np.isfinite(left.daily["fapar_30d"][:, left.pixel]).all()
    right = region.read(region.grid.tile_of("r000_c001"), NAMES, whole(region))
    assert right.masked["no weather"] == 100 and len(right.pixel) == 0


def test_changes(region_path):
    region = open_region(region_path)
    changed = region.with_changes(read_changes({"rain": "*0.6", "tair": "+2@2018-06-01:", "fapar": "*0.5"}))
    before, after = (one.weather(("rain", "tair", "tmin", "vpd", "tair_30d"), whole(region)) for one in (region, changed))
    np.testing.assert_allclose(after["rain"], before["rain"] * 0.6, rtol=1e-6)
    june = region.days >= np.datetime64("2018-06-01")
    for name in ("tair", "tmin"):
        np.testing.assert_allclose(after[name][june], before[name][june] + 2, rtol=1e-5)
        np.testing.assert_array_equal(after[name][~june], before[name][~june])
    np.testing.assert_array_equal(after["vpd"], before["vpd"])
    np.testing.assert_allclose(after["tair_30d"][-1], before["tair_30d"][-1] + 2, rtol=1e-5)
    tile = next(region.tiles())
    a, b = (one.read(tile, ("fapar",), whole(region)) for one in (region, changed))
    a, b = (unpacked(one.daily["fapar"])[:, one.pixel] for one in (a, b))
    np.testing.assert_allclose(b, a * 0.5, rtol=1e-6)


def test_climatology_needs_years(region_path):
    region = open_region(region_path).with_changes([Change.parse("vpd", "climatology")])
    with pytest.raises(ValueError, match="has 2.0 years of weather and a climatology takes 3"):
        region.weather(("vpd",), whole(region))


@pytest.mark.parametrize(("name", "text"), [("rain", "0.6*"), ("rain", "*x"), ("tair", "*2"), ("rian", "*2"), ("rain", "*0.5@May")])
def test_wrong_changes(name, text):
    with pytest.raises(ValueError, match=name):
        Change.parse(name, text)


def spoil(group, path, what):
    if what == "crs":
        del group["spatial_ref"]
    elif what == "weather":
        del group["vpd"], group["co2"]
    elif what == "twice":
        days = group["time"][:]
        days[5] = days[4]
        group["time"][:] = days
    elif what == "code":
        group["plant_type"][0, 0] = 99
    elif what == "cell":
        group["cell"][3, 3] = 7
    elif what == "shape":
        del group["soil_capacity"]
        group.create_array("soil_capacity", shape=(3, 3), dtype="f4")
    elif what == "unit":
        group["tair"][:] = group["tair"][:] + 273
    elif what == "chunk":
        file = path / "fapar" / "c" / "0" / "1" / "0"
        file.write_bytes(file.read_bytes()[:-50])
    elif what == "gone":
        (path / "fapar" / "c" / "0" / "2" / "1").unlink()
    elif what == "rechunked":
        values = group["fapar"][:]
        del group["fapar"]
        group.create_array("fapar", shape=values.shape, dtype=values.dtype, chunks=(100, 10, 10), dimension_names=("time", "y", "x"))[:] = (
            values
        )


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("crs", "no coordinate system"),
        ("weather", "weather is missing: vpd, co2"),
        ("twice", "the day 2017-01-05 is there twice"),
        ("code", "unknown code 99"),
        ("cell", "`cell` holds 7"),
        ("shape", r"`soil_capacity` has shape \(3, 3\)"),
        ("unit", "check the unit"),
        ("chunk", r"r001_c000 \(cut short\)"),
        ("gone", r"r002_c001 \(missing\)"),
        ("rechunked", "a chunk must hold a tile for all days"),
    ],
)
def test_refused(region_path, tmp_path, what, message):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    spoil(zarr.open_group(path, mode="r+"), path, what)
    with pytest.raises(ValueError, match=message):
        open_region(path)


def test_all_faults_at_once(region_path, tmp_path):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    for what in ("code", "cell", "twice"):
        spoil(zarr.open_group(path, mode="r+"), path, what)
    with pytest.raises(ValueError) as error:
        open_region(path)
    assert str(error.value).count("\n- ") == 4  # the day that was overwritten leaves a hole


def test_read_by_xarray(region_path):
    import xarray as xr

    data = xr.open_zarr(region_path)
    assert data["fapar"].dtype.kind == "f" and 0 <= float(data["fapar"][0].min()) <= 1
    assert data["time"].values[0] == np.datetime64("2017-01-01") and PLANT_TYPES[int(data["plant_type"][5, 5])]


def test_maps_given_tile_by_tile_make_the_same_store(region_path, make_region, tmp_path):
    given = {name: zarr.open_group(region_path, mode="r")[name][:] for name in ("plant_type", "soil_capacity", "cell", "zone")}
    asked = []

    def part(name, tile):
        asked.append((name, tile.id))
        return given[name][tile.y, tile.x]

    path = make_region(tmp_path / "r.zarr", **{name: partial(part, name) for name in given}).path
    assert len(asked) == len(set(asked)) == 4 * 6
    one, other = (zarr.open_group(store, mode="r") for store in (region_path, path))
    for name, array in one.arrays():
        assert other[name].metadata.to_dict() == array.metadata.to_dict()
        np.testing.assert_array_equal(other[name][...], array[...])
    with pytest.raises(ValueError, match=r"`zone of tile r000_c000` has shape \(3,\); \[y, x\] is \(10, 10\)"):
        make_region(tmp_path / "s.zarr", zone=lambda tile: np.zeros(3))


def test_a_large_region_is_created_and_opened_without_its_maps_in_memory(make_region, tmp_path):
    size, tile = (4096, 4096), 256

    def kinds(one):
        return np.full(one.shape, 3 if one.id == "r004_c007" else 255)

    def number(one):
        return one.y.start + np.zeros(one.shape, np.int32)

    days = np.arange(np.datetime64("2018-01-01"), np.datetime64("2018-01-04"))
    weather = {name: np.full((3, 1), VARIABLES[name].centre, np.float32) for name in layout.WEATHER}
    tracemalloc.start()
    writer = create_region(
        tmp_path / "r.zarr", Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, size, tile), days, weather=weather, plant_type=kinds,
        soil_capacity=lambda one: np.full(one.shape, 120.0), zone=number, lead=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"cannot be read in 1 of 256 tiles: r004_c007 \(missing\)"):
        open_region(writer.path)
    writer.write(writer.grid.tile_of("r004_c007"), np.full((3, tile, tile), 0.5, np.float32))
    region = open_region(writer.path)
    work = Worklist.of(region)
    region_fingerprint(region)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.id for one in work.tiles] == ["r004_c007"] and work.masked["outside"] == 4096**2 - tile**2
    assert peak < 4 * size[0] * size[1] / 2  # half a map of float32


def test_extremes_of_a_pixel_are_the_quantiles_of_its_days():
    series = np.random.default_rng(0).integers(0, 10_000, (731, 5000)).astype(np.int16)
    series[3:40, 7] = layout.NODATA
    found = _extremes(series)
    known = np.where(series == layout.NODATA, 0, series)
    for name, share in EXTREMES.items():
        np.testing.assert_allclose(found[name], np.quantile(known, share, axis=0) * layout.SCALE, rtol=1e-6)
