"""One process: all tiles, or the share of a task."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from hybridflux.region.run.executors.base import AllTiles, J, R, U, Work


def tiles_in_flight() -> int:
    """How many tiles a process reads, computes and writes at a time: 2, so that one computes; beside a GPU a tile for two cores, 2 to 8.

    A GPU computes faster than one thread reads and writes: eight tiles in flight took 0.73 of the time of two (`benchmarks/README.md`).
    """
    import jax

    return 2 if jax.default_backend() == "cpu" else max(2, min(8, (os.cpu_count() or 2) // 2))


LARGE = 400e6  # bytes of the maps of a tile, beyond which no second one is in flight, so that large tiles do not double the memory


def is_large(size: float) -> bool:
    """Whether the memory of a tile counts, given the bytes of its maps; that of a small one stays with the process for the next one."""
    return size > LARGE


def tiles_at_once(size: float) -> int:
    """Tiles in flight in one process: one where its maps are large, else as many as the executor takes (0).

    Args:
        size: bytes of the maps of a tile.
    """
    return 1 if is_large(size) else 0


@dataclass(frozen=True)
class Serial(AllTiles):
    """One tile computes at a time, on all cores of this machine, while its neighbours are read and written.

    When it is stopped, the tiles in flight are brought to their end and marked, no new one is begun.

    Attributes:
        threads: tiles in flight; memory grows with them.
    """

    threads: int = field(default_factory=tiles_in_flight)

    def run(self, work: Work[J, U, R], job: J, units: Iterable[U], *, at_once: int = 0) -> Iterator[R]:
        """Reports of units as they are done."""
        queue, threads = iter(units), at_once or self.threads
        with ThreadPoolExecutor(threads) as pool:
            running = {pool.submit(work, job, unit) for unit in islice(queue, threads)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, job, unit) for unit in islice(queue, len(done))}
                for future in done:
                    yield future.result()


@dataclass(frozen=True)
class Share:
    """Every n-th tile: one of several tasks that share a run or a build, for instance of a SLURM array.

    Which tiles are whose does not depend on what is done already, so that a task that is started again goes on with its own.

    Attributes:
        task: number, from 0.
        tasks: how many there are.
        threads: tiles in flight.
    """

    task: int
    tasks: int
    threads: int = field(default_factory=tiles_in_flight)

    def __post_init__(self):
        if not 0 <= self.task < self.tasks:
            raise ValueError(f"task {self.task} of {self.tasks} does not exist; they are numbered from 0 to {self.tasks - 1}")

    @property
    def work(self) -> str:
        """Which task."""
        return f"task {self.task} of {self.tasks}"

    def mine(self, units: Sequence[U]) -> list[U]:
        """Every `tasks`-th one."""
        return list(units[self.task :: self.tasks])

    def run(self, work: Work[J, U, R], job: J, units: Iterable[U], *, at_once: int = 0) -> Iterator[R]:
        """Reports of units as they are done."""
        return Serial(self.threads).run(work, job, units, at_once=at_once)
