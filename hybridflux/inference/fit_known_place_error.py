"""How wrong the model still is at a place that it knows: the error that the discrepancy of other years leaves.

The record of each place is cut into blocks of years. The discrepancy of all other blocks (`fit_site_discrepancy`) predicts each of them;
what the mean of the draws gets wrong there is the error of the model in a year that it does not know, beside the spread of the draws
and the measuring error. Its hyperparameters are learned like those of the structural error at towers that were left out
(`error_hyperparameters`), with a wider prior, for NEE, GPP and RECO each; then the amplitude of each place from all its months. The
parameters of the model itself, of which a place has few, were fitted to all years: what they gain by that is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridflux.inference.error_hyperparameters import Effects, hyperparameters, summary_of
from hybridflux.inference.fit_months_together import amplitudes
from hybridflux.inference.mean_residuals import Record, means_of_places
from hybridflux.inference.month_covariance import MONTHS
from hybridflux.model import structural_error
from hybridflux.model.known_place_error import KnownPlaceError
from hybridflux.model.sequences import Sequences
from hybridflux.model.site_discrepancy import FLUXES, SiteDiscrepancy, features
from hybridflux.vocabulary import CARBON

if TYPE_CHECKING:
    from hybridflux.inference.fit_site_discrepancy import MeasuredPlace

PRIOR_TOWERS = 1.0
"""Towers that the prior is worth, which is that of places that nobody measured: at known ones the error is smaller, and nobody knows by how
much before."""
EVERY = 7
"""Of the days of a place one in as many is looked at for itself: they are thousands, and those of a week say nearly the same."""
_ORIGIN = {False: "none: the prior alone", True: "of years that the discrepancy left out"}


def learn(
    measured: Sequence[MeasuredPlace], whole: SiteDiscrepancy, left_out: Sequence[np.ndarray], sequences: Sequences, seed: int
) -> tuple[KnownPlaceError, dict]:
    """Draws of the error, and what is to be said of it, as JSON types.

    Args:
        measured: of the places.
        whole: discrepancy of all years.
        left_out: weights of the discrepancy of the years outside each block `[row, place, flux, feature]`.
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
    error, amplitude, summary = {}, {}, {}
    rng = np.random.default_rng(seed)
    for flux, rows in known.items():
        means = means_of_places(rows, EVERY) if rows else []
        weight = np.isin(np.arange(len(kinds)), [place for place, _ in rows]).astype(float)
        effects = Effects(*np.zeros((2, len(rows[0][1].slopes) if rows else 0)))
        worth = PRIOR_TOWERS if means else structural_error.PRIOR_TOWERS
        found = hyperparameters(means, weight, towers, effects, kinds, seed, worth, rounds=1)
        error[flux] = found.error
        summary[flux] = summary_of(found, weight, {"residuals": _ORIGIN[bool(means)]}, (), np.unique(kinds[weight > 0]))
        shares = rng.uniform(size=(len(found.log_sd), len(kinds)))
        months = means[MONTHS] if means else None
        amplitude[flux] = amplitudes(found.error, kinds, months, np.ones(len(effects.width)), shares).astype(np.float32)
    return KnownPlaceError(error, amplitude), summary


def _records(
    measured: Sequence[MeasuredPlace], whole: SiteDiscrepancy, left_out: Sequence[np.ndarray], sequences: Sequences
) -> Iterator[tuple[int, dict[str, Record]]]:
    """Each place with more than one block: of each flux that was measured there what was predicted from the other blocks."""
    for one in measured:
        blocks = [number for number, weeks in enumerate(one.without) if weeks is not None]
        if not blocks:
            continue
        of_days = features(sequences, one.place, whole.inputs, whole.frequency)[one.at]
        fluxes, known = one.modelled.copy(), np.isin(one.block, blocks)
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
