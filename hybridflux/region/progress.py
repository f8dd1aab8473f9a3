"""How far a long piece of work is: a bar on a terminal, a line a step in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Tell = Callable[[int, int, str], None]


@contextmanager
def bar(title: str, console: Console) -> Iterator[Tell]:
    """A bar with the rate of this call and the time left; gone when it is over."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console, transient=True) as bars:
        task, pace = bars.add_task(title, total=None, pace=""), Pace()

        def tell(done: int, total: int, message: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{title}: {message}", pace=pace.of(done, total))

        yield tell


@contextmanager
def lines(title: str, console: Console) -> Iterator[Tell]:
    """One line a step: how far, what, how fast and how long still."""
    pace = Pace()

    def tell(done: int, total: int, message: str) -> None:
        rate = pace.of(done, total)
        console.file.write(f"{title} {done}/{total}: {message}{'; ' if rate else ''}{rate}\n")
        console.file.flush()

    yield tell


class Pace:
    """The rate of steps since the first one that was told, and the time left at that rate.

    What was done before does not count: a run that is resumed begins at its own zero.

    >>> pace = Pace(clock=iter([0.0, 30.0]).__next__)
    >>> pace.of(7, 10), pace.of(8, 10)
    ('', '2 a minute, 1 min left')
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        """`clock` gives seconds."""
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def of(self, done: int, total: int) -> str:
        """Rate and time left in words; empty until there is a rate."""
        now = self._clock()
        if self._first is None:
            self._first = now, done
        began, before = self._first
        if done <= before or now <= began:
            return ""
        rate = (done - before) / (now - began)
        return f"{_rate(rate)}, {_left((total - done) / rate)}"


def _rate(per_second: float) -> str:
    return f"{per_second:.1f} a second" if per_second >= 1 else f"{60 * per_second:.3g} a minute"


def _left(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 7200 else f"{seconds / 3600:.1f} h left"
