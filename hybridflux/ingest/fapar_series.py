"""From clear views to the daily fapar and indices of every pixel with their standard deviations, tile by tile.

The result does not depend on the tiles. Pixels are sampled and filled in squares that are fixed in the grid, so that the same pixels
meet in the same order in every array, whatever tile they are filled for: sums of floating-point numbers depend on their order, and the
hyperparameters on their sample.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict

import numpy as np

from hybridflux.data.harmonisation import ALL, CalibrationLine
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.views import ClearViews
from hybridflux.ingest.work import Work
from hybridflux.progress import Progress
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.store import layout
from hybridflux.region.store.create import RegionWriter
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.series import SeriesProcess, fill, learn
from hybridflux.vocabulary import PLANT_TYPES

SQUARE = 64  # pixels along the side of a square; a tile that is not a multiple of it costs the whole squares that it touches
SAMPLE = 1500  # pixels of a plant type from which its hyperparameters are learned
LEAST_VIEWS = 4  # clear views of a pixel of the sample
LEAST_PIXELS = 100  # a rarer plant type takes the hyperparameters of the whole region
WHOLE = "region"
"""Name of the hyperparameters learned from all pixels together. The others are learned by plant type, because a field, a wood and a street
have seasons of their own and a gap is filled with the season."""

Processes = dict[str, dict[str, SeriesProcess]]
"""Index -> plant type or `WHOLE` -> hyperparameters of the smoother."""
Lines = dict[str, dict[str, CalibrationLine]]
"""Daily map -> plant type or `ALL` -> calibration line from an index to it: `fapar`, and indices as another instrument sees them."""


def learn_processes(config: RegionConfig, views: ClearViews, plant_type: np.ndarray, work: Work, seed: int) -> Processes:
    """Hyperparameters of the smoother for each index and plant type, from pixels spread over the region.

    Raises:
        ValueError: no pixel has enough clear views.
    """
    processes = {}
    for name in (config.vegetation.index, *config.vegetation.also):
        record = work.read(f"prior_{name}")
        if record is None:
            record = {kind: asdict(process) for kind, process in _learn(config, views, name, plant_type, seed).items()}
            work.write(f"prior_{name}", record)
        processes[name] = {kind: SeriesProcess(**values) for kind, values in record.items()}
    return processes


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


def fill_tiles(
    config: RegionConfig, views: ClearViews, processes: Processes, lines: Lines, writer: RegionWriter,
    plant_type: np.ndarray, work: Work, progress: Progress,
) -> None:  # fmt: skip
    """Fill every tile that is not marked as done and write it; the marker comes last."""
    grid: Grid = config.region_grid
    for number, tile in enumerate(grid.tiles()):
        if work.read(f"tiles/{tile.id}") is None:
            work.write(f"tiles/{tile.id}", _fill_tile(config, views, processes, lines, writer, plant_type, tile))
        progress(number + 1, len(grid), f"tile {tile.id}")


def daily_maps(config: RegionConfig) -> tuple[str, ...]:
    """Daily maps of the store, each followed by its standard deviation."""
    return tuple(array for name in ("fapar", *config.vegetation.also) for array in (name, sd_of(name)))


def _fill_tile(
    config: RegionConfig, views: ClearViews, processes: Processes, lines: Lines, writer: RegionWriter,
    plant_type: np.ndarray, tile: Tile,
) -> dict:  # fmt: skip
    """Write the series of one tile; its record counts the clear views of each index and the rejected ones among them."""
    layers = {name: np.empty((len(config.period.days), *tile.shape), np.float32) for name in daily_maps(config)}
    record = {name: {"views": 0, "rejected": 0} for name in processes}
    for square in squares(config.region_grid, tile.y, tile.x):
        kinds = plant_type[square.y, square.x].reshape(-1)
        of_square, of_tile = _common(square, tile), _common(tile, square)
        for name, of_kind in processes.items():
            values = views.read(name, square)
            mean, sd, used = _filled(values, views.day, len(config.period.days), of_kind, kinds)
            made = {name, "fapar"} if name == config.vegetation.index else {name}
            for layer in made & layers.keys():
                series = _calibrated(mean, sd, lines[layer], kinds) if layer in lines else (mean, sd)
                for array, daily in zip((layer, sd_of(layer)), series, strict=True):
                    layers[array][:, *of_tile] = daily.reshape(-1, *square.shape)[:, *of_square]
            clear = np.isfinite(values).reshape(-1, *square.shape)[:, *of_square]
            record[name]["views"] += int(clear.sum())
            record[name]["rejected"] += int((clear & ~used.reshape(-1, *square.shape)[:, *of_square]).sum())
    writer.write(tile, **layers)
    return record


def _common(inner: Tile, outer: Tile) -> tuple[slice, slice]:
    """Rows and columns of `inner` that lie in `outer` too."""
    return tuple(
        slice(max(ours.start, other.start) - ours.start, min(ours.stop, other.stop) - ours.start)
        for ours, other in ((inner.y, outer.y), (inner.x, outer.x))
    )


def _calibrated(mean: np.ndarray, sd: np.ndarray, lines: dict[str, CalibrationLine], kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fapar and its sd `[time, pixel]`, each plant type by its own calibration line."""
    fapar, error = np.empty_like(mean), np.empty_like(sd)
    of_pixel = named(kinds, lines, ALL)
    for kind in np.unique(of_pixel):
        pixels = np.flatnonzero(of_pixel == kind)
        fapar[:, pixels], error[:, pixels] = lines[kind].applied(mean[:, pixels], sd[:, pixels])
    return fapar, error


def named(kinds: np.ndarray, known: Collection[str], rest: str) -> np.ndarray:
    """IGBP code of each pixel where it is among the known ones, `rest` elsewhere.

    >>> named(np.array([PLANT_TYPES.index("CRO"), 255]), {"CRO"}, "all").tolist()
    ['CRO', 'all']
    """
    codes = np.array([code if code in known else rest for code in PLANT_TYPES] + [rest])
    return codes[np.minimum(kinds, len(PLANT_TYPES))]


def _filled(values: np.ndarray, when: np.ndarray, days: int, processes: dict[str, SeriesProcess], kinds: np.ndarray):
    """Mean and sd `[time, pixel]` and views used `[view, pixel]`, each plant type with its own hyperparameters."""
    mean, sd = np.empty((days, len(kinds)), np.float32), np.empty((days, len(kinds)), np.float32)
    used = np.zeros(values.shape, bool)
    of_pixel = named(kinds, processes, WHOLE)
    for kind in np.unique(of_pixel):
        pixels = np.flatnonzero(of_pixel == kind)
        daily = fill(values[:, pixels], when, days, process=processes[kind])
        mean[:, pixels], sd[:, pixels], used[:, pixels] = daily.mean, daily.sd, daily.used
    return mean, sd, used
