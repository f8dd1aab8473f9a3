"""Settings of every test: quiet threads, strict JAX, a compile cache, the folder of real data."""

import gc
import os
import platform
import sys
from pathlib import Path

import pytest

from hybridflux import registry
from hybridflux.machine import give_back_memory

ENOUGH = 1_200_000_000  # bytes of a worker
ROOT = Path(__file__).resolve().parent.parent
LONGEST = "test_experiments.py"

os.environ.setdefault("MPLBACKEND", "agg")
COMPILED_QUICKLY = (
    "--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1",
    *(("--xla_cpu_max_isa=AVX",) if platform.machine() in ("x86_64", "AMD64") else ()),
)  # fmt: skip
"""XLA's flags of the usual run: of a cold run two thirds of the processor time went into compiling, of a fit 11.5 s with the first and
5.3 s with three. The last leaves out fused multiplication and addition, which the older emitters use for some pixels of a tile and not for
others: maps then differ by tiling. Slow tests, benchmarks and those of an accelerator run what users run."""
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # as on the command line: workers and commands share all programs


def pytest_configure(config):
    """Set what XLA reads once, when it first compiles."""
    chosen = config.option.markexpr.startswith(("slow", "gpu", "benchmark"))
    flags = ["--xla_force_host_platform_device_count=2", *(() if chosen else COMPILED_QUICKLY)]
    os.environ.setdefault("XLA_FLAGS", " ".join(flags))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """Give the mark `quick` to every test without a mark that says it takes longer; refuse names that differ between processes.

    The longest file comes first and all long ones before the quick ones, so that no worker waits at the end for one that has just begun
    (`make test` keeps this order between files).
    """
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} is named by an address in memory, which differs between workers: give it an id")
        if not any(item.get_closest_marker(name) for name in ("long", "slow", "gpu", "benchmark")):
            item.add_marker("quick")
    long = {item.path for item in items if not item.get_closest_marker("quick")}
    items.sort(key=lambda item: (item.path not in long, item.path.name != LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Spare the garbage collector what is imported and collected: it stays to the end, and walking it took a fifth of a short run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="module")
def memory_given_back():
    """Forget compiled programs after a file of tests once they fill a worker; the cache on disk still holds them."""
    yield
    if "jax" in sys.modules and resident() > ENOUGH:
        sys.modules["jax"].clear_caches()
        gc.collect()
        give_back_memory()


@pytest.fixture(autouse=True, scope="module")
def own_files_are_forgotten():
    """What a file of tests loaded or registered of a user's own: tasks, workers and lists of later tests would hold it too."""
    before = {kind: dict(added) for kind, added in registry._ADDED.items()}
    yield
    for kind, added in registry._ADDED.items():
        added.clear()
        added.update(before.get(kind, {}))
    outside = sys.modules.get("hybridflux.model.outside")
    for name in list(outside._LOADED) if outside else ():
        del outside._LOADED[name]
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def few_resamples():
    """Structural errors of four draws in place of twenty, for files of fits whose tests ask nothing of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybridflux.inference.error_hyperparameters.RESAMPLES", 4)
        yield


def resident() -> int:
    """Memory of this process [bytes]; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


STRICT = {"process": "raise", "series": "allow", "model": "allow"}
"""Folder of tests -> what JAX does where two arrays of different rank meet; types are never mixed there. In a model `[place]` meets
`[time, place]`, in a series `[pixel]` meets `[view, pixel]`: there, broadcasting is meant. Not in `inference`: optax itself mixes types."""


@pytest.fixture(autouse=True)
def strict_arithmetic(request):
    """No float32 from an int32 or a float64 without a word in the lowest rooms, which all numbers pass."""
    folder = request.path.parent.name
    if folder not in STRICT or "jax" not in sys.modules:
        yield
        return
    jax = sys.modules["jax"]
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion(STRICT[folder]):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, named by HYBRIDFLUX_SHARED or standing beside the checkout as `shared`."""
    folder = Path(os.environ.get("HYBRIDFLUX_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip("no real data: set HYBRIDFLUX_SHARED to the folder that holds data/towers and data/eo")
    return folder
