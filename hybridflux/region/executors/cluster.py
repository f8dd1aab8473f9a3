"""Tiles on a dask cluster: one on this machine, or any that runs already (dask-jobqueue, Kubernetes, a scheduler's address)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from hybridflux.region.lock import WHOLE

if TYPE_CHECKING:
    from distributed import Client

    from hybridflux.region.grid import Tile
    from hybridflux.region.job import Job
    from hybridflux.region.tile import TileReport

IN_HAND = 4  # tiles sent per worker: enough that none waits for the next one
RETRIES = 2  # of a tile that failed, for instance on a file server that did not answer


@dataclass(frozen=True)
class Dask:
    """Each tile is a task of a dask cluster; a tile whose worker dies is run by another one.

    The job travels as a task too, so that it is computed again where its last holder died. Each worker runs one tile at a time and
    shares the cores of its machine with the others there. Region and run folder must be visible to all under the same paths.

    Attributes:
        cluster: a client, the address of a scheduler, or how many processes to start on this machine.
    """

    cluster: Client | str | int

    @property
    def work(self) -> str:
        """All tiles."""
        return WHOLE

    def mine(self, tiles: Sequence[Tile]) -> list[Tile]:
        """All tiles."""
        return list(tiles)

    def run(self, job: Job, tiles: Iterable[Tile]) -> Iterator[TileReport]:
        """Reports of tiles as they are done."""
        from distributed import KilledWorker, as_completed

        from hybridflux.region.executors.worker import same
        from hybridflux.region.tile import run_tile

        queue = iter(tiles)
        with self._client() as client:
            shared = client.submit(same, job, key=f"hybridflux-{job.hash}", pure=False)

            def send(count: int) -> list:
                # a retry would hide what a tile says of itself; `retries` is for what the machine did to it
                return [client.submit(run_tile, shared, tile, pure=False, retries=RETRIES) for tile in islice(queue, count)]

            running = as_completed(send(IN_HAND * max(len(client.nthreads()), 1)))
            for future in running:
                try:
                    report = future.result()
                except KilledWorker as error:
                    raise OSError(f"several workers died with the same tile in hand ({error}); is their memory enough?") from error
                future.release()
                for following in send(1):
                    running.add(following)
                yield report

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """A client of the cluster; what is started here ends here, a client that was given stays open."""
        from distributed import Client, LocalCluster

        from hybridflux.region.executors.worker import OwnMachine, per_machine

        if isinstance(self.cluster, int):
            started = LocalCluster(n_workers=self.cluster, threads_per_worker=1, dashboard_address=None)
            with started, Client(started) as client:
                client.register_plugin(OwnMachine(self.cluster))
                yield client
        elif isinstance(self.cluster, str):
            with Client(self.cluster) as client:
                client.register_plugin(OwnMachine(per_machine(client)))
                yield client
        else:
            self.cluster.register_plugin(OwnMachine(per_machine(self.cluster)))
            yield self.cluster
