"""Hyperparameters of the smoother for each index and plant type, learned from pixels spread over the region.

They do not depend on the tiles: pixels are sampled in squares that are fixed in the grid, so that the same pixels meet in the same order,
and sums of floating-point numbers depend on their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

import numpy as np

from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.views import ClearViews
from hybridflux.ingest.work import Work
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.series import SeriesProcess, learn
from hybridflux.vocabulary import PLANT_TYPES

SQUARE = 64  # pixels along the side of a square
SAMPLE = 1500  # pixels of a plant type from which its hyperparameters are learned
LEAST_VIEWS = 4  # clear views of a pixel of the sample
LEAST_PIXELS = 100  # a rarer plant type takes the hyperparameters of the whole region
WHOLE = "region"
"""Name of the hyperparameters learned from all pixels together. The others are learned by plant type, because a field, a wood and a street
have seasons of their own and a gap is filled with the season."""

Processes = dict[str, dict[str, SeriesProcess]]
"""Index -> plant type or `WHOLE` -> hyperparameters of the smoother."""


def learn_processes(config: RegionConfig, views: ClearViews, plant_type: np.ndarray, work: Work, seed: int) -> None:
    """Learn the hyperparameters of each index and plant type from pixels spread over the region, and write those that are not there yet.

    Raises:
        ValueError: no pixel has enough clear views.
    """
    for name in (config.vegetation.index, *config.vegetation.also):
        if work.read(f"prior_{name}") is None:
            learned = _learn(config, views, name, plant_type, seed)
            work.write(f"prior_{name}", {kind: asdict(process) for kind, process in learned.items()})


def processes_of(work: Work, names: Iterable[str]) -> Processes:
    """The hyperparameters of a build that were learned."""
    return {name: {kind: SeriesProcess(**values) for kind, values in work.read(f"prior_{name}").items()} for name in names}


def _learn(config: RegionConfig, views: ClearViews, name: str, plant_type: np.ndarray, seed: int) -> dict[str, SeriesProcess]:
    sample, kinds = _sample(config, views, name, plant_type, seed)
    if not sample.shape[1]:
        raise ValueError(f"no pixel of `{config.id}` has {LEAST_VIEWS} clear views of {name}; lengthen the period or loosen the mask")
    days = len(config.period.days)
    groups = {WHOLE: np.ones(len(kinds), bool)} | {PLANT_TYPES[code]: kinds == code for code in np.unique(kinds) if code < len(PLANT_TYPES)}
    return {
        kind: learn(sample[:, _some(np.flatnonzero(inside), seed)], views.day, days)
        for kind, inside in groups.items()
        if kind == WHOLE or inside.sum() >= LEAST_PIXELS
    }


def _some(pixels: np.ndarray, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(pixels)[:SAMPLE])


def _sample(config: RegionConfig, views: ClearViews, name: str, plant_type: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Views `[view, pixel]` and plant types `[pixel]` of pixels from up to 64 squares spread over the region, in order of squares."""
    random, (rows, columns) = np.random.default_rng(seed), config.region_grid.shape
    everywhere = list(squares(config.region_grid, slice(0, rows), slice(0, columns)))
    chosen = np.sort(random.permutation(len(everywhere))[:64])
    parts, kinds = [], []
    for square in (everywhere[number] for number in chosen):
        values, kind = views.read(name, square), plant_type[square.y, square.x].reshape(-1)
        usable = np.flatnonzero((np.isfinite(values).sum(axis=0) >= LEAST_VIEWS) & (kind != layout.OUTSIDE))
        pick = np.sort(random.permutation(usable)[: max(len(PLANT_TYPES) * SAMPLE // len(chosen), 1)])
        parts.append(values[:, pick])
        kinds.append(kind[pick])
    return np.concatenate(parts, axis=1), np.concatenate(kinds)


def squares(grid: Grid, y: slice, x: slice) -> Iterator[Tile]:
    """The squares that a window of the grid touches, row by row; those at the lower and right edge of the grid may be smaller.

    >>> [(square.id, square.shape) for square in squares(Grid("EPSG:2154", 0.0, 0.0, 10.0, (70, 60)), slice(50, 70), slice(0, 9))]
    [('s000_000', (64, 60)), ('s001_000', (6, 60))]
    """
    for row in range(y.start // SQUARE, -(-y.stop // SQUARE)):
        for column in range(x.start // SQUARE, -(-x.stop // SQUARE)):
            ends = (min((number + 1) * SQUARE, size) for number, size in zip((row, column), grid.shape, strict=True))
            yield Tile(f"s{row:03d}_{column:03d}", *(slice(number * SQUARE, end) for number, end in zip((row, column), ends, strict=True)))
