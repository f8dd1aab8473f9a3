"""Draws of the daily series given the views.

Durbin and Koopman 2002 (10.1093/biomet/89.3.603): draw a path of the process and views of it, and smooth these views like the real
ones; the path minus its smoothed mean has exactly the distribution of the error. Each draw costs one filter and one smoother.

Errors are correlated in time: within a gap as the process is, over about `fast_days`; between views a few days apart they change from view
to view. Over days they are therefore neither independent nor constant, and a sum over a season needs draws. Between pixels the process has
no correlation of its own; `common` is the share of the error variance that neighbours have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.series.cleaning import Cleaned, Variances, clean, variances_of, view_axis
from hybridflux.series.every_day import calendar_of, every_day
from hybridflux.series.gap_filling import blocks, checked
from hybridflux.series.hyperparameters import SeriesProcess, season_of
from hybridflux.series.smoother import Steps, steps


class EveryDay(NamedTuple):
    """One step of a path for each day: the transition, and the first view from that day on, whose opening holds until then."""

    into: Steps
    following: np.ndarray


def draw(
    values: np.ndarray, when: np.ndarray, days: int, *, process: SeriesProcess, draws: int, seed: int, common: float = 0.0
) -> Iterator[np.ndarray]:
    """Draws of the true signal `[time, pixel]`, float32, one after the other [units of the index].

    Args:
        values: clear views `[view, pixel]`, NaN where not clear.
        when: day number of each view `[view]`, as in `fill`.
        days: length of the series.
        process: hyperparameters of the pixels.
        draws: number of draws.
        seed: seed of the random numbers; a seed gives the same draws for the same pixels.
        common: share of the variance of the random numbers that all pixels have in common [1].

    Raises:
        ValueError: as `fill`; also if `common` is not a share.
    """
    if not 0.0 <= common <= 1.0:
        raise ValueError(f"`common` is {common}; it is a share of variance, from 0 to 1")
    values, when = checked(values, when, days)
    season = season_of(process, np.arange(days)).astype(np.float32)[:, None]
    variances = variances_of(process)
    tables = *calendar_of(process, when, days), variances
    axis, daily = view_axis(process, when), EveryDay(steps(process, np.ones(days)), np.searchsorted(when, np.arange(days)))
    width = values.shape[1]
    smoothed = []
    for part, block in blocks(values - season[when]):
        cleaned = clean(block, axis, variances)
        smoothed.append((part, every_day(cleaned, *tables)[0], np.sqrt(cleaned.factor * variances.widening), cleaned))
    for key in jax.random.split(jax.random.key(seed), draws):
        path = np.empty((days, width), np.float32)
        for number, (part, mean, error_factor, cleaned) in enumerate(smoothed):
            made, seen = (np.asarray(one) for one in _path(key, number, common, cleaned, when, daily, variances))
            error = made - every_day(cleaned._replace(views=seen), *tables)[0]
            path[:, part] = (mean + error_factor * error)[:, : part.stop - part.start] + season
        yield path


@jax.jit
def _path(key, block, common, cleaned: Cleaned, when, daily: EveryDay, variances: Variances):
    """A path of the process `[time, pixel]`, and views of it where there are any `[view, pixel]`."""
    start_key, path_key, view_key = jax.random.split(key, 3)
    views, pixels = cleaned.views.shape
    opening = jnp.concatenate([cleaned.opening, jnp.zeros((1, pixels))])

    def normal(key, count):
        common_part = jax.random.normal(key, (count, 1))
        own_part = jax.random.normal(jax.random.fold_in(key, 1 + block), (count, pixels))
        return jnp.sqrt(common) * common_part + jnp.sqrt(1.0 - common) * own_part

    def step(state, now):
        (s, following), key = now
        level, speed, slow = state
        z, opened = normal(key, 6), jnp.sqrt(0.5 * opening[following])
        first = jnp.sqrt(s.q00)
        side = s.q01 / first
        state = (
            s.a * level + s.b * speed + first * z[0] + opened * z[3],
            s.c * level + s.d * speed + side * z[0] + jnp.sqrt(jnp.maximum(s.q11 - side**2, 0.0)) * z[1] + opened * z[4],
            s.e * slow + jnp.sqrt(s.q22) * z[2] + opened * z[5],
        )
        return state, state[0] + state[2]

    first = normal(start_key, 3) * jnp.sqrt(jnp.array([variances.fast, variances.fast, variances.slow]))[:, None]
    _, path = jax.lax.scan(step, tuple(first), (daily, jax.random.split(path_key, len(daily.following))))
    seen = path[when] + jnp.sqrt(variances.noise) * normal(view_key, views)
    return path, jnp.where(jnp.isnan(cleaned.views), jnp.nan, seen)
