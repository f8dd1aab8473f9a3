"""Read a region store: everything checked once when it is opened, drivers of one tile at a time afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from hybridflux.data.gaps import trailing_mean
from hybridflux.region.drivers.driver_change import TEMPERATURES, Change, read_changes
from hybridflux.region.drivers.usual_weather import usual_course, usual_rain
from hybridflux.region.store import layout
from hybridflux.region.store.checksums import Recorded, keys_of
from hybridflux.region.store.chunks import READ_ERRORS
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.vocabulary import HISTORY_DAYS, PLANT_TYPES, UNVEGETATED, VARIABLES

CLIMATE_YEARS = 3  # of weather, at least, for a climatology made of the region's own record
_INDICES = ("plant_type", "site", "site_year")  # looked up, not read by pixel
OUT_OF_RANGE = "vegetation out of range"
"""Why a pixel is masked: a value of a daily map that the quantity cannot have (`vocabulary.VARIABLES`)."""
EXTREMES = {f"{name}_{end}": (name, share) for name in ("fapar", "nirv") for end, share in (("top", 0.95), ("base", 0.05))}
"""Covariates that are quantiles of all days of a pixel: of which daily map, and the share of days below."""
_DERIVED = ("latitude", *EXTREMES)
UNVEGETATED_CODES = np.array([PLANT_TYPES.index(code) for code in UNVEGETATED])
COLUMNS_AT_ONCE = 4096  # pixels whose running mean is computed together, to bound memory


class UnreadableTile(ValueError):
    """A chunk of the store that cannot be read."""


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


@dataclass(frozen=True)
class Region:
    """A region store, opened; reads lazily.

    Attributes:
        path: of the store.
        grid: grid and tiles.
        days: `datetime64[D]`.
        names: arrays of the store.
        zone_names: number -> name.
        time_zone: of a day.
        title: one line.
        warm_up: days at the beginning that are not mapped unless asked for.
        changes: of drivers, applied whenever they are read.
        limits: covariates, or `plant_type`, outside whose range at the towers of a posterior pixels are left out of its maps.
    """

    path: Path
    grid: Grid
    days: np.ndarray
    names: tuple[str, ...]
    zone_names: dict[int, str]
    time_zone: str
    title: str = ""
    warm_up: int = 0
    changes: tuple[Change, ...] = ()
    limits: tuple[str, ...] = ()

    @cached_property
    def group(self) -> zarr.Group:
        """The Zarr group, read only."""
        return zarr.open_group(self.path, mode="r", use_consolidated=False)  # consolidated metadata may be older than the arrays

    @cached_property
    def recorded(self) -> dict[str, Recorded]:
        """Array -> checksums of its chunks, where it carries them."""
        return {name: kept for name in self.names if (kept := Recorded.of(self.path / name)) is not None}

    @property
    def attribution(self) -> list[str]:
        """What a product made of this region must say of its sources, one sentence each; empty where the store does not record them."""
        found = self.group.attrs.get(layout.ATTRIBUTION, ())
        return [found] if isinstance(found, str) else [str(one) for one in found]

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def tiles(self) -> Iterator[Tile]:
        """All tiles of the grid."""
        return self.grid.tiles()

    def with_changes(self, changes: Mapping[str, str | Change]) -> Region:
        """The same region under other drivers.

        Args:
            changes: driver -> `*0.6`, `+2` or `climatology`, perhaps for a part of the time (`*0.6@2018-05-01:`), or a `Change`.

        Raises:
            ValueError: as `read_changes`.
        """
        return dataclasses.replace(self, changes=read_changes({change.name: change for change in self.changes} | dict(changes)))

    def within(self, *names: str) -> Region:
        """The same region, of whose maps pixels are left out that are unlike the towers of the posterior.

        Args:
            names: static covariates, outside whose range at the towers a pixel is masked; `plant_type` masks types without a tower.
        """
        return dataclasses.replace(self, limits=tuple(dict.fromkeys((*self.limits, *names))))

    def offers(self, name: str) -> bool:
        """Whether a driver or covariate can be had."""
        base, _ = split_history(name)
        return base in self.names or name in _INDICES or (name in _DERIVED and EXTREMES.get(name, ("fapar",))[0] in self.names)

    def is_coarse(self, name: str) -> bool:
        """Whether a name is weather or a running mean of it, kept by cell."""
        base, _ = split_history(name)
        return base in self.names and self.group[base].metadata.dimension_names == ("time", "cell")

    def is_daily(self, name: str) -> bool:
        """Whether a name changes by pixel and day."""
        base, _ = split_history(name)
        return base in self.names and self.group[base].metadata.dimension_names == ("time", "y", "x")

    def window(self, start: np.datetime64, end: np.datetime64) -> slice:
        """Positions of the days from `start` to `end`, both included.

        Raises:
            ValueError: they are not all there.
        """
        if start < self.days[0] or end > self.days[-1] or end < start:
            raise ValueError(f"{start} to {end} is not inside the days of {self.path}: {self.days[0]} to {self.days[-1]}")
        return slice(int((start - self.days[0]).astype(int)), int((end - self.days[0]).astype(int)) + 1)

    def weather(self, names: Iterable[str], window: slice) -> dict[str, np.ndarray]:
        """Coarse drivers and their running means `[time, cell]`, changes applied."""
        found = {}
        for name in names:
            base, history = split_history(name)
            values = self._changed(base, self.group[base][:].astype(np.float32, copy=False))
            found[name] = (trailing_mean(values, history) if history else values)[window]
        return found

    def map_of(self, name: str, tile: Tile) -> np.ndarray:
        """An array of the store over a tile as it is stored, pixels flat: `[pixel]`, or `[time, pixel]` of all days.

        Raises:
            UnreadableTile: a chunk cannot be read.
        """
        return self._chunk(name, tile, slice(0, len(self.days)) if self.is_daily(name) else None)

    def read(self, tile: Tile, names: Iterable[str], window: slice) -> TileDrivers:
        """Drivers and covariates of a tile.

        A pixel is masked, and counted, where it is outside the region, has no vegetation, or lacks a driver on any day
        that is needed, or has one there that cannot be; nothing is filled in from its neighbours.

        Args:
            tile: of the grid.
            names: that the model needs.
            window: days of the region.

        Raises:
            UnreadableTile: a chunk cannot be read.
        """
        names = list(names)
        before = max((split_history(name)[1] for name in names if self.is_daily(name)), default=0)
        first = max(window.start - before, 0)
        weather = self.weather([name for name in names if self.is_coarse(name)], window)
        kind, zone, cell = (self._chunk(name, tile) for name in ("plant_type", "zone", "cell"))
        rest = [name for name in names if name not in _INDICES and not (self.is_coarse(name) or self.is_daily(name))]
        daily_names = {split_history(name)[0] for name in names if self.is_daily(name)}
        raw = {base: self._chunk(base, tile, slice(first, window.stop)) for base in daily_names}
        static = self._static(rest, tile, raw)

        calm = np.ones(self.group["tair"].shape[1], bool)
        for values in weather.values():
            calm &= np.isfinite(values).all(0)
        checks = {
            "outside": kind == layout.OUTSIDE,
            "no vegetation": np.isin(kind, UNVEGETATED_CODES),
            "no weather": ~calm[np.clip(cell, 0, len(calm) - 1)],
            "no covariate": ~np.all([np.isfinite(values) for values in static.values()] or [np.ones(kind.shape, bool)], 0),
            OUT_OF_RANGE: np.any([_impossible(base, values) for base, values in raw.items()] or [np.zeros(kind.shape, bool)], 0),
            "no vegetation series": np.any([v.min(0) == layout.NODATA for v in raw.values()] or [np.zeros(kind.shape, bool)], 0),
        }
        valid, masked = np.ones(kind.shape, bool), {}
        for reason, where in checks.items():
            masked |= {reason: count} if (count := int((valid & where).sum())) or reason != OUT_OF_RANGE else {}
            valid &= ~where
        pixel = np.flatnonzero(valid)
        daily = {}
        for name in names:
            if self.is_daily(name):
                base, history = split_history(name)
                series = self._series(base, raw[base], slice(first, window.stop))
                daily[name] = (_running_mean(series, history) if history else series)[window.start - first :]
        return TileDrivers(
            tile, pixel.astype(np.int32), daily, weather, cell[pixel], {name: v[pixel] for name, v in static.items()},
            kind[pixel].astype(np.int32), zone[pixel], self.grid.area(tile).reshape(-1)[pixel], masked,
        )  # fmt: skip

    def _changed(self, name: str, values: np.ndarray, days: np.ndarray | None = None) -> np.ndarray:
        """`values` of all days, or of some, under the changes of the region."""
        days = self.days if days is None else days
        for change in (change for change in self.changes if name in change.names):
            if change.operation != "climatology":
                values = change.apply(values, days, name=name)
            elif change.name in TEMPERATURES and change.name != name:  # the course of a day stays: all move by the same difference
                leading = self.group[change.name][:].astype(np.float32)
                moved = change.apply(leading, days, self._usual(change.name, leading)) - leading
                values = np.clip(values + moved, *VARIABLES[name].bounds).astype(np.float32)
            else:
                values = change.apply(values, days, self._usual(name, values), name)
        return values

    def _usual(self, name: str, values: np.ndarray) -> np.ndarray:
        """The climatology of weather on every day `[time, cell]`."""
        if not self.is_coarse(name):
            raise ValueError(f"`{name}=climatology`: only weather can be set to its climatology")
        given = self.group[f"{name}_climatology"][:] if f"{name}_climatology" in self.names else None
        years = len(self.days) / 365.25
        if given is None and years < CLIMATE_YEARS:
            raise ValueError(
                f"`{name}=climatology`: {self.path} has {years:.1f} years of weather and a climatology takes {CLIMATE_YEARS}; "
                f"give one when the region is created (`climatology={{'{name}': ...}}`)"
            )
        return (usual_rain if name == "rain" else usual_course)(values, self.days, given)

    def _chunk(self, name: str, tile: Tile, window: slice | None = None) -> np.ndarray:
        """An array of the store over a tile, pixels flat."""
        kept, array = self.recorded.get(name), self.group[name]
        for key in keys_of(array, (tile.y, tile.x)) if kept is not None else ():
            fault = kept.fault(key)
            if fault:
                raise UnreadableTile(f"`{name}` of tile {tile.id} in {self.path} {fault} (chunk {key}); write this tile again")
        try:
            if window is None:
                return array[tile.y, tile.x].reshape(-1)
            return array[window, tile.y, tile.x].reshape(window.stop - window.start, -1)
        except READ_ERRORS as error:
            raise UnreadableTile(f"`{name}` of tile {tile.id} in {self.path} cannot be read ({error}); write this tile again") from error

    def _static(self, names: Iterable[str], tile: Tile, read: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Covariates of a tile; `read` are daily maps of it that were read, of all days or not."""
        found = {name: self._chunk(name, tile).astype(np.float32, copy=False) for name in names if name not in _DERIVED}
        if "latitude" in names:
            found["latitude"] = self.grid.latitude(tile).reshape(-1)
        for base in dict.fromkeys(EXTREMES[name][0] for name in names if name in EXTREMES):
            whole = base in read and len(read[base]) == len(self.days)
            found |= _extremes(base, read[base] if whole else self._chunk(base, tile, slice(0, len(self.days))))
        return {name: found[name] for name in names}

    def _series(self, name: str, raw: np.ndarray, window: slice) -> np.ndarray:
        """A daily series `[time, place in the tile]`: as stored, or float32 where a change acts on it."""
        if any(name in change.names for change in self.changes):
            return self._changed(name, unpacked(raw), self.days[window])
        return raw


