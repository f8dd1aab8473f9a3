"""A run on a real SLURM of one node: submitted, a task cancelled, resumed. Needs the programs of SLURM and to be root."""

import ast
import dataclasses
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time

import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import KEEP, PeriodMaps
from hybridflux.region.run.executors import Slurm

pytestmark = pytest.mark.long

NEEDED = ("sbatch", "slurmctld", "slurmd", "munged", "scancel")
SETTINGS = dict(draws=4, period=Period("2018-06-01", "2018-07-31"))
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
ReturnToService=2
MpiDefault=none
KillWait=30
MinJobAge=2
DefMemPerCPU=1500
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=3000 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until(condition, seconds=120, what="it"):
    """Wait for a condition; gives its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"{what} did not come within {seconds} s")


def call(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """munged, slurmctld and slurmd of our own, stopped by their process ids."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: install slurm-wlm and munge")
    if os.geteuid():
        pytest.skip("slurmd must be started by root")
    folder = tmp_path_factory.mktemp("slurm")
    for part in folder.parents:  # munged wants no folder on the way that others may write into
        if part.stat().st_uid == 0 and str(part).startswith("/tmp/"):
            part.chmod(0o755)
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir()
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=socket.gethostname().partition(".")[0], ports=free_ports(2), folder=folder))
    munge = [f"--{name}={folder}/munge{ending}" for name, ending in (("key-file", "/key"), ("socket", ".socket"), ("pid-file", ".pid"))]
    commands = (
        ["munged", "--foreground", "--force", *munge, f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D", "-f", conf],
        ["slurmd", "-D", "-f", conf],
    )
    running, before = [], os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(conf)
    try:
        for command in commands:
            with open(folder / f"{command[0]}.out", "w") as log:
                running.append(subprocess.Popen([str(word) for word in command], stdout=log, stderr=subprocess.STDOUT))
            time.sleep(1.0)
        until(lambda: "idle" in call("sinfo", "-h", "-o", "%t"), 60, "the node")
        yield folder
    finally:
        call("scancel", "--user=root")
        time.sleep(0.5)
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(20)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


def ended():
    return not call("squeue", "-h")


def test_a_cancelled_task_and_the_rest_of_the_run(slurm, tmp_path, region_path, make_posterior):
    posterior, out = make_posterior(), tmp_path / "run"
    report = map_region(posterior, region_path, out, **SETTINGS, executor=Slurm(2, "--cpus-per-task=1 --hold"))
    array = str(report).partition("SLURM job ")[2].partition(",")[0]
    assert report.state == "submitted" and "6 of 6 tiles are left; submitted 2 tasks as" in str(report)
    assert f"squeue -j {array}," in str(report)
    script = (out / "slurm" / "tasks.sh").read_text()
    assert "#SBATCH --array=0,1" in script and "--task $SLURM_ARRAY_TASK_ID --tasks 2" in script
    call("scontrol", "release", f"{array}_0")
    until(lambda: len(list((out / "tiles").glob("*.json"))) == 3, what="the first task")
    call("scancel", f"{array}_1")
    until(ended, what="the end of all jobs, the last one without being run")
    assert not (out / "totals.nc").exists() and len(list((out / "tiles").glob("*.json"))) == 3

    report = map_region(posterior, region_path, out, **SETTINGS, executor=Slurm(2, "--cpus-per-task=2"), resume=True)
    assert "3 of 6 tiles are left; submitted 1 tasks as" in str(report)
    assert "#SBATCH --array=1\n" in (out / "slurm" / "tasks.sh").read_text()
    until(ended, what="the end of the run")
    (finished,) = (out / "slurm").glob("*_finish.log")
    assert "6 tiles (6 done before)" in finished.read_text()

    map_region(posterior, region_path, tmp_path / "here", **SETTINGS)
    here, there = (zarr.open_group(run / "fluxes.zarr", mode="r") for run in (tmp_path / "here", out))
    for group, arrays in here.groups():
        for name, array in arrays.arrays():
            assert (array[...] == there[group][name][...]).all(), f"{group}/{name}"
    one, other = (xr.open_dataset(run / "totals.nc", engine="h5netcdf").load().drop_attrs() for run in (tmp_path / "here", out))
    xr.testing.assert_identical(one, other)
    assert {path.name for path in (out / "cog").iterdir()} == {path.name for path in (tmp_path / "here" / "cog").iterdir()}


def test_a_running_task_is_cancelled(slurm, tmp_path, region_path, make_posterior):
    """The task hears SLURM's signal, says how far it came and leaves no lock; its log holds that."""
    posterior, out = make_posterior(draws=256), tmp_path / "run"
    report = map_region(posterior, region_path, out, draws=256, executor=Slurm(1, "--cpus-per-task=2"))
    array = str(report).partition("SLURM job ")[2].partition(",")[0]
    until(lambda: list((out / "tiles").glob("*.json")), what="the first tile")
    call("scancel", array)
    until(ended, what="the end of all jobs")
    said = "\n".join(log.read_text() for log in (out / "slurm").glob("*.log"))
    marked = len(list((out / "tiles").glob("*.json")))
    assert marked < 6, "all tiles were done before the task was cancelled: give the run more draws"
    assert f"{marked} of 6 tiles are done and kept" in said and f"go on with `hybridflux map --run {out}`" in said
    assert not list((out / "locks").glob("*.json"))


def test_without_slurm_it_is_told(tmp_path, region_path, make_posterior, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no `sbatch` on this machine"):
        map_region(make_posterior(), region_path, tmp_path / "run", **SETTINGS, executor=Slurm())


def test_tasks_are_given_the_run_folder_and_lose_no_setting(tmp_path, region_path, make_posterior, monkeypatch):
    """The scripts that `sbatch` gets are run here: as the tasks of a job array, then the job that ends the run."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sbatch").write_text(f"#!{sys.executable}\nprint(7)\n")
    (tmp_path / "sbatch").chmod(0o755)
    posterior = dataclasses.replace(make_posterior(), info={"ranges": {"soil_capacity": [60.0, 140.0]}})
    settings = SETTINGS | {"draws": Draws(4, effect_length=2e4), "keep": (PeriodMaps(quantiles=(0.1,)), *KEEP[1:])}
    region = open_region(region_path).with_changes({"rain": "*0.25"}).within("soil_capacity")
    report = map_region(posterior, region, tmp_path / "run", **settings, executor=Slurm(2))
    assert report.state == "submitted"
    alone = map_region(posterior, region, tmp_path / "alone", **settings)
    for script, task in (("tasks", "0"), ("tasks", "1"), ("finish", "")):
        words = shlex.split((tmp_path / "run" / "slurm" / f"{script}.sh").read_text().partition("exec ")[2])
        assert words[1:4] == ["map", "--run", str(tmp_path / "run")]
        words = [word.replace("$SLURM_ARRAY_TASK_ID", task) for word in words[1:]]
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    record, expected = (json.loads((run / "run.json").read_text()) for run in (tmp_path / "run", tmp_path / "alone"))
    assert record["state"] == "done" and record["spec"] == expected["spec"] and record["masked"] == expected["masked"] == alone.masked
    one, other = (xr.open_dataset(tmp_path / run / "totals.nc", engine="h5netcdf").load().drop_attrs() for run in ("run", "alone"))
    xr.testing.assert_identical(one, other)


@pytest.mark.parametrize("name", ["a run", "$(touch hacked)", "100 % 'sure' \"x\"", "; touch hacked", "#SBATCH --uid=0", "-rf"])
def test_every_value_of_a_script_is_quoted(tmp_path, region_path, make_posterior, monkeypatch, name):
    """The script is run by bash, and `sbatch` gets the name of the log as one argument in which `%` means itself."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    log = f"open({str(tmp_path / 'log')!r}, 'a').write(repr(sys.argv[1:]) + '\\n')"
    (tmp_path / "sbatch").write_text(f"#!{sys.executable}\nimport sys\n{log}\nprint(7)\n")
    (tmp_path / "sbatch").chmod(0o755)
    (tmp_path / "hybridflux").write_text('#!/bin/sh\nfor one in "$@"; do printf "%s\\n" "$one"; done\n')
    (tmp_path / "hybridflux").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    out = tmp_path / name
    map_region(make_posterior(), region_path, out, **SETTINGS, executor=Slurm(2))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    script = out / "slurm" / "tasks.sh"
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["map", "--run", str(out), "--task", "1", "--tasks", "2"], done.stderr
    assert [line for line in script.read_text().splitlines() if line.startswith("#SBATCH")] == [
        "#SBATCH --job-name=hybridflux-tasks", "#SBATCH --array=0,1"]  # fmt: skip
    submitted = [ast.literal_eval(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert f"--output={str(out).replace('%', '%%')}/slurm/%A_%a.log" in submitted[0] and not (tmp_path / "hacked").exists()


def test_a_line_break_is_refused_before_anything_is_written(tmp_path, region_path, make_posterior):
    with pytest.raises(ValueError, match="line break"):
        map_region(make_posterior(), region_path, tmp_path / "run\n#SBATCH --uid=0", **SETTINGS, executor=Slurm())
    assert not list(tmp_path.iterdir())
