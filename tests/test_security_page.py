"""The page on security promises nothing without a test, and names tests, settings and functions that there are."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from hybridflux import limits

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| format"))]
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_every_threat_has_what_happens_and_a_test(row):
    threat, happens, tests = (cell.strip() for cell in row.strip("|").split(" | "))
    assert threat and happens and re.fullmatch(r"(`tests/[\w/]+\.py(::\w+)?` ?)+", tests.strip("| "))


@pytest.mark.parametrize("name", TESTS)
def test_the_tests_it_names_exist(name):
    path, _, function = name.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^def {function}\(" if function else r"^def test_\w+\(", text, re.MULTILINE), name


def test_the_settings_and_functions_it_names_exist():
    known = {limit.variable for limit in vars(limits).values() if isinstance(limit, limits.Limit)}
    said = set(re.findall(r"HYBRIDFLUX_LIMIT_[A-Z0-9_]*[A-Z0-9]", PAGE))
    said |= {f"{limits.PREFIX}{short}" for short in re.findall(r"`_([A-Z0-9_]+)`", PAGE)}
    assert said and said <= known
    for dotted in re.findall(r"`(hybridflux(?:\.\w+)+)(?:\(\w*\))?`", PAGE):
        module, _, name = dotted.rpartition(".")
        if dotted.count(".") > 1:
            assert hasattr(import_module(module), name), dotted
