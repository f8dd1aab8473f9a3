import json
import shutil
import tracemalloc
from functools import partial

import numpy as np
import pytest
import zarr

from hybridflux.data.gaps import trailing_mean
from hybridflux.region.drivers.open import EXTREMES, open_region, unpacked
from hybridflux.region.drivers.read import _extremes, read_tile
from hybridflux.region.drivers.tiles_to_map import TilesToMap
from hybridflux.region.spec import region_fingerprint
from hybridflux.region.store import layout
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

pytestmark = pytest.mark.long

NAMES = ("tair", "tair_30d", "fapar", "fapar_30d", "plant_type", "soil_capacity", "latitude", "fapar_top")


def whole(region):
    return region.window(region.days[0], region.days[-1])


def test_opens(region_path):
    region = open_region(region_path)
    assert region.grid.shape == (24, 20) and len(region.grid) == 6
    assert region.zone_names == {1: "north", 2: "south"} and region.time_zone == "UTC+01:00"
    assert region.grid.crs == "EPSG:2154" and len(region.days) == 730


def test_the_day_of_a_store_follows_its_longitude(make_region, tmp_path):
    region = open_region(make_region(tmp_path / "far.zarr", crs="EPSG:32756", utc_offset=None).path)
    assert region.time_zone == "UTC+10:00"  # 155 degrees east


def test_read_a_tile(region_path):
    region = open_region(region_path)
    tile = list(region.tiles())[0]
    window = region.window(np.datetime64("2018-01-01"), np.datetime64("2018-12-31"))
    drivers = read_tile(region, tile, NAMES, window)
    fapar = region.group["fapar"][:, tile.y, tile.x].reshape(730, -1)[:, drivers.pixel] * 1e-4
    found = {name: unpacked(values)[:, drivers.pixel] for name, values in drivers.daily.items()}
    np.testing.assert_allclose(found["fapar"], fapar[365:], rtol=1e-6)
    np.testing.assert_allclose(found["fapar_30d"], trailing_mean(fapar, 30)[365:], rtol=1e-5)
    np.testing.assert_allclose(drivers.weather["tair_30d"], trailing_mean(region.group["tair"][:], 30)[365:], rtol=1e-6)
    assert found["fapar"].dtype == np.float32 and drivers.weather["tair"].shape == (365, 2)
    np.testing.assert_allclose(drivers.static["fapar_top"], np.quantile(fapar, 0.95, axis=0), atol=1e-4)
    assert 48.5 < drivers.static["latitude"].mean() < 49 and drivers.area.sum() == pytest.approx(100 * len(drivers.pixel), rel=0.003)


def test_masked_pixels_are_counted_and_stay_alone(region_path, tmp_path):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    group = zarr.open_group(path, mode="r+")
    group["fapar"][400, 5, 6] = -32768  # one missing day
    group["soil_capacity"][7, 7] = np.nan
    tair = group["tair"][:]
    tair[500, 1] = np.nan  # all pixels of cell 1
    group["tair"][:] = tair
    region = open_region(path)
    left = read_tile(region, region.grid.tile_of("r000_c000"), NAMES, whole(region))
    assert left.masked == {"outside": 0, "no vegetation": 6, "no weather": 0, "no covariate": 1, "no vegetation series": 1}
    assert len(left.pixel) == 92 and 56 not in left.pixel and 57 in left.pixel
    assert np.isfinite(left.daily["fapar_30d"][:, left.pixel]).all()
    right = read_tile(region, region.grid.tile_of("r000_c001"), NAMES, whole(region))
    assert right.masked["no weather"] == 100 and len(right.pixel) == 0


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
        tmp_path / "r.zarr", Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, size, tile),
        RegionMaps(kinds, lambda one: np.full(one.shape, 120.0), zone=number), RegionWeather(days, weather),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"cannot be read in 1 of 256 tiles: r004_c007 \(missing\)"):
        open_region(writer.path)
    writer.write(writer.grid.tile_of("r004_c007"), np.full((3, tile, tile), 0.5, np.float32))
    region = open_region(writer.path)
    work = TilesToMap.of(region)
    region_fingerprint(region)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.id for one in work.tiles] == ["r004_c007"] and work.masked["outside"] == 4096**2 - tile**2
    assert peak < 4 * size[0] * size[1] / 2  # half a map of float32


def test_extremes_of_a_pixel_are_the_quantiles_of_its_days():
    series = np.random.default_rng(0).integers(0, 10_000, (731, 5000)).astype(np.int16)
    series[3:40, 7], series[:, 4500], series[1:, 4600] = layout.NODATA, layout.NODATA, layout.NODATA
    found = _extremes("nirv", series)
    known = np.where(series == layout.NODATA, np.nan, series)[:, np.arange(5000) != 4500]
    assert set(found) == {"nirv_top", "nirv_base"}
    for name, share in ((name, EXTREMES[name][1]) for name in found):
        assert np.isnan(found[name][4500]), "no known day"
        np.testing.assert_allclose(np.delete(found[name], 4500), np.nanquantile(known, share, axis=0) * layout.SCALE, rtol=1e-6)


