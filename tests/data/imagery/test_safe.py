"""SAFE products: real and incomplete, synthetic and complete; baselines, zips, swaths, zones, damage."""

import warnings

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.imagery.safe import safe_scenes

FIRST, LAST = np.datetime64("2015-01-01"), np.datetime64("2030-01-01")
SURFACE = np.round(np.random.default_rng(3).uniform(0.01, 0.6, (60, 60)), 4)
REAL = "S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE"


@pytest.fixture
def dataset(catalog):
    return catalog["sentinel-2-l2a-safe"]


@pytest.fixture
def unmasked(dataset):
    return dataset.model_copy(update={"mask": None})


def test_the_real_incomplete_safe_is_read_as_far_as_it_goes(shared, dataset):
    folder = shared / "data" / "eo" / "sentinel2_safe"
    geobox = GeoBox((300, 300), Affine(60, 0, 547980, 0, -60, 5852040), "EPSG:32629")
    scene = _one_coarse(safe_scenes, dataset, str(folder), geobox)
    assert (scene.id, scene.day) == (REAL, np.datetime64("2022-10-05"))
    frame = scene.origin["frames"][0]
    assert frame["baseline"] == "04.00" and frame["offset"]["B04"] == -1000 and frame["resolution"]["B04"] == 60
    got = scene.read(geobox, ("B04", "B8A", "sun_zenith"))
    clear = np.isfinite(got["B04"])
    assert 0.05 < clear.mean() < 0.4  # 60 % cloud, and its rims
    assert -0.02 < got["B04"][clear].min() < 0.0 < got["B04"][clear].mean() < 0.08  # the offset is taken off, once
    assert np.nanmedian(got["B8A"]) > 0.3
    assert got["sun_zenith"][clear] == pytest.approx(57.820574, abs=1e-4)  # MTD_TL.xml, Mean_Sun_Angle
    import rasterio

    with rasterio.open(next(folder.rglob("*_B04_60m.jp2"))) as file:
        stored = file.read(1, window=rasterio.windows.Window(800, 800, 300, 300))
    np.testing.assert_allclose(got["B04"][clear], (stored[clear] - 1000.0) / 10000.0, atol=1e-6)


def _one_coarse(read, dataset, place, geobox):
    """The only scene; warns of its coarse bands."""
    with pytest.warns(UserWarning, match="instead of") as caught:
        (scene,) = read(dataset, place, geobox, FIRST, LAST)
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert len(said) == 1 and "B04 at 60 m instead of 10 m" in said[0]
    return scene


@pytest.mark.filterwarnings("ignore:.*instead of")
def test_what_an_incomplete_safe_lacks_is_said(shared, dataset):
    geobox = GeoBox((20, 20), Affine(60, 0, 547980, 0, -60, 5852040), "EPSG:32629")
    (scene,) = safe_scenes(dataset, str(shared / "data" / "eo" / "sentinel2_safe" / REAL), geobox, FIRST, LAST)
    with pytest.raises(ValueError, match=r"has no B08; this SAFE has no reflectance in R10m and R20m; .*B8A at 60 m, SCL at 20 m"):
        scene.read(geobox, ("B04", "B08"))


@pytest.mark.filterwarnings("ignore:.*instead of")
def test_scenes_outside_the_region_or_the_period_are_not_given(shared, dataset):
    place = str(shared / "data" / "eo" / "sentinel2_safe")
    there = GeoBox((20, 20), Affine(60, 0, 547980, 0, -60, 5852040), "EPSG:32629")
    elsewhere = GeoBox((20, 20), Affine(60, 0, 547980, 0, -60, 4852040), "EPSG:32629")
    assert safe_scenes(dataset, place, elsewhere, FIRST, LAST) == []
    assert safe_scenes(dataset, place, there, FIRST, np.datetime64("2022-10-04")) == []
    assert len(safe_scenes(dataset, place, there, np.datetime64("2022-10-05"), np.datetime64("2022-10-05"))) == 1


