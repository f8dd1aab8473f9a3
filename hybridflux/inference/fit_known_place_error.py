"""How wrong the model still is at a place that it knows: the error that the discrepancy of other years leaves.

The record of each place is cut into blocks of years. The discrepancy of all other blocks (`fit_site_discrepancy`) predicts each of them;
what the mean of the draws gets wrong there is the error of the model in a year that it does not know, beside the measuring error, which
successive days give (`measuring_error`), and that part of the departures of the draws from their mean which the months of left-out years
ask for (`departures`). Its hyperparameters are learned like those of the structural error at towers that were left out
(`error_hyperparameters`), with a wider prior, for NEE, GPP and RECO each; then the amplitude of each place from all its months. The
parameters of the model itself, of which a place has few, were fitted to all years: what they gain by that is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from hybridflux.inference.error_hyperparameters import Effects, hyperparameters, summary_of
from hybridflux.inference.fit_months_together import FINE, SPREAD, amplitudes, evidence
from hybridflux.inference.mean_residuals import Means, Record, means_of_places
from hybridflux.inference.measuring_error import measuring_error
from hybridflux.inference.month_covariance import MONTHS
from hybridflux.inference.plant_type_error import LEVELS, log_prior, log_sum
from hybridflux.model import structural_error
from hybridflux.model.known_place_error import KnownPlaceError
from hybridflux.model.sequences import Sequences
from hybridflux.model.site_discrepancy import FLUXES, SiteDiscrepancy, features
from hybridflux.model.structural_error import StructuralError, prior_level
from hybridflux.vocabulary import CARBON

if TYPE_CHECKING:
    from hybridflux.inference.fit_site_discrepancy import MeasuredPlace

PRIOR_TOWERS = 1.0
"""Towers that the prior is worth, which is that of places that nobody measured: at known ones the error is smaller, and nobody knows by how
much before."""
EVERY = 7
"""Of the days of a place one in as many is looked at for itself: they are thousands, and those of a week say nearly the same."""
LOG_KEPT, KEPT_SD = np.linspace(np.log(0.05), 0.0, 11), 1.0
"""Logarithms of the part of a departure that draws keep, at which the likelihood is found, and the width of their prior about all of it."""
_ORIGIN = {False: "none: the prior alone", True: "of years that the discrepancy left out"}


def learn(
    measured: Sequence[MeasuredPlace], whole: SiteDiscrepancy, left_out: Sequence[np.ndarray], sequences: Sequences, seed: int
) -> tuple[KnownPlaceError, dict]:
    """Draws of the error, and what is to be said of it, as JSON types.

    Args:
        measured: of the places.
        whole: discrepancy of all years.
        left_out: weights of the discrepancy of the years outside each block `[row, place, flux, feature]`, of each row of the places one or
            more, in turn.
        sequences: of the fit.
        seed: of the draws.
    """
    towers = int(np.isfinite(np.stack([sequences.targets[name] for name in FLUXES])).any(axis=(0, 1)).sum())
    return of_records(list(_records(measured, whole, left_out, sequences)), towers, sequences.plant_types, seed)


def of_records(
    records: Sequence[tuple[int, Mapping[str, Record]]], towers: int, kinds: np.ndarray, seed: int
) -> tuple[KnownPlaceError, dict]:
    """Draws of the error, and what is to be said of it, from what was predicted of years that were left out.

    Args:
        records: number of a place, and its fluxes.
        towers: to which the centre of the model was fitted.
        kinds: plant types of all places, indices into PLANT_TYPES.
        seed: of the draws.
    """
    known = {name: [(place, of[name]) for place, of in records if name in of] for name in CARBON}
    error, amplitude, departure, summary = {}, {}, {}, {}
    rng = np.random.default_rng(seed)
    for flux, rows in known.items():
        means = means_of_places(rows, EVERY) if rows else []
        weight = np.isin(np.arange(len(kinds)), [place for place, _ in rows]).astype(float)
        effects = Effects(*np.zeros((2, len(rows[0][1].slopes) if rows else 0)))
        worth, measuring = PRIOR_TOWERS if means else structural_error.PRIOR_TOWERS, measuring_error([one for _, one in rows])
        found = hyperparameters(means, weight, towers, effects, kinds, seed, worth, rounds=1, measuring=measuring)
        kept = np.ones(len(found.log_sd))
        if means:  # what is kept hardly depends on the error beside it (.44 beside what is learned with all of it, .40 with .44 of it)
            kept = departures(found.error, means[MONTHS], kinds, (rng.permutation(len(kept)) + 0.5) / len(kept))
            means = [one._replace(slope=np.float32(np.median(kept)) * one.slope) for one in means]
            found = hyperparameters(means, weight, towers, effects, kinds, seed, worth, rounds=1, measuring=measuring)
        error[flux], departure[flux] = found.error, kept.astype(np.float32)
        of_kept = [round(float(q), 4) for q in np.quantile(kept, (0.5, 0.05, 0.95))]
        about = {"residuals": _ORIGIN[bool(means)], "kept_of_departures": of_kept}
        summary[flux] = summary_of(found, weight, about, (), np.unique(kinds[weight > 0]))
        shares = rng.uniform(size=(len(found.log_sd), len(kinds)))
        months = means[MONTHS] if means else None
        amplitude[flux] = amplitudes(found.error, kinds, months, np.ones(len(effects.width)), shares).astype(np.float32)
    return KnownPlaceError(error, amplitude, departure), summary


def departures(error: StructuralError, months: Means, kinds: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What draws of a place keep of their departures from their mean, by the likelihood of the months of left-out years `[draw]`.

    Args:
        error: hyperparameters, whose medians are taken, learned with all of the departures.
        months: mean residuals; their slopes have the covariance of the departures.
        kinds: plant types of all places, indices into PLANT_TYPES.
        shares: uniform random numbers: the shares of the posterior below the draws `[draw]`.
    """
    of_types = {kind: {name: float(np.median(one)) for name, one in error.of_type(int(kind)).items()} for kind in np.unique(kinds)}
    spread = float(np.median(error.values()[SPREAD]))
    levels, of_level = np.broadcast_to(LEVELS, (len(kinds), len(LEVELS))), log_prior(LEVELS, prior_level(spread, 0.0), spread)
    cases, density = [[of_types[kind]] for kind in kinds], -0.5 * (LOG_KEPT / KEPT_SD) ** 2
    for at, kept in enumerate(np.exp(LOG_KEPT)):
        found = evidence(cases, months, np.full(len(months.slope), kept**2), levels, np.array([spread]))[:, 0, 0]
        density[at] += sum(log_sum(found[kinds == kind].sum(axis=0) + of_level) for kind in of_types)
    fine = np.linspace(LOG_KEPT[0], LOG_KEPT[-1], FINE)
    density = CubicSpline(LOG_KEPT, density)(fine)
    weight = np.exp(density - density.max())
    return np.exp(np.interp(shares * weight.sum(), np.cumsum(weight) - 0.5 * weight, fine))


