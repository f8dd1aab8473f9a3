"""Bayesian stacking: how many draws of each kind, by how well each predicts towers that its members have not seen.

Every tower was left out by one member of each kind. The shares maximise the log predictive density of the mixture of both at these
towers (Yao et al. 2018, 10.1214/17-BA1091), each tower counting as one, whatever its days: residuals of days, weeks, months, years and
records, as the structural error has them. Shares of plant types are partially pooled (hierarchical stacking: Yao et al. 2022,
10.1214/21-BA1287) about equal shares, which estimated ones seldom beat where towers are few (Smith & Wallis 2009,
10.1111/j.1468-0084.2008.00541.x).

Then the structural error of each kind is learned again, because a prediction has the draws of both: what the kinds differ by is in their
spread, and counts once (`fit_structural_error`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, ndtri

from hybridflux.inference.fit_structural_error import Densities, Learned, learn
from hybridflux.inference.posterior import Posterior
from hybridflux.model.learned import with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.model.stacked import KIND, KINDS, NETWORK, Stacked, shares_by_type
from hybridflux.model.structural_error import StructuralError
from hybridflux.provenance import provenance
from hybridflux.vocabulary import PLANT_TYPES

CENTRE_SD, TYPE_SD = 0.5, 0.25  # prior of the logit of the share (0.27 to 0.73 in 95 %), and of what plant types differ by
FARTHEST = 50.0  # log densities apart; beyond, a tower says no more
FEWEST_TOWERS = 5  # below, equal shares
REPEATED, MOST_REPEATED = 4, 32  # draws of a member, and members up to which there are so many: shares in steps of a few per cent


def shares(process: np.ndarray, network: np.ndarray, weight: np.ndarray, plant_type: np.ndarray) -> np.ndarray:
    """Share of networks `[plant_type]` that predicts best, and a share for plant types without towers: the centre of all.

    Args:
        process: log predictive density of process members `[row]`.
        network: the same of networks.
        weight: what a row counts; one for a tower seen for a year or more.
        plant_type: index of the plant type of a row.
    """
    gain = np.expm1(np.clip(network - process, -FARTHEST, FARTHEST))
    width = np.r_[CENTRE_SD, np.full(len(PLANT_TYPES), TYPE_SD)]

    def misfit(at):
        share = expit(at[0] + at[1:])
        mixed = 1.0 + share[plant_type] * gain
        slope = np.bincount(plant_type, weight * gain / mixed, len(PLANT_TYPES)) * share * (1.0 - share)
        return 0.5 * np.sum((at / width) ** 2) - np.sum(weight * np.log(mixed)), at / width**2 - np.r_[slope.sum(), slope]

    best = minimize(misfit, np.zeros(len(width)), jac=True, method="L-BFGS-B").x
    return expit(best[0] + best[1:])


def stack(found: Mapping[str, tuple[Posterior, Learned]], sequences: Sequences, seed: int) -> Posterior:
    """One posterior of both kinds.

    Args:
        found: kind -> its posterior, and how well it predicted towers that its draws left out.
        sequences: of the fit.
        seed: of the fit.
    """
    process, network = (found[kind][0] for kind in KINDS)
    plant_types = np.asarray(sequences.drivers["plant_type"], int)
    share, about = _shares([found[kind][1].unseen for kind in KINDS], plant_types)
    members, kind = _members(process.draws, network.draws)
    model = Stacked(process.pick(members % process.draws).model, network.pick(members % network.draws).model, share)
    model = with_learned(model, {f"sources.{KIND.name}.z": jnp.asarray(ndtri(kind), jnp.float32)})
    present = [code for at, code in enumerate(PLANT_TYPES) if at in plant_types]
    about["share_of_networks"] = shares_by_type(model, present)
    overall = float(share[plant_types].mean())
    again = {one: learn(posterior.model, sequences, posterior.left_out, seed, model) for one, (posterior, _) in found.items()}
    without = {one: _without_of_kind(posterior, members) for one, posterior in zip(KINDS, (process, network), strict=True)}
    info: dict[str, Any] = {
        **process.info,
        "observed_days": {**network.info["observed_days"], **process.info["observed_days"]},
        "places": _joined_places(process.info["places"], network.info["places"]),
        **{name: {**network.info[name], **process.info[name]} for name in ("sensors", "ranges")},
        "concerns": [f"{kind} members: {text}" for kind in KINDS for text in found[kind][0].info["concerns"]],
        "diagnostics": {kind: found[kind][0].info["diagnostics"] for kind in KINDS},
        "draws_without": _draws_without(without, kind[:, None] < share[plant_types], process.places),
        "draws_without_of_kinds": without,
        "structural_error": again[KINDS[0]].summary,
        "structural_error_of_networks": again[NETWORK].summary,
        "seconds": round(process.info["seconds"] + network.info["seconds"], 2),
        "stacking": about,
    }
    beside = {name: network.info[name] for name in ("towers_beside",) if name in network.info}
    info |= beside
    config = {"method": info["method"], **info["settings"], "model": to_spec(model), **beside}
    info["provenance"] = provenance(config, seed, {"sequences": sequences})
    return replace(
        process, model=model, info=info, chains=process.chains if len(members) % process.chains == 0 else 1,
        stats={name: values[members % process.draws] for name, values in process.stats.items()},
        observed={**network.observed, **process.observed}, structure=_either(again[KINDS[0]].error, again[NETWORK].error, overall),
    )  # fmt: skip


def _shares(unseen: list[Densities | None], plant_types: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Shares, and what they rest on."""
    process, network = unseen
    if process is None or network is None or len(np.unique(process.place)) < FEWEST_TOWERS:
        why = f"equal: fewer than {FEWEST_TOWERS} towers, or none that members left out (an ensemble of four or more leaves each out)"
        return np.full(len(PLANT_TYPES), 0.5), {"from": why, "towers": 0}
    of_row = plant_types[process.place]
    share = shares(process.log_density, network.log_density, process.weight, of_row)
    apart = np.clip(network.log_density - process.log_density, -FARTHEST, FARTHEST)
    towers = len(np.unique(process.place))
    score = {
        name: round(float(np.sum(process.weight * np.log1p(of * np.expm1(apart))) / towers), 4)
        for name, of in (("networks", 1.0), ("equal_shares", 0.5), ("these_shares", share[of_row]))
    }
    about = {"from": "predictive density at towers that members have not seen", "towers": towers, "gain_over_process_members": score}
    return share, about


