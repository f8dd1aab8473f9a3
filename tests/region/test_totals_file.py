"""`totals.nc` written group by group: the same as written from memory, and small in memory for many zones."""

import dataclasses
import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from hybridflux.model.gross_error import GrossError
from hybridflux.model.sources import to_raw
from hybridflux.model.structural_covariance import Periods
from hybridflux.model.structural_error import StructuralError
from hybridflux.region.draws.flux_errors import FluxErrors
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers import map_periods
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import make_job as describe
from hybridflux.region.outputs import KEEP, merge_totals
from hybridflux.region.outputs.merge_totals import Block, TileTotals
from hybridflux.region.outputs.zone_totals import ERRORS
from hybridflux.region.run.lifecycle import write_totals
from hybridflux.vocabulary import PARAMETERS

pytestmark = pytest.mark.long

NUMBERS = {"structural_floor": 0.5, "structural_slope": 0.3, "structural_days": 30.0, "structural_year": 0.08, "noise_floor": 0.3}


@pytest.fixture
def make_job(region_path, make_posterior, tmp_path):
    """Function that gives a job of the year 2018 with a structural error, whose tiles hold made-up totals of many zones."""

    def make(draws, zones):
        numbers = {**NUMBERS, "noise_slope": 0.1}
        raw = {name: jnp.asarray([to_raw(value, PARAMETERS[name])], jnp.float32) for name, value in numbers.items()}
        error = StructuralError(raw)
        posterior = dataclasses.replace(make_posterior(draws=draws), structure=error, gross=GrossError(error, 3.0))
        settings = {"draws": Draws(draws, "parameter", seed=3), "period": Period("2018-01-01"), "keep": KEEP}
        job = dataclasses.replace(describe(posterior, region_path, **settings), out=tmp_path)
        (tmp_path / "totals").mkdir()
        random = np.random.default_rng(0)
        for tile in job.region.tiles():
            totals = TileTotals(of_cells={"totals": {}, merge_totals.FIELD: {}})
            for zone in random.choice(zones, zones // 3, replace=False).tolist():
                totals.area[zone, 2] = float(random.uniform(50, 150))
                totals.of_cells["totals"][zone, 2] = random.random((12, 2, draws))
                totals.of_cells[merge_totals.FIELD][zone, 2] = totals.area[zone, 2] * random.normal(size=job.field_basis.features)
            totals.add_to_plant_type("series", random.random((365, 2, draws)), Block(2, np.zeros(0, int), np.zeros(0), 100.0))
            totals.save(job.totals(tile.id))
        return job

    return make


def test_equals_what_is_computed_of_all_cells_at_once(make_job, monkeypatch):
    job = make_job(6, 50)
    monkeypatch.setattr(merge_totals.Merged.groups, "__defaults__", (3000,))  # two cells
    write_totals(job, list(job.region.tiles()), {"title": "made up"})
    found = xr.open_dataset(job.out / "totals.nc", engine="h5netcdf").load()
    merged = merge_totals.Merged.of(job.totals(tile.id) for tile in job.region.tiles())
    ((_, carbon),) = merged.groups("totals", (12, 2, 6), 1 << 30)
    assert found["total"].dims == ("flux", "cell", "draw", "month") and found["flux"].values.tolist() == ["NEE", "GPP", "RECO"]
    assert found["total"].attrs["units"] == "g" and found.attrs["spread"] == "parameter" and found["total"].dtype == np.float64
    assert set(found["total"].coords) == {"flux", "month", "draw", "zone", "plant_type", "area", "days"}
    gpp, reco = carbon[:, :, 0], carbon[:, :, 1]
    found = found.transpose("flux", "cell", "month", "draw", ...)
    np.testing.assert_array_equal(found["total"], np.stack([reco - gpp, gpp, reco]))
    ((_, features),) = merged.groups(merge_totals.FIELD, (job.field_basis.features,), 1 << 30)
    months = Periods(*map_periods.bounds_of(job.calendar, "monthly"))
    error = FluxErrors.of(job.field_basis, job.posterior, months, job.seed).errors(carbon, merged.area, merged.plant_type, features)
    for flux, name in ERRORS.items():
        np.testing.assert_allclose(found[name], error[flux], rtol=1e-5, atol=1e-3)
        assert found[name].std() > 0 and flux in found[name].attrs["long_name"]


def test_memory_does_not_grow_with_the_zones(make_job):
    """20 000 zones of 50 draws are 192 MB of carbon, half as much again with NEE, and as much of errors."""
    job = make_job(50, 20_000)
    stored = sum(path.stat().st_size for path in (job.out / "totals").iterdir())
    tracemalloc.start()
    write_totals(job, list(job.region.tiles()), {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stored > 3.5e8 and peak < 1.2e8
