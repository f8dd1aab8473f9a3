"""What the checksums cost of a map: seconds of the processor inside them over those of the whole run, store to store.

Every function that reads, writes or compares a checksum is timed by the processor time of its own thread (`time.thread_time`), which other
load on the machine does not lengthen; of nested calls the outermost counts. The run is that of `map_region`, compiled before.

    python benchmarks/bench_checksums.py [--size 256] [--rounds 3]
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from bench_map_throughput import DAYS, a_posterior, make_region

from hybridflux.machine import prepare

TIMED = {
    "crc32c of chunks": ("google_crc32c", "value"),
    "digests of files": ("hybridflux.region.store.checksums", "digest"),
    "records of chunks, read": ("hybridflux.region.store.checksums", "Recorded.of"),
    "chunks held against their record": ("hybridflux.region.store.checksums", "Recorded.fault_of"),
    "what a program wrote since": ("hybridflux.region.store.checksums", "edited"),
    "metadata of the region": ("hybridflux.region.store.check_region", "damaged_metadata"),
    "fingerprint of the region": ("hybridflux.region.map", "region_fingerprint"),
    "inputs of the command": ("hybridflux.provenance", "checksum_of"),
    "records in JSON": ("hybridflux.records", "_checksum"),
}
SPENT: dict[str, float] = defaultdict(float)
INSIDE = threading.local()


def timed(name: str, function):
    """A function whose processor time is added up."""

    def call(*arguments, **options):
        if getattr(INSIDE, "busy", False):
            return function(*arguments, **options)
        INSIDE.busy, began = True, time.thread_time()
        try:
            found = function(*arguments, **options)
            return list(found) if hasattr(found, "__next__") else found
        finally:
            INSIDE.busy = False
            SPENT[name] += time.thread_time() - began

    return call


def watch() -> None:
    """Put a watch on all of `TIMED`."""
    for name, (module, path) in TIMED.items():
        owner = importlib.import_module(module)
        *within, last = path.split(".")
        for part in within:
            owner = getattr(owner, part)
        function = getattr(owner, last)
        setattr(owner, last, staticmethod(timed(name, function)) if last == "of" else timed(name, function))


def main() -> None:
    """Map a region several times and print the share of its checksums."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=256, help="pixels along a side")
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    prepare()
    from hybridflux.region.map import map_region
    from hybridflux.region.outputs import KEEP, DailyMaps

    watch()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "region.zarr"
        make_region(path, chosen.size)
        for draws, keep, what in ((1, KEEP, "months"), (100, KEEP, "months"), (100, (*KEEP, DailyMaps()), "daily maps too")):
            shares, posterior = [], a_posterior(draws)
            for number in range(chosen.rounds + 1):
                SPENT.clear()
                began = time.process_time()
                map_region(posterior, path, Path(folder) / f"{draws}{what}{number}", draws=draws, keep=keep)
                spent = time.process_time() - began
                if number:  # the first one compiles
                    shares.append(sum(SPENT.values()) / spent)
            size = f"{chosen.size} x {chosen.size} x {DAYS} days x {draws} draws, {what}"
            print(f"{size}: {100 * statistics.median(shares):.2f} % ({100 * min(shares):.2f} to {100 * max(shares):.2f}) of {spent:.1f} s")
            for name, seconds in sorted(SPENT.items(), key=lambda item: -item[1]):
                print(f"    {100 * seconds / spent:6.2f} %  {name}")


if __name__ == "__main__":
    main()