def _extremes(base: str, series: np.ndarray) -> dict[str, np.ndarray]:
    """The `EXTREMES` of a daily map: quantiles of all days, linear between ranks, missing days as 0; some pixels at a time.

    Scaled integers are sorted by vector instructions, five times as fast as `numpy.quantile` finds two ranks.
    """
    last = len(series) - 1
    shares = {name: share for name, (of, share) in EXTREMES.items() if of == base}
    at = np.array([*shares.values()]) * last
    below, parts = at.astype(int), []
    for start in range(0, series.shape[1], COLUMNS_AT_ONCE):
        part = series[:, start : start + COLUMNS_AT_ONCE]
        ranked = np.sort(np.ascontiguousarray(np.where(part == layout.NODATA, np.int16(0), part).T), axis=1)
        low, high = ranked[:, below].astype(float), ranked[:, np.minimum(below + 1, last)]
        parts.append(low + (at - below) * (high - low))
    return dict(zip(shares, (np.concatenate(parts).T * layout.SCALE).astype(np.float32), strict=True))


def _impossible(name: str, values: np.ndarray) -> np.ndarray:
    """Where a daily map `[time, pixel]`, as stored, is outside the bounds of its quantity on any day `[pixel]`."""
    if name not in VARIABLES or not len(values):
        return np.zeros(values.shape[1:], bool)
    low, high = (round(bound / layout.SCALE) for bound in VARIABLES[name].bounds)
    least = values.min(0)
    return ((least < low) & (least != layout.NODATA)) | (values.max(0) > high)


