"""Settings of every test: quiet threads, strict JAX, a compile cache, the folder of real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")  # before jax is imported
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """Give the mark `quick` to every test without a mark that says it takes longer or needs something."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("long", "slow", "gpu", "benchmark")):
            item.add_marker("quick")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, named by HYBRIDFLUX_SHARED or standing beside the checkout as `shared`."""
    folder = Path(os.environ.get("HYBRIDFLUX_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip("no real data: set HYBRIDFLUX_SHARED to the folder that holds data/towers and data/eo")
    return folder
