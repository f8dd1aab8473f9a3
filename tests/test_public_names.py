"""What the package and the README promise is there."""

import ast
import inspect
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


def declared(name: str, value) -> list:
    """A public verb, or the methods of a public class, each where it was first declared: an overriding method inherits its types."""
    if inspect.isfunction(value):
        return [(name, value)]
    if not inspect.isclass(value):
        return []
    found = []
    for method in (method for method in dir(value) if not method.startswith("_")):
        first = [base for base in value.__mro__ if method in vars(base)][-1]
        function = inspect.unwrap(getattr(vars(first)[method], "__func__", vars(first)[method]))
        if inspect.isfunction(function) and first.__module__.startswith("hybridflux."):
            found.append((f"{name}.{method}", function))
    return found


PUBLIC = {name: getattr(package, name) for package in (hybridflux, hybridflux.inference) for name in package.__all__}
VERBS = dict(verb for name, value in PUBLIC.items() for verb in declared(name, value))


@pytest.mark.parametrize("name", VERBS)
def test_public_verb_says_its_types(name):
    signature = inspect.signature(VERBS[name])
    without = [one.name for one in signature.parameters.values() if one.annotation is one.empty and one.name not in ("self", "cls")]
    assert not without, f"{name} does not say of which types {', '.join(without)} are"
    assert signature.return_annotation is not signature.empty, f"{name} does not say what it returns"


def test_verbs_are_found():
    assert {"open_towers", "map_region", "Posterior.predict", "Sequences.select", "Output.merge", "AbstractMethod.draw"} <= set(VERBS)