def unpacked(values: np.ndarray) -> np.ndarray:
    """Numbers of a daily series, float32."""
    return values * np.float32(layout.SCALE) if values.dtype == np.int16 else values


def open_region(path: str | Path, check: bool = True) -> Region:
    """Open a region store.

    Args:
        path: of the store.
        check: look at everything that can be wrong first (`check_region.check_region`).

    Raises:
        FileNotFoundError: no Zarr group there.
        ValueError: everything that is wrong with it, at once; or Zarr of version 2, or damaged metadata.
    """
    from hybridflux.region.store.check_region import check_region, grid_of, open_store

    path = Path(path)
    group = open_store(path)
    if check:
        check_region(path, group)
    numbers = group["zone"].attrs.get("zone_names", {})
    return Region(
        path=path,
        grid=grid_of(group),
        days=layout.days_of(group["time"]),
        names=tuple(sorted(group.array_keys())),
        zone_names={int(number): name for number, name in numbers.items()},
        time_zone=group.attrs.get("time_zone", ""),
        title=group.attrs.get("title", path.stem),
        warm_up=int(group.attrs.get("lead", 0)),
    )


def split_history(name: str) -> tuple[str, int]:
    """`tair_30d` -> (`tair`, 30); `tair` -> (`tair`, 0)."""
    base, _, window = name.rpartition("_")
    return (base, int(window[:-1])) if window in {f"{days}d" for days in HISTORY_DAYS} else (name, 0)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """`trailing_mean` in bounded memory."""
    out = np.empty(values.shape, np.float32)
    for start in range(0, values.shape[1], COLUMNS_AT_ONCE):
        part = slice(start, start + COLUMNS_AT_ONCE)
        out[:, part] = trailing_mean(unpacked(values[:, part]), window)
    return out
