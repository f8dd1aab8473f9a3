"""How far a long piece of work is: the function it calls, and the rate of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the number of steps done, of all steps, and a message."""


class Pace:
    """The rate of steps since the first reported one, and the time left at that rate.

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
