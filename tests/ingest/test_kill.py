"""A build killed with -9 anywhere, again and again, then resumed: the same store, bit for bit, as one that nothing happened to."""

import json

import numpy as np
import pandas as pd
import pytest
import zarr

from hybridflux.region.store.checksums import OF_GROUP
from tests.ingest.test_commands import write
from tests.killing import killed_until_done, leftovers, to_the_end, until_fifty

pytestmark = pytest.mark.long

DAYS = pd.date_range("2019-03-01", "2019-08-31").to_numpy()
PERIOD = {"start": "2019-06-01", "end": "2019-08-31", "lead": 92}
CALLS = {"replace": (148, 60), "chunk": (135, 35)}  # which a whole build makes, and which are left without template and weather


@pytest.fixture(scope="module")
def config(make, tmp_path_factory):
    """Configuration of a small place: half a year, an image every ten days."""
    folder = tmp_path_factory.mktemp("small")
    make.cube(folder, DAYS, every=10)
    make.weather(folder, DAYS)
    make.cover(folder)
    return write(folder / "small.toml", make.configuration(folder, period=PERIOD))


def command(config, out):
    return ["region", "build", config, "--out", out, "--resume"]


def stage(out):
    """How far a build was, by its work folder."""
    work = out.with_suffix(".build")
    if not (work / "template.json").exists():
        return "before the template"
    if (work / "tiles").is_dir() and any((work / "tiles").glob("*.json")):
        return "series of the tiles"
    return "learning the hyperparameters" if (work / "prior_ndvi.json").exists() else "reading the scenes"


def contents(store):
    """Name -> what it holds: bytes of chunks, metadata without the record of how it was made, the last line of each chunk's checksum."""
    found = {}
    for path in sorted(file for file in store.rglob("*") if file.is_file()):
        name = path.relative_to(store).as_posix()
        if path.name == "zarr.json":
            about = json.loads(path.read_text())
            about.pop("consolidated_metadata", None)
            found[name] = about | {"attributes": {key: value for key, value in about["attributes"].items() if key != "provenance"}}
        elif path.name == "checksums.txt":
            lines = {line.split()[0]: line for line in path.read_text().splitlines() if line}
            found[name] = {key: line for key, line in lines.items() if key != OF_GROUP}  # which holds the time of the build
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A build that nothing happens to, and its seconds where all programs are compiled, as for those that are killed."""
    out = tmp_path_factory.mktemp("whole") / "r.zarr"
    to_the_end(command(config, out.with_name("first.zarr")))
    return out, to_the_end(command(config, out))


def compare(whole, out):
    one, other = contents(whole), contents(out)
    assert sorted(one) == sorted(other)
    assert [name for name, values in one.items() if values != other[name]] == []
    assert not leftovers(out) and not leftovers(out.with_suffix(".build"))
    assert zarr.open_group(out, mode="r").attrs["state"] == "complete"
    assert (zarr.open_array(out / "fapar", mode="r")[:] != np.int16(-32768)).any()


def kill(config, out, kills, seconds, seed):
    work = out.with_suffix(".build")
    markers = lambda: [path for part in ("views", "tiles") for path in (work / part).glob("*.json")]  # noqa: E731
    return killed_until_done(command(config, out), kills, seconds, seed, CALLS, lambda: stage(out), markers)


def test_killed_a_few_times(tmp_path, config, whole):
    deaths = kill(config, tmp_path / "r.zarr", 4, whole[1], seed=1)
    assert deaths.number >= 3 and deaths.kept
    compare(whole[0], tmp_path / "r.zarr")


@pytest.mark.slow
def test_killed_fifty_times(tmp_path, config, whole, capsys):
    """Several builds, so that there is always something left to be killed at; the counts are printed."""
    def one(number):
        deaths = kill(config, tmp_path / f"r{number}.zarr", 6, whole[1], seed=number)
        compare(whole[0], tmp_path / f"r{number}.zarr")
        return deaths

    deaths, line = until_fifty(one, "builds")
    with capsys.disabled():
        print(f"\n{line}")
    assert min(deaths.places.values()) >= 8
