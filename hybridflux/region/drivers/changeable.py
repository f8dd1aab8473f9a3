"""Whether the changes of a run change anything: what the model reads, what the region has, on the days of the run, inside the bounds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hybridflux.causes import SOIL_WATER
from hybridflux.model.leaf_response import FOLLOWED
from hybridflux.process.leaves import WATER
from hybridflux.region.drivers.driver_change import ALONG, Change
from hybridflux.region.drivers.open import UNVEGETATED_CODES, Region, unpacked
from hybridflux.region.drivers.tiles_to_map import TilesToMap
from hybridflux.region.store import layout
from hybridflux.vocabulary import VARIABLES, split_history

ENOUGH = 2048  # pixels of a tile that say how far a change of a daily map goes
WORTH_SAYING = 0.01  # share of values kept at a bound from which on it is reported


def changeable(region: Region, needs: Iterable[str]) -> list[str]:
    """Drivers that a model, or leaves that follow, read and a region has; one counts that only moves others along (`tair` for `tmin`)."""
    read = {split_history(name)[0] for name in needs} | ({*WATER} if region.leaves else set())
    found = [name for name, row in VARIABLES.items() if row.kind == "driver" and name in region.names]
    return [name for name in found if read & {name, *ALONG.get(name, ())}]


def check_changes(region: Region, needs: Iterable[str], days: np.ndarray) -> None:
    """Look at the changes of a region before anything is computed.

    Args:
        region: with its changes.
        needs: names that the model reads.
        days: of the run, spin-up included.

    Raises:
        ValueError: a change that acts on nothing: the region lacks the driver or the model does not read it, its period is outside the
            run, all values would be kept at a bound, or there is no climatology.
    """
    unchanged, known = replace(region, changes=()), changeable(region, needs)
    for change in (one for one in region.changes if one.name != SOIL_WATER):
        if change.name not in known:
            why = "the model does not read it" if change.name in region.names else f"{region.path} does not have it"
            raise ValueError(f"`{change}` would change nothing: {why}; what can be changed here is {', '.join(known) or 'nothing'}")
        if not change.holds(days).any():
            raise ValueError(f"`{change}` would change nothing: the run, spin-up included, is of {days[0]} to {days[-1]}")
        _check_bounds(unchanged, change, days)


def why_leaves_are_held(region: Region, needs: Iterable[str]) -> str | None:
    """Why NIRv and LSWI cannot follow the rain deficit of the changes of a region, in words; None where they can."""
    followed = {split_history(name)[0] for name in needs} & FOLLOWED.keys()
    named = next((str(change) for change in region.changes if change.name in FOLLOWED), None)
    missing = [name for name in WATER if name not in region.names]
    reasons = {
        "the model reads neither NIRv nor LSWI": not followed,
        f"`{named}` says what they do": named is not None,
        f"{region.path} has no {', '.join(missing)} to make a rain deficit of": bool(missing),
        "no change moves the rain deficit": not any(name in WATER for change in region.changes for name in change.names),
        "a run against the usual year has the leaves that were": bool(region.usual),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def check_leaves(region: Region, needs: Iterable[str]) -> None:
    """Refuse leaves that shall follow the water and cannot.

    Raises:
        ValueError: it says why.
    """
    why = why_leaves_are_held(region, needs) if region.leaves is not None else None
    if why:
        raise ValueError(f"leaves cannot follow the water: {why}; hold them (`--leaves held`)")


def _check_bounds(region: Region, change: Change, days: np.ndarray) -> None:
    """Warn of values that would leave the bounds of the driver and are kept at them; a climatology is computed here for the first time."""
    with_change, place = region.with_changes({change.name: change}), np.isin(region.days, days)
    if region.is_coarse(change.name):
        after = with_change.weather([change.name], slice(0, len(region.days)))[change.name]
        before = region.weather([change.name], slice(0, len(region.days)))[change.name]
    elif change.is_usual:
        region.check_years(change)
        return
    else:
        before = _some_pixels(region, change.name)
        after = change.apply(before, region.days)
    acts = place & change.holds(region.days)
    before, after = before[acts], after[acts]
    if change.is_usual:
        return
    wanted, bounds = change.unbounded(before, region.days[acts]), VARIABLES[change.name].bounds
    outside = float(np.mean((wanted < bounds[0]) | (wanted > bounds[1])))
    units = VARIABLES[change.name].units
    if np.array_equal(before, after) or outside == 1.0:
        raise ValueError(f"`{change}` would put or leave every value at a bound of {bounds[0]:g} to {bounds[1]:g} {units}; make it smaller")
    if outside > WORTH_SAYING:
        warnings.warn(
            f"`{change}`: {100 * outside:.0f} % of the values would leave {bounds[0]:g} to {bounds[1]:g} {units} and are kept there; "
            f"the mean goes from {before.mean():.3g} to {after.mean():.3g}, not to {wanted.mean():.3g}",
            stacklevel=2,
        )


def _some_pixels(region: Region, name: str) -> np.ndarray:
    """A daily map `[time, pixel]` of the tile in the middle of those with vegetation, at most `ENOUGH` pixels without a missing day."""
    tiles = TilesToMap.of(region).tiles
    tile = tiles[len(tiles) // 2]
    bare = np.isin(region.group["plant_type"][tile.y, tile.x].reshape(-1), [*UNVEGETATED_CODES, layout.OUTSIDE])
    stored = region.group[name][:, tile.y, tile.x].reshape(len(region.days), -1)[:, ~bare]
    whole = np.flatnonzero((stored != layout.NODATA).all(axis=0))
    return unpacked(stored[:, whole[:: -(-len(whole) // ENOUGH) or 1]])
