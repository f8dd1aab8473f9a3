"""Green cover in winter and crops a year of a region, by zone, land cover and calendar year."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.totals import names_of_zones
from hybridflux.region.drivers.open import Region, open_region, unpacked
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile
from hybridflux.series import crops_grown, winter_cover
from hybridflux.time import TROPIC
from hybridflux.vocabulary import PLANT_TYPES

SEARCHED = ("CRO", "GRA")
NORTH, SOUTH = (11, 12, 1, 2), (5, 6, 7, 8)
"""Months of winter: between the harvest of late crops and the growth of spring."""
COLUMNS = ("zone", "land_cover", "year", "area_ha", "winter_days", "winter_green", "crops")


def region_cover(region: str | Path | Region) -> pd.DataFrame:
    """Share of the days of winter with green ground, and crops grown up, means over the area of each zone, land cover and calendar year.

    A winter counts to the year in which it ends; `winter_days` are those of it within the series, and `winter_green` is empty where there
    are none, or between the tropics.

    Args:
        region: region store with `fapar` and `fapar_sd`, or an open region.

    Raises:
        ValueError: the region has no `fapar_sd`.
    """
    region = region if isinstance(region, Region) else open_region(region)
    if "fapar_sd" not in region.names:
        raise ValueError(f"{region.path} has no `fapar_sd`, without which cover is not certain; build it with `hybridflux region build`")
    sums: dict[tuple[int, str], np.ndarray] = {}
    years = np.unique(region.days.astype("datetime64[Y]").astype(int)) + 1970
    winter = {sign: winters_of(region.days, months) for sign, months in ((1.0, NORTH), (-1.0, SOUTH), (0.0, ()))}
    for tile in region.tiles():
        for key, part in _of_tile(region, tile, years, winter):
            sums[key] = sums.get(key, 0.0) + part
    rows, names = [], names_of_zones(region.zone_names, {zone for zone, _ in sums})
    for (zone, code), part in sorted(sums.items()):
        for year, (area, seen, days, green, crops) in zip(years.tolist(), part, strict=True):
            share = round(green / seen, 4) if seen else np.nan
            rows.append((names[zone], code, year, area / 1e4, round(days / area), share, round(crops / area, 3)))
    return pd.DataFrame(rows, columns=[*COLUMNS])


def winters_of(days: np.ndarray, months: tuple[int, ...]) -> np.ndarray:
    """Year to which a day of winter counts, 0 for the other days `[time]`."""
    year, month = days.astype("datetime64[Y]").astype(int) + 1970, days.astype("datetime64[M]").astype(int) % 12 + 1
    return np.where(np.isin(month, months), year + ((month >= 11) & (11 in months)), 0)


def _of_tile(
    region: Region, tile: Tile, years: np.ndarray, winter: dict[float, np.ndarray]
) -> Iterator[tuple[tuple[int, str], np.ndarray]]:
    """(zone, land cover) and sums `[year, 5]` of area: 1, 1 where there is a winter, days of winter, green share, crops."""
    kind, zone = region.map_of("plant_type", tile), region.map_of("zone", tile)
    size, latitude = region.grid.area(tile).reshape(-1), float(region.grid.latitude(tile).mean())
    of_year = winter[0.0 if abs(latitude) <= TROPIC else float(np.sign(latitude))]
    calendar = region.days.astype("datetime64[Y]").astype(int) + 1970
    for code in SEARCHED:
        pixels = np.flatnonzero(kind == PLANT_TYPES.index(code))
        fapar, sd = (region.map_of(name, tile)[:, pixels] for name in ("fapar", "fapar_sd"))
        filled = (fapar != layout.NODATA).all(0) & (sd != layout.NODATA).all(0)
        pixels, fapar, sd = pixels[filled], unpacked(fapar[:, filled]), unpacked(sd[:, filled])
        if not pixels.size:
            continue
        grown, part = crops_grown(fapar, sd), np.empty((len(years), 5, pixels.size))
        for number, year in enumerate(years):
            days = of_year == year
            green = winter_cover(fapar, sd, days) if days.any() else np.zeros(pixels.size)
            part[number] = np.stack([np.ones(pixels.size), np.full(pixels.size, days.any()), np.full(pixels.size, days.sum()), green,
                                     grown[calendar == year].sum(0)])  # fmt: skip
        for one in np.unique(zone[pixels]).tolist():
            here = zone[pixels] == one
            yield (one, code), part[..., here] @ size[pixels][here]
