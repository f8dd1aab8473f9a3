"""Read what a model needs of one tile of a region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hybridflux.causes import USUAL
from hybridflux.data.gaps import trailing_mean
from hybridflux.region.drivers.open import DERIVED, EXTREMES, INDICES, UNVEGETATED_CODES, Region, unpacked
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import VARIABLES, split_history

OUT_OF_RANGE = "vegetation out of range"
"""Why a pixel is masked: a value of a daily map that the quantity cannot have (`vocabulary.VARIABLES`)."""
COLUMNS_AT_ONCE = 4096  # pixels whose running mean is computed together, to bound memory


@dataclass(frozen=True)
class TileDrivers:
    """What the model needs of one tile.

    Attributes:
        tile: the window.
        pixel: flat index in the tile of each valid pixel `[pixel]`.
        daily: drivers that change by pixel and day `[time, place in the tile]`, float32, or as stored (see `unpacked`); nothing
            sensible at places that are not valid.
        weather: coarse drivers `[time, cell]`, float32.
        cell: weather cell of each pixel `[pixel]`.
        static: covariates `[pixel]`.
        plant_type: `[pixel]`.
        zone: `[pixel]`.
        area: true area `[pixel]`, m2.
        masked: reason -> number of pixels left out.
        places: name of an output -> number by which it parts the pixels (`Output.places`) `[pixel]`.
    """

    tile: Tile
    pixel: np.ndarray
    daily: dict[str, np.ndarray]
    weather: dict[str, np.ndarray]
    cell: np.ndarray
    static: dict[str, np.ndarray]
    plant_type: np.ndarray
    zone: np.ndarray
    area: np.ndarray
    masked: dict[str, int]
    places: dict[str, np.ndarray] = field(default_factory=dict)


def read_against_usual(region: Region, tile: Tile, names: Sequence[str], window: slice) -> TileDrivers:
    """`read_tile`, with the usual daily maps beside those that were where the region has a usual year; weather is read elsewhere."""
    names = list(names)
    stored = _stored(region, tile, names, window)
    drivers = _drivers(region, tile, names, window, stored)
    daily = [name for name in names if region.has_usual(name) and region.is_daily(name)]
    usual = _daily(region.in_usual_year, tile, daily, window, stored) if daily else {}
    drivers.daily.update({USUAL + name: values for name, values in usual.items()})
    return drivers


def read_tile(region: Region, tile: Tile, names: Iterable[str], window: slice) -> TileDrivers:
    """Drivers and covariates of a tile.

    A pixel is masked, and counted, where it is outside the region, has no vegetation, or lacks a driver on any day
    that is needed, or has one there that cannot be; nothing is filled in from its neighbours.

    Args:
        region: opened, whose changes act on what is read.
        tile: of the grid.
        names: that the model needs.
        window: days of the region.

    Raises:
        UnreadableTile: a chunk cannot be read.
    """
    names = list(names)
    return _drivers(region, tile, names, window, _stored(region, tile, names, window))


class _Stored(NamedTuple):
    """Daily maps of a tile as stored `[time, pixel]`, by name, and the days of the region that they are of."""

    maps: dict[str, np.ndarray]
    days: slice


def _stored(region: Region, tile: Tile, names: Sequence[str], window: slice) -> _Stored:
    """Daily maps that `names` are made of, from as many days before the window as running means need."""
    histories = [split_history(name) for name in names if region.is_daily(name)]
    days = slice(max(window.start - max((before for _, before in histories), default=0), 0), window.stop)
    return _Stored({base: region.map_of(base, tile, days) for base in {base for base, _ in histories}}, days)


def _drivers(region: Region, tile: Tile, names: Sequence[str], window: slice, stored: _Stored) -> TileDrivers:
    """`read_tile` of daily maps that were read."""
    raw = stored.maps
    weather = region.weather([name for name in names if region.is_coarse(name)], window)
    kind, zone, cell = (region.map_of(name, tile) for name in ("plant_type", "zone", "cell"))
    rest = [name for name in names if name not in INDICES and not (region.is_coarse(name) or region.is_daily(name))]
    static = _static(region, rest, tile, raw)

    calm = np.ones(region.array("tair").shape[1], bool)
    for values in weather.values():
        calm &= np.isfinite(values).all(0)
    ends_of = {base: (values.min(0), values.max(0)) for base, values in raw.items()}
    checks = {
        "outside": kind == layout.OUTSIDE,
        "no vegetation": np.isin(kind, UNVEGETATED_CODES),
        "no weather": ~calm[np.clip(cell, 0, len(calm) - 1)],
        OUT_OF_RANGE: np.any([_impossible(base, *ends) for base, ends in ends_of.items()] or [np.zeros(kind.shape, bool)], 0),
        "no vegetation series": np.any([low == layout.NODATA for low, _ in ends_of.values()] or [np.zeros(kind.shape, bool)], 0),
        "no covariate": ~np.all([np.isfinite(values) for values in static.values()] or [np.ones(kind.shape, bool)], 0),
    }
    valid, masked = np.ones(kind.shape, bool), {}
    for reason, where in checks.items():
        masked |= {reason: count} if (count := int((valid & where).sum())) or reason != OUT_OF_RANGE else {}
        valid &= ~where
    pixel = np.flatnonzero(valid)
    daily = _daily(region, tile, names, window, stored)
    return TileDrivers(
        tile, pixel.astype(np.int32), daily, weather, cell[pixel], {name: v[pixel] for name, v in static.items()},
        kind[pixel].astype(np.int32), zone[pixel], region.grid.area(tile).reshape(-1)[pixel], masked,
    )  # fmt: skip


def _daily(region: Region, tile: Tile, names: Sequence[str], window: slice, stored: _Stored) -> dict[str, np.ndarray]:
    """Daily series of the window, and running means of them, under the changes of a region."""
    daily = {}
    for name in (name for name in names if region.is_daily(name)):
        base, history = split_history(name)
        series = _series(region, base, stored.maps[base], stored.days, tile)
        daily[name] = (_running_mean(series, history) if history else series)[window.start - stored.days.start :]
    return daily


def _static(region: Region, names: Iterable[str], tile: Tile, read: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Covariates of a tile; `read` are daily maps of it that were read, of all days or not."""
    found = {name: region.map_of(name, tile).astype(np.float32, copy=False) for name in names if name not in DERIVED}
    if "latitude" in names:
        found["latitude"] = region.grid.latitude(tile).reshape(-1)
    for base in dict.fromkeys(EXTREMES[name][0] for name in names if name in EXTREMES):
        whole = base in read and len(read[base]) == len(region.days)
        found |= _extremes(base, read[base] if whole else region.map_of(base, tile))
    return {name: found[name] for name in names}


