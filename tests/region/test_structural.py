"""The structural error of a region: its size in a year, its memory, its correlation in space, and what towers say of it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from hybridflux.inference.conditioned_error import structural_error_given
from hybridflux.inference.tower_residuals import TowerResiduals
from hybridflux.model import structural_covariance
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.sources import to_raw
from hybridflux.model.structural_covariance import Errors, Periods
from hybridflux.model.structural_error import LEVEL, StructuralError
from hybridflux.region.draws.field_basis import FieldBasis
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.draws.spread import Draws
from hybridflux.region.draws.structural_field import StructuralField
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

VALUES = {"structural_floor": 0.5, "structural_slope": 0.3, "structural_days": 30.0, "structural_year": 0.08}
DRAWS = 3000
PERSISTENT = {"structural_recurring": 0.7, "structural_transient_days": 15.0, "structural_place": 0.1}
"""Beside `VALUES`, which are those of files of earlier versions."""
NOISE = {"noise_floor": 0.3, "noise_slope": 0.1}
GRID = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (100, 100), 100)


def structure_of(**values):
    raw = {name: jnp.asarray([to_raw(value, PARAMETERS[name])], jnp.float32) for name, value in {**values, **NOISE}.items()}
    return StructuralError(raw)


def months_of(first, end):
    month = np.arange(np.datetime64(first, "M"), np.datetime64(end, "M"))
    return Periods(*((month + step).astype("datetime64[D]").astype(int) for step in (0, 1)))


def field_of(months, draws, basis, residuals=None, **values):
    structure = structure_of(**{name: value for name, value in values.items() if name != LEVEL}).of_draws(draws)
    of_types = {LEVEL: values.get(LEVEL, 0.0)} | {name: np.asarray(one, float) for name, one in structure.values().items()}
    hyperparameters = {name: np.broadcast_to(one, (len(PLANT_TYPES), draws)) for name, one in of_types.items()}
    return StructuralField(basis, months, 3, hyperparameters, ("A", "B"), residuals)


def error_of(end, third_times=1.0, **more):
    """The error [gC] of cells of 1, 3 and 1 m2 and GPP = RECO = 4 gC m-2 d-1 from 2018 on; the third is of another plant type.

    The sizes of the error of that type are those of the others times `third_times`.
    """
    months, basis = months_of("2018-01", end), FieldBasis(EffectCorrelation(1e8), (), GRID)
    area, kinds = np.array([1.0, 3.0, 1.0]), np.array([4, 4, 9])
    days = months.end - months.first
    carbon = 4.0 * np.ones((3, len(days), 2, DRAWS)) * days[:, None, None] * area[:, None, None, None]
    points = np.array([[GRID.x[0], GRID.y[0]], [GRID.x[-1], GRID.y[50]], [GRID.x[3], GRID.y[3]]])
    field = field_of(months, DRAWS, basis, **VALUES, **more)
    for name in ("structural_floor", "structural_slope", "structural_year", "structural_place"):
        field.hyperparameters[name] = np.where(np.arange(len(PLANT_TYPES)) == 9, third_times, 1.0)[:, None] * field.hyperparameters[name]
    return field.error(carbon, area, kinds, basis.at(points) * area[:, None])


@pytest.fixture(scope="module")
def error():
    return error_of("2019-01")


def test_the_level_of_a_plant_type_scales_the_error_of_its_cells():
    plain, scaled = error_of("2018-02"), error_of("2018-02", structural_level=0.7)
    np.testing.assert_allclose(scaled, np.exp(0.7) * plain, rtol=1e-9)


def test_cells_have_the_hyperparameters_of_their_plant_type():
    plain, scaled = error_of("2018-02"), error_of("2018-02", third_times=2.0)
    np.testing.assert_allclose(scaled, np.array([1.0, 1.0, 2.0])[:, None, None] * plain, rtol=1e-9)


def test_its_mean_over_the_draws_is_zero_so_that_budgets_agree_with_maps(error):
    np.testing.assert_allclose(error.mean(axis=-1), 0.0, atol=1e-9)


def test_an_annual_sum_is_as_wide_as_the_equations_say(error):
    # persistence over 365 d: 0.1509 of 30 d, 0.7443 of 400 d
    weeks, years = 0.5 + 0.3 * 4.0, 0.08 * 4.0
    x = 365.0 / 400.0
    lasting = 2.0 / x - 2.0 * (1.0 - np.exp(-x)) / x**2
    expected = 365.0 * np.sqrt(weeks**2 * 0.15086 + years**2 * lasting)
    assert error[0].sum(axis=0).std() == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(error[1], 3.0 * error[0], rtol=1e-3, atol=0.02, err_msg="neighbours err alike")
    assert error[2].sum(axis=0).std() == pytest.approx(expected, rel=0.05)
    assert abs(np.corrcoef(error[0].sum(axis=0), error[2].sum(axis=0))[0, 1]) < 0.06  # plant types err independently


def test_months_remember_the_month_before(error):
    rate = error[0] / np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[:, None]
    assert 0.3 < np.corrcoef(rate[5], rate[6])[0, 1] < 0.6
    assert abs(np.corrcoef(rate[0], rate[9])[0, 1]) < 0.1


def test_two_years_share_what_lasts_so_that_their_difference_is_known_better():
    found = error_of("2020-01", **PERSISTENT)[0].reshape(2, 12, DRAWS).sum(axis=1)
    x, weeks = 365.0 / 400.0, (0.5 + 0.3 * 4.0) ** 2 * 0.07881  # what does not come again: 2 / y - 2 (1 - exp(-y)) / y^2, y = 365 / 15
    of_years, again = 2.0 / x - 2.0 * (1.0 - np.exp(-x)) / x**2, np.exp(-x) * (np.sinh(x / 2) / (x / 2)) ** 2
    season = (1.7**2) * (1.0 - np.exp(-365.0 / 60.0)) * 60.0 / 365.0  # the recurring part closes the circle of a year
    year = 0.3 * weeks + 0.7 * season + (0.08 * 4.0) ** 2 * of_years + (0.1 * 4.0) ** 2
    difference = 2.0 * (0.3 * weeks + 0.7 * season * (1.0 - np.exp(-0.1)) + (0.08 * 4.0) ** 2 * (of_years - again))
    assert found[1].std() == pytest.approx(365.0 * year**0.5, rel=0.05)
    assert (found[1] - found[0]).std() == pytest.approx(365.0 * difference**0.5, rel=0.05)


def test_the_covariance_of_means_is_the_mean_over_pairs_of_days():
    periods, others = Periods(np.array([3, 40]), np.array([31, 500])), Periods(np.array([0, 365, 20]), np.array([30, 396, 21]))
    memory = {"structural_days": 29.0, "structural_transient_days": 12.0, "structural_recurring": 0.8, "structural_recurring_days": 900.0}
    found = structural_covariance.unit_means(memory, periods, others)
    for row in range(2):
        for column in range(3):
            lag = np.abs(np.arange(periods.first[row], periods.end[row])[:, None] - np.arange(others.first[column], others.end[column]))
            assert found[0][row, column] == pytest.approx(structural_covariance.of_weeks(lag, 29.0, 0.8, 12.0, 900.0).mean(), rel=1e-9)
            assert found[1][row, column] == pytest.approx(structural_covariance.of_years(lag).mean(), rel=1e-9)


KIND = PLANT_TYPES.index("DBF")
CORRELATION = EffectCorrelation(20_000.0, 0.4)


def known(draws):
    """Two towers of deciduous forest, one measured 2017, the other the summer of 2018; GPP = RECO = 4 gC m-2 d-1."""
    months = months_of("2017-01", "2018-01").and_then(months_of("2018-05", "2018-09"))
    place = np.repeat([0, 1], [12, 4])
    residual = np.where(place == 0, 1.5 + np.cos(2 * np.pi * np.arange(16) / 12), -0.7).astype(np.float32)
    flat = lambda value: np.full((draws, 16), value, np.float32)  # noqa: E731
    return TowerResiduals(
        place, *months, np.full(16, 25), np.full(16, 0.04), np.tile(residual, (draws, 1)), flat(4.0), flat(1.0), flat(2.0), np.arange(draws)
    )


def test_conditioning_on_towers_is_that_of_a_gaussian_process():
    draws, months = 4000, months_of("2018-04", "2018-08")
    where = [GRID.lonlat(x, y) for x, y in ((GRID.x[20], GRID.y[30]), (GRID.x[20] + 12_000.0, GRID.y[30]))]
    towers = tuple(KnownTower(name, float(at[1]), float(at[0]), "DBF") for name, at in zip("AB", where, strict=True))
    basis, residuals = FieldBasis(CORRELATION, towers, GRID), known(draws)
    field = field_of(months, draws, basis, residuals, **VALUES, **PERSISTENT)
    points = np.stack([*basis.at_towers, basis.at_towers[0] + [5_000.0, 0.0], basis.at_towers[0] + [4e5, 0.0]])
    days = (months.end - months.first)[:, None, None]
    carbon = np.broadcast_to(4.0 * days, (4, 4, 2, draws))
    found = (field.error(carbon, np.ones(4), np.full(4, KIND), basis.at(points)) / days[:, 0]).reshape(16, draws)

    values = {name: float(one[0, 0]) for name, one in field.hyperparameters.items()}
    every, place = months.and_then(residuals.periods), np.r_[np.repeat([0, 1, 2, 3], 4), residuals.place]
    all_points = points[place]
    rho = sum(CORRELATION.parts(np.hypot(*(all_points[:, None] - all_points).transpose(2, 0, 1))))
    rows = Errors(np.r_[np.tile(np.arange(4), 4), 4 + np.arange(16)], np.full(32, 0.5 + 0.3 * 4.0), np.full(32, 4.0))
    joint = structural_covariance.covariance(values, structural_covariance.unit_means(values, every, every), rows, rows, rho)
    measured = joint[16:, 16:] + np.diag(residuals.noise(values, 0))
    gain = np.linalg.solve(measured, joint[16:, :16]).T
    mean, covariance = gain @ residuals.residual[0], joint[:16, :16] - gain @ joint[16:, :16]
    np.testing.assert_allclose(found.mean(axis=1), mean, atol=0.02)  # the prior and the errors have mean zero over the draws
    np.testing.assert_allclose(np.cov(found)[:8, :8], covariance[:8, :8], atol=0.06)  # of a variance of 2.6; at towers
    np.testing.assert_allclose(np.cov(found), covariance, atol=0.45)  # between them, where 192 waves meet the correlation to .1
    assert covariance[6, 6] < 0.05 < 0.6 < covariance[2, 2] < 0.52 * joint[2, 2]  # a month measured, another year, prior
    assert abs(mean[12:]).max() < 1e-3 and covariance[12, 12] == pytest.approx(joint[12, 12])  # far away
    other = field.error(carbon, np.ones(4), np.full(4, KIND + 1), basis.at(points))
    np.testing.assert_allclose(other.mean(axis=-1), 0.0, atol=1e-9)  # other plant types know nothing of these towers


def test_a_budget_knows_the_months_of_its_tower_whatever_the_tiles(make_region, make_posterior, tmp_path):
    """Tiles of 10 and of 20 pixels give the same error; the plant type of the tower is known, others are as without it."""
    found = {}
    for size, towers in ((10, None), (20, None), (10, ())):
        region = open_region(make_region(tmp_path / f"{size}{towers}.zarr", tile=size).path)
        longitude, latitude = region.grid.lonlat(region.grid.x[4], region.grid.y[20])
        place = {"plant_type": "DBF", "latitude": float(latitude), "longitude": float(longitude), "years": [2018, 2018]}
        months, posterior = known(6).only(known(6).place == 1), make_posterior()
        info = {**posterior.info, "places": {"a": place}, "structural_correlation": {"length": 20_000.0, "nugget": 0.0}}
        residuals = replace(months, place=0 * months.place)
        structure = structure_of(**VALUES, **PERSISTENT, structural_amplitude=0.4)
        posterior = replace(posterior, info=info, structure=structure, residuals=residuals)
        settings = {"draws": Draws(6, towers=towers), "period": Period("2018-06-01", "2018-07-31"), "keep": (ZoneTotals(),)}
        map_region(posterior, region, out := tmp_path / f"run{size}{towers}", **settings)
        found[size, towers] = xr.load_dataset(out / "totals.nc", engine="h5netcdf")
    rate = {key: (data["structural"] / data["area"] / data["days"]).transpose("cell", "month", "draw") for key, data in found.items()}
    np.testing.assert_allclose(rate[10, None], rate[20, None], rtol=1e-6, atol=1e-6)  # fluxes are float32
    informed, blind, data = rate[10, None], rate[10, ()], found[10, None]
    forest = (data["plant_type"] == KIND).values
    assert (informed.std("draw")[forest] < 0.4 * blind.std("draw")[forest]).all() and forest.any()
    activity = data["total"].sel(flux=["GPP", "RECO"]).mean("flux").mean("draw") / data["area"] / data["days"]
    size = (0.5 + 0.3 * activity[forest]) / (0.5 + 0.3 * 4.0)  # over that of the tower
    np.testing.assert_allclose(informed[forest].mean("draw"), -0.7 * size, rtol=0.5)  # of 6 draws
    np.testing.assert_array_equal(informed[~forest], blind[~forest])
    said = [json.loads((tmp_path / name / "run.json").read_text())["structural_error"] for name in ("run10None", "run10()")]
    assert [one["towers"] for one in said] == [["a"], []] and said[0]["length"] == 20_000.0


def test_a_tower_with_large_residuals_keeps_a_wide_interval_and_its_neighbours_with_it():
    """The amplitude of the errors of a place is learned from what it measured; regions and known towers have the same errors."""
    draws, months = 1500, months_of("2018-04", "2018-08")
    tower = KnownTower("A", *reversed([float(one) for one in GRID.lonlat(GRID.x[20], GRID.y[30])]), "DBF")
    basis, days = FieldBasis(CORRELATION, (tower,), GRID), (months.end - months.first)[:, None]
    at = basis.at(basis.at_towers + [[0.0, 0.0], [4_000.0, 0.0], [4e5, 0.0]])
    few, day, sd = known(draws).only(np.arange(16) < 12), np.arange(months.first[0], months.end[-1]), {}
    few = replace(few, residual=few.residual - few.residual.mean())
    for factor, spread in ((0.2, 0.6), (2.5, 0.6), (0.2, 1e-6), (2.5, 1e-6)):
        values = {**VALUES, **PERSISTENT, "structural_amplitude": spread}
        residuals = replace(few, residual=np.float32(factor) * few.residual)
        carbon = np.broadcast_to(4.0 * days[:, None], (3, 4, 2, draws))
        found = field_of(months, draws, basis, residuals, **values).error(carbon, np.ones(3), np.full(3, KIND), at) / days
        sd[factor, spread] = found.std(axis=-1).mean(axis=1)
        posterior = SimpleNamespace(structure=structure_of(**values), draws=draws)
        daily = structural_error_given(
            posterior, np.full((draws, len(day)), 4.0), day.astype("datetime64[D]"), residuals, [0], np.ones((2, 2)), KIND, 5
        )
        of_months = np.stack([daily[:, (day >= one) & (day < end)].mean(1) for one, end in zip(*months, strict=True)])
        np.testing.assert_allclose(found[0].std(axis=-1), of_months.std(axis=1), rtol=0.12)
        np.testing.assert_allclose(found[0].mean(axis=-1), of_months.mean(axis=1), atol=0.12)
    assert sd[2.5, 0.6][0] > 2.0 * sd[0.2, 0.6][0] and sd[2.5, 0.6][1] > 1.2 * sd[0.2, 0.6][1]
    assert sd[2.5, 1e-6][:2] == pytest.approx(sd[0.2, 1e-6][:2], rel=1e-3)  # Gaussian errors shrink alike, whatever was measured
    assert sd[2.5, 0.6][2] == pytest.approx(sd[2.5, 1e-6][2], rel=0.15)  # far away the amplitude has a mean square of one


def test_residuals_inform_nothing_where_nobody_knows_how_far_they_reach(region_path, make_posterior):
    region, posterior = open_region(region_path), replace(make_posterior(), residuals=known(6))
    tower = KnownTower("a", *reversed([float(one) for one in region.grid.lonlat(region.grid.x[4], region.grid.y[20])]), "DBF")
    assert FieldBasis.of(posterior, (tower,), region.grid).towers == ()
    learned = replace(posterior, info=posterior.info | {"structural_correlation": {"length": 20_000.0, "nugget": 0.4}})
    assert FieldBasis.of(learned, (tower,), region.grid).towers == (tower,)
