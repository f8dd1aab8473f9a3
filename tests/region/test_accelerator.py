"""The kernel for GPUs beside the one for CPUs: interpreted, lowered for CUDA without a GPU, and run where there is one."""

import dataclasses
import subprocess
import sys
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference.posterior import Posterior
from hybridflux.model import compositions
from hybridflux.model.sources import Neural, PerClass, Pooled, Shared, standardised
from hybridflux.model.tree import draw_axes, learned, with_learned, with_places
from hybridflux.region.draws.fapar_error import SD, LineError, VegetationError
from hybridflux.region.kernels import cpu, kernel_inputs
from hybridflux.region.kernels.gpu import accelerator
from hybridflux.region.kernels.gpu.launch import Shape
from hybridflux.region.kernels.unrolled import inputs_of, layers, resting, unrolled
from hybridflux.region.map import _job
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, Covariate

pytestmark = pytest.mark.long

WINTER = dict(days=("2017-11-15", "2018-01-12"), size=(12, 6), tile=12)
SMALL = Shape(pixels=8, warps=4)

HEIGHT = Covariate("canopy_height", centre=10.0, scale=4.0)

CASES = {
    "several cells in a block": dict(cells=2, draws=6, levels=(0.05, 0.5)),
    "two warps of draws, effects of places": dict(cells=1, draws=40, spread="parameter+random_effects"),
    "one draw": dict(cells=1, draws=1),
    "effects of years": dict(cells=2, draws=5, years=True, spread="parameter+random_effects"),
    "a network, effects of places": dict(cells=2, draws=6, network=True, own=(HEIGHT,), spread="parameter+random_effects"),
    "draws of the vegetation": dict(cells=1, draws=6, spread="parameter+random_effects+vegetation"),
    "hybrid": dict(cells=1, draws=6, composed="hybrid", spread="parameter+random_effects"),
}


@pytest.fixture(scope="module")
def slab_of(tmp_path_factory, make_region, make_posterior):
    """The function that gives the arguments of a kernel for the first slab of a case, and which blocks are active."""

    def arguments(case):
        settings = dict(CASES[case])
        cells, spread = settings.pop("cells"), settings.pop("spread", "parameter")
        levels = settings.pop("levels", ())
        error = VegetationError(20.0, {"CRO": LineError(0.02, 0.05, -0.5)})
        layers = {SD: error.attributes()} if "vegetation" in spread else {}
        heights = {HEIGHT.name: np.linspace(2, 20, 72).reshape(12, 6)}
        writer = make_region(tmp_path_factory.mktemp("gpu") / "r.zarr", cells=cells, layers=layers, covariates=heights, **WINTER)
        if layers:
            tile = writer.grid.tile_of("r000_c000")
            part = np.random.default_rng(1).uniform(0.2, 0.8, (59, *tile.shape)).astype(np.float32)
            writer.write(tile, part, fapar_sd=0.1 * part)
        name = settings.pop("composed", None)
        posterior = composed(name, **settings) if name else make_posterior(**settings)
        job = _job(
            posterior, writer.path, Path("unused"), draws=posterior.draws, start="2017-12-20", end="2018-01-12", spread=spread, daily=True,
            levels=levels, daily_levels=(), change={}, seed=0, length=500.0,
        )  # fmt: skip
        ready = kernel_inputs.prepare(job)
        ready = dataclasses.replace(ready, plan=dataclasses.replace(ready.plan, n=16), blocks=4)
        drivers = job.region.read(job.region.grid.tile_of("r000_c000"), ready.names, ready.window)
        slab, pixels = next(iter(ready.slabs(job, drivers)))
        return (ready.model, ready.shared, ready.waves(job, drivers), pixels, ready.plan), slab

    return arguments


def composed(name, draws):
    model = with_places(compositions.get(name), {"site": 2, "site_year": 2})
    random = np.random.default_rng(2)
    values = {one: jnp.asarray(0.5 * random.normal(size=(draws, *leaf.shape)), jnp.float32) for one, leaf in learned(model).items()}
    return Posterior(with_learned(model, values), indices=None)


