"""Copernicus Land: surface soil moisture and soil water index of 1 km, one netCDF file for each day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.moisture.daily_moisture import Moisture
from hybridflux.data.weather.border import Extent, find_band, wanted_days
from hybridflux.data.weather.netcdf import Window, parts, same_cells, window
from hybridflux.units import convert

_WETTEST = 100.0  # %; counts 0 to 200 are data, flags 241 to 254 would be 120.5 to 127 %
_STEP, _ENOUGH = 0.5, 50  # % of a count, and values that show whether they have such steps
_STATE, _FROZEN = "SSF", (2.0, 3.0)  # surface state flag: frozen, melting or under water


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Moisture:
    """SSM or SWI at the cells of an extent, as share of saturation; flags and frozen ground masked.

    Args:
        dataset: entry of the catalog; every band in the files is read, a `quality` band of it too.
        place: folder, file or pattern of netCDF.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included; days without a file are left out.
        utc_offset: UTC offset of the region's standard days [h]; it is only recorded, because the product has daily composites.

    Raises:
        FileNotFoundError: no file.
        ValueError: no file of these days, a day twice or several in a file, fractions instead of per cent, a file is damaged, or the
            extent lies outside.
    """
    days = wanted_days(start, end)
    bands = {band.name: band for band in dataset.bands}
    read_days, windows = [], []
    values: dict[str, list] = {}
    quality: dict[str, list] = {}
    for where, data in parts(place):
        variables = find_band(dataset, data.data_vars)
        if not variables:
            continue
        cells = window(data, extent, None, where)
        if len(cells.stamps) != 1:
            raise ValueError(f"{where} holds {len(cells.stamps)} days; the product has a file a day: split it, or take the original files")
        day = cells.stamps[0].astype("datetime64[D]")
        if day not in days:
            continue
        windows.append(cells)
        read_days.append(day)
        frozen = np.isin(cells.values(data[_STATE]), _FROZEN) if _STATE in data else False
        for band, name in variables.items():
            values.setdefault(band, []).append(np.where(frozen, np.nan, _share(bands[band], data[name], cells)))
            if bands[band].quality in data:
                quality.setdefault(band, []).append(_share(bands[band], data[bands[band].quality], cells))
    if not windows:
        raise ValueError(f"{place}: no file of {dataset.id} between {days[0]} and {days[-1]} holds {', '.join(bands)}")
    return _moisture(dataset, np.array(read_days), windows, values, quality, utc_offset)


def _share(band: Band, variable: xr.DataArray, cells: Window) -> np.ndarray:
    """Counts as share of saturation `[time, cell]`, NaN where flagged; the scale of the file takes precedence over that of the catalog."""
    stored = cells.values(variable)
    percent = stored if "scale_factor" in variable.encoding else stored * band.scale + band.offset
    return convert(np.where((percent >= 0) & (percent <= _WETTEST), percent, np.nan), band.units, "1")


def _check_percent(share: np.ndarray, where: str) -> None:
    """Refuse fractions instead of per cent: values all below 1 %, and not in the steps of half a per cent of the product.

    Raises:
        ValueError: they are likely fractions.
    """
    known = share[np.isfinite(share)]
    steps = known * 100.0 / _STEP
    if known.size >= _ENOUGH and 0 < known.max() <= 0.01 and not np.allclose(steps, steps.round(), atol=1e-3):
        raise ValueError(
            f"{where}: the wettest of {known.size} values is {known.max():.2%} of saturation; the file is perhaps in fractions (0 to 1): "
            "take the original file, or set `scale` of the band in the catalog"
        )


def _moisture(dataset: Dataset, days: np.ndarray, windows: list[Window], values: dict, quality: dict, utc_offset: float) -> Moisture:
    order = np.argsort(days)
    double = days[order][:-1][days[order][1:] == days[order][:-1]]
    if len(double):
        names = ", ".join(piece.where for piece, day in zip(windows, days, strict=True) if day == double[0])
        raise ValueError(f"{names} are both of {double[0]}; keep the newest version of each day")
    cells = same_cells(windows)
    for name, part in values.items():
        _check_percent(np.concatenate(part), f"{windows[0].where} and others, `{name}`")

    def stacked(series):
        return {name.lower(): np.concatenate(part)[order].astype(np.float32) for name, part in series.items() if len(part) == len(days)}

    out = stacked(values)
    if len(out) < len(values):
        few = ", ".join(name for name, part in values.items() if len(part) != len(days))
        raise ValueError(f"{windows[0].where} and others: {few} is not in every file; do not mix products in one folder")
    origin = {
        "dataset": dataset.id, "files": [windows[i].where for i in order][:50], "n_files": len(windows),
        "share_seen": {name: round(float(np.isfinite(part).mean()), 4) for name, part in out.items()},
        "masked": "counts above 100 %, which are flags, and frozen ground where the product flags it",
        "days": "composites of a UTC day", "region_utc_offset": float(utc_offset),
    }  # fmt: skip
    return Moisture(days[order], out, cells.latitude, cells.longitude, stacked(quality), origin, dict.fromkeys(out, "1"))
