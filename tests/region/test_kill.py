"""Killed with -9 anywhere, again and again, then resumed: the same bytes as a run that nothing happened to."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).with_name("dying.py")


def start(inputs, out, where="nowhere", number=0):
    words = [sys.executable, SCRIPT, where, number, *inputs, out]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(out):
    """Name -> bytes of all that stays of a run, but for its record and totals, which hold times of writing."""
    files = (path for part in ("fluxes.zarr", "totals", "cog") for path in (out / part).rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != "zarr.json" and path.suffix != ".tif"}


@pytest.fixture(scope="module")
def inputs(make_region, make_posterior, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    make_posterior().save(folder / "posterior.nc")
    return folder / "posterior.nc", make_region(folder / "r.zarr", days=("2018-01-01", "2018-02-28")).path


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """A run that nothing happens to, and its seconds."""
    out, began = tmp_path_factory.mktemp("whole") / "run", time.monotonic()
    process = start(inputs, out)
    assert process.communicate() and process.returncode == 0
    return out, time.monotonic() - began


def killed_until_done(inputs, out, kills, seconds, seed):
    """Kill a run so many times, by turns at a renaming, in a chunk and at any time, then let it end. Returns how many of each hit."""
    chance, hits = random.Random(seed), {"replace": 0, "chunk": 0, "any time": 0}
    for number in range(kills):
        where = list(hits)[number % 3]  # a process that was to die may have ended before: only those that died are counted
        if where == "any time":
            process = start(inputs, out)
            try:
                process.communicate(timeout=chance.uniform(0.3, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        else:
            process = start(inputs, out, where, chance.randint(1, 8 if where == "replace" else 40))
            process.communicate()
        hits[where] += process.returncode == -signal.SIGKILL
    process = start(inputs, out)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return hits


def compare(whole, out):
    one, other = contents(whole), contents(out)
    assert sorted(one) == sorted(other)
    assert [name for name, values in one.items() if values != other[name]] == []
    assert not [path for path in out.rglob("*.part*") if path.suffix in (".part", ".partial")]
    for file in ("totals.nc", "series.nc"):
        xr.testing.assert_identical(*(xr.open_dataset(run / file, engine="h5netcdf").load().drop_attrs() for run in (whole, out)))


def test_killed_a_few_times(tmp_path, inputs, whole):
    hits = killed_until_done(inputs, tmp_path / "run", 4, whole[1], seed=1)
    assert hits["replace"] and hits["chunk"]
    compare(whole[0], tmp_path / "run")


@pytest.mark.slow
def test_killed_fifty_times(tmp_path, inputs, whole):
    """Several runs, so that there is always something left to be killed at."""
    total = {"replace": 0, "chunk": 0, "any time": 0}
    number = 0
    while sum(total.values()) < 50:
        number += 1
        hits = killed_until_done(inputs, tmp_path / f"run{number}", 6, whole[1], seed=number)
        total = {where: total[where] + hits[where] for where in total}
        compare(whole[0], tmp_path / f"run{number}")
    print(f"{number} runs, killed {total}")
    assert min(total.values()) >= 8
