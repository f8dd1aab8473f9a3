"""The kernel for GPUs beside the one for CPUs: interpreted, lowered for CUDA without a GPU, and run where there is one."""

import dataclasses
import os
import subprocess
import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import hybridflux as hf
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model import compositions
from hybridflux.model.flux import HybridFlux
from hybridflux.model.inputs import standardised
from hybridflux.model.learned import draw_axes, learned, with_learned, with_places
from hybridflux.model.measured_water import MEASURED_WATER
from hybridflux.model.sources import Given, Neural, PerClass, Pooled, Shared
from hybridflux.process import deep_water, light, respiration, stress, water
from hybridflux.products.coarse_daily import CoarseDaily
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.draws.spread import Draws
from hybridflux.region.draws.vegetation_error import CalibrationLineError, VegetationError
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.kernels import cpu, kernel_inputs
from hybridflux.region.kernels.gpu import accelerator
from hybridflux.region.kernels.gpu.launch import Shape
from hybridflux.region.kernels.select import kernel_of
from hybridflux.region.kernels.unrolled import inputs_of, layers, resting, unrolled
from hybridflux.region.map import make_job
from hybridflux.region.outputs import KEEP, DailyMaps, DailySeries, PeriodMaps, ZoneTotals
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, Covariate

pytestmark = pytest.mark.long

WINTER = dict(days=("2017-11-15", "2018-01-12"), size=(12, 6), tile=12)
SMALL = Shape(pixels=8, warps=4)

HEIGHT = Covariate("canopy_height", centre=10.0, scale=4.0)

CASES = {
    "several cells in a block": dict(cells=2, draws=6, keep=(*KEEP, PeriodMaps(("evapotranspiration", "rew"), ()))),
    "two warps of draws, effects of places": dict(cells=1, draws=40, spread="parameter+random_effects"),
    "one draw": dict(cells=1, draws=1),
    "effects that pass through towers": dict(cells=1, draws=6, spread="parameter+random_effects", towers=((4, 3), (9, 700))),
    "effects of years": dict(cells=2, draws=5, years=True, spread="parameter+random_effects"),
    "a network, effects of places": dict(cells=2, draws=6, network=True, own=(HEIGHT,), spread="parameter+random_effects"),
    "hybrid_water, draws of vegetation": dict(cells=1, draws=6, composed="hybrid_water", spread="parameter+random_effects+vegetation"),
    "a pool that the fluxes of a day feed": dict(cells=2, draws=6, composed="litter"),
    "water with depth": dict(cells=1, draws=6, composed="deep"),
    "draws of two kinds": dict(cells=2, draws=6, stacked=True, spread="parameter+random_effects"),
    "hybrid": dict(cells=1, draws=6, composed="hybrid", spread="parameter+random_effects"),
}


