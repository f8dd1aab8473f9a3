"""Files as users write them, `files/`: copied to a temporary folder and imported from there, so nothing of them is in the package."""

import shutil
import sys
from pathlib import Path

import pytest

from hybridflux.model import outside

FILES = Path(__file__).resolve().parent / "files"
collect_ignore = ["files"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A user's folder with the files, which Python finds."""
    here = tmp_path_factory.mktemp("mine")
    shutil.copytree(FILES, here, dirs_exist_ok=True)
    sys.path.insert(0, str(here))
    yield here
    sys.path.remove(str(here))


@pytest.fixture(scope="session")
def mine(folder):
    """Imports one of the user's files by its name, as `--with` does."""
    return lambda name: outside.load([folder / f"{name}.py"])[0]
