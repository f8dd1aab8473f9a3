"""Soil layers in other units than the provider's are refused, whatever gives them away; what is only odd is reported."""

import numpy as np
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import soil
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.vocabulary import PLANT_TYPES

SOILGRIDS = load_catalog()["soilgrids"]
DEPTHS = ("0-5", "5-15", "15-30", "30-60", "60-100")
LOAM = {"sand": 400, "clay": 200, "soc": 145, "cfvo": 100}


@pytest.fixture
def layers(raster):
    """Writes layers of 16 pixels; a band is a number, an array, or one of these by depth; `of=` is the data type."""

    def write(*, of="float32", nodata=-32768, pixel=100.0, **bands):
        for band, stored in bands.items():
            for depth in DEPTHS:
                value = stored.get(depth, stored["else"]) if isinstance(stored, dict) else stored
                field = np.broadcast_to(np.asarray(value, of), (4, 4)).copy()
                path = raster(f"soil/{band}_{depth}cm_mean.tif", field, pixel=pixel, nodata=nodata)
        return path.parent

    return write


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sand": 40, "clay": 20}, r"sand_0-5cm_mean.tif: sand \+ clay is 60 g kg-1.*expected is 100 to 1000.*looks like per cent.*A\*10"),
        ({"sand": 0.4, "clay": 0.2, "soc": 0.0145}, r"sand \+ clay is 0.6 .*looks like fractions of 1.*A\*1000"),
        ({"sand": 40, "silt": 40, "clay": 20}, r"sand \+ silt \+ clay is 100 g kg-1 .*expected is 1000; it looks like per cent"),
        ({"silt": 40}, r"sand \+ silt \+ clay is 640 g kg-1 \(sand 400, silt 40, clay 200"),  # one band of three
        ({"clay": 20}, "clay_0-5cm_mean.tif: sand is 400 and clay 20 .*per cent"),  # one band of two
        ({"clay": 35, "sand": 550}, "clay_0-5cm.*is it in per cent"),
        ({"sand": 15}, "sand_0-5cm.*no region has so little sand"),
        ({"sand": {"60-100": 40, "else": 400}, "clay": 450}, "sand_60-100cm_mean.tif: sand is 400 .*at 30 cm and 40 at 60 cm.*different"),
        ({"sand": {"15-30": 40, "else": 400}, "clay": {"15-30": 20, "else": 200}}, r"sand_15-30cm_mean.tif: sand \+ clay is 60"),
        ({"soc": {"0-5": 1450, "else": 60}}, "soc_5-15cm_mean.tif: soc is 145 .*at 0 cm and 6 at 5 cm"),
        ({"soc": {"60-100": 300, "else": 30}}, "soc_30-60cm_mean.tif: soc is 3 per mille"),
        ({"soc": 1.45}, "soc_0-5cm_mean.tif: the median of soc at 0 cm is 0.145 per mille, less than soils have"),
        ({"cfvo": 0.1}, "cfvo_0-5cm_mean.tif: the largest cfvo of all layers is 0.1 per mille.*another unit"),
        ({"sand": 4000}, "sand_0-5cm_mean.tif holds 4000 to 4000 on 16 of the 16 pixels that are read, outside 0 to 1000.*convert it"),
        ({"wv0033": 30, "wv1500": 12}, "wv0033_0-5cm_mean.tif: water contents .* are 0.03 and 0.012 m3 m-3"),
        ({"wv0033": 0.3, "wv1500": 0.12}, r"water contents .* 0.0003 and 0.00012 m3 m-3.*A\*1000"),
        ({"wv0033": 300, "wv1500": 12}, "wv1500_0-5cm"),
        ({"wv0033": 120, "wv1500": 300}, "the first the larger"),
        ({"wv0033": 400, "wv1500": {"60-100": 62, "else": 320}}, "wv1500_60-100cm_mean.tif.*different units"),
    ],
)  # fmt: skip
def test_other_units_are_refused(grid, layers, changed, said):
    with pytest.raises(ValueError, match=said):
        soil.capacity(SOILGRIDS, layers(**(LOAM | changed)), grid)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"soc": 15}, "soc_0-5cm_mean.tif: the median of soc at 0 cm is 1.5 per mille, which is little.*multiply them by 10"),
        ({"cfvo": 10}, "cfvo_0-5cm_mean.tif: the largest cfvo of all layers is 10 per mille"),
        ({"cfvo": {"0-5": 10, "else": 120}}, "cfvo is 10 per mille at 0 cm and 120 at 5 cm"),
        ({"sand": 60, "clay": 200}, "sand_0-5cm_mean.tif: sand is 60 and clay 200 g kg-1 at 0 cm .*740 of silt, as in loess"),
    ],
)
def test_what_could_be_right_is_read_and_reported(grid, layers, changed, said):
    with pytest.warns(UserWarning, match=said):
        soil.capacity(SOILGRIDS, layers(**(LOAM | changed)), grid)