def test_days_without_vegetation_before_the_mapped_ones_say_nothing_of_its_range(region_path, tmp_path):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    group = zarr.open_group(path, mode="r+")
    group["fapar"][:90] = layout.NODATA
    group["fapar"][:, 5, 6] = layout.NODATA
    region, late = open_region(path), open_region(region_path).window(np.datetime64("2018-01-01"), np.datetime64("2018-12-31"))
    tile = region.grid.tile_of("r000_c000")
    drivers = read_tile(region, tile, ("fapar", "fapar_base"), late)
    fapar = group["fapar"][90:, tile.y, tile.x].reshape(640, -1)[:, drivers.pixel] * layout.SCALE
    np.testing.assert_allclose(drivers.static["fapar_base"], np.quantile(fapar, 0.05, axis=0), rtol=1e-5)
    assert drivers.masked["no vegetation series"] == 1 and drivers.masked["no covariate"] == 0
    assert read_tile(region, tile, ("tair", "fapar_base"), late).masked["no covariate"] == 1, "a range that is not known is no 0"


def again(path, out, change=None, **encoding):
    """A store read and saved by xarray, as a user would."""
    import xarray as xr

    with xr.open_zarr(path, consolidated=False, chunks=None) as data:
        data = data.load()
    data = change(data) if change else data
    for variable in data.variables.values():
        for key in ("compressors", "filters", "serializer", "shards", "fill_value"):
            variable.encoding.pop(key, None)
    data.to_zarr(out, zarr_format=3, encoding=encoding, consolidated=False)
    return out


def read_all(path):
    region = open_region(path)
    return [read_tile(region, tile, NAMES, whole(region)) for tile in region.tiles()]


@pytest.mark.parametrize("compressors", ["zstd", None, "gzip"])
def test_saved_again_by_xarray_reads_the_same(region_path, tmp_path, compressors):
    """Another compressor, another fill value, another epoch of time, chunks left out that hold the fill value only."""
    from zarr.codecs import GzipCodec

    def change(data):
        data["time"].encoding.clear()  # xarray counts from the first day
        for name in ("plant_type", "zone", "cell"):
            data[name].encoding.clear()  # fill value 0, one chunk
        return data.assign_coords(band=0, month=("time", data["time"].dt.month.values))  # of the user's own

    kept = {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -32768, "chunks": (730, 10, 10)}
    more = {"fapar": kept | {"compressors": [GzipCodec()] if compressors == "gzip" else compressors}} if compressors != "zstd" else {}
    path = again(region_path, tmp_path / "again.zarr", change, **more)
    assert zarr.open_group(path, mode="r")["time"].attrs["units"] != layout.TIME_UNITS
    np.testing.assert_array_equal(open_region(path).days, open_region(region_path).days)
    assert region_fingerprint(open_region(path))
    for one, other in zip(read_all(region_path), read_all(path), strict=True):
        np.testing.assert_array_equal(one.pixel, other.pixel)
        for name in ("daily", "weather", "static"):
            for key, values in getattr(one, name).items():
                np.testing.assert_array_equal(values, getattr(other, name)[key], err_msg=key)
        np.testing.assert_array_equal(one.zone, other.zone)


def test_a_chunk_left_out_because_all_is_fill_value_is_no_loss(make_region, tmp_path):
    """One weather cell, number 0; no zones: xarray leaves these chunks out."""
    size = (24, 20)
    path = make_region(tmp_path / "r.zarr", cells=1, zone=np.zeros(size, np.int32), zone_names={}).path

    def change(data):
        for name in ("plant_type", "zone", "cell"):
            data[name].encoding = {"chunks": (10, 10)}
        return data

    path = again(path, tmp_path / "again.zarr", change)
    assert not (path / "zone" / "c").exists() and not (path / "cell" / "c").exists()
    assert sum(len(one.pixel) for one in read_all(path)) == sum(len(one.pixel) for one in read_all(tmp_path / "r.zarr"))


@pytest.mark.parametrize(
    ("change", "encoding", "message"),
    [
        (lambda data: data.drop_encoding(), {}, "`fapar` is float64; it is kept as int16 with scale_factor"),
        (lambda data: data.rename(time="t"), {}, "the array `time` is missing"),
        (lambda data: data.assign(fapar=data.fapar.rename(y="lat")), {}, "rename or transpose"),
        (lambda data: data.assign(fapar=data.fapar.transpose("y", "x", "time")), {}, "must be time, y, x"),
        (lambda data: data.assign(tair=data.tair.T), {}, "`tair` has the dimensions cell, time"),
        (lambda data: data.sortby("y"), {}, "sortby"),
        (lambda data: data.drop_vars("spatial_ref"), {}, "no coordinate system"),
        (lambda data: data.drop_attrs(deep=False), {}, "attributes of the store"),
        (lambda data: data.isel(time=slice(0, 300)).assign_attrs(lead=365), {}, "no day is left to map"),
        (lambda data: data.assign(plant_type=data.plant_type.where(data.plant_type != 255)), {}, "`plant_type` is float"),
        (None, {"fapar": {"scale_factor": 0.004, "dtype": "int16", "_FillValue": -32768}}, "scale_factor 0.004"),
        (None, {"fapar": {"_FillValue": -9999, "dtype": "int16", "scale_factor": 1e-4}}, "missing days by -9999"),
        (None, {"soil_capacity": {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -1}}, "`soil_capacity` is packed"),
        (None, {"fapar": {"shards": (730, 10, 10), "chunks": (730, 5, 5)}}, "shards"),
        (None, {"fapar": {"chunks": (100, 10, 10)}}, "a chunk must hold a tile for all days"),
    ],
)  # fmt: skip
def test_saved_again_otherwise_is_refused_with_the_cure(region_path, tmp_path, change, encoding, message):
    if "fapar" in encoding and "shards" not in encoding["fapar"]:
        encoding = {"fapar": {"chunks": (730, 10, 10)} | encoding["fapar"]}
    path = again(region_path, tmp_path / "again.zarr", change, **encoding)
    with pytest.raises(ValueError, match=message):
        open_region(path)


