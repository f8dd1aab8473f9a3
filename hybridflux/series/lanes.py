"""Loops over pixels side by side that become vector instructions: what is kept of them, and how they are compiled.

XLA makes a program of its own of each number that a step over the views gives, and each of them computes the same covariances again;
numba makes one loop of a step, ten times as fast. All that `LANES` pixels need stays in the cache, in two arrays of float32: `rows`, of
`LANES` numbers each, which change from step to step, and `kept`, a record of such rows for each view, after a first one without a view on
day 0.

No result depends on the pixels beside it: nothing is added up over lanes, and what is skipped where no lane needs it changes no lane.
Indices have no sign, because an index that may be negative costs a comparison, and LLVM makes no vectors of it. Functions of this kind
have no annotations: numba takes the types from what it is given.
"""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit

from hybridflux.machine import compile_cache
from hybridflux.series.smoother import backward, forward

LANES = 64
L = np.uint64(LANES)
RECORD_ROWS = 16
RECORD = np.uint64(RECORD_ROWS) * L
VIEW, OPENING, LEVEL, G0, G1, G2, EXCESS, LAST, FALL, LAST_DAY = (np.uint64(row) * L for row in range(10))
"""Rows of a record: view, variance a day that drops add, predicted view and its covariance with the states, and what the search notes."""
AFTER = np.uint64(7) * L
"""First of the nine rows of a record with the state after its view, in place of what the search notes."""
STATE = np.uint64(0)
"""First of the nine rows with the state of the filter, or r and N of the smoother."""
SQUARES, COUNT, FACTOR, CHANGED, MEAN, VARIANCE, A, B, C, D = (np.uint64(row) * L for row in range(9, 19))
HELD = np.uint64(19) * L
"""First of the 28 rows that all days after a view have in common."""
ROWS = 19 + 28
ZERO, ONE, TWO, MISSING = np.float32(0.0), np.float32(1.0), np.float32(2.0), np.float32(np.nan)
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
"""A multiplication and an addition may be one instruction; nothing is reordered."""
_settings: Any = config


def compiled(function):
    """Compile a function for this processor, once for each version of this folder and of the file of the function."""
    function = inspect.unwrap(function)  # tests check types by a wrapper
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(function.__code__.co_filename)]
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    before, _settings.CACHE_DIR = _settings.CACHE_DIR, str(compile_cache().parent / f"numba-{version}")
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written
        return njit(**_OPTIONS)(function)
    finally:
        _settings.CACHE_DIR = before


def version_of(function) -> str:
    """Digest of what its compiled code holds: sources of this folder and of its file, and constants that its file has from others."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(function.__code__.co_filename)]
    constants = {name: value for name, value in function.__globals__.items() if isinstance(value, np.generic | int | float)}
    frozen = repr(sorted((name, repr(value)) for name, value in constants.items())).encode()
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources) + frozen).hexdigest()[:12]


def inside(function):
    """A function that becomes a part of those that call it."""
    return njit(forceinline=True, **_OPTIONS)(inspect.unwrap(function))


forward_step, backward_step = inside(forward), inside(backward)


def room(views: int) -> tuple[np.ndarray, np.ndarray]:
    """`kept` and `rows` of a block with some views."""
    return np.zeros((1 + views) * RECORD_ROWS * LANES, np.float32), np.zeros(ROWS * LANES, np.float32)


@inside
def record(number):
    """Where the record of a view begins; 0 is that before all views."""
    return np.uint64(np.uint32(number)) * RECORD  # 32 bits without a sign: LLVM must see that the lanes behind it do not wrap around


@inside
def step_of(steps, number):
    """Numbers of one of `Steps`."""
    return (steps.a[number], steps.b[number], steps.c[number], steps.d[number], steps.e[number],
            steps.q00[number], steps.q01[number], steps.q11[number], steps.q22[number])  # fmt: skip


@inside
def nine(rows, at):
    """Nine rows of a lane from `at` on."""
    return (rows[at], rows[at + L], rows[at + TWO_L], rows[at + THREE_L], rows[at + FOUR_L], rows[at + FIVE_L], rows[at + SIX_L],
            rows[at + SEVEN_L], rows[at + EIGHT_L])  # fmt: skip


@inside
def keep_nine(rows, at, nine):
    """Put nine numbers of a lane into the rows from `at` on."""
    (rows[at], rows[at + L], rows[at + TWO_L], rows[at + THREE_L], rows[at + FOUR_L], rows[at + FIVE_L], rows[at + SIX_L],
     rows[at + SEVEN_L], rows[at + EIGHT_L]) = nine  # fmt: skip


TWO_L, THREE_L, FOUR_L, FIVE_L, SIX_L, SEVEN_L, EIGHT_L = (np.uint64(row) * L for row in range(2, 9))


@inside
def begin(rows, fast, slow):
    """State of `forward` before the first view: mean 0 and the stationary variances of the fast and of the slow part."""
    for i in range(L):
        keep_nine(rows, STATE + i, (ZERO, ZERO, ZERO, fast, ZERO, fast, ZERO, ZERO, slow))


@inside
def nothing_behind(rows):
    """What nothing behind the last view says: r and N of `backward`, all 0."""
    for i in range(L):
        keep_nine(rows, STATE + i, (ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO))


@inside
def keep_views(kept, views, opening, first):
    """Views and openings `[view, pixel]` of the pixels from `first` on; lanes beyond the last pixel have no view."""
    count = min(LANES, views.shape[1] - first)
    for number in range(len(views)):
        at = record(number + 1)
        for i in range(count):
            kept[at + VIEW + np.uint64(i)], kept[at + OPENING + np.uint64(i)] = views[number, first + i], opening[number, first + i]
        for i in range(count, LANES):
            kept[at + VIEW + np.uint64(i)], kept[at + OPENING + np.uint64(i)] = MISSING, ZERO
    return count
