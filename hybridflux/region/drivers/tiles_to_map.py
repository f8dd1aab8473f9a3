"""Which tiles of a region have anything to map, and how much: one pass over the plant types, a row of tiles in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hybridflux.region.drivers.open import UNVEGETATED_CODES, Region
from hybridflux.region.store import blocks, layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES


@dataclass(frozen=True)
class TilesToMap:
    """Tiles of a region.

    Attributes:
        tiles: those with vegetation, in the order of the grid.
        pixels: with vegetation, of each of them `[tile]`.
        all: how many tiles the grid has.
        masked: reason -> pixels, of the tiles that have nothing to map.
        kinds: pixels with vegetation of each plant type `[plant_type]`.
    """

    tiles: tuple[Tile, ...]
    pixels: np.ndarray
    all: int
    masked: dict[str, int]
    kinds: np.ndarray

    @classmethod
    def of(cls, region: Region) -> TilesToMap:
        """Look at all plant types."""
        tiles, pixels, number, kinds_of_all = [], [], 0, np.zeros(256, int)
        masked = {"outside": 0, "no vegetation": 0}
        for row in _rows(region):
            kinds = blocks.read(region.array("plant_type"), (row[0].y,))
            for tile in row:
                number += 1
                counts = np.bincount(kinds[:, tile.x].reshape(-1), minlength=256)
                kinds_of_all += counts
                outside, bare = int(counts[layout.OUTSIDE]), int(counts[UNVEGETATED_CODES].sum())
                rest = int(counts.sum()) - outside - bare
                if rest:
                    tiles.append(tile)
                    pixels.append(rest)
                else:
                    masked["outside"] += outside
                    masked["no vegetation"] += bare
        kinds_of_all[UNVEGETATED_CODES] = 0
        return cls(tuple(tiles), np.array(pixels, int), number, masked, kinds_of_all[: len(PLANT_TYPES)])

    def without_tower(self, at_towers: Mapping[str, int] | None) -> dict[str, int]:
        """Plant type that no tower of a fit has -> pixels with vegetation; empty where the posterior does not record its plant types.

        Args:
            at_towers: plant type -> number of towers, or None.
        """
        found = {} if at_towers is None else dict(zip(PLANT_TYPES, self.kinds.tolist(), strict=True))
        return {code: count for code, count in found.items() if count and code not in at_towers}


def _rows(region: Region) -> Iterator[list[Tile]]:
    """Tiles, one row of the grid at a time."""
    row: list[Tile] = []
    for tile in region.tiles():
        if row and tile.y.start != row[0].y.start:
            yield row
            row = []
        row.append(tile)
    yield row
