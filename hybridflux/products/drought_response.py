"""What a season has lost in relation to soil moisture: response curves and slopes by class, in every draw of a finished ledger.

Over the pixels: those of a class are parted by how much soil water is left or missing, as the ledger has it, or by the departure of
measured or satellite soil moisture of their cell. The mean loss of each part makes a curve; the slope is that of the line of least squares
through the parts, weighted by area. Over the days: means of ten days of a land cover against those of the measured departure, for which one
cell of a coarse product is enough. Both are responses of the mapped loss, not of an experiment: where dry soil and dry air come together,
a slope of all causes holds both, and `soil_water` its share alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from hybridflux.causes import SOIL_WATER
from hybridflux.products.drought import ALL, changes_of
from hybridflux.products.drought_outputs import PER, WATER, DroughtSeries
from hybridflux.products.drought_pixels import pixels_of, quantities_of_pixels, sums_of
from hybridflux.products.moisture_anomaly import MoistureAnomaly, moisture_anomalies
from hybridflux.products.pixel_classes import OF_COVER, Classes, crossed, placed
from hybridflux.products.rows import SIGN, summary
from hybridflux.products.totals import file_of
from hybridflux.region.spec import Job
from hybridflux.region.store.grid import Tile

PARTS = 8
"""Parts of a curve, at most, with as many pixels each."""
FEWEST = 3  # points of a line
DECADE = 10  # days of a mean
WANTED = (("GPP", ALL), ("GPP", "soil_water"), ("NEE", ALL))
SHARE = "share of capacity"
STEP = {"mm": (PER, "mm"), "m3 m-3": (0.01, "m3 m-3"), "1": (0.1, "of saturation"), SHARE: (0.1, "of capacity")}
"""Units of the water -> by how much of it a slope is."""
MISSING, LEFT = "water missing", "soil water left"
COLUMNS = (
    "by", "class", "against", "over", "quantity", "water_units", "water_from", "water_to", "water", "variable", "cause", "mean", "sd",
    "q05", "q50", "q95", "units", "area_ha", "pixels", "sign",
)  # fmt: skip


@dataclass(frozen=True)
class Water:
    """A quantity of water that losses are looked at against.

    Attributes:
        name: `water missing`, `soil water left`, or dataset and series of soil moisture.
        units: of it.
        pixels: function of a tile that gives it for each of its pixels, NaN where not known.
        sd: between years, of the mean of the season; NaN where not known.
        quantity: of the ledger, of which every draw has its own; empty for what is measured.
    """

    name: str
    units: str
    pixels: Callable[[Tile], np.ndarray]
    sd: float = np.nan
    quantity: str = ""


def response_table(job: Job, classes: Classes) -> pd.DataFrame:
    """Curves and slopes of each class against soil water of the ledger and every soil moisture of the region.

    `quantity` is `curve` (a row for each part of the pixels, with `water_from`, `water_to` and its mean `water`) or `slope`, of all parts
    together; `units` say per what. `soil water left` is what plants could still reach, mean of the season; the water missing is positive
    where there is less than usual, a departure of soil moisture negative. Greener plants use more water, so that more is missing where they
    have grown well, and a slope over pixels may have either sign; what 10 mm cost in the mean is `sensitivity` of the ledger.

    Args:
        job: of a ledger (`drought_pixels.ledger_job`).
        classes: of pixels of its region.
    """
    found = list(moisture_anomalies(job.region, job.calendar.mapped))
    waters = [_of_ledger(job, WATER, MISSING, "mm")]
    if SOIL_WATER in quantities_of_pixels(job):
        waters.insert(0, _of_ledger(job, SOIL_WATER, LEFT, SHARE))
    waters += [Water(one.name, one.units, partial(one.at_pixels, job.region), float(np.nanmean(one.sd))) for one in found]
    rows = [row for water in waters for row in _over_pixels(job, classes, water)]
    if classes.name in OF_COVER:
        rows += [row for one in found for row in _over_days(job, one)]
    table = pd.DataFrame([{"by": classes.name} | row for row in rows], columns=[*COLUMNS])
    return table.assign(spread=str(job.spread), draws=job.draws)


def _of_ledger(job: Job, quantity: str, name: str, units: str) -> Water:
    """Water of the ledger, mean of the season and of the draws, of the pixels of each tile."""
    days, maps, at = len(job.calendar.mapped), {}, quantities_of_pixels(job).index(quantity)
    for tile, pixels in pixels_of(job):
        maps[tile.id] = np.full(tile.shape[0] * tile.shape[1], np.nan)
        maps[tile.id][pixels.pixel] = pixels.sums[:, 0, at].mean(-1) / days
    return Water(name, units, lambda tile: maps[tile.id], quantity=quantity)


def _over_pixels(job: Job, classes: Classes, water: Water) -> Iterator[dict]:
    values = np.concatenate([water.pixels(tile)[pixels.pixel] for tile, pixels in pixels_of(job)])
    edges = parts_of(values[np.isfinite(values)])
    if not len(edges):
        return
    bins = Classes(water.name, tuple(map(str, range(len(edges)))), lambda tile: placed(water.pixels(tile), edges))
    found = sums_of(job, crossed(classes, bins), water.pixels)
    of_class, changes = found.number // len(edges), changes_of(found.sums)
    ends = [*edges[1:], values[np.isfinite(values)].max()]
    for one in np.unique(of_class):
        mine = np.flatnonzero(of_class == one)
        at = found.sums[water.quantity][mine] / found.days if water.quantity else found.value[mine, None]
        place = {"class": classes.labels[one], "against": water.name, "over": "pixels"}
        for variable, cause in WANTED:
            what = {"variable": variable, "cause": cause, "sign": SIGN[variable]}
            for number, part in enumerate(mine):
                which = found.number[part] % len(edges)
                yield place | what | {
                    "quantity": "curve", "water_units": water.units, "water_from": edges[which], "water_to": ends[which],
                    "water": float(at[number].mean()), **summary(changes[variable, cause][part]), "units": "gC m-2",
                    "area_ha": found.area[part] / 1e4, "pixels": int(found.pixels[part]),
                }  # fmt: skip
            size = {"area_ha": found.area[mine].sum() / 1e4, "pixels": int(found.pixels[mine].sum())}
            for row in slopes(at, changes[variable, cause][mine], found.area[mine], water.units, water.sd, "gC m-2"):
                yield place | what | row | size


def parts_of(values: np.ndarray) -> np.ndarray:
    """Lower edges of the parts of some values, with as many of them in each, or each value where there are few; none without values."""
    different = np.unique(values)
    return different if len(different) <= PARTS else np.unique(np.quantile(values, np.arange(PARTS) / PARTS))


def slopes(at: np.ndarray, change: np.ndarray, weight: np.ndarray, water_units: str, sd: float, units: str) -> Iterator[dict]:
    """Rows of the slope through the points of a curve, per step of the water and per standard deviation; none with fewer than three points.

    Args:
        at: water of each point `[point, draw]`, or `[point, 1]` where all draws have the same.
        change: of a flux `[point, draw]`.
        weight: of the points `[point]`.
        water_units: a key of `STEP`.
        sd: of the water between years.
        units: of the change.
    """
    if len(at) < FEWEST or np.ptp(at.mean(-1)) < 1e-9:
        return
    slope = line(at, change, weight)
    size, of = STEP[water_units]
    row = {"quantity": "slope", "water_units": water_units, "water_from": at.mean(-1).min(), "water_to": at.mean(-1).max()}
    row["water"] = float(np.average(at.mean(-1), weights=weight))
    yield row | summary(size * slope) | {"units": f"{units} per {size:g} {of}"}
    if np.isfinite(sd):
        yield row | summary(sd * slope) | {"units": f"{units} per sd of {sd:.2g} {of}"}


def line(at: np.ndarray, change: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Slope of the weighted line of least squares of each draw `[draw]`.

    >>> line(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0]]), np.ones(3)).tolist()
    [2.0, 0.0]
    """
    share = (weight / weight.sum())[:, None]
    away = at - (share * at).sum(0)
    return (share * away * (change - (share * change).sum(0))).sum(0) / (share * away**2).sum(0)