def test_two_baselines_of_one_surface_give_the_same_reflectance(tmp_path, make_safe, dataset, box):
    made = {baseline: make_safe(SURFACE, baseline=baseline, place=tmp_path / baseline) for baseline in ("0214", "0509")}
    got = {key: safe_scenes(dataset, str(path), box(), FIRST, LAST)[0].read(box(), ("B04", "B8A")) for key, path in made.items()}
    for band in ("B04", "B8A"):
        np.testing.assert_allclose(got["0214"][band], got["0509"][band], atol=1e-6)
    np.testing.assert_allclose(got["0509"]["B04"], SURFACE, atol=1e-6)


def test_of_one_acquisition_in_two_baselines_the_newer_is_read(tmp_path, make_safe, dataset, box):
    make_safe(SURFACE, baseline="0214")
    make_safe(SURFACE / 2, baseline="0509")
    with pytest.warns(UserWarning, match="two versions of one acquisition: S2A_.*_N0509_.* is read, S2A_.*_N0214_.* is not"):
        (scene,) = safe_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    np.testing.assert_allclose(scene.read(box(), ("B04",))["B04"], SURFACE / 2, atol=1e-4)


def test_parts_of_one_acquisition_in_different_baselines_are_both_read(tmp_path, make_safe, dataset, box):
    west, east, labels = SURFACE.copy(), SURFACE / 2, np.full((30, 30), 4)
    west[:, 30:] = np.nan
    labels[:, 15:] = 0
    make_safe(west, baseline="0509", labels=labels)
    make_safe(east, baseline="0400")
    (scene,) = safe_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    got = scene.read(box(), ("B04",))["B04"]
    np.testing.assert_allclose(got[:, :30], SURFACE[:, :30], atol=1e-4)
    np.testing.assert_allclose(got[:, 30:], SURFACE[:, 30:] / 2, atol=1e-4)


@pytest.mark.parametrize(("added", "offset"), [(1000, -1000), (0, 0.0)])
def test_an_offset_that_the_metadata_keep_and_the_images_lost_is_found(make_safe, write_raster, dataset, box, added, offset):
    """Images that a tool has harmonised in place: a red of -0.06 over grass is impossible."""
    folder = make_safe(SURFACE, baseline="0509")
    for band, value, grid in (("B04", 0.04, box()), ("B08", 0.40, box()), ("B8A", 0.42, box(30, 20.0))):
        (image,) = folder.rglob(f"*_{band}_?0m.jp2")
        write_raster(image, np.full(grid.shape.yx, round(value * 1e4) + added, np.uint16), grid)
    (scene,) = safe_scenes(dataset, str(folder), box(), FIRST, LAST)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = scene.read(box(), ("B04", "B8A"))
    said = [str(one.message) for one in caught if one.category is UserWarning]
    recorded = scene.origin["frames"][0]["offset"]
    assert (recorded["B04"] if added else recorded) == offset and bool(said) == (not added)
    if said:
        assert "MTD_MSIL2A.xml of baseline 05.09 gives an offset of -0.1, but" in said[0]
        assert "is -0.060 with it and 0.040 with +0.0" in said[0]
    np.testing.assert_allclose(got["B04"], 0.04, atol=1e-6)
    np.testing.assert_allclose(got["B8A"], 0.42, atol=1e-6)


def test_negative_reflectance_is_kept_and_zero_is_missing(make_safe, unmasked, box):
    surface = SURFACE.copy()
    surface[0, 0], surface[0, 1] = -0.0213, np.nan
    (scene,) = safe_scenes(unmasked, str(make_safe(surface)), box(), FIRST, LAST)
    got = scene.read(box(), ("B04",))["B04"]
    assert got[0, 0] == pytest.approx(-0.0213, abs=1e-6) and np.isnan(got[0, 1]) and np.isfinite(got).sum() == 3599


