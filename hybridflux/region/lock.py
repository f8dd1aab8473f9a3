"""Who is at work in a run folder: one whole run, or the tasks of one run, each with a file of its own that says who it is.

Each process writes a file whose name no other has, then looks at those of the others: no two can pass, on any file system that
shows a written file to all. At worst two that come at the same moment both give way.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "locks"
WHOLE = "run"
BEAT = 30.0  # seconds between two signs of life
SILENCE = 600.0  # seconds without one, by the clock of the file system, after which a process elsewhere is taken for dead


@dataclass(frozen=True)
class Holder:
    """A process at work in a run folder.

    Attributes:
        host: name of its machine.
        pid: its number there.
        born: when that process started, in ticks of its machine; empty where the system does not tell.
        work: `run` for all tiles, or which task.
        since: UTC time.
    """

    host: str
    pid: int
    born: str
    work: str
    since: str

    @classmethod
    def here(cls, work: str) -> Holder:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), work, datetime.now(UTC).isoformat(timespec="seconds"))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.work})"

    @property
    def name(self) -> str:
        """Of its file; no other process has it."""
        return f"{self.host}.{self.pid}.{self.born or 'x'}.json"

    def excludes(self, other: Holder) -> bool:
        """Whether the two must not work side by side: tasks may, unless they are the same one."""
        return WHOLE in (self.work, other.work) or self.work == other.work


@contextmanager
def hold(out: Path, work: str = WHOLE) -> Iterator[None]:
    """Be the one who works in a run folder, or one of its tasks.

    Args:
        out: run folder; made if it is not there.
        work: `run`, or the name of a task.

    Raises:
        FileExistsError: another process is at work there.
    """
    me, folder = Holder.here(work), out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / me.name
    partial = mine.with_suffix(".part")
    partial.write_text(json.dumps(asdict(me)))
    os.replace(partial, mine)
    over = threading.Event()
    pulse = threading.Thread(target=_beat, args=(mine, over), daemon=True)
    try:
        _look_around(folder, mine, me)
        pulse.start()
        yield
    finally:
        over.set()
        mine.unlink(missing_ok=True)


def _look_around(folder: Path, mine: Path, me: Holder) -> None:
    """Clear away what dead processes left.

    Raises:
        FileExistsError: a living one is in the way.
    """
    _clear_parts(folder, mine)
    for path in sorted(folder.glob("*.json")):
        try:
            other, age = Holder(**json.loads(path.read_text())), mine.stat().st_mtime - path.stat().st_mtime
        except FileNotFoundError:  # it has just ended
            continue
        if path == mine or not me.excludes(other):
            continue
        if not _is_dead(other, age):
            raise FileExistsError(
                f"{folder.parent} is being written by {other}; wait for it or stop it. If it is gone for certain, remove {path}"
            )
        warnings.warn(f"{folder.parent}: taken over from {other}, which ended without saying so", stacklevel=4)
        path.unlink(missing_ok=True)


def _clear_parts(folder: Path, mine: Path) -> None:
    """Remove what processes left that were killed before their file had its name."""
    for path in folder.glob("*.part"):
        host, pid, born, _ = path.name.rsplit(".", 3)
        try:
            silent = mine.stat().st_mtime - path.stat().st_mtime
        except FileNotFoundError:  # it has its name now
            continue
        if _is_dead(Holder(host, int(pid), born.removeprefix("x"), "", ""), silent):
            path.unlink(missing_ok=True)


def _is_dead(other: Holder, silent: float) -> bool:
    """Whether a process is known to have ended: on this machine by asking, elsewhere by its silence [s]."""
    if other.host != socket.gethostname():
        return silent > SILENCE
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives and is another user's
        pass
    return _born(other.pid) != other.born  # the number went to another process


def _born(pid: int) -> str:
    """Start time of a process, field 22 of `/proc/PID/stat` (proc(5)); empty without that file."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _beat(path: Path, over: threading.Event) -> None:
    """Touch a file now and then until it is over."""
    while not over.wait(BEAT):
        try:
            os.utime(path)
        except OSError:  # removed by hand, or the disk is gone: the run itself will say so
            return
