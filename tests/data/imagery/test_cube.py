"""Cubes: the real extracts of Flanders and Slovenia, and synthetic ones with what goes wrong."""

import warnings

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from hybridflux.data.imagery.cube import cube_scenes
from hybridflux.data.imagery.indices import compute

FIRST, LAST = np.datetime64("2015-01-01"), np.datetime64("2030-01-01")
FLANDERS = GeoBox((64, 64), Affine(10, 0, 501360, 0, -10, 5629680), "EPSG:32631")


@pytest.fixture
def dataset(catalog):
    return catalog["sentinel-2-l2a-cube"]


@pytest.fixture
def unmasked(dataset):
    return dataset.model_copy(update={"mask": None})


@pytest.fixture
def write_cube(tmp_path, box):
    """`write_cube(name, days, value)`: a cube of B04 (and SCL) on a grid; values are stored numbers."""

    def write(name, days, value=500, *, grid=None, attrs=None, labels=None, zarr=False):
        grid = grid or box(20)
        shape = (len(days), *grid.shape.yx)
        data = {"B04": (("time", "y", "x"), np.broadcast_to(value, shape).astype(np.uint16), attrs or {})}
        if labels is not None:
            data["SCL"] = (("time", "y", "x"), np.broadcast_to(labels, shape).astype(np.uint8))
        times = np.array(days, "datetime64[ns]")
        cube = xr.Dataset(data, coords={"time": times} | dict(xr_coords(grid)))
        cube["B04"].attrs["grid_mapping"] = "spatial_ref"
        path = tmp_path / name
        cube.to_zarr(path, consolidated=False) if zarr else cube.to_netcdf(path, engine="h5netcdf")
        return path

    return write


def test_the_extract_of_flanders_is_read_as_it_is_stored(shared, dataset):
    folder = shared / "data" / "eo" / "flanders_s2"
    scenes = cube_scenes(dataset, str(folder), FLANDERS, FIRST, LAST)
    assert len(scenes) == 118 and len({scene.day for scene in scenes}) == 118
    assert {"B04", "B08", "B11", "sun_zenith"} <= set(scenes[0].origin["bands"])
    with xr.open_dataset(next(folder.glob("S2_L2A_10m*")), engine="h5netcdf", mask_and_scale=False) as fine:
        red = fine["B04"].values
    with xr.open_dataset(next(folder.glob("S2_L2A_20m*")), engine="h5netcdf", mask_and_scale=False) as coarse:
        swir, labels, zenith = coarse["B11"].values, coarse["SCL"].values, coarse["sunZenithAngles"].values
    seen = 0
    for number in (0, 30, 60, 90):
        got = scenes[number].read(FLANDERS, ("B04", "B11", "sun_zenith"))
        clear = np.isfinite(got["B04"])
        seen += clear.sum()
        np.testing.assert_allclose(got["B04"][clear], red[number][clear] * 1e-4, atol=1e-7)
        np.testing.assert_allclose(got["B11"][clear], swir[number].repeat(2, 0).repeat(2, 1)[clear] * 1e-4, atol=1e-7)
        assert np.isin(labels[number].repeat(2, 0).repeat(2, 1)[clear], dataset.mask.clear).all()
        assert got["sun_zenith"][clear] == pytest.approx(zenith[number])
    assert seen > 1000


@pytest.mark.filterwarnings("ignore:.*gives an offset of .0.0, which its pixels (do not|contradict)")  # without a mask, under cloud
def test_the_extract_of_flanders_holds_no_offset(shared, unmasked):
    """Were 1000 still in it, no red reflectance would be below 0.1."""
    scenes = cube_scenes(unmasked, str(shared / "data" / "eo" / "flanders_s2"), FLANDERS, FIRST, LAST)
    darkest = [np.nanmin(scene.read(FLANDERS, ("B04",))["B04"]) for scene in scenes[:12]]
    assert min(darkest) < 0.02