@pytest.fixture(scope="module")
def slab_of(tmp_path_factory, make_region, make_posterior):
    """The function that gives the arguments of a kernel for the first slab of a case, and which blocks are active."""

    def arguments(case):
        settings = dict(CASES[case])
        cells, spread = settings.pop("cells"), settings.pop("spread", "parameter")
        at = settings.pop("towers", ())
        keep = (*settings.pop("keep", (PeriodMaps(quantiles=()), ZoneTotals(), DailySeries(), CoarseDaily())), DailyMaps())
        error = VegetationError(20.0, {"CRO": CalibrationLineError(0.02, 0.05, -0.5)}).attributes()
        layers = {"nirv": {}, "lswi": {}, "nirv_sd": error, "lswi_sd": error} if "vegetation" in spread else {}
        heights = {HEIGHT.name: np.linspace(2, 20, 72).reshape(12, 6)}
        writer = make_region(tmp_path_factory.mktemp("gpu") / "r.zarr", cells=cells, daily=layers, covariates=heights, **WINTER)
        if layers:
            tile = writer.grid.tile_of("r000_c000")
            part = np.random.default_rng(1).uniform(0.2, 0.8, (59, *tile.shape)).astype(np.float32)
            writer.write(tile, part, nirv=0.5 * part, lswi=part - 0.4, nirv_sd=0.1 * part, lswi_sd=0.2 * part)
        name = settings.pop("composed", None)
        posterior = composed(name, **settings) if name else make_posterior(**settings)
        where = [writer.grid.lonlat(writer.grid.west + 10 * x + 5, writer.grid.north - 10 * y - 5)[::-1] for y, x in at]
        towers = tuple(KnownTower(name, *map(float, degrees), "CRO") for name, degrees in zip("ab", where, strict=False))
        draws = Draws(posterior.draws, spread, effect_length=500.0, effect_nugget=0.3 * bool(towers), towers=towers)
        job = make_job(posterior, writer.path, draws=draws, period=Period("2017-12-20", "2018-01-12"), keep=keep)
        assert job.spec.draws.towers == towers[:1]  # the other one stands 14 lengths away
        ready = kernel_inputs.prepare(job)
        ready = dataclasses.replace(ready, static=dataclasses.replace(ready.static, n=16), blocks=4)
        drivers = read_tile(job.region, job.region.grid.tile_of("r000_c000"), ready.names, ready.window)
        slab, pixels = next(iter(ready.slabs(job, drivers)))
        return (ready.model, ready.shared, ready.waves(job, drivers), pixels, ready.static), slab

    return arguments


@hf.process(variables=[hf.Variable("litter", "gC m-2", "carbon of litter", (0, 5000))])
def bare():
    return {"litter": 0.0}


@hf.process
def fed(*, litter, gpp, drainage_rate):
    return {"litter": (1.0 - drainage_rate) * litter + 0.1 * gpp}


@hf.process
def decay(*, litter, respiration_ref, drainage_rate, evapotranspiration):
    return respiration_ref + drainage_rate * litter + 0.01 * evapotranspiration


LITTER = hf.Memory(start=bare, after=fed)


def litter():
    """Reco reads a pool that GPP feeds, and a diagnostic of the day."""
    memory = (water.BUCKET, LITTER)
    sources = {"light_use_efficiency": Shared(), "drainage_rate": Shared(), "root_zone_capacity": Given("soil_capacity")}
    return HybridFlux(gpp=(light.absorbed, stress.water_ramp), reco=(decay,), memory=memory, sources=sources)


def deep():
    """A root zone and a deep store below it; stress reads both."""
    sources = {**MEASURED_WATER, "rew_critical": Pooled(Shared()), "drought_floor": Shared()}
    factors = (light.absorbed, stress.water_ramp_to_floor)
    return HybridFlux(gpp=factors, reco=(respiration.basal, respiration.moisture_ramp), memory=(deep_water.DEEP_BUCKET,), sources=sources)


OWN = {"litter": litter, "deep": deep}


def composed(name, draws):
    model = with_places(OWN[name]() if name in OWN else compositions.get(name), {"site": 2, "site_year": 2})
    random = np.random.default_rng(2)
    values = {one: jnp.asarray(0.5 * random.normal(size=(draws, *leaf.shape)), jnp.float32) for one, leaf in learned(model).items()}
    return Posterior(with_learned(model, values), Indices(("a", "b"), (2017, 2018)))


