"""From stored views to stored days, a few pixels at a time: the filled series leaves the cache as the integers of a region store."""

from __future__ import annotations

import math

import numpy as np

from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.store import layout
from hybridflux.series.cleaning import clean_lanes
from hybridflux.series.every_day import day_of_lanes, filter_to_days, hold, look_back
from hybridflux.series.lanes import FACTOR, LANES, MEAN, MISSING, VARIANCE, VIEW, L, compiled, record
from hybridflux.series.lanes import A as STORED
from hybridflux.series.lanes import B as STORED_SD
from hybridflux.vocabulary import VARIABLES

_SCALE, _NODATA = np.float32(layout.SCALE), np.int16(layout.NODATA)
_NEAREST = np.float32(3 << 22)  # added and taken away, it rounds a float32 to the nearest integer, halves to the even one


def line_numbers(name: str, line: CalibrationLine | None) -> np.ndarray:
    """A calibration line and the bounds of the stored values as `fill_stored` takes them, float32 `[9]`.

    Offset, slope, lowest, highest and residual standard deviation of the line, then least and largest stored value of the map, and of its
    standard deviation.

    Args:
        name: of the daily map.
        line: None leaves the index as it is.
    """
    line = CalibrationLine(0.0, 1.0, lowest=-np.inf, highest=np.inf) if line is None else line
    bounds = *VARIABLES[name].bounds, *VARIABLES[sd_of(name)].bounds
    return np.array([line.offset, line.slope, line.lowest, line.highest, line.residual_sd, *bounds], np.float32)


@compiled
def fill_stored(stored, pixels, season, axis, between, each_day, variances, lines, maps, kept, rows):
    """Fill some pixels of a tile.

    Args:
        stored: views of the tile `[view, pixel]`, int16.
        pixels: those to fill, which share the tables; for the tables see `fill_tile.Tables`.
        season: at the views `[view]`.
        axis: time steps of the views.
        between: steps from view to view.
        each_day: what the days need.
        variances: hyperparameters.
        lines: `line_numbers` of each map `[line, 9]`.
        maps: mean and standard deviation by each line in turn `[map, time, pixel]`, int16, which is written.
        kept: of `lanes.room`, like `rows`.
        rows: as `kept`.

    Returns:
        Number of clear views, and of rejected ones among them.
    """
    clear = used = 0
    for first in range(0, len(pixels), LANES):
        count = min(LANES, len(pixels) - first)
        for number in range(len(stored)):
            at = record(number + 1) + VIEW
            for i in range(count):
                view = stored[number, pixels[first + i]]
                clear += view != _NODATA
                kept[at + np.uint64(i)] = np.float32(view) * _SCALE - season[number] if view != _NODATA else MISSING
            for i in range(count, LANES):
                kept[at + np.uint64(i)] = MISSING
        clean_lanes(kept, rows, axis, variances)
        for number in range(len(stored)):
            at = record(number + 1) + VIEW
            for i in range(count):
                used += kept[at + np.uint64(i)] == kept[at + np.uint64(i)]
        filter_to_days(kept, rows, between, variances)
        for back in range(len(stored) + 1):
            number = len(stored) - back
            hold(kept, rows, between, number)
            for day in range(between.first[number], between.first[number + 1]):
                day_of_lanes(rows, each_day, day)
                for line in range(len(lines)):
                    _as_stored(rows, lines[line], each_day.season[day], each_day.season_factor[day], variances.widening)
                    for i in range(count):
                        maps[2 * line, day, pixels[first + i]] = rows[STORED + np.uint64(i)]
                        maps[2 * line + 1, day, pixels[first + i]] = rows[STORED_SD + np.uint64(i)]
            look_back(kept, rows, between, variances, number)
    return clear, clear - used


@compiled
def _as_stored(rows, line, season, season_factor, widening):
    """The calibration line (`CalibrationLine.applied`) of a day, in steps of `layout.SCALE`."""
    offset, slope, lowest, highest, residual = line[0], line[1], line[2], line[3], line[4]
    least, largest, least_sd, largest_sd = line[5], line[6], line[7], line[8]
    for i in range(L):
        mean = min(max(offset + slope * (rows[MEAN + i] + season), lowest), highest)
        sd = slope * (math.sqrt(rows[VARIANCE + i] * (rows[FACTOR + i] * widening)) * season_factor)
        sd = math.sqrt(sd * sd + residual * residual)
        rows[STORED + i] = min(max(mean, least), largest) / _SCALE + _NEAREST - _NEAREST
        rows[STORED_SD + i] = min(max(sd, least_sd), largest_sd) / _SCALE + _NEAREST - _NEAREST