def test_the_ndvi_of_a_cube_of_openeo_is_the_one_it_brings_along(shared, dataset):
    place = shared / "data" / "eo" / "gapfill" / "slovenia_meadow_s2_2021.nc"
    grid = GeoBox((44, 48), Affine(10, 0, 513930, 0, -10, 5073300), "EPSG:32633")
    scenes = cube_scenes(dataset, str(place), grid, FIRST, LAST)
    assert len(scenes) == 58
    with xr.open_dataset(place, engine="h5netcdf", mask_and_scale=False) as cube:
        own = cube["NDVI"].values
    seen = 0
    for number in range(0, 58, 6):
        ndvi = compute("ndvi", scenes[number].read(grid, ("B08", "B04")))
        clear = np.isfinite(ndvi)
        seen += clear.sum()
        np.testing.assert_allclose(ndvi[clear], own[number][clear], atol=1e-5)
    assert seen > 1000


def test_zarr_and_netcdf_give_the_same(write_cube, unmasked, box):
    values = np.random.default_rng(0).integers(1, 9000, (2, 20, 20))
    places = [write_cube("S2_L2A_a.nc", ["2020-05-01T10:50", "2020-05-11T10:50"], values)]
    places.append(write_cube("b.zarr", ["2020-05-01T10:50", "2020-05-11T10:50"], values, zarr=True))
    for place in places:
        scenes = cube_scenes(unmasked, str(place), box(20), FIRST, LAST)
        assert [str(scene.day) for scene in scenes] == ["2020-05-01", "2020-05-11"]
        np.testing.assert_allclose(scenes[1].read(box(20), ("B04",))["B04"], values[1] * 1e-4, atol=1e-7)


def test_the_day_is_that_of_the_sun(write_cube, unmasked, box):
    grid = box(20, crs="EPSG:32654", west=400000.0)  # 140 degrees east
    place = write_cube("S2_L2A_japan.nc", ["2020-05-01T01:20", "2020-05-01T23:50"], grid=grid)
    assert [str(scene.day) for scene in cube_scenes(unmasked, str(place), grid, FIRST, LAST)] == ["2020-05-01", "2020-05-02"]


def test_two_images_of_a_day_on_one_grid_are_one_scene(write_cube, unmasked, box, tmp_path):
    first = np.full((1, 20, 20), 500)
    first[:, :10] = 0
    write_cube("S2_L2A_a.nc", ["2020-05-01T10:50:10"], first)
    write_cube("S2_L2A_b.nc", ["2020-05-01T10:50:24"], 700)
    with pytest.warns(UserWarning, match="1 days have several images, merged pixel by pixel: 2020-05-01"):
        (scene,) = cube_scenes(unmasked, str(tmp_path), box(20), FIRST, LAST)
    got = scene.read(box(20), ("B04",))["B04"]
    assert got[:10] == pytest.approx(0.07) and got[10:] == pytest.approx(0.05)


def test_two_images_of_a_day_on_two_grids_are_refused(write_cube, unmasked, box, tmp_path):
    write_cube("S2_L2A_a.nc", ["2020-05-01T10:50"])
    write_cube("S2_L2A_b.nc", ["2020-05-01T10:50"], grid=box(20, west=600030.0))
    with pytest.raises(ValueError, match=r"two images of 2020-05-01 on two grids: .*S2_L2A_a.nc.*S2_L2A_b.nc"):
        cube_scenes(unmasked, str(tmp_path), box(20), FIRST, LAST)


def test_units_in_another_scale_are_refused(write_cube, unmasked, box):
    place = write_cube("S2_L2A_a.nc", ["2020-05-01"], attrs={"scale_factor": 1e-4, "add_offset": -0.1})
    with pytest.raises(
        ValueError, match=r"S2_L2A_a.nc, B04: the file says 0.0001 x stored \+ -0.1, the catalog says 0.0001 x stored \+ 0;"
    ):
        cube_scenes(unmasked, str(place), box(20), FIRST, LAST)


def test_reflectance_is_not_scaled_again(write_cube, unmasked, box, tmp_path):
    with xr.open_dataset(write_cube("a.nc", ["2020-05-01"]), engine="h5netcdf", mask_and_scale=False) as cube:
        (cube.load().assign(B04=cube["B04"] * 1e-4)).to_netcdf(tmp_path / "S2_L2A_b.nc", engine="h5netcdf")
    (scene,) = cube_scenes(unmasked, str(tmp_path), box(20), FIRST, LAST)
    with pytest.raises(ValueError, match=r"S2_L2A_b.nc, B04, .* holds numbers up to 0.05: reflectance already.*scale = 1"):
        scene.read(box(20), ("B04",))


