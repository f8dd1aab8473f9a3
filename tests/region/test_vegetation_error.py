"""The errors of vegetation in the fluxes: nothing where there is none, coherent where there is, refused where it is not known."""

import jax.numpy as jnp
import numpy as np
import pytest
import zarr

from hybridflux.data.gaps import trailing_mean
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sources import Neural, Pooled
from hybridflux.process import light, respiration
from hybridflux.products.totals import open_totals
from hybridflux.region.draws.spread import Draws, Spread
from hybridflux.region.draws.vegetation_error import (
    CalibrationLineError,
    VegetationError,
    VegetationErrorDraws,
    draw_vegetation_error,
    sd_of,
)
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

DAYS = np.arange("2020-01-01", "2023-01-01", dtype="datetime64[D]")
WITH = {"draws": Draws(12, Spread.vegetation_error, seed=3)}
LINE = VegetationError(30.0, {"all": CalibrationLineError(0.1)})


def with_error(path, make_region, sd, error, **more):
    """A made-up region whose fapar has a standard deviation."""
    writer = make_region(path, daily={sd_of("fapar"): error.attributes()}, **more)
    fapar = zarr.open_array(path / "fapar", mode="r")[:] * np.float32(1e-4)
    writer.write_all(fapar, fapar_sd=sd * fapar)
    return path


def green_region(path, make_region, sds, errors):
    """A made-up region with NIRv and LSWI, and standard deviations of those that are named."""
    layers = {"nirv": {}, "lswi": {}} | {sd_of(name): errors[name].attributes() for name in sds}
    writer = make_region(path, size=(12, 12), tile=12, days=("2018-01-01", "2018-08-31"), daily=layers)
    fapar = zarr.open_array(path / "fapar", mode="r")[:] * np.float32(1e-4)
    series = {"nirv": 0.4 * fapar, "lswi": 0.6 * fapar - 0.2}
    writer.write_all(fapar, **series, **{sd_of(name): np.full_like(fapar, sd) for name, sd in sds.items()})
    return path


@pytest.fixture(scope="module")
def posterior(make_posterior):
    return make_posterior(draws=12)


@pytest.fixture(scope="module")
def green_posterior():
    """Draws of a model that reads NIRv in its physics and LSWI in a network of the day."""
    source = Pooled(Neural("lswi", "vpd", width=4))
    model = HybridFlux(gpp=(light.absorbed_green,), reco=(respiration.basal,), memory=(), sources={"light_use_efficiency": source})
    model = with_places(model, {"site": 2})
    random = np.random.default_rng(1)
    values = {name: jnp.asarray(0.5 * random.normal(size=(12, *leaf.shape)), jnp.float32) for name, leaf in learned(model).items()}
    values |= {name: jnp.repeat(leaf[:1], 12, 0) for name, leaf in values.items() if name.endswith(("w1", "b1", "w2"))}  # one member
    return Posterior(with_learned(model, values), Indices(("a", "b"), (2018,)), info={})


@pytest.fixture
def short(posterior):
    return dict(draws=Draws(posterior.draws, seed=3), period=Period("2018-05-01", "2018-08-31"))


def annual(run, flux="NEE"):
    group = zarr.open_group(run / "fluxes.zarr", mode="r")["annual"]
    return group[flux][:], group[f"{flux}_sd"][:]


def gpp_of_draws(run):
    return open_totals(run).total["GPP"][:].sum(axis=(0, 1))


def test_no_error_changes_nothing(tmp_path, make_region, posterior, short):
    region = with_error(tmp_path / "r.zarr", make_region, 0.0, VegetationError(30.0))
    map_region(posterior, region, tmp_path / "without", **short)
    map_region(posterior, region, tmp_path / "with", **short | WITH)
    for name, values in zip(("mean", "sd"), zip(annual(tmp_path / "without"), annual(tmp_path / "with"), strict=True), strict=True):
        np.testing.assert_array_equal(*values, err_msg=name)


def test_an_error_widens_and_the_line_widens_a_region_as_much_as_a_pixel(tmp_path, make_region, posterior, short):
    region = with_error(tmp_path / "r.zarr", make_region, 0.0, LINE)
    map_region(posterior, region, tmp_path / "without", **short)
    map_region(posterior, region, tmp_path / "with", **short | WITH)
    added = gpp_of_draws(tmp_path / "with") / gpp_of_draws(tmp_path / "without") - 1.0  # of each draw: the line moves all pixels together
    drawn = np.asarray(draw_vegetation_error("fapar", LINE, DAYS[:1], len(added), short["draws"].seed).offset)[0]
    assert np.corrcoef(added, drawn)[0, 1] > 0.8  # the rest: denser leaves dry the soil sooner
    assert 0.2 < np.std(added) / np.std(drawn / 0.75) < 1.2  # GPP goes at most with fapar, whose mean is about 0.75 in summer


def test_each_map_that_the_model_reads_has_its_own_error(tmp_path, make_region, green_posterior, short):
    """GPP of a draw follows the drawn offset of NIRv where its line is the error, and changes with that of LSWI through the network."""
    none = VegetationError(30.0)

    def added(name, sds, errors):
        region = green_region(tmp_path / f"{name}.zarr", make_region, sds, {"nirv": none, "lswi": none} | errors)
        map_region(green_posterior, region, tmp_path / f"{name}-without", **short)
        map_region(green_posterior, region, tmp_path / f"{name}-with", **short | WITH)
        return gpp_of_draws(tmp_path / f"{name}-with") / gpp_of_draws(tmp_path / f"{name}-without") - 1.0

    exact = {"nirv": 0.0, "lswi": 0.0}
    np.testing.assert_allclose(added("none", exact, {}), 0.0, atol=1e-6)
    of_line = added("line", exact, {"nirv": VegetationError(30.0, {"all": CalibrationLineError(0.02)})})
    drawn = np.asarray(draw_vegetation_error("nirv", VegetationError(30.0, {"all": CalibrationLineError(0.02)}), DAYS[:1], 12, 3).offset)[0]
    np.testing.assert_allclose(of_line / drawn, np.median(of_line / drawn), rtol=0.05)  # proportional, but for the weather of its days
    of_series = added("series", exact | {"lswi": 0.1}, {})
    assert 0.001 < np.std(of_series) < 0.2 and abs(np.corrcoef(of_series, of_line)[0, 1]) < 0.9


