"""Errors of GPP and RECO of a region: NEE is their difference in every draw, and what both have wrong in common is as wide as learned."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference.posterior import Posterior
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.gross_error import GrossError, share_of_gpp
from hybridflux.model.sources import to_raw
from hybridflux.model.structural_covariance import Periods
from hybridflux.model.structural_error import StructuralError
from hybridflux.products.budget import budget_table
from hybridflux.products.totals import open_totals
from hybridflux.region.draws.field_basis import FieldBasis
from hybridflux.region.draws.flux_errors import FluxErrors, part_of_gpp
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.spec import posterior_fingerprint
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PARAMETERS

DRAWS = 2000
GRID = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (100, 100), 100)


def error_of(size, place=0.0):
    values = {"structural_floor": 0.5 * size, "structural_slope": 0.3 * size, "structural_days": 30.0, "structural_year": 0.08 * size}
    values |= {"structural_place": place} if place else {}
    values |= {"noise_floor": 0.3, "noise_slope": 0.1}
    return StructuralError({name: jnp.asarray([to_raw(value, PARAMETERS[name])], jnp.float32) for name, value in values.items()})


@pytest.fixture
def posterior(make_posterior):
    return replace(make_posterior(draws=DRAWS), structure=error_of(1.0), gross=GrossError(error_of(1.5), 4.0))


@pytest.fixture
def errors(posterior):
    """Errors [gC] of a cell of 2 m2 with GPP 6 and RECO 3 gC m-2 d-1, and the GPP and RECO of its months."""
    first = np.arange(np.datetime64("2018-01"), np.datetime64("2020-01"))
    months = Periods(*((first + step).astype("datetime64[D]").astype(int) for step in (0, 1)))
    basis, area = FieldBasis(EffectCorrelation(1e8), (), GRID), np.array([2.0])
    days = (months.end - months.first)[:, None]
    carbon = np.stack([6.0 * days * np.ones(DRAWS), 3.0 * days * np.ones(DRAWS)], axis=1)[None] * area[0]
    features = basis.at(np.array([[GRID.x[0], GRID.y[0]]])) * area
    return FluxErrors.of(basis, posterior, months, 3).errors(carbon, area, np.array([4]), features), carbon[0]


def test_what_both_have_in_common_does_not_depend_on_the_error_of_nee(errors):
    found, _ = errors
    of_net, of_gpp = (found[flux][0] for flux in ("NEE", "GPP"))
    share = float(share_of_gpp(6.0, 3.0, 4.0))
    of_gross = of_gpp + share * of_net
    assert share == pytest.approx(8.0 / 9.0)
    assert abs(np.corrcoef(of_gross[5], of_net[5])[0, 1]) < 0.08
    np.testing.assert_allclose(of_gross.mean(-1), 0.0, atol=1e-9)  # so that budgets agree with maps
    assert of_gross[5].std() / of_net[5].std() == pytest.approx(1.5, rel=0.1)
    year = of_gross[:12].sum(0).std() / of_net[:12].sum(0).std()
    assert year == pytest.approx(1.5, rel=0.1)


def test_a_year_of_gross_error_is_as_wide_as_at_a_place(errors, posterior):
    """The field of a cell beside daily draws of the same error at a place (`GrossError.sample`)."""
    found, carbon = errors
    of_gross = found["GPP"][0] + share_of_gpp(6.0, 3.0, 4.0) * found["NEE"][0]
    keys, activity = jax.random.split(jax.random.key(1), DRAWS), 4.5 * jnp.ones((365, 1))
    error = posterior.gross.error.of_draws(DRAWS)
    daily = np.asarray(jax.vmap(lambda one, key: one.drawn(key, activity, None))(error, keys))[:, :, 0]
    assert of_gross[:12].sum(0).std() / 2.0 == pytest.approx(daily.sum(1).std(), rel=0.08)


def test_without_it_the_error_of_nee_is_shared_out_by_size():
    rng = np.random.default_rng(0)
    gpp, reco, error = rng.uniform(1.0, 2.0, (3, 2, 5, 400))
    part = part_of_gpp(gpp, reco, error)
    share = gpp / (gpp + reco)
    np.testing.assert_allclose(part.mean(-1), -share.mean(-1) * error.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(part - part.mean(-1, keepdims=True), -(share * error - (share * error).mean(-1, keepdims=True)), rtol=1e-9)


def test_budgets_have_wider_intervals_of_gpp_and_reco_and_the_same_of_nee(region_path, make_posterior, tmp_path):
    plain = replace(make_posterior(draws=60), structure=error_of(1.0))
    wide = replace(plain, gross=GrossError(error_of(2.0, place=0.2), 1.0))
    assert len({posterior_fingerprint(one) for one in (plain, wide, replace(wide, gross=GrossError(error_of(2.0), 1.0)))}) == 3
    settings = {"draws": Draws(60, "parameter", seed=3), "period": Period("2018-01-01"), "keep": (ZoneTotals(),)}
    width = {}
    for name, one in (("plain", plain), ("wide", wide)):
        one.save(tmp_path / f"{name}.nc")
        map_region(Posterior.load(tmp_path / f"{name}.nc"), region_path, tmp_path / name, **settings)
        totals = open_totals(tmp_path / name).with_structural_error()
        fluxes = {flux: values[:] for flux, values in totals.total.items()}
        np.testing.assert_allclose(fluxes["NEE"], fluxes["RECO"] - fluxes["GPP"], rtol=1e-6, atol=1e-6 * np.abs(fluxes["GPP"]).max())
        rows = budget_table(tmp_path / name).query("zone == 'region' and land_cover == 'all' and period == '2018'").set_index("variable")
        width[name] = rows["q95"] - rows["q05"]
    assert width["wide"]["NEE"] == pytest.approx(width["plain"]["NEE"], rel=1e-9)
    assert all(width["wide"][flux] > 1.5 * width["plain"][flux] for flux in ("GPP", "RECO"))
