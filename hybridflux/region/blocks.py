"""Valid pixels of a tile, put in blocks of one plant type (and one weather cell), a fixed number of blocks to a slab.

In a block of one plant type and one weather cell, all that depends on weather and plant type alone is computed once per draw
and not once per pixel. Masked pixels are not computed at all. Every slab has the same shape, so the kernel is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hybridflux.region.store import TileDrivers


@dataclass(frozen=True)
class Slab:
    """A fixed number of blocks.

    Attributes:
        pixel: position among the valid pixels of the tile `[block, n]`.
        real: False where a block is filled up by repeating a pixel `[block, n]`.
        active: False for blocks that only fill up the slab `[block]`.
    """

    pixel: np.ndarray
    real: np.ndarray
    active: np.ndarray


def count_blocks(plant_type: np.ndarray, cell: np.ndarray, n: int) -> tuple[int, int]:
    """Blocks of one plant type, and of one plant type and cell."""
    by_type = np.unique(plant_type, return_counts=True)[1]
    by_both = np.unique(np.stack([plant_type, cell]), axis=1, return_counts=True)[1]
    return int(np.sum(-(-by_type // n))), int(np.sum(-(-by_both // n)))


def slabs(drivers: TileDrivers, *, n: int, blocks: int, by_cell: bool) -> Iterator[Slab]:
    """All slabs of a tile.

    Args:
        drivers: of the tile.
        n: pixels in a block.
        blocks: blocks in a slab.
        by_cell: whether a block holds one weather cell only.
    """
    key = drivers.plant_type.astype(np.int64) << 32
    if by_cell:
        key = key + drivers.cell
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    rows, real = [], []
    for group in np.split(order, starts[1:]) if len(order) else ():
        for start in range(0, len(group), n):
            part = group[start : start + n]
            rows.append(np.pad(part, (0, n - len(part)), mode="edge"))
            real.append(np.arange(n) < len(part))
    for start in range(0, len(rows), blocks):
        found = rows[start : start + blocks]
        missing = blocks - len(found)
        yield Slab(
            np.array(found + missing * found[-1:], np.int32),
            np.array(real[start : start + blocks] + missing * [np.zeros(n, bool)]),
            np.arange(blocks) < len(found),
        )