def _records(
    measured: Sequence[MeasuredPlace], whole: SiteDiscrepancy, left_out: Sequence[np.ndarray], sequences: Sequences
) -> Iterator[tuple[int, dict[str, Record]]]:
    """Each place with more than one block: of each flux that was measured there what was predicted from the other blocks."""
    for one in measured:
        blocks = [number for number, weeks in enumerate(one.without) if weeks is not None]
        if not blocks:
            continue
        of_days = features(sequences, one.place, whole.inputs, whole.frequency)[one.at]
        fluxes, known = np.tile(one.modelled, (len(left_out[0]) // len(one.modelled), 1, 1)), np.isin(one.block, blocks)
        for number in blocks:
            inside = one.block == number
            fluxes[:, inside] += np.einsum("tk,dfk->dtf", of_days[inside], left_out[number][:, one.place])
        gpp, reco = np.moveaxis(np.maximum(fluxes, 0.0), -1, 0)
        activity, found = 0.5 * (gpp + reco).mean(axis=0), {}
        for name, drawn in (("nee", reco - gpp), ("gpp", gpp), ("reco", reco)):
            if name in sequences.targets:
                observed = sequences.targets[name][one.at, one.place]
                sd = np.nan_to_num(np.broadcast_to(sequences.uncertainty.get(name, 0.0), sequences.targets[name].shape)[one.at, one.place])
                found[name] = _record(np.where(known, observed, np.nan), drawn, activity, sd, one.at, len(sequences.days))
        yield one.place, found


def _record(observed: np.ndarray, drawn: np.ndarray, activity: np.ndarray, known: np.ndarray, at: np.ndarray, days: int) -> Record:
    """A flux on some days; the departures of the draws from their mean have its covariance."""
    mean = drawn.mean(axis=0)
    slopes = (drawn - mean) / max(len(drawn) - 1, 1) ** 0.5
    every = np.full((4 + len(drawn), days), np.nan, np.float32)
    every[:, at] = np.stack([observed, mean, activity, known, *slopes])
    return Record(every[0], every[1], every[2], every[4:], every[3])
