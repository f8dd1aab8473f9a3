"""The kernel in its own numbers, before they are packed."""


import equinox as eqx
import jax
import numpy as np
import pytest

from hybridflux.model.learned import learned, with_learned
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.kernels import cpu, kernel_inputs
from hybridflux.region.kernels.pixel_blocks import one_cell_per_block, slabs
from hybridflux.region.map import make_job
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.region.spec import Job

pytestmark = pytest.mark.long


def job_of(posterior, path, **settings) -> Job:
    usual = {"draws": Draws(posterior.draws, "parameter"), "period": Period("2018-01-01", "2018-12-31"), "keep": KEEP}
    return make_job(posterior, path, **(usual | settings))


def results_of(job, tile_id="r000_c000"):
    ready = kernel_inputs.prepare(job)
    drivers = read_tile(job.region, job.region.grid.tile_of(tile_id), ready.names, ready.window)
    waves = ready.waves(job, drivers)
    found = [
        (slab, jax.device_get(cpu.run_slab(ready.model, ready.shared, waves, pixels, ready.static)))
        for slab, pixels in ready.slabs(job, drivers)
    ]
    return drivers, found


@eqx.filter_jit
def whole_series(model, names):
    return model.fluxes(names)


@pytest.mark.parametrize("cells", [1, 2])
def test_against_float64(tmp_path, make_region, make_posterior, cells):
    path = make_region(tmp_path / "r.zarr", cells=cells).path
    posterior = make_posterior()
    job = job_of(posterior, path)
    assert job.by_cell == (cells == 1)
    drivers, found = results_of(job)
    zeros = {name: np.zeros((1,), np.float32) for name in learned(posterior.model) if name.endswith("effect")}
    names = {name: values[:, drivers.cell].astype(float) for name, values in drivers.weather.items()}
    names |= {name: unpacked(values)[:, drivers.pixel].astype(float) for name, values in drivers.daily.items()}
    names |= {name: values.astype(float) for name, values in drivers.static.items()}
    names |= {"plant_type": drivers.plant_type, "site": np.zeros(len(drivers.pixel), int)}
    with jax.enable_x64(True):
        for draw in range(2):
            leaves = {name: np.asarray(leaf, float)[draw] for name, leaf in learned(posterior.model).items()} | zeros
            whole = whole_series(with_learned(posterior.model, leaves), names)
            assert whole["gpp"].dtype == np.float64
            expected = {name: np.asarray(whole[name])[365:].sum(0) for name in ("gpp", "reco")}
            for slab, result in found:
                valid = slab.pixel[slab.real]
                for name in ("gpp", "reco"):
                    of_year = result.kept["totals"][name][:, :, draw].sum(1)[slab.real]
                    np.testing.assert_allclose(of_year, expected[name][valid], rtol=3e-6)


def test_one_compilation_for_all_tiles(region_path, make_posterior, monkeypatch):
    """The day is traced for the first tile and for no other."""
    job = job_of(make_posterior(draws=5), region_path, draws=Draws(5, "parameter+random_effects"))
    traced, walk = [], cpu.walk
    monkeypatch.setattr(cpu, "walk", lambda *args, **options: traced.append(1) or walk(*args, **options))
    results_of(job, "r000_c000")
    of_first = len(traced)
    for tile in ("r000_c001", "r002_c001"):
        results_of(job, tile)
    assert len(traced) == of_first > 0


def test_blocks_hold_every_pixel_once_and_one_plant_type(region_path):
    region = open_region(region_path)
    drivers = read_tile(region, next(region.tiles()), ("tair", "fapar", "soil_capacity"), slice(0, 10))
    for by_cell in (True, False):
        seen = []
        for slab in slabs(drivers, n=16, blocks=4, by_cell=by_cell):
            assert slab.pixel.shape == (4, 16) and slab.active.shape == (4,)
            for pixel, real in zip(slab.pixel, slab.real, strict=True):
                assert len(np.unique(drivers.plant_type[pixel])) == 1
                assert not by_cell or len(np.unique(drivers.cell[pixel])) == 1
                seen.append(pixel[real])
            assert not slab.real[~slab.active].any()
        np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(len(drivers.pixel)))


def test_cells_are_told_apart_where_they_are_large(region_path, tmp_path, make_region):
    assert not one_cell_per_block(open_region(region_path))
    assert one_cell_per_block(open_region(make_region(tmp_path / "one.zarr", cells=1).path))


def test_more_draws_cost_no_memory_per_day(region_path, make_posterior):
    """Nothing the kernel gives back has the axes draw, day and pixel together."""
    job = job_of(make_posterior(draws=6), region_path, keep=(*KEEP, DailyMaps()))
    _, found = results_of(job)
    result = found[0][1]
    n = kernel_inputs.block_size(6, job.region.grid.tile)
    maps, series, totals, periods = (result.kept[name] for name in ("daily_maps", "series", "totals", "period_maps"))
    assert {array.shape[1:] for array in maps.values()} == {(365, n)} and len(maps) == 6
    assert {array.shape[1:] for array in series.values()} == {(365, 6)} and {array.shape[1:] for array in totals.values()} == {(12, 6, n)}
    assert {array.shape[1:] for array in periods.values()} == {(12, n), (1, n)} and result.sound.all()
