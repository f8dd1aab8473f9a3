"""What GPP and RECO have wrong in common at places that were not fitted, from residuals of left-out towers (`model.gross_error`).

The weighted mean (1 - w) GPP + w RECO of a tower has no part in the error of NEE that is shared out between the two: its residuals are
those of the gross error, and give its hyperparameters as those of NEE give the structural error (`fit_structural_error`,
`error_hyperparameters`). The odds of w are those at which monthly and annual residuals of this mean and of NEE do not correlate, each
tower the same, pulled towards the sizes of GPP and RECO by as many towers as the prior is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import ArrayLike
from scipy.optimize import brentq

from hybridflux.inference.error_hyperparameters import Effects, hyperparameters, summary_of
from hybridflux.inference.fit_known_place_error import EVERY
from hybridflux.inference.fit_structural_error import ORIGIN, TWICE, beside, evidence
from hybridflux.inference.mean_residuals import Judged, Record, departures_at_centre, judged, means_of_places, site_populations
from hybridflux.inference.measuring_error import measuring_error
from hybridflux.inference.posterior import Posterior
from hybridflux.model.gross_error import GrossError, share_of_gpp
from hybridflux.model.learned import learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.structural_error import PRIOR_TOWERS

PERIOD_DAYS, LEAST = (365 / 12, 365.0), (15, 200)
"""Periods whose residuals give the odds, and measured days that one needs."""
LOG_ODDS = (-3.0, 3.0)


def of_posterior(posterior: Posterior, sequences: Sequences) -> tuple[GrossError | None, dict | None]:
    """The gross error, and what is to be said of it, as JSON types; None where GPP and RECO were not both measured beside NEE.

    Args:
        posterior: of the fit, with its structural error. Where draws left towers out, the residuals of a tower are those of one that
            did; of a stacked posterior both kinds are used in their shares (`mean_residuals.evaluation_draws`), as in its predictions.
        sequences: of the fit.
    """
    if posterior.structure is None or not {"nee", "gpp", "reco"} <= set(sequences.targets):
        return None, None
    model, left_out = posterior.model, posterior.left_out
    weight, enlarged = evidence(model, sequences, left_out)
    every = list(judged(model, sequences, left_out)) if weight.any() else []
    weight = weight * np.isin(np.arange(len(weight)), [one.place for one in every])
    odds = odds_of(every)
    apart = departures_at_centre(model, sequences, lambda of: gross_of(of, of, odds)) if every else np.zeros((0, 0, 0))
    records = [(one.place, beside(of_gross(one, odds), apart[..., one.place])) for one in every]
    means = [one._replace(residual=enlarged * one.residual) for one in means_of_places(records, EVERY)] if records else []
    spreads = [0.5 * float(np.median(learned(model)[one.sd])) for one in site_populations(model)]
    effects = Effects(np.r_[spreads, np.full(len(apart), 0.5 * np.log(TWICE))], np.zeros(len(spreads) + len(apart)))
    measured = np.isfinite(sequences.targets["gpp"] + sequences.targets["reco"]).any(axis=0)
    measuring, kinds = measuring_error([record for _, record in records]), sequences.plant_types
    found = hyperparameters(means, weight * measured, int(measured.sum()), effects, kinds, posterior.info["seed"], measuring=measuring)
    about = {"residuals": ORIGIN[left_out is None] if means else "none: the prior alone", "odds_of_gpp": round(odds, 3)}
    if not sequences.has_plant_types:
        return GrossError(found.error.of_one_kind(), odds), summary_of(found, weight * measured, about, (), None)
    return GrossError(found.error, odds), summary_of(found, weight * measured, about, (), np.unique(kinds[measured]))


def gross_of(of: Mapping[str, ArrayLike], modelled: Mapping[str, ArrayLike], odds: float):
    """(1 - w) GPP + w RECO of some fluxes or slopes, with the w of modelled ones; numpy or jax."""
    share = share_of_gpp(modelled["gpp"], modelled["reco"], odds)
    return (1.0 - share) * of["gpp"] + share * of["reco"]


def of_gross(one: Judged, odds: float) -> Record:
    """The record of the gross fluxes of a place, on days on which both were measured."""
    activity = 0.5 * (one.modelled["gpp"] + one.modelled["reco"])
    observed, modelled, slopes = (gross_of(of, one.modelled, odds) for of in (one.observed, one.modelled, one.slopes))
    return Record(observed, modelled, activity, slopes, 0.0 * one.known)


def odds_of(every: Sequence[Judged]) -> float:
    """Odds of GPP at which residuals of the gross fluxes and of NEE do not correlate, with the prior.

    Args:
        every: the places.
    """
    rows, towers = [], 0
    for one in every:
        of_place = list(_periods(one))
        towers += bool(of_place)
        rows += [(*period, 1.0 / len(of_place)) for period in of_place]
    if not rows:
        return 1.0
    nee, gpp, reco, of_gpp, of_reco, weight = np.transpose(rows)

    def together(log_odds: float) -> float:
        share = share_of_gpp(of_gpp, of_reco, np.exp(log_odds))
        return float(np.sum(weight * nee * ((1.0 - share) * gpp + share * reco)))

    low, high = (together(end) for end in LOG_ODDS)
    best = brentq(together, *LOG_ODDS) if low < 0.0 < high else LOG_ODDS[int(high <= 0.0)]
    return float(np.exp(best * towers / (towers + PRIOR_TOWERS)))


def _periods(one: Judged) -> Iterator[np.ndarray]:
    """Mean residuals of NEE, GPP and RECO of the months and years of a place, and mean modelled GPP and RECO."""
    residual = np.stack([one.observed[name] - one.modelled[name] for name in ("nee", "gpp", "reco")])
    seen = np.flatnonzero(np.isfinite(residual).all(axis=0))
    values = np.concatenate([residual, np.stack([one.modelled[name] for name in ("gpp", "reco")])])[:, seen]
    for length, least in zip(PERIOD_DAYS, LEAST, strict=True):
        number, group, count = np.unique((seen / length).astype(int), return_inverse=True, return_counts=True)
        means = np.stack([np.bincount(group, row, len(number)) / count for row in values])
        yield from means[:, count >= least].T
