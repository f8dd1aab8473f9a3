"""The discrepancy of each place of a fit, from weekly residuals of GPP and RECO: exact draws of a Gaussian linear model.

A week's mean residual is the discrepancy at the mean features of its measured days, plus what no input says: an error with a memory of
weeks, one of a year and one of the week alone, in fixed proportions (chosen on years left out inside the training data of E03 and E04).
How large the discrepancy is beside these errors, and how large they are, is found for each flux and plant type by the marginal likelihood
of its weeks, about a prior. Where residuals are nothing but errors, the discrepancy vanishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from hybridflux.inference import fit_known_place_error
from hybridflux.inference.tower_residuals import AT_ONCE, kept_and_rows
from hybridflux.model.sequences import Sequences
from hybridflux.model.site_discrepancy import FLUXES, FREQUENCIES, INPUTS, SiteDiscrepancy, features, frequencies
from hybridflux.vocabulary import CARBON

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
BLOCKS = 3
"""Parts of the record of a place, each of which is left out once to see what the discrepancy of the others leaves."""
FEWEST_DRAWS = 64
"""Of the discrepancy of the other parts. (What is kept of departures that 8 draws have is found by half too small, of 64 by a tenth.)"""


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


class MeasuredPlace(NamedTuple):
    """What was measured at a place, beside what the draws have there.

    Attributes:
        place: number of the place.
        at: numbers of the days on which a flux was measured and the inputs are known `[day]`.
        modelled: GPP and RECO on these `[row, day, flux]`.
        block: of these, numbered parts of the record; -1 where all of it is in one year `[day]`.
        weeks: of all measured days.
        without: of the days outside each block; None where these are too few.
    """

    place: int
    at: np.ndarray
    modelled: np.ndarray
    block: np.ndarray
    weeks: Weeks
    without: tuple[Weeks | None, ...]


def of_posterior(posterior: Posterior, sequences: Sequences, seed: int = 0) -> tuple[SiteDiscrepancy | None, dict | None]:
    """The discrepancy at the places of a fit, with the error that is left there, and what is to be said of that error, as JSON types.

    None where GPP and RECO were not measured or the plant types are unknown.

    Args:
        posterior: of the fit.
        sequences: of the fit.
        seed: of the draws.
    """
    if "plant_type" not in sequences.drivers or any(name not in sequences.targets for name in FLUXES):
        return None, None
    needs = posterior.model.needs_at_towers()
    inputs = tuple(name for name in INPUTS if name in needs)
    frequency, (kept, row) = frequencies(inputs), kept_and_rows(posterior.model, sequences.plant_types)
    measured = list(_measured(posterior.pick(kept), sequences, inputs, frequency))
    plant_type, places = np.asarray(sequences.drivers["plant_type"], int), len(sequences.places)
    weight = draw_weights([one.weeks for one in measured], plant_type, places, len(kept), seed)
    found = SiteDiscrepancy(inputs, frequency, weight, row)
    times, left_out = -(-FEWEST_DRAWS // len(kept)), []
    for block in range(BLOCKS):
        rest = [weeks for one in measured for weeks in one.without[block : block + 1] if weeks is not None]
        seeds = range(seed + 1 + block, seed + 1 + BLOCKS * times, BLOCKS)
        left_out.append(np.concatenate([draw_weights(rest, plant_type, places, len(kept), one) for one in seeds]))
    error, summary = fit_known_place_error.learn(measured, found, left_out, sequences, seed)
    return replace(found, error=error), summary


def _measured(posterior: Posterior, sequences: Sequences, inputs: tuple[str, ...], frequency: np.ndarray) -> Iterator[MeasuredPlace]:
    """Each place with enough weeks; all draws of the posterior are rows."""
    step = max(AT_ONCE // (posterior.draws * len(sequences.days)), 1)
    for start in range(0, len(sequences.places), step):
        here = sequences.select(sequences.places[start : start + step])
        fluxes = {name: np.asarray(values) for name, values in posterior.simulate(here, key=jax.random.key(0)).items()}
        for at in range(len(here.places)):
            modelled = np.stack([fluxes[name][:, :, at] for name in FLUXES], axis=-1)
            residual = np.stack([here.targets[name][:, at] for name in FLUXES], axis=-1) - modelled
            of_days = features(here, at, inputs, frequency)
            weeks = weeks_of(start + at, residual, here.days, of_days)
            if weeks is None:
                continue
            observed = np.any([np.isfinite(here.targets[name][:, at]) for name in CARBON if name in here.targets], axis=0)
            seen = np.flatnonzero(observed & np.isfinite(of_days).all(axis=1) & np.isfinite(modelled).all(axis=(0, 2)))
            block, without = blocks_of(here.days[seen]), []
            for number in range(block.max() + 1):
                rest = residual.copy()
                rest[:, seen[block == number]] = np.nan
                without.append(weeks_of(start + at, rest, here.days, of_days))
            yield MeasuredPlace(start + at, seen, modelled[:, seen], block, weeks, tuple(without))


def blocks_of(days: np.ndarray) -> np.ndarray:
    """Parts of a record `[day]`: its years, one after the other, in `BLOCKS` parts or one each; -1 of a record of one year.

    >>> blocks_of(np.array(["2001-05-01", "2001-06-01", "2003-05-01", "2004-05-01", "2007-05-01"], "datetime64[D]")).tolist()
    [0, 0, 0, 1, 2]
    """
    years, number = np.unique(days.astype("datetime64[Y]"), return_inverse=True)
    parts = np.array_split(np.arange(len(years)), min(BLOCKS, len(years)))
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])[number] if len(parts) > 1 else np.full(len(days), -1)


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
