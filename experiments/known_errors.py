"""Structural errors of a place, given what towers have measured: daily draws for E12, as maps have them for months."""

from __future__ import annotations

import jax
import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.inference.tower_residuals import TowerResiduals
from hybridflux.model.structural_covariance import Errors, Periods, covariance, size_of, unit_means
from hybridflux.model.structural_error import YEAR_DAYS, of_weeks, ornstein_uhlenbeck


def known_error(
    posterior: Posterior, activity: np.ndarray, days: np.ndarray, residuals: TowerResiduals, towers: list[int], rho: np.ndarray, seed: int
) -> np.ndarray:
    """Draws of the structural error of a place `[draw, time]`, gC m-2 d-1, that pass through the residuals of towers.

    Args:
        posterior: with its draws.
        activity: (GPP + RECO) / 2 of the place `[draw, time]`.
        days: of these, one after the other.
        residuals: of the posterior.
        towers: places of the posterior whose residuals are known.
        rho: correlation of the place, then the towers `[1 + tower, 1 + tower]`.
        seed: of the draws.
    """
    inside = (residuals.first >= days[0].astype(int)) & (residuals.end <= days[-1].astype(int) + 1)
    known = residuals.only(np.isin(residuals.place, towers) & inside)
    tower = 1 + np.array([towers.index(place) for place in known.place], int)
    values = {name: np.asarray(one) for name, one in posterior.structure.of_draws(posterior.draws).values().items()}
    units = _unit_fields(values, len(days), rho, seed)  # weeks, years `[draw, time, place]`, place `[draw, place]`
    day = days.astype(int)
    months = [np.arange(first - day[0], end - day[0]) for first, end in zip(known.first, known.end, strict=True)]
    mean = np.zeros((len(months), len(days)), np.float32)
    for row, columns in enumerate(months):
        mean[row, columns] = 1.0 / len(columns)
    daily, found, made = Periods(day, day + 1), np.empty(activity.shape), {}
    rng, alike = np.random.default_rng(seed), rho[np.ix_(tower, tower)]
    for draw in range(posterior.draws):
        of = {name: float(one[draw]) for name, one in values.items()}
        weeks, years, place = (one[draw] for one in units)
        here = size_of(of, activity[draw])
        found[draw] = here * weeks[:, 0] + activity[draw] * (of["structural_year"] * years[:, 0] + of["structural_place"] * place[0])
        if not len(tower):
            continue
        row = int(known.row[draw])
        there, noise = known.activity[row].astype(float), known.noise(of, row)
        at = np.arange(len(tower))
        prior = size_of(of, there) * (mean @ weeks)[at, tower]
        prior += there * (of["structural_year"] * (mean @ years)[at, tower] + of["structural_place"] * place[tower])
        left = known.residual[row] - prior - noise**0.5 * rng.standard_normal(len(at))
        if (memory := (of["structural_days"], of["structural_recurring"])) not in made:
            made[memory] = unit_means(of, known.periods, known.periods), unit_means(of, daily, known.periods)
        within, across = made[memory]
        rows = Errors(at, size_of(of, there), there)
        gain = np.linalg.solve(covariance(of, within, rows, rows, alike) + np.diag(noise), left)
        asked = Errors(np.arange(len(day)), here, activity[draw].astype(float))
        found[draw] += covariance(of, across, asked, rows, rho[0, tower]) @ gain
    return found


def _unit_fields(values: dict[str, np.ndarray], days: int, rho: np.ndarray, seed: int) -> list[np.ndarray]:
    """Processes of weeks and of years of some places, and what lasts, of variance one and correlation rho."""
    draws, root = len(values["structural_days"]), np.linalg.cholesky(rho + 1e-6 * np.eye(len(rho))).astype(np.float32)
    keys = jax.random.split(jax.random.key(seed), draws)

    def one(key, memory, recurring):
        weeks, years, place = jax.random.split(key, 3)
        shape = days, len(rho)
        return of_weeks(weeks, shape, memory, recurring), ornstein_uhlenbeck(years, shape, YEAR_DAYS), jax.random.normal(place, shape[1:])

    return [np.asarray(field) @ root.T for field in jax.vmap(one)(keys, values["structural_days"], values["structural_recurring"])]
