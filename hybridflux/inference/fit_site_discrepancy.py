"""The discrepancy of each place of a fit, from weekly residuals of GPP and RECO: exact draws of a Gaussian linear model.

A week's mean residual is the discrepancy at the mean features of its measured days, plus what no input says: an error with a memory of
weeks, one of a year and one of the week alone, in fixed proportions (chosen on years left out inside the training data of E03 and E04).
How large the discrepancy is beside these errors, and how large they are, is found for each flux and plant type by the marginal likelihood
of its weeks, about a prior. Where residuals are nothing but errors, the discrepancy vanishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from hybridflux.inference.tower_residuals import AT_ONCE, kept_draws
from hybridflux.model.sequences import Sequences
from hybridflux.model.site_discrepancy import FLUXES, FREQUENCIES, INPUTS, SiteDiscrepancy, features, frequencies

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

WEEK_DAYS = 7
LEAST_DAYS, LEAST_WEEKS = 3, 20
"""Measured days that a week needs, and weeks that a place needs."""
MEMORY_DAYS, YEAR_DAYS = 40.0, 365.0
WEEKS, YEARS, ALONE = 0.75, 0.3, 0.4
"""Standard deviations of the errors of a week in units of their common size: of weeks, of a year, and of a whole week alone."""
AMPLITUDES = np.geomspace(0.02, 2.0, 41)
TYPICAL, SPREAD = 0.7, 0.5
"""Prior of the amplitude of the discrepancy in the same units: median and standard deviation of its logarithm."""


class Weeks(NamedTuple):
    """What the weeks of a place say, in coordinates in which their errors are independent and of equal size.

    Attributes:
        place: number of the place.
        gain: singular values of the features `[direction]`.
        direction: of the features `[direction, feature]`.
        along: residuals along the directions `[direction, row, flux]`.
        rest: sum of squares of the mean residual of all rows, off the directions `[flux]`.
        weeks: how many.
    """

    place: int
    gain: np.ndarray
    direction: np.ndarray
    along: np.ndarray
    rest: np.ndarray
    weeks: int


def of_posterior(posterior: Posterior, sequences: Sequences, seed: int = 0) -> SiteDiscrepancy | None:
    """The discrepancy at the places of a fit; None where GPP and RECO were not measured or the plant types are unknown.

    Args:
        posterior: of the fit.
        sequences: of the fit.
        seed: of the draws.
    """
    if "plant_type" not in sequences.drivers or any(name not in sequences.targets for name in FLUXES):
        return None
    needs = posterior.model.needs_at_towers()
    inputs = tuple(name for name in INPUTS if name in needs)
    frequency, kept = frequencies(inputs), kept_draws(posterior.draws)
    few, step = posterior.pick(kept), max(AT_ONCE // (len(kept) * len(sequences.days)), 1)
    weeks = []
    for start in range(0, len(sequences.places), step):
        here = sequences.select(sequences.places[start : start + step])
        fluxes = {name: np.asarray(values) for name, values in few.simulate(here, key=jax.random.key(0)).items()}
        for at in range(len(here.places)):
            residual = np.stack([here.targets[name][:, at] - fluxes[name][:, :, at] for name in FLUXES], axis=-1)
            found = weeks_of(start + at, residual, here.days, features(here, at, inputs, frequency))
            weeks += [] if found is None else [found]
    weight = draw_weights(weeks, np.asarray(sequences.drivers["plant_type"], int), len(sequences.places), len(kept), seed)
    row = np.abs(np.arange(posterior.draws)[:, None] - kept).argmin(1).astype(np.int32)
    return SiteDiscrepancy(inputs, frequency, weight, row)


def weeks_of(place: int, residual: np.ndarray, days: np.ndarray, of_days: np.ndarray) -> Weeks | None:
    """The weeks of a place; None where there are too few.

    Args:
        place: its number.
        residual: observed - modelled `[row, time, flux]`, NaN where a flux was not measured.
        days: `datetime64[D]` `[time]`.
        of_days: features `[time, feature]`.
    """
    seen = np.flatnonzero(np.isfinite(residual).all(axis=(0, 2)) & np.isfinite(of_days).all(axis=1))
    week, group, count = np.unique(days[seen].astype("datetime64[D]").astype(int) // WEEK_DAYS, return_inverse=True, return_counts=True)
    kept = count >= LEAST_DAYS
    if kept.sum() < LEAST_WEEKS:
        return None
    mean = np.zeros((len(week), len(seen)))
    mean[group, np.arange(len(seen))] = 1.0 / count[group]
    mean = mean[kept]
    apart = WEEK_DAYS * np.abs(week[kept][:, None] - week[kept])
    error = WEEKS**2 * np.exp(-apart / MEMORY_DAYS) + YEARS**2 * np.exp(-apart / YEAR_DAYS)
    root = np.linalg.cholesky(error + np.diag(ALONE**2 * WEEK_DAYS / count[kept]))
    left, gain, direction = np.linalg.svd(np.linalg.solve(root, mean @ of_days[seen]), full_matrices=False)
    rows = np.moveaxis(mean @ residual[:, seen], 0, 1)
    white = np.linalg.solve(root, rows.reshape(len(rows), -1)).reshape(rows.shape)
    along = np.einsum("wk,wrf->krf", left, white)
    rest = np.sum(white.mean(1) ** 2, axis=0) - np.sum(along.mean(1) ** 2, axis=0)
    return Weeks(place, gain, direction, along, np.maximum(rest, 0.0), len(mean))


def amplitude(weeks: list[Weeks], flux: int) -> tuple[float, float]:
    """Amplitude of the discrepancy in units of the size of the errors, and this size [gC m-2 d-1], most likely for some places."""
    count, best = sum(one.weeks for one in weeks), (-np.inf, 0.0, 0.0)
    for a in AMPLITUDES:
        size_sq, spread = 0.0, 0.0
        for one in weeks:
            wide = 1.0 + (a * one.gain) ** 2
            size_sq += (one.rest[flux] + np.sum(one.along.mean(1)[:, flux] ** 2 / wide)) / count
            spread += np.sum(np.log(wide))
        size_sq = max(size_sq, 1e-12)
        score = -0.5 * (count * np.log(size_sq) + spread) - 0.5 * (np.log(a / TYPICAL) / SPREAD) ** 2
        best = max(best, (score, float(a), size_sq**0.5))
    return best[1:]


def draw_weights(weeks: list[Weeks], plant_type: np.ndarray, places: int, rows: int, seed: int) -> np.ndarray:
    """Draws of the weights of all places `[row, place, flux, feature]`, of each row given its own residuals; of one row their mean."""
    weight, rng = np.zeros((rows, places, len(FLUXES), 2 * FREQUENCIES), np.float32), np.random.default_rng(seed)
    for kind in np.unique(plant_type):
        here = [one for one in weeks if plant_type[one.place] == kind]
        for flux in range(len(FLUXES)) if here else ():
            a, size = amplitude(here, flux)
            for one in here:
                wide = 1.0 + (a * one.gain) ** 2
                mean = (a**2 * one.gain / wide)[:, None] * one.along[:, :, flux]
                unit = rng.standard_normal((rows, 2 * FREQUENCIES))
                unit = (unit - unit.mean(0)) * (rows / max(rows - 1, 1)) ** 0.5  # the mean of few draws is the mean of all
                narrowed = (unit @ one.direction.T) * (1.0 - wide**-0.5)
                weight[:, one.place, flux] = mean.T @ one.direction + a * size * (unit - narrowed @ one.direction)
    return weight
