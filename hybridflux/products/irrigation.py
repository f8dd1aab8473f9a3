"""Water that plants had beyond rain and soil: irrigation, or ground water, seen in plants that stay green where they should be dry.

A soil is filled by rain and emptied by the evaporation of what is green (`water.bucket`), for draws of what is not known of it. Where the
plants of a summer are green on days on which that soil could not supply them, they had other water: the probability is the share of the
draws in which this lasts a fortnight, and the water missing on those days is the least that came from elsewhere. Fields that are
irrigated before the soil is dry, or for frost, are not seen; roots deeper than drawn and ground water look like irrigation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from hybridflux.process import water
from hybridflux.process.vegetation import green
from hybridflux.vocabulary import PARAMETERS

WEATHER = ("tair", "par", "rain")
GREEN, DRY, FORTNIGHT = 0.5, 0.3, 15
"""Cover above which plants are green, share of the demand below which the soil does not supply them, and days of both that are needed."""
NORTH, SOUTH = (5, 6, 7, 8, 9), (11, 12, 1, 2, 3)
"""Months of the growing season; a southern season counts to the year in which it ends."""


@dataclass(frozen=True)
class Soils:
    """Draws of what is not known of a soil under crops, the same for all pixels `[draw]`.

    Attributes:
        capacity: water that roots reach [mm]: 200 with a logarithmic sd of 0.35, roots of 1.0 to 1.7 m in soils that hold 120 to 180 mm a
            metre (FAO-56, Allen et al. 1998, tables 19 and 22).
        evaporation: Makkink coefficient [1], sd of a tenth.
        rain: error of the rain of a season [1], sd of a tenth.
    """

    capacity: NDArray
    evaporation: NDArray
    rain: NDArray

    @classmethod
    def drawn(cls, draws: int = 32, seed: int = 0) -> Soils:
        """Independent draws."""
        normal = np.random.default_rng(seed).normal(size=(3, draws)).astype(np.float32)
        scale = np.float32(PARAMETERS["evaporation_scalar"].typical)
        return cls(200.0 * np.exp(0.35 * normal[0]), scale * np.exp(0.1 * normal[1]), np.exp(0.1 * normal[2]))


def beyond_rain(drivers: Mapping[str, NDArray], season: NDArray, soils: Soils) -> tuple[NDArray, NDArray]:
    """Days on which plants were green on a dry soil, and the water they lacked, of each season.

    Args:
        drivers: `tair`, `par`, `rain`, and `nirv` or `fapar`, daily from some months before the first season on `[time, place]`.
        season: number of the season of each day from 0, -1 outside `[time]`.
        soils: draws.

    Returns:
        Days and water [mm] `[season, draw, place]`.
    """
    cover = np.minimum(np.asarray(green(nirv=drivers["nirv"])), 1.0) if "nirv" in drivers else drivers["fapar"]
    series = {**{name: jnp.asarray(drivers[name], jnp.float32) for name in WEATHER}, "fapar": jnp.asarray(cover, jnp.float32)}
    columns = [jnp.asarray(one, jnp.float32)[:, None] for one in (soils.capacity, soils.evaporation, soils.rain)]
    days, lacking = _walk(series, jnp.asarray(season), *columns, seasons=int(season.max()) + 1)
    return np.asarray(days), np.asarray(lacking)


@partial(jax.jit, static_argnames="seasons")
def _walk(series, season, capacity, evaporation, rain_error, *, seasons: int):
    kept = {name: PARAMETERS[name].typical for name in ("bare_evaporation", "rew_evaporation", "drainage_rate", "snow_melt")}

    def day(state, today):
        (soil_water, snow), days, lacking = state
        season, fapar, weather = today["season"], today["fapar"], {name: today[name] for name in WEATHER}
        weather["rain"] = weather["rain"] * rain_error
        end = water.bucket(
            soil_water=soil_water, snow=snow, fapar=fapar, root_zone_capacity=capacity, evaporation_scalar=evaporation, **weather, **kept
        )
        cover = kept["bare_evaporation"] + (1.0 - kept["bare_evaporation"]) * fapar
        demand = cover * water.potential_evaporation(tair=weather["tair"], par=weather["par"], evaporation_scalar=evaporation)
        supply = soil_water / (capacity * kept["rew_evaporation"])
        counts = (fapar > GREEN) & (supply < DRY) & (season >= 0)
        days = days.at[season].add(jnp.where(counts, 1.0, 0.0))  # a season of -1 adds nothing to the last
        lacking = lacking.at[season].add(jnp.where(counts, demand - end["evapotranspiration"], 0.0))
        return ((end["soil_water"], end["snow"]), days, lacking), None

    places = series["fapar"].shape[1]
    none = jnp.zeros((capacity.shape[0], places), jnp.float32)
    sums = jnp.zeros((seasons, *none.shape), jnp.float32)
    state = ((water.FIRST_FILLING * capacity + none, none), sums, sums)
    (_, days, lacking), _ = jax.lax.scan(day, state, {**series, "season": season})
    return days, lacking


def seasons_of(days: NDArray, *, south: bool = False) -> tuple[NDArray, tuple[int, ...]]:
    """Number of the growing season of each day, -1 outside, and the year of each season that is there as a whole.

    >>> season, years = seasons_of(np.arange("2018-01-01", "2019-09-01", dtype="datetime64[D]"))
    >>> years, int((season == 0).sum()), int(season.max())
    ((2018,), 153, 0)
    """
    month, year = days.astype("datetime64[M]").astype(int) % 12 + 1, days.astype("datetime64[Y]").astype(int) + 1970
    inside = np.isin(month, SOUTH if south else NORTH)
    year = year + (south & (month >= SOUTH[0]))
    whole = [int(one) for one in np.unique(year[inside]) if (inside & (year == one)).sum() >= (151 if south else 153)]
    number = {one: place for place, one in enumerate(whole)}
    return np.array([number.get(int(one), -1) if there else -1 for one, there in zip(year, inside, strict=True)]), tuple(whole)