def test_a_zip_gives_what_the_folder_gives(make_safe, dataset, box, zipped):
    folder = make_safe(SURFACE)
    before = safe_scenes(dataset, str(folder), box(), FIRST, LAST)[0].read(box(), ("B04", "B8A"))
    archive = zipped(folder)
    for place in (archive, archive.parent):
        (scene,) = safe_scenes(dataset, str(place), box(), FIRST, LAST)
        assert scene.id == folder.name
        after = scene.read(box(), ("B04", "B8A"))
        assert all(np.array_equal(before[band], after[band]) for band in before)


def test_tiles_of_a_grid_are_cut_out_of_the_whole(make_safe, dataset, box):
    labels = np.where(np.random.default_rng(5).random((30, 30)) < 0.02, 9, 4)
    (scene,) = safe_scenes(dataset, str(make_safe(SURFACE, labels=labels)), box(), FIRST, LAST)
    whole = scene.read(box(), ("B04",))["B04"]
    assert 0.1 < np.isnan(whole).mean() < 0.9
    part = scene.read(box()[16:32, 16:32], ("B04",))["B04"]
    np.testing.assert_array_equal(part, whole[16:32, 16:32])


def test_a_coarse_pixel_is_clear_only_if_all_of_it_is(make_safe, dataset, box):
    labels = np.full((30, 30), 4)
    labels[4, 4] = 9
    ungrown = dataset.model_copy(update={"mask": dataset.mask.model_copy(update={"grow": 0.0})})
    (scene,) = safe_scenes(ungrown, str(make_safe(SURFACE, labels=labels)), box(), FIRST, LAST)
    got = scene.read(box(10, 60.0), ("B04",))["B04"]
    assert np.argwhere(np.isnan(got)).tolist() == [[1, 1]]
    assert got[0, 0] == pytest.approx(SURFACE[:6, :6].mean(), abs=1e-4)


def test_a_scene_all_under_cloud_is_a_scene_without_a_clear_pixel(make_safe, dataset, box):
    (scene,) = safe_scenes(dataset, str(make_safe(SURFACE, labels=np.full((30, 30), 9))), box(), FIRST, LAST)
    assert np.isnan(scene.read(box(), ("B04",))["B04"]).all()


def test_half_a_swath_is_missing_and_the_neighbour_fills_it(tmp_path, make_safe, dataset, box):
    west, east = SURFACE.copy(), SURFACE.copy()
    west[:, 30:], east[:, :30] = np.nan, np.nan
    halves = np.full((30, 30), 4)
    halves[:, 15:] = 0
    make_safe(west, tile="T31TDJ", labels=halves)
    (scene,) = safe_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    got = scene.read(box(), ("B04",))["B04"]
    assert np.isnan(got[:, 30:]).all() and np.isfinite(got[:, :30]).all()
    make_safe(east, tile="T31TEJ", labels=halves[:, ::-1])
    (scene,) = safe_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    np.testing.assert_allclose(scene.read(box(), ("B04",))["B04"], SURFACE, atol=1e-6)
    assert len(scene.origin["frames"]) == 2


def test_a_cloud_that_one_of_two_neighbours_sees_is_there(tmp_path, make_safe, dataset, box):
    """Two tiles of one view overlap: where one calls a pixel cloudy it is masked, where one has no data the other is read."""
    ungrown = dataset.model_copy(update={"mask": dataset.mask.model_copy(update={"grow": 0.0})})
    seen, half = np.full((30, 30), 4), SURFACE.copy()
    half[:, 40:] = np.nan
    labels = {"T31TDJ": seen.copy(), "T31TEJ": seen.copy()}
    labels["T31TDJ"][5, 5] = 9
    labels["T31TEJ"][10, 10] = labels["T31TEJ"][10, 25] = 3  # the second where this tile has no data: its label means nothing
    make_safe(SURFACE, tile="T31TDJ", labels=labels["T31TDJ"])
    make_safe(half, tile="T31TEJ", labels=labels["T31TEJ"])
    (scene,) = safe_scenes(ungrown, str(tmp_path), box(), FIRST, LAST)
    got = scene.read(box(), ("B04",))["B04"]
    masked = np.zeros((60, 60), bool)
    masked[10:12, 10:12] = masked[20:22, 20:22] = True
    np.testing.assert_array_equal(np.isnan(got), masked)
    np.testing.assert_allclose(got[~masked], SURFACE[~masked], atol=1e-6)


