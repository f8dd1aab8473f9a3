"""The record of a tower from its files: each is checked, and those of other years are joined."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hybridflux.data.archives import Archive
from hybridflux.data.clock import Noon
from hybridflux.data.fluxnet import Quality, read_tower
from hybridflux.data.fluxnet_table import NoRecord
from hybridflux.data.tower_checks import check_latitude, check_units, drop_outliers
from hybridflux.vocabulary import Variable

_LOG = logging.getLogger("hybridflux.data")


def read_record(
    archive: Archive, quality: Quality, site: pd.Series, more: Sequence[Variable] = (), measured: bool = True
) -> tuple[pd.DataFrame, dict[Archive, pd.DatetimeIndex]]:
    """Checked daily frame of a tower (`read_tower`), and the days that each of its files gives.

    A tower may have files of several processings. The one whose measured NEE ends in the latest year was processed last: it gives all days
    from its first to its last one of measured NEE, and others give the days outside, so that within a period no two processings alternate.
    Of two that end in the same year the longer one comes first. A warning names the files and the days that each gives.

    Args:
        archive: file of the tower, with `others`.
        quality: which days count.
        site: row of the tower in sites.csv.
        more: rows of further targets.
        measured: refuse files without NEE; else those that hold weather alone have its days in place of measured ones.

    Raises:
        NoRecord: no file has a row, and values in each column that is needed; one file without is passed over where others have them.
        ValueError: a file is damaged, has wrong units or contradicts `site`; or two files have measured NEE in the same years, so that
            neither is known to be the later processing.
    """
    frames, unusable = dict[Archive, pd.DataFrame](), dict[Archive, NoRecord]()
    for one in (archive, *archive.others):
        try:
            frames[one] = _checked(one, quality, site, more, measured)
        except NoRecord as error:
            unusable[one] = error
    if not frames:
        raise unusable[archive]
    for why in unusable.values():
        _LOG.warning("a file of %s is not read: %s", archive.site, str(why).partition(";")[0])
    counting = {one: days_that_count(frame, measured) for one, frame in frames.items()}
    if len(frames) == 1 or not any(map(len, counting.values())):
        first = next(iter(frames))
        return frames[first], {first: frames[first].index}
    years = {one: (days[0].year, days[-1].year) for one, days in counting.items() if len(days)}
    alone = {one for one in years if not frames[one]["nee"].notna().any()}  # weather alone
    order = sorted(years, key=lambda one: (one in alone, -years[one][1], years[one][0]))
    for one, other in zip(order, order[1:], strict=False):
        if years[one] == years[other] and (one in alone) == (other in alone):
            what = "weather" if one in alone else "measured NEE"
            raise ValueError(
                f"two files for {archive.site}: {one} and {other} both have {what} of {_period(*years[one])}; two processings of the "
                "same years are not mixed, and nothing says which is the later one: move one of them out of the folder"
            )
    given = _shared_out(frames, [(one, pd.date_range(counting[one][0], counting[one][-1])) for one in order])
    _LOG.warning("%s has %d files: %s", archive.site, len(frames), _who_gives_what(archive, frames, years, given))
    joined = pd.concat([frames[one].loc[days] for one, days in given.items() if len(days)]).sort_index()
    return joined.asfreq("D"), {one: days for one, days in given.items() if len(days)}


def days_that_count(frame: pd.DataFrame, measured: bool) -> pd.DatetimeIndex:
    """Days of measured NEE; of a frame without one those of weather, unless `measured` is asked for."""
    of_fluxes = frame["nee"].notna()
    return frame.index[of_fluxes] if measured or of_fluxes.any() else days_of_weather(frame)


def days_of_weather(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """Days of measured or filled temperature and radiation."""
    return frame.index[frame[["tair", "par"]].notna().all(axis=1)]


def _checked(archive: Archive, quality: Quality, site: pd.Series, more: Sequence[Variable], measured: bool) -> pd.DataFrame:
    frame = read_tower(archive, quality, Noon.of(site["lon"], site["utc_offset"]), more, measured)
    check_units(frame, str(archive))
    check_latitude(frame, site["lat"], str(archive))
    return drop_outliers(frame, str(archive), {row.name: row for row in more})


def _shared_out(frames: dict[Archive, pd.DataFrame], claims: Sequence[tuple[Archive, pd.DatetimeIndex]]) -> dict[Archive, pd.DatetimeIndex]:
    """Days that each file gives: first those between its measured ones, then days of weather alone, which nobody else has."""
    given = {one: frame.index[:0] for one, frame in frames.items()}
    taken = pd.DatetimeIndex([])
    for one, days in (*claims, *((one, frames[one].index) for one, _ in claims)):
        free = frames[one].index.intersection(days).difference(taken)
        given[one], taken = given[one].union(free), taken.union(free)
    return given


def _who_gives_what(
    archive: Archive, frames: dict[Archive, pd.DataFrame], years: dict[Archive, tuple[int, int]], given: dict[Archive, pd.DatetimeIndex]
) -> str:
    said = []
    for one in sorted(frames, key=lambda one: (not len(given[one]), given[one].min())):
        days = given[one]
        if one not in years:
            said.append(f"{one} is not read, for it has no day of measured NEE")
        elif not len(days):
            said.append(f"{one} is not read, for all its days, of {_period(*years[one])}, lie within those of the other")
        else:
            runs = np.split(days, np.flatnonzero(np.diff(days) > np.timedelta64(1, "D")) + 1)  # another file may have days between
            said.append(f"{one} gives {' and '.join(f'{run[0]:%Y-%m-%d} to {run[-1]:%Y-%m-%d}' for run in map(pd.DatetimeIndex, runs))}")
    several = sum(len(days) > 0 for days in given.values()) > 1
    caution = ". Processings differ in thresholds of friction velocity and in partitioning; move a file out of the folder to do without it"
    return "; ".join(said) + (caution if several else "")


def _period(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
