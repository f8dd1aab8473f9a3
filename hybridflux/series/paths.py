"""Draws of the daily series given the views: what else the vegetation may have done.

Durbin and Koopman 2002 (10.1093/biomet/89.3.603): draw a path of the process and views of it, smooth these views as the real ones were; the
path minus what the smoother makes of it has exactly the distribution of the error. Each draw costs one filter and one smoother.

Errors last as long as nothing was seen: within a gap they are those of the process, correlated over about `fast_days`; between views a few
days apart they change from view to view. Over days they are therefore neither independent nor constant, and a sum over a season needs
draws. Between pixels the process has no correlation of its own; `common` says how much of the error neighbours share.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.series.daily import Numbers, blocks, checked, clean, day_axis, merged, numbers_of, same_day, view_axis
from hybridflux.series.prior import Prior, season_of
from hybridflux.series.smoother import Axis, Views, smooth


def draw(
    values: np.ndarray, when: np.ndarray, days: int, *, prior: Prior, draws: int, seed: int, common: float = 0.0
) -> Iterator[np.ndarray]:
    """Draws of the true signal `[time, pixel]`, float32, one after the other [units of the index].

    Args:
        values: clear views `[view, pixel]`, NaN where not clear.
        when: day number of each view `[view]`, as in `fill`.
        days: length of the series.
        prior: what the region's pixels have in common.
        draws: how many.
        seed: of the random numbers; the draws of a seed are the same for the same pixels.
        common: share of the variance of the random numbers that all pixels have in common [1].

    Raises:
        ValueError: as `fill`; also if `common` is not a share.
    """
    if not 0.0 <= common <= 1.0:
        raise ValueError(f"`common` is {common}; it is a share of variance, from 0 to 1")
    values, when = checked(values, when, days)
    season = season_of(prior, np.arange(days)).astype(np.float32)[:, None]
    views, every, numbers = view_axis(prior, when), day_axis(prior, when, days), numbers_of(prior)
    width = values.shape[1]
    told = [(part, _settled(block, views, every, when.astype(np.float32), same_day(when), numbers))
            for part, block in blocks(values - season[when])]  # fmt: skip
    for key in jax.random.split(jax.random.key(seed), draws):
        path = np.empty((days, width), np.float32)
        for number, (part, (mean, factor, seen)) in enumerate(told):
            error = _error(key, number, common, seen, every, numbers)
            path[:, part] = np.asarray(mean + factor * error)[:, : part.stop - part.start] + season
        yield path


@jax.jit
def _settled(departures, views: Axis, every: Axis, when, first_of_day, numbers: Numbers):
    """Mean of a block on every day, factor of its errors, views as the smoother takes them."""
    cleaned = clean(departures, views, when, numbers)
    seen = merged(departures, cleaned, first_of_day, numbers)
    return smooth(every, seen, (numbers.fast, numbers.slow)).mean, jnp.sqrt(cleaned.scale * numbers.widening), seen


@jax.jit
def _error(key, block, common, seen: Views, every: Axis, numbers: Numbers):
    """A path of the process minus the smoother's idea of it `[time, pixel]`."""
    start, walk, sight = jax.random.split(key, 3)
    pixels = seen.value.shape[1]

    def normal(key, count):
        shared = jax.random.normal(key, (count, 1))
        own = jax.random.normal(jax.random.fold_in(key, 1 + block), (count, pixels))
        return jnp.sqrt(common) * shared + jnp.sqrt(1.0 - common) * own

    def step(state, now):
        at, key = now
        level, speed, slow = state
        s, z = at.steps, normal(key, 6)
        opened = jnp.sqrt(0.5 * seen.opening[at.next_row] * at.gap)
        first = jnp.sqrt(s.q00)
        side = s.q01 / first
        state = (
            s.a * level + s.b * speed + first * z[0] + opened * z[3],
            s.c * level + s.d * speed + side * z[0] + jnp.sqrt(jnp.maximum(s.q11 - side**2, 0.0)) * z[1] + opened * z[4],
            s.e * slow + jnp.sqrt(s.q22) * z[2] + opened * z[5],
        )
        return state, state[0] + state[2]

    first = normal(start, 3) * jnp.sqrt(jnp.array([numbers.fast, numbers.fast, numbers.slow]))[:, None]
    _, path = jax.lax.scan(step, tuple(first), (every, jax.random.split(walk, len(every.row))))
    noise = jnp.where(jnp.isinf(seen.noise), 0.0, jnp.sqrt(seen.noise))
    day = jnp.zeros(len(seen.value), int).at[every.row].set(jnp.arange(len(every.row)))
    views = path[day] + noise * normal(sight, len(seen.value))
    return path - smooth(every, seen._replace(value=views), (numbers.fast, numbers.slow)).mean
