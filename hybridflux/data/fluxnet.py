"""One tower in vocabulary names and units: FLUXNET tables in, a daily frame out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hybridflux.data.archives import Archive
from hybridflux.data.clock import Noon
from hybridflux.data.delimited import quoted
from hybridflux.data.fluxnet_table import NoRecord, read_table
from hybridflux.data.halfhourly import COLUMNS_OF_HALFHOURS, HALFHOURLY_COLUMNS, OF_HALFHOURS, to_daily
from hybridflux.units import convert, shortwave_to_par
from hybridflux.vocabulary import VARIABLES, Variable

_LOG = logging.getLogger("hybridflux.data")
_WEATHER = ("TA_F", "SW_IN_F", "VPD_F", "P_F")
_FLUXES = ("NEE_VUT_REF", "NEE_VUT_REF_DAY", "NEE_VUT_REF_NIGHT")
_OPTIONAL = (
    "TA_F_NIGHT", "TA_F_DAY", "VPD_F_DAY", "TMIN_F", "TMAX_F", "SW_IN_POT", "DAY_D", "NIGHT_D", "SWC_F_MDS_1", "SWC_F_MDS_1_QC",
    "MET_SOURCE", "QC_FILTERED", "NEE_VUT_REF_RANDUNC", "NEE_RANDUNC_EST", "NEE_VUT_REF_QC",
    "NEE_VUT_REF_DAY_QC", "NEE_VUT_REF_NIGHT_QC", "GPP_NT_VUT_REF", "GPP_DT_VUT_REF", "RECO_NT_VUT_REF", "RECO_DT_VUT_REF",
)  # fmt: skip
DAILY_COLUMNS = frozenset(("TIMESTAMP", *_WEATHER, *_FLUXES, *_OPTIONAL))

_SAME_UNITS = ("tair", "tmin", "tmax", "tair_night", "tair_day", "vpd", "vpd_day", "rain")
DRIVERS = (*_SAME_UNITS, "par", "par_potential", "day_fraction", "swc")
"""Drivers a FLUXNET file can give, NaN where it does not."""
TARGETS = ("nee", "nee_day", "nee_night", "gpp", "reco")


@dataclass(frozen=True)
class Quality:
    """Which days count as measured.

    Attributes:
        share: least share of measured or well-filled half-hours of a flux [1].
        exclude_met: values of the column MET_SOURCE whose days are left out.
    """

    share: float = 0.75
    exclude_met: tuple[str, ...] = ("neighbour",)

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"qc is {self.share}; it is a share between 0 and 1, 0.75 for three quarters of the half-hours")


def read_tower(
    archive: Archive, quality: Quality, noon: Noon | None = None, more: Sequence[Variable] = (), measured: bool = True
) -> pd.DataFrame:
    """Daily drivers, quality-checked targets and `nee_uncertainty` of one tower, in vocabulary units, on its local standard days.

    `swc_measured` is `swc` of the days whose flag is good enough, all where a file has no flag of soil water.

    Where a site has no variable friction-velocity threshold (VUT), its fluxes of the constant one (CUT) are taken, with a warning.

    Args:
        archive: the file.
        quality: which days count.
        noon: of the site in local standard time; half-hourly stamps are checked against it.
        more: rows of further targets, whose `fluxnet` is a column in their units; NaN on all days where a file lacks it.
        measured: refuse a file without NEE; else its targets are NaN.

    Raises:
        NoRecord: there is no row, or a column has no value.
        ValueError: a column is missing, days are doubled or unsorted, steps are not days; says where and what to do.
    """
    table = _table(archive, noon, _columns(more))
    required = (*_WEATHER, _FLUXES[0]) if measured else _WEATHER
    missing = [name for name in required if name not in table]
    if missing:
        raise ValueError(
            f"{archive} lacks column {', '.join(missing)}; hybridflux reads the FLUXNET product (FULLSET or SUBSET, ICOS FLUXNET L2, "
            "AmeriFlux FLUXNET), not BASE or raw files"
        )
    empty = [name for name in required if table[name].isna().all()]
    if empty:
        lacks = (
            "-9999 on all days" if archive.resolution == "DD"
            else "no day has values in 46 of its 48 half-hours (23 of 24 hours), which the mean of a day needs, nights too"
        )  # fmt: skip
        raise NoRecord(f"{archive}, column {empty[0]}: {lacks}; leave this site out with `sites`, or get a fuller file")
    frame = pd.concat([_drivers(table), _targets(table, quality, archive), _more(table, quality, more)], axis=1)
    return frame.asfreq("D")


def _more(table: pd.DataFrame, quality: Quality, rows: Sequence[Variable]) -> pd.DataFrame:
    """Further targets on the days whose flag is good enough, on all days where a file has no flag of them."""
    out = {}
    for row in rows:
        usual = VARIABLES[row.name].fluxnet if row.name in VARIABLES else row.fluxnet  # LE_CORR is filled where LE_F_MDS is
        flag = _column(table, f"{row.fluxnet}_QC" if f"{row.fluxnet}_QC" in table else f"{usual}_QC").fillna(1.0)
        out[row.name] = _column(table, row.fluxnet).where(flag >= quality.share)
    return pd.DataFrame(out, table.index)


def _table(archive: Archive, noon: Noon | None, more: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Daily FLUXNET columns, indexed by day; what only half-hours tell from a finer table where the daily one lacks it."""
    daily = archive.resolution == "DD"
    wanted = (DAILY_COLUMNS if daily else HALFHOURLY_COLUMNS) | more | {f"{column}_QC" for column in more}
    wanted |= {name.replace("_VUT_", "_CUT_") for name in wanted}
    table = _threshold(read_table(archive, wanted), archive)
    if table.empty:
        raise NoRecord(f"{archive} has a header and no rows; download it again")
    if not daily:
        table = to_daily(table, archive, noon, more)
    if "TIMESTAMP" not in table:
        raise ValueError(f"{archive} lacks column TIMESTAMP; the daily FLUXNET file has it")
    table.index = _days(table.pop("TIMESTAMP"), archive)
    if archive.finer is not None and not set(OF_HALFHOURS) <= set(table):
        finer = to_daily(read_table(archive.finer, COLUMNS_OF_HALFHOURS), archive.finer)
        days = _days(finer["TIMESTAMP"], archive.finer)
        for name in set(OF_HALFHOURS) & set(finer) - set(table):
            table[name] = finer[name].set_axis(days).reindex(table.index)
    return table


