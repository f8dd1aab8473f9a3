"""Where a region lies outside what the towers of the fit have seen: in a covariate, or in its plant type.

Of a plant type without a tower a posterior knows what all types share, and else its prior: values per plant type, and the weights of a
network that belong to the type, are those of the prior. Members of an ensemble and NUTS spread like it; a MAP has its median and no spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hybridflux.region.drivers.read import TileDrivers
from hybridflux.region.store import layout
from hybridflux.vocabulary import PLANT_TYPES

PLANT_TYPE = "plant_type"
OUTSIDE_RANGE = "outside the range of the towers"
APPLICABILITY = "area of applicability"
"""Name among what a region lies outside of: the area of applicability (`drivers.dissimilarity`)."""
WITHOUT_TOWER = "of a plant type without a tower"
Ranges = Mapping[str, tuple[float, float]]


def outside(drivers: TileDrivers, ranges: Ranges) -> dict[str, float]:
    """Pixels of a tile whose covariate is outside the range of the fit; each counts as much as the share of its days outside.

    Args:
        drivers: of the tile.
        ranges: covariate -> lowest and highest value in the fit, in vocabulary units.
    """
    found = {}
    for name, limits in ranges.items():
        if name in drivers.static:
            found[name] = float(_beyond(drivers.static[name], limits).sum())
        elif name in drivers.weather:
            found[name] = float(_beyond(drivers.weather[name], limits).mean(0)[drivers.cell].sum())
        elif name in drivers.daily:
            values = drivers.daily[name]
            packed = values.dtype == np.int16  # the limits are then rounded as the values were
            beyond = _beyond(values, [round(limit / layout.SCALE) for limit in limits] if packed else limits)
            found[name] = float(beyond.mean(0)[drivers.pixel].sum())
    return {name: round(count, 3) for name, count in found.items()}


def without_tower(kinds: np.ndarray, at_towers: Mapping[str, int] | None) -> dict[str, int]:
    """Pixels by plant type, of the types that no tower of the fit has; empty where the posterior does not record them.

    Args:
        kinds: plant type of each mapped pixel `[pixel]`.
        at_towers: plant type -> number of towers, or None.

    >>> without_tower(np.array([3, 4, 4]), {"DBF": 2})
    {'MF': 2}
    """
    codes, counts = np.unique(kinds, return_counts=True)
    found = {} if at_towers is None else {PLANT_TYPES[code]: int(count) for code, count in zip(codes, counts, strict=True)}
    return {code: count for code, count in found.items() if code not in at_towers}


def of_unseen(without_tower: Mapping[str, int], pixels: int) -> str:
    """Plant types of a map that no tower of the posterior has, with their share of its pixels, and what to do.

    >>> of_unseen({"MF": 250}, 1000)
    'no tower of the posterior has plant type MF (25.0 % of the pixels), mapped by its prior; leave out with --within plant_type'
    """
    shares = ", ".join(f"{code} ({100 * count / max(pixels, 1):.1f} % of the pixels)" for code, count in without_tower.items())
    return f"no tower of the posterior has plant type {shares}, mapped by its prior; leave out with --within plant_type"


def only_within(drivers: TileDrivers, within: Mapping[str, Sequence]) -> TileDrivers:
    """Without the pixels that are unlike the towers of the fit; they are counted as masked.

    Args:
        drivers: of the tile.
        within: static covariate -> lowest and highest value at the towers, `plant_type` -> the plant types there.
    """
    beyond, unseen = np.zeros(len(drivers.pixel), bool), np.zeros(len(drivers.pixel), bool)
    for name, limits in within.items():
        if name == PLANT_TYPE:
            unseen = ~np.isin(drivers.plant_type, [PLANT_TYPES.index(code) for code in limits])
        else:
            beyond |= _beyond(drivers.static[name], limits)
    kept = ~(beyond | unseen)
    parts = {name: getattr(drivers, name)[kept] for name in ("pixel", "cell", "plant_type", "zone", "area")}
    static = {name: values[kept] for name, values in drivers.static.items()}
    masked = {WITHOUT_TOWER: int(unseen.sum())} if PLANT_TYPE in within else {}
    masked |= {OUTSIDE_RANGE: int((beyond & ~unseen).sum())} if set(within) - {PLANT_TYPE} else {}
    return replace(drivers, **parts, static=static, masked=drivers.masked | masked)


def check_within(names: Iterable[str], ranges: Ranges, at_towers: Mapping[str, int] | None, is_static) -> None:
    """Refuse covariates that pixels cannot be left out by.

    Args:
        names: covariates.
        ranges: of the fit.
        at_towers: plant types of the fit.
        is_static: whether a name is a covariate that does not change in time.

    Raises:
        ValueError: one is not read by a network of the model, or changes from day to day, or the posterior does not record it.
    """
    for name in names:
        if name == PLANT_TYPE:
            if at_towers is None:
                raise ValueError("the posterior does not record the plant types of its towers; fit it again to use `within` plant_type")
            continue
        if name not in ranges:
            known = ", ".join([*ranges, *([] if at_towers is None else [PLANT_TYPE])]) or "none; fit again"
            raise ValueError(f"the posterior does not know the range of `{name[:40]}` at its towers; it knows {known}")
        if not is_static(name):
            raise ValueError(f"`{name}` changes from day to day, and a pixel is left out for all days; it is counted in the run report")


def _beyond(values: np.ndarray, limits) -> np.ndarray:
    low, high = limits
    return (values < low) | (values > high)