def test_tiles_do_not_matter(tmp_path, make_region, posterior, short):
    error = VegetationError(20.0, {"all": CalibrationLineError(0.05, 0.1, -0.5), "GRA": CalibrationLineError(0.02, 0.3)})

    def run(tile):
        region = with_error(tmp_path / f"r{tile}.zarr", make_region, 0.1, error, tile=tile)
        map_region(posterior, region, tmp_path / f"run{tile}", **short | WITH)
        return open_totals(tmp_path / f"run{tile}").total["NEE"][:].sum(axis=0)

    np.testing.assert_allclose(run(10), run(24), rtol=1e-5)


def test_draws_are_what_they_say():
    error = VegetationError(25.0, {"all": CalibrationLineError(0.04, 0.2, -0.7), "DBF": CalibrationLineError(0.08)})
    draws, other = (draw_vegetation_error(name, error, DAYS[:200], 4000, seed=1) for name in ("nirv", "lswi"))
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
    fewer = draw_vegetation_error("nirv", error, DAYS[:200], 10, seed=1)
    np.testing.assert_array_equal(fewer.path, draws.path[:, :10])
    for one, another in ((draws.path[0], other.path[0]), (offset, other.offset[PLANT_TYPES.index("CRO")])):
        assert abs(np.corrcoef(one, another)[0, 1]) < 0.06, "maps err independently"


def test_runs_of_different_periods_have_the_errors_of_one_run_of_both():
    """Every run began its errors anew with the same numbers: those of two years were the same, and their difference too certain."""
    of = {(first, last): np.asarray(draw_vegetation_error("nirv", VegetationError(30.0), DAYS[first:last], 600, 1).path)
          for first, last in ((0, 1096), (0, 366), (366, 1096), (700, 800))}  # fmt: skip
    for (first, last), path in of.items():
        np.testing.assert_allclose(path, of[0, 1096][first:last], atol=2e-6)
    assert abs(np.mean(of[0, 366][:200] * of[366, 1096][:200])) < 0.05
    later = np.asarray(draw_vegetation_error("nirv", VegetationError(30.0), DAYS[300:310] - 300 * 365, 4, 1).path)  # before 1970
    assert np.all(np.isfinite(later)) and later.std() > 0.1


@pytest.mark.parametrize(("name", "low", "high"), [("fapar", 0.0, 1.0), ("lswi", -1.0, 1.0)])
def test_a_map_stays_within_its_bounds(name, low, high):
    none = np.zeros((len(PLANT_TYPES), 2), np.float32)
    draws = VegetationErrorDraws(np.array([[9.0, -9.0]], np.float32), none, none)
    today = {name: np.array([0.5, 0.9], np.float32), sd_of(name): np.array([0.3, 0.3], np.float32)}
    np.testing.assert_allclose(np.asarray(draws.drawn(name, today, 0, 3)), [[high, high], [low, low]])


def test_a_running_mean_has_the_errors_of_its_days():
    """What a network reads as `nirv_30d` is the running mean of the nirv that the draw has."""
    of_type = PLANT_TYPES.index("CRO")
    draws = draw_vegetation_error("nirv", VegetationError(20.0, {"all": CalibrationLineError(0.02, 0.1, 0.5)}), DAYS[:90], 3, seed=2)
    nirv, sd = np.random.default_rng(0).uniform(0.2, 0.4, 90), np.full(90, 0.03)
    of_days = np.array([draws.drawn("nirv", {"nirv": nirv[[day]], "nirv_sd": sd[[day]]}, day, of_type)[:, 0] for day in range(90)])
    means, of_means = trailing_mean(nirv, 30), draws.of_history(30)
    for day in (0, 12, 80):
        today = {"nirv_30d": means[[day]], sd_of("nirv_30d"): sd[[day]]}
        found = of_means.drawn("nirv_30d", today, day, of_type)[:, 0]
        np.testing.assert_allclose(found, trailing_mean(of_days, 30)[day], rtol=1e-5)


def test_a_region_without_sd_is_refused(tmp_path, make_region, posterior, green_posterior, short):
    make_region(tmp_path / "r.zarr")
    with pytest.raises(ValueError, match="errors of fapar, and .* does not hold fapar_sd; build the region"):
        map_region(posterior, tmp_path / "r.zarr", tmp_path / "run", **short | WITH)
    green_region(tmp_path / "g.zarr", make_region, {"nirv": 0.02}, {"nirv": VegetationError(30.0)})
    with pytest.raises(ValueError, match="errors of lswi and nirv, and .* does not hold lswi_sd; build the region"):
        map_region(green_posterior, tmp_path / "g.zarr", tmp_path / "run", **short | WITH)


def test_attributes_survive():
    error = VegetationError(25.0, {"all": CalibrationLineError(0.04, 0.2, -0.7)})
    assert VegetationError.of(error.attributes() | {"units": "1"}) == error
