"""Mowing and harvest of a region from its vegetation series: a table of events that the ledger reads.

Each pixel of grassland and cropland is searched on its own (`series.find_cuts`). Pixels of a zone and land cover whose cuts fall into the
same ten days become one row, with their share of the area, their mean probability and day. A row says since when its plants had grown: the
day of the cut before, or of the one before that where the former is not sure. In a draw of the ledger, the pixels of a row share one fate:
an upper bound of the error that the dates bring to a zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.harvest import crop_of
from hybridflux.products.totals import names_of_zones
from hybridflux.progress import Progress
from hybridflux.region.drivers.open import Region, open_region, unpacked
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile
from hybridflux.series import CROP, GRASS, Cuts, find_cuts, seen_days
from hybridflux.vocabulary import PLANT_TYPES

SEARCHED = {"GRA": (GRASS, "mowing"), "CRO": (CROP, "harvest")}
"""Plant type -> hyperparameters of its cuts, and what a cut is called."""
BIN = 10  # days of a row
LEAST = 0.1  # probability below which a cut is left out
AT_ONCE = 4096  # pixels
HALF_YEAR = 183  # days by which the season is shifted south of the equator
COLUMNS = ("zone", "land_cover", "date", "event", "share", "probability", "date_sd", "since", "crop")


def region_events(region: str | Path | Region, *, progress: Progress | None = None) -> pd.DataFrame:
    """Events of a region, one row for each zone, land cover and ten days with a cut; columns of `management.read_events`.

    Args:
        region: region store with `fapar` and `fapar_sd`, or an open region.
        progress: called with (tiles done, all, message).

    Raises:
        ValueError: the region has no `fapar_sd`.
    """
    region = region if isinstance(region, Region) else open_region(region)
    area: dict[tuple[int, int], float] = {}
    rows: dict[tuple[int, int, int], np.ndarray] = {}
    tiles = list(region.tiles())
    for number, tile in enumerate(tiles):
        for key, sums in _of_tile(region, tile, area):
            rows[key] = rows.get(key, 0.0) + sums
        if progress:
            progress(number + 1, len(tiles), f"tile {tile.id}")
    names = names_of_zones(region.zone_names, {zone for zone, *_ in rows})
    listed = [_row(region, names[zone], kind, sums, area[zone, kind]) for (zone, kind, _), sums in sorted(rows.items())]
    return pd.DataFrame(listed, columns=[*COLUMNS])


def _of_tile(region: Region, tile: Tile, area: dict[tuple[int, int], float]) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    """(zone, plant type, bin) and sums over its pixels of area times 1, p, p day, p day^2, p sd^2, p since; `area` is added to."""
    zone, size = region.map_of("zone", tile), region.grid.area(tile).reshape(-1)
    for code in SEARCHED:
        kind = PLANT_TYPES.index(code)
        for here, cuts in cuts_of(region, tile, code):
            for one in np.unique(zone[here]).tolist():
                area[one, kind] = area.get((one, kind), 0.0) + size[here][zone[here] == one].sum()
            yield from _binned(cuts, zone[here], kind, size[here])


def cuts_of(region: Region, tile: Tile, code: str) -> Iterator[tuple[np.ndarray, Cuts]]:
    """Pixels of a plant type, by their numbers in a tile, and their cuts, on the axis of the days of the region; some pixels at a time.

    Raises:
        ValueError: the region has no `fapar_sd`.
    """
    if "fapar_sd" not in region.names:
        raise ValueError(f"{region.path} has no `fapar_sd`, which shows the days with a view; build it with `hybridflux region build`")
    first = _day_of_year(region.days[0]) + (HALF_YEAR if region.grid.latitude(tile).mean() < 0 else 0)
    pixels = np.flatnonzero(region.map_of("plant_type", tile) == PLANT_TYPES.index(code))
    if not pixels.size:
        return
    fapar, sd = (region.map_of(name, tile)[:, pixels] for name in ("fapar", "fapar_sd"))
    filled = np.flatnonzero((fapar != layout.NODATA).all(0) & (sd != layout.NODATA).all(0))
    for start in range(0, filled.size, AT_ONCE):
        part = filled[start : start + AT_ONCE]
        values, days = seen_days(unpacked(fapar[:, part]), unpacked(sd[:, part]))
        yield pixels[part], find_cuts(values, days, first=first, model=SEARCHED[code][0])


def mowings(region: Region, tile: Tile, year: int) -> np.ndarray:
    """Expected number of mowings of each pixel of grassland in a calendar year, rounded, 3 at most; -1 elsewhere `[pixel]`.

    Raises:
        ValueError: as `cuts_of`.
    """
    number = np.full(tile.y.stop - tile.y.start, -1).repeat(tile.x.stop - tile.x.start)
    first, end = ((np.datetime64(f"{one}-01-01") - region.days[0]).astype(int) for one in (year, year + 1))
    for here, cuts in cuts_of(region, tile, "GRA"):
        inside = (cuts.day >= first) & (cuts.day < end)
        number[here] = np.minimum(np.round(np.where(inside, cuts.probability, 0.0).sum(0)), 3)
    return number


def _binned(cuts, zone: np.ndarray, kind: int, size: np.ndarray) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    since = np.zeros(cuts.day.shape)
    last = np.zeros(cuts.day.shape[1])
    for view in range(len(since)):
        since[view] = last
        chance = cuts.probability[view]
        last = np.where(chance > 0, chance * cuts.day[view] + (1 - chance) * last, last)
    view, pixel = np.nonzero(cuts.probability >= LEAST)
    chance, day, sd = (values[view, pixel] for values in (cuts.probability, cuts.day, cuts.sd))
    weight = size[pixel]
    sums = np.stack([weight, *(weight * chance * one for one in (1.0, day, day**2, sd**2, since[view, pixel]))], -1)
    keys, place = np.unique(np.stack([zone[pixel], day.astype(int) // BIN]), axis=1, return_inverse=True)
    for number, (one, ten_days) in enumerate(keys.T.tolist()):
        yield (one, kind, ten_days), sums[place == number].sum(0)


def _row(region: Region, zone: str, kind: int, sums: np.ndarray, area: float) -> dict:
    whole, sure, day, square, error, since = sums
    mean = day / sure
    return {
        "zone": zone,
        "land_cover": PLANT_TYPES[kind],
        "date": str(region.days[0] + int(round(mean))),
        "event": SEARCHED[PLANT_TYPES[kind]][1],
        "share": round(min(whole / area, 1.0), 6),
        "probability": round(sure / whole, 4),
        "date_sd": round(float(np.sqrt(max(square / sure - mean**2, 0.0) + error / sure)), 2),
        "since": str(region.days[0] + min(int(since / sure), int(round(mean)) - 1)),
        "crop": crop_of(zone) if PLANT_TYPES[kind] == "CRO" else "",
    }


def _day_of_year(day: np.datetime64) -> int:
    return int((day - day.astype("datetime64[Y]")).astype(int)) + 1