def assert_same(expected, found, active):
    """Sums and statistics to 1e-5 of the flux, maps to one step; every number finite."""
    for name in ("gpp", "reco", "monthly", "annual", "series"):
        for one, other in zip(jax.tree.leaves(getattr(expected, name)), jax.tree.leaves(getattr(found, name)), strict=True):
            assert one.shape == other.shape and np.isfinite(other[active]).all()
            least = 1e-5 if name in ("gpp", "reco", "series") else 1.0  # the rest has differences of fluxes in it
            np.testing.assert_allclose(other[active], one[active], rtol=1e-5, atol=1e-5 * least * np.abs(one[active]).max())
    for one, other in zip(expected.maps, found.maps, strict=True):
        assert other.dtype == np.int16 and one.shape == other.shape
        assert np.abs(other[active].astype(int) - one[active]).max() <= 1


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
    run = partial(accelerator.run_slab_on_accelerator, plan=arguments[-1])
    lowered = jax.jit(lambda arrays: run(*eqx.combine(arrays, rest))).trace(arrays).lower(lowering_platforms=("cuda",))
    assert "xla.gpu.triton" in lowered.as_text()


@pytest.mark.parametrize("case", CASES)
def test_no_year_is_read_past_the_end(slab_of, case):
    """A GPU reads what lies behind an array, where a CPU and the interpreter take its last row: networks of a winter were wrong in January."""
    (model, shared, waves, pixels, plan), _ = slab_of(case)
    assert int(shared.year_of_month.max()) == 1  # the days reach from one year into the next
    inputs = jax.jit(lambda model: accelerator._inputs(model, shared, waves, pixels, plan))(model)
    for name, values in inputs.yearly.items():
        for year in (inputs.year, inputs.year_of_month):
            assert 0 <= int(year.min()) and int(year.max()) < values.shape[1], name


def test_draws_that_fill_up_do_not_count(slab_of, monkeypatch):
    (model, shared, waves, pixels, plan), slab = slab_of("several cells in a block")
    assert plan.draws == 6
    run = partial(accelerator.run_slab_on_accelerator, model, shared, waves, pixels, plan, interpret=True)
    expected = jax.device_get(run(shape=SMALL))
    in_lanes = accelerator.in_lanes

    def spoiled(values, *, draws):
        filled = in_lanes(values, draws=draws)
        return filled if filled.shape[-1] == 1 else filled.at[..., draws:].set(jnp.nan)

    monkeypatch.setattr(accelerator, "in_lanes", spoiled)
    monkeypatch.setattr(accelerator, "flaws", lambda inputs: jnp.zeros(len(inputs.weight)))  # would tell them
    found = jax.device_get(run(shape=Shape(pixels=8, warps=2)))  # another shape, so that it is traced again
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(other[slab.active], one[slab.active])


@pytest.mark.parametrize("leaf", ["sources.rew_critical.z", "sources.light_use_efficiency.source.z.w1"])
def test_a_parameter_that_is_no_number_is_told(slab_of, leaf):
    (model, shared, waves, pixels, plan), slab = slab_of("hybrid")
    inputs = jax.jit(lambda model: accelerator._inputs(model, shared, waves, pixels, plan))
    assert not accelerator.flaws(inputs(model)).any()
    spoiled = with_learned(model, {leaf: learned(model)[leaf].at[0].set(jnp.nan)})
    assert np.isnan(accelerator.flaws(inputs(spoiled))).all()


def test_which_kernel(slab_of):
    (model, *_, plan), _ = slab_of("one draw")
    assert accelerator.kernel_of("cpu", model, plan) is cpu.run_slab
    assert accelerator.kernel_of("gpu", model, plan) is accelerator.run_slab_on_accelerator
    ranked = dataclasses.replace(plan, daily_levels=(0.05,))
    assert "quantiles" in accelerator.supports(ranked, model)
    assert accelerator.kernel_of("gpu", model, ranked) is cpu.run_slab
    assert "power of two" in accelerator.supports(dataclasses.replace(plan, n=48), model)
    by_day = dataclasses.replace(plan, daily=("vpd_sensitivity",))
    assert "`vpd_sensitivity`" in accelerator.supports(by_day, model)


def test_a_cpu_needs_no_pallas():
    code = "import sys, hybridflux.region.kernels.gpu.accelerator; sys.exit('jax.experimental.pallas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("pooled", [False, True])
def test_a_network_written_out(pooled):
    network, row, draws = Neural("tair", "plant_type", "fapar_phase", width=3), PARAMETERS["respiration_ref"], 4
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
