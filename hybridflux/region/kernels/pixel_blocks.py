"""Valid pixels of a tile, put in blocks of one plant type (one weather cell, one place of an output), a fixed number to a slab.

In a block of one plant type and one weather cell, all that depends on weather and plant type alone is computed once per draw
and not once per pixel. Masked pixels are not computed at all. Every slab has the same shape, so the kernel is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hybridflux.region.drivers.open import Region
from hybridflux.region.drivers.read import TileDrivers

LARGE_CELL = 4096  # pixels


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


def one_cell_per_block(region: Region) -> bool:
    """Whether blocks hold one weather cell only: where cells are so large that it costs little filling up.

    The same for any tiles, and so are the results, to the last bit.
    """
    cells = region.group["tair"].shape[1]
    return bool(cells == 1 or np.prod(region.grid.shape) / cells >= LARGE_CELL)


def slabs(drivers: TileDrivers, *, n: int, blocks: int, by_cell: bool, by_row: bool = False) -> Iterator[Slab]:
    """All slabs of a tile.

    Args:
        drivers: of the tile.
        n: pixels in a block.
        blocks: blocks in a slab.
        by_cell: whether a block holds one weather cell only.
        by_row: whether the same blocks come in the order of their first pixels, so that rows of the tile are done one after the other.
    """
    parts = (drivers.plant_type, *([drivers.cell] if by_cell else []), *drivers.places.values())
    order = np.lexsort(parts[::-1])  # stable
    starts = np.flatnonzero(np.any([np.diff(part[order].astype(np.int64), prepend=np.iinfo(np.int32).min) for part in parts], axis=0))
    rows, real = [], []
    for group in np.split(order, starts[1:]) if len(order) else ():
        for start in range(0, len(group), n):
            part = group[start : start + n]
            rows.append(np.pad(part, (0, n - len(part)), mode="edge"))
            real.append(np.arange(n) < len(part))
    if by_row:
        in_turn = sorted(range(len(rows)), key=lambda number: rows[number][0])
        rows, real = ([found[number] for number in in_turn] for found in (rows, real))
    for start in range(0, len(rows), blocks):
        found = rows[start : start + blocks]
        missing = blocks - len(found)
        yield Slab(
            np.array(found + missing * found[-1:], np.int32),
            np.array(real[start : start + blocks] + missing * [np.zeros(n, bool)]),
            np.arange(blocks) < len(found),
        )
