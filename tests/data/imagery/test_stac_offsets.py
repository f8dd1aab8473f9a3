"""The offset of a Sentinel-2 item: what each provider declares, and what the pixels and the other dates show against it."""

import warnings

import numpy as np
import pystac
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery.indices import compute
from hybridflux.data.imagery.offset_evidence import SHIFT
from hybridflux.data.imagery.offset_series import FIRM
from hybridflux.data.imagery.stac import stac_scenes
from hybridflux.data.imagery.stac_items import acquired, asset_of, baseline_of, tile_of
from hybridflux.data.imagery.stac_offsets import declared
from tests.data.imagery.stac_server import cog, collection_file, flanders, item

S2 = load_catalog()["sentinel-2-l2a"]
RED = next(band for band in S2.bands if band.name == "B04")


def real(shared, name):
    return pystac.Item.from_file(str(shared / "data" / "eo" / "stac" / f"{name}.json"))


@pytest.mark.parametrize(
    ("name", "tile", "baseline", "offset", "asset"),
    [
        ("S2A_28QCH_20200714_0_L2A", "28QCH", (2, 14), 0.0, "B04"),  # Earth Search v0: baseline in the product name alone
        ("S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531", "06VVN", (2, 12), 0.0, "B04"),  # Planetary Computer
        ("S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL__expected_output", "34VEL", (5, 10), -0.1, "red"),
        ("sentinel2-l2a-example__S2A_T07HFE_20190212T192646_L2A__S2A_T07HFE_20190212T192646_L2A", "07HFE", (2, 12), 0.0, "red"),
    ],
)
def test_real_items_of_four_providers(shared, name, tile, baseline, offset, asset):
    one = real(shared, name)
    assert (tile_of(one), baseline_of(one), asset_of(one, RED)) == (tile, baseline, asset)
    assert declared(one, RED).value == offset and declared(one, RED).firm


def test_every_band_of_the_catalog_is_found_in_real_items(shared):
    for name in ("S2A_28QCH_20200714_0_L2A", "S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL__expected_output"):
        one = real(shared, name)
        assert all(asset_of(one, band) for band in S2.bands)
        assert len({asset_of(one, band) for band in S2.bands}) == len(S2.bands)


def test_a_name_with_pixel_size_takes_the_finest_and_a_described_band_is_found(shared):
    one = real(shared, "S2A_28QCH_20200714_0_L2A")
    assets = {key: pystac.Asset("x.tif") for key in ("B04_60m", "B04_10m", "B04_20m")}
    one.assets = assets
    assert asset_of(one, RED) == "B04_10m"
    one.assets = {"img1": pystac.Asset("x.tif", extra_fields={"bands": [{"name": "B04"}]}), "img2": pystac.Asset("y.tif")}
    assert asset_of(one, RED) == "img1"


def test_a_composite_has_the_middle_of_its_period_and_nothing_else_has_no_day(shared):
    one = real(shared, "S2A_28QCH_20200714_0_L2A")
    assert acquired(one) == np.datetime64("2020-07-14T11:55:52")
    one.datetime = None
    with pytest.raises(ValueError, match="S2A_28QCH_20200714_0_L2A has neither `datetime` nor"):
        acquired(one)
    one.properties |= {"start_datetime": "2020-07-11T00:00:00Z", "end_datetime": "2020-07-19T00:00:00Z"}
    assert acquired(one) == np.datetime64("2020-07-15T00:00:00")


def plain(properties, fields=None, collection=None):
    day = np.datetime64("2022-06-01").astype("datetime64[us]").item()
    one = pystac.Item("x", None, None, day, properties, collection=collection)
    one.add_asset("B04", pystac.Asset("x.tif", extra_fields=fields or {}))
    return declared(one, RED)


@pytest.mark.parametrize(
    ("properties", "in_bands", "value", "source", "firm"),
    [
        ({"s2:processing_baseline": "03.01"}, None, 0.0, "processing baseline", True),
        ({"s2:processing_baseline": "04.00"}, None, SHIFT, "processing baseline", True),
        ({"processing:version": "05.11"}, -0.1, -0.1, "raster:bands", True),
        ({"s2:processing_baseline": "05.11"}, 0.0, 0.0, "raster:bands", False),  # harmonised, or forgotten
        ({"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": True}, -0.1, 0.0, "boa_offset_applied", False),
        ({"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": False}, -0.1, SHIFT, "boa_offset_applied", False),
        ({"s2:processing_baseline": "02.12", "earthsearch:boa_offset_applied": False}, 0.0, 0.0, "boa_offset_applied", True),
        ({}, None, None, "nothing", False),
    ],
)
def test_which_word_counts(properties, in_bands, value, source, firm):
    said = plain(properties, None if in_bands is None else {"raster:bands": [{"offset": in_bands}]})
    assert (said.value, said.source, said.firm) == (value, source, firm)


