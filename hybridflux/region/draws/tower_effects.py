"""A region that knows its towers: in each draw the field of a plant type passes through that draw's own effects at the towers near.

Pathwise conditioning (Matheron's rule; Wilson et al. 2021, JMLR 22:105): with a field f of the population, effects z of towers at X, and
the correlation k of `model.effect_correlation`,

    f(x) + k(x, X) v,   v = (k(X, X) + ACCURACY)^-1 (z - f(X))

is a draw of the field given z. At a tower it is z, far away it is f, and between them it follows k. v is solved once a run in float64,
k(x, X) is made by the kernels as they make the waves of f, so that a pixel has the same numbers in any tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.model.effect_correlation import REACH, EffectCorrelation
from hybridflux.region.draws import random_effects
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.draws.spread import Draws
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES

EVERYWHERE = 1e8
"""Length of a structural error that is the same in all cells of a plant type [m]."""
ACCURACY = 1e-4
"""Variance with which the effect of a tower is met, in variances of the population: two towers may stand in one pixel."""


def settled(draws: Draws, posterior: Posterior, grid: Grid) -> Draws:
    """Draws with the correlation and the towers of a region: those near it, of the ones given or remembered by the posterior.

    Raises:
        ValueError: a tower that the posterior has no effects of.
    """
    learned = EffectCorrelation.of(posterior.info)
    given = draws.effect_length is not None
    length = draws.effect_length if given else learned.length
    nugget = draws.effect_nugget if draws.effect_nugget is not None else (0.0 if given else learned.nugget)
    towers = remembered(posterior) if draws.towers is None else draws.towers
    unknown = [tower.name for tower in towers if tower.name not in posterior.places]
    if unknown:
        raise ValueError(f"{', '.join(unknown[:8])} took no part in the fit; the towers of the posterior are {', '.join(posterior.places)}")
    errors = correlation_of(posterior).length if knows_errors(posterior) else 0.0
    inform = near(towers, grid, max(length, errors)) if draws.spread.has_random_effects else ()
    return replace(draws, effect_length=length, effect_nugget=nugget, towers=inform)


def remembered(posterior: Posterior) -> tuple[KnownTower, ...]:
    """Towers of which a posterior has effects, coordinates and the plant type; none of files of earlier versions."""
    rows = posterior.info.get("places", {})
    rows = {name: row for name, row in rows.items() if name in posterior.places and row.get("plant_type") in PLANT_TYPES}
    return tuple(KnownTower(name, row["latitude"], row["longitude"], row["plant_type"]) for name, row in rows.items() if "latitude" in row)


def correlation_of(posterior: Posterior) -> EffectCorrelation:
    """That of the structural error, which the posterior learned, or one error for all cells of a plant type."""
    found = posterior.info.get("structural_correlation")
    return EffectCorrelation(float(found["length"]), float(found["nugget"])) if found else EffectCorrelation(EVERYWHERE)


def knows_errors(posterior: Posterior) -> bool:
    """Whether a posterior remembers the residuals of its towers, and has learned how far they reach."""
    return posterior.residuals is not None and bool(posterior.info.get("structural_correlation"))


def near(towers: Iterable[KnownTower], grid: Grid, length: float) -> tuple[KnownTower, ...]:
    """Towers inside a region or within `REACH` lengths [m] of its edge, by their names."""
    found = []
    for tower in towers:
        x, y = position(tower, grid)
        outside = np.hypot(*(max(low - at, at - high, 0.0) for at, low, high in ((x, *grid.x[[0, -1]]), (y, *grid.y[[-1, 0]]))))
        found += [tower] if outside <= REACH * length else []
    return tuple(sorted(found, key=lambda tower: tower.name))


def position(tower: KnownTower, grid: Grid) -> tuple[float, float]:
    """Centre of the pixel that a tower stands in, on the map [m]; of one outside too."""
    x, y = grid.projected(tower.longitude, tower.latitude)
    return tuple(grid.pixel * (np.floor(at / grid.pixel) + 0.5) for at in (x, y))


def positions(towers: Iterable[KnownTower], grid: Grid) -> np.ndarray:
    """`position` of each `[tower, (x, y)]`."""
    return np.array([position(tower, grid) for tower in towers]).reshape(-1, 2)


def conditioned(weights: np.ndarray, known: np.ndarray, kind: np.ndarray, at: np.ndarray, correlation: EffectCorrelation) -> np.ndarray:
    """Weights of the waves of a table, with those of the towers behind them: `[draw, plant_type, year, 2 wave + 2 tower]`, float32.

    Args:
        weights: of the population `[draw, plant_type, year, 2 wave]`.
        known: effects of the towers `[draw, tower, year]`, NaN where nothing is known of a year.
        kind: plant type of each tower `[tower]`.
        at: its place on the map `[tower, (x, y)]`, m.
        correlation: of the field.
    """
    correction = np.zeros((*weights.shape[:3], len(kind)))
    waves = random_effects.waves(at, random_effects.frequencies(correlation))
    for code in np.unique(kind):
        for year in range(weights.shape[2]):
            here = np.flatnonzero((kind == code) & np.isfinite(known[:, :, year]).all(0))
            distance = np.hypot(*(at[here, None] - at[None, here]).transpose(2, 0, 1))
            error = known[:, here, year] - weights[:, code, year].astype(float) @ waves[here].T
            correlated = sum(correlation.parts(distance)) + ACCURACY * np.eye(len(here))
            correction[:, code, year, here] = np.linalg.solve(correlated, error.T).T
    parts = [(1.0 - correlation.nugget) * correction, correlation.nugget * correction]
    return np.concatenate([weights, *parts], axis=-1).astype(np.float32)


def effects_at(posterior: Posterior, table: np.ndarray, by: str, towers: Iterable[KnownTower], years: np.ndarray | None) -> np.ndarray:
    """Effects of towers `[draw, tower, year]`; NaN in years that the fit or the tower does not know.

    Args:
        posterior: with its draws.
        table: effects of all places, or places and years, of the fit `[draw, row]`.
        by: `site` or `site_year`.
        towers: of the posterior.
        years: calendar years that are mapped; None for constant effects.
    """
    rows, of_fit = [posterior.places.index(tower.name) for tower in towers], posterior.indices.years
    if by == "site":
        return np.asarray(table, float)[:, rows, None]
    assert years is not None
    found = np.full((table.shape[0], len(rows), len(years)), np.nan)
    for number, (row, tower) in enumerate(zip(rows, towers, strict=True)):
        first, last = _measured(posterior.info, tower.name)
        for place, year in enumerate(years):
            if first <= year <= last and year in of_fit:
                found[:, number, place] = table[:, row * len(of_fit) + of_fit.index(int(year))]
    return found


def _measured(info: Mapping, name: str) -> tuple[int, int]:
    """First and last measured year of a place; none where they are not recorded."""
    first, last = info.get("places", {}).get(name, {}).get("years") or (1, 0)
    return first, last
