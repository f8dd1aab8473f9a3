"""Theia products: the real series of the Meuse, versions, zips, masks, monthly syntheses, damage."""

import shutil

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.imagery.indices import bands_needed, compute
from hybridflux.data.imagery.theia import theia_scenes
from hybridflux.data.imagery.theia_l3a import synthesis_scenes

FIRST, LAST = np.datetime64("2015-01-01"), np.datetime64("2030-01-01")
MEUSE = GeoBox((80, 80), Affine(10, 0, 670540, 0, -10, 5461500), "EPSG:32631")
ONE = "SENTINEL2A_20180717-104258-591_L2A_T31UFQ_D_V1-8"


@pytest.fixture
def meuse(shared):
    return shared / "data" / "eo" / "meuse_theia"


@pytest.fixture
def dataset(catalog):
    return catalog["theia-l2a"]


@pytest.fixture
def copy(meuse, tmp_path):
    """A writable copy of one real product, under another name if asked."""

    def make(name=ONE, folder=tmp_path):
        for file in (meuse / ONE).rglob("*.tif"):
            target = folder / name / file.relative_to(meuse / ONE).with_name(file.name.replace(ONE, name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        return folder / name

    return make


def test_the_real_series_has_97_dates(meuse, dataset):
    scenes = theia_scenes(dataset, str(meuse), MEUSE, FIRST, LAST)
    days = [scene.day for scene in scenes]
    assert len(days) == 97 and days == sorted(set(days))
    assert (days[0], days[-1]) == (np.datetime64("2015-12-30"), np.datetime64("2020-06-01"))
    assert all(scene.origin["bands"] == ["B02", "B03", "B04", "B8A", "B11", "B12"] for scene in scenes)
    summer = theia_scenes(dataset, str(meuse), MEUSE, np.datetime64("2018-07-07"), np.datetime64("2018-07-27"))
    assert [str(scene.day) for scene in summer] == ["2018-07-07", "2018-07-17", "2018-07-22", "2018-07-27"]


def test_the_forest_is_green_in_summer_and_every_number_is_that_of_the_file(meuse, dataset):
    (scene,) = theia_scenes(dataset, str(meuse / ONE), MEUSE, FIRST, LAST)
    bands = bands_needed(["ndvi"], scene.origin["bands"])
    assert bands == ("B8A", "B04")
    got = scene.read(MEUSE, bands)
    clear = np.isfinite(got["B04"])
    import rasterio

    with rasterio.open(meuse / ONE / f"{ONE}_FRE_B4.tif") as file:
        stored = file.read(1)
    with rasterio.open(meuse / ONE / "MASKS" / f"{ONE}_CLM_R2.tif") as file:
        cloudy = file.read(1).repeat(2, 0).repeat(2, 1) != 0
    np.testing.assert_allclose(got["B04"][clear], stored[clear] * 1e-4, atol=1e-7)
    assert clear.mean() > 0.5 and not (clear & cloudy).any()
    ndvi = compute("ndvi", got)
    assert np.nanmedian(ndvi) > 0.8 and np.nanmax(ndvi) <= 1.0


def test_red_that_was_cut_at_zero_tells_no_ndvi(meuse, dataset):
    (scene,) = theia_scenes(dataset, str(meuse), MEUSE, np.datetime64("2016-09-25"), np.datetime64("2016-09-25"))
    got = scene.read(MEUSE, ("B8A", "B04"))
    assert np.nanmin(got["B04"]) == 0.0  # version 1-1 stores no negative reflectance
    ndvi, seen = compute("ndvi", got), np.isfinite(got["B04"])
    assert 0.2 < np.isnan(ndvi[seen]).mean() < 0.95 and np.nanmax(ndvi) < 0.98
    assert np.isfinite(compute("evi2", got)[seen]).all()


def test_of_two_versions_the_newer_is_read_by_number_not_by_letters(copy, tmp_path, dataset):
    copy()
    newer = ONE.replace("D_V1-8", "C_V1-10")
    copy(newer)
    with pytest.warns(UserWarning, match=f"two versions of one acquisition: {newer} is read, {ONE} is not"):
        (scene,) = theia_scenes(dataset, str(tmp_path), MEUSE, FIRST, LAST)
    assert scene.id == newer


def test_a_zip_gives_what_the_folder_gives(copy, dataset, zipped):
    folder = copy()
    before = theia_scenes(dataset, str(folder), MEUSE, FIRST, LAST)[0].read(MEUSE, ("B04", "B8A"))
    (scene,) = theia_scenes(dataset, str(zipped(folder).parent), MEUSE, FIRST, LAST)
    after = scene.read(MEUSE, ("B04", "B8A"))
    assert np.isfinite(before["B04"]).any() and all(np.array_equal(before[band], after[band], equal_nan=True) for band in before)


def test_nodata_and_the_other_masks_hide_pixels(copy, dataset, write_raster, box):
    folder = copy()
    grid = MEUSE.zoom_out(2)
    none = np.zeros((40, 40), np.uint8)
    edge, snow = none.copy(), none.copy()
    edge[:, :5], snow[:5] = 1, 1 << 2
    for name, values in (("CLM", none), ("EDG", edge), ("MG2", snow)):
        write_raster(folder / "MASKS" / f"{ONE}_{name}_R2.tif", values, grid)
    stored = np.full((80, 80), 300, np.int16)
    stored[40:, 40:], stored[20, 20] = -10000, -150
    write_raster(folder / f"{ONE}_FRE_B4.tif", stored, MEUSE)
    got = theia_scenes(dataset, str(folder), MEUSE, FIRST, LAST)[0].read(MEUSE, ("B04",))["B04"]
    expected = np.full((80, 80), 0.03)
    expected[:, :10] = expected[:10] = expected[40:, 40:] = np.nan
    expected[20, 20] = -0.015  # kept: what a small negative means is for the indices to say
    np.testing.assert_allclose(got, expected, atol=1e-7)


def test_slope_corrected_or_not_is_a_matter_of_the_catalog(copy, dataset):
    folder = copy()
    for file in folder.glob("*_FRE_*"):
        file.rename(folder / file.name.replace("_FRE_", "_SRE_"))
    bands = tuple(band.model_copy(update={"aliases": (band.aliases[0].replace("FRE", "SRE"),)}) for band in dataset.bands)
    (scene,) = theia_scenes(dataset.model_copy(update={"bands": bands}), str(folder), MEUSE, FIRST, LAST)
    assert "SRE_B4" in scene.origin["frames"][0]["files"]["B04"]
    with pytest.raises(ValueError, match="has none of the bands of theia-l2a"):
        theia_scenes(dataset, str(folder), MEUSE, FIRST, LAST)


def test_damage_is_named(copy, dataset, truncated):
    folder = copy()
    (scene,) = theia_scenes(dataset, str(folder), MEUSE, FIRST, LAST)
    with pytest.raises(ValueError, match=rf"{ONE} has no B08; .*it has B02, .* and lacks B05, B06, B07, B08"):
        scene.read(MEUSE, ("B08",))
    image = truncated(folder / f"{ONE}_FRE_B4.tif")
    with pytest.raises(ValueError, match=f"{image.name} is incomplete or damaged .*download it again"):
        theia_scenes(dataset, str(folder), MEUSE, FIRST, LAST)[0].read(MEUSE, ("B04",))
    shutil.rmtree(folder / "MASKS")
    with pytest.raises(ValueError, match="has no mask CLM in MASKS"):
        theia_scenes(dataset, str(folder), MEUSE, FIRST, LAST)


def test_a_monthly_synthesis_stands_for_the_day_in_its_name(tmp_path, catalog, write_raster, box):
    name = "SENTINEL2X_20180515-000000-000_L3A_T31TCJ_C_V1-0"
    stored = np.full((60, 60), 1234, np.int16)
    flags = np.full((60, 60), 4, np.uint8)
    flags[0], flags[1], flags[2], flags[3] = 0, 1, 2, 3
    write_raster(tmp_path / name / f"{name}_FRC_B4.tif", stored, box())
    write_raster(tmp_path / name / "MASKS" / f"{name}_FLG_R1.tif", flags, box())
    (scene,) = synthesis_scenes(catalog["theia-l3a"], str(tmp_path), box(), FIRST, LAST)
    assert scene.day == np.datetime64("2018-05-15")
    got = scene.read(box(), ("B04",))["B04"]
    assert np.isnan(got[:3]).all() and got[3:] == pytest.approx(0.1234)
    assert synthesis_scenes(catalog["theia-l3a"], str(tmp_path), box(), np.datetime64("2018-05-16"), LAST) == []


@pytest.fixture
def product(tmp_path, write_raster, box):
    """`product(time, version, columns, red)`: a product of level 2A or 3A whose images have values in some columns."""

    def make(time, version, columns, red=0.04, level="L2A", nodata=-10000, edge=False):
        name, kind, mask = f"SENTINEL2A_{time}_{level}_T31TDJ_C_V{version}", *{"L2A": ("FRE", "CLM"), "L3A": ("FRC", "FLG")}[level]
        for band, value in (("B4", red), ("B8", 0.4)):
            stored = np.full((60, 60), nodata, np.int16)
            stored[:, columns] = round(value * 1e4)
            write_raster(tmp_path / name / f"{name}_{kind}_{band}.tif", stored, box())
        write_raster(tmp_path / name / "MASKS" / f"{name}_{mask}_R1.tif", np.full((60, 60), {"L2A": 0, "L3A": 4}[level], np.uint8), box())
        return name

    return make


WEST, EAST, ALL = slice(0, 30), slice(30, 60), slice(0, 60)


@pytest.mark.parametrize("nodata", [-10000, 0])
def test_two_parts_of_a_tile_are_both_read(product, dataset, tmp_path, box, nodata):
    """Of one pass, some seconds apart; of the part that there is in two versions, the newer."""
    product("20220530-104851-531", "3-0", WEST, 0.03, nodata=nodata)
    product("20220530-104907-102", "3-0", EAST, 0.05, nodata=nodata)
    old = product("20220530-104907-102", "2-2", EAST, 0.09, nodata=nodata)
    with pytest.warns(UserWarning, match=f"two versions of one acquisition: .* is read, {old} is not"):
        (scene,) = theia_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    red = scene.read(box(), ("B04", "B08"))["B04"]
    np.testing.assert_allclose(red[:, [2, -3]], np.broadcast_to([0.03, 0.05], (60, 2)), atol=1e-6)
    assert len(scene.origin["frames"]) == 2


def test_where_parts_of_two_versions_overlap_the_newer_lies_above(product, dataset, tmp_path, box):
    product("20220530-104851-531", "2-2", ALL, 0.09)
    product("20220530-104907-102", "3-0", EAST, 0.05)
    (scene,) = theia_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    red = scene.read(box(), ("B04",))["B04"]
    np.testing.assert_allclose(red[:, [2, -3]], np.broadcast_to([0.09, 0.05], (60, 2)), atol=1e-6)


def test_two_orbits_of_a_day_are_two_acquisitions(product, dataset, tmp_path, box):
    """In the far north a satellite sees a tile twice a day: the second pass is no other version of the first."""
    product("20220530-104851-531", "3-0", ALL, 0.03)
    product("20220530-122951-531", "2-2", ALL, 0.05)
    (scene,) = theia_scenes(dataset, str(tmp_path), box(), FIRST, LAST)
    assert len(scene.origin["frames"]) == 2 and np.isfinite(scene.read(box(), ("B04",))["B04"]).all()


@pytest.mark.parametrize(("level", "read", "source"), [("L2A", theia_scenes, "theia-l2a"), ("L3A", synthesis_scenes, "theia-l3a")])
def test_zero_in_every_band_is_beyond_the_swath(product, catalog, tmp_path, box, level, read, source):
    """MAJA products of early 2022 store 0 there, not -10000, and may come without the mask of the edge."""
    product("20220530-104851-531", "3-0", EAST, level=level, nodata=0)
    (scene,) = read(catalog[source], str(tmp_path), box(), FIRST, LAST)
    both = scene.read(box(), ("B04", "B08"))
    for values in (*both.values(), compute("evi2", both), scene.read(box(), ("B04",))["B04"]):
        assert np.isnan(values[:, WEST]).all() and np.isfinite(values[:, EAST]).all()


def test_the_parts_of_a_synthesis_are_both_read(product, catalog, tmp_path, box):
    product("20220515-000000-000", "1-0", WEST, level="L3A")
    product("20220515-000000-000", "1-1", EAST, level="L3A")
    (scene,) = synthesis_scenes(catalog["theia-l3a"], str(tmp_path), box(), FIRST, LAST)
    assert np.isfinite(scene.read(box(), ("B04",))["B04"]).all()