def _over_days(job: Job, moisture: MoistureAnomaly) -> Iterator[dict]:
    """Means of ten days of each land cover against those of the cells."""
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(file_of(job.out, DroughtSeries())) as data:
        data = data.load()
    series = data["series"].transpose("flux", "plant_type", "draw", "time").values
    of = {str(name).lower(): series[number] for number, name in enumerate(data["flux"].values)}
    seen = np.isfinite(moisture.daily)
    daily = np.where(seen.any(1), np.where(seen, moisture.daily, 0.0).sum(1) / np.maximum(seen.sum(1), 1), np.nan)
    for number, kind in enumerate(data["plant_type"].values.astype(str)):
        changes = changes_of({name: values[number] for name, values in of.items()})
        area = float(data["area"].values[number]) / 1e4
        for variable, cause in WANTED:
            at, change, days = decades(daily, changes[variable, cause])
            place = {"class": kind, "against": moisture.name, "over": "days", "variable": variable, "cause": cause, "area_ha": area}
            for row in slopes(at, change, days, moisture.units, np.nan, "gC m-2 d-1"):
                yield place | row | {"sign": SIGN[variable]}


def decades(water: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over ten days of water `[decade, 1]` and change `[decade, draw]` on the days with water, and the number of these.

    Args:
        water: of each day `[day]`, NaN where not observed.
        change: of a flux `[draw, day]`.
    """
    starts = range(0, len(water), DECADE)
    parts = [np.arange(start, min(start + DECADE, len(water))) for start in starts]
    parts = [part[np.isfinite(water[part])] for part in parts]
    parts = [part for part in parts if len(part)]
    at = np.array([[water[part].mean()] for part in parts])
    return at, np.array([change[:, part].mean(1) for part in parts]), np.array([len(part) for part in parts], float)

