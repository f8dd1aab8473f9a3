"""What an executor is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from hybridflux.region.run.lock import WHOLE


class Hashed(Protocol):
    """A job as executors know it: that of a map or of a build, which travels to every worker."""

    @property
    def hash(self) -> str: ...


J, U, R = TypeVar("J", bound=Hashed), TypeVar("U"), TypeVar("R")
Work = Callable[[J, U], R]
"""A function, to be found by its name in a module, that does one unit of a job, a tile or a scene, and reports it."""


class AllTiles:
    """What executors share that do all units of a job: nobody else may be at work meanwhile."""

    @property
    def work(self) -> str:
        """All tiles."""
        return WHOLE

    def mine(self, units: Sequence[U]) -> list[U]:
        """All of them."""
        return list(units)


class Executor(Protocol):
    """Does units of a job in any order and yields their reports as they are done; stops at the first error.

    Attributes:
        work: `lock.WHOLE` where it does all units, so that the job is finished behind it; else the name of its task.
    """

    @property
    def work(self) -> str: ...

    def mine(self, units: Sequence[U]) -> list[U]:
        """The units it does, of all of the job."""
        ...

    def run(self, work: Work[J, U, R], job: J, units: Iterable[U], *, at_once: int = 0) -> Iterator[R]:
        """Reports of `work(job, unit)` as they are done.

        Args:
            work: a function of a module.
            job: what all units belong to.
            units: tiles or scenes.
            at_once: units in flight within one process, where that is not for the executor to say.
        """
        ...
