"""Half-hourly or hourly FLUXNET tables to the columns of a daily one."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from hybridflux.data.clock import Noon, check_clock
from hybridflux.units import convert

_STATES = ("TA_F", "SW_IN_F", "SW_IN_POT", "VPD_F", "SWC_F_MDS_1")
_FLUXES = ("NEE_VUT_REF", "GPP_NT_VUT_REF", "GPP_DT_VUT_REF", "RECO_NT_VUT_REF", "RECO_DT_VUT_REF")
HALFHOURLY_COLUMNS = frozenset(
    ("TIMESTAMP_START", "TIMESTAMP_END", "NIGHT", "P_F", "NEE_VUT_REF_QC", "NEE_VUT_REF_RANDUNC", *_STATES, *_FLUXES)
)
OF_HALFHOURS = ("TMIN_F", "TMAX_F", "VPD_F_DAY")
"""Daily columns that official daily files lack, derived from `COLUMNS_OF_HALFHOURS`."""
COLUMNS_OF_HALFHOURS = frozenset(("TIMESTAMP_START", "TIMESTAMP_END", "NIGHT", "SW_IN_POT", "TA_F", "VPD_F"))
_LEAST_SHARE = 46 / 48  # of the steps of a day
_GOOD = 1  # largest quality flag that counts: 0 measured, 1 filled with good quality


def to_daily(table: pd.DataFrame, archive, noon: Noon | None = None, more: Collection[str] = ()) -> pd.DataFrame:
    """Daily FLUXNET columns of half-hours (or hours) of local standard time.

    A day needs 46 of its 48 half-hours (23 of 24 hours). Means over the day; rain is a sum; `TMIN_F` and `TMAX_F` are the extremes; fluxes
    become gC m-2 d-1, except `NEE_VUT_REF_DAY` and `_NIGHT`, which stay umol m-2 s-1 as in official daily files. A `_QC` is the
    share of steps measured or filled with good quality. Night is where the potential radiation is zero.

    Args:
        table: columns of FLUXNET HH or HR files.
        archive: file of the table, for messages.
        noon: noon of the site in local standard time, checked against the light of the table.
        more: further columns, whose mean over the day is taken.

    Raises:
        ValueError: no time stamps, steps that are neither half an hour nor an hour, or stamps that are not local standard time.
    """
    start, per_day = _start(table, archive)
    if "SW_IN_F" in table:
        check_clock(table["SW_IN_F"], start + pd.Timedelta(days=0.5 / per_day), noon, str(archive))
    day = start.dt.floor("D")
    least = int(_LEAST_SHARE * per_day)

    def mean(values: pd.Series) -> pd.Series:
        return values.groupby(day).agg(["mean", "count"]).pipe(lambda d: d["mean"].where(d["count"] >= least))

    out = {name: mean(table[name]) for name in (*_STATES, *more) if name in table}
    out |= {flag: (table[flag] <= _GOOD).groupby(day).mean() for name in more if (flag := f"{name}_QC") in table}
    out |= {name: convert(mean(table[name]), "umol m-2 s-1", "gC m-2 d-1") for name in _FLUXES if name in table}
    if "TA_F" in table:
        known = out["TA_F"].notna()
        extremes = table["TA_F"].groupby(day).agg(["min", "max"])
        out |= {"TMIN_F": extremes["min"].where(known), "TMAX_F": extremes["max"].where(known)}
    night = _night(table)
    for name, of, half in (("TA_F_NIGHT", "TA_F", 1), ("TA_F_DAY", "TA_F", 0), ("VPD_F_DAY", "VPD_F", 0)):
        if of in table:
            out[name] = table[of].where(night == half).groupby(day).mean().where(out[of].notna())
    if "P_F" in table:
        out["P_F"] = table["P_F"].groupby(day).sum(min_count=least)
    if "NEE_VUT_REF_RANDUNC" in table:
        squares = (table["NEE_VUT_REF_RANDUNC"] ** 2).groupby(day).agg(["sum", "count"])
        out["NEE_VUT_REF_RANDUNC"] = convert(np.sqrt(squares["sum"]) / squares["count"].clip(lower=1), "umol m-2 s-1", "gC m-2 d-1")
    daily = pd.DataFrame(out).assign(**_halves(table, day)) if "NEE_VUT_REF" in table else pd.DataFrame(out)
    daily = daily.where(day.groupby(day).size() >= least)
    daily.insert(0, "TIMESTAMP", daily.index.strftime("%Y%m%d"))
    return daily.reset_index(drop=True)


def _start(table: pd.DataFrame, archive) -> tuple[pd.Series, int]:
    """Start of every step, and the number of steps in a day."""
    name = next((c for c in ("TIMESTAMP_START", "TIMESTAMP_END") if c in table), None)
    if name is None:
        raise ValueError(f"{archive} lacks column TIMESTAMP_START, which half-hourly FLUXNET files have")
    stamps = pd.to_datetime(table[name], format="%Y%m%d%H%M", errors="coerce")
    if stamps.isna().any():
        row = int(np.flatnonzero(stamps.isna())[0])
        raise ValueError(f"{archive}, column {name}, row {row + 2}: `{table[name].iloc[row]}` is not a time; YYYYMMDDHHMM is expected")
    steps = stamps.diff()
    if (steps <= pd.Timedelta(0)).any():
        row = int(np.flatnonzero(steps <= pd.Timedelta(0))[0])
        raise ValueError(
            f"{archive}, column {name}, row {row + 2}: {table[name].iloc[row]} comes twice or too late; sort the rows; an hour that comes "
            "twice in autumn is clock time with daylight saving, where local standard time is needed"
        )
    step = steps.median()
    if step not in (pd.Timedelta(minutes=30), pd.Timedelta(hours=1)):
        raise ValueError(f"{archive}: the usual step is {step}; half-hours or hours are expected")
    return (stamps if name == "TIMESTAMP_START" else stamps - step), int(pd.Timedelta(days=1) / step)


def _night(table: pd.DataFrame) -> pd.Series:
    if "SW_IN_POT" in table:
        return (table["SW_IN_POT"] <= 0).astype(float).where(table["SW_IN_POT"].notna())
    return table["NIGHT"] if "NIGHT" in table else pd.Series(np.nan, index=table.index)


def _halves(table: pd.DataFrame, day: pd.Series) -> dict[str, pd.Series]:
    """NEE of the night and of the day, their quality and the number of steps of each."""
    night, nee = _night(table), table["NEE_VUT_REF"]
    good = table["NEE_VUT_REF_QC"] <= _GOOD if "NEE_VUT_REF_QC" in table else None
    out = {}
    for suffix, there in (("NIGHT", night == 1), ("DAY", night == 0)):
        steps = there.groupby(day).sum()
        out[f"{suffix}_D"] = steps.astype(float)
        inside = nee.where(there).groupby(day)
        out[f"NEE_VUT_REF_{suffix}"] = inside.mean().where(inside.count() == steps)
        if good is not None:
            out[f"NEE_VUT_REF_{suffix}_QC"] = (good & there).groupby(day).sum() / steps.where(steps > 0)
    if good is not None:
        out["NEE_VUT_REF_QC"] = good.groupby(day).mean()
    return out