def test_the_flag_of_a_collection_that_is_processed_alike_is_trusted():
    properties = {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": False}
    fields = {"raster:bands": [{"offset": -0.1}]}
    assert plain(properties, fields, "sentinel-2-c1-l2a").trust == FIRM > plain(properties, fields, "sentinel-2-l2a").trust


@pytest.mark.parametrize(
    ("flag", "shift", "used", "offset"),
    [(False, 0, "used .0.0", 0.0), (True, 1000, "used -0.1", SHIFT)],
    ids=["said to be there, is not", "said to be gone, is there"],
)
def test_a_wrong_flag_of_earth_search_is_found_in_the_data(shared, tmp_path, flag, shift, used, offset):
    hrefs = {}
    for name, band in (("red", "B04"), ("nir", "B08"), ("scl", "SCL")):
        stored, grid, when = flanders(shared, 53, band, 0 if band == "SCL" else shift)
        hrefs[name] = cog(tmp_path / f"{name}.tif", stored, grid)
    properties = {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": flag}
    fields = {"raster:bands": [{"offset": -0.1, "scale": 1e-4}]}  # alike for both, as at Earth Search
    one = item("S2B_33UXP_20250302_0_L2A", when, hrefs, flanders(shared, 53, "B04")[1], properties, fields)
    place, grid = collection_file(tmp_path / "items.json", [one]), flanders(shared, 53, "B04")[1]
    (scene,) = stac_scenes(S2, str(place), grid, when.astype("datetime64[D]"), when.astype("datetime64[D]"))
    with pytest.warns(UserWarning, match=f"S2B_33UXP_20250302_0_L2A: boa_offset_applied gives an offset of .*{used}") as told:
        part = scene.read(grid[:16, :16], ["B04"])["B04"]  # a tile too small and bright to tell by itself
    assert sum(warning.category is UserWarning for warning in told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # said once
        whole = scene.read(grid, ["B04", "B08"])
    stored, _, _ = flanders(shared, 53, "B08")
    seen = np.isfinite(whole["B08"])
    assert seen.mean() > 0.9
    np.testing.assert_allclose(whole["B08"][seen], stored[seen] * 1e-4, atol=1e-6)
    np.testing.assert_array_equal(part, whole["B04"][:16, :16])
    assert scene.origin["items"][0]["offset"] == offset
    assert scene.origin["items"][0]["offset_from"] == "vegetation against boa_offset_applied"


EARTH_SEARCH = {"raster:bands": [{"offset": -0.1, "scale": 1e-4}]}
GRID = GeoBox((60, 60), rasterio.Affine(10, 0, 600000, 0, -10, 4900020), "EPSG:32631")


def meadow():
    """Red and near infrared reflectance of grass, different in each row."""
    rows, columns = np.mgrid[:60, :60] / 60
    return 0.02 + 0.05 * rows + 0.01 * columns, 0.45 - 0.2 * rows


def soil(red=0.22):
    rows, columns = np.mgrid[:60, :60] / 60
    return red + 0.01 * rows + 0.004 * columns, red + 0.08 + 0.01 * columns


class Items:
    """Items of one tile: surfaces, what was added to the stored numbers, and metadata."""

    def __init__(self, folder):
        self.folder, self.items = folder, []

    def add(self, day, surface, added, properties, fields=None, labels=4, change=lambda stored: stored, bands=("red", "nir")):
        folder = self.folder / day
        stored = {name: np.rint(values * 1e4).astype(int) + added for name, values in zip(("red", "nir"), surface, strict=True)}
        hrefs = {name: cog(folder / f"{name}.tif", change(stored[name]).astype(np.uint16), GRID) for name in bands}
        classes = np.broadcast_to(labels, (30, 30)).astype(np.uint8)
        hrefs["scl"] = cog(folder / "scl.tif", np.ascontiguousarray(classes), GRID.zoom_out(2))
        when = np.datetime64(f"{day}T10:50:31")
        self.items.append(item(f"S2B_31TDJ_{day}", when, hrefs, GRID, properties | {"s2:mgrs_tile": "31TDJ"}, fields))
        return self

    def scenes(self):
        place = collection_file(self.folder / "items.json", self.items)
        return stac_scenes(S2, str(place), GRID, np.datetime64("2016-01-01"), np.datetime64("2026-01-01"))


def flagged(flag):
    return {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": flag}


def read(scene):
    """Red and near infrared, and the sentences it warns with."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = scene.read(GRID, ["B04", "B08"])
    return values, [str(one.message) for one in caught if one.category is UserWarning]


@pytest.mark.parametrize("fields", [EARTH_SEARCH, {}], ids=["raster:bands", "baseline alone"])
@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("lowest", [1, 120])
@pytest.mark.parametrize("rows", [6, 18])
def test_shadow_and_edges_do_not_turn_an_offset_that_is_declared(tmp_path, fields, labels, lowest, rows):
    """A tenth of the scene and less at DN 1, the least number that is not missing, or a little more, in both bands."""

    def dark(stored):
        stored[20 : 20 + rows, 20:40] = lowest
        return stored

    classes = np.full((30, 30), 4)
    classes[10 : 10 + rows // 2, 10:20] = labels
    (scene,) = Items(tmp_path).add("2023-07-05", meadow(), 1000, {"s2:processing_baseline": "05.09"}, fields, classes, dark).scenes()
    values, said = read(scene)
    sunlit = np.ones((60, 60), bool)
    sunlit[20 : 20 + rows, 20:40] = False
    np.testing.assert_allclose(values["B04"][sunlit], meadow()[0][sunlit], atol=1e-4)
    assert not said and scene.origin["items"][0]["offset"] == SHIFT
    assert np.isnan(compute("evi2", values)[~sunlit]).all(), "what is stored as 1 is no index"


SURFACES = {"vegetation": meadow, "bare land": soil}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("added", [0, 1000])
def test_a_flag_is_weighed_against_the_pixels(tmp_path, surface, flag, added):
    (scene,) = Items(tmp_path).add("2023-07-05", SURFACES[surface](), added, flagged(flag), EARTH_SEARCH, 5).scenes()
    values, said = read(scene)
    np.testing.assert_allclose(values["B04"], SURFACES[surface]()[0], atol=1e-4)
    right = flag == (added == 0)
    origin = scene.origin["items"][0]
    assert origin["offset_evidence"]["declared"]["raster:bands"] == -0.1
    assert origin["offset_from"] == ("boa_offset_applied" if right else f"{surface} against boa_offset_applied")
    assert bool(said) == (surface == "bare land" or not right)
    if surface == "bare land":
        assert ("do not confirm" if right else "not certain") in said[0]


@pytest.mark.parametrize("wrong", [0, 1, 2])
@pytest.mark.parametrize("order", [1, -1])
def test_a_wrong_flag_over_bare_land_is_a_jump_in_the_series(tmp_path, wrong, order):
    """Dark soil, red 0.13, whose numbers say nothing by themselves: the flag of one of three dates is wrong; vegetation of May is sure."""
    items, days = Items(tmp_path), ("2023-08-05", "2023-08-10", "2023-08-15")
    for number, day in enumerate(days):
        items.add(day, soil(0.13), 0, flagged(number != wrong), EARTH_SEARCH, 5)
    half = [np.where(np.arange(60) < 30, green, bare) for green, bare in zip(meadow(), soil(0.13), strict=True)]
    items.add("2023-08-20", half, 0, flagged(True), EARTH_SEARCH, 5)
    scenes = items.scenes()
    for scene in scenes[::order]:
        values, _ = read(scene)
        truth = half[0] if scene.day == np.datetime64("2023-08-20") else soil(0.13)[0]
        np.testing.assert_allclose(values["B04"], truth, atol=1e-4)
    assert "neighbouring dates" in scenes[wrong].origin["items"][0]["offset_from"] or not scenes[wrong].origin["items"][0]["offset"]


def test_bright_land_does_not_overrule_what_metadata_agree_on(tmp_path):
    """Not even by the other date, too far away to be compared."""
    items = Items(tmp_path).add("2019-07-05", soil(0.45), 0, {"s2:processing_baseline": "02.12"}, labels=5)
    items.add("2023-07-05", soil(0.35), 1000, {"s2:processing_baseline": "05.09"}, labels=5)
    for scene, red in zip(items.scenes(), (0.45, 0.35), strict=True):
        values, said = read(scene)
        np.testing.assert_allclose(values["B04"], soil(red)[0], atol=1e-4)
        assert not said


def test_impossible_reflectance_overrules_all_metadata(tmp_path):
    """Harmonised files whose baseline and `raster:bands` still speak of the offset."""
    (scene,) = Items(tmp_path).add("2023-07-05", meadow(), 0, {"s2:processing_baseline": "05.09"}, EARTH_SEARCH).scenes()
    values, said = read(scene)
    np.testing.assert_allclose(values["B04"], meadow()[0], atol=1e-4)
    assert "raster:bands gives an offset of -0.1, but the median reflectance of" in said[0] and "used +0.0" in said[0]


def test_an_item_that_says_nothing_is_judged_or_left_out(tmp_path):
    (scene,) = Items(tmp_path / "a").add("2023-07-05", meadow(), 1000, {}).scenes()
    values, said = read(scene)
    np.testing.assert_allclose(values["B04"], meadow()[0], atol=1e-4)
    assert not said and scene.origin["items"][0]["offset_from"] == "vegetation"
    (scene,) = Items(tmp_path / "b").add("2023-07-05", meadow(), 1000, {}, labels=7).scenes()
    values, said = read(scene)
    assert np.isnan(values["B04"]).all()
    assert "gives neither its processing baseline nor an offset, and no clear land or water shows it: left out" in said[0]


def test_snow_alone_says_nothing_against_what_is_declared(tmp_path):
    labels = np.full((30, 30), 11)
    labels[:4] = 7
    (scene,) = Items(tmp_path).add("2023-01-05", soil(0.8), 1000, {"s2:processing_baseline": "05.09"}, labels=labels).scenes()
    values, said = read(scene)
    assert np.isfinite(values["B04"]).any() and not said and scene.origin["items"][0]["offset"] == SHIFT


def test_an_item_without_a_red_band_is_read_as_its_metadata_say(tmp_path):
    (scene,) = Items(tmp_path).add("2023-07-05", meadow(), 1000, {"s2:processing_baseline": "05.09"}, bands=("nir",)).scenes()
    np.testing.assert_allclose(scene.read(GRID, ["B08"])["B08"], meadow()[1], atol=1e-4)
    assert scene.origin["items"][0]["offset"] == SHIFT


def test_two_items_of_one_acquisition_that_hold_different_parts_are_both_read(tmp_path):
    """In different baselines; of one part in two baselines the newer is read."""
    halves = {"west": GRID[:, :30], "east": GRID[:, 30:]}
    items = []
    for name, part, baseline, red in (("a", "west", "05.09", 0.03), ("b", "east", "04.00", 0.05), ("c", "west", "04.00", 0.07)):
        grid = halves[part]
        hrefs = {
            "red": cog(tmp_path / name / "red.tif", np.full(grid.shape.yx, round(red * 1e4) + 1000, np.uint16), grid),
            "nir": cog(tmp_path / name / "nir.tif", np.full(grid.shape.yx, 4500, np.uint16), grid),
            "scl": cog(tmp_path / name / "scl.tif", np.full(grid.shape.yx, 4, np.uint8), grid),
        }
        properties = {"s2:processing_baseline": baseline, "s2:mgrs_tile": "31TDJ"}
        items.append(item(f"S2B_31TDJ_{name}", np.datetime64("2023-07-05T10:50:31"), hrefs, grid, properties))
    place = collection_file(tmp_path / "items.json", items)
    (scene,) = stac_scenes(S2, str(place), GRID, np.datetime64("2023-07-01"), np.datetime64("2023-07-31"))
    red = scene.read(GRID, ["B04"])["B04"]
    np.testing.assert_allclose(red[:, [2, -3]], np.broadcast_to([0.03, 0.05], (60, 2)), atol=1e-6)
    assert scene.origin["superseded"] == ["S2B_31TDJ_c"]


def test_cloud_beyond_a_tile_reaches_into_it(shared, tmp_path):
    stored, grid, when = flanders(shared, 53, "B04")
    coarse = flanders(shared, 53, "SCL")[1]
    labels = np.full(coarse.shape.yx, 4, np.uint8)
    labels[:, 10] = 9
    hrefs = {"red": cog(tmp_path / "red.tif", stored, grid), "scl": cog(tmp_path / "scl.tif", labels, coarse)}
    place = collection_file(tmp_path / "items.json", [item("S2B_x", when, hrefs, grid, {"s2:processing_baseline": "02.06"})])
    (scene,) = stac_scenes(S2, str(place), grid, when.astype("datetime64[D]"), when.astype("datetime64[D]"))
    beside = scene.read(grid[:, 22:], ["B04"])["B04"]  # the cloud ends where the tile begins
    assert np.isnan(beside[:, :2]).all() and np.isfinite(beside[:, 2:]).all()
