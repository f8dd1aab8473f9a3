"""Who is at work in a folder: one whole run or build, or the tasks of one run, each with a file of its own that says who it is.

Each process writes a file whose name no other has, then looks at those of the others: no two can pass, on any file system that
shows a written file to all. At worst two that come at the same moment both give way. The file is touched as long as the process lives.
A process is asked whether it lives only by one that sees the same processes: the same start of the same machine and the same namespace
of process numbers (pid_namespaces(7)); two containers, or two machines with one name, know of each other by the age of the file alone.
`flock` is not used: whether it reaches other machines is up to the mount options of NFS and Lustre, and where it does not, it says yes.
A process that was halted for so long that it was taken for dead finds its file gone and stops (`Held.check`).
"""

from __future__ import annotations

import json
import os
import secrets
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
    """A process at work in a folder.

    Attributes:
        host: name of its machine.
        pid: its number there.
        born: when that process started, in ticks of its machine; empty where the system does not tell.
        work: `run` for all of it, or which task.
        since: UTC time.
        sees: the start of its machine and its namespace of process numbers; empty where the system does not tell.
        token: of this lock alone, so that two machines of one name, or two threads, never take the file of the other for theirs.
    """

    host: str
    pid: int
    born: str
    work: str
    since: str
    sees: str = ""
    token: str = ""

    @classmethod
    def here(cls, work: str) -> Holder:
        """This process."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), work, since, _sees(), secrets.token_hex(4))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.work})"

    @property
    def name(self) -> str:
        """Of its file; nobody else has it."""
        return f"{self.host}.{self.pid}.{self.born or 'x'}.{self.token or 'x'}.json"

    def excludes(self, other: Holder) -> bool:
        """Whether the two must not work side by side: tasks may, unless they are the same one."""
        return WHOLE in (self.work, other.work) or self.work == other.work


@dataclass(frozen=True)
class Held:
    """The right to work in a folder.

    Attributes:
        path: the file that says so.
    """

    path: Path

    def check(self) -> None:
        """Stop where the right was lost.

        Raises:
            FileExistsError: another process took this one for dead.
        """
        if not self.path.exists():
            raise FileExistsError(
                f"{self.path.parent.parent}: this process was silent for more than {SILENCE:.0f} s and another one took over, or "
                f"{self.path.name} was removed by hand; what was done is kept, go on with --run or --resume when nobody else is at work"
            )


@contextmanager
def hold(out: Path, work: str = WHOLE, *, resumed: bool = False) -> Iterator[Held]:
    """Be the one who works in a folder, or one of the tasks of its run.

    Args:
        out: folder of a run or a build; made if it is not there.
        work: `run`, or the name of a task.
        resumed: whether the user asked to go on with what was stopped; then it is no news that a process ended there.

    Yields:
        What says whether it still holds.

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
        _look_around(folder, mine, me, resumed)
        pulse.start()
        yield Held(mine)
    finally:
        over.set()
        mine.unlink(missing_ok=True)


def _look_around(folder: Path, mine: Path, me: Holder, resumed: bool) -> None:
    """Clear away what dead processes left.

    Raises:
        FileExistsError: a living one is in the way.
    """
    _clear_parts(folder, mine)
    for path in sorted(folder.glob("*.json")):
        try:
            other, age = _read(path), mine.stat().st_mtime - path.stat().st_mtime
        except FileNotFoundError:  # it has just ended
            continue
        if path == mine or not me.excludes(other):
            continue
        if not _is_dead(other, age):
            apart = "" if _knows(other) else f" Its last sign of life is {max(age, 0):.0f} s old, after {SILENCE:.0f} s it counts as dead."
            raise FileExistsError(
                f"{folder.parent} is being written by {other}; wait for it or stop it.{apart} If it is gone for certain, remove {path}"
            )
        if not resumed:
            warnings.warn(f"{folder.parent}: taken over from {other}, which ended without saying so", stacklevel=4)
        path.unlink(missing_ok=True)


def _read(path: Path) -> Holder:
    """Who wrote a file; one that cannot be read counts as somebody who works on all of it, so that its age alone decides."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return Holder(path.name, 0, "", WHOLE, "a time unknown")


def _clear_parts(folder: Path, mine: Path) -> None:
    """Remove what processes left that were killed before their file had its name; it stands in nobody's way."""
    for path in folder.glob("*.part"):
        try:
            if _is_dead(_read(path), mine.stat().st_mtime - path.stat().st_mtime):
                path.unlink()
        except OSError:  # it has its name now, or is another user's, or no file
            continue


def _knows(other: Holder) -> bool:
    """Whether this process sees the other one's number: alone a machine and a namespace that are known for certain to be the same."""
    return bool(other.pid and other.sees) and other.host == socket.gethostname() and other.sees == _sees()


def _is_dead(other: Holder, silent: float) -> bool:
    """Whether a process is known to have ended: by asking where it can be seen, elsewhere by its silence [s]."""
    if not _knows(other):
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


def _sees() -> str:
    """Which processes this one can ask for: the start of the machine (`boot_id`, proc(5)) and the namespace of process numbers."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{start} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{os.uname().sysname} {socket.gethostname()}" if not Path("/proc").exists() else ""


def _beat(path: Path, over: threading.Event) -> None:
    """Touch a file now and then until it is over."""
    while not over.wait(BEAT):
        try:
            os.utime(path)
        except OSError:  # removed, or the disk is gone: `Held.check` or the run itself will say so
            return
