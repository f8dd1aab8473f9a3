"""What is clear: by classes and by bits, grown in metres, the same for every window."""

from functools import partial

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Mask
from hybridflux.data.imagery.masks import NO_LABEL, clear, clear_on, cloudy, cloudy_on
from hybridflux.data.imagery.window import Image, labels

SCL = Mask(band="SCL", clear=(4, 5))


def test_only_the_named_classes_are_clear():
    classes = np.arange(12).reshape(3, 4)
    assert np.flatnonzero(clear(SCL, classes, 20.0)).tolist() == [4, 5]


def test_a_pixel_is_cloudy_if_any_of_the_bits_is_set():
    mask = Mask(band="CLM", cloudy_bits=(1, 7))
    bits = np.array([[0, 1, 2, 3, 4, 128, 125, NO_LABEL]])
    assert clear(mask, bits, 20.0).tolist() == [[True, True, False, False, True, False, True, False]]


def test_cloud_grows_by_metres_to_all_sides():
    classes = np.full((21, 21), 4)
    classes[10, 10] = 9
    rows, columns = np.indices(classes.shape)
    for pixel, grow in ((10.0, 40.0), (20.0, 40.0), (10.0, 35.0)):
        distance = pixel * np.hypot(rows - 10, columns - 10)
        np.testing.assert_array_equal(clear(SCL.model_copy(update={"grow": grow}), classes, pixel), distance > grow)


def test_what_is_hidden_is_neither_clear_nor_unknown():
    classes = np.array([[4, 9, 4, NO_LABEL]])
    assert cloudy(SCL, classes, 10.0).tolist() == [[False, True, False, False]]
    assert clear(SCL, classes, 10.0).tolist() == [[True, False, True, False]]
    grid = GeoBox((1, 2), Affine(20.0, 0, 500000, 0, -20.0, 5600000), "EPSG:32631")
    assert cloudy_on(SCL, grid, lambda fine: classes.repeat(2, axis=0), 10.0).tolist() == [[True, False]]


def test_the_edge_of_an_image_does_not_grow():
    classes = np.full((5, 5), 4)
    classes[:, :2] = NO_LABEL
    assert clear(SCL.model_copy(update={"grow": 40.0}), classes, 10.0).tolist() == [[False, False, True, True, True]] * 5


@pytest.mark.parametrize("grow", [0.0, 55.0])
@pytest.mark.parametrize("size", [10.0, 20.0])
def test_a_window_has_the_clear_land_of_the_whole(grow, size):
    grid = GeoBox((60, 60), Affine(size, 0, 500000, 0, -size, 5600000), "EPSG:32631")
    rng = np.random.default_rng(1)
    image = Image("SCL", grid, lambda roi: stored[roi])
    stored = np.where(rng.random(grid.shape.yx) < 0.01, 9, 4).astype(np.uint8)
    mask = SCL.model_copy(update={"grow": grow})
    whole = clear_on(mask, grid, partial(labels, image), size)
    assert 0.2 < whole.mean() < 1.0
    np.testing.assert_array_equal(clear_on(mask, grid[20:40, 30:45], partial(labels, image), size), whole[20:40, 30:45])


@pytest.mark.parametrize("finer", [2, 49])  # 1 / 49 of a pixel, 49 times, is a little less than a pixel
def test_a_large_pixel_is_clear_if_all_labels_in_it_are(finer):
    grid = GeoBox((3, 4), Affine(10.0 * finer, 0, 500000, 0, -10.0 * finer, 5600000), "EPSG:32631")
    fine = grid.zoom_to((3 * finer, 4 * finer))
    stored = np.full(fine.shape.yx, 4, np.uint8)
    stored[finer, 2 * finer - 1] = 9
    clear_land = clear_on(SCL, grid, partial(labels, Image("SCL", fine, lambda roi: stored[roi])), 10.0)
    assert np.argwhere(~clear_land).tolist() == [[1, 1]]


def test_labels_must_be_integers():
    with pytest.raises(ValueError, match="SCL.*window.labels"):
        clear(SCL, np.array([[4.0, np.nan]]), 10.0)
