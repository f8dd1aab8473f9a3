"""The error of fapar in the fluxes: nothing where there is none, coherent where there is, refused where it is not known."""

import numpy as np
import pytest
import zarr

from hybridflux.products.totals import open_totals
from hybridflux.region.draws.fapar_error import SD, LineError, VegetationDraws, VegetationError, vegetation_draws
from hybridflux.region.draws.spread import Draws, Spread
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

WITH = {"draws": Draws(12, Spread.fapar_error, seed=3)}


def with_error(path, make_region, sd, error):
    """A made-up region whose fapar has a standard deviation."""
    writer = make_region(path, daily={SD: error.attributes()})
    fapar = zarr.open_array(path / "fapar", mode="r")[:] * np.float32(1e-4)
    for tile in writer.grid.tiles():
        part = fapar[:, tile.y, tile.x]
        writer.write(tile, part, fapar_sd=np.full_like(part, sd))
    return path


@pytest.fixture(scope="module")
def posterior(make_posterior):
    return make_posterior(draws=12)


@pytest.fixture
def short(posterior):
    return dict(draws=Draws(posterior.draws, seed=3), period=Period("2018-05-01", "2018-08-31"))


def annual(run, flux="NEE"):
    group = zarr.open_group(run / "fluxes.zarr", mode="r")["annual"]
    return group[flux][:], group[f"{flux}_sd"][:]


def test_no_error_changes_nothing(tmp_path, make_region, posterior, short):
    region = with_error(tmp_path / "r.zarr", make_region, 0.0, VegetationError(30.0))
    map_region(posterior, region, tmp_path / "without", **short)
    map_region(posterior, region, tmp_path / "with", **short | WITH)
    for name, values in zip(("mean", "sd"), zip(annual(tmp_path / "without"), annual(tmp_path / "with"), strict=True), strict=True):
        np.testing.assert_array_equal(*values, err_msg=name)


def test_an_error_widens_and_the_line_widens_a_region_as_much_as_a_pixel(tmp_path, make_region, posterior, short):
    region = with_error(tmp_path / "r.zarr", make_region, 0.0, VegetationError(30.0, {"all": LineError(0.1)}))
    map_region(posterior, region, tmp_path / "without", **short)
    map_region(posterior, region, tmp_path / "with", **short | WITH)
    spread = {name: open_totals(tmp_path / name).total["GPP"][:].sum(axis=(0, 1)) for name in ("without", "with")}
    added = spread["with"] / spread["without"] - 1.0  # of each draw: the line moves all pixels together
    drawn = np.asarray(vegetation_draws(VegetationError(30.0, {"all": LineError(0.1)}), 1, len(added), short["draws"].seed).offset)[0]
    assert np.corrcoef(added, drawn)[0, 1] > 0.8  # the rest: denser leaves dry the soil sooner
    assert 0.2 < np.std(added) / np.std(drawn / 0.75) < 1.2  # GPP goes at most with fapar, whose mean is about 0.75 in summer


def test_tiles_do_not_matter(tmp_path, make_region, posterior, short):
    error = VegetationError(20.0, {"all": LineError(0.05, 0.1, -0.5), "GRA": LineError(0.02, 0.3)})

    def run(tile):
        region = tmp_path / f"r{tile}.zarr"
        writer = make_region(region, tile=tile, daily={SD: error.attributes()})
        fapar = zarr.open_array(region / "fapar", mode="r")[:] * np.float32(1e-4)
        for one in writer.grid.tiles():
            writer.write(one, fapar[:, one.y, one.x], fapar_sd=0.1 * fapar[:, one.y, one.x])
        map_region(posterior, region, tmp_path / f"run{tile}", **short | WITH)
        return open_totals(tmp_path / f"run{tile}").total["NEE"][:].sum(axis=0)

    np.testing.assert_allclose(run(10), run(24), rtol=1e-5)


def test_draws_are_what_they_say():
    error = VegetationError(25.0, {"all": LineError(0.04, 0.2, -0.7), "DBF": LineError(0.08)})
    draws = vegetation_draws(error, 200, 4000, seed=1)
    offset, slope = draws.offset[PLANT_TYPES.index("CRO")], draws.slope[PLANT_TYPES.index("CRO")]
    assert np.std(offset) == pytest.approx(0.04, rel=0.05) and np.std(slope) == pytest.approx(0.2, rel=0.05)
    assert np.corrcoef(offset, slope)[0, 1] == pytest.approx(-0.7, abs=0.03)
    woods = PLANT_TYPES.index("DBF")
    np.testing.assert_allclose(draws.offset[woods], 2 * offset, rtol=1e-5)
    assert not np.any(draws.slope[woods])
    path = np.asarray(draws.path)
    assert path.std() == pytest.approx(1.0, abs=0.02)
    lagged = np.mean(path[:-25] * path[25:])
    assert lagged == pytest.approx(np.exp(-1.0), abs=0.03)
    fewer = vegetation_draws(error, 200, 10, seed=1)
    np.testing.assert_array_equal(fewer.path, draws.path[:, :10])


def test_fapar_stays_between_zero_and_one():
    none = np.zeros((len(PLANT_TYPES), 2), np.float32)
    draws = VegetationDraws(np.array([[5.0, -5.0]], np.float32), none, none)
    found = np.asarray(draws.drawn(np.array([0.5, 0.9], np.float32), np.array([0.3, 0.3], np.float32), 0, 3))
    np.testing.assert_allclose(found, [[1.0, 1.0], [0.0, 0.0]])


def test_a_region_without_sd_is_refused(tmp_path, make_region, posterior, short):
    make_region(tmp_path / "r.zarr")
    with pytest.raises(ValueError, match="fapar_sd.*region build"):
        map_region(posterior, tmp_path / "r.zarr", tmp_path / "run", **short | WITH)


def test_attributes_survive():
    error = VegetationError(25.0, {"all": LineError(0.04, 0.2, -0.7)})
    assert VegetationError.of(error.attributes() | {"units": "1"}) == error
