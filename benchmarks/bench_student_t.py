"""How fast errors of days are drawn: Student-t numbers by the polar method beside those of JAX, which reject, in turns.

Command: `python benchmarks/bench_student_t.py [--numbers 2000000] [--repeats 7]`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

from hybridflux.machine import prepare

TAIL = 5.0


def main() -> None:
    """Print seconds of the processor for each million numbers, and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--numbers", type=int, default=2_000_000)
    arguments.add_argument("--repeats", type=int, default=7)
    chosen = arguments.parse_args()
    prepare()
    import jax

    from hybridflux.model.student_t import student_t

    shape, key = (chosen.numbers,), jax.random.key(0)
    ways: dict[str, Callable] = {
        "jax.random.t": jax.jit(lambda one: jax.random.t(one, TAIL, shape)),
        "student_t": jax.jit(lambda one: student_t(one, TAIL, shape)),
    }
    compiling = {name: seconds(way, key) for name, way in ways.items()}
    found = {name: [] for name in ways}
    for _ in range(chosen.repeats):
        for name, way in ways.items():
            found[name].append(seconds(way, key) / chosen.numbers * 1e6)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {chosen.numbers} numbers, {chosen.repeats} times in turns")
    for name, values in found.items():
        spread = f"{min(values):.3f} to {max(values):.3f}"
        print(f"{name}: {np.median(values):.3f} s of the processor a million ({spread}); first {compiling[name]:.2f} s")
    ratios = np.divide(*found.values())
    print(f"ratio {np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f})")


def seconds(way: Callable, key) -> float:
    """Of the processor, until the numbers are there."""
    began = time.process_time()
    way(key).block_until_ready()
    return time.process_time() - began


if __name__ == "__main__":
    main()
