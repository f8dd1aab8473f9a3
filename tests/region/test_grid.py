import numpy as np
import pytest
from pyproj import Geod, Transformer

from hybridflux.region.store.grid import Grid


@pytest.mark.parametrize(
    ("crs", "latitude", "expected"),
    [
        ("EPSG:2154", 42.4, 0.9969),
        ("EPSG:2154", 46.5, 1.0019),
        ("EPSG:2154", 50.5, 0.9970),
        ("EPSG:3035", 42.4, 1.0),
        ("EPSG:3035", 50.5, 1.0),
    ],
)
def test_true_area(crs, latitude, expected):
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(3.0, latitude)
    grid = Grid(crs, round(x, -1), round(y, -1), 10.0, (200, 150))
    tile = next(grid.tiles())
    share = grid.area(tile) / 100.0
    assert share[0, 0] == pytest.approx(expected, abs=1e-4)
    edge = np.linspace(0, 1000, 50)  # a square kilometre, walked round
    west, north = grid.west, grid.north
    xs = np.r_[west + edge, np.full(50, west + 1000), west + 1000 - edge, np.full(50, west)]
    ys = np.r_[np.full(50, north), north - edge, np.full(50, north - 1000), north - 1000 + edge]
    ground = abs(Geod(ellps="GRS80").polygon_area_perimeter(*grid.lonlat(xs, ys))[0])
    assert grid.area(tile)[:100, :100].sum() == pytest.approx(ground, rel=1e-6)


def test_area_is_the_same_whatever_the_tiles():
    whole = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (150, 170), 200)
    parts = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (150, 170), 37)
    area = np.zeros(whole.shape)
    for tile in parts.tiles():
        area[tile.y, tile.x] = parts.area(tile)
    np.testing.assert_allclose(area, whole.area(next(whole.tiles())), rtol=1e-14)


def test_tiles_cover_the_grid_once():
    grid = Grid("EPSG:2154", 0.0, 6_000_000.0, 10.0, (25, 31), 10)
    count = np.zeros(grid.shape, int)
    for tile in grid.tiles():
        count[tile.y, tile.x] += 1
        assert grid.tile_of(tile.id) == tile
    assert (count == 1).all() and len(grid) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(crs="EPSG:4326"), "projected grid in metres"),
        (dict(crs="EPSG:2227"), "is in US survey foot"),
        (dict(west=638_003.0), "snap it to 638000"),
        (dict(shape=(0, 5)), "empty"),
    ],
)
def test_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Grid(**({"crs": "EPSG:2154", "west": 638_000.0, "north": 6_851_000.0, "pixel": 10.0, "shape": (5, 5)} | change))
