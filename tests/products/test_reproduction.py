"""A product says how it was made, and is made again to the last bit."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import zarr

from hybridflux.products.reproduction import RUN, changed_inputs, check, compare, steps
from hybridflux.provenance import checksum_of, git_state, inputs, provenance
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.twin.world import make_world
from tests.ingest import conftest as small
from tests.ingest.test_commands import write
from tests.region.conftest import a_posterior, made_up


def cli(*arguments, folder):
    return subprocess.run([sys.executable, "-c", OURS, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False)


OURS = f"import sys; sys.argv[0] = 'hybridflux'; {RUN}"


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A posterior, a region, a run and its budget, made on the command line in one folder."""
    folder = tmp_path_factory.mktemp("chain")
    made_up(folder / "r.zarr")
    a_posterior(draws=2).save(folder / "p.nc")
    for words in (
        ("map", "--posterior", "p.nc", "--region", "r.zarr", "--out", "run", "--draws", 2, "--start", "2018-12-01"),
        ("budget", "--run", "run", "--out", "b.csv"),
    ):
        done = cli(*words, folder=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_a_run_remembers_what_it_was_made_of_and_where(chain):
    record = json.loads((chain / "run" / "run.json").read_text())["provenance"]
    assert record["command"].startswith("hybridflux map --posterior p.nc") and record["folder"] == str(chain)
    assert record["inputs"] == {str(chain / name): checksum_of(chain / name) for name in ("p.nc", "r.zarr")}
    assert record["machine"]["cores"] >= 1 and "force_host_platform_device_count" in record["machine"]["xla_flags"]


def test_the_commands_of_a_table_go_back_to_its_region(chain):
    assert [step.command.split()[1] for step in steps(chain / "b.csv")[-2:]] == ["map", "budget"]
    done = cli("reproduce", "b.csv", "--check", folder=chain)
    assert done.returncode == 0 and "hybridflux map --posterior" in done.stdout and f"cd {chain}" in done.stdout
    assert "b.csv: made again, 1 arrays and tables are the same" in done.stdout


MONTH = ("--start", "2022-05-01", "--end", "2022-05-31")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Towers and a region of four sites, and a place to build, in one folder."""
    folder = tmp_path_factory.mktemp("world")
    make_world(folder, size=16, days=160, towers=4, seed=2)
    days = np.arange("2019-03-01", "2019-09-01", dtype="M8[D]")
    small.write_cube(folder, days, every=20)
    small.write_weather(folder, days)
    small.write_cover(folder)
    period = {"start": "2019-06-01", "end": "2019-08-31", "lead": 92}
    write(folder / "place.toml", small.configuration(folder, period=period))
    return folder


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("p.nc", ("fit", "--towers", "towers", "--method", "map", "--model", "static", "--years", "2021:2021")),
        ("drought", ("scenario", "--posterior", "p.nc", "--region", "region.zarr", "--change", "rain=*0.2", "--draws", "1", *MONTH)),
        ("report.html", ("report", "--run", "drought/control")),
        ("place.zarr", ("region", "build", "place.toml")),
    ],
    ids=["fit", "scenario", "report", "region build"],
)
def test_what_each_command_makes_is_made_again(world, name, words):
    done = cli(*words, "--out", name, folder=world)
    assert done.returncode == 0, done.stderr
    assert steps(world / name)[-1].command.split()[1] == words[0]
    assert re.search(r"made again, \d+ arrays and tables are the same to the last bit", check(world / name))


def test_a_run_is_made_again_to_the_last_bit(chain):
    done = cli("reproduce", "run", "--check", folder=chain)
    assert done.returncode == 0 and "arrays and tables are the same to the last bit" in done.stdout, done


SOME_CORES = """
import os, sys
os.sched_setaffinity(0, {int(one) for one in sys.argv[1].split(",")})
from hybridflux.machine import prepare
prepare()
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from tests.region.conftest import a_posterior
map_region(a_posterior(draws=20), sys.argv[2], sys.argv[3], draws=20, period=Period("2018-01-01"))
"""


@pytest.mark.long
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_the_number_of_cores_does_not_change_a_bit(tmp_path):
    """XLA rounded some annual means and sums otherwise where it had one core: 21 of 4 368 000 values. Compiled as users have it."""
    made_up(tmp_path / "r.zarr", size=(140, 160), tile=64)
    two, usual = sorted(os.sched_getaffinity(0))[:2], {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    for cores in (two[:1], two):
        words = (",".join(map(str, cores)), tmp_path / "r.zarr", tmp_path / str(len(cores)))
        program = [sys.executable, "-W", "ignore", "-c", SOME_CORES, *map(str, words)]
        done = subprocess.run(program, capture_output=True, text=True, env=usual)
        assert done.returncode == 0, done.stderr
    count, differing = compare(tmp_path / "1", tmp_path / "2")
    assert count > 50 and differing == []


def test_what_differs_is_named(chain, tmp_path):
    one, other = chain / "run", shutil.copytree(chain / "run", tmp_path / "run")
    assert compare(one, other)[1] == []
    array = zarr.open_array(other / "fluxes.zarr" / "monthly" / "NEE", mode="r+")
    array[0, 5, 5] = array[0, 5, 5] + 1
    assert compare(one, other)[1] == [f"fluxes.zarr/monthly/NEE: 1 of {array.size} values differ"]
    table = (chain / "b.csv").read_text()
    (tmp_path / "b.csv").write_text(table.replace("NEE", "NEX", 1))
    assert compare(chain / "b.csv", tmp_path / "b.csv")[1] == [f"table: 1 of {len(table.splitlines())} lines differ"]


def test_inputs_that_changed_since_are_named(tmp_path):
    (tmp_path / "towers").mkdir()
    (tmp_path / "towers" / "sites.csv").write_text("site\n")
    record = {"inputs": inputs(["fit", "--towers", str(tmp_path / "towers"), f"--out={tmp_path}", "--seed", "1"])}
    assert list(record["inputs"]) == [str(tmp_path / "towers")] and changed_inputs(record) == []
    (tmp_path / "towers" / "sites.csv").write_text("sitE\n")
    assert changed_inputs(record) == [f"{tmp_path / 'towers'} has changed: its checksum differs"]
    shutil.rmtree(tmp_path / "towers")
    assert changed_inputs(record) == [f"{tmp_path / 'towers'} is missing"]


def test_what_was_made_in_python_says_so(chain, tmp_path):
    path = made_up(tmp_path / "r.zarr", days=("2018-01-01", "2018-02-28")).path
    only = "It was made of what lived in Python only, which cannot be repeated from here: weather, dict of 9 arrays, sha256:[0-9a-f]{64}"
    with pytest.raises(ValueError, match=f"not by a command of hybridflux: run that again, and compare.*{only}; plant_type, ndarray int64"):
        check(path)
    (step,) = steps(path)
    assert "made by a Python program" in str(step) and "# of soil_capacity: ndarray" in str(step)
    other = made_up(tmp_path / "other.zarr", days=("2018-01-01", "2018-02-28"))
    (again,) = steps(other.path)
    assert again.record["given"] == step.record["given"]  # the same arrays have the same digests
    map_region(a_posterior(draws=2), path, tmp_path / "run", draws=2, period=Period("2018-02-01"))
    assert "same to the last bit" in check(tmp_path / "run")
    assert np.isfinite(provenance({})["machine"]["cores"])


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_is_known_where_git_refuses(tmp_path, monkeypatch, packed):
    """A checkout of another owner: git says `dubious ownership`; or there is no git."""

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.org")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "first")
    known = git_state(tmp_path)
    assert known["dirty"] is False
    if packed:
        git("pack-refs", "--all")

    def refused(*words):
        raise subprocess.CalledProcessError(128, "git", stderr="fatal: detected dubious ownership in repository")

    monkeypatch.setattr("hybridflux.provenance._git", refused)
    assert git_state(tmp_path) == {"commit": known["commit"], "dirty": None}
    git("checkout", "-q", "--detach")
    assert git_state(tmp_path)["commit"] == known["commit"]
    git("branch", "other")
    git("worktree", "add", "-q", str(tmp_path / "tree"), "other")
    assert git_state(tmp_path / "tree")["commit"] == known["commit"]
    (tmp_path / ".git" / "HEAD").write_text("nothing\n")
    assert git_state(tmp_path) is None