def _members(process: int, network: int) -> tuple[np.ndarray, np.ndarray]:
    """Member of each draw, and the quantile that decides its kind, evenly spread.

    Members take turns along the quantiles, so that whatever the share, all members of a kind are among its draws equally often.

    >>> [row.tolist() for row in _members(2, 2)]
    [[0, 0, 0, 0, 1, 1, 1, 1], [0.0625, 0.3125, 0.5625, 0.8125, 0.1875, 0.4375, 0.6875, 0.9375]]
    """
    members = max(process, network)
    each = REPEATED if members <= MOST_REPEATED else 1
    turn = np.arange(each)[None, :] * members + np.arange(members)[:, None]
    return np.repeat(np.arange(members), each), (turn.ravel() + 0.5) / (each * members)


def _joined_places(process: Mapping[str, dict], network: Mapping[str, dict]) -> dict[str, dict]:
    """Places with the measured days of the targets of both kinds."""
    return {place: row | {"days": {**network[place]["days"], **row["days"]}} for place, row in process.items()}


def _without_of_kind(posterior: Posterior, members: np.ndarray) -> dict[str, list[int]]:
    """Place -> numbers of the draws of a stacked posterior, were all of one kind, that were not fitted to it."""
    numbers = members % posterior.draws
    return {place: np.flatnonzero(np.isin(numbers, draws)).tolist() for place, draws in posterior.info["draws_without"].items()}


def _draws_without(
    of_kinds: Mapping[str, Mapping[str, list[int]]], of_network: np.ndarray, places: Sequence[str]
) -> dict[str, list[int]]:
    """Place -> numbers of the draws whose kind there was not fitted to it; of_network `[draw, place]`, whether that is the network."""
    process, network = (of_kinds[kind] for kind in KINDS)
    found, draws = {}, np.arange(len(of_network))
    for at, place in enumerate(places if process else ()):
        away = [np.isin(draws, of.get(place, [])) for of in (process, network)]
        found[place] = np.flatnonzero(np.where(of_network[:, at], away[1], away[0])).tolist()
    return found


def _either(process: StructuralError, network: StructuralError, share: float) -> StructuralError:
    """Draws of the structural errors of both kinds, as many of each as their shares, in turn."""
    count = len(np.asarray(next(iter(process.raw.values()))))
    turn = np.floor((np.arange(count) + 1) * share) > np.floor(np.arange(count) * share)
    turns = {name: turn.reshape(-1, *[1] * (np.ndim(one) - 1)) for name, one in process.raw.items()}
    return StructuralError({name: jnp.where(turns[name], network.raw[name], one) for name, one in process.raw.items()})
