"""Where a region lies outside what the towers of the fit have seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from hybridflux.region import layout
from hybridflux.region.store import TileDrivers

OUTSIDE_RANGE = "outside the range of the towers"
Ranges = Mapping[str, tuple[float, float]]


def outside(drivers: TileDrivers, ranges: Ranges) -> dict[str, float]:
    """Pixels of a tile whose covariate is outside the range of the fit; each counts as much as the share of its days outside.

    Args:
        drivers: of the tile.
        ranges: covariate -> lowest and highest value in the fit, in vocabulary units.
    """
    found = {}
    for name, limits in ranges.items():
        if name in drivers.lasting:
            found[name] = float(_beyond(drivers.lasting[name], limits).sum())
        elif name in drivers.weather:
            found[name] = float(_beyond(drivers.weather[name], limits).mean(0)[drivers.cell].sum())
        elif name in drivers.daily:
            values = drivers.daily[name]
            packed = values.dtype == np.int16  # the limits are then rounded as the values were
            beyond = _beyond(values, [round(limit / layout.SCALE) for limit in limits] if packed else limits)
            found[name] = float(beyond.mean(0)[drivers.pixel].sum())
    return {name: round(count, 3) for name, count in found.items()}


def only_within(drivers: TileDrivers, ranges: Ranges, names: Iterable[str]) -> TileDrivers:
    """Without the pixels whose lasting covariates `names` are outside the range of the fit; they are counted as masked."""
    beyond = np.zeros(len(drivers.pixel), bool)
    for name in names:
        beyond |= _beyond(drivers.lasting[name], ranges[name])
    kept = ~beyond
    parts = {name: getattr(drivers, name)[kept] for name in ("pixel", "cell", "plant_type", "zone", "area")}
    lasting = {name: values[kept] for name, values in drivers.lasting.items()}
    return replace(drivers, **parts, lasting=lasting, masked=drivers.masked | {OUTSIDE_RANGE: int(beyond.sum())})


def check_within(names: Iterable[str], ranges: Ranges, is_lasting) -> None:
    """Refuse covariates that pixels cannot be left out by.

    Args:
        names: covariates.
        ranges: of the fit.
        is_lasting: whether a name is a covariate that does not change in time.

    Raises:
        ValueError: one is not read by a network of the model, or changes from day to day.
    """
    for name in names:
        if name not in ranges:
            known = ", ".join(ranges) or "none; fit again"
            raise ValueError(f"the posterior does not know the range of `{name}` at its towers; it knows {known}")
        if not is_lasting(name):
            raise ValueError(f"`{name}` changes from day to day, and a pixel is left out for all days; it is counted in the run report")


def _beyond(values: np.ndarray, limits) -> np.ndarray:
    low, high = limits
    return (values < low) | (values > high)
