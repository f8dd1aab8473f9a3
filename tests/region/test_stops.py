"""A run that the machine or the user stops: exit code, what is done, what is not, how to go on, and going on."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.long

HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell lets its background jobs ignore Ctrl-C
MAP = [sys.executable, "-c", f"{HEARS}; from hybridflux.cli import main; main()", "map"]
DAYS = ["--start", "2018-01-01", "--end", "2018-12-31", "--draws", "4"]  # a year, so that there is time to be stopped


@pytest.fixture(scope="module")
def inputs(region_path, make_posterior, tmp_path_factory):
    posterior = tmp_path_factory.mktemp("posterior") / "posterior.nc"
    make_posterior().save(posterior)
    return ["--posterior", str(posterior), "--region", str(region_path)]


def command(inputs, out, *more):
    words = [*MAP, *inputs, "--out", str(out), *DAYS, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process):
    out, err = process.communicate()
    return process.returncode, out + err


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_the_disk_is_full_then_is_not(small_disk, inputs):
    code, text = said(command(inputs, small_disk / "run", "--daily"))
    assert code == 2, text
    assert "No space left on device" in text and "of 6 tiles are done and kept" in text
    assert "make room and go on with `hybridflux map --run " in text
    assert "Traceback" not in text and not list((small_disk / "run" / "locks").glob("*.json"))
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    code, text = said(command(inputs, small_disk / "run", "--daily", "--resume"))
    assert code == 0 and "466 pixels" in text, text
    assert not [path for path in (small_disk / "run").rglob("*") if path.suffix in (".part", ".partial")]


def test_a_folder_that_cannot_be_written(small_disk, inputs):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, text = said(command(inputs, small_disk / "run"))
    assert code == 2 and "Read-only file system" in text and "name another place" in text and "Traceback" not in text


def test_a_limit_on_the_size_of_files(tmp_path, inputs):
    """The totals of a tile are larger than what is written before them."""
    words = [*MAP, *inputs, "--out", str(tmp_path / "run"), *DAYS, "--draws", "12"]
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # its files are larger
    limited = ["bash", "-c", 'ulimit -f 120 && exec "$@"', "limited", *words]
    code, text = said(subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
    assert code == 2 and "File too large" in text and "of 6 tiles are done" in text and "Traceback" not in text, text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_stopped(tmp_path, inputs, number):
    process = command(inputs, tmp_path / "run", "--daily")
    until = time.monotonic() + 120
    while not list((tmp_path / "run").glob("tiles/*.json")) and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(number)
    code, text = said(process)
    done = len(list((tmp_path / "run" / "tiles").glob("*.json")))
    assert code == 130, text
    assert f"stopped; {done} of 6 tiles are done and kept" in text
    assert "go on with `hybridflux map --run " in text and "Traceback" not in text
    assert not list((tmp_path / "run" / "locks").glob("*.json"))
    code, text = said(command(inputs, tmp_path / "run", "--daily", "--resume"))
    assert code == 0 and f"({done} done before)" in text


def test_the_second_run_is_refused(tmp_path, inputs):
    first = command(inputs, tmp_path / "run", "--daily")
    until = time.monotonic() + 120
    while not list((tmp_path / "run").glob("locks/*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)
    try:
        code, text = said(command(inputs, tmp_path / "run", "--daily", "--resume"))
    finally:
        first.send_signal(signal.SIGCONT)
    assert code == 2 and f"being written by process {first.pid} on" in text and "Traceback" not in text
    assert said(first)[0] == 0
