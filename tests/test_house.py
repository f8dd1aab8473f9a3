"""The house in one picture, CONTRIBUTING.md, drawn from the imports; and one name for one thing in it.

`python -m tests.test_house` draws the picture again.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.test_architecture import FILES, FLOORS, PACKAGE, imports, module_of, room

PAGE = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"
FRAME = re.compile(r"(<!-- house: python -m tests.test_house -->\n```\n)(.*?)(```\n)", re.S)

SAME_MODULE = {
    "base": "what the members of a family share: methods, outputs, executors",
    "map": "the mode of a posterior is called MAP; `map_region` is the verb",
    "spec": "what a model is made of; what a run is made of: the two written specifications",
    "towers": "a file of the command line is named after what its commands are about",
    "vegetation": "physics of the leaf; its series at towers",
}
"""Module name that several rooms have -> why."""
SAME_CLASS: dict[str, str] = {}
"""Class name that several modules have -> why."""


def picture() -> str:
    """One line a room, the highest floor first: what it imports from, besides the words of floor 0."""
    from_where = defaultdict(set)
    for path in FILES:
        here = room(module_of(path))
        from_where[here] |= {room(module) for module in imports(path) if module.startswith("hybridflux.")} - {here}
    lines, known = [], {name: floor for name, floor in FLOORS.items() if floor > 0}
    for name, floor in sorted(known.items(), key=lambda item: (-item[1], item[0])):
        below = sorted((one for one in from_where[name] if one in known), key=lambda one: (-known[one], one))
        lines.append(f"{floor}  {name:<10} {'<- ' + ', '.join(below) if below else ''}".rstrip())
    words = ", ".join(sorted(name for name, floor in FLOORS.items() if floor == 0))
    return "\n".join([*lines, f"0  {words}"]) + "\n"


def test_the_picture_is_that_of_the_imports():
    assert FRAME.search(PAGE.read_text(encoding="utf-8")).group(2) == picture(), "draw it again: python -m tests.test_house"


def test_one_name_for_one_thing():
    modules, classes = defaultdict(set), defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        if path.stem != "__init__":
            modules[path.stem].add(path)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name].add(path)
    assert {name for name, places in modules.items() if len(places) > 1} == set(SAME_MODULE)
    assert {name for name, places in classes.items() if len(places) > 1} == set(SAME_CLASS)


def test_what_zarr_lists_is_put_in_order():
    """A group lists its arrays as the answers of an event loop come in: messages, figures and lists would differ between runs."""
    listed = re.compile(r"\.arrays\(\)|\]\.groups\(\)")
    loose = [f"{path.name}: {line.strip()}" for path in FILES for line in path.read_text(encoding="utf-8").splitlines()
             if listed.search(line) and "sorted(" not in line]  # fmt: skip
    assert not loose


if __name__ == "__main__":
    PAGE.write_text(FRAME.sub(lambda found: found[1] + picture() + found[3], PAGE.read_text(encoding="utf-8")), encoding="utf-8")