def _columns(rows: Sequence[Variable]) -> frozenset[str]:
    """Columns of further targets, and of their usual form, whose flag counts."""
    return frozenset(name for row in rows for name in (row.fluxnet, VARIABLES[row.name].fluxnet if row.name in VARIABLES else None) if name)


def _threshold(table: pd.DataFrame, archive: Archive) -> pd.DataFrame:
    """The fluxes of the variable threshold, or of the constant one under the same names."""
    constant = [name for name in table if "_CUT_" in name]
    has_variable = "NEE_VUT_REF" in table and table["NEE_VUT_REF"].notna().any()
    if has_variable or "NEE_CUT_REF" not in table:
        return table.drop(columns=constant)
    _LOG.warning("%s has no NEE_VUT_REF; NEE_CUT_REF, with a constant friction-velocity threshold, is taken", archive)
    table = table.drop(columns=[name for name in table if "_VUT_" in name])
    return table.rename(columns={name: name.replace("_CUT_", "_VUT_") for name in constant})


def _days(stamps: pd.Series, archive: Archive) -> pd.DatetimeIndex:
    days = pd.to_datetime(stamps.str.replace("-", ""), format="%Y%m%d", errors="coerce")  # 2018-12-31 has one meaning too
    if days.isna().any():
        row = int(np.flatnonzero(days.isna())[0])
        stamp = stamps.iloc[row]
        raise ValueError(f"{archive}, column TIMESTAMP, row {row + 2}: {quoted(stamp)} is not a day; YYYYMMDD is expected{_lost(stamp)}")
    numbers = days.to_numpy("datetime64[D]").astype(int)
    step, apart = np.diff(numbers), np.diff(np.unique(numbers))
    if len(apart) and np.median(apart) >= 2:
        raise ValueError(f"{archive}: rows are {int(np.median(apart))} days apart; the daily (DD) file is needed, not weeks or months")
    if (step <= 0).any():
        row = int(np.flatnonzero(step <= 0)[0]) + 1
        what = "twice" if step[row - 1] == 0 else "after a later day"
        raise ValueError(f"{archive}, column TIMESTAMP, row {row + 2}: {stamps.iloc[row]} comes {what}; sort the rows, each day once")
    return pd.DatetimeIndex(days, name="time")


