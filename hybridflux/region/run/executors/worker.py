"""What happens on a dask worker before its first tile. Imports no JAX: its settings must stand before it is there."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from distributed import WorkerPlugin

from hybridflux.machine import cores, prepare

if TYPE_CHECKING:
    from distributed import Client

_T = TypeVar("_T")
_DEVICES = re.compile(r"--xla_force_host_platform_device_count=\S+")


class OwnMachine(WorkerPlugin):
    """Gives each worker its share of the cores of its machine, and the settings of `hybridflux.machine`."""

    name = "hybridflux-machine"

    def __init__(self, neighbours: int, files: tuple[str, ...] = ()):
        """`neighbours`: workers on one machine; `files`: of the user's own, which a job may name (`model.outside.load`)."""
        self.neighbours, self.files = neighbours, files

    def setup(self, worker) -> None:
        """Settings of the environment, for a worker that has not started JAX yet."""
        share = max(cores() // self.neighbours, 1)
        rest = _DEVICES.sub("", os.environ.get("XLA_FLAGS", ""))
        os.environ["XLA_FLAGS"] = f"{rest} --xla_force_host_platform_device_count={share}".strip()
        prepare()
        from hybridflux.model.outside import load

        load(self.files)


def per_machine(client: Client) -> int:
    """Most workers of a cluster on one machine, at least 1."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return max(Counter(worker["host"] for worker in workers).values(), default=1)


def same(value: _T) -> _T:
    """The value itself: as a task of dask it lives on the workers and is made again where it was lost."""
    return value