def assert_same(expected, found, active):
    """Sums and statistics to 1e-5 of the flux, packed maps to one step; every number finite."""
    assert expected.sound[active].all() and found.sound[active].all()
    for output, arrays in expected.kept.items():
        assert set(arrays) == set(found.kept[output])
        for name, one in arrays.items():
            other = found.kept[output][name]
            assert one.shape == other.shape and one.dtype == other.dtype and np.isfinite(other[active]).all()
            if one.dtype == np.int16:
                assert np.abs(other[active].astype(int) - one[active]).max() <= 1
            else:
                least = 1.0 if "period_maps" in output else 1e-5  # statistics have differences of fluxes in them
                mean = arrays.get(name.removesuffix("_sd"), 0.0 * one) if least == 1.0 else 0.0 * one
                size = max(least * np.abs(one[active]).max(), 0.1 * np.abs(mean[active]).max())  # float32 of a mean leaves 1e-7 in its sd
                np.testing.assert_allclose(other[active], one[active], rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("case", CASES)
def test_same_as_the_kernel_of_the_cpu(slab_of, case):
    arguments, slab = slab_of(case)
    assert not slab.real[slab.active].all()  # a block that is not full
    assert accelerator.supports(arguments[-1], arguments[0]) is None
    expected = jax.device_get(cpu.run_slab(*arguments))
    found = jax.device_get(accelerator.run_slab_on_accelerator(*arguments, shape=SMALL, interpret=True))
    assert_same(expected, found, slab.active)


@pytest.mark.parametrize("case", CASES)
def test_triton_takes_every_operation(slab_of, case):
    """Lowering for CUDA needs no GPU; an operation without a rule stops it."""
    arguments, _ = slab_of(case)
    arrays, rest = eqx.partition(arguments[:-1], eqx.is_array)
    run = partial(accelerator.run_slab_on_accelerator, static=arguments[-1])
    lowered = jax.jit(lambda arrays: run(*eqx.combine(arrays, rest))).trace(arrays).lower(lowering_platforms=("cuda",))
    assert "xla.gpu.triton" in lowered.as_text()


@pytest.mark.parametrize("case", ["a network, effects of places", "hybrid"])
def test_no_product_of_matrices_is_rounded(slab_of, case):
    """On a GPU the factors of a product of float32 are rounded to ten bits unless the precision is asked for: 3e-5 of a total."""
    arguments, _ = slab_of(case)
    arrays, rest = eqx.partition(arguments[:-1], eqx.is_array)
    run = jax.jit(lambda arrays: cpu.run_slab(*eqx.combine(arrays, rest), static=arguments[-1]))
    products = [line for line in run.lower(arrays).as_text().splitlines() if "stablehlo.dot_general" in line]
    assert products
    assert [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line] == []


@pytest.mark.parametrize("case", CASES)
def test_no_year_is_read_past_the_end(slab_of, case):
    """A GPU reads what lies behind an array, where a CPU takes its last row: networks of a winter were wrong in January."""
    (model, shared, waves, pixels, static), _ = slab_of(case)
    assert int(shared.year_of_month.max()) == 1  # the days reach from one year into the next
    inputs = jax.jit(lambda model: accelerator._inputs(model, shared, waves, pixels, static))(model)
    for name, values in inputs.yearly.items():
        for year in (inputs.year, inputs.year_of_month):
            assert 0 <= int(year.min()) and int(year.max()) < values.shape[1], name


def test_draws_that_fill_up_do_not_count(slab_of, monkeypatch):
    (model, shared, waves, pixels, static), slab = slab_of("several cells in a block")
    assert static.draws == 6
    run = partial(accelerator.run_slab_on_accelerator, model, shared, waves, pixels, static, interpret=True)
    expected = jax.device_get(run(shape=SMALL))
    in_lanes = accelerator.in_lanes

    def spoiled(values, *, draws):
        filled = in_lanes(values, draws=draws)
        return filled if filled.shape[-1] == 1 else filled.at[..., draws:].set(jnp.nan)

    monkeypatch.setattr(accelerator, "in_lanes", spoiled)
    monkeypatch.setattr(accelerator, "sound_blocks", lambda inputs: jnp.ones(len(inputs.weight), bool))  # would see them
    found = jax.device_get(run(shape=Shape(pixels=8, warps=2)))  # another shape, so that it is traced again
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(other[slab.active], one[slab.active])


@pytest.mark.parametrize("leaf", ["sources.rew_critical.z", "sources.light_use_efficiency.source.z.w1"])
def test_a_parameter_that_is_no_number_is_told(slab_of, leaf):
    (model, shared, waves, pixels, static), slab = slab_of("hybrid")
    inputs = jax.jit(lambda model: accelerator._inputs(model, shared, waves, pixels, static))
    assert accelerator.sound_blocks(inputs(model)).all()
    spoiled = with_learned(model, {leaf: learned(model)[leaf].at[0].set(jnp.nan)})
    assert not accelerator.sound_blocks(inputs(spoiled)).any()


def test_which_kernel(slab_of):
    (model, *_, static), _ = slab_of("one draw")
    assert kernel_of("cpu", model, static) is cpu.run_slab
    assert kernel_of("gpu", model, static) is accelerator.run_slab_on_accelerator
    for output in (DailyMaps(quantiles=(0.05,)), DailySeries("rew")):
        other = dataclasses.replace(static, outputs=(*KEEP, output))
        assert f"`{output.name}` adds every day" in accelerator.supports(other, model)
        assert kernel_of("gpu", model, other) is cpu.run_slab
    assert "power of two" in accelerator.supports(dataclasses.replace(static, n=48), model)
    by_day = dataclasses.replace(static, daily=("vpd_sensitivity",))
    assert "`vpd_sensitivity`" in accelerator.supports(by_day, model)


def test_a_cpu_needs_no_pallas():
    code = "import sys, hybridflux.region.kernels.gpu.accelerator; sys.exit('jax.experimental.pallas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("pooled", [False, True])
def test_a_network_written_out(pooled):
    signs = {"rising": ("tair",), "falling": ("fapar_phase",)} if pooled else {}
    network, row, draws = Neural("tair", "plant_type", "fapar_phase", width=3, **signs), PARAMETERS["respiration_ref"], 4
    source = Pooled(network) if pooled else network
    keys = iter(jax.random.split(jax.random.key(0), 9))
    source = jax.tree.map(lambda leaf: jax.random.normal(next(keys), (draws, *leaf.shape)), source)
    kind = PLANT_TYPES.index("GRA")
    places = {"tair": 12.0, "fapar": 0.6, "fapar_base": 0.1, "fapar_top": 0.8}
    names = {name: jnp.full(1, value) for name, value in places.items()} | {"plant_type": jnp.array([kind]), "site": jnp.int32(0)}
    expected = eqx.filter_vmap(lambda one: one.raw(row, names), in_axes=(draw_axes(source),))(source)
    first, bias, second = layers(source.network(), row, kind)
    inputs = [standardised(name, names) for name in inputs_of(network)]
    added = unrolled(inputs, 3, lambda number, unit: first[number, unit], lambda unit: bias[unit], lambda unit: second[unit])
    np.testing.assert_allclose(resting(source, row, names)[:, 0] + added, expected[:, 0], rtol=2e-6)


def test_other_sources_have_no_network():
    assert Pooled(PerClass()).network() is None and Shared().network() is None


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_on_a_gpu(slab_of, case):
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU")
    arguments, slab = slab_of(case)
    expected = jax.device_get(cpu.run_slab(*arguments))
    assert_same(expected, jax.device_get(accelerator.run_slab_on_accelerator(*arguments)), slab.active)


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["hybrid", "static"])
def test_a_map_of_a_gpu_is_that_of_a_cpu(model, make_region, tmp_path):
    """Two processes map the same region over New Year; networks over matrices of a GPU were once rounded to ten bits."""
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU")
    writer = make_region(tmp_path / "r.zarr", cells=2, **WINTER)
    dataclasses.replace(composed(model, 6), indices=Indices(("a", "b"), (2017, 2018))).save(tmp_path / "p.nc")
    totals = []
    for platform in ("cuda", "cpu"):
        words = ["map", "--posterior", "p.nc", "--region", str(writer.path), "--out", platform, "--draws", "6", "--daily"]
        code = "from hybridflux.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *words, "--start", "2017-12-20", "--end", "2018-01-12"],
            cwd=tmp_path, env=os.environ | {"JAX_PLATFORMS": platform, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with xr.open_dataset(tmp_path / platform / "totals.nc", engine="h5netcdf") as found:
            totals.append(found["total"].load().to_numpy())
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-5, atol=1e-5 * np.abs(totals[1]).max())