@pytest.mark.parametrize(
    "bands",
    [
        {"sand": 920, "clay": 45, "soc": 110, "cfvo": 0},  # dunes
        {"sand": 560, "clay": 70, "soc": 600, "cfvo": 150},  # boreal till
        {"sand": 100, "clay": 170, "soc": 200, "cfvo": 50, "silt": 730},  # loess, with silt to show it
        {"sand": 80, "clay": 600, "soc": 250, "cfvo": 50},  # heavy clay
        {"sand": 300, "clay": 200, "soc": {"0-5": 3500, "5-15": 1200, "15-30": 500, "else": 120}, "cfvo": 60},  # peaty podzol
    ],
)
def test_real_soils_pass_in_silence(grid, layers, bands):
    found = soil.capacity(SOILGRIDS, layers(of="int16", **bands), grid)
    assert found.origin["filled"] == 0 and found.origin["texture_off"] == 0


def test_single_pixels_that_do_not_sum_take_their_neighbours(grid, layers):
    sand = np.full((4, 4), 400)
    sand[1, 1] = 100
    with pytest.warns(UserWarning, match="of these pixels whose texture is not that of one soil: 2..,.*takes the nearest one, from 0.* km"):
        found = soil.capacity(SOILGRIDS, layers(**(LOAM | {"sand": sand, "silt": 400})), grid)
    loam = 900 * (soil.field_capacity(0.4, 0.2, 2.5) - soil.wilting_point(0.4, 0.2, 2.5))
    silty = 900 * (soil.field_capacity(0.1, 0.2, 2.5) - soil.wilting_point(0.1, 0.2, 2.5))
    assert np.abs(found.values - loam).max() < 10 < 0.5 * abs(silty - loam)  # between two pixels of 100 m a sum within 5 % passes
    assert 200 <= found.origin["texture_off"] < 300
    sand[0] = 100
    with pytest.raises(ValueError, match=r"sand \+ silt \+ clay is 700 to 1000 g kg-1 and cannot be one soil in"):
        soil.capacity(SOILGRIDS, layers(**(LOAM | {"sand": sand, "silt": 400})), grid)


@pytest.mark.parametrize("missing", [-9999, 32767, -3.4e38])
def test_an_undeclared_missing_value_is_no_soil(grid, layers, missing):
    clay = np.full((4, 4), 200.0)
    clay[0, 0] = missing
    with pytest.raises(ValueError, match=r"clay_0-5cm_mean.tif holds .* on 1 of the 16 pixels.*declare it with `gdal_edit.py -a_nodata"):
        soil.capacity(SOILGRIDS, layers(**(LOAM | {"clay": clay}), nodata=None), grid)


def test_land_beyond_the_layers_is_refused_and_a_town_is_not(grid, layers):
    """Layers that end 200 m short of the grid pass with a report, as a rim; half a grid of 2 km is not covered."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    wide = GeoBox((40, 40), Affine(50, 0, 650000, 0, -50, 6860000), "EPSG:2154")
    place = layers(**LOAM, pixel=300.0)  # 1200 m of 2000 m
    with pytest.raises(ValueError, match="no soil value on .* where the land is neither town nor water: .*does not reach there"):
        soil.capacity(SOILGRIDS, place, wide)
    cover = np.full((40, 40), PLANT_TYPES.index("CRO"), np.uint8)
    cover[24:], cover[:, 24:] = PLANT_TYPES.index("URB"), OUTSIDE
    with pytest.warns(UserWarning, match="64.0% of the grid has no soil value.*nearest one, from 1.1 km at most"):
        found = soil.capacity(SOILGRIDS, place, wide, cover=cover)
    assert found.values.std() < 1e-3 and found.origin["filled_from_km"] == pytest.approx(1.1, abs=0.05)
    cover[-1, 0] = PLANT_TYPES.index("CRO")
    with pytest.raises(ValueError, match="on 0.1% of the grid"):
        soil.capacity(SOILGRIDS, place, wide, cover=cover)


def test_a_hole_wider_than_a_town_is_refused(layers):
    from affine import Affine
    from odc.geo.geobox import GeoBox

    country = GeoBox((60, 60), Affine(1000, 0, 650000, 0, -1000, 6860000), "EPSG:2154")
    sand = np.full((4, 4), 400)
    sand[:, 1:] = -32768  # 45 km without a value, within the files
    with pytest.raises(ValueError, match="it is up to 4. km from the nearest value"):
        soil.capacity(SOILGRIDS, layers(**(LOAM | {"sand": sand}), pixel=15000.0), country)
