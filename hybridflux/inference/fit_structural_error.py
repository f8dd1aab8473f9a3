"""How wrong the model is where it was not fitted: structural error and population spread from the residuals of left-out towers.

Residuals around the centre of the population are averaged over days, weeks, months, years and whole records, and the implied variance
of each of these means is fitted to all five at once:

    var(mean residual) = sum over effects of (sd dNEE/deffect)^2 + structural error + measuring error

A likelihood of the days alone would be ruled by the shortest lags and say little about a year; this one looks at the periods that
budgets are made of. Differences of a month, and of a year, from those one and four years before are fitted beside them: what persists at a
place cancels there, which identifies it apart from what belongs to a year or to weeks. Every tower counts the same, one of less than a
year as the share of it that was seen. Towers are resampled (bootstrap), so that the spread of a population of some forty towers is not
taken for known.

The prior of the error (`model.structural_error`) counts as `PRIOR_TOWERS` towers, and each resampled fit is pulled towards a draw of it:
without evidence the result is the prior, and with more towers the data take over. A tower that a draw was fitted to says less than one it
left out: the centre of the population follows it. As many towers as that centre takes up say nothing, and the residuals of all are enlarged
accordingly (Bessel's correction).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.optimize import minimize
from scipy.special import ndtri

from hybridflux.inference.batch import names_of
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, physics_effects, populations, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Population, to_raw, to_value
from hybridflux.model.structural_error import CENTRE_VALUES, NAMES, PRIOR_TOWERS, StructuralError, prior_of
from hybridflux.vocabulary import CARBON, PARAMETERS

PERIODS = ((1, 1), (7, 4), (365 / 12, 15), (365, 200), (None, 100))  # days of a period (None: the record), least observed days in it
FULL_YEAR = (250, 36, 8, 1, 1)  # periods of each length from which on a tower counts as one: those of a year
APART = ((2, 12, 1), (2, 48, 4), (3, 1, 1), (3, 4, 4))
"""Differences of months and of years: length (place in `PERIODS`), periods and years between the two. Four years beside one, because what
persists changes slowly: stands grow and are managed."""
DIFFERENCE = 0.5 / len(PERIODS)  # weight of each, half of that of a length
RESAMPLES = 20
SEARCHED = (*NAMES, "noise_tail")
SD_RANGE = (0.05, 3.0)  # of a population, in units of its prior median
SPREAD_SD = (2.0 * PRIOR_TOWERS) ** -0.5  # prior sd of the logarithm of a population's sd: its prior counts as many towers


class Means(NamedTuple):
    """Mean residuals of one length of period, all places `[period]`.

    Attributes:
        residual: observed - modelled, gC m-2 d-1.
        slope: change of the mean per unit of each population effect `[effect, period]`.
        activity, flux, flux_sq, known_sq, count, span: see `StructuralError.variance_of_mean`.
        place: index of the place.
        share: weight of the period; those of a place sum to one, or less where it was seen for less than a year.
        number: of the period, from the first day of the sequences.
    """

    residual: Array | np.ndarray
    slope: Array | np.ndarray
    activity: Array | np.ndarray
    flux: Array | np.ndarray
    flux_sq: Array | np.ndarray
    known_sq: Array | np.ndarray
    count: Array | np.ndarray  # type: ignore[assignment]  # of days; a tuple has a method of this name
    span: Array | np.ndarray
    place: Array | np.ndarray
    share: Array | np.ndarray
    number: Array | np.ndarray


class Pairs(NamedTuple):
    """Differences of mean residuals of one place in the same part of two years.

    Attributes:
        later: row of the later period in `Means` `[pair]`.
        earlier: of the earlier one.
        apart: days between them.
        share: weight, as of `Means`.
        kind: place in `APART`.
    """

    later: Array | np.ndarray
    earlier: Array | np.ndarray
    apart: Array | np.ndarray
    share: Array | np.ndarray
    kind: Array | np.ndarray


class Learned(NamedTuple):
    """Prior and residuals taken together.

    Attributes:
        error: draws of the structural error.
        spread: leaf of the spread of a population -> draws.
        summary: JSON types: medians, 5 and 95 %, and how often central intervals of each period held the residuals.
    """

    error: StructuralError
    spread: dict[str, np.ndarray]
    summary: dict


def site_populations(model: HybridFlux) -> tuple[Population, ...]:
    """Populations of places among the parameters of the physics."""
    tables = physics_effects(model)
    return tuple(one for one in populations(model) if one.by == "site" and one.effect in tables)


@eqx.filter_jit
def centre(model: HybridFlux, names: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
    """Fluxes of one draw at the centre of the population, and the slopes of NEE on its effects `[effect, time, place]`.

    An effect is in units of the prior median of its population's standard deviation.
    """
    sites = site_populations(model)
    tables = [one.effect for one in sites]
    flat = {one.sd: jnp.zeros(()) for one in sites}

    def fluxes(effects):
        values = {**flat, **{table: effects[at][None] for at, table in enumerate(tables)}}
        return with_learned(model, values).fluxes(names)

    zero = jnp.zeros(len(tables))
    along = jnp.eye(len(tables))
    slopes = [jax.jvp(lambda effects: fluxes(effects)["nee"], (zero,), (direction,))[1] for direction in along]
    found = fluxes(zero)
    shape = found["nee"].shape
    all_fluxes = {name: jnp.broadcast_to(found[name], shape) for name in CARBON}
    return all_fluxes, jnp.stack(slopes) if slopes else jnp.zeros((0, *shape))


def residual_means(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None) -> list[Means]:
    """Mean residuals of all lengths of period.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, who was not fitted by which draw; each place is judged by the first draw that left it out. None: by
            draws in turn, which have all seen it.
    """
    draws = next(iter(learned(model).values())).shape[0]
    places = len(sequences.places)
    judge = np.arange(places) % draws if left_out is None else left_out.argmax(axis=0)
    parts: dict[int, list] = {at: [] for at in range(len(PERIODS))}
    for draw in np.unique(judge):
        mine = np.flatnonzero(judge == draw)
        group = sequences.select([sequences.places[at] for at in mine])
        one = with_learned(model, {name: leaf[draw] for name, leaf in learned(model).items()})
        names = {name: jnp.asarray(values) for name, values in names_of(one, group).items()}
        names["site"] = jnp.zeros_like(names["site"])
        if "site_year" in names:
            names["site_year"] = jnp.full_like(names["site_year"], -1)
        fluxes, slopes = jax.tree.map(np.asarray, centre(one, names))
        known = np.nan_to_num(group.uncertainty.get("nee", np.zeros(1, np.float32))) + np.zeros_like(fluxes["nee"])
        for row, place in enumerate(mine):
            columns = {name: values[:, row] for name, values in fluxes.items()}
            for at, (length, least) in enumerate(PERIODS):
                found = _means(group.targets["nee"][:, row], columns, slopes[..., row], known[:, row], length, least)
                share = 1.0 / max(len(found[0]), FULL_YEAR[at])
                parts[at].append((*found[:-1], np.full(len(found[0]), place), np.full(len(found[0]), share), found[-1]))
    by_length = []
    for rows in parts.values():
        stacked = [np.concatenate([row[at] for row in rows], axis=-1) for at in range(len(Means._fields))]
        kinds = [np.int32 if name in ("place", "number") else np.float32 for name in Means._fields]
        by_length.append(Means(*(column.astype(kind) for column, kind in zip(stacked, kinds, strict=True))))
    return by_length


def _means(observed, fluxes, slopes, known, length, least):
    seen = np.flatnonzero(np.isfinite(observed))
    label = np.zeros(len(seen), int) if length is None else (seen // length).astype(int)
    number, group, count = np.unique(label, return_inverse=True, return_counts=True)
    keep = count >= least
    mean = lambda values: (np.bincount(group, values[seen], len(count)) / count)[keep]  # noqa: E731
    first, last = (np.full(len(count), start) for start in (len(observed), -1))
    np.minimum.at(first, group, seen)
    np.maximum.at(last, group, seen)
    flux = np.abs(fluxes["nee"])
    return (
        mean(np.nan_to_num(observed) - fluxes["nee"]),
        np.stack([mean(slope) for slope in slopes]) if len(slopes) else np.zeros((0, keep.sum())),
        mean((fluxes["gpp"] + fluxes["reco"]) / 2),
        mean(flux),
        mean(flux**2),
        mean(known**2),
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
        parts.append((first[at] + later, first[at] + found[later], np.full(len(later), 365.0 * years), share, np.full(len(later), kind_of)))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    fill = 2 ** max(6, (len(columns[0]) - 1).bit_length()) - len(columns[0])
    kinds = (np.int32, np.int32, np.float32, np.float32, np.int32)
    return Pairs(*(np.pad(column, (0, fill), constant_values=kind(index == 2)).astype(kind) for index, (column, kind) in enumerate(
        zip(columns, kinds, strict=True)
    )))  # fmt: skip


def variance(at: Array, means: Means) -> Array:
    """Variance of mean residuals; `at` holds the unconstrained numbers of `SEARCHED`, then log sd of the populations."""
    error = StructuralError(dict(zip(NAMES, at[: len(NAMES)], strict=True)))
    of_error = [jnp.asarray(part) for part in (means.activity, means.flux, means.flux_sq, means.known_sq, means.count, means.span)]
    effects = jnp.sum((jnp.exp(at[len(SEARCHED) :])[:, None] * means.slope) ** 2, axis=0)
    return effects + error.variance_of_mean(*of_error)


def variance_of_differences(at: Array, means: Means, pairs: Pairs) -> Array:
    """Variance of the differences of pairs of mean residuals; `at` as for `variance`."""
    error, of_each = StructuralError(dict(zip(NAMES, at[: len(NAMES)], strict=True))), variance(at, means)
    slope, activity, span = (jnp.asarray(part) for part in (means.slope, means.activity, means.span))
    effects = jnp.sum(jnp.exp(at[len(SEARCHED) :])[:, None] ** 2 * slope[:, pairs.later] * slope[:, pairs.earlier], axis=0)
    later, earlier, apart = (jnp.asarray(part) for part in (pairs.later, pairs.earlier, pairs.apart))
    lasting = error.covariance_of_means(activity[later], activity[earlier], jnp.minimum(span[later], apart), apart)
    return jnp.maximum(of_each[later] + of_each[earlier] - 2.0 * (effects + lasting), 1e-6)


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


def misfit(at: Array, start: Array, width: Array, means: Means, pairs: Pairs, weight: Array) -> Array:
    """Negative composite log likelihood of the mean residuals, each place with its weight, and the prior.

    The five lengths of period together count as one observation of a tower, each kind of differences as half a length. Residuals follow a
    Student-t of learned tail: towers differ, and a few must not set the scale of all.
    """
    tail = to_value(at[len(NAMES)], PARAMETERS["noise_tail"])
    level = jax.scipy.special.gammaln(0.5 * tail) - jax.scipy.special.gammaln(0.5 * (tail + 1.0)) + 0.5 * jnp.log(tail - 2.0)

    def surprise(residual, scale):
        return level + 0.5 * jnp.log(scale) + 0.5 * (tail + 1.0) * jnp.log1p(residual**2 / scale / (tail - 2.0))

    residual, counts = jnp.asarray(means.residual), weight[means.place]
    change = residual[pairs.later] - residual[pairs.earlier]
    found = jnp.sum(counts * means.share * surprise(residual, variance(at, means)))
    found += jnp.sum(counts[pairs.later] * pairs.share * surprise(change, variance_of_differences(at, means, pairs)))
    return 0.5 * jnp.sum(((at - start) / width) ** 2) + found


_misfit_and_slope = jax.jit(jax.value_and_grad(misfit))
_variance, _variance_of_differences = jax.jit(variance), jax.jit(variance_of_differences)


def centre_takes(model: HybridFlux, plant_types: np.ndarray) -> float:
    """Towers that the centre of the population follows: one, or one a plant type where the model knows types."""
    by_type = any("plant_type" in source.reads() for source in model.sources.values() if learned(source))
    return float(len(np.unique(plant_types))) if by_type else 1.0


def evidence(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None) -> tuple[np.ndarray, float]:
    """What each tower counts `[place]`, and the factor of its residuals.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None where every draw was fitted to every tower.
    """
    seen = np.isfinite(sequences.targets["nee"]).any(axis=0) if "nee" in sequences.targets else np.zeros(len(sequences.places), bool)
    towers = seen.sum()
    if left_out is not None or not towers:
        return seen.astype(float), 1.0
    taken = centre_takes(model, np.asarray(sequences.drivers.get("plant_type", np.zeros(len(seen))))[seen])
    if taken >= towers:
        return np.zeros(len(seen)), 1.0
    return seen * (1.0 - taken / towers), float(((towers + CENTRE_VALUES) / (towers - taken)) ** 0.5)


def learn(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None, seed: int) -> Learned:
    """Structural error and population spreads: the prior, and what the towers add.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None; see `residual_means`. Without it the spreads of the populations are those of the draws.
        seed: of the resampling of towers.
    """
    weight, enlarged = evidence(model, sequences, left_out)
    sites, places, rng = site_populations(model), len(weight), np.random.default_rng(seed)
    means = residual_means(model, sequences, left_out) if weight.any() else []
    whole = jax.device_put(joined([one._replace(residual=enlarged * one.residual) for one in means])) if means else None
    pairs = jax.device_put(years_apart(means)) if means else None
    observed = np.any([np.isfinite(values).any(axis=0) for values in sequences.targets.values()], axis=0)
    (centre_raw, centre_sd), tail = prior_of(int(observed.sum())), PARAMETERS["noise_tail"]
    spreads = np.array([0.5 * float(jnp.median(learned(model)[one.sd])) for one in sites])  # log sd over its prior median
    held = left_out is None
    start = np.r_[centre_raw, to_raw(tail.typical, tail), spreads if held else np.zeros(len(sites))]
    width = np.r_[centre_sd, tail.prior_sd, np.full(len(sites), SPREAD_SD)]
    fixed = [(value, value) for value in spreads] if held else [tuple(np.log(SD_RANGE))] * len(sites)

    def best(weight, anchor, first):
        if whole is None:
            return anchor
        pulled, weight = [np.asarray(part, np.float32) for part in (anchor, width)], np.asarray(weight, np.float32)

        def both(at):
            value, gradient = _misfit_and_slope(np.asarray(at, np.float32), *pulled, whole, pairs, weight)
            return float(value), np.asarray(gradient, float)

        bounds = [(None, None)] * len(SEARCHED) + fixed
        return minimize(both, first, jac=True, method="L-BFGS-B", bounds=bounds).x

    everyone = best(weight, start, start)
    scatter = ndtri((np.array([rng.permutation(RESAMPLES) for _ in start]).T + 0.5) / RESAMPLES)  # of each, the same quantiles always
    scatter[:, len(SEARCHED) :] *= not held
    found = []
    for offset in scatter:
        again = rng.multinomial(places, np.full(places, 1.0 / places)) * weight
        found.append(best(jnp.asarray(again, jnp.float32), start + width * offset, everyone))
    draws = np.array(found, np.float32)
    error = StructuralError({name: jnp.asarray(draws[:, at]) for at, name in enumerate(NAMES)})
    spread = {} if held else {one.sd: 2.0 * draws[:, len(SEARCHED) + at] for at, one in enumerate(sites)}
    prior = StructuralError({name: jnp.asarray(value) for name, value in zip(NAMES, centre_raw, strict=True)})
    summary = {
        "prior_towers": PRIOR_TOWERS,
        "data_towers": round(float(weight.sum()), 2),
        "prior": {name: round(float(value), 4) for name, value in prior.values().items()},
        "residuals": "none: the prior alone" if not means else _ORIGIN[held],
        **_summary(error, draws[:, len(SEARCHED) :], [one.effect for one in sites]),
        "inside_50_90": {} if whole is None or pairs is None else _inside(everyone, means, whole, pairs),
    }
    return Learned(error, spread, summary)


_ORIGIN = {False: "of draws that left the tower out", True: "of draws that were fitted to the tower"}


def _summary(error: StructuralError, log_sd: np.ndarray, tables: Sequence[str]) -> dict:
    """Median, 5 and 95 % of everything learned."""
    rows = {name: np.asarray(values, float) for name, values in error.values().items()}
    rows |= {f"{table.removesuffix('.z.effect')} sd over its prior median": np.exp(log_sd[:, at]) for at, table in enumerate(tables)}
    return {"quantiles": {name: [round(float(q), 4) for q in np.quantile(values, (0.5, 0.05, 0.95))] for name, values in rows.items()}}


def _inside(at: np.ndarray, means: list[Means], whole: Means, pairs: Pairs) -> dict[str, list[float]]:
    """Shares of the residuals of each length of period, and of their differences, inside central intervals of 50 and 90 %."""
    at, residual = np.asarray(at, np.float32), np.asarray(whole.residual)
    z = np.abs(residual) / np.sqrt(np.asarray(_variance(at, whole)))
    change = np.abs(residual[pairs.later] - residual[pairs.earlier]) / np.sqrt(np.asarray(_variance_of_differences(at, whole, pairs)))
    share, found, first = np.asarray(whole.share), {}, 0
    for (length, _), one in zip(PERIODS, means, strict=True):
        rows = slice(first, first + len(one.residual))
        first = rows.stop
        if len(one.residual):
            total = share[rows].sum()
            name = "record" if length is None else f"{length:.0f} d"
            found[name] = [round(float((share[rows] * (z[rows] < limit)).sum() / total), 3) for limit in (0.674, 1.645)]
    for kind, (length_at, _, years) in enumerate(APART):
        weight = np.asarray(pairs.share) * (np.asarray(pairs.kind) == kind)
        if weight.sum():
            name = f"{PERIODS[length_at][0]:.0f} d, less those {years} years before"
            found[name] = [round(float((weight * (change < limit)).sum() / weight.sum()), 3) for limit in (0.674, 1.645)]
    return found
