"""Daily draws of the structural error of a place that pass through the residuals of towers, as maps have them for months.

The months that a tower of the fit measured are known. `region.draws.structural_field` conditions the error of a region on these; here is
the same at a tower, day by day (Matheron's rule with `model.structural_covariance`). The amplitude of the error of a tower is drawn first,
given its months, that of a place in their neighbourhood given theirs. Which months are taken says `MONTHS`:

    unused         no month: the structural error of a known tower is that of a new one
    other-months   months of the fit without a day that is asked about: what the record says of other years, so that scores of years that
                   took no part in the fit stay scores of years that took no part in it
    all-months     as maps: a month that was measured is known. Not for scores of the days of a fit, which it has seen
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hybridflux.inference.place_amplitude import score_given
from hybridflux.inference.tower_residuals import TowerResiduals
from hybridflux.inference.unknown_plant_type import kinds_and_errors
from hybridflux.model.gross_error import error_of_gpp, with_measuring_errors
from hybridflux.model.sequences import Sequences
from hybridflux.model.structural_covariance import Errors, Periods, covariance, size_of, unit_means
from hybridflux.model.structural_error import LEVEL, YEAR_DAYS, StructuralError, amplitude, memory_of, of_weeks, ornstein_uhlenbeck
from hybridflux.vocabulary import CARBON

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

MONTHS = UNUSED, OTHER, ALL = ("unused", "other-months", "all-months")


def simulate_given(
    posterior: Posterior, sequences: Sequences, key: PRNGKeyArray, noise: bool, variables: Sequence[str], months: str
) -> dict[str, Array]:
    """What `Posterior.simulate` gives, the structural error of the carbon fluxes informed by residuals; arguments and errors as of it."""
    exact = posterior.simulate(sequences, key=key, variables=CARBON)
    seed = int(jax.random.randint(jax.random.fold_in(key, 2), (), 0, 2**31 - len(sequences.places)))
    found: dict[str, ArrayLike] = {**with_error(posterior, {name: np.asarray(one) for name, one in exact.items()}, sequences, months, seed)}
    if noise:
        assert posterior.structure is not None
        known, measuring = sequences.uncertainty, with_measuring_errors(posterior.structure, posterior.gross)
        for number, name in enumerate(CARBON):
            keys = jax.random.split(jax.random.fold_in(key, 3 + number), posterior.draws)
            of_day = jnp.asarray(np.nan_to_num(known[name])) if name in known else jnp.zeros(())
            errors = measuring[name].of_draws(posterior.draws)
            noises = jax.vmap(lambda one, own, flux, sd=of_day: one.noise(own, flux, sd))(errors, keys, exact[name])
            found[name] = np.asarray(found[name]) + np.asarray(noises)
    others = tuple(name for name in variables if name not in CARBON)
    if others:
        found |= posterior.simulate(sequences, key=key, noise=noise, variables=others)
    return {name: jnp.asarray(found[name], jnp.float32) for name in variables}


def with_error(
    posterior: Posterior, fluxes: Mapping[str, np.ndarray], sequences: Sequences, months: str, seed: int
) -> dict[str, np.ndarray]:
    """Fluxes with the structural error, which the residuals of each place of the fit inform `[draw, time, place]`.

    The error of NEE is shared out to GPP and RECO, and what both have in common is added (`model.gross_error`), of which residuals of NEE
    say nothing; of posteriors that do not know it by their sizes alone. NEE = RECO - GPP.

    Args:
        posterior: with its draws.
        fluxes: its fluxes, without any error `[draw, time, place]`.
        sequences: places and days, every day once.
        months: `other-months` or `all-months`.
        seed: of the errors.

    Raises:
        ValueError: `months` is another word, or the posterior remembers no residuals.
    """
    if months not in (OTHER, ALL):
        raise ValueError(f"residuals `{months}` are not understood; they are {', '.join(MONTHS)}")
    if posterior.residuals is None or posterior.structure is None:
        raise ValueError("the posterior remembers no residuals of its towers: it is of an earlier version; fit again, or leave them unused")
    residuals, (kinds, structure, gross) = posterior.residuals, kinds_and_errors(posterior, sequences)
    posterior = replace(posterior, structure=structure, gross=gross)
    if months == OTHER:
        residuals = residuals.only(~_asked(residuals, sequences.days))
    gpp, reco = (np.asarray(fluxes[name]) for name in ("gpp", "reco"))
    error = np.empty(gpp.shape)
    for at, place in enumerate(sequences.places):
        towers = [number for number in np.unique(residuals.place).tolist() if posterior.places[number] == place]
        alike, kind = np.ones((1 + len(towers), 1 + len(towers))), int(kinds[at])
        activity = 0.5 * (gpp[..., at] + reco[..., at])
        error[..., at] = structural_error_given(posterior, activity, sequences.days, residuals, towers, alike, kind, seed + at)
    own = jax.random.key(seed + len(sequences.places))  # the errors of NEE of the places have the seeds before
    of_gpp = _error_of_gpp(posterior, gpp, reco, error, own, kinds)
    gpp, reco = gpp + of_gpp, reco + error + of_gpp
    return {"nee": reco - gpp, "gpp": gpp, "reco": reco}


def _error_of_gpp(
    posterior: Posterior, gpp: np.ndarray, reco: np.ndarray, error: np.ndarray, key: PRNGKeyArray, plant_types: np.ndarray
) -> np.ndarray:
    """Error of GPP beside one of NEE `[draw, time, place]`."""
    gross = posterior.gross
    if gross is None:
        return error_of_gpp(gpp, reco, error)
    activity = jnp.asarray(0.5 * (gpp + reco), jnp.float32)
    keys, errors = jax.random.split(key, posterior.draws), gross.error.of_draws(posterior.draws)
    return error_of_gpp(gpp, reco, error, np.asarray(_drawn(errors, keys, activity, jnp.asarray(plant_types))), gross.odds)


@jax.jit
def _drawn(errors: StructuralError, keys: Array, activity: Array, plant_types: Array) -> Array:
    """Draws of a structural error `[draw, time, place]`."""
    return jax.vmap(lambda error, key, of: error.drawn(key, of, plant_types))(errors, keys, activity)


def _asked(residuals: TowerResiduals, days: np.ndarray) -> np.ndarray:
    """Whether one of some days lies in each month."""
    day = np.sort(days.astype("datetime64[D]").astype(int))
    return np.searchsorted(day, residuals.first) < np.searchsorted(day, residuals.end)


def structural_error_given(
    posterior: Posterior, activity: np.ndarray, days: np.ndarray, residuals: TowerResiduals, towers: list[int], rho: np.ndarray,
    plant_type: int, seed: int,
) -> np.ndarray:  # fmt: skip
    """Draws of the structural error of a place `[draw, time]`, gC m-2 d-1, that pass through the residuals of towers.

    Args:
        posterior: with its draws.
        activity: (GPP + RECO) / 2 of the place `[draw, time]`.
        days: of these, one after the other.
        residuals: of the posterior.
        towers: places of the posterior whose residuals are known.
        rho: correlation of the place, then the towers `[1 + tower, 1 + tower]`.
        plant_type: of the place and the towers, index into PLANT_TYPES.
        seed: of the draws.
    """
    assert posterior.structure is not None
    known = residuals.only(np.isin(residuals.place, towers))
    tower = 1 + np.array([towers.index(place) for place in known.place], int)
    day = days.astype("datetime64[D]").astype(int)
    start, end = min([day[0], *known.first]), max([day[-1] + 1, *known.end])
    values = posterior.structure.of_draws(posterior.draws).of_type(plant_type)
    units = _unit_fields(values, int(end - start), rho, seed)  # weeks, years `[draw, time, place]`, place `[draw, place]`
    mean = np.zeros((len(known.first), end - start), np.float32)
    for row, (first, last) in enumerate(zip(known.first, known.end, strict=True)):
        mean[row, first - start : last - start] = 1.0 / (last - first)
    asked, daily, found, made = day - start, Periods(day, day + 1), np.empty(activity.shape), {}
    rng, alike, at = np.random.default_rng(seed), rho[np.ix_(tower, tower)], np.arange(len(tower))
    nothing = np.zeros((len(day), 0)), np.zeros((len(day), 0))
    for draw in range(posterior.draws):
        of = {name: float(one[draw]) for name, one in values.items()}
        weeks, years, place = (one[draw] for one in units)
        row = int(known.row[draw])
        there, noise, residual = known.activity[row].astype(float), known.noise(of, row), known.residual[row].astype(float)
        if len(tower) and (memory := memory_of(of)) not in made:
            made[memory] = unit_means(of, known.periods, known.periods), unit_means(of, daily, known.periods)
        within, across = made[memory] if len(tower) else (nothing, nothing)
        unscaled = Errors(at, size_of(of, there), there)
        scores = _scores(of, unscaled, within, tower, rho, residual, noise, rng)
        b = amplitude(of["structural_amplitude"], scores, level=of[LEVEL])
        here = Errors(np.arange(len(day)), b[0] * size_of(of, activity[draw]), b[0] * activity[draw].astype(float))
        found[draw] = here.size * weeks[asked, 0]
        found[draw] += here.activity * (of["structural_year"] * years[asked, 0] + of["structural_place"] * place[0])
        if not len(tower):
            continue
        rows = Errors(at, b[tower] * unscaled.size, b[tower] * there)
        prior = rows.size * (mean @ weeks)[at, tower]
        prior += rows.activity * (of["structural_year"] * (mean @ years)[at, tower] + of["structural_place"] * place[tower])
        left = residual - prior - noise**0.5 * rng.standard_normal(len(at))
        gain = np.linalg.solve(covariance(of, within, rows, rows, alike) + np.diag(noise), left)
        found[draw] += covariance(of, across, here, rows, rho[0, tower]) @ gain
    return found


def _scores(of, rows: Errors, within, tower: np.ndarray, rho: np.ndarray, residual: np.ndarray, noise: np.ndarray, rng) -> np.ndarray:
    """Scores of the amplitudes of a place, then of towers, `[1 + tower]`; those of towers given what each measured."""
    shared = rho + 1e-6 * np.eye(len(rho))
    scores = np.linalg.cholesky(shared) @ rng.standard_normal(len(rho))
    seen = np.unique(tower)
    spread, level = of["structural_amplitude"], of[LEVEL]
    given = np.array([
        score_given(covariance(of, within, mine, mine, 1.0), noise[own], residual[own], spread, level, rng.uniform())
        for own in (tower == one for one in seen) for mine in [Errors(*(part[own] for part in rows))]
    ])  # fmt: skip
    return scores + shared[:, seen] @ np.linalg.solve(shared[np.ix_(seen, seen)], given - scores[seen])


def _unit_fields(values: dict[str, np.ndarray], days: int, rho: np.ndarray, seed: int) -> list[np.ndarray]:
    """Processes of weeks and of years of some places, and what lasts, of variance one and correlation rho."""
    draws, root = len(values["structural_days"]), np.linalg.cholesky(rho + 1e-6 * np.eye(len(rho))).astype(np.float32)
    keys = jax.random.split(jax.random.key(seed), draws)
    fields = _independent(keys, memory_of(values), days, len(rho))
    return [np.asarray(field) @ root.T for field in fields]


@partial(jax.jit, static_argnums=(2, 3))
def _independent(keys: Array, memory: tuple[ArrayLike, ...], days: int, places: int) -> tuple[Array, Array, Array]:
    """The same of places that do not correlate `[draw, time, place]`, and `[draw, place]`."""

    def one(key, memory):
        weeks, years, place = jax.random.split(key, 3)
        shape = days, places
        return of_weeks(weeks, shape, *memory), ornstein_uhlenbeck(years, shape, YEAR_DAYS), jax.random.normal(place, shape[1:])

    return jax.vmap(one)(keys, memory)
