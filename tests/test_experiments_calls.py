"""Every experiment uses hybridflux as it is today: names, arguments, and what the objects of its annotations have.

Read from the text in a second, so that a renamed function or argument is seen at once in the experiments whose smoke run is `slow`.
"""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "experiments"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def imported(tree: ast.Module) -> dict[str, object]:
    """Name in a script -> what it has of hybridflux under this name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "hybridflux":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")  # raises where there is no such module either
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def fits(function, call: ast.Call) -> bool:
    """Whether the arguments of a call can be those of the function; with a `*` or `**` only the names are looked at."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return True
    positional = [None for one in call.args if not isinstance(one, ast.Starred)]
    named = {one.arg: None for one in call.keywords if one.arg}
    spread = len(positional) < len(call.args) or len(named) < len(call.keywords)
    try:
        (signature.bind_partial if spread else signature.bind)(*positional, **named)
    except TypeError:
        return False
    return True


def has(kind: type, name: str) -> bool:
    """Whether instances of a class have an attribute: of the class, of its fields, or set in its text."""
    fields = {field for base in kind.__mro__ for field in getattr(base, "__annotations__", {})}
    return hasattr(kind, name) or name in fields or f"self.{name} = " in inspect.getsource(kind)


def wrong(text: str) -> list[str]:
    """What of a script hybridflux does not have, as `line: what`."""
    tree = ast.parse(text)
    ours, found = imported(tree), []

    def check(function, call, name):
        if callable(function) and not fits(function, call):
            found.append(f"{call.lineno}: arguments of {name}")

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ours:
            check(ours[node.func.id], node, node.func.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and inspect.ismodule(ours.get(node.value.id)):
            if not hasattr(ours[node.value.id], node.attr):
                found.append(f"{node.lineno}: {node.value.id}.{node.attr}")
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = [*node.args.args, *node.args.kwonlyargs]
        kinds = {one.arg: ours.get(one.annotation.id) for one in arguments if isinstance(one.annotation, ast.Name)}
        kinds = {name: kind for name, kind in kinds.items() if inspect.isclass(kind)}
        calls = {id(one.func): one for one in ast.walk(node) if isinstance(one, ast.Call)}
        for one in ast.walk(node):
            if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id in kinds:
                kind = kinds[one.value.id]
                if not has(kind, one.attr):
                    found.append(f"{one.lineno}: {kind.__name__}.{one.attr}")
                elif id(one) in calls and inspect.isfunction(inspect.getattr_static(kind, one.attr, None)):
                    method = getattr(kind, one.attr).__get__(object())
                    check(method, calls[id(one)], f"{kind.__name__}.{one.attr}")
    return found


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_an_experiment_calls_is_there(path):
    assert wrong(path.read_text()) == []


MISTAKES = {
    "from hybridflux.region.map import map_region\nmap_region(1, 2, 3, draw=4)": "2: arguments of map_region",
    "from hybridflux.region.map import map_region\nmap_region(1)": "2: arguments of map_region",
    "from hybridflux.process import light\nlight.absorb": "2: light.absorb",
    "from hybridflux.inference.posterior import Posterior\ndef f(one: Posterior):\n    one.thinned(3)": "3: Posterior.thinned",
    "from hybridflux.inference.posterior import Posterior\ndef f(one: Posterior):\n    one.thin(count=3)": "3: arguments of Posterior.thin",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_seen(text):
    assert wrong(text) == [MISTAKES[text]]


def test_a_name_that_went_is_seen():
    with pytest.raises(ImportError):
        wrong("from hybridflux.region.map import map_regions")