def test_a_region_across_two_zones_is_one_mosaic(tmp_path, make_safe, unmasked):
    """Tiles of zones 31 and 32 that meet at 6 degrees east, onto a grid in Lambert-93: every pixel from one or the other."""
    from pyproj import Transformer

    for tile, crs, value, shift in (("T31TGJ", "EPSG:32631", 0.2, -55), ("T32TLP", "EPSG:32632", 0.4, -5)):
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(6.0, 44.0)
        grid = GeoBox((60, 60), Affine(10, 0, round(x, -1) + 10 * shift, 0, -10, round(y, -1) + 300), crs)
        make_safe(np.full((60, 60), value), tile=tile, grid=grid)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:2154", always_xy=True).transform(6.0, 44.0)
    geobox = GeoBox((40, 60), Affine(10, 0, round(x, -1) - 300, 0, -10, round(y, -1) + 200), "EPSG:2154")
    (scene,) = safe_scenes(unmasked, str(tmp_path), geobox, FIRST, LAST)
    got = scene.read(geobox, ("B04",))["B04"]
    assert np.isfinite(got).all() and set(np.unique(np.round(got, 4))) == {np.float32(0.2), np.float32(0.4)}
    assert (got[:, :20] < 0.3).all() and (got[:, 45:] > 0.3).all()


def test_damage_is_named(tmp_path, make_safe, dataset, box, truncated):
    noise = np.random.default_rng(0).uniform(0.01, 0.9, (1200, 1200))
    folder = make_safe(noise, grid=box(1200), labels=np.full((600, 600), 4))
    (scene,) = safe_scenes(dataset, str(folder), box(), FIRST, LAST)
    image = truncated(next(folder.rglob("*_B04_10m.jp2")))
    with pytest.raises(ValueError, match=f"{image.name} is incomplete or damaged .*download it again"):
        safe_scenes(dataset, str(folder), box(), FIRST, LAST)[0].read(box(1200), ("B04",))
    truncated(folder / "MTD_MSIL2A.xml")
    with pytest.raises(ValueError, match=r"MTD_MSIL2A.xml is not complete XML .*download it again"):
        safe_scenes(dataset, str(folder), box(), FIRST, LAST)


def test_a_truncated_zip_is_named(make_safe, dataset, box, zipped, truncated):
    path = truncated(zipped(make_safe(SURFACE)))
    with pytest.raises(ValueError, match=r"\.SAFE\.zip is incomplete or damaged .*download it again"):
        safe_scenes(dataset, str(path.parent), box(), FIRST, LAST)


def test_offsets_are_never_guessed(make_safe, dataset, box):
    metadata = make_safe(SURFACE) / "MTD_MSIL2A.xml"
    text = metadata.read_text()
    metadata.write_text(text[: text.index("<BOA_ADD_OFFSET_VALUES_LIST>")] + "</Product>")
    with pytest.raises(ValueError, match="is of baseline 04.00 and has no BOA_ADD_OFFSET"):
        safe_scenes(dataset, str(metadata.parent), box(), FIRST, LAST)
    metadata.unlink()
    with pytest.raises(ValueError, match="has no MTD_MSIL2A.xml"):
        safe_scenes(dataset, str(metadata.parent), box(), FIRST, LAST)


def test_a_folder_without_products_is_named(tmp_path, dataset, box):
    with pytest.raises(FileNotFoundError, match="holds no S2"):
        safe_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        safe_scenes(dataset, str(tmp_path / "nowhere"), box(), FIRST, LAST)
