"""The error of declared irrigation in the draws: a factor on the water of a parcel in a season, one for each draw.

`ingest.irrigate` puts water of parcels into the rain of their weather cells and keeps, beside it, how much that is and how well it is
known. A draw has F times that water, F log-normal with mean 1 and the relative standard deviation of what was declared for the calendar
year; parcels are those that the same rows of the table name, and parcels, years and draws are independent. The random numbers depend on
the seed, the draw and the number of the parcel alone, so that tiles and executors do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.data.gaps import trailing_mean
from hybridflux.region.drivers.open import Region
from hybridflux.vocabulary import split_history

WATER, ERROR, CELL, PARCEL = "irrigation", "irrigation_error", "irrigated_cell", "irrigation_parcel"
"""Arrays of a region store: water in the rain [mm d-1] `[time, irrigated]`; its relative standard deviation `[year, irrigated]`; the
weather cell, and the number of the parcel, of each `[irrigated]`."""
STREAM = 0x1221  # of random numbers, unlike those of leaves and places


def water_of(name: str) -> str:
    """Name of the declared water that is part of rain, or of a running mean of it.

    >>> water_of("rain_30d")
    'irrigation_of_rain_30d'
    """
    return f"irrigation_of_{name}"


def is_drawn(region: Region) -> bool:
    """Whether a region has declared water whose error is known."""
    return ERROR in region.names and bool(region.group[ERROR][...].any())


def declared_water(region: Region, names: Iterable[str], window: slice) -> dict[str, np.ndarray]:
    """Declared water in rain and its running means [mm d-1] `[time, cell]`, by `water_of`, for each of them that a model reads.

    Under a change of rain it is changed as rain is; a change that puts the usual rain in its place leaves none of it.
    """
    read = [name for name in names if split_history(name)[0] == "rain"]
    if not read or not is_drawn(region):
        return {}
    rain = region.group["rain"][:].astype(np.float32)
    without = rain.copy()
    without[:, region.group[CELL][:]] -= region.group[WATER][:]
    replaced = any(change.is_usual for change in region.changes if "rain" in change.names)
    water = np.zeros_like(rain) if replaced else region.changed("rain", rain) - region.changed("rain", np.maximum(without, 0.0))
    histories = {name: split_history(name)[1] for name in read}
    return {water_of(name): (trailing_mean(water, days) if days else water)[window] for name, days in histories.items()}


def factors(region: Region, years: Iterable[int], draws: int, seed: int) -> np.ndarray:
    """F - 1 of each draw, calendar year and weather cell `[draw, year, cell]`, float32; 0 where no water is declared.

    Args:
        region: with the arrays of this module.
        years: calendar years of the run.
        draws: of the posterior; the first ones are the same for any number of them.
        seed: of the run.
    """
    parcel, known = region.group[PARCEL][:], np.unique(region.days.astype("datetime64[Y]").astype(int) + 1970)
    log_sd = np.sqrt(np.log1p(region.group[ERROR][:].astype(float) ** 2))
    shape = (len(known), int(parcel.max()) + 1)
    normal = np.stack([np.random.default_rng((seed, draw, STREAM)).standard_normal(shape[::-1]).T for draw in range(draws)])
    drawn = np.expm1(log_sd * normal[:, :, parcel] - 0.5 * log_sd**2)
    found = np.zeros((draws, len(known), region.group["tair"].shape[1]), np.float32)
    found[:, :, region.group[CELL][:]] = drawn
    return found[:, np.searchsorted(known, [*years])]


def with_error(rain: Array, water: Array, factor: Array) -> Array:
    """Rain of a day with the water of each draw `[draw, n]`.

    Args:
        rain: with the declared water [mm d-1], `[n]` or `[1]`.
        water: that is declared.
        factor: `factors` of the year and the cells `[draw, n]` or `[draw, 1]`.
    """
    return jnp.maximum(rain + factor * water, 0.0)