def test_images_without_their_mask_are_refused(write_cube, dataset, box):
    with pytest.raises(ValueError, match="no mask SCL for the image of 2020-05-01"):
        cube_scenes(dataset, str(write_cube("S2_L2A_a.nc", ["2020-05-01"])), box(20), FIRST, LAST)
    place = write_cube("S2_L2A_b.nc", ["2020-05-01"], labels=9)
    (scene,) = cube_scenes(dataset, str(place), box(20), FIRST, LAST)
    assert np.isnan(scene.read(box(20), ("B04",))["B04"]).all()


def test_the_missing_value_of_the_file_and_that_of_the_catalog_both_hold(write_cube, unmasked, box):
    stored = np.full((1, 20, 20), 500)
    stored[0, 0, :10], stored[0, 3, :10] = 0, 65535
    path = write_cube("S2_L2A_a.nc", ["2020-05-01"], stored, attrs={"_FillValue": np.uint16(65535)})
    (scene,) = cube_scenes(unmasked, str(path), box(20), FIRST, LAST)
    red = scene.read(box(20), ["B04"])["B04"]
    np.testing.assert_array_equal(np.isnan(red), np.isin(stored[0], (0, 65535)))
    assert np.nanmax(red) == pytest.approx(0.05)


def test_a_damaged_block_of_a_zarr_store_is_named(write_cube, unmasked, box):
    store = write_cube("S2_L2A_a.zarr", ["2020-05-01"], np.random.default_rng(0).integers(1, 9000, (1, 20, 20)), zarr=True)
    (scene,) = cube_scenes(unmasked, str(store), box(20), FIRST, LAST)
    block = max(
        (path for path in (store / "B04").rglob("*") if path.is_file() and path.name != "zarr.json"), key=lambda path: path.stat().st_size
    )
    block.write_bytes(block.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"S2_L2A_a.zarr is incomplete or damaged .*download it again"):
        scene.read(box(20), ["B04"])


def test_damage_is_named(write_cube, unmasked, box, truncated, tmp_path):
    path = truncated(write_cube("S2_L2A_a.nc", ["2020-05-01"], np.random.default_rng(0).integers(1, 9000, (1, 20, 20))))
    with pytest.raises(ValueError, match=r"S2_L2A_a.nc is incomplete or damaged .*download it again"):
        cube_scenes(unmasked, str(path), box(20), FIRST, LAST)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cube_scenes(unmasked, str(tmp_path / "nowhere"), box(20), FIRST, LAST)


