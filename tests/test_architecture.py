"""The floors of docs/architecture.md: who may import whom, and how long a file may be."""

import ast
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "hybridflux"
FLOORS = {
    "vocabulary": 0, "units": 0, "time": 0, "provenance": 0, "machine": 0, "files": 0, "records": 0, "ours": 0,
    "limits": 0, "links": 0, "addresses": 0, "progress": 0, "registry": 0, "lazy": 0,
    "causes": 0,
    "process": 1, "series": 1,
    "model": 2,
    "inference": 3, "data": 3,
    "region": 4, "evaluate": 4,
    "products": 5, "twin": 5, "ingest": 5,
    "report": 6,
    "demo": 7, "terminal": 7, "view": 7,
    "cli": 8,
}  # fmt: skip
LIBRARIES = {
    0: {"numpy"},
    1: {"numpy", "jax", "scipy", "numba"},
    2: {"numpy", "jax", "equinox", "jaxtyping"},
}
"""What the lowest floors may import besides the standard library and hybridflux."""

REGION = ("store", "drivers", "draws", "spec", "kernels", "outputs", "run", "map")
"""The rooms of `region/` in the order in which a run walks them: each imports from those before it only (see its docstring)."""
FULL_FOLDER = 12  # Python files

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
FOLDERS = ("hybridflux", "tests", "experiments", "benchmarks")
LONGEST = 400


def room(module: str) -> str:
    """`hybridflux.process.light` -> `process`."""
    return module.split(".")[1]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Full names of the modules a file imports, inside functions too, relative ones resolved."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], node.module or ""]).rstrip(".")
            origin = base if node.level else node.module
            found |= {f"{origin}.{alias.name}" for alias in node.names} if origin == "hybridflux" else {origin}
    return found


def each_file(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(PACKAGE.parent).as_posix())


def test_every_room_has_a_floor():
    rooms = {room(module_of(path)) for path in FILES}
    assert rooms <= set(FLOORS), f"no floor for {sorted(rooms - set(FLOORS))}: give it one in docs/architecture.md and here"


@each_file(FILES)
def test_imports_go_down(path):
    here = room(module_of(path))
    floor = FLOORS[here]
    for module in imports(path):
        if not module.startswith("hybridflux."):
            continue
        there = room(module)
        assert there in FLOORS, f"{here} imports `{module}`, which is not a room; name the room, not the public name"
        allowed = there == here or FLOORS[there] < floor or floor == FLOORS[there] == 0
        assert allowed, f"{here} (floor {floor}) imports {there} (floor {FLOORS[there]})"


def in_region(path: Path) -> dict[str, str]:
    """Modules of `region/` that a file imports -> their room there."""
    known = {module_of(one): one for one in FILES}
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module.startswith("hybridflux.region"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module: "" for name in names}
    return {module: module.split(".")[2] for module in found if module != "hybridflux.region"}


REGION_FILES = [path for path in FILES if room(module_of(path)) == "region" and path.parent.name + path.name != "region__init__.py"]


def test_region_has_the_rooms_it_declares():
    assert {module_of(path).split(".")[2] for path in REGION_FILES} == set(REGION)


@each_file(REGION_FILES)
def test_region_is_walked_downwards(path):
    here = module_of(path).split(".")[2]
    for module, there in in_region(path).items():
        assert REGION.index(there) <= REGION.index(here), f"region/{here} imports `{module}`, which comes later in {REGION}"


def test_region_has_no_circle():
    below = {module_of(path): set(in_region(path)) - {module_of(path)} for path in REGION_FILES}
    while free := {module for module, imported in below.items() if not imported & set(below)}:
        below = {module: imported for module, imported in below.items() if module not in free}
    assert not below, f"each of these imports another of them: {sorted(below)}"


def test_no_folder_of_region_is_full():
    folders = {path.parent for path in FILES if room(module_of(path)) == "region"}
    full = {folder.name: count for folder in folders if (count := len(list(folder.glob("*.py")))) > FULL_FOLDER}
    assert not full, f"more than {FULL_FOLDER} files: {full}"


PATHS = dict(re.findall(r"\* \*\*(.+?)\*\*: ((?:`[\w.]+`(?: →\s+)?)+)", (PACKAGE.parent / "docs" / "architecture.md").read_text()))
HOPS = 12


@pytest.mark.parametrize("name", ["map", "fit", "region build"])
def test_the_main_paths_are_those_of_the_code(name):
    path, seen = re.findall(r"`([\w.]+)`", PATHS[name]), []
    assert 5 < len(path) <= HOPS
    for step in path:
        module, _, attribute = step.rpartition(".")
        found = getattr(import_module(f"hybridflux.{module}"), attribute)
        named = not seen or any(re.search(rf"\b{attribute}\b", inspect.getsource(sys.modules[home])) for home, _ in seen)
        kind = isinstance(found, type) and any(isinstance(one, type) and issubclass(found, one) for _, one in seen)
        assert named or kind, f"{step} is not named by any earlier step of `{name}`"
        seen.append((f"hybridflux.{module}", found))


@each_file([path for path in FILES if FLOORS.get(room(module_of(path)), 9) in LIBRARIES])
def test_low_floors_are_light(path):
    floor = FLOORS[room(module_of(path))]
    foreign = {module.split(".")[0] for module in imports(path)} - set(sys.stdlib_module_names) - {"hybridflux"}
    assert foreign <= LIBRARIES[floor], f"floor {floor} may import {sorted(LIBRARIES[floor])}, not {sorted(foreign - LIBRARIES[floor])}"


@each_file(sorted(path for folder in FOLDERS for path in (PACKAGE.parent / folder).rglob("*.py")))
def test_one_idea_per_file(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{path.name} has {lines} lines: when a file passes {LONGEST}, it has two ideas"
    assert path.stem not in ("utils", "helpers", "misc", "common"), f"{path.name} does not say what it holds"