def _series(region: Region, name: str, raw: np.ndarray, window: slice, tile: Tile) -> np.ndarray:
    """A daily series `[time, place in the tile]`: as stored, or float32 where a change acts on it; a climatology takes the whole record."""
    changes = [change for change in region.changes if name in change.names]
    if any(change.is_usual for change in changes):
        whole = region.map_of(name, tile)
        return np.concatenate([
            region.changed(name, np.where(part == layout.NODATA, np.nan, unpacked(part)).astype(np.float32))[window]
            for part in (whole[:, start : start + COLUMNS_AT_ONCE] for start in range(0, whole.shape[1], COLUMNS_AT_ONCE))
        ], axis=1)  # fmt: skip
    if changes:
        return region.changed(name, unpacked(raw), region.days[window])
    return raw


def _extremes(base: str, series: np.ndarray) -> dict[str, np.ndarray]:
    """The `EXTREMES` of a daily map: quantiles of the known days, linear between ranks, NaN where no day is known; some pixels at a time.

    Scaled integers are sorted by vector instructions, five times as fast as `numpy.quantile` finds two ranks; missing days come first.
    """
    shares = {name: share for name, (of, share) in EXTREMES.items() if of == base}
    most, parts = len(series) - 1, []
    for start in range(0, series.shape[1], COLUMNS_AT_ONCE):
        part = series[:, start : start + COLUMNS_AT_ONCE]
        missing = (part == layout.NODATA).sum(axis=0)
        ranked = np.sort(np.ascontiguousarray(part.T), axis=1)
        at = np.multiply.outer([*shares.values()], np.maximum(most - missing, 0))
        below, pixel = at.astype(int), np.arange(len(ranked))
        low, high = (ranked[pixel, np.minimum(missing + one, most)].astype(float) for one in (below, below + 1))
        parts.append(np.where(missing <= most, low + (at - below) * (high - low), np.nan))
    return dict(zip(shares, (np.concatenate(parts, axis=1) * layout.SCALE).astype(np.float32), strict=True))


def _impossible(name: str, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Where a daily map, as stored, is outside the bounds of its quantity on any day, given its ends over the days `[pixel]`."""
    if name not in VARIABLES:
        return np.zeros(least.shape, bool)
    low, high = (round(bound / layout.SCALE) for bound in VARIABLES[name].bounds)
    return ((least < low) & (least != layout.NODATA)) | (most > high)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """`trailing_mean` in bounded memory."""
    out = np.empty(values.shape, np.float32)
    for start in range(0, values.shape[1], COLUMNS_AT_ONCE):
        part = slice(start, start + COLUMNS_AT_ONCE)
        out[:, part] = trailing_mean(unpacked(values[:, part]), window)
    return out
