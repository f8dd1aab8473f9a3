"""Whether a region looks like one: its numbers held against the declared ranges of `ranges.py`, one line each, `ok`, `odd` or `wrong`."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hybridflux.region.drivers.open import UNVEGETATED_CODES, Region
from hybridflux.region.drivers.ranges import FEW, FORESTS, NUMBERS, ODD, VEGETATION, WRONG, usual_co2
from hybridflux.region.drivers.read import COLUMNS_AT_ONCE
from hybridflux.region.drivers.tiles_to_map import TilesToMap
from hybridflux.region.store import blocks, layout
from hybridflux.region.store.grid import Tile
from hybridflux.time import TROPIC, warm_season
from hybridflux.vocabulary import PLANT_TYPE_NAMES, PLANT_TYPES

LEVELS = ("ok", "odd", "wrong")
LEAST_DAYS = 10  # of a month, for its mean to be judged
SOME = 4  # tiles that a run looks at
SOME_PIXELS = 10_000  # of a tile, about, that a run looks at
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
LOW = "images that still hold the offset of Sentinel-2 (+1000 since January 2022) look like this: NDVI 0.51 for 0.75 in July"


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Attributes:
        level: one of `LEVELS`.
        what: quantity, land cover, month.
        seen: number, in words.
        usual: range it is held against, in words.
        hint: what looks like this; empty where it is usual.
    """

    level: str
    what: str
    seen: str
    usual: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.level:<6} {self.what}: {self.seen} ({self.usual})" + (f"; {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class Course:
    """The year of a daily map over the pixels of one land cover.

    Attributes:
        name: of the map.
        code: IGBP code of the land cover.
        pixels: looked at.
        mean: of each calendar month `[12]`, NaN where fewer than `LEAST_DAYS` days are known.
        strange: values at a bound (fapar) or impossible (NDVI) on days of the warm season.
        warm: values on days of the warm season.
        gaps: pixels that lack a day.
    """

    name: str
    code: str
    pixels: int
    mean: np.ndarray
    strange: int
    warm: int
    gaps: int


def findings(region: Region, tiles: Sequence[Tile] | None = None, every: int = 1) -> tuple[Finding, ...]:
    """All lines: vegetation by land cover and month, its shares, weather, soil.

    Args:
        region: opened.
        tiles: looked at; all by default.
        every: one pixel of so many is looked at for the vegetation.
    """
    latitude = middle_latitude(region)
    courses = list(vegetation_courses(region, latitude, tiles, every))
    found = [*(_of_course(course, latitude) for course in courses), *_shares(courses), *_weather(region, latitude), *_soil(region, tiles)]
    return tuple(found)


def some_tiles(region: Region) -> list[Tile]:
    """A few tiles with vegetation spread over the region."""
    tiles = TilesToMap.of(region).tiles
    return [tiles[number] for number in np.unique(np.linspace(0, len(tiles) - 1, min(SOME, len(tiles))).astype(int))] if tiles else []


def warn_of_implausible(region: Region) -> None:
    """Warn before a run of what is wrong in some tiles of a region, and of a forest that is less green there than is usual in summer."""
    forests = tuple(f" of {code} " for code in FORESTS)
    found = findings(region, some_tiles(region), max(region.grid.tile**2 // SOME_PIXELS, 1))
    odd = [one for one in found if one.level == "odd" and one.hint.endswith(LOW) and any(forest in one.what for forest in forests)]
    said = [one for one in found if one.level == "wrong"] + odd
    if said:
        lines = "".join(f"\n- {one}" for one in said)
        warnings.warn(f"{region.path} does not look like a region should; `hybridflux region check` shows all of it:{lines}", stacklevel=2)


def worst(found: Iterable[Finding]) -> str:
    """The worst level."""
    return max((one.level for one in found), key=LEVELS.index, default="ok")


def middle_latitude(region: Region) -> float:
    """Latitude of the middle of the grid [degrees north]."""
    grid = region.grid
    return float(grid.lonlat(np.array(grid.x[len(grid.x) // 2]), np.array(grid.y[len(grid.y) // 2]))[1])


def vegetation_courses(region: Region, latitude: float, tiles: Sequence[Tile] | None = None, every: int = 1) -> Iterator[Course]:
    """The year of `fapar`, and of `ndvi` where there is one, for each land cover; one tile in memory at a time, one pixel of `every`."""
    month = region.days.astype("datetime64[M]").astype(int) % 12
    summer = np.isin(month + 1, warm_season(latitude))
    limits = {"fapar": (1, round(1 / layout.SCALE) - 1), "ndvi": (round(-0.2 / layout.SCALE), round(0.98 / layout.SCALE))}
    tiles = list(region.tiles() if tiles is None else tiles)
    for name in (name for name in VEGETATION if region.is_daily(name)):
        sums: dict[int, tuple] = {}
        for tile in tiles:
            for code, added in _sums(region, name, tile, every, summer, limits[name]):
                before = sums.get(code, (0,) * len(added))
                sums[code] = tuple(one + other for one, other in zip(before, added, strict=True))
        for code, (total, count, pixels, strange, warm, gaps) in sorted(sums.items()):
            days = np.bincount(month, count > 0, 12)
            mean = np.bincount(month, total, 12) * layout.SCALE / np.maximum(np.bincount(month, count, 12), 1)
            yield Course(name, PLANT_TYPES[code], pixels, np.where(days >= LEAST_DAYS, mean, np.nan), strange, warm, gaps)


def _sums(region: Region, name: str, tile: Tile, every: int, summer: np.ndarray, limits: tuple[int, int]) -> Iterator[tuple[int, tuple]]:
    """Plant type, and what is added to the sums of its course, of some pixels of a tile at a time."""
    kinds, stored, (low, high) = region.map_of("plant_type", tile)[::every], region.map_of(name, tile)[:, ::every], limits
    for start in range(0, len(kinds), COLUMNS_AT_ONCE):
        here, values = kinds[start : start + COLUMNS_AT_ONCE], stored[:, start : start + COLUMNS_AT_ONCE]
        for code in np.setdiff1d(here, [*UNVEGETATED_CODES, layout.OUTSIDE]):
            part = values[:, here == code]
            known = part != layout.NODATA
            strange = known[summer] & ((part[summer] < low) | (part[summer] > high))
            yield int(code), (
                np.where(known, part, 0).sum(axis=1, dtype=np.int64), known.sum(axis=1), part.shape[1], int(strange.sum()),
                int(known[summer].sum()), int((~known.all(axis=0)).sum()),
            )  # fmt: skip


def _of_course(course: Course, latitude: float) -> Finding:
    """A land cover over the year, by its worst months; shown is the greenest of them, of the warm season where one of it is among them."""
    low, high = VEGETATION[course.name][course.code].at(latitude)
    outside = np.nan_to_num(np.maximum(low - course.mean, course.mean - high), nan=-1.0)
    levels = (outside > ODD).astype(int) + ((outside > WRONG) & (course.pixels >= FEW))
    known, warm = np.isfinite(course.mean), np.isin(np.arange(12) + 1, warm_season(latitude))
    rank = np.nan_to_num(course.mean, nan=-9.0) + 10.0 * (levels == levels.max()) + 1.0 * (warm & known)
    shown = int(np.argmax(rank))
    months = [MONTHS[number] for number in np.flatnonzero(outside > ODD)]
    hint = f"{len(months)} of {np.isfinite(course.mean).sum()} months are outside" if months else ""
    if hint and course.mean[shown] < low[shown] and warm[shown]:
        hint += f"; {LOW}"
    what = f"{course.name} of {course.code} {PLANT_TYPE_NAMES[course.code]}, {MONTHS[shown]}"
    return Finding(LEVELS[levels.max()], what, f"{course.mean[shown]:.2f}", f"{low[shown]:.2f} to {high[shown]:.2f} at towers", hint)


def _shares(courses: Collection[Course]) -> Iterator[Finding]:
    """Pixels that lack a day, values at a bound."""
    fapar, ndvi = ([course for course in courses if course.name == name] for name in ("fapar", "ndvi"))
    if fapar:
        yield _number("missing", 100 * sum(course.gaps for course in fapar) / sum(course.pixels for course in fapar))
    for name, of_name in (("at_bound", [course for course in fapar if course.code != "BSV"]), ("impossible", ndvi)):
        warm = sum(course.warm for course in of_name)
        if warm:
            yield _number(name, 100 * sum(course.strange for course in of_name) / warm)


def _weather(region: Region, latitude: float) -> Iterator[Finding]:
    """Means, shares and seasons of the weather."""
    names = ("tair", "tmin", "par", "par_potential", "vpd", "rain", "co2", "day_fraction")
    values = {name: blocks.read(region.array(name)) for name in names}
    yield _number("tair", np.nanmean(values["tair"]))
    yield _number("tmin", 100 * np.mean(values["tmin"] > values["tair"]))
    yield _number("light", np.nanmean(values["par"]) / max(np.nanmean(values["par_potential"]), 1e-9))
    yield _number("vpd", np.nanmean(values["vpd"]))
    yield _number("co2", np.nanmean(values["co2"]) - usual_co2(1970 + float(np.mean(region.days.astype(int))) / 365.2425))
    if len(region.days) < 365:
        return
    yield _number("rain", np.nanmean(values["rain"]) * 365.2425)
    yield _number("wet", 100 * np.mean(values["rain"] > 1))
    if abs(latitude) > TROPIC:
        month = region.days.astype("datetime64[M]").astype(int) % 12 + 1
        # the half of the year around the summer solstice: half a month later for temperature than for light, which does not matter here
        half = np.isin(month, (4, 5, 6, 7, 8, 9)) == (latitude > 0)
        yield _number("season", np.nanmean(values["tair"][half]) - np.nanmean(values["tair"][~half]))
        yield _number("daylight", np.nanmean(values["day_fraction"][half]) - np.nanmean(values["day_fraction"][~half]))


def _soil(region: Region, tiles: Sequence[Tile] | None) -> Iterator[Finding]:
    """Mean water capacity where there is vegetation."""
    total, count = 0.0, 0
    for tile in region.tiles() if tiles is None else tiles:
        capacity, kinds = region.map_of("soil_capacity", tile), region.map_of("plant_type", tile)
        known = np.isfinite(capacity) & ~np.isin(kinds, [*UNVEGETATED_CODES, layout.OUTSIDE])
        total, count = total + float(capacity[known].sum(dtype=float)), count + int(known.sum())
    if count:
        yield _number("soil", total / count)


def _number(name: str, seen: float) -> Finding:
    row = NUMBERS[name]
    level = row.level(float(seen))
    usual = f"{row.low:g} to {row.high:g}" + (f" {row.units}" if row.units != "1" else "")
    return Finding(level, row.what, f"{seen:.3g}", usual, "" if level == "ok" else row.source)
