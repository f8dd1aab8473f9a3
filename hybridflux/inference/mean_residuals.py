"""Mean residuals of towers over days, weeks, months, years and records, and their differences between years."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.inference.batch import names_of
from hybridflux.inference.tower_residuals import kept_draws
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, physics_effects, populations, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Population
from hybridflux.model.stacked import Stacked
from hybridflux.vocabulary import CARBON

PERIODS = ((1, 1), (7, 4), (365 / 12, 15), (365, 200), (None, 100))  # days of a period (None: the record), least observed days in it
FULL_YEAR = (250, 36, 8, 1, 1)  # periods of each length from which on a tower counts as one: those of a year
APART = ((2, 12, 1), (2, 48, 4), (3, 1, 1), (3, 4, 4))
"""Differences of months and of years: length (place in `PERIODS`), periods and years between the two. Four years beside one, because what
persists changes slowly: stands grow and are managed."""
DIFFERENCE = 0.5 / len(PERIODS)  # weight of each, half of that of a length

GOLDEN = 0.5 * (5.0**0.5 - 1.0)


class Means(NamedTuple):
    """Mean residuals of one length of period, all places `[period]`.

    Attributes:
        residual: observed - modelled, gC m-2 d-1.
        slope: change of the mean per unit of each population effect `[effect, period]`.
        given: variance that is known beside all else, (gC m-2 d-1)^2.
        activity, flux, flux_sq, known_sq, count, span: see `StructuralError.variance_of_mean`.
        place: index of the place.
        share: weight of the period; those of a place sum to one, or less where it was seen for less than a year.
        number: of the period, from the first day of the sequences.
    """

    residual: Array | np.ndarray
    slope: Array | np.ndarray
    given: Array | np.ndarray
    activity: Array | np.ndarray
    flux: Array | np.ndarray
    flux_sq: Array | np.ndarray
    known_sq: Array | np.ndarray
    count: Array | np.ndarray  # type: ignore[assignment]  # of days; a tuple has a method of this name
    span: Array | np.ndarray
    place: Array | np.ndarray
    share: Array | np.ndarray
    number: Array | np.ndarray


class Record(NamedTuple):
    """A flux of a place, day by day.

    Attributes:
        observed: NaN where it was not measured, gC m-2 d-1 `[time]`.
        modelled: the same modelled `[time]`.
        activity: (GPP + RECO) / 2 `[time]`.
        slopes: of the modelled flux on what makes it differ `[effect, time]`.
        known: known random error, 0 where unknown `[time]`.
    """

    observed: np.ndarray
    modelled: np.ndarray
    activity: np.ndarray
    slopes: np.ndarray
    known: np.ndarray


class Pairs(NamedTuple):
    """Differences of mean residuals of one place in the same part of two years.

    Attributes:
        later: row of the later period in `Means` `[pair]`.
        earlier: of the earlier one.
        apart: days between them.
        share: weight, as of `Means`.
        kind: place in `APART`.
        given: covariance of the two that is known beside all else.
    """

    later: Array | np.ndarray
    earlier: Array | np.ndarray
    apart: Array | np.ndarray
    share: Array | np.ndarray
    kind: Array | np.ndarray
    given: Array | np.ndarray


def site_populations(model: HybridFlux) -> tuple[Population, ...]:
    """Populations of places among the parameters of the physics."""
    tables = physics_effects(model)
    return tuple(one for one in populations(model) if one.by == "site" and one.effect in tables)


class Judged(NamedTuple):
    """Fluxes of a place beside those of the draw that judges it, at the centre of its population.

    Attributes:
        place: index of the place.
        observed: flux -> as measured `[time]`, those that were.
        modelled: NEE, GPP and RECO -> `[time]`, gC m-2 d-1.
        slopes: the same -> change per unit of each population effect `[effect, time]`.
        known: known random error of NEE, 0 where unknown `[time]`.
    """

    place: int
    observed: dict[str, np.ndarray]
    modelled: dict[str, np.ndarray]
    slopes: dict[str, np.ndarray]
    known: np.ndarray

    def of_nee(self) -> Record:
        """The record of NEE."""
        gpp, reco, nee = (self.modelled[name] for name in ("gpp", "reco", "nee"))
        return Record(self.observed["nee"], nee, (gpp + reco) / 2, self.slopes["nee"], self.known)


@eqx.filter_jit
def centre(model: HybridFlux, names: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Fluxes of one draw at the centre of the population, and their slopes on its effects `[effect, time, place]`.

    An effect is in units of the prior median of its population's standard deviation.
    """
    zero = jnp.zeros(len(site_populations(model)))
    slopes = [jax.jvp(lambda effects: _fluxes(model, names, effects), (zero,), (direction,))[1] for direction in jnp.eye(len(zero))]
    found = _fluxes(model, names, zero)
    nothing = jnp.zeros((0, *found["nee"].shape))
    return found, {name: jnp.stack([one[name] for one in slopes]) if slopes else nothing for name in CARBON}


