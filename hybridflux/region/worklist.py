"""Which tiles of a region have anything to map, and how much: one pass over the plant types, a row of tiles in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hybridflux.region import layout
from hybridflux.region.grid import Tile
from hybridflux.region.store import UNVEGETATED_CODES, Region


@dataclass(frozen=True)
class Worklist:
    """Tiles of a region.

    Attributes:
        tiles: those with vegetation, in the order of the grid.
        pixels: with vegetation, of each of them `[tile]`.
        all: how many tiles the grid has.
        masked: reason -> pixels, of the tiles that have nothing to map.
    """

    tiles: tuple[Tile, ...]
    pixels: np.ndarray
    all: int
    masked: dict[str, int]

    @classmethod
    def of(cls, region: Region) -> Worklist:
        """Look at all plant types."""
        tiles, pixels, number = [], [], 0
        masked = {"outside": 0, "no vegetation": 0}
        for row in _rows(region):
            kinds = region.group["plant_type"][row[0].y]
            for tile in row:
                number += 1
                counts = np.bincount(kinds[:, tile.x].reshape(-1), minlength=256)
                outside, bare = int(counts[layout.OUTSIDE]), int(counts[UNVEGETATED_CODES].sum())
                rest = int(counts.sum()) - outside - bare
                if rest:
                    tiles.append(tile)
                    pixels.append(rest)
                else:
                    masked["outside"] += outside
                    masked["no vegetation"] += bare
        return cls(tuple(tiles), np.array(pixels, int), number, masked)


def _rows(region: Region) -> Iterator[list[Tile]]:
    """Tiles, one row of the grid at a time."""
    row: list[Tile] = []
    for tile in region.tiles():
        if row and tile.y.start != row[0].y.start:
            yield row
            row = []
        row.append(tile)
    yield row
