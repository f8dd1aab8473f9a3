"""Totals of a tile per zone, plant type, month and draw: float64 gC with the true area of every pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybridflux.files import whole


@dataclass
class Totals:
    """Carbon of the cells (a zone and a plant type) of a tile.

    All tiles use the same draws, so totals add up draw by draw (`merge`); a spread is computed last, of the sum.

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
        months, draws, pixels = gpp.shape
        weights = np.zeros((pixels, len(zones)))
        weights[np.arange(pixels), which] = area
        sums, room = np.empty((months, 2, draws, len(zones))), np.empty((draws, pixels))
        for month in range(months):
            for number, flux in enumerate((gpp, reco)):
                np.copyto(room, flux[month])  # a month at a time stays in the cache
                np.matmul(room, weights, out=sums[month, number])
        for number, (one, size) in enumerate(zip(zones.tolist(), weights.sum(0).tolist(), strict=True)):
            if size:
                self._add((one, plant_type), size, sums[..., number])

    def add_series(self, series: np.ndarray, plant_type: int) -> None:
        """Add the daily sums of a block of one plant type `[day, (gpp, reco), draw]`, gC d-1."""
        self.series[plant_type] = self.series.get(plant_type, 0.0) + series.astype(np.float64)

    def _add(self, cell: tuple[int, int], area: float, carbon: np.ndarray) -> None:
        if cell in self.area:
            self.area[cell] += area
            self.carbon[cell] += carbon
        else:
            self.area[cell], self.carbon[cell] = area, carbon.copy()  # the block it is part of is not kept

    def save(self, path: Path) -> None:
        """Write as `.npz`, cells in rising order, whole or not at all."""
        cells = sorted(self.area)
        kinds = sorted(self.series)
        with whole(path) as partial:
            np.savez(
                partial,
                zone=np.array([zone for zone, _ in cells], np.int64),
                plant_type=np.array([kind for _, kind in cells], np.int64),
                area=np.array([self.area[cell] for cell in cells], np.float64),
                carbon=np.array([self.carbon[cell] for cell in cells], np.float64),
                series_plant_type=np.array(kinds, np.int64),
                series=np.array([self.series[kind] for kind in kinds], np.float64),
            )
