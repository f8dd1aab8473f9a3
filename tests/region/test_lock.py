"""Who may work in a run folder beside whom."""

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, replace

import pytest

from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.region.run import lock
from hybridflux.region.run.lock import Holder, hold


def leave(out, holder, age=0.0):
    """The file of another process."""
    folder = out / lock.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / holder.name
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def living():
    """A process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield replace(Holder.here(lock.WHOLE), pid=process.pid, born=lock._born(process.pid))
    process.communicate(b"\n")


def test_the_second_run_is_refused_and_touches_nothing(tmp_path, region_path, make_posterior, living):
    path = leave(tmp_path / "run", living)
    with pytest.raises(FileExistsError, match=rf"being written by process {living.pid} on .* since .* \(run\); wait for it or stop it"):
        map_region(make_posterior(), region_path, tmp_path / "run", draws=3)
    assert sorted(one.name for one in (tmp_path / "run").rglob("*")) == sorted([lock.FOLDER, path.name])


def test_a_dead_process_is_told_and_taken_over(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    path = leave(tmp_path, replace(Holder.here(lock.WHOLE), pid=dead.pid, born="1"))
    with pytest.warns(UserWarning, match=f"taken over from process {dead.pid} on .*, which ended without saying so"), hold(tmp_path):
        assert not path.exists()
    assert not list((tmp_path / lock.FOLDER).iterdir())


def test_what_was_cut_short_is_cleared_and_what_lives_is_not(tmp_path, living):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    parts = [leave(tmp_path, one).rename(tmp_path / lock.FOLDER / one.name.replace(".json", ".part")) for one in (
        living, replace(living, pid=dead.pid), replace(living, host="elsewhere"))]  # fmt: skip
    with hold(tmp_path):
        assert [part.exists() for part in parts] == [True, False, True]


def test_a_number_used_again_is_another_process(tmp_path, living):
    leave(tmp_path, replace(living, born="1"))
    with pytest.warns(UserWarning, match="taken over"), hold(tmp_path):
        pass


def test_elsewhere_only_silence_tells(tmp_path):
    other = Holder("another-machine", 7, "1", lock.WHOLE, "2026-01-01")
    path = leave(tmp_path, other, age=lock.SILENCE / 2)
    with pytest.raises(FileExistsError, match="another-machine.*If it is gone for certain, remove"), hold(tmp_path):
        pass
    leave(tmp_path, other, age=2 * lock.SILENCE)
    with pytest.warns(UserWarning, match="another-machine"), hold(tmp_path):
        assert not path.exists()


@pytest.mark.parametrize("change", [dict(sees="another start pid:[4026531836]"), dict(sees="")], ids=["another namespace", "unknown"])
def test_a_number_of_another_namespace_is_not_asked_for(tmp_path, change):
    """A container of this machine's name has numbers of its own: its process 1 lives though none of that start is seen from here."""
    path = leave(tmp_path, replace(Holder.here(lock.WHOLE), pid=999_999_999, **change), age=200.0)
    with pytest.raises(FileExistsError, match=r"Its last sign of life is \d+ s old, after 600 s it counts as dead"), hold(tmp_path):
        pass
    os.utime(path, (time.time() - 2 * lock.SILENCE,) * 2)
    with pytest.warns(UserWarning, match="taken over"), hold(tmp_path):
        pass


@pytest.mark.parametrize("name", ["stray.part", "a.b.c.d.part", "stray.json", "half.json"])
@pytest.mark.parametrize("content", ["", '{"host": "x"', '{"another": "version"}', "\x00"])
def test_what_nobody_can_read_blocks_for_a_while_at_most(tmp_path, name, content):
    path = tmp_path / lock.FOLDER / name
    path.parent.mkdir()
    path.write_text(content)
    if name.endswith(".json"):
        with pytest.raises(FileExistsError, match=f"remove .*{name}"), hold(tmp_path):
            pass
    else:
        with hold(tmp_path):
            pass
    os.utime(path, (time.time() - 2 * lock.SILENCE,) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # taken over
        with hold(tmp_path):
            assert not path.exists()


def test_two_threads_exclude_each_other(tmp_path):
    with hold(tmp_path), pytest.raises(FileExistsError, match="being written by"), hold(tmp_path):
        pass


def test_a_process_that_was_taken_for_dead_stops(tmp_path, region_path, make_posterior):
    """Halted for longer than it may be silent, it wakes up, finds another one at work and writes no more."""

    def lose(done, total, message):
        for path in (tmp_path / "run" / lock.FOLDER).glob("*.json"):
            path.unlink()

    with pytest.raises(FileExistsError, match="another one took over.*go on with --run or --resume"):
        map_region(make_posterior(), region_path, tmp_path / "run", draws=3, period=Period("2018-06-01", "2018-06-30"), progress=lose)
    assert not (tmp_path / "run" / "totals.nc").exists()


def test_tasks_of_a_run_share_it(tmp_path, living):
    leave(tmp_path, replace(living, work="task 0 of 2"))
    with hold(tmp_path, "task 1 of 2"):
        pass
    for work in ("task 0 of 2", lock.WHOLE):
        with pytest.raises(FileExistsError, match=r"\(task 0 of 2\)"), hold(tmp_path, work):
            pass


def test_a_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with hold(tmp_path):
        (mine,) = (tmp_path / lock.FOLDER).iterdir()
        os.utime(mine, (0, 0))
        until = time.monotonic() + 10
        while mine.stat().st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert mine.stat().st_mtime > 0
