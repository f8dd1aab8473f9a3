"""Water capacity of soils: the published table, layers added up by hand, and what is missing."""

import numpy as np
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import soil
from hybridflux.vocabulary import VARIABLES

SOILGRIDS = load_catalog()["soilgrids"]
TABLE_3 = {  # Saxton & Rawls 2006, table 3, 2.5 % organic matter: sand, clay -> wilting point, field capacity [%]
    "sand": (88, 5, 5, 10), "loamy sand": (80, 5, 5, 12), "sandy loam": (65, 10, 8, 18), "loam": (40, 20, 14, 28),
    "silt loam": (20, 15, 11, 31), "sandy clay loam": (60, 25, 17, 27), "clay loam": (30, 35, 22, 36),
    "silty clay loam": (10, 35, 22, 38), "silty clay": (10, 45, 27, 41), "sandy clay": (50, 40, 25, 36), "clay": (25, 50, 30, 42),
}  # fmt: skip
TOP_METRE = ("0-5", "5-15", "15-30", "30-60", "60-100")


@pytest.mark.parametrize("name", TABLE_3)
def test_texture_classes_of_the_paper(name):
    sand, clay, wilting, field = TABLE_3[name]
    assert 100 * soil.wilting_point(sand / 100, clay / 100, 2.5) == pytest.approx(wilting, abs=0.55)  # table in whole per cent
    assert 100 * soil.field_capacity(sand / 100, clay / 100, 2.5) == pytest.approx(field, abs=0.55)


def layers(raster, *, pixel=200.0, depths=TOP_METRE, **stored):
    for band, value in stored.items():
        for depth in depths:
            field = np.broadcast_to(np.asarray(value, np.int16), (4, 4)).copy()
            path = raster(f"soil/{band}/{band}_{depth}cm_mean.tif", field, pixel=pixel, nodata=-32768)
    return path.parents[1]


def test_loam_with_stones_by_hand(grid, raster):
    """Loam: 28.0 - 13.7 % of 1 m, of which 20 % are stones; stored in the units of SoilGrids."""
    place = layers(raster, sand=400, clay=200, soc=145, cfvo=200)  # 14.5 g kg-1 carbon = 2.5 % organic matter
    found = soil.capacity(SOILGRIDS, place, grid)
    by_hand = 1000 * 0.8 * (soil.field_capacity(0.4, 0.2, 2.5) - soil.wilting_point(0.4, 0.2, 2.5))
    np.testing.assert_allclose(found.values, by_hand, rtol=1e-6)
    assert 110 < by_hand < 118 and found.values.dtype == np.float32 and found.origin["filled"] == 0


def test_a_shallower_root_zone_takes_part_of_a_layer(grid, raster):
    place = layers(raster, sand=400, clay=200, soc=145, cfvo=0)
    full, half = (soil.capacity(SOILGRIDS, place, grid, depth=depth).values.mean() for depth in (1000, 450))
    assert half == pytest.approx(0.45 * full, rel=1e-6)


def test_mapped_water_contents_come_first(grid, raster):
    place = layers(raster, sand=400, clay=200, soc=145, cfvo=100, wv0033=300, wv1500=120)
    found = soil.capacity(SOILGRIDS, place, grid)
    np.testing.assert_allclose(found.values, 1000 * 0.18 * 0.9, rtol=1e-6)
    assert "33 and 1500 kPa" in found.origin["method"]


def test_towns_take_the_nearest_value_and_are_told(grid, raster):
    sand = np.full((4, 4), 400)
    sand[:, :2] = -32768
    place = layers(raster, pixel=100.0, sand=sand, clay=200, soc=145, cfvo=0)
    with pytest.warns(UserWarning, match="has no soil value .* takes the nearest one"):
        found = soil.capacity(SOILGRIDS, place, grid)
    assert np.isfinite(found.values).all() and found.values.std() < 1e-3 and 0.3 < found.origin["filled"] < 0.6


def test_zero_is_no_data_in_answers_of_the_service(grid, raster):
    zero = np.full((4, 4), 400)
    zero[0] = 0
    with pytest.warns(UserWarning, match="no soil value"):
        found = soil.capacity(SOILGRIDS, layers(raster, pixel=100.0, sand=zero, clay=np.where(zero, 200, 0), soc=145, cfvo=0), grid)
    loam = 1000 * (soil.field_capacity(0.4, 0.2, 2.5) - soil.wilting_point(0.4, 0.2, 2.5))
    np.testing.assert_allclose(found.values, loam, rtol=1e-6)  # zeros do not mix into their neighbours
    assert found.values.min() > 50


def test_peat_is_read_at_the_edge_of_the_calibration(grid, raster):
    found = soil.capacity(SOILGRIDS, layers(raster, sand=300, clay=200, soc=3000, cfvo=0), grid)
    edge = soil.field_capacity(0.3, 0.2, 8.0) - soil.wilting_point(0.3, 0.2, 8.0)
    np.testing.assert_allclose(found.values, 1000 * edge, rtol=1e-6)
    assert found.origin["outside_the_calibration"] == 1.0


def test_bounds_of_the_vocabulary_hold(grid, raster):
    rock = soil.capacity(SOILGRIDS, layers(raster, sand=400, clay=200, soc=145, cfvo=1000), grid)
    assert (rock.values == VARIABLES["soil_capacity"].bounds[0]).all()


def test_missing_layers_are_all_named(grid, raster, tmp_path):
    place = layers(raster, sand=400, clay=200, soc=145, cfvo=0, depths=TOP_METRE[:-1])
    with pytest.raises(FileNotFoundError, match="lacks sand_60-100cm_mean, clay_60-100cm_mean.*constant capacity"):
        soil.capacity(SOILGRIDS, place, grid)
    with pytest.raises(ValueError, match="rooting depth of 3000 mm"):
        soil.capacity(SOILGRIDS, place, grid, depth=3000)
    with pytest.raises(ValueError, match="no band cfvo"):
        soil.capacity(SOILGRIDS.model_copy(update={"bands": SOILGRIDS.bands[:4]}), layers(raster, sand=1, clay=1, soc=1, cfvo=1), grid)


def test_a_constant_says_that_it_is_none(grid):
    found = soil.ConstantCapacity(120.0).on(grid)
    assert (found.values == 120).all() and "not a soil map" in found.origin["method"]
    assert soil.ConstantCapacity().capacity == VARIABLES["soil_capacity"].centre
