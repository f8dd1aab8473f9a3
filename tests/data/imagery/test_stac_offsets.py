"""The offset of a Sentinel-2 item: what each provider says, and what dark land shows against it."""

import warnings

import numpy as np
import pystac
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery.stac import stac_scenes
from hybridflux.data.imagery.stac_items import acquired, asset_of, baseline_of, tile_of
from hybridflux.data.imagery.stac_offsets import ENOUGH, SHIFT, Stated, judge, seen_offset, stated
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
    assert stated(one, RED).value == offset and not stated(one, RED).doubtful


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


def plain(properties, fields=None):
    one = pystac.Item("x", None, None, np.datetime64("2022-06-01").astype("datetime64[us]").item(), properties)
    one.add_asset("B04", pystac.Asset("x.tif", extra_fields=fields or {}))
    return stated(one, RED)


@pytest.mark.parametrize(
    ("properties", "declared", "value", "source", "doubtful"),
    [
        ({"s2:processing_baseline": "03.01"}, None, 0.0, "processing baseline", False),
        ({"s2:processing_baseline": "04.00"}, None, SHIFT, "processing baseline", False),
        ({"processing:version": "05.11"}, -0.1, -0.1, "raster:bands", False),
        ({"s2:processing_baseline": "05.11"}, 0.0, 0.0, "raster:bands", True),  # harmonised, or forgotten
        ({"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": True}, -0.1, 0.0, "boa_offset_applied", True),
        ({"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": False}, -0.1, SHIFT, "boa_offset_applied", True),
        ({"s2:processing_baseline": "02.12", "earthsearch:boa_offset_applied": False}, 0.0, 0.0, "boa_offset_applied", False),
        ({}, None, None, "nothing", True),
    ],
)
def test_which_word_counts(properties, declared, value, source, doubtful):
    said = plain(properties, None if declared is None else {"raster:bands": [{"offset": declared}]})
    assert (said.value, said.source, said.doubtful) == (value, source, doubtful)


def test_the_dates_of_a_real_series_testify_and_none_falsely(shared):
    right = {0: 0, 1000: 0}
    dates = 0
    for index in range(118):
        labels = np.kron(flanders(shared, index, "SCL")[0], np.ones((2, 2), int))
        stored = flanders(shared, index, "B04")[0]
        dark = stored[np.isin(labels, (4, 5, 6)) & (stored > 0)] * 1e-4
        dates += len(dark) >= ENOUGH
        for shift in right:
            seen = seen_offset(dark + shift * 1e-4)
            assert seen in (None, -shift * 1e-4)
            right[shift] += seen is not None
    assert dates == 60 and right[0] >= 59 and right[1000] >= 59


def test_too_few_pixels_do_not_testify():
    assert seen_offset(np.full(ENOUGH - 1, 0.02)) is None and seen_offset(np.full(ENOUGH, 0.02)) == 0.0


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
    assert scene.origin["items"][0]["offset_from"] == "dark pixels against boa_offset_applied"


def test_bright_land_does_not_overrule_a_plain_baseline():
    desert = np.full(1000, 0.3)
    with pytest.warns(UserWarning, match="processing baseline gives an offset of .0.0.*used .0.0"):
        assert judge("x", Stated(0.0, "processing baseline", False), desert).value == 0.0
    with pytest.warns(UserWarning, match="used -0.1"):
        assert judge("x", Stated(0.0, "boa_offset_applied", True), desert).value == SHIFT


def test_an_item_that_says_nothing_is_judged_or_left_out():
    nothing = Stated(None, "nothing", True)
    assert judge("x", nothing, np.full(1000, 0.04)).value == 0.0
    with pytest.warns(
        UserWarning, match="item x tells neither its processing baseline nor an offset, and 50 clear pixels do not tell: left out"
    ):
        assert judge("x", nothing, np.full(50, 0.04)).value is None


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
