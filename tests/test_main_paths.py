"""The main paths of docs/architecture.md are true: each hop exists, and what it comes from names it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST = 12
SECTION = re.search(r"^## Main paths\n(.*?)^## ", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.S | re.M).group(1)
PATHS = {
    name: re.findall(r"^(\d+)\. (?:from (\d+): )?`([\w.]+)`", text, re.M)
    for name, text in re.findall(r"^### `([\w ]+)`\n(.*?)(?=^### |\Z)", SECTION, re.S | re.M)
}


@cache
def functions(module: Path) -> dict[str, ast.AST]:
    """`function` and `Class.method` of a module."""
    found = {}
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}": part for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def place(hop: str) -> tuple[Path, str]:
    """Module and function of `region.map.map_region`, or of `model.flux.HybridFlux.exchange`."""
    parts = hop.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ROOT / "hybridflux" / Path(*parts[:end]).with_suffix(".py")
        if module.is_file():
            return module, ".".join(parts[end:])
    raise AssertionError(f"{hop}: no module of hybridflux holds it")


def named(hop: str) -> set[str]:
    """Names that a function, and the private functions of its module that it calls, use."""
    module, function = place(hop)
    there, names, waiting = functions(module), set(), [function]
    while waiting:
        now = waiting.pop()
        used = {getattr(node, "id", None) or getattr(node, "attr", None) for node in ast.walk(there[now])} - {None}
        waiting += [name for name in used - names if name.startswith("_") and name in there]
        names |= used
    return names


@pytest.mark.parametrize("path", PATHS)
def test_a_main_path_is_true(path):
    hops = {int(number): (int(before or int(number) - 1), hop) for number, before, hop in PATHS[path]}
    assert 5 <= len(hops) <= MOST and list(hops) == list(range(1, len(hops) + 1))
    for number, (before, hop) in hops.items():
        module, function = place(hop)
        assert function in functions(module), f"{number}. {hop} does not exist"
        if number > 1:
            assert function.rpartition(".")[2] in named(hops[before][1]), f"{hops[before][1]} does not name {hop}"


def test_the_three_paths_are_there():
    assert list(PATHS) == ["map", "fit", "region build"]
