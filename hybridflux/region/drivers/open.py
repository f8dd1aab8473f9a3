"""Open a region store: everything checked once; what it offers, its weather and its maps afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from hybridflux.data.gaps import trailing_mean
from hybridflux.model.leaf_response import LeafResponse
from hybridflux.region.drivers.driver_change import TEMPERATURES, Change, read_changes
from hybridflux.region.drivers.usual_weather import typical, usual_course, usual_rain, within
from hybridflux.region.store import blocks, layout
from hybridflux.region.store.checksums import Recorded
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.vocabulary import PLANT_TYPES, UNVEGETATED, VARIABLES, split_history

CLIMATE_YEARS = 3  # of weather, at least, for a climatology made of the region's own record
INDICES = ("plant_type", "site", "site_year")  # looked up, not read by pixel
EXTREMES = {f"{name}_{end}": (name, share) for name in ("fapar", "nirv") for end, share in (("top", 0.95), ("base", 0.05))}
"""Covariates that are quantiles of all days of a pixel: of which daily map, and the share of days below."""
DERIVED = ("latitude", *EXTREMES)
UNVEGETATED_CODES = np.array([PLANT_TYPES.index(code) for code in UNVEGETATED])


class UnreadableTile(ValueError):
    """A chunk of the store that cannot be read."""


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
        usual: changes of drivers that make the usual year of it, where it is mapped against that.
        leaves: response by which NIRv and LSWI move with the rain deficit of the changes; None where leaves are held.
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
    usual: tuple[Change, ...] = ()
    limits: tuple[str, ...] = ()
    leaves: LeafResponse | None = None

    @cached_property
    def group(self) -> zarr.Group:
        """The Zarr group, read only."""
        return zarr.open_group(self.path, mode="r", use_consolidated=False)  # consolidated metadata may be older than the arrays

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array]:
        return {}

    def array(self, name: str) -> zarr.Array:
        """An array of the store, opened once."""
        if name not in self._arrays:
            self._arrays[name] = self.group[name]
        return self._arrays[name]

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

    def with_leaves(self, response: LeafResponse | None) -> Region:
        """The same region, whose NIRv and LSWI follow the rain deficit of its changes (`draws.followed_leaves`), or are held (None)."""
        return dataclasses.replace(self, leaves=response)

    def against(self, usual: Mapping[str, str | Change]) -> Region:
        """The same region, mapped against its usual year: every day has the drivers that were, and usual ones beside them.

        Args:
            usual: driver -> what is usual: `typical`, `climatology`, perhaps of some years (`typical:2001-2010`), or `*1.3`, `+0.02`.

        Raises:
            ValueError: as `read_changes`.
        """
        return dataclasses.replace(self, usual=read_changes(usual))

    @property
    def in_usual_year(self) -> Region:
        """The same region under the usual drivers alone."""
        return dataclasses.replace(self, changes=self.usual, usual=())

    def has_usual(self, name: str) -> bool:
        """Whether a driver, or a running mean of it, has a usual value beside the one that was."""
        base, _ = split_history(name)
        return any(base in change.names for change in self.usual)

    def within(self, *names: str) -> Region:
        """The same region, of whose maps pixels are left out that are unlike the towers of the posterior.

        Args:
            names: static covariates, outside whose range at the towers a pixel is masked; `plant_type` masks types without a tower.
        """
        return dataclasses.replace(self, limits=tuple(dict.fromkeys((*self.limits, *names))))

    def offers(self, name: str) -> bool:
        """Whether a driver or covariate can be had."""
        base, _ = split_history(name)
        return base in self.names or name in INDICES or (name in DERIVED and EXTREMES.get(name, ("fapar",))[0] in self.names)

    def is_coarse(self, name: str) -> bool:
        """Whether a name is weather or a running mean of it, kept by cell."""
        base, _ = split_history(name)
        return base in self.names and self.array(base).metadata.dimension_names == ("time", "cell")

    def is_daily(self, name: str) -> bool:
        """Whether a name changes by pixel and day."""
        base, _ = split_history(name)
        return base in self.names and self.array(base).metadata.dimension_names == ("time", "y", "x")

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
            values = self.changed(base, blocks.read(self.array(base)).astype(np.float32, copy=False))
            found[name] = (trailing_mean(values, history) if history else values)[window]
        return found

    def map_of(self, name: str, tile: Tile, window: slice | None = None) -> np.ndarray:
        """An array of the store over a tile as it is stored, pixels flat: `[pixel]`, or `[time, pixel]` of a daily map.

        Args:
            name: of the array.
            tile: of the grid.
            window: days of a daily map; all by default.

        Raises:
            UnreadableTile: a chunk cannot be read.
        """
        kept, array = self.recorded.get(name), self.array(name)
        places = (tile.y, tile.x) if array.ndim < 3 else (window or slice(None), tile.y, tile.x)
        try:
            values = blocks.read(array, places, kept and kept.fault_of)
            return values.reshape(*values.shape[:-2], -1)
        except blocks.NotAsWritten as error:
            raise UnreadableTile(f"`{name}` of tile {tile.id} in {self.path} {error}; write this tile again") from None
        except blocks.READ_ERRORS as error:
            raise UnreadableTile(f"`{name}` of tile {tile.id} in {self.path} cannot be read ({error}); write this tile again") from error

    def changed(self, name: str, values: np.ndarray, days: np.ndarray | None = None) -> np.ndarray:
        """`values` of a driver on all days, or on some, under the changes of the region."""
        days = self.days if days is None else days
        for change in (change for change in self.changes if name in change.names):
            if not change.is_usual:
                values = change.apply(values, days, name=name)
            elif change.name in TEMPERATURES and change.name != name and change.operation == "climatology":
                leading = self.group[change.name][:].astype(np.float32)  # the course of a day stays: all move by the same difference
                moved = change.apply(leading, days, self._usual(change, change.name, leading)) - leading
                values = np.clip(values + moved, *VARIABLES[name].bounds).astype(np.float32)
            else:
                values = change.apply(values, days, self._usual(change, name, values), name)
        return values

    def _usual(self, change: Change, name: str, values: np.ndarray) -> np.ndarray:
        """What is usual, from the whole record of a driver, on every day `[time, cell]`.

        Where a climatology came with the region for the driver that a change names and none for `name`, which moves along with it, the
        record may be too short to say what is usual: then `name` moves as far as that climatology is from the record of its driver,
        temperatures by the difference and VPD by the factor.
        """
        self.check_years(change)
        given, leading = self._given(name, change), self._given(change.name, change)
        if name == change.name or given is not None or leading is None:
            return self._put(change, name, values, given)
        record = self.group[change.name][:].astype(np.float32)
        before, after = (self._put(change, change.name, record, one) for one in (None, leading))
        ours = self._put(change, name, values, None)
        if name in TEMPERATURES:
            return ours + (after - before)
        return ours * np.divide(after, before, out=np.ones_like(after), where=before > 0)

    def _put(self, change: Change, name: str, values: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        """What `climatology` or `typical` puts in place of a record whose long-term mean by day of the year is `given`, or its own."""
        if change.operation == "climatology":
            return (usual_rain if name == "rain" else usual_course)(values, self.days, given, change.years)
        rain, light = (self.group[one][:].astype(np.float32) for one in ("rain", "par"))
        amounts, usually = name not in TEMPERATURES, self._given("rain", change)
        return typical(values, rain, light, self.days, amounts=amounts, given=given, given_rain=usually, years=change.years)

    def _given(self, name: str, change: Change) -> np.ndarray | None:
        """The long-term mean by day of the year that came with the region `[366, cell]`; none where the change names years."""
        return self.group[f"{name}_climatology"][:] if change.years is None and f"{name}_climatology" in self.names else None

    def check_years(self, change: Change) -> None:
        """Refuse what is usual where there are too few years to say; what moves along with a driver that has a climatology needs none.

        Raises:
            ValueError: no climatology came with the region, and its record is too short or has none of the years.
        """
        if self._given(change.name, change) is not None:
            return
        years = float(within(self.days, change.years).sum()) / 365.25
        if years < (CLIMATE_YEARS if change.years is None else 0.9):
            of = f" in {change.years[0]} to {change.years[1]}" if change.years else ""
            raise ValueError(
                f"`{change}`: {self.path} has {years:.1f} years of {change.name}{of} and a climatology takes {CLIMATE_YEARS}; name years "
                f"that it has (`{change.name}={change.operation}:2017-2019`, one at least), or give it when the region is created "
                f"(`climatology={{'{change.name}': ...}}`)"
            )


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
