"""Benchmarks run where what they compare with is not installed."""

import ast
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = sorted((ROOT / "benchmarks").glob("bench_*.py"))
MODULE_OF = {"scikit-learn": "sklearn", "xgboost-cpu": "xgboost", "odc-geo": "odc", "odc-stac": "odc", "pystac-client": "pystac_client"}


@pytest.fixture(scope="module")
def installed() -> set[str]:
    """Modules that every installation has: the standard library, the dependencies, and the files beside the benchmarks."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    packages = {re.split(r"[\[<>=;~ ]", line)[0] for line in needed}
    beside = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    return set(sys.stdlib_module_names) | {MODULE_OF.get(name, name) for name in packages} | beside


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_may_be_missing_is_asked_for_first(path, installed):
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in {name.partition(".")[0] for name in names} - installed - {"hybridflux"}:
            assert f'present.package("{name}"' in text or "except ImportError" in text, f"{path.name} needs {name} unasked"


def test_a_missing_package_is_a_line(monkeypatch, capsys):
    present = runpy.run_path(str(ROOT / "benchmarks" / "present.py"))
    assert not present["package"]("no_such_package", "a peer", "its-name") and present["package"]("numpy", "numpy")
    monkeypatch.setenv("PATH", "")
    assert not present["compiler"]("the C program")
    said = capsys.readouterr().out.splitlines()
    assert said == ["a peer: left out, its-name is not installed (pip install its-name)", "the C program: left out, there is no gcc"]


@pytest.mark.parametrize("name", ["bench_gpu", "bench_training"])
def test_a_benchmark_with_nothing_to_measure_ends_well(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"), run_name="__main__")
    assert "left out" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("model", ["static", "hybrid", "hybrid_water"])
def test_the_slab_of_the_gpu_benchmark_is_mapped(model, monkeypatch):
    """Its made-up slab follows the contract of the kernels, though no GPU is here to time it."""
    import jax

    from hybridflux.region.kernels.cpu import run_slab
    from hybridflux.region.kernels.gpu.accelerator import supports

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    bench = runpy.run_path(str(ROOT / "benchmarks" / "bench_gpu.py"))
    slab = bench["made_up"](model, 4, jax.local_device_count())
    *inputs, static = slab
    counted = bench["count"](slab)
    assert counted["arithmetic"] > 30 and counted["special"] >= 2
    assert supports(static, inputs[0]) is None
    result = jax.device_get(run_slab(*inputs, bench["without_quantiles"](static)))
    assert result.sound.all() and all("0 steps" in line or "0.0e+00" in line for line in bench["differences"](result, result))
