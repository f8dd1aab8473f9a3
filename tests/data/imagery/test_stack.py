"""The real stack of Bouconne: seven dates of ten bands in one file."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.imagery.indices import compute
from hybridflux.data.imagery.stack import stack_scenes

DATES = "2018-04-29,2018-05-13,2018-07-08,2018-08-15,2018-09-15,2018-10-15,2018-11-15"
GRID = GeoBox((246, 227), Affine(10, 0, 356040, 0, -10, 4835680), "EPSG:32631")
FIRST, LAST = np.datetime64("2018-01-01"), np.datetime64("2018-12-31")


@pytest.fixture
def place(shared):
    return str(shared / "data" / "eo" / "bouconne_theia_l3a" / "2018_3A_Theia_Bouconne.tif")


@pytest.fixture
def dataset(catalog):
    return catalog["theia-l3a-stack"]


def test_each_date_has_its_ten_bands(place, dataset):
    scenes = stack_scenes(dataset, f"{place}#{DATES}", GRID, FIRST, LAST)
    assert ",".join(str(scene.day) for scene in scenes) == DATES
    import rasterio

    with rasterio.open(place) as file:
        stored = file.read()
    for number, scene in enumerate(scenes):
        got = scene.read(GRID, ("B02", "B08", "B12"))
        for band, position in (("B02", 0), ("B08", 3), ("B12", 9)):
            np.testing.assert_allclose(got[band], stored[10 * number + position] * 1e-4, atol=1e-7)


def test_the_deciduous_forest_loses_its_green_in_november(place, dataset):
    scenes = stack_scenes(dataset, f"{place}#{DATES}", GRID, FIRST, LAST)
    median = [np.median(compute("ndvi", scene.read(GRID, ("B08", "B04")))) for scene in scenes]
    assert min(median[:4]) > 0.8 and median[6] < min(median[:6]) - 0.05


@pytest.mark.parametrize(
    ("dates", "fault"),
    [
        ("", "it names no dates"),
        ("#2018-04-29,2018-13", "`2018-13` is not a date"),
        ("#2018-04-29,2018-04-29", "a date repeats"),
        ("#2018-04-29,2018-05-13", r"has 70 bands; 2 dates of 10 bands \(B02, .*\) are 20"),
    ],
)
def test_dates_that_do_not_fit_are_refused(place, dataset, dates, fault):
    with pytest.raises(ValueError, match=fault):
        stack_scenes(dataset, place + dates, GRID, FIRST, LAST)
