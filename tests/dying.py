"""A command in a process of its own that kills itself at a named place.

`replace` dies instead of the NUMBER-th renaming of a finished file (markers, totals, records), `chunk` in the middle of the NUMBER-th
file of a store, with half of it written; anything else lives to the end.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

from zarr.storage import _local

from hybridflux.cli import main
from hybridflux.region.outputs import flux_store


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(where: str, number: int) -> None:
    """Make the NUMBER-th call deadly."""
    calls = count(1)
    replace = os.replace

    def deadly_replace(source, target, **options):
        if next(calls) == number:
            die()
        return replace(source, target, **options)

    def deadly(put, bytes_of):
        def deadly_put(path, value, **options):
            if next(calls) == number:
                path.parent.mkdir(parents=True, exist_ok=True)
                raw = bytes_of(value)
                Path(f"{path}.0123.partial").write_bytes(raw[: len(raw) // 2])
                die()
            return put(path, value, **options)

        return deadly_put

    if where == "replace":
        os.replace = deadly_replace
    elif where == "chunk":
        _local._put = deadly(_local._put, lambda value: bytes(value.as_buffer_like()))
        flux_store._put = deadly(flux_store._put, b"".join)


def run(words: list[str], output: str, where: str, number: int) -> None:
    """A command, as a shell starts it; what it prints goes into a file."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    arm(where, number)
    sys.argv = ["hybridflux", *words]
    main()
