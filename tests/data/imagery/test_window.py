"""A raster file onto a grid: copied, averaged, moved to another projection; nothing smeared, nothing half read."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.imagery import window
from hybridflux.data.imagery.masks import NO_LABEL


@pytest.fixture
def ramp(tmp_path, write_raster, box):
    """A file of 60 x 60 pixels whose values are all different, with a square of nodata."""
    values = np.arange(1, 3601, dtype=np.uint16).reshape(60, 60)
    values[30:41, 30:41] = 0
    return window.raster(str(write_raster(tmp_path / "ramp.tif", values, box())), 1, 0), np.where(values == 0, np.nan, values)


def test_aligned_pixels_are_copied_and_the_rest_is_missing(ramp, box):
    image, values = ramp
    part = window.values(image, box(30, west=600000.0 - 100.0, north=4900020.0 - 100.0))
    np.testing.assert_array_equal(part[:, 10:], values[10:40, :20])
    assert np.isnan(part[:, :10]).all() and part.dtype == np.float32
    assert np.isnan(window.values(image, box(10, west=700000.0))).all()


def test_a_finer_grid_repeats_and_a_coarser_one_averages_what_is_known(ramp, box):
    image, values = ramp
    np.testing.assert_array_equal(window.values(image, box(120, 5.0)), values.repeat(2, 0).repeat(2, 1))
    np.testing.assert_allclose(window.values(image, box(15, 40.0)), _means(values, 4), rtol=1e-6)


def _means(values, by):
    blocks = values.reshape(len(values) // by, by, -1, by)
    known = np.isfinite(blocks).sum(axis=(1, 3))
    return np.where(known > 0, np.nansum(blocks, axis=(1, 3)) / np.maximum(known, 1), np.nan)


def test_another_projection_takes_measured_values_and_never_nodata(ramp, box):
    image, values = ramp
    middle = box().extent.to_crs("EPSG:2154").centroid.coords[0]
    west, north = round(middle[0], -1) - 200.0, round(middle[1], -1) + 200.0
    grid = GeoBox((40, 40), Affine(10, 0, west, 0, -10, north), "EPSG:2154")
    got = window.values(image, grid)
    known = np.isfinite(got)
    assert 0.85 < known.mean() < 0.97  # the square of nodata, 121 of 1600 pixels
    assert np.isin(got[known], values[np.isfinite(values)]).all()
    x, y = grid.pix2wld(20.5, 5.5)
    from pyproj import Transformer

    east, up = Transformer.from_crs("EPSG:2154", "EPSG:32631", always_xy=True).transform(x, y)
    assert got[5, 20] == values[int((4900020.0 - up) // 10), int((east - 600000.0) // 10)]


def test_labels_are_never_averaged(tmp_path, write_raster, box):
    labels = np.tile([[4, 9], [0, 4]], (30, 30)).astype(np.uint8)
    image = window.raster(str(write_raster(tmp_path / "scl.tif", labels, box())), 1, 0)
    assert set(np.unique(window.labels(image, box(20, 30.0)))) <= {NO_LABEL, 4, 9}
    np.testing.assert_array_equal(window.labels(image, box()), np.where(labels == 0, NO_LABEL, labels.astype(int)))
    assert (window.labels(image, box(4, west=0.0)) == NO_LABEL).all()


def test_a_file_without_coordinate_system_is_refused(tmp_path, write_raster, box):
    path = write_raster(tmp_path / "bare.tif", np.ones((60, 60), np.uint16), box(), crs=False)
    with pytest.raises(ValueError, match="bare.tif has no coordinate system; set the one"):
        window.raster(str(path))


@pytest.mark.parametrize("name", ["image.tif", "image.jp2"])
def test_a_truncated_file_is_named_and_nothing_of_it_is_used(tmp_path, write_raster, box, truncated, name):
    noise = np.random.default_rng(0).integers(1, 10000, (1200, 1200)).astype(np.uint16)
    path = truncated(write_raster(tmp_path / name, noise, box(1200)))
    with pytest.raises(ValueError, match=rf"{name} is incomplete or damaged .*download it again"):
        window.values(window.raster(str(path)), box(1200))


def test_a_missing_file_and_a_missing_band(ramp, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.tif"):
        window.raster(str(tmp_path / "nothing.tif"))
    with pytest.raises(ValueError, match="has 1 bands, not 2"):
        window.raster(ramp[0].name, 2)
