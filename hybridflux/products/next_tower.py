"""Where one more tower would tell most of a region: the expected sd of its total, given the fluxes of one pixel, from the draws alone.

With the region's NEE T and a tower's observations y of one pixel (NEE and GPP of the same period, with measuring errors), the draws of a
run as samples of a joint Gaussian have, whatever the tower will measure,

    var(T | y) = var(T) - c' (C + N)^-1 c,     c = cov(T, y),  C = cov(y),  N = diag(sd of measuring)^2.

Effects of places, the structural error, and shared parameters all act through the draws. R2 = 1 - var(T | y) / var(T) of a few draws is too
large by chance: it is adjusted for the two predictors, 1 - (1 - R2) (n - 1) / (n - 3), and not below zero.

Left out is what a tower teaches of the spread of populations and of how large the structural error is at places like it, which changes how
wide draws are and not where they lie. Fitted anew with such a tower (E25), the own pixel of the tower has the expected sd; the region and
its plant type get narrower than expected where the model is right at the tower, and would get wider where it is wrong.
The tower is one of the mapped period: another year of its ecosystem is known less well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.pixels_again import pixels_again
from hybridflux.products.totals import open_totals
from hybridflux.region.drivers.open import UNVEGETATED_CODES
from hybridflux.region.map import job_of_run
from hybridflux.region.spec import Job
from hybridflux.region.store import layout

FEWEST_DRAWS = 16
MEASURING = 1.0
"""Random error of a day of NEE at a tower, gC m-2 d-1: that of the prior of fits (`noise_floor`, `noise_slope`) at 4 gC m-2 d-1."""
MEASURED = 0.6
"""Share of the days of a period that a tower measures: assumed."""
PARTITIONING = 0.05
"""Standard deviation of a tower's sum of GPP, as a share of it: assumed, for the partitioning."""
COLUMNS = ("rank", "x", "y", "longitude", "latitude", "plant_type", "sd", "sd_with_tower", "reduction", "standard_error", "units")


def next_tower(
    run: str | Path, *, candidates: int = 50, seed: int = 0, progress: Callable[[int, int], None] = lambda done, total: None
) -> pd.DataFrame:
    """What a tower at each of some pixels would tell of the region's NEE over the mapped period.

    Args:
        run: finished run folder with `ZoneTotals`, whose region store is where it was.
        candidates: pixels with vegetation, at random.
        seed: of these.
        progress: called with (tiles done, all).

    Returns:
        One row a candidate, the best first, `COLUMNS`: `sd` of the region's NEE without and `sd_with_tower` with it [gC m-2 over the mapped
        period], `reduction` as a share of `sd`, and the standard error of that share, by the number of draws.

    Raises:
        FileNotFoundError: no run, or its region is not there.
        ValueError: the run has too few draws, or one candidate is not asked for.
    """
    job = job_of_run(Path(run))
    if candidates < 1:
        raise ValueError(f"candidates `{candidates}` is not a whole number from 1")
    if job.draws < FEWEST_DRAWS:
        raise ValueError(f"{run} has {job.draws} draws, and a covariance needs {FEWEST_DRAWS}; map with `--draws 64` or more")
    totals = open_totals(run).with_structural_error()
    months, everything = np.arange(len(totals.months)), np.arange(len(totals.area))
    region = totals.sum("NEE", everything, months) / totals.area.sum()
    zones, places = _chosen(job, candidates, seed)
    pixels = pixels_again(job, zones, {number: f"candidate {number}" for number in places}, progress).with_structural_error()
    rows = []
    for number, (x, y) in places.items():
        cell = np.flatnonzero(pixels.zone == f"candidate {number}")
        if not len(cell):
            continue  # masked: outside of the limits of the run, or without a driver
        nee, gpp = (pixels.sum(flux, cell, months) / pixels.area[cell].sum() for flux in ("NEE", "GPP"))
        share, error = expected(region, nee, gpp, int(totals.days.sum()))
        longitude, latitude = (float(one) for one in job.region.grid.lonlat(x, y))
        rows.append((x, y, longitude, latitude, str(pixels.land_cover[cell[0]]), share, error))
    sd = float(region.std(ddof=1))
    table = pd.DataFrame(rows, columns=["x", "y", "longitude", "latitude", "plant_type", "reduction", "standard_error"])
    table = table.sort_values(["reduction", "x", "y"], ascending=[False, True, True], ignore_index=True)
    table = table.assign(rank=np.arange(1, len(table) + 1), sd=sd, sd_with_tower=sd * (1.0 - table["reduction"]), units="gC m-2")
    return table[list(COLUMNS)]


def expected(total: np.ndarray, nee: np.ndarray, gpp: np.ndarray, days: int) -> tuple[float, float]:
    """`reduction` of the sd of a total by a tower.

    Args:
        total: of a region `[draw]`, gC m-2.
        nee: sum of the pixel of the tower over the period, with the structural error `[draw]`, gC m-2.
        gpp: the same of GPP.
        days: of the period.
    """
    return reduction(total, np.stack([nee, gpp]), np.array([MEASURING * (days / MEASURED) ** 0.5, PARTITIONING * gpp.mean()]))


def reduction(region: np.ndarray, observed: np.ndarray, measuring: float | np.ndarray) -> tuple[float, float]:
    """Share by which observations reduce the sd of a total, and its standard error.

    Args:
        region: of the total `[draw]`.
        observed: what the tower would see `[quantity, draw]`.
        measuring: sd of its errors, of each quantity or of all.

    >>> total = np.random.default_rng(0).normal(size=4000)
    >>> [round(one, 1) for one in reduction(total, np.stack([total, 0 * total]), 1.0)]
    [0.3, 0.0]
    """
    draws, quantities = len(region), len(observed)
    joint = np.cov(np.vstack([region, observed]))
    explained = joint[0, 1:] @ np.linalg.solve(joint[1:, 1:] + np.square(measuring) * np.eye(quantities), joint[1:, 0]) / joint[0, 0]
    adjusted = max(1.0 - (1.0 - explained) * (draws - 1) / (draws - 1 - quantities), 0.0)
    error = 2.0 * explained**0.5 * (1.0 - explained) / draws**0.5  # of R2 (Olkin & Finn 1995, 10.1037/0033-2909.118.1.155)
    left = float(1.0 - adjusted) ** 0.5
    return 1.0 - left, float(error / (2.0 * left))


def _chosen(job: Job, candidates: int, seed: int) -> tuple[list, dict[int, tuple[float, float]]]:
    """Tiles, each with the positions in the list of the candidates of its pixels, and position -> centre of the pixel [m]."""
    kinds, grid = job.region.group["plant_type"][...], job.region.grid
    inside = np.flatnonzero((kinds != layout.OUTSIDE) & ~np.isin(kinds, UNVEGETATED_CODES))
    picked = np.sort(np.random.default_rng(seed).choice(inside, min(candidates, len(inside)), replace=False))
    number = np.zeros(grid.shape, np.int32)
    number.reshape(-1)[picked] = np.arange(1, len(picked) + 1)
    row, column = np.divmod(picked, grid.shape[1])
    places = {at + 1: (float(grid.x[column[at]]), float(grid.y[row[at]])) for at in range(len(picked))}
    zones = [(tile, number[tile.y, tile.x].reshape(-1)) for tile in grid.tiles()]
    return [(tile, zone) for tile, zone in zones if zone.any()], places
