"""Maps of a page that keep to a size: fewer pixels and dates, until what is written fits."""

from __future__ import annotations

from collections.abc import Callable

BYTES = 6_000_000
"""Of one group of frames, before compression: where the search for what fits begins."""


def size_of(viewer: dict) -> int:
    """Characters of the maps of a viewer, or of a group of it."""
    groups = viewer.get("groups", [viewer])
    return sum(len(panel["data"]) for group in groups for layer in group["layers"] for panel in layer["panels"])


def fitted(make: Callable[[int], dict], most: int) -> dict:
    """The largest maps that fit.

    Args:
        make: function of the bytes before compression that gives a viewer, or a group of one.
        most: characters that it may have.

    >>> made = fitted(lambda room: {"layers": [{"panels": [{"data": "x" * room}]}]}, 1000)
    >>> 800 < size_of(made) <= 1000
    True
    """
    room, made = BYTES, make(BYTES)
    while (size := size_of(made)) > most:
        room = int(room * min(0.95 * most / size, 0.9))
        made = make(room)
    return made
