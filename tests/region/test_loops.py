"""One contract, three loops: sums of fluxes and of a diagnostic per draw and pixel from XLA, from the program for GPUs and from the
whole-series model that is fitted."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from hybridflux.model.learned import learned, with_learned
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import unpacked
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.kernels import cpu, kernel_inputs
from hybridflux.region.kernels.gpu import accelerator
from hybridflux.region.kernels.gpu.launch import Shape
from hybridflux.region.map import make_job
from hybridflux.region.outputs import DailyMaps, DailySeries, PeriodMaps, ZoneTotals

pytestmark = pytest.mark.long

QUANTITIES = ("gpp", "reco", "evapotranspiration", "rew")
KEPT = (ZoneTotals(), ZoneTotals("evapotranspiration"), PeriodMaps("rew", ()), PeriodMaps(quantiles=()), DailySeries(), DailyMaps())
LOOPS = {
    "XLA": cpu.run_slab,
    "GPU": partial(accelerator.run_slab_on_accelerator, shape=Shape(pixels=8, warps=4), interpret=True),
}


@pytest.fixture(scope="module", params=[False, True], ids=["one kind", "draws of two kinds"])
def slab(request, tmp_path_factory, make_region, make_posterior):
    """Arguments of a kernel for a slab, which pixels are in it, and what the whole-series model gives for them by month and draw."""
    days = ("2017-11-15", "2018-01-12")
    path = make_region(tmp_path_factory.mktemp("loops") / "r.zarr", days=days, size=(12, 6), tile=12).path
    posterior = make_posterior(draws=3, stacked=request.param)
    if request.param:
        kinds = {"sources.member_kind.z": np.float32([-1.5, 0.0, 1.5])}  # always a network, as the plant type has it, never
        posterior = dataclasses.replace(posterior, model=with_learned(posterior.model, kinds))
    job = make_job(posterior, path, draws=Draws(3, "parameter"), period=Period("2017-12-20"), keep=KEPT)
    ready = kernel_inputs.prepare(job)
    drivers = read_tile(job.region, job.region.grid.tile_of("r000_c000"), ready.names, ready.window)
    slab, pixels = next(iter(ready.slabs(job, drivers)))
    names = {name: values[:, drivers.cell] for name, values in drivers.weather.items()}
    names |= {name: unpacked(values)[:, drivers.pixel] for name, values in drivers.daily.items()}
    names |= {name: values for name, values in drivers.static.items()}
    names |= {"plant_type": drivers.plant_type, "site": np.zeros(len(drivers.pixel), int)}
    series = jax.jit(lambda model: model.fluxes(names, also=("evapotranspiration",)))
    months, sums = np.split(np.arange(len(job.calendar.mapped)), [12]), []
    for draw in range(3):
        leaves = {name: np.asarray(leaf)[draw] for name, leaf in learned(posterior.model).items()}
        leaves |= {name: np.zeros(1, np.float32) for name in leaves if name.endswith("effect")}
        found = series(with_learned(posterior.model, leaves))
        found["rew"] = found["soil_water"] / names["soil_capacity"]
        mapped = {name: np.asarray(found[name], float)[job.calendar.warm_up :] for name in QUANTITIES}
        sums.append({name: np.stack([values[month].sum(0) for month in months]) for name, values in mapped.items()})
    expected = {name: np.stack([one[name] for one in sums], 1) for name in QUANTITIES}
    return (ready.model, ready.shared, None, pixels, ready.static), slab, expected


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_gives_what_the_whole_series_model_gives(slab, loop):
    arguments, slab, expected = slab
    found = jax.device_get(LOOPS[loop](*arguments))
    assert set(found.kept) == {output.name for output in KEPT} and found.sound[slab.real].all()
    for place, real, number in zip(slab.pixel, slab.real, range(len(slab.pixel)), strict=True):
        for output, names in (("totals", ("gpp", "reco")), ("totals_evapotranspiration", ("evapotranspiration",))):
            for name in names:
                here = found.kept[output][name][number][..., real]
                np.testing.assert_allclose(here, expected[name][..., place[real]], rtol=2e-5, atol=2e-5, err_msg=name)
        rew = found.kept["period_maps_rew"]["monthly/rew"][number][:, real]
        np.testing.assert_allclose(rew, expected["rew"].mean(1)[:, place[real]], rtol=2e-5)
