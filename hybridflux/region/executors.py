"""Who runs the tiles: `run_tile` is the same everywhere, an executor only hands it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.tile import TileReport, run_tile


class Executor(Protocol):
    """Runs the tiles of a job in any order and yields their reports; stops at the first error."""

    def run(self, job: Job, tiles: Iterable[Tile]) -> Iterator[TileReport]:
        """Reports of tiles as they are done."""
        ...


@dataclass(frozen=True)
class Serial:
    """One tile computes at a time, on all cores of this machine, while its neighbours are read and written.

    Attributes:
        threads: tiles in hand; memory grows with them.
    """

    threads: int = 2

    def run(self, job: Job, tiles: Iterable[Tile]) -> Iterator[TileReport]:
        """Reports of tiles as they are done."""
        queue = iter(tiles)
        with ThreadPoolExecutor(self.threads) as pool:
            running = {pool.submit(run_tile, job, tile) for tile in islice(queue, self.threads)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(run_tile, job, tile) for tile in islice(queue, len(done))}
                for future in done:
                    yield future.result()
