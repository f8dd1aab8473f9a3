"""Hyperparameters of a structural error from mean residuals, and how often its intervals held them.

Residuals are averaged over days, weeks, months, years and whole records, and the implied variance of each of these means is fitted to
all five at once:

    var(mean residual) = sum over effects of (sd dNEE/deffect)^2 + structural error + measuring error

A likelihood of the days alone would be ruled by the shortest lags and say little about a year; this one looks at the periods that
budgets are made of. Differences of a month, and of a year, from those one and four years before are fitted beside them: what persists at a
place cancels there, which identifies it apart from what belongs to a year or to weeks. How much the amplitude of the error differs between
places, what share of the error of weeks comes again, both memories and the part of a year are learned after that from all months of a tower
together (`fit_months_together`).
Every tower counts the same, one of less than a year as the share of it that was seen. Towers are resampled (bootstrap), so that the spread
of a population of some forty towers is not taken for known. The prior of the error (`model.structural_error`) counts as some towers, and
each resampled fit is pulled towards a draw of it: without evidence the result is the prior, and with more towers the data take over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.optimize import minimize
from scipy.special import ndtri

from hybridflux.inference import fit_months_together
from hybridflux.inference.mean_residuals import APART, PERIODS, Means, Pairs, joined, with_given, years_apart
from hybridflux.inference.month_covariance import MONTHS
from hybridflux.inference.plant_type_error import prior_share
from hybridflux.model.sources import to_raw, to_value
from hybridflux.model.structural_error import (
    ACTIVITY,
    LEVEL,
    NAMES,
    OF_TYPES,
    PRIOR_TOWERS,
    StructuralError,
    floor_share,
    prior_level,
    prior_of,
)
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

RESAMPLES = 20
SEARCHED = (*NAMES, "noise_tail")
OF_NOISE = ("noise_floor", "noise_slope")
MARGIN, MEASURED_SD = 0.01, 0.1
"""Of a measuring error that is known: how far inside its bounds, in units of what is typical, and its standard deviation, unconstrained."""
SD_RANGE = (0.05, 3.0)  # of a population, in units of its prior median
PRECISION = {"ftol": 1e-6, "gtol": 1e-3}  # of a search: what single precision resolves, and thousandths of a standard deviation
STEP, FLATTEST = 0.1, 0.3  # of the sd of the prior, and of its curvature
SPREAD_SD = (2.0 * PRIOR_TOWERS) ** -0.5  # prior sd of the logarithm of a population's sd: its prior counts as many towers


class Effects(NamedTuple):
    """Prior of the logarithms of the standard deviations of what makes modelled fluxes of a place differ (`Means.slope`).

    Attributes:
        log_sd: its mean `[effect]`.
        width: its standard deviation, 0 where the value is given `[effect]`.
    """

    log_sd: np.ndarray
    width: np.ndarray


class Hyperparameters(NamedTuple):
    """What mean residuals say, with the prior.

    Attributes:
        error: draws of the structural error.
        log_sd: draws of the logarithms of the standard deviations of the effects `[draw, effect]`.
        everyone: most likely with all towers, unconstrained, in the order of `SEARCHED`, then `log_sd` of effects that are learned.
        prior: of the structural error, name -> value.
        prior_towers: that it is worth.
        inside: see `Learned.summary`.
        whole: all means in one, with the slopes of effects that are learned; None where there are none.
    """

    error: StructuralError
    log_sd: np.ndarray
    everyone: np.ndarray
    prior: dict[str, float]
    prior_towers: float
    inside: dict[str, list[float]]
    whole: Means | None


def variance(at: Array, means: Means) -> Array:
    """Variance of mean residuals; `at` holds the unconstrained numbers of `SEARCHED`, then log sd of the populations."""
    error = StructuralError(dict(zip(NAMES, at[: len(NAMES)], strict=True)))
    of_error = [jnp.asarray(part) for part in (means.activity, means.flux, means.flux_sq, means.known_sq, means.count, means.span)]
    effects = jnp.sum((jnp.exp(at[len(SEARCHED) :])[:, None] * means.slope) ** 2, axis=0)
    return effects + jnp.asarray(means.given) + error.variance_of_mean(*of_error)


def variance_of_differences(at: Array, means: Means, pairs: Pairs) -> Array:
    """Variance of the differences of pairs of mean residuals; `at` as for `variance`."""
    error, of_each = StructuralError(dict(zip(NAMES, at[: len(NAMES)], strict=True))), variance(at, means)
    slope, activity, span = (jnp.asarray(part) for part in (means.slope, means.activity, means.span))
    effects = jnp.sum(jnp.exp(at[len(SEARCHED) :])[:, None] ** 2 * slope[:, pairs.later] * slope[:, pairs.earlier], axis=0)
    later, earlier, apart = (jnp.asarray(part) for part in (pairs.later, pairs.earlier, pairs.apart))
    lasting = error.covariance_of_means(activity[later], activity[earlier], jnp.minimum(span[later], apart), apart)
    return jnp.maximum(of_each[later] + of_each[earlier] - 2.0 * (effects + jnp.asarray(pairs.given) + lasting), 1e-6)


def misfit(at: Array, start: Array, width: Array, means: Means, pairs: Pairs, weight: Array) -> Array:
    """Negative composite log likelihood of the mean residuals, each place with its weight, and the prior.

    The five lengths of period together count as one observation of a tower, each kind of differences as half a length. Residuals follow a
    Student-t of learned tail: towers differ, and a few must not set the scale of all.
    """
    counts = weight[means.place]
    found = jnp.sum(counts * means.share * log_density(at, means))
    found += jnp.sum(counts[pairs.later] * pairs.share * log_density_of_differences(at, means, pairs))
    return 0.5 * jnp.sum(((at - start) / width) ** 2) - found


def log_density(at: Array, means: Means) -> Array:
    """Log density of each mean residual, up to a constant `[period]`."""
    return _student_t(at, jnp.asarray(means.residual), variance(at, means))


def log_density_of_differences(at: Array, means: Means, pairs: Pairs) -> Array:
    """The same of the differences of pairs `[pair]`."""
    residual = jnp.asarray(means.residual)
    return _student_t(at, residual[pairs.later] - residual[pairs.earlier], variance_of_differences(at, means, pairs))


def _student_t(at: Array, residual: Array, scale: Array) -> Array:
    """Log density of a Student-t of the learned tail and a variance, up to a constant."""
    tail = to_value(at[len(NAMES)], PARAMETERS["noise_tail"])
    level = jax.scipy.special.gammaln(0.5 * tail) - jax.scipy.special.gammaln(0.5 * (tail + 1.0)) + 0.5 * jnp.log(tail - 2.0)
    return -(level + 0.5 * jnp.log(scale) + 0.5 * (tail + 1.0) * jnp.log1p(residual**2 / scale / (tail - 2.0)))


_misfit_and_slope = jax.jit(jax.value_and_grad(misfit))
_variance, _variance_of_differences = jax.jit(variance), jax.jit(variance_of_differences)


def lowest(both: Callable[[np.ndarray], tuple[float, np.ndarray]], first: np.ndarray, scale: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Where a function in single precision is lowest, inside bounds.

    Args:
        both: value and gradient.
        first: where the search begins.
        scale: columns of about the same curvature, which the search moves along.
        bounds: lower and upper `[2, number]`; a search that leaves them is made anew without the scale.
    """
    along = minimize(lambda z: _along(both, first, scale, z), np.zeros(len(first)), jac=True, method="L-BFGS-B", options=PRECISION).x
    found = first + scale @ along
    if np.all((found >= bounds[0]) & (found <= bounds[1])):
        return found
    return minimize(both, np.clip(found, *bounds), jac=True, method="L-BFGS-B", bounds=bounds.T, options=PRECISION).x


