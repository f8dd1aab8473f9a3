"""What the package and the README promise is there."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

import hybridflux
import hybridflux.inference
from hybridflux.cli import app

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", hybridflux.__all__)
def test_public_name_is_there(name):
    assert getattr(hybridflux, name) is not None
    assert name in dir(hybridflux)


@pytest.mark.parametrize("package", [hybridflux, hybridflux.inference], ids=lambda package: package.__name__)
def test_the_stub_of_the_editor_says_the_same(package):
    """Every line of the stub is a name of the package, the very thing that the module on this line holds."""
    lines = [node for node in ast.parse(Path(package.__file__).with_suffix(".pyi").read_text()).body if isinstance(node, ast.ImportFrom)]
    assert sorted(line.names[0].asname for line in lines) == sorted(package.__all__)
    for line in lines:
        module, name = import_module(line.module), line.names[0].name
        there = getattr(module, name, None) or import_module(f"{line.module}.{name}")
        public = getattr(package, name)
        assert public is there or public is module or public is sys.modules.get(f"{package.__name__}.{name}")


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute `HybridFlow`"):
        hybridflux.HybridFlow  # noqa: B018


def test_import_is_free():
    code = "import sys, hybridflux; print({'jax', 'numpy', 'xarray', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_readme_uses_public_names():
    assert set(re.findall(r"\bhf\.(\w+)", README)) <= set(hybridflux.__all__)


@pytest.mark.parametrize("line", re.findall(r"^hybridflux (\w+ .*)$", README, re.M))
def test_readme_uses_real_options(line):
    words = line.partition("#")[0].split()
    command = get_command(app).commands[words[0]]
    command = command.commands[words[1]] if hasattr(command, "commands") else command
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    required = {parameter.opts[0] for parameter in command.params if parameter.required and parameter.param_type_name == "option"}
    assert required <= set(words)


def test_readme_example_composes_a_model():
    source = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    body = source[source.index("model = ") : source.index("posterior = ")]
    names = {"hf": hybridflux}
    exec(body, names)
    assert {"fapar", "par", "rain", "tair_30d"} <= set(names["model"].needs())
