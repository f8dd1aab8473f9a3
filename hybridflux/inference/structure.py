"""How wrong the model is where it was not fitted: structural error and population spread from the residuals of left-out towers.

Residuals around the centre of the population are averaged over days, weeks, months, years and whole records, and the implied variance
of each of these means is fitted to all five at once:

    var(mean residual) = sum over effects of (sd dNEE/deffect)^2 + structural error + measuring error

A likelihood of the days alone would be ruled by the shortest lags and say little about a year; this one is told at the periods that
budgets are made of. Every tower counts the same. Towers are resampled (bootstrap), so that the spread of a population of some forty
towers is not taken for known.
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

from hybridflux.inference.batch import names_of
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import to_raw, to_value
from hybridflux.model.structure import NAMES, StructuralError
from hybridflux.model.tree import learned, physics_effects, with_learned
from hybridflux.vocabulary import PARAMETERS

PERIODS = ((1, 1), (7, 4), (30, 15), (365, 200), (None, 100))  # days of a period (None: the record), least observed days in it
FEWEST_PLACES, FEWEST_DAYS = 5, 500  # below, towers do not tell a structural error
RESAMPLES = 20
SEARCHED = (*NAMES, "noise_tail")
SD_RANGE = (0.05, 3.0)  # of a population, in units of its prior median


class Means(NamedTuple):
    """Mean residuals of one length of period, all places `[period]`.

    Attributes:
        residual: observed - modelled, gC m-2 d-1.
        slope: change of the mean per unit of each population effect `[effect, period]`.
        activity, flux, flux_sq, known_sq, count, span: see `StructuralError.variance_of_mean`.
        place: index of the place.
        share: 1 / periods of its place.
    """

    residual: Array
    slope: Array
    activity: Array
    flux: Array
    flux_sq: Array
    known_sq: Array
    count: Array
    span: Array
    place: Array
    share: Array


class Learned(NamedTuple):
    """What the residuals said.

    Attributes:
        error: draws of the structural error.
        spread: leaf of the spread of a population -> draws.
        summary: JSON types: medians, 5 and 95 %, and how often central intervals of each period held the residuals.
    """

    error: StructuralError
    spread: dict[str, np.ndarray]
    summary: dict


def site_tables(model: HybridFlux) -> tuple[str, ...]:
    """Tables of effects of places."""
    return tuple(path for path, by in physics_effects(model).items() if by == "site")


def spread_of(table: str) -> str:
    """The leaf that holds the spread of a table of effects."""
    return table.removesuffix("effect") + "spread"


@eqx.filter_jit
def centre(model: HybridFlux, names: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
    """Fluxes of one draw at the centre of the population, and the slopes of NEE on its effects `[effect, time, place]`.

    An effect is in units of the prior median of its population's standard deviation.
    """
    tables = site_tables(model)
    flat = {spread_of(table): jnp.zeros(()) for table in tables}

    def fluxes(effects):
        values = {**flat, **{table: effects[at][None] for at, table in enumerate(tables)}}
        return with_learned(model, values).fluxes(names)

    zero = jnp.zeros(len(tables))
    along = jnp.eye(len(tables))
    slopes = [jax.jvp(lambda effects: fluxes(effects)["nee"], (zero,), (direction,))[1] for direction in along]
    found = fluxes(zero)
    shape = found["nee"].shape
    all_fluxes = {name: jnp.broadcast_to(found[name], shape) for name in ("nee", "gpp", "reco")}
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
                parts[at].append((*found, np.full(len(found[0]), place), np.full(len(found[0]), 1.0 / max(len(found[0]), 1))))
    joined = []
    for rows in parts.values():
        columns = [np.concatenate([row[at] for row in rows], axis=-1) for at in range(len(Means._fields))]
        whole = Means(*columns)
        joined.append(Means(*(jnp.asarray(column, jnp.int32 if column is whole.place else jnp.float32) for column in whole)))
    return joined


def _means(observed, fluxes, slopes, known, length, least):
    seen = np.flatnonzero(np.isfinite(observed))
    label = np.zeros(len(seen), int) if length is None else seen // length
    _, group, count = np.unique(label, return_inverse=True, return_counts=True)
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
    )


def variance(at: Array, means: Means) -> Array:
    """Variance of mean residuals; `at` holds the unconstrained numbers of `SEARCHED`, then log sd of the populations."""
    error = StructuralError(dict(zip(NAMES, at[: len(NAMES)], strict=True)))
    effects = jnp.sum((jnp.exp(at[len(SEARCHED) :])[:, None] * means.slope) ** 2, axis=0)
    return effects + error.variance_of_mean(means.activity, means.flux, means.flux_sq, means.known_sq, means.count, means.span)


def misfit(at: Array, start: Array, width: Array, means: list[Means], weight: Array) -> Array:
    """Negative composite log likelihood of the mean residuals, each place with its weight, and the prior of the numbers.

    Residuals follow a Student-t of learned tail: towers are not all alike, and a few must not set the scale of all.
    """
    tail = to_value(at[len(NAMES)], PARAMETERS["noise_tail"])
    level = jax.scipy.special.gammaln(0.5 * tail) - jax.scipy.special.gammaln(0.5 * (tail + 1.0)) + 0.5 * jnp.log(tail - 2.0)
    total = 0.5 * jnp.sum(((at - start) / width) ** 2) / len(PERIODS)
    for one in means:
        scale = variance(at, one)
        density = level + 0.5 * jnp.log(scale) + 0.5 * (tail + 1.0) * jnp.log1p(one.residual**2 / scale / (tail - 2.0))
        total += jnp.sum(weight[one.place] * one.share * density)
    return total


_misfit_and_slope = jax.jit(jax.value_and_grad(misfit))


def learn(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None, seed: int) -> Learned | None:
    """Structural error and population spreads; None where NEE is not fitted or too few towers tell them.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None; see `residual_means`.
        seed: of the resampling of towers.
    """
    measured = sequences.targets.get("nee")
    if "nee" not in model.noise or measured is None or len(sequences.places) < FEWEST_PLACES or np.isfinite(measured).sum() < FEWEST_DAYS:
        return None
    tables, means = site_tables(model), residual_means(model, sequences, left_out)
    rows = [PARAMETERS[name] for name in SEARCHED]
    start = np.r_[[to_raw(row.typical, row) for row in rows], np.zeros(len(tables))]
    width = np.r_[[row.spread for row in rows], np.full(len(tables), 0.5)]

    def best(weight, first):
        def both(at):
            value, gradient = _misfit_and_slope(*(jnp.asarray(part, jnp.float32) for part in (at, start, width)), means, weight)
            return float(value), np.asarray(gradient, float)

        bounds = [(None, None)] * len(SEARCHED) + [tuple(np.log(SD_RANGE))] * len(tables)
        return minimize(both, first, jac=True, method="L-BFGS-B", bounds=bounds).x

    places, rng = len(sequences.places), np.random.default_rng(seed)
    everyone = best(jnp.ones(places), start)
    found = [everyone]
    for _ in range(RESAMPLES - 1):
        found.append(best(jnp.asarray(rng.multinomial(places, np.full(places, 1.0 / places)), jnp.float32), everyone))
    draws = np.array(found, np.float32)
    error = StructuralError({name: jnp.asarray(draws[:, at]) for at, name in enumerate(NAMES)})
    spread = {spread_of(table): 2.0 * draws[:, len(SEARCHED) + at] for at, table in enumerate(tables)}
    return Learned(error, spread, _summary(error, draws[:, len(SEARCHED) :], tables, everyone, means, left_out is not None))


def _summary(error, log_sd, tables: Sequence[str], everyone, means: list[Means], apart: bool) -> dict:
    rows = {name: np.asarray(values, float) for name, values in error.values().items()}
    rows |= {f"{table.removesuffix('.z.effect')} sd over its prior median": np.exp(log_sd[:, at]) for at, table in enumerate(tables)}
    inside = {}
    for (length, _), one in zip(PERIODS, means, strict=True):
        z = np.abs(np.asarray(one.residual)) / np.sqrt(np.asarray(variance(jnp.asarray(everyone, jnp.float32), one)))
        share = np.asarray(one.share) / np.asarray(one.share).sum()
        inside["record" if length is None else f"{length} d"] = [round(float((share * (z < limit)).sum()), 3) for limit in (0.674, 1.645)]
    return {
        "residuals": "of draws that left the tower out" if apart else "of draws that were fitted to the tower",
        "quantiles": {name: [round(float(q), 4) for q in np.quantile(values, (0.5, 0.05, 0.95))] for name, values in rows.items()},
        "inside_50_90": inside,
    }