def test_a_cube_without_coordinate_system_or_dates_is_refused(tmp_path, unmasked, box):
    bare = xr.Dataset({"B04": (("time", "y", "x"), np.ones((1, 4, 4), np.uint16))}, coords={"y": np.arange(4.0), "x": np.arange(4.0)})
    bare.to_netcdf(tmp_path / "S2_L2A_a.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="no axis of dates called time or timestamp or t"):
        cube_scenes(unmasked, str(tmp_path), box(20), FIRST, LAST)
    bare.assign_coords(time=np.array(["2020-05-01"], "datetime64[ns]")).to_netcdf(tmp_path / "S2_L2A_a.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="no coordinate system"):
        cube_scenes(unmasked, str(tmp_path), box(20), FIRST, LAST)


class Surfaces:
    """Reflectance of red and near infrared, and the class of the scene classification."""

    rows, columns = np.mgrid[:20, :20] / 20
    forest = 0.02 + 0.01 * rows, 0.25 + 0.05 * columns, 4
    winter_forest = 0.02 + 0.01 * rows, 0.14 + 0.02 * columns, 4
    meadow = 0.03 + 0.04 * rows, 0.42 - 0.1 * columns, 4
    soil = 0.20 + 0.04 * rows, 0.27 + 0.04 * rows, 5
    water = 0.03 + 0.01 * rows, 0.015 + 0.01 * columns, 6
    snow = 0.80 + 0.04 * rows, 0.78 + 0.04 * rows, 11


@pytest.fixture
def offset_cube(tmp_path, box):
    """`offset_cube(dates)`: a cube of 20 x 20 pixels; of each date its name, the surface and what was added to the stored numbers."""

    def write(dates, dtype=np.uint16, bands=("B04", "B08")):
        grid, times = box(20), np.array([day for day, _, _ in dates], "datetime64[ns]")
        surfaces = [(*getattr(Surfaces, name), added) for _, name, added in dates]
        stored = {
            "B04": [np.rint(red * 1e4) + added for red, _, _, added in surfaces],
            "B08": [np.rint(nir * 1e4) + added for _, nir, _, added in surfaces],
            "SCL": [np.full((20, 20), label) for _, _, label, _ in surfaces],
        }
        variables = {
            name: (("time", "y", "x"), np.stack(stored[name]).astype(dtype), {"grid_mapping": "spatial_ref"}) for name in (*bands, "SCL")
        }
        cube = xr.Dataset(variables, coords={"time": times} | dict(xr_coords(grid)))
        folder = tmp_path / f"cube_{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        cube.to_netcdf(folder / "S2_L2A_cube.nc", engine="h5netcdf")
        return str(folder)

    return write


def read_all(scenes, geobox, bands):
    """What each scene gives, and all it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = [scene.read(geobox, bands) for scene in scenes]
    return values, [str(one.message) for one in caught if one.category is UserWarning]


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("surface", ["forest", "meadow", "water"])
def test_the_offset_that_a_cube_still_holds_is_taken_out(offset_cube, dataset, box, surface, dtype):
    """Of vegetation in one date; of water, which is a weaker witness, too."""
    grown = dataset.model_copy(update={"mask": dataset.mask.model_copy(update={"grow": 0.0})})
    for added in (0, 1000):
        scenes = cube_scenes(grown, offset_cube([("2023-06-01T10:50", surface, added)], dtype), box(20), FIRST, LAST)
        (values,), said = read_all(scenes, box(20), ("B04", "B08"))
        np.testing.assert_allclose(values["B04"], getattr(Surfaces, surface)[0], atol=1e-4)
        np.testing.assert_allclose(values["B08"], getattr(Surfaces, surface)[1], atol=1e-4)
        assert bool(said) == bool(added)
        frame = scenes[0].origin["frames"][0]
        assert frame["offset"] == (-0.1 if added else 0.0) and frame["offset_evidence"]["declared"] == {"catalog": 0.0}


def test_a_cube_across_the_change_of_baseline_is_judged_date_by_date(offset_cube, dataset, box):
    """Bare land and a forest of the winter, which alone say little, are decided by the dates beside them; one warning for all."""
    before = [("2021-10-20", "meadow"), ("2021-12-10", "winter_forest"), ("2022-01-05", "winter_forest")]
    since = [("2022-01-26", "winter_forest"), ("2022-02-10", "winter_forest"), ("2022-03-20", "soil"), ("2022-05-01", "meadow")]
    dates = [(*one, 0) for one in before] + [(*one, 1000) for one in since]
    scenes = cube_scenes(dataset, offset_cube(dates), box(20), FIRST, LAST)
    values, said = read_all(scenes[::-1], box(20), ("B04", "B08"))
    for (_, name, _), got in zip(dates, values[::-1], strict=True):
        np.testing.assert_allclose(got["B04"], getattr(Surfaces, name)[0], atol=1e-4)
    assert any("the catalog (sentinel-2-l2a-cube) gives an offset of +0.0, but" in line and "used -0.1" in line for line in said)


def test_bare_land_of_a_cube_whose_offset_is_gone_is_not_shifted(offset_cube, dataset, box):
    scenes = cube_scenes(dataset, offset_cube([("2023-03-01", "soil", 0)]), box(20), FIRST, LAST)
    (values,), said = read_all(scenes, box(20), ("B04",))
    np.testing.assert_allclose(values["B04"], Surfaces.soil[0], atol=1e-4)
    assert "which its pixels do not confirm" in said[0]


def test_red_alone_that_is_nowhere_dark_is_reported(offset_cube, dataset, box):
    """Meadow with the offset in and soil without look alike in one band."""
    scenes = cube_scenes(dataset, offset_cube([("2023-06-01", "meadow", 1000)], bands=("B04",)), box(20), FIRST, LAST)
    _, said = read_all(scenes, box(20), ("B04",))
    assert "0.1" in said[0] and "pixels of darker land in the red is" in said[0]
    scenes = cube_scenes(dataset, offset_cube([("2023-06-01", "meadow", 0)], bands=("B04",)), box(20), FIRST, LAST)
    (values,), said = read_all(scenes, box(20), ("B04",))
    np.testing.assert_allclose(values["B04"], Surfaces.meadow[0], atol=1e-4)
    assert not said


def test_angles_are_not_judged_nor_shifted(shared, dataset):
    (scene, *_) = cube_scenes(dataset, str(shared / "data" / "eo" / "flanders_s2"), FLANDERS, FIRST, LAST)
    zenith = scene.read(FLANDERS, ("sun_zenith",))["sun_zenith"]
    assert scene.origin["frames"][0]["offset_from"] is None and (np.isnan(zenith) | (zenith > 30)).all()


def test_a_dataset_may_say_that_nothing_is_judged(offset_cube, dataset, box):
    sure = dataset.model_copy(update={"offsets": "catalog"})
    (scene,) = cube_scenes(sure, offset_cube([("2023-06-01", "meadow", 1000)]), box(20), FIRST, LAST)
    np.testing.assert_allclose(scene.read(box(20), ("B04",))["B04"], Surfaces.meadow[0] + 0.1, atol=1e-4)


def test_what_is_zero_in_every_band_is_no_data(write_cube, unmasked, box, tmp_path):
    """Whatever number is declared missing; zero in one band of two is a number."""
    rule = {"bands": tuple(band.model_copy(update={"nodata": -9999}) for band in unmasked.bands), "offsets": "catalog"}
    path = write_cube("S2_L2A_a.nc", ["2020-05-01"], 500)
    with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as cube:
        both = cube.load().assign(B08=cube["B04"] * 5)
    both["B04"][0, :, :2] = both["B08"][0, :, :2] = both["B04"][0, 0, 5] = 0
    path.unlink()
    both["B08"].attrs["grid_mapping"] = "spatial_ref"
    both.to_netcdf(tmp_path / "S2_L2A_b.nc", engine="h5netcdf")
    (scene,) = cube_scenes(unmasked.model_copy(update=rule), str(tmp_path), box(20), FIRST, LAST)
    for bands in (("B04", "B08"), ("B04",), ("B08",)):
        got = scene.read(box(20), bands)
        for band in bands:
            assert np.isnan(got[band][:, :2]).all() and np.isfinite(got[band][:, 2:]).all()


def test_a_large_region_is_judged_by_windows_spread_over_it(write_cube, unmasked, box, monkeypatch):
    """A corner that is bright is read with the offset that the rest of the region shows, and little of it is read for that."""
    from hybridflux.data.imagery import cube as module

    values = np.full((1, 700, 700), 1400)
    values[0, 100:] = 350
    values[0, :20] = 1900
    grid, read = box(700), []
    stored = module._stored
    monkeypatch.setattr(module, "_stored", lambda *args: read.append((args[3][0].stop - args[3][0].start) ** 2) or stored(*args))
    (scene,) = cube_scenes(unmasked, str(write_cube("S2_L2A_a.nc", ["2023-06-01"], values, grid=grid)), grid, FIRST, LAST)
    np.testing.assert_allclose(scene.read(grid[:20, :20], ("B04",))["B04"], 0.19, atol=1e-6)
    assert scene.origin["frames"][0]["offset_evidence"]["log_odds_pixels"] > 5 and sum(read) < 0.2 * 700**2


def test_saturated_and_wrapped_numbers_are_no_index(write_cube, unmasked, box):
    """65535 is saturated; 65531 is -5 in 16 bits without sign, where an exporter took 1000 out of 995."""
    stored = np.full((1, 20, 20), 500)
    stored[0, 0, :2] = 65535, 65531
    (scene,) = cube_scenes(unmasked, str(write_cube("S2_L2A_a.nc", ["2020-05-01"], stored)), box(20), FIRST, LAST)
    red = scene.read(box(20), ("B04",))["B04"]
    assert np.isnan(compute("evi2", {"B04": red, "B08": np.full_like(red, 0.4)})).sum() == 2
