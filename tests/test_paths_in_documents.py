"""Every file, folder and name of hybridflux that a document or a docstring names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hybridflux"
DOCUMENTS = [path for pattern in ("*.md", "docs/**/*.md", "*/README.md", "experiments/results/*.md") for path in ROOT.glob(pattern)]
SOURCES = sorted(PACKAGE.rglob("*.py"))
TOPS = ("hybridflux", "tests", "experiments", "benchmarks", "docs")
FILES = [path.relative_to(ROOT).as_posix() for top in TOPS for path in (ROOT / top).rglob("*.py")]

ELSEWHERE = {"gdal_edit.py", "gdal_calc.py"}
"""Programs of other projects."""
OF_THE_USER = re.compile(r"my_\w+\.py|file\.py", re.I)
ENTRY_POINTS = {"readers", "methods", "processes", "outputs", "baselines"}
"""Groups of entry points, which are called as a module might be."""
NO_MODULE = re.compile(r".*\.(nc|zarr|json|csv|npz|toml|npy|txt|md|py|pyi|h5|tif|html)\b")
PYTHON = re.compile(r"[\w./*-]*\w\.py\b")
FOLDER = re.compile(r"`([a-z_]+(?:/[a-z_]+)*)/`")
DOTTED = re.compile(r"`(?:hybridflux\.)?([a-z_]+(?:\.[A-Za-z_]\w*)+)|\bhybridflux((?:\.[A-Za-z_]\w*)+)")
OTHER_NAMES = re.compile(r"(sources|observed)\..*\.(z|effect)|time\.perf_counter|\w+\.my")
"""Names of learned leaves, of the standard library, of entry points of the user's own."""
STEMS = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}


def pages(paths):
    return pytest.mark.parametrize("page", paths, ids=lambda page: page.relative_to(ROOT).as_posix())


def has(file: str) -> bool:
    return any(f"/{known}".endswith(f"/{file}") for known in FILES)


@pages([*DOCUMENTS, *SOURCES])
def test_named_files_are_there(page):
    named = {found.lstrip("./") for found in PYTHON.findall(page.read_text(encoding="utf-8"))} - ELSEWHERE
    assert not [file for file in named if not OF_THE_USER.fullmatch(Path(file).name) and "*" not in file and not has(file)]


@pages(DOCUMENTS)
def test_named_folders_are_there(page):
    named = [found for found in FOLDER.findall(page.read_text(encoding="utf-8")) if (PACKAGE / found.split("/")[0]).exists()]
    assert not [folder for folder in named if not (PACKAGE / folder).is_dir()]


SECTION = re.compile(r"^##+ (.*)\n((?:(?!##).*\n?)*)", re.M)
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ARCHITECTURE = {heading: text for heading, text in SECTION.findall(PAGE) if "`" in heading}


@pytest.mark.parametrize("heading", ARCHITECTURE)
def test_a_section_names_files_of_its_folders(heading):
    """A file without a folder before it stands in a folder that the heading names, or is of floor 0."""
    folders = [PACKAGE / folder.strip("/") for folder in re.findall(r"`([a-z_/]+)`", heading)]
    there = {path.name for folder in folders for path in folder.rglob("*.py")} | {path.name for path in PACKAGE.glob("*.py")}
    assert folders and all(folder.is_dir() for folder in folders)
    assert not {file for file in PYTHON.findall(ARCHITECTURE[heading]) if "/" not in file} - there


def is_there(name: str) -> bool:
    """Whether the first parts are a folder or a module of the package, and its source has the word that follows."""
    first, *rest = name.split(".")
    places = [path for path in (*SOURCES, *{path.parent for path in SOURCES}) if path.stem == first]
    for place in places:
        left = [*rest]
        while left and (inner := [place / end for end in (left[0], f"{left[0]}.py") if (place / end).exists()]):
            place, left = inner[0], left[1:]
        texts = (path.read_text(encoding="utf-8") for path in (place.rglob("*.py") if place.is_dir() else [place]))
        if not left or any(re.search(rf"\b{left[0]}\b", text) for text in texts):
            return True
    return False


@pages([*DOCUMENTS, *SOURCES])
def test_named_modules_are_there(page):
    named = {(one or other).strip(".") for one, other in DOTTED.findall(page.read_text(encoding="utf-8"))}
    meant = {name for name in named if name.split(".")[0] in STEMS and not NO_MODULE.fullmatch(name) and not OTHER_NAMES.fullmatch(name)}
    assert not {name for name in meant - ENTRY_POINTS if not is_there(name)}


def test_what_is_not_there_is_seen():
    assert has("model/spec.py") and not has("model/store.py")
    assert is_there("model.spec.to_spec") and not is_there("model.warehouse.to_spec")
    assert not is_there("inference.joint.nothing_of_this_name")
