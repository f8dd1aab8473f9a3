"""Totals per zone, plant type, month and draw: float64 gC with the true area of every pixel."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Totals:
    """Carbon of the cells (a zone and a plant type) of a tile, or of many.

    All tiles use the same draws, so totals add up draw by draw; a spread is computed last, of the sum.

    Attributes:
        area: (zone, plant type) -> m2.
        carbon: (zone, plant type) -> gC `[month, (gpp, reco), draw]`, float64.
        series: plant type -> sums of daily fluxes `[day, (gpp, reco), draw]`, gC d-1.
    """

    area: dict[tuple[int, int], float] = field(default_factory=dict)
    carbon: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    series: dict[int, np.ndarray] = field(default_factory=dict)

    def add_block(self, gpp: np.ndarray, reco: np.ndarray, plant_type: int, zone: np.ndarray, area: np.ndarray) -> None:
        """Add a block of pixels of one plant type.

        Args:
            gpp: gC m-2 `[month, draw, pixel]`, float32.
            reco: the same.
            plant_type: of the block.
            zone: of the pixels `[pixel]`.
            area: m2, 0 for pixels that do not count `[pixel]`.
        """
        zones, which = np.unique(zone, return_inverse=True)
        weights = np.zeros((len(zone), len(zones)))
        weights[np.arange(len(zone)), which] = area
        sums = np.stack([flux.astype(np.float64) @ weights for flux in (gpp, reco)], 1)
        for number, one in enumerate(zones.tolist()):
            if weights[:, number].any():
                self._add((one, plant_type), float(weights[:, number].sum()), sums[..., number])

    def add_series(self, series: np.ndarray, plant_type: int) -> None:
        """Add the daily sums of a block of one plant type `[day, (gpp, reco), draw]`, gC d-1."""
        self.series[plant_type] = self.series.get(plant_type, 0.0) + series.astype(np.float64)

    def add(self, other: Totals) -> None:
        """Add the totals of another tile."""
        for cell, area in other.area.items():
            self._add(cell, area, other.carbon[cell])
        for plant_type, series in other.series.items():
            self.add_series(series, plant_type)

    def _add(self, cell: tuple[int, int], area: float, carbon: np.ndarray) -> None:
        self.area[cell] = self.area.get(cell, 0.0) + area
        self.carbon[cell] = self.carbon[cell] + carbon if cell in self.carbon else carbon

    def save(self, path: Path) -> None:
        """Write as `.npz`, whole or not at all."""
        cells = sorted(self.area)
        kinds = sorted(self.series)
        partial = path.with_suffix(".part")
        with open(partial, "wb") as file:
            np.savez(
                file,
                zone=np.array([zone for zone, _ in cells], np.int64),
                plant_type=np.array([kind for _, kind in cells], np.int64),
                area=np.array([self.area[cell] for cell in cells], np.float64),
                carbon=np.array([self.carbon[cell] for cell in cells], np.float64),
                series_plant_type=np.array(kinds, np.int64),
                series=np.array([self.series[kind] for kind in kinds], np.float64),
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    @classmethod
    def load(cls, path: Path) -> Totals:
        """Read what `save` wrote."""
        with np.load(path) as found:
            cells = list(zip(found["zone"].tolist(), found["plant_type"].tolist(), strict=True))
            return cls(
                dict(zip(cells, found["area"].tolist(), strict=True)),
                dict(zip(cells, found["carbon"], strict=True)),
                dict(zip(found["series_plant_type"].tolist(), found["series"], strict=True)),
            )

    @classmethod
    def merge(cls, paths: Iterable[Path]) -> Totals:
        """The sum over tiles, in the order of their names: the same to the last bit whoever ran them."""
        whole = cls()
        for path in sorted(paths):
            whole.add(cls.load(path))
        return whole
