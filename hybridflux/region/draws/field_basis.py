"""What the structural error of a region is a sum of: plane waves, and the correlation with each tower, at points and added up by cell.

The waves are those of the effects of places (`random_effects`), for the correlation that the posterior learned between the residuals of
towers (`inference.fit_structural_correlation`). A mean over a cell is that of its pixels, so it does not depend on tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.region.draws import random_effects, tower_effects
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.store.grid import Grid


@dataclass(frozen=True)
class FieldBasis:
    """What a field is a sum of, at points of a region.

    Attributes:
        correlation: of the field.
        towers: whose residuals are known and near enough `[tower]`.
        grid: of the region.
    """

    correlation: EffectCorrelation
    towers: tuple[KnownTower, ...]
    grid: Grid

    @classmethod
    def of(cls, posterior: Posterior, towers: tuple[KnownTower, ...], grid: Grid) -> FieldBasis:
        """Of a run, with those of its towers that have residuals."""
        known = posterior.residuals if tower_effects.knows_errors(posterior) else None
        measured = set() if known is None else {posterior.places[place] for place in np.unique(known.place)}
        return cls(tower_effects.correlation_of(posterior), tuple(tower for tower in towers if tower.name in measured), grid)

    @cached_property
    def at_towers(self) -> np.ndarray:
        """Centres of the pixels of the towers `[tower, (x, y)]`, m."""
        return tower_effects.positions(self.towers, self.grid)

    @cached_property
    def frequency(self) -> np.ndarray:
        """Wave numbers `[wave, (x, y)]`."""
        return random_effects.frequencies(self.correlation)

    @property
    def waves(self) -> int:
        """Cosines and sines."""
        return 2 * len(self.frequency)

    @property
    def features(self) -> int:
        """Waves, and towers."""
        return self.waves + len(self.towers)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Waves, then the correlation with each tower `[point, feature]`, at points `[point, (x, y)]`."""
        away = np.hypot(*(points[:, None] - self.at_towers).transpose(2, 0, 1))
        return np.concatenate([random_effects.waves(points, self.frequency), sum(self.correlation.parts(away))], axis=1)

    def sums(self, cell: np.ndarray, points: np.ndarray, area: np.ndarray, at_once: int = 4096) -> np.ndarray:
        """Features of pixels times their area, added up by cell `[cell, feature]`, float64.

        Args:
            cell: of each pixel, 0 to the number of cells `[pixel]`.
            points: their centres `[pixel, (x, y)]`, m.
            area: m2 `[pixel]`.
            at_once: pixels in memory at once.
        """
        order = np.argsort(cell, kind="stable")
        found = np.zeros((int(cell.max(initial=-1)) + 1, self.features))
        for start in range(0, len(order), at_once):
            here = order[start : start + at_once]
            first = np.flatnonzero(np.diff(cell[here], prepend=-1))
            found[cell[here[first]]] += np.add.reduceat(self.at(points[here]) * area[here, None], first, axis=0)
        return found

    def weights(self, normal: np.ndarray) -> np.ndarray:
        """Standard normal numbers `[..., wave]` as weights of the waves, so that the field has variance one."""
        nugget = self.correlation.nugget
        shared, own = ((1.0 - nugget) / random_effects.WAVES) ** 0.5, (nugget / random_effects.OWN_WAVES) ** 0.5
        half = np.repeat([shared, own], [random_effects.WAVES, len(self.frequency) - random_effects.WAVES])
        return normal * np.concatenate([half, half]).astype(normal.dtype)