def _lost(stamp: str) -> str:
    return ", and a spreadsheet has rounded it away; take the file as downloaded" if "E+" in stamp.upper() else ""


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table else pd.Series(np.nan, index=table.index)


def _drivers(table: pd.DataFrame) -> pd.DataFrame:
    out = {name: _column(table, VARIABLES[name].fluxnet) for name in _SAME_UNITS}
    out["tmin"] = out["tmin"].where(out["tmin"] <= out["tair"])  # the two come from different sources on mixed days
    out["tmax"] = out["tmax"].where(out["tmax"] >= out["tair"])
    out["par"] = shortwave_to_par(table["SW_IN_F"])
    out["par_potential"] = shortwave_to_par(_column(table, "SW_IN_POT"))
    day, night = _column(table, "DAY_D"), _column(table, "NIGHT_D")
    out["day_fraction"] = day / (day + night)
    out["swc"] = convert(_column(table, VARIABLES["swc"].fluxnet), "%", "m3 m-3")
    return pd.DataFrame(out)[list(DRIVERS)]


def _check_shares(table: pd.DataFrame, archive: Archive) -> None:
    """Refuse flags of daily values that are no shares of half-hours."""
    for name in (f"{flux}_QC" for flux in (*_FLUXES, "SWC_F_MDS_1")):
        if (most := _column(table, name).max()) > 1.0:
            raise ValueError(
                f"{archive}, column {name} goes up to {most:g}; the flag of a day is the share of measured or well-filled half-hours, 0 to "
                "1: divide per cent by 100; classes of 0 to 3 are of half-hours, and say too little of a day"
            )


def _targets(table: pd.DataFrame, quality: Quality, archive: Archive) -> pd.DataFrame:
    nee = _column(table, "NEE_VUT_REF")
    if nee.notna().any() and "NEE_VUT_REF_QC" not in table and "QC_FILTERED" not in table:
        raise ValueError(f"{archive} lacks column NEE_VUT_REF_QC, which tells measured days from filled ones; use the FLUXNET product")
    _check_shares(table, archive)
    met = ~table["MET_SOURCE"].isin(quality.exclude_met) if "MET_SOURCE" in table else pd.Series(True, index=table.index)
    good = {name: met & (_column(table, f"{name}_QC") >= quality.share) for name in _FLUXES}
    good["NEE_VUT_REF"] |= met & (_column(table, "QC_FILTERED") == 1)
    nee_good = good["NEE_VUT_REF"] & nee.notna()
    out = {"nee": nee.where(nee_good)}
    for name in ("nee_day", "nee_night"):
        column = VARIABLES[name].fluxnet
        out[name] = convert(_column(table, column), "umol m-2 s-1", "gC m-2 d-1").where(good[column])
    for name, flux in (("gpp", "GPP"), ("reco", "RECO")):
        night, day = (_column(table, f"{flux}_{method}_VUT_REF") for method in ("NT", "DT"))
        out[name] = night.fillna(day).where(nee_good)  # never a mean of the two: NEE = RECO - GPP holds within one method
    water = VARIABLES["swc"].fluxnet
    known = _column(table, f"{water}_QC").fillna(1.0) >= quality.share  # a file without a flag gives what was measured
    out["swc_measured"] = convert(_column(table, water).where(known), "%", "m3 m-3")
    error = _column(table, "NEE_VUT_REF_RANDUNC").fillna(_column(table, "NEE_RANDUNC_EST"))
    out["nee_uncertainty"] = error.where(nee_good & (error > 0))
    return pd.DataFrame(out)
