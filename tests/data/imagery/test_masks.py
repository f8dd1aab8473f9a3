"""What is clear: by classes and by bits, grown in metres, the same for every window."""

import numpy as np
import pytest

from hybridflux.data.catalog import Mask
from hybridflux.data.imagery.masks import NO_LABEL, clear, margin

SCL = Mask(band="SCL", clear=(4, 5))


def test_only_the_named_classes_are_clear():
    labels = np.arange(12).reshape(3, 4)
    assert np.flatnonzero(clear(SCL, labels, 20.0)).tolist() == [4, 5]


def test_a_pixel_is_cloudy_if_any_of_the_bits_is_set():
    mask = Mask(band="CLM", cloudy_bits=(1, 7))
    labels = np.array([[0, 1, 2, 3, 4, 128, 125, NO_LABEL]])
    assert clear(mask, labels, 20.0).tolist() == [[True, True, False, False, True, False, True, False]]


def test_cloud_grows_by_metres_to_all_sides():
    labels = np.full((21, 21), 4)
    labels[10, 10] = 9
    rows, columns = np.indices(labels.shape)
    for pixel, grow in ((10.0, 40.0), (20.0, 40.0), (10.0, 35.0)):
        distance = pixel * np.hypot(rows - 10, columns - 10)
        np.testing.assert_array_equal(clear(SCL.model_copy(update={"grow": grow}), labels, pixel), distance > grow)


def test_the_edge_of_an_image_does_not_grow():
    labels = np.full((5, 5), 4)
    labels[:, :2] = NO_LABEL
    assert clear(SCL.model_copy(update={"grow": 40.0}), labels, 10.0).tolist() == [[False, False, True, True, True]] * 5


def test_the_margin_is_enough_for_the_same_result_in_a_window():
    rng = np.random.default_rng(1)
    labels = np.where(rng.random((60, 60)) < 0.01, 9, 4)
    mask = SCL.model_copy(update={"grow": 55.0})
    rim = margin(mask, 10.0)
    whole = clear(mask, labels, 10.0)[20:40, 20:40]
    assert rim == 5 and 0.2 < whole.mean() < 0.9
    np.testing.assert_array_equal(clear(mask, labels[20 - rim : 40 + rim, 20 - rim : 40 + rim], 10.0)[rim:-rim, rim:-rim], whole)


def test_labels_must_be_integers():
    with pytest.raises(ValueError, match="SCL.*window.labels"):
        clear(SCL, np.array([[4.0, np.nan]]), 10.0)
