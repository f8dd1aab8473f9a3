"""Whoever runs the tiles, the run is the same: one process, shares, a dask cluster whose workers die."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr
import zarr
from distributed import Client, LocalCluster
from distributed.comm import connect
from distributed.security import Security

from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.region.run.executors import Dask, Serial, Share, Slurm, choose
from hybridflux.region.run.executors.cluster import local_cluster

pytestmark = pytest.mark.long

SETTINGS = dict(draws=64, period=Period("2018-02-01", "2018-02-28"))


def assert_same_run(one, other):
    """Stores bit for bit, totals too: tiles are always merged in the same order.

    Daily series are float32 sums over the pixels of a block, in an order that hangs on the vector width XLA is told to use.
    """
    first, second = (zarr.open_group(out / "fluxes.zarr", mode="r") for out in (one, other))
    for group, arrays in first.groups():
        for name, array in arrays.arrays():
            np.testing.assert_array_equal(array[...], second[group][name][...], err_msg=f"{group}/{name}")
    xr.testing.assert_identical(*(xr.open_dataset(out / "totals.nc", engine="h5netcdf").load().drop_attrs() for out in (one, other)))
    series = (xr.open_dataset(out / "series.nc", engine="h5netcdf").load().drop_attrs() for out in (one, other))
    xr.testing.assert_allclose(*series, rtol=1e-5, atol=1e-6)
    files = [sorted(path.relative_to(out) for path in (out / "fluxes.zarr").rglob("*")) for out in (one, other)]
    assert files[0] == files[1]


@pytest.fixture(scope="module")
def region_path(make_region, tmp_path_factory):
    """Six tiles of several blocks for each device: a loop of one block is compiled to other code than a loop of several."""
    return make_region(tmp_path_factory.mktemp("larger") / "r.zarr", size=(128, 192), tile=64, days=("2018-01-01", "2018-02-28")).path


@pytest.fixture(scope="module")
def here(region_path, make_posterior, tmp_path_factory):
    """The run of this process."""
    out = tmp_path_factory.mktemp("here") / "run"
    map_region(make_posterior(), region_path, out, **SETTINGS)
    return out


@pytest.fixture(scope="module")
def serial(region_path, make_posterior, tmp_path_factory):
    """The run of the command line, which sets up its machine as the workers do: the same code is then compiled for both."""
    folder = tmp_path_factory.mktemp("serial")
    make_posterior().save(folder / "posterior.nc")
    words = ["--posterior", folder / "posterior.nc", "--region", region_path, "--out", folder / "run", "--draws", 64]
    words += ["--start", "2018-02-01", "--end", "2018-02-28"]
    command = [sys.executable, "-c", "from hybridflux.cli import main; main()", "map", *words]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return folder / "run"


def test_shares_together_are_the_run(tmp_path, region_path, make_posterior, here):
    out = tmp_path / "run"
    for task in (1, 0, 1):
        report = map_region(make_posterior(), region_path, out, **SETTINGS, executor=Share(task, 2))
        assert report.state == "running" and f"task {task} of 2: 3 of 3 tiles are done" in str(report) and not (out / "totals.nc").exists()
    assert report.skipped == 3
    report = map_region(make_posterior(), region_path, out, **SETTINGS, resume=True)
    assert report.state == "done" and report.skipped == report.tiles == 6
    assert_same_run(here, out)


def test_a_local_cluster(tmp_path, region_path, make_posterior, serial):
    report = map_region(make_posterior(), region_path, tmp_path / "run", **SETTINGS, executor=Dask(1))
    assert report.state == "done"
    assert_same_run(serial, tmp_path / "run")


def test_workers_of_an_address_die(tmp_path, region_path, make_posterior, serial):
    """The worker that holds the job is killed after each of the first two tiles, whatever it has in hand."""
    killed = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as watch:

        def kill(done, total, message):
            if len(killed) < 2:
                holders = [worker for key, worker in watch.who_has().items() if "hybridflux" in str(key)]
                address = next((one for held in holders for one in held), None) or next(iter(watch.scheduler_info()["workers"]))
                pid = watch.run(os.getpid, workers=[address])[address]
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        run = map_region(
            make_posterior(), region_path, tmp_path / "run", **SETTINGS, executor=Dask(cluster.scheduler_address, True), progress=kill
        )
    assert len(set(killed)) == 2 and run.state == "done"
    assert_same_run(serial, tmp_path / "run")


def test_nobody_else_can_command_a_local_cluster():
    """All that listens is on the loopback and wants the certificate, or is a web server with no pages: any local user may knock."""
    with local_cluster(1) as cluster, Client(cluster) as client:
        address = cluster.scheduler_address
        assert address.startswith("tls://127.0.0.1:")
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        ends = {one.laddr for process in processes for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
        assert {end.ip for end in ends} == {"127.0.0.1"} and len(ends) >= 4  # scheduler, worker and nanny, and their web servers
        for end in ends:
            for security in (None, Security.temporary()):  # without a certificate, and with one of one's own
                with pytest.raises((OSError, ValueError)):
                    knock(f"{'tls' if security else 'tcp'}://{end.ip}:{end.port}", security)
            for page in ("info/main/workers.html", "json/identity.json", "metrics", "health", "proxy/1/127.0.0.1/x"):
                with pytest.raises(OSError):
                    urllib.request.urlopen(f"http://{end.ip}:{end.port}/{page}", timeout=2)
        assert client.submit(sum, [1, 2]).result() == 3
        (folder,) = {info["local_directory"] for info in client.scheduler_info()["workers"].values()}
        assert not any(part.stat().st_mode & 0o077 for part in Path(folder).parents if part.name.startswith("hybridflux-dask-"))


def knock(address, security):
    """Ask a process of dask who it is, as a client without the right certificate."""

    async def ask():
        arguments = security.get_connection_args("client") if security else {}
        comm = await asyncio.wait_for(connect(address, timeout=1.0, **arguments), 3)
        try:
            await comm.write({"op": "identity", "reply": True})
            return await asyncio.wait_for(comm.read(), 2)
        finally:
            comm.abort()

    return asyncio.run(ask())


def test_a_client_stays_open(tmp_path, region_path, make_posterior):
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster, Client(cluster) as client:
        map_region(make_posterior(), region_path, tmp_path / "run", **SETTINGS, executor=Dask(client))
        assert client.status == "running"


@pytest.mark.parametrize(
    ("options", "executor"),
    [
        (dict(kind="serial"), Serial()),
        (dict(kind="serial", task=2, tasks=3), Share(2, 3)),
        (dict(kind="dask", workers=3), Dask(3)),
        (dict(kind="dask", scheduler="tcp://127.0.0.1:8786", insecure_scheduler=True), Dask("tcp://127.0.0.1:8786", insecure=True)),
        (dict(kind="dask", scheduler="tcp://node:8786", insecure_scheduler=True), Dask("tcp://node:8786", insecure=True)),
        (dict(kind="slurm", workers=8, sbatch="--mem=4G"), Slurm(8, "--mem=4G")),
    ],
)
def test_options_choose(options, executor):
    assert choose(options.pop("kind"), **options) == executor


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(kind="serial", task=1), "belong together"),
        (dict(kind="serial", task=3, tasks=3), "numbered from 0 to 2"),
        (dict(kind="dask", task=1, tasks=3), "runs its share on this machine"),
        (dict(kind="serial", scheduler="tcp://node:8786"), "--executor dask"),
        (dict(kind="dask", scheduler="tcp://node:8786", workers=2), "workers of its own"),
        (dict(kind="dask", scheduler="tcp://node:8786"), "no TLS.*tls://HOST:PORT.*--insecure-scheduler"),
        (dict(kind="dask", scheduler="10.0.0.7:8786"), "no TLS"),
        (dict(kind="dask", scheduler="tcp://127.0.0.1:8786"), "no TLS: .* on this machine every user.*--insecure-scheduler"),
        (dict(kind="dask", scheduler="localhost:8786"), "no TLS"),
        (dict(kind="dask", scheduler="ws://[2001:db8::1]:8786"), "no TLS"),
        (dict(kind="dask", scheduler="tls://node:8786"), "does not name distributed.comm.tls.ca-file and"),
        (dict(kind="dask", scheduler="tcp://"), "not an address"),
        (dict(kind="dask", workers=2, insecure_scheduler=True), "goes with --scheduler"),
        (dict(kind="serial", workers=2), "already uses all cores"),
        (dict(kind="dask", sbatch="--mem=4G"), "--executor slurm"),
    ],
)
def test_options_that_do_not_go_together(options, said):
    with pytest.raises(ValueError, match=said):
        choose(options.pop("kind"), **options)


@pytest.mark.parametrize(("backend", "cores", "tiles"), [("cpu", 64, 2), ("gpu", 16, 8), ("gpu", 64, 8), ("gpu", 6, 3), ("gpu", 1, 2)])
def test_more_tiles_are_in_flight_beside_a_gpu(backend, cores, tiles, monkeypatch):
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert Serial().threads == tiles