def _along(both: Callable, first: np.ndarray, scale: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray]:
    value, gradient = both(first + scale @ z)
    return value, scale.T @ gradient


def scale_of(both: Callable[[np.ndarray], tuple[float, np.ndarray]], at: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Columns along which a function has curvature one at a point, by differences of its gradient; `width` are the sds of a prior.

    A direction in which it is flatter than `FLATTEST` of the prior counts as that flat.
    """
    here = both(at)[1]
    bend = np.array([(both(at + STEP * one)[1] - here) / STEP for one in np.diag(width)]) * width
    values, vectors = np.linalg.eigh(0.5 * (bend + bend.T))
    return width[:, None] * vectors / np.sqrt(np.maximum(values, FLATTEST))


def hyperparameters(
    means: list[Means], weight: np.ndarray, towers: int, effects: Effects, plant_types: np.ndarray, seed: int,
    prior_towers: float = PRIOR_TOWERS, rounds: int = fit_months_together.ROUNDS, measuring: Mapping[str, float] | None = None,
) -> Hyperparameters:  # fmt: skip
    """Hyperparameters of a structural error from mean residuals, and from all months of a tower together.

    Args:
        means: of all lengths of period; empty where nothing was measured.
        weight: of the places.
        towers: to which the centre of the model was fitted.
        effects: what else the residuals have.
        plant_types: of the places, indices into PLANT_TYPES.
        seed: of the resampling of towers.
        prior_towers: that the prior of the structural error, which the measuring error has no part in, is worth.
        rounds: over the groups of `fit_months_together`.
        measuring: `noise_floor` and `noise_slope`, where they are known (`measuring_error`).
    """
    places, rng = len(weight), np.random.default_rng(seed)
    free = effects.width > 0.0
    of_given = np.where(free, np.nan, np.exp(2.0 * effects.log_sd))
    whole, pairs = jax.device_put(with_given(joined(means), years_apart(means), of_given)) if means else (None, None)
    (centre_raw, centre_sd), tail = prior_of(towers), PARAMETERS["noise_tail"]
    start = np.r_[centre_raw, to_raw(tail.typical, tail), effects.log_sd[free]]
    centre_sd = centre_sd * np.where([name in OF_NOISE for name in NAMES], 1.0, (PRIOR_TOWERS / prior_towers) ** 0.5)
    width = np.r_[centre_sd, tail.prior_sd, effects.width[free]]
    for name, value in (measuring or {}).items():
        row, at = PARAMETERS[name], NAMES.index(name)
        inside = np.clip(value, row.lower + MARGIN * row.typical, row.upper - MARGIN * row.typical)
        start[at], width[at] = to_raw(float(inside), row), MEASURED_SD

    bounds = np.tile([[-np.inf], [np.inf]], len(start))
    bounds[:, len(SEARCHED) :] = np.log(SD_RANGE)[:, None]

    def objective(weight, anchor):
        pulled, weight = [np.asarray(part, np.float32) for part in (anchor, width)], np.asarray(weight, np.float32)

        def both(at):
            value, gradient = _misfit_and_slope(np.asarray(at, np.float32), *pulled, whole, pairs, weight)
            return float(value), np.asarray(gradient, float)

        return both

    def best(weight, anchor, first, scale):
        return anchor if whole is None else lowest(objective(weight, anchor), first, scale, bounds)

    everyone = best(weight, start, start, np.diag(width))
    scale = np.diag(width) if whole is None else scale_of(objective(weight, start), everyone, width)
    scatter = ndtri((np.array([rng.permutation(RESAMPLES) for _ in start]).T + 0.5) / RESAMPLES)  # of each, the same quantiles always
    again = [rng.multinomial(places, np.full(places, 1.0 / places)) * weight for _ in scatter]
    scores = {
        name: ndtri((np.array([rng.permutation(RESAMPLES) for _ in PLANT_TYPES]).T + 0.5) / RESAMPLES) for name in OF_TYPES
    }
    draws = np.array([best(one, start + width * offset, everyone, scale) for one, offset in zip(again, scatter, strict=True)])
    values = {name: float(one) for name, one in StructuralError(dict(zip(NAMES, everyone, strict=False))).values().items()}
    of_types = {LEVEL: prior_level(values[fit_months_together.SPREAD], scores[LEVEL])}
    of_types |= {name: prior_share(trait.centre(values), scores[name]) for name, trait in fit_months_together.TRAITS.items()}
    if means:
        every = np.vstack([start, start + width * scatter])  # the prior of all towers, then of each draw
        anchors, widths = dict(zip(SEARCHED, every.T, strict=False)), dict(zip(SEARCHED, width, strict=False))
        of_effects = of_given.copy()
        of_effects[free] = np.exp(2.0 * everyone[len(SEARCHED) :])
        months, every_score = means[MONTHS], {name: np.vstack([0.0 * one[:1], one]) for name, one in scores.items()}
        found = fit_months_together.learn(anchors, widths, [weight, *again], values, months, of_effects, plant_types, every_score, rounds)
        of_types = {name: found.pop(name)[1:] for name in OF_TYPES}
        for name, raw in found.items():
            everyone[SEARCHED.index(name)], draws[:, SEARCHED.index(name)] = raw[0], raw[1:]
    draws, log_sd = draws.astype(np.float32), np.tile(effects.log_sd.astype(np.float32), (RESAMPLES, 1))
    log_sd[:, free] = draws[:, len(SEARCHED) :]
    everywhere = {name: jnp.asarray(draws[:, at]) for at, name in enumerate(NAMES)}
    error = StructuralError(everywhere | {name: jnp.asarray(one, jnp.float32) for name, one in of_types.items()})
    prior = StructuralError({name: jnp.asarray(value) for name, value in zip(NAMES, centre_raw, strict=True)})
    inside = {} if whole is None or pairs is None else _inside(everyone, means, whole, pairs)
    before = {name: round(float(value), 4) for name, value in prior.values().items()}
    return Hyperparameters(error, log_sd, everyone, before, prior_towers, inside, whole)


def summary_of(found: Hyperparameters, weight: np.ndarray, about: dict, tables: Sequence[str], plant_types: np.ndarray | None) -> dict:
    """What was learned, as JSON types; `about` says from which residuals, `plant_types` of which types (None: all together)."""
    return {
        "prior_towers": found.prior_towers,
        "data_towers": round(float(weight.sum()), 2),
        "prior": found.prior,
        **about,
        **_summary(found.error, found.log_sd, tables, plant_types),
        "inside_50_90": found.inside,
    }


def _summary(error: StructuralError, log_sd: np.ndarray, tables: Sequence[str], plant_types: np.ndarray | None) -> dict:
    """Median, 5 and 95 % of everything learned."""
    rows = {name: np.asarray(values, float) for name, values in error.values().items()}
    kinds = {"all plant types": 0} if plant_types is None else {PLANT_TYPES[kind]: int(kind) for kind in plant_types}
    rows |= {f"root mean square amplitude, {code}": np.exp(error.level(kind)) for code, kind in kinds.items()}
    of_type = {code: error.of_type(kind) for code, kind in kinds.items()}
    rows |= {f"share that comes again every year, {code}": one["structural_recurring"] for code, one in of_type.items()}
    rows |= {f"share of the size at {ACTIVITY} gC m-2 d-1 that does not grow, {code}": floor_share(one) for code, one in of_type.items()}
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