def test_zarr_of_version_2_and_unknown_codecs(region_path, tmp_path):
    zarr.create_group(tmp_path / "old.zarr", zarr_format=2)
    with pytest.raises(ValueError, match="version 2"):
        open_region(tmp_path / "old.zarr")
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    record = json.loads((path / "fapar" / "zarr.json").read_text())
    record["codecs"][-1] = {"name": "zfp"}
    (path / "fapar" / "zarr.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="zfp"):
        open_region(path)


@pytest.mark.parametrize(("file", "text"), [("tair/zarr.json", "{ cut"), ("spatial_ref/zarr.json", "{}"), ("zarr.json", "[]")])
def test_damaged_metadata_name_the_file(region_path, tmp_path, file, text):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    (path / file).write_text(text)
    with pytest.raises(ValueError, match=f"`{file}` cannot be read .*restore it from a copy"):
        open_region(path)


def test_a_store_that_was_cut_at_its_beginning_is_warned_of(make_region, tmp_path):
    path = again(make_region(tmp_path / "r.zarr", warm_up=365).path, tmp_path / "cut.zarr", lambda data: data.isel(time=slice(100, None)))
    with pytest.warns(UserWarning, match="begins on 2017-04-11, 100 days later .* set the attribute to 265"):
        open_region(path)


MAPS_AND_WEATHER = ("plant_type", "soil_capacity", "zone", "cell", "tair", "x")


@pytest.fixture(scope="module")
def saved_by_xarray(region_path, tmp_path_factory):
    return again(region_path, tmp_path_factory.mktemp("again") / "again.zarr")


@pytest.mark.parametrize("name", MAPS_AND_WEATHER)
def test_a_lost_chunk_of_any_array_is_refused(region_path, saved_by_xarray, tmp_path, name):
    for number, store in enumerate((region_path, saved_by_xarray)):
        path = shutil.copytree(store, tmp_path / f"{number}.zarr")
        lose_last_chunk(path, name)


def lose_last_chunk(path, name):
    chunk = sorted(file for file in (path / name / "c").rglob("*") if file.is_file())[-1]
    chunk.unlink()
    with pytest.raises(ValueError, match=rf"`{name}` cannot be read in 1 of . (tiles|chunks): .*\(missing\); .*copy"):
        open_region(path)


@pytest.mark.parametrize("name", MAPS_AND_WEATHER)
def test_a_chunk_cut_short_of_any_array_is_refused(region_path, saved_by_xarray, tmp_path, name):
    for number, store in enumerate((region_path, saved_by_xarray)):
        path = shutil.copytree(store, tmp_path / f"{number}.zarr")
        chunk = sorted(file for file in (path / name / "c").rglob("*") if file.is_file())[0]
        chunk.write_bytes(chunk.read_bytes()[:-3])
        with pytest.raises(ValueError, match=rf"`{name}` cannot be read .*({'cut short' if not number else 'not readable'})"):
            open_region(path)


def test_a_tile_outside_needs_no_chunks_and_one_never_seen_is_no_loss(make_region, tmp_path):
    kinds = np.full((24, 20), PLANT_TYPES.index("GRA"), np.uint8)
    kinds[:10, :10] = layout.OUTSIDE
    writer = make_region(tmp_path / "r.zarr", plant_type=kinds)
    assert not (writer.path / "plant_type" / "c" / "0" / "0").exists()
    (writer.path / "fapar" / "c" / "0" / "0" / "0").unlink()
    tile = writer.grid.tile_of("r001_c001")
    writer.write(tile, np.full((730, *tile.shape), np.nan, np.float32))
    region = open_region(writer.path)
    assert read_tile(region, tile, NAMES, whole(region)).masked["no vegetation series"] == 100


def test_a_store_of_an_earlier_version_is_warned_of(region_path, tmp_path):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    del zarr.open_group(path, mode="r+")["zone"].attrs["uniform_tiles"]
    (path / "zone" / "c" / "2" / "1").unlink()
    with pytest.warns(UserWarning, match="`zone` has no chunk in 1 of 6 tiles, whose pixels count as in no zone"):
        open_region(path)
