"""Draws of the errors of vegetation: fapar, NIRv and LSWI are estimates, and their errors go into the fluxes.

Each daily map that a model reads has two errors, each drawn once for the whole region and each draw of the posterior: that of the filled
series, its standard deviation times a process that forgets in `memory_days`, and that of the calibration line which makes it of an index
or brings it to the instrument of the towers, constant in time. All pixels err together: that is right for the line, and for the series an
upper bound of what is left of its error in the total of a parcel or a region. Errors of different maps are drawn independently. A running
mean (`nirv_30d`) has the errors of its days; quantiles of a map (`nirv_top`, `nirv_base`) keep their values. Where a map is of another
instrument than the fit and no line is known, that difference is not drawn; `checks.warn_of_sensors` reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.data.gaps import trailing_mean
from hybridflux.model.structural_error import of_shocks
from hybridflux.vocabulary import PLANT_TYPES, split_history, variable

FORGOTTEN = 16.0  # memories, after which e-7 of a state is left
LEAP_YEAR = 366  # d
ALL = "all"
"""Stands for every plant type that has no line of its own."""


def sd_of(name: str) -> str:
    """Name of the standard deviation of a daily map, whose array in a region store has a `VegetationError` as attributes.

    >>> sd_of("nirv"), sd_of("nirv_30d")
    ('nirv_sd', 'nirv_sd_30d')
    """
    base, days = split_history(name)
    return f"{base}_sd_{days}d" if days else f"{base}_sd"


@dataclass(frozen=True)
class CalibrationLineError:
    """Error of the calibration line that made a daily map, in terms of the map: `(1 + slope) value + offset`.

    Attributes:
        offset_sd: of the value at 0 [1].
        slope_sd: relative, of the slope [1].
        correlation: between the two [1].
    """

    offset_sd: float = 0.0
    slope_sd: float = 0.0
    correlation: float = 0.0


@dataclass(frozen=True)
class VegetationError:
    """What is known of the error of a daily map of vegetation beside its standard deviation.

    Attributes:
        memory_days: e-folding time of the error of the filled series [d].
        lines: plant type, or `ALL` for those that are not named -> error of its line; none where no line was applied.
    """

    memory_days: float
    lines: Mapping[str, CalibrationLineError] = field(default_factory=dict)

    def attributes(self) -> dict:
        """As attributes of the array `sd_of(name)`."""
        return asdict(self)

    @classmethod
    def of(cls, attributes: Mapping) -> VegetationError:
        """From the attributes of the array `sd_of(name)`."""
        lines = {kind: CalibrationLineError(**line) for kind, line in attributes.get("lines", {}).items()}
        return cls(float(attributes["memory_days"]), lines)

    def of_types(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offset sd, slope sd and correlation by plant type, `[kind]` each."""
        rest = self.lines.get(ALL, CalibrationLineError())
        rows = [self.lines.get(kind, rest) for kind in PLANT_TYPES]
        return tuple(np.array([getattr(row, name) for row in rows]) for name in ("offset_sd", "slope_sd", "correlation"))


class VegetationErrorDraws(NamedTuple):
    """Errors of one daily map, one set a draw.

    Attributes:
        path: of the filled series, in standard deviations `[time, draw]`.
        offset: by plant type `[kind, draw]`.
        slope: relative, by plant type `[kind, draw]`.
    """

    path: Array
    offset: Array
    slope: Array

    def of_history(self, days: int) -> VegetationErrorDraws:
        """Errors of the running mean of the map, with the running mean of its standard deviation; exact where that is constant."""
        return self._replace(path=trailing_mean(np.asarray(self.path), days))

    def drawn(self, name: str, today: Mapping[str, Array], day: Array, kind: Array) -> Array:
        """A daily map with its errors `[draw, n]` of a day.

        Args:
            name: of the map.
            today: the map and its standard deviation of the day, `[n]` each.
            day: position in `path`.
            kind: plant type of the pixels, one for all.
        """
        factor, shift = self.slope[kind][:, None], self.offset[kind][:, None]
        return with_errors(name, today, factor, shift, self.path[day][:, None])


def with_errors(name: str, today: Mapping[str, Array], slope: Array, offset: Array, path: Array) -> Array:
    """A daily map with an error of its line and one of its filled series, within its bounds [1]; elementwise.

    Args:
        name: of the map.
        today: the map and its standard deviation of a day.
        slope: relative error of the line.
        offset: of the line.
        path: error of the series in standard deviations.
    """
    return jnp.clip((1.0 + slope) * today[name] + offset + path * today[sd_of(name)], *variable(name).bounds)


def draw_vegetation_error(name: str, error: VegetationError, days: np.ndarray, draws: int, seed: int) -> VegetationErrorDraws:
    """Draw the errors of a daily map for a run; the first draws are the same for any number of them.

    A day of the calendar has the same error in every run of a seed, so that runs of different periods are what one run of both would be.
    The lines of all plant types err together: they rest on the same instruments and the same way of matching them.

    Args:
        name: of the map; each has random numbers of its own.
        error: of the region.
        days: that the run reads `[time]`, datetime64[D].
        draws: of the posterior.
        seed: of the run.
    """
    keys = jax.vmap(lambda draw: jax.random.split(_key(name, seed, draw)))(jnp.arange(draws))
    memory = jnp.float32(error.memory_days)
    path = _path(keys[:, 0], days.astype("datetime64[D]"), memory)
    normal = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys[:, 1])
    offset_sd, slope_sd, correlation = (values[:, None] for values in error.of_types())
    offset = (offset_sd * normal[None, :, 0]).astype(jnp.float32)
    slope = slope_sd * (correlation * normal[None, :, 0] + np.sqrt(1.0 - correlation**2) * normal[None, :, 1])
    return VegetationErrorDraws(path.T, offset, slope.astype(jnp.float32))


def _path(keys: Array, days: np.ndarray, memory: Array) -> Array:
    """Errors of filled series in standard deviations `[draw, time]`, from random numbers of the years of the calendar.

    The process begins `FORGOTTEN` times its memory before the first day, at which its state there is forgotten.
    """
    start = (days[0] - int(np.ceil(FORGOTTEN * float(memory)))).astype("datetime64[Y]")
    every = np.arange(start.astype("datetime64[D]"), days[-1] + 1)
    year = every.astype("datetime64[Y]")
    number, of_year = year.astype(int) + 1970, (every - year.astype("datetime64[D]")).astype(int)
    years = jnp.arange(number[0], number[-1] + 1, dtype=jnp.uint32)

    def one(key):
        shocks = jax.vmap(lambda at: jax.random.normal(jax.random.fold_in(key, at), (LEAP_YEAR,)))(years)
        return of_shocks(shocks[number - number[0], of_year], memory)[(days - every[0]).astype(int)]

    return jax.vmap(one)(keys)


def _key(name: str, seed: int, draw: Array) -> Array:
    """Of a map and a draw; that of fapar depends on the draw alone."""
    key = jax.random.fold_in(jax.random.key(seed), draw)
    return key if name == "fapar" else jax.random.fold_in(key, crc32(name.encode()) & 0x7FFFFFFF)
