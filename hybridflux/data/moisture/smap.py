"""SMAP of NASA: half-orbits (L2), daily composites (L3) and the analysis (L4), HDF5 on the EASE grid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from hybridflux.data.catalog import Dataset
from hybridflux.data.hdf5 import open_hdf5
from hybridflux.data.moisture.daily_moisture import Moisture
from hybridflux.data.weather.border import Extent, choose_cells, wanted_days
from hybridflux.data.weather.netcdf import files_of
from hybridflux.limits import GRID, Refused

_STAMP = re.compile(r"_(\d{8}(?:T\d{6})?)_")
_RETRIEVAL = "Soil_Moisture_Retrieval_Data"
_PASSES = {_RETRIEVAL: "", f"{_RETRIEVAL}_AM": "", f"{_RETRIEVAL}_PM": "_pm"}
_ANALYSIS = {"sm_surface": "ssm", "sm_rootzone": "root_zone"}
_NOT_RECOMMENDED = 1  # bit 0 of retrieval_qual_flag: uncertain quality, or no retrieval at all
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, AttributeError, ValueError)
_RELEASE = re.compile(r"_R\d+_\d+(?=\.)|_Vv\d+_\d+(?=\.)")  # of the composite, and of the science version of L4
_POROUS = 0.9  # m3 m-3; no soil holds more


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Moisture:
    """SMAP at the cells of an extent [m3 m-3]: means of the passes, or of the eight analyses, of a day.

    Of L2 and L3 only retrievals of recommended quality are kept: bit 0 of `retrieval_qual_flag` is 0 (NSIDC, quality flags of the
    passive products). They miss dense forest, where the flag is rarely 0.

    Args:
        dataset: entry of the catalog.
        place: folder, file or pattern of `SMAP_L2_SM_P*`, `SMAP_L3_SM_P*` or `SMAP_L4_SM_gph*` files.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included; days without an overpass are left out.
        utc_offset: UTC offset of the standard days of the region [h], to which half-orbits and analyses are assigned; L3 composites keep
            theirs.

    Raises:
        FileNotFoundError: no file.
        ValueError: a file is damaged or another product, or nothing was observed in the extent on these days.
    """
    days = wanted_days(start, end)
    spacing = dataset.ground_resolution or 0.36
    tables, skipped, names = [], 0, []
    files = files_of(place, (".h5", ".hdf5"))
    _check_versions(files)
    for file in files:
        try:
            with open_hdf5(file) as data:
                pieces = list(_analysis(data, file, utc_offset) if "Geophysical_Data" in data else _retrievals(data, file, utc_offset))
        except Refused:
            raise
        except _DAMAGE as error:
            raise ValueError(f"{file.name} is damaged, cut short or not a SMAP product ({error}); download it again") from error
        names.append(file.name)
        for piece in pieces:
            try:
                inside = piece.iloc[choose_cells(piece["latitude"].to_numpy(), piece["longitude"].to_numpy(), extent, spacing, file.name)]
            except ValueError:
                continue  # an orbit outside the extent
            inside = inside[inside["day"].isin(days)]
            _check_range(inside, file.name)
            skipped += int((~inside["good"]).sum())
            tables.append(inside[inside["good"]])
    table = pd.concat(tables) if tables else pd.DataFrame()
    if table.empty:
        raise ValueError(
            f"{place}: {len(names)} SMAP files, none with a recommended retrieval in {extent} from {days[0]} to {days[-1]} "
            f"({skipped} of uncertain quality were left out)"
        )
    return _moisture(dataset, table, names, skipped)


def _check_versions(files: list[Path]) -> None:
    """Refuse two releases of one granule, which would be averaged.

    Raises:
        ValueError: names the files.
    """
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(_RELEASE.sub("", file.name), file)
        if other is not file:
            raise ValueError(f"{other.name} and {file.name} are two releases of one granule; keep the newest")


def _check_range(table: pd.DataFrame, where: str) -> None:
    """Refuse water contents that no soil holds.

    Raises:
        ValueError: names the highest value.
    """
    for name in ("ssm", "root_zone"):
        if name in table and (highest := float(table.loc[table["good"], name].max())) > _POROUS:
            raise ValueError(f"{where}: `{name}` runs up to {highest:.3g}; soil water is 0 to {_POROUS} m3 m-3: is it in per cent?")


def _retrievals(data: h5py.File, file: Path, utc_offset: float) -> Iterator[pd.DataFrame]:
    """Cells of each pass of a half-orbit or a daily composite."""
    for group, suffix in _PASSES.items():
        if group not in data:
            continue
        latitude, longitude, water, flag = (
            _all(data[group][name + suffix]) for name in ("latitude", "longitude", "soil_moisture", "retrieval_qual_flag")
        )
        if suffix or group != _RETRIEVAL or data[group]["latitude"].ndim == 2:
            day = np.full(len(water), _stamp(file).astype("datetime64[D]"))
        else:
            when = pd.to_datetime(pd.Series(_all(data[group]["tb_time_utc"])).str.decode("ascii").str.strip(), errors="coerce", utc=True)
            day = (when.dt.tz_localize(None) + pd.Timedelta(hours=utc_offset)).to_numpy("datetime64[D]")
        if len({len(part) for part in (day, latitude, longitude, water, flag)}) > 1:
            raise ValueError(f"{file} is damaged: its columns in {group} have different lengths; download it again")
        known = (latitude > -91) & (longitude > -181) & ~np.isnat(day)
        good = (water > 0) & (flag & _NOT_RECOMMENDED == 0)
        columns = {"day": day, "latitude": latitude, "longitude": longitude, "ssm": water, "good": good}
        yield pd.DataFrame({name: part[known] for name, part in columns.items()})


def _analysis(data: h5py.File, file: Path, utc_offset: float) -> Iterator[pd.DataFrame]:
    """Cells of one analysis of three hours."""
    day = (_stamp(file) + np.timedelta64(round(utc_offset * 3600), "s")).astype("datetime64[D]")
    columns = {"latitude": _all(data["cell_lat"]), "longitude": _all(data["cell_lon"])}
    columns |= {ours: _all(data["Geophysical_Data"][theirs]) for theirs, ours in _ANALYSIS.items()}
    table = pd.DataFrame(columns).assign(day=day)
    yield table.assign(good=(table[list(_ANALYSIS.values())] > 0).all(axis=1))


def _all(variable: h5py.Dataset) -> np.ndarray:
    """All values of a variable in one row, as far as a grid may have so many."""
    GRID.check(variable.size, f"{Path(variable.file.filename).name}:{variable.name}")
    return variable[()].ravel()


def _stamp(file: Path) -> np.datetime64:
    match = _STAMP.search(file.name)
    if not match:
        raise ValueError(f"{file.name} carries no date; keep the names of the SMAP files")
    return pd.to_datetime(match[1]).to_numpy().astype("datetime64[s]")


def _moisture(dataset: Dataset, table: pd.DataFrame, names: list[str], skipped: int) -> Moisture:
    """Means of day and cell as arrays."""
    keys = [table["latitude"].astype(float).round(3), table["longitude"].astype(float).round(3)]
    variables = [name for name in ("ssm", "root_zone") if name in table]
    mean = table.groupby([table["day"], *keys])[variables].mean()
    days = np.unique(mean.index.get_level_values(0).to_numpy("datetime64[D]"))
    wide = {name: mean[name].unstack([1, 2]).sort_index().sort_index(axis=1) for name in variables}
    places = wide["ssm"].columns
    origin = {
        "dataset": dataset.id, "files": names[:50], "n_files": len(names), "left_out_uncertain": skipped,
        "kept": "recommended retrievals (bit 0 of retrieval_qual_flag is 0); all cells of analyses",
    }  # fmt: skip
    latitude, longitude = (places.get_level_values(level).to_numpy(float) for level in (0, 1))
    values = {name: part[places].to_numpy(np.float32) for name, part in wide.items()}
    return Moisture(days, values, latitude, longitude, {}, origin, dict.fromkeys(values, "m3 m-3"))
