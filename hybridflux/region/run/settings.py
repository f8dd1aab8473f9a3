"""Settings of a run, looked at before any work: what is refused here would else fail late, or pass under a wrong name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def check_numbers(draws: int, length: float) -> None:
    """Refuse numbers that mean nothing.

    Args:
        draws: posterior draws.
        length: over which effects of places are alike [m].

    Raises:
        ValueError: one is outside its range.
    """
    if not isinstance(draws, int | np.integer) or draws < 1:
        raise ValueError(f"draws `{draws}` is not a whole number from 1")
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"effect_length `{length}` is not a distance above 0 m")


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Names in their order, each once; a single one may stand alone.

    >>> names_of("elevation"), names_of(["a", "b", "a"])
    (('elevation',), ('a', 'b'))
    """
    return tuple(dict.fromkeys([names] if isinstance(names, str) else names))