@eqx.filter_jit
def _at_centre(model: HybridFlux, names: Mapping[str, Array]) -> dict[str, Array]:
    """Fluxes of one draw at the centre of the population `[time, place]`."""
    return _fluxes(model, names, jnp.zeros(len(site_populations(model))))


def _fluxes(model: HybridFlux, names: Mapping[str, Array], effects: Array) -> dict[str, Array]:
    """NEE, GPP and RECO where each population has an effect, in units of the prior median of its standard deviation `[effect]`."""
    sites = site_populations(model)
    flat = {one.sd: jnp.zeros(()) for one in sites}
    found = with_learned(model, {**flat, **{one.effect: effects[at][None] for at, one in enumerate(sites)}}).fluxes(names)
    return {name: jnp.broadcast_to(found[name], found["nee"].shape) for name in CARBON}


def residual_means(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None) -> list[Means]:
    """Mean residuals of NEE of all lengths of period; arguments as of `judged`."""
    return means_of_places((one.place, one.of_nee()) for one in judged(model, sequences, left_out))


def judged(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None) -> Iterator[Judged]:
    """Every place beside the centre of the population of the draw that judges it.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, who was not fitted by which draw, or None; see `evaluation_draws`.
    """
    leaves = {name: np.asarray(leaf) for name, leaf in learned(model).items()}  # on the host: nothing to compile
    judge = evaluation_draws(model, sequences, left_out)
    for draw in np.unique(judge[judge >= 0]):
        mine = np.flatnonzero(judge == draw)
        group = sequences.select([sequences.places[at] for at in mine])
        one = with_learned(model, {name: jnp.asarray(leaf[draw]) for name, leaf in leaves.items()})
        fluxes, slopes = jax.tree.map(np.asarray, centre(one, _names_at_centre(one, group)))
        known = np.nan_to_num(group.uncertainty.get("nee", np.zeros(1, np.float32))) + np.zeros_like(fluxes["nee"])
        for row, place in enumerate(mine):
            here = [{name: values[..., row] for name, values in of.items()} for of in (group.targets, fluxes, slopes)]
            yield Judged(int(place), here[0], here[1], here[2], known[:, row])


def evaluation_draws(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None) -> np.ndarray:
    """Index of the draw whose residuals each place has `[place]`: the first that left it out, or draws in turn, all fitted to it.

    Of a stacked model the draws that left a place out, or all, alternate along the quantiles of the kinds, from place to place of a plant
    type in steps of the golden section, so that even of few places the kinds are used in their shares; -1 of a place that none left out.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None where every draw was fitted to every tower.
    """
    draws, places = len(next(iter(learned(model).values()))), len(sequences.places)
    turn = np.arange(places)
    if not isinstance(model, Stacked):
        return turn % draws if left_out is None else left_out.argmax(axis=0)
    order = kept_draws(model, draws)
    away = np.ones((draws, places), bool) if left_out is None else left_out[order]
    turn[np.argsort(sequences.plant_types, kind="stable")] = np.arange(places)
    rank = (turn * GOLDEN % 1.0 * away.sum(axis=0)).astype(int)
    return np.where(away.any(axis=0), order[(np.cumsum(away, axis=0) > rank).argmax(axis=0)], -1)


def departures_at_centre(
    model: HybridFlux, sequences: Sequences, of: Callable[[Mapping[str, Array]], Array] = itemgetter("nee")
) -> np.ndarray:
    """How far a flux of draws is from their mean, at the centres of their populations `[draw, time, place]`, gC m-2 d-1.

    Of at most `tower_residuals.MOST_DRAWS` draws, among which the kinds of a stacked model have their shares, divided by the root of their
    number less one: the sum of the squares is the variance of the draws. Empty of a single draw.

    Args:
        model: with draws.
        sequences: drivers of the places.
        of: what is looked at, of NEE, GPP and RECO of a draw; NEE by default.
    """
    leaves = {name: np.asarray(leaf) for name, leaf in learned(model).items()}
    kept = kept_draws(model)
    found = np.empty((len(kept), len(sequences.days), len(sequences.places)), np.float32)
    names = _names_at_centre(model, sequences)
    for row, draw in enumerate(kept):
        found[row] = of(_at_centre(with_learned(model, {name: jnp.asarray(leaf[draw]) for name, leaf in leaves.items()}), names))
    return (found - found.mean(axis=0)) / (len(kept) - 1) ** 0.5 if len(kept) > 1 else found[:0]


def _names_at_centre(model: HybridFlux, sequences: Sequences) -> dict[str, Array]:
    """What the model reads of places whose effects are in a table of one row, and which have none of their years."""
    here = names_of(model, sequences)
    here["site"] = np.zeros_like(here["site"])
    if "site_year" in here:
        here["site_year"] = np.full_like(here["site_year"], -1)
    return {name: jnp.asarray(values) for name, values in here.items()}


