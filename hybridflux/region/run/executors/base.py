"""What an executor is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from hybridflux.region.run.lock import WHOLE

if TYPE_CHECKING:
    from hybridflux.region.run.tile import TileReport
    from hybridflux.region.spec import Job
    from hybridflux.region.store.grid import Tile


class AllTiles:
    """What executors share that run all tiles of a run: nobody else may be at work meanwhile."""

    @property
    def work(self) -> str:
        """All tiles."""
        return WHOLE

    def mine(self, tiles: Sequence[Tile]) -> list[Tile]:
        """All tiles."""
        return list(tiles)


class Executor(Protocol):
    """Runs tiles of a job in any order and yields their reports as they are done; stops at the first error.

    Attributes:
        work: `lock.WHOLE` where it runs all tiles, so that the run is finished behind it; else the name of its task.
    """

    @property
    def work(self) -> str: ...

    def mine(self, tiles: Sequence[Tile]) -> list[Tile]:
        """The tiles it runs, of all tiles of the run."""
        ...

    def run(self, job: Job, tiles: Iterable[Tile]) -> Iterator[TileReport]:
        """Reports of tiles as they are done."""
        ...
