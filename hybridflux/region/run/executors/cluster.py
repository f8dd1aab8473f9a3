"""Tiles on a dask cluster: one on this machine, or any that runs already (dask-jobqueue, Kubernetes, a scheduler's address).

Whoever may talk to a scheduler or a worker of dask may run any code as its owner; dask itself asks for nothing unless it is given TLS
(https://distributed.dask.org/en/stable/tls.html). A cluster that is started here listens on the loopback only, speaks TLS with a key that
lives in the memory of its own processes, and answers no one without it. An address is refused where what it says would be open to others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hybridflux.region.run.executors.base import AllTiles, J, R, U, Work

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

IN_FLIGHT = 4  # tiles sent per worker: enough that none waits for the next one
RETRIES = 2  # of a tile that failed, for instance on a file server that did not answer
LOOPBACK = "127.0.0.1"
CONFIGURED = ("ca-file", "client.cert")
"""Settings of dask, below `distributed.comm.tls`, without which no client speaks TLS; the key may stand in the certificate's file."""


@dataclass(frozen=True)
class Dask(AllTiles):
    """Each tile is a task of a dask cluster; a tile whose worker dies is run by another one.

    The job travels as a task too, so that it is computed again where its last holder died. Each worker runs one tile at a time and
    shares the cores of its machine with the others there. Region and run folder must be visible to all under the same paths.

    Attributes:
        cluster: a client, the address of a scheduler, or how many processes to start on this machine.
        insecure: take an address whose scheduler does not authenticate.

    Raises:
        ValueError: an address without TLS and `insecure` is not set, or one with TLS that dask is not configured for.
    """

    cluster: Client | str | int
    insecure: bool = False

    def __post_init__(self):
        if isinstance(self.cluster, str):
            _check_address(self.cluster, self.insecure)

    def run(self, work: Work[J, U, R], job: J, units: Iterable[U], *, at_once: int = 0) -> Iterator[R]:
        """Reports of units as they are done; a worker has one at a time."""
        from distributed import KilledWorker, as_completed

        from hybridflux.region.run.executors.worker import same

        queue = iter(units)
        with self._client() as client:
            shared = client.submit(same, job, key=f"hybridflux-{job.hash}", pure=False)

            def send(count: int) -> list:
                # a retry would hide what a tile says of itself; `retries` is for what the machine did to it
                return [client.submit(work, shared, unit, pure=False, retries=RETRIES) for unit in islice(queue, count)]

            running = as_completed(send(IN_FLIGHT * max(len(client.nthreads()), 1)))
            for future in running:
                try:
                    report = future.result()
                except KilledWorker as error:
                    raise OSError(f"several workers died with the same tile in flight ({error}); is their memory enough?") from error
                future.release()
                for following in send(1):
                    running.add(following)
                yield report

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """A client of the cluster; what is started here ends here, a client that was given stays open."""
        from distributed import Client

        from hybridflux.model.outside import loaded
        from hybridflux.region.run.executors.worker import OwnMachine, per_machine

        if isinstance(self.cluster, int):
            with local_cluster(self.cluster) as started, Client(started) as client:
                client.register_plugin(OwnMachine(self.cluster, tuple(loaded())))
                yield client
        elif isinstance(self.cluster, str):
            with Client(self.cluster) as client:
                client.register_plugin(OwnMachine(per_machine(client), tuple(loaded())))
                yield client
        else:
            self.cluster.register_plugin(OwnMachine(per_machine(self.cluster), tuple(loaded())))
            yield self.cluster


@contextmanager
def local_cluster(processes: int) -> Iterator[LocalCluster]:
    """Start a scheduler and workers on this machine that only their own processes can talk to.

    Their HTTP servers, which TLS does not cover, serve nothing; what they spill to the disk lies in a folder that no other user can read.

    Args:
        processes: workers, one thread each.
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    quiet = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    with dask.config.set(quiet), tempfile.TemporaryDirectory(prefix="hybridflux-dask-", ignore_cleanup_errors=True) as folder:
        cluster = LocalCluster(
            n_workers=processes, threads_per_worker=1, host=LOOPBACK, security=Security.temporary(), local_directory=folder,
            dashboard_address=None, scheduler_kwargs={"dashboard_address": f"{LOOPBACK}:0"},
        )  # fmt: skip
        with cluster:
            yield cluster


def _check_address(address: str, insecure: bool) -> None:
    """Refuse the address of a scheduler that anybody on the network may command, and TLS that dask has no certificate for."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    shown = address[:200]
    if not parts.hostname:
        raise ValueError(f"--scheduler `{shown}` is not an address; it reads tls://HOST:8786")
    if parts.scheme == "tls":
        import dask

        missing = [f"distributed.comm.tls.{name}" for name in CONFIGURED if not dask.config.get(f"distributed.comm.tls.{name}", None)]
        if missing:
            raise ValueError(
                f"--scheduler {shown} speaks TLS, and the configuration of dask does not name {' and '.join(missing)}; name the files of "
                "the cluster's certificate in ~/.config/dask/distributed.yaml or as DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on "
                "(https://distributed.dask.org/en/stable/tls.html)"
            )
    elif not insecure:
        raise ValueError(
            f"--scheduler {shown} has no TLS: whoever reaches it, on this machine every user, can run code as you, and so can whoever "
            "answers for it. Start scheduler and workers with --tls-ca-file, --tls-cert and --tls-key, name the same files in the "
            "configuration of dask (https://distributed.dask.org/en/stable/tls.html) and give tls://HOST:PORT; or, on a machine or a "
            "network that is yours alone, add --insecure-scheduler"
        )