def means_of_places(records: Iterable[tuple[int, Record]], every: int = 1) -> list[Means]:
    """Mean residuals of all lengths of period, of records with the number of their place.

    Args:
        records: of the places.
        every: of the measured days of a place, which are many and alike, one in as many is a period of its own.
    """
    parts: dict[int, list] = {at: [] for at in range(len(PERIODS))}
    for place, record in records:
        for at, (length, least) in enumerate(PERIODS):
            seen = np.flatnonzero(np.isfinite(record.observed))[:: every if length == 1 else 1]
            found = _means(record, seen, length, least)
            share = 1.0 / max(len(found[0]), FULL_YEAR[at] / (every if length == 1 else 1))
            parts[at].append((*found[:-1], np.full(len(found[0]), place), np.full(len(found[0]), share), found[-1]))
    by_length = []
    for rows in parts.values():
        stacked = [np.concatenate([row[at] for row in rows], axis=-1) for at in range(len(Means._fields))]
        kinds = [np.int32 if name in ("place", "number") else np.float32 for name in Means._fields]
        by_length.append(Means(*(column.astype(kind) for column, kind in zip(stacked, kinds, strict=True))))
    return by_length


def _means(record: Record, seen: np.ndarray, length: int | float | None, least: int) -> tuple[np.ndarray, ...]:
    """Periods with enough of the days `seen`, as `Means` has them, without place and share."""
    label = np.zeros(len(seen), int) if length is None else (seen // length).astype(int)
    number, group, count = np.unique(label, return_inverse=True, return_counts=True)
    keep = count >= least
    mean = lambda values: (np.bincount(group, values[seen], len(count)) / count)[keep]  # noqa: E731
    first, last = (np.full(len(count), start) for start in (len(record.observed), -1))
    np.minimum.at(first, group, seen)
    np.maximum.at(last, group, seen)
    flux = np.abs(record.modelled)
    return (
        mean(np.nan_to_num(record.observed) - record.modelled),
        np.stack([mean(slope) for slope in record.slopes]) if len(record.slopes) else np.zeros((0, keep.sum())),
        np.zeros(keep.sum()),
        mean(record.activity),
        mean(flux),
        mean(flux**2),
        mean(record.known**2),
        count[keep],
        (last - first + 1)[keep],
        number[keep],
    )


def years_apart(means: Sequence[Means]) -> Pairs:
    """Pairs of months, and of years, of a place that lie years apart; rows of all lengths one after the other, as `joined` has them."""
    parts, first = [], np.cumsum([0, *(len(one.residual) for one in means)])
    for kind_of, (at, lag, years) in enumerate(APART):
        one = means[at]
        key = np.asarray(one.place, np.int64) << 32 | np.asarray(one.number, np.int64)  # rising: place by place, in time
        found = np.minimum(np.searchsorted(key, key - lag), max(len(key) - 1, 0))
        later = np.flatnonzero((key[found] == key - lag) & (one.number >= lag)) if len(key) else np.empty(0, int)
        pairs_of = np.bincount(one.place[later], minlength=1 + max(one.place, default=0))
        share = 1.0 / np.maximum(pairs_of[one.place[later]], FULL_YEAR[at]) * DIFFERENCE
        of_pairs = first[at] + later, first[at] + found[later], np.full(len(later), 365.0 * years), share
        parts.append((*of_pairs, np.full(len(later), kind_of), np.zeros(len(later))))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    fill = 2 ** max(6, (len(columns[0]) - 1).bit_length()) - len(columns[0])
    kinds = (np.int32, np.int32, np.float32, np.float32, np.int32, np.float32)
    return Pairs(*(np.pad(column, (0, fill), constant_values=kind(index == 2)).astype(kind) for index, (column, kind) in enumerate(
        zip(columns, kinds, strict=True)
    )))  # fmt: skip


def with_given(means: Means, pairs: Pairs, variance: np.ndarray) -> tuple[Means, Pairs]:
    """Effects of known variance as what is given of means and of pairs, in place of their slopes: many are as fast as none.

    Args:
        means: of all lengths in one.
        pairs: of these.
        variance: of each effect; NaN of one that is to be learned, which keeps its slope.
    """
    known = np.isfinite(variance)
    slope = np.sqrt(variance[known])[:, None] * np.asarray(means.slope)[known]
    of_pairs = np.einsum("ep,ep->p", slope[:, pairs.later], slope[:, pairs.earlier]).astype(np.float32)
    of_means = np.einsum("ep,ep->p", slope, slope).astype(np.float32)
    return means._replace(slope=np.asarray(means.slope)[~known], given=of_means), pairs._replace(given=of_pairs)


def joined(means: Sequence[Means]) -> Means:
    """All lengths of period in one, each with the same part of the weight, filled up with rows of no weight to a power of two.

    One elementwise program of few sizes is compiled sooner than one with a part for each length.
    """
    rows = sum(len(one.residual) for one in means)
    fill = 2 ** max(6, (rows - 1).bit_length()) - rows
    columns = [np.concatenate([np.asarray(column) for column in parts], axis=-1) for parts in zip(*means, strict=True)]
    whole = Means(*(np.pad(column, [(0, 0)] * (column.ndim - 1) + [(0, fill)]) for column in columns))
    last = np.arange(rows + fill) >= rows
    return whole._replace(share=whole.share / len(means), count=np.where(last, 1, whole.count), span=np.where(last, 1, whole.span))
