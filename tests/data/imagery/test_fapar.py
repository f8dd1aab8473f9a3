"""fAPAR of Sentinel-2 bands: published pairs of input and output, saturation, the domain of training, a real year."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.imagery.cube import cube_scenes
from hybridflux.data.imagery.fapar import ANGLES, BANDS, LARGEST, fapar, network
from hybridflux.data.imagery.indices import bands_needed, compute
from hybridflux.data.vegetation import fapar_of_ndvi
from tests.reference import rows

PUBLISHED = np.array([[*row.values()] for row in rows("fapar_sentinel2.csv")])  # eight bands, three cosines, fAPAR
SATURATED = np.array([0.075652, 0.023138, 0.074902, 0.39847, 0.5433, 0.60505, 0.20679, 0.07003, 0.9227, 0.3549, 0.56481])


def test_published_pairs():
    np.testing.assert_allclose(network(PUBLISHED[:, :11].T), PUBLISHED[:, 11], atol=2e-5)
    assert network(SATURATED) == LARGEST


def test_angles_are_degrees_and_their_difference_counts():
    inputs = PUBLISHED[3]
    bands = {band: np.array([[value]]) for band, value in zip(BANDS, inputs, strict=False)}
    view, sun, turn = np.degrees(np.arccos(inputs[8:11]))
    for north in (0.0, 170.0, 350.0):
        angles = {"view_zenith": view, "sun_zenith": sun, "sun_azimuth": (north + turn) % 360, "view_azimuth": north}
        assert fapar(bands | angles)[0, 0] == pytest.approx(inputs[11], abs=2e-5)


@pytest.mark.parametrize(("band", "value"), [(1, 0.35), (5, -0.05), (7, np.nan)])
def test_outside_the_training_data_there_is_no_fapar(band, value):
    inputs = PUBLISHED[4, :11].copy()
    inputs[band] = value
    assert np.isnan(network(inputs))


def test_a_missing_angle_is_named():
    with pytest.raises(ValueError, match="missing are B12, view_zenith"):
        fapar(dict.fromkeys((*BANDS[:-1], *ANGLES[1:]), 0.1))


def test_a_year_of_flanders_follows_the_line_from_ndvi_and_lies_below(shared, catalog):
    """Green fAPAR of the network is lower than 1.24 NDVI - 0.168 by 0.04 on average there (53 dates of 2017-18) and goes with it."""
    grid = GeoBox((64, 64), Affine(10, 0, 501360, 0, -10, 5629680), "EPSG:32631")
    year = np.datetime64("2018-01-01"), np.datetime64("2018-09-30")
    scenes = cube_scenes(catalog["sentinel-2-l2a-cube"], str(shared / "data" / "eo" / "flanders_s2"), grid, *year)[::6]
    bands = bands_needed(["ndvi", "fapar"], scenes[0].origin["bands"])
    pairs = []
    for scene in scenes:
        reflectance = scene.read(grid, bands)
        both = np.stack([compute("fapar", reflectance), fapar_of_ndvi(compute("ndvi", reflectance))])
        pairs.append(both[:, np.isfinite(both).all(axis=0)])
    network_, line = np.concatenate(pairs, axis=1)
    assert len(line) > 5000 and 0.0 <= network_.min() and network_.max() <= LARGEST
    assert np.corrcoef(network_, line)[0, 1] > 0.9
    assert -0.08 < (network_ - line).mean() < -0.01
