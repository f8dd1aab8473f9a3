"""Water beyond rain and soil in the crops and the grass of a region, by zone, land cover and growing season."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.irrigation import FORTNIGHT, WEATHER, Soils, beyond_rain, seasons_of
from hybridflux.products.totals import names_of_zones
from hybridflux.progress import Progress
from hybridflux.region.drivers.open import Region, open_region, unpacked
from hybridflux.region.drivers.read import TileDrivers, read_tile
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES

SEARCHED = ("CRO", "GRA")
FILLING = 120  # days before the first season, in which rain fills the soil
AT_ONCE = 2048  # pixels
COLUMNS = ("zone", "land_cover", "year", "area_ha", "probability", "water_mm", "water_q05", "water_q95")


def region_irrigation(region: str | Path | Region, *, draws: int = 32, seed: int = 0, progress: Progress | None = None) -> pd.DataFrame:
    """A row for each zone, land cover and whole growing season.

    `probability` is the mean over the area of the share of draws in which plants stayed green on a dry soil for a fortnight; `water_mm` is
    what they lacked where and in the draws in which they did, the mean over the area and over draws, with the 5 and 95 % of draws.

    Args:
        region: region store with `nirv` or `fapar` and weather, or an open region.
        draws: of the soil.
        seed: of the draws.
        progress: called with (tiles done, all, message).

    Raises:
        ValueError: the region has no whole growing season after its first four months.
    """
    region = region if isinstance(region, Region) else open_region(region)
    soils, greenness, tiles = Soils.drawn(draws, seed), _greenness(region), list(region.tiles())
    season, years = _seasons(region)
    area: dict[tuple[int, str], float] = {}
    sums: dict[tuple[int, str], np.ndarray] = {}
    for number, tile in enumerate(tiles):
        drivers = read_tile(region, tile, (*WEATHER, greenness), slice(0, len(region.days)))
        for key, size, found in _of_tile(drivers, greenness, season, soils):
            area[key], sums[key] = area.get(key, 0.0) + size, sums.get(key, 0.0) + found
        if progress:
            progress(number + 1, len(tiles), f"tile {tile.id}")
    names, rows = names_of_zones(region.zone_names, {zone for zone, _ in area}), []
    for (zone, code), (certain, lacking) in sorted(sums.items()):
        size = area[zone, code]
        for year, share, water in zip(years, certain / size, lacking / size, strict=True):
            rows.append((names[zone], code, year, size / 1e4, share.mean(), water.mean(), *np.quantile(water, (0.05, 0.95))))
    return pd.DataFrame(rows, columns=[*COLUMNS])


def beyond_rain_of(region: Region, year: int, *, draws: int = 32, seed: int = 0) -> Callable[[Tile], np.ndarray]:
    """Function of a tile that says which pixels had water beyond rain in a growing season.

    It gives 1 where plants stayed green on a dry soil in more than half of the draws, 0 where they did not, -1 where neither crops nor
    grass grow `[pixel]`.

    Raises:
        ValueError: the region does not hold the whole season.
    """
    soils, greenness, (season, years) = Soils.drawn(draws, seed), _greenness(region), _seasons(region)
    if year not in years:
        raise ValueError(f"{region.path} does not hold the whole growing season of {year}, which irrigation is seen in")
    at = years.index(year)

    def number(tile: Tile) -> np.ndarray:
        drivers = read_tile(region, tile, (*WEATHER, greenness), slice(0, len(region.days)))
        found = np.full(tile.y.stop - tile.y.start, -1).repeat(tile.x.stop - tile.x.start)
        for _, part, days, _ in _searched(drivers, greenness, season, soils):
            found[drivers.pixel[part]] = (days[at] >= FORTNIGHT).mean(0) > 0.5
        return found

    return number


def _greenness(region: Region) -> str:
    return "nirv" if region.offers("nirv") else "fapar"


def _seasons(region: Region) -> tuple[np.ndarray, tuple[int, ...]]:
    """Number of the growing season of each day, and their years; none in the first days, in which rain fills the soil."""
    south = float(np.mean([region.grid.latitude(tile).mean() for tile in region.tiles()])) < 0
    season, years = seasons_of(region.days[FILLING:], south=south)
    if not years:
        raise ValueError(
            f"{region.path} holds {region.days[0]} to {region.days[-1]}: no whole growing season after the first {FILLING} days, in which "
            "rain fills the soil; build it from the autumn before on"
        )
    return np.concatenate([np.full(FILLING, -1), season]), years


def _searched(
    drivers: TileDrivers, greenness: str, season: np.ndarray, soils: Soils
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Land cover, some of its pixels, and what `beyond_rain` says of them: days and water `[season, draw, pixel]`."""
    for code in SEARCHED:
        mine = np.flatnonzero(drivers.plant_type == PLANT_TYPES.index(code))
        for start in range(0, mine.size, AT_ONCE):
            part = mine[start : start + AT_ONCE]
            series = {name: drivers.weather[name][:, drivers.cell[part]] for name in WEATHER}
            series[greenness] = unpacked(drivers.daily[greenness][:, drivers.pixel[part]])
            yield code, part, *beyond_rain(series, season, soils)


def _of_tile(
    drivers: TileDrivers, greenness: str, season: np.ndarray, soils: Soils
) -> Iterator[tuple[tuple[int, str], float, np.ndarray]]:
    """(zone, land cover), area, and sums over its pixels of area times certainty and area times water `[2, season, draw]`."""
    for code, part, days, water in _searched(drivers, greenness, season, soils):
        certain = days >= FORTNIGHT
        for zone in np.unique(drivers.zone[part]).tolist():
            here = drivers.zone[part] == zone
            size = drivers.area[part][here].astype(np.float64)
            sums = [one[..., here] @ size for one in (certain, np.where(certain, water, 0.0))]
            yield (zone, code), float(size.sum()), np.stack(sums)
