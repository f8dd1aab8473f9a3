"""Leaves that follow the water in a run under changed weather: NIRv and LSWI move by the response to the change of the rain deficit.

A transformation of drivers: for each day, weather cell and draw, response(deficit of the run) - response(deficit without its changes), the
same for all pixels of a plant type in a cell. One slope of an unknown place is drawn for each draw of the posterior and plant type, and
holds everywhere in the region: an upper bound for the total of a region of many places. Running means (`nirv_30d`) have the mean of the
responses of their days; quantiles (`nirv_top`), what a place is, keep their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.causes import LEAF_DRIVERS, departure_name
from hybridflux.data.gaps import trailing_mean
from hybridflux.model.leaf_response import FOLLOWED, LEAF_RESPONSE, MONTH
from hybridflux.process.leaves import WATER, rain_deficit
from hybridflux.region.drivers.open import Region
from hybridflux.vocabulary import split_history, variable


def change_of(name: str) -> str:
    """Name of the change of the deficit that moves a daily map or a running mean of it.

    >>> change_of("nirv_30d")
    'deficit_change_of_nirv_30d'
    """
    return f"deficit_change_of_{name}"


def deficit_changes(region: Region, names: Iterable[str], window: slice) -> dict[str, np.ndarray]:
    """Change of the rain deficit by the changes of a region [mm d-1], `[time, cell]`, for each daily map that follows it.

    Args:
        region: with its changes; nothing is given where its leaves are held, or where no change moves the deficit.
        names: that a model needs.
        window: days of the region.
    """
    followed = [name for name in names if split_history(name)[0] in FOLLOWED]
    if region.leaves is None or not followed:
        return {}
    days, memory = slice(0, len(region.days)), region.leaves.memory_days
    after, before = (rain_deficit(**one.weather(WATER, days), memory_days=memory) for one in (region, replace(region, changes=())))
    change = (after - before).astype(np.float32)
    if not change[window].any():
        return {}
    histories = {name: split_history(name)[1] for name in followed}
    return {change_of(name): (trailing_mean(change, days) if days else change)[window] for name, days in histories.items()}


WEATHER = ("tair", "par", "rain", "vpd")
"""What the drivers of leaves are made of."""
BY_MONTH = {"temperature": "tair", "light": "par", "vpd": "vpd"}
"""Driver of leaves -> the weather whose mean over the last month it is."""


def leaf_drivers(weather: Mapping[str, np.ndarray], memory_days: float) -> dict[str, np.ndarray]:
    """What moves leaves `[time, ...]`: the rain deficit [mm d-1], and means of the last month in the units of the weather.

    Args:
        weather: `tair`, `par`, `rain`, `vpd` on all days.
        memory_days: of the deficit.
    """
    deficit = rain_deficit(**{name: weather[name] for name in WATER}, memory_days=memory_days)
    return {"water": deficit} | {driver: trailing_mean(np.asarray(weather[name]), MONTH) for driver, name in BY_MONTH.items()}


def leaf_departures(region: Region, names: Iterable[str], window: slice) -> dict[str, np.ndarray]:
    """Departures of what moves leaves from the usual year of a region `[time, cell]`.

    Args:
        region: with its usual year.
        names: `causes.departure_name` of those that an output reads, beside other names; nothing is given where it reads none.
        window: days of the region.
    """
    wanted = {departure_name(driver): driver for driver in LEAF_DRIVERS if departure_name(driver) in names}
    if not wanted or not region.usual:
        return {}
    days, memory = slice(0, len(region.days)), LEAF_RESPONSE.memory_days
    actual, usual = (leaf_drivers(one.weather(WEATHER, days), memory) for one in (region, region.in_usual_year))
    return {name: (actual[driver] - usual[driver]).astype(np.float32)[window] for name, driver in wanted.items()}


def follow(name: str, values: Array, slope: Array, change: Array) -> Array:
    """A daily map whose leaves have answered to a change of the deficit `[draw, n]`, within its bounds.

    Args:
        name: of the map, or of a running mean.
        values: without the change, `[n]` or `[draw, n]`.
        slope: of the plant type `[draw]`.
        change: of the deficit [mm d-1], `[n]` or `[1]`.
    """
    base, _ = split_history(name)
    moved = FOLLOWED[base](**{base: values, "response": slope[:, None] * change})
    return jnp.clip(moved, *variable(base).bounds)
