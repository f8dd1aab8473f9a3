"""A folder of eddy-covariance towers as one aligned, checked data set."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.data.alignment import align, days_before, describe, of_years
from hybridflux.data.archives import FOLDERS, Archive, Survey, survey
from hybridflux.data.carbon_dioxide import daily_co2
from hybridflux.data.fluxnet import TARGETS, Quality
from hybridflux.data.fluxnet_table import NoRecord
from hybridflux.data.gaps import CLIMATOLOGY, FLAGS, trailing_mean
from hybridflux.data.reflectance import INDICES_AT_TOWERS, read_reflectance
from hybridflux.data.site_table import SiteTable, column_of, covariate, parse_years, pick_sites, read_sites
from hybridflux.data.tower_checks import Screen
from hybridflux.data.tower_files import days_of_weather, read_record
from hybridflux.data.vegetation import read_vegetation
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, VARIABLES, Variable, is_own, split_history, suggestion, variable

_LOG = logging.getLogger("hybridflux.data")
_BY_INFERENCE = ("site", "site_year")
_NOT_OWN = ("name", "lat", "lon", "elev", "igbp", "utc_offset", "first", "last")  # columns of sites.csv that are no covariates
_SEEN = ("fapar", *INDICES_AT_TOWERS)
_SHOWN = 20  # sites left out that a summary lists

ASSUMED = {"soil_capacity": PARAMETERS["root_zone_capacity"].typical}
"""Covariates a model can do without knowing: what is taken where sites.csv does not give them, with a warning."""

SCREEN = Screen()
"""What a record must fulfil where nothing else is said."""


@dataclass(frozen=True)
class Towers:
    """Towers side by side on one axis of local standard days.

    Attributes:
        sites: one row a tower: name, lat, lon, elev, igbp, utc_offset, `first` and `last` day of the record, fapar_base, fapar_top, and
            whatever else sites.csv holds.
        daily: `[time, site]`: drivers without gaps and their `<driver>_flag`; targets `nee nee_day nee_night gpp reco` with NaN where not
            measured, `swc_measured` likewise; `nee_uncertainty`. Vocabulary units.
        before: drivers on the days of the record before those of `daily`, of which running means of its first days are made.
        left_out: sites that are not here, and why.
        more: further targets that were asked for.
    """

    sites: pd.DataFrame
    daily: xr.Dataset
    before: xr.Dataset
    left_out: Mapping[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sites)

    def __repr__(self) -> str:
        days = self.daily["time"].to_numpy().astype("datetime64[D]")
        counts = ", ".join(f"{n} {code}" for code, n in self.sites["igbp"].value_counts().items())
        period = f"{days[0]} to {days[-1]}, {int(self.daily['nee'].count())} days of measured NEE"
        away = "".join(f"\n  {site} is left out: {why}" for site, why in list(self.left_out.items())[:_SHOWN])
        more = f"\n  ... and {len(self.left_out) - _SHOWN} more, see `left_out`" if len(self.left_out) > _SHOWN else ""
        return f"Towers: {len(self)} sites ({counts}), {period}; {len(self.left_out)} left out{away}{more}"

    def flag_shares(self) -> pd.DataFrame:
        """Share of the days of measured NEE on which each driver is given, interpolated, a climatology or derived [1]."""
        measured = self.daily["nee"].notnull().to_numpy()
        names = [name for name in map(str, self.daily) if name.endswith("_flag")]
        counts = [np.bincount(self.daily[name].to_numpy()[measured], minlength=len(FLAGS)) for name in names]
        return pd.DataFrame(counts, [name.removesuffix("_flag") for name in names], FLAGS) / max(measured.sum(), 1)

    def select(self, sites: str | Iterable[str]) -> Towers:
        """Only some towers, in the order asked for, on the days of their records.

        Raises:
            ValueError: a site is not there, or none is asked for.
        """
        chosen = self.sites.loc[pick_sites(sites, self.sites.index, "these towers")]
        period = slice(chosen["first"].min(), chosen["last"].max())
        drivers = xr.concat([self.before, self.daily[list(self.before)]], "time")
        daily, before = (one.sel(site=list(chosen.index)) for one in (self.daily.sel(time=period), days_before(drivers, period.start)))
        return replace(self, sites=chosen, daily=daily, before=before)

    def climatologies(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Of the named drivers those that are somewhere a climatology, because the files lack them for more than a week.

        Args:
            names: drivers, running means such as `tair_30d`, covariates.

        Returns:
            Driver -> whether it is a climatology `[time, site]`.
        """
        named = sorted({variable(name).name for name in set(names) - set(_BY_INFERENCE) if name not in self.sites and not is_own(name)})
        absent = {name: self.daily[f"{name}_flag"].to_numpy() == CLIMATOLOGY for name in named if f"{name}_flag" in self.daily}
        return {name: days for name, days in absent.items() if days.any()}

    def sequences(self, names: Iterable[str]) -> Sequences:
        """What a fit needs: the named drivers and covariates, the targets, the known errors.

        A target counts only on days on which none of the named drivers is a climatology.

        Args:
            names: drivers, running means such as `tair_30d`, covariates; `site` and `site_year` are added by the inference.

        Raises:
            KeyError: an unknown name.
            ValueError: a driver or covariate that some tower does not have; names the towers.
        """
        wanted = sorted(set(names) - set(_BY_INFERENCE))
        drivers = {name: self._values(name) for name in wanted}
        known = ~np.any([np.zeros((self.daily.sizes["time"], len(self)), bool), *self.climatologies(wanted).values()], axis=0)

        def where_known(name):
            return np.where(known, self.daily[name].to_numpy(), np.float32(np.nan))

        return Sequences(
            places=tuple(self.sites.index),
            days=self.daily["time"].to_numpy().astype("datetime64[D]"),
            drivers=drivers,
            targets={**{name: where_known(name) for name in (*TARGETS, *self.more)}, "swc": where_known("swc_measured")},
            uncertainty={"nee": where_known("nee_uncertainty")},
            latitude=self.sites["lat"].to_numpy(float),
            longitude=self.sites["lon"].to_numpy(float),
            left_out=dict(self.left_out),
            sensors={name: self.daily.attrs["reflectance"] for name in wanted if name.split("_")[0] in INDICES_AT_TOWERS},
        )

    def _values(self, name: str) -> np.ndarray:
        if is_own(name) or (name in self.sites and name not in VARIABLES):
            return self._own(name)
        row = variable(name)
        if name == "plant_type":
            return self.sites["igbp"].map(PLANT_TYPES.index).to_numpy(np.int32)
        if row.kind == "driver":
            values = self.daily[row.name].to_numpy()
            if row.name != name:
                before = self.before[row.name].to_numpy()
                values = trailing_mean(np.concatenate([before, values]), split_history(name)[1])[len(before) :]
        elif name in self.sites or name in ASSUMED:
            values = covariate(self.sites.get(name, pd.Series(np.nan, self.sites.index)), row.bounds)
            if name in ASSUMED and np.isnan(values).any():
                unknown = self.sites.index[np.isnan(values)]
                _LOG.warning("sites.csv gives no %s for %s: %g %s assumed", name, ", ".join(unknown), ASSUMED[name], row.units)
                values = np.where(np.isnan(values), np.float32(ASSUMED[name]), values)
        else:
            raise ValueError(f"towers do not give `{name}` ({row.long_name}); add a column `{name}` to sites.csv or choose another source")
        known = np.isfinite(values).reshape(-1, len(self)).all(axis=0)
        if not known.all():
            raise ValueError(f"no `{name}` at {', '.join(self.sites.index[~known])}; leave these sites out or take a model without it")
        return values

    def _own(self, name: str) -> np.ndarray:
        """A covariate that is not in the vocabulary: a column of sites.csv, `[place]`."""
        column = column_of(name, self.sites.columns)
        if column is None:
            own = [one for one in self.sites.columns if one not in _NOT_OWN and one not in VARIABLES]
            there, near = ", ".join(own) or "none of its own", suggestion(name, [*own, *VARIABLES])
            raise ValueError(f"`{name}` is not a variable of hybridflux and not a column of sites.csv, which has {there}.{near}")
        values = covariate(self.sites[column])
        if np.isnan(values).any():
            unknown = ", ".join(self.sites.index[np.isnan(values)])
            raise ValueError(f"sites.csv gives no `{name}` for {unknown}; write it, leave these sites out or take a model without it")
        return values


def open_towers(
    folder: str | Path, *, sites: str | Iterable[str] | None = None, years: str | int | Iterable[int] | None = None,
    qc: float = 0.75, exclude_met: str | Iterable[str] = ("neighbour",), vegetation: str = "auto",
    needs: Collection[str] = (), targets: Iterable[Variable] = (), screen: Screen | None = SCREEN, measured: bool = True,
) -> Towers:  # fmt: skip
    """Read, check and align a folder of towers.

    Sites without flux file, vegetation series or measured days, with an empty file, a class that is none of `PLANT_TYPES` or a record that
    `screen` holds implausible, are left out with one warning. What is wrong in the files and rows of the sites that are asked for is
    refused, all of it in one message; other sites are not looked at.

    Args:
        folder: holds `sites.csv`, `fluxnet_dd/` (FLUXNET, ICOS or AmeriFlux files as downloaded), `satellite/` and, if there are any,
            `reflectance/` and `co2_annual.csv`.
        sites: site ids, or one text such as "FR-Fon,DE-Tha"; all by default.
        years: (2001, 2010), "2001:2010" or 2005, both ends included; all by default. Other years give no target; running means of the
            first days, gaps and quantiles such as `fapar_top` are made of all days of the record.
        qc: least share of measured or well-filled half-hours of a flux on a day that counts [1].
        exclude_met: values of the column MET_SOURCE whose days do not count.
        vegetation: name of a file of `satellite/` without ending, or "auto": MODIS collection 5 first, then what else there is.
        needs: drivers that a model needs (`model.needs_at_towers()`): sites that lack a satellite series among them are left out, and
            only those indices of reflectance are made. By default sites without `fapar` are left out, and all indices are made.
        targets: what a model is compared with, `model.targets()`: those beside NEE, GPP, RECO and soil water are read from the column that
            `fluxnet` of their row names, in its units.
        screen: what a record must fulfil to be learned from, and to be scored against; None takes every record.
        measured: leave out sites at which no NEE was measured. False is for predictions: then a file may hold weather alone.

    Raises:
        FileNotFoundError: the folder, its site table, its flux files or its vegetation series are missing.
        ValueError: something in a file is wrong; the message names the file, the column, the row and the cure.
    """
    folder, period, more = Path(folder), parse_years(years), _further(targets)
    quality = Quality(qc, (exclude_met,) if isinstance(exclude_met, str) else tuple(exclude_met))
    table = read_sites(folder)
    chosen = list(table.rows.index) if sites is None else pick_sites(sites, table.rows.index, "sites.csv")
    found = survey(folder, None if sites is None else chosen)
    left_out = {site: "no row in sites.csv" for site in found.archives if site.casefold() not in table.rows.index.str.casefold()}
    archives = _spelt(found.archives, chosen)
    if not archives and not found.faults:
        raise FileNotFoundError(_no_file(folder, chosen, found))
    wanted = {one for one in _SEEN if any(name == one or name.startswith(f"{one}_") for name in needs)} if needs else {"fapar"}
    seen = _seen(folder, table.rows.loc[chosen, "igbp"], vegetation, wanted, wanted if needs else _SEEN)
    frames: dict[str, pd.DataFrame] = {}
    faults: list[str] = []
    for site in chosen:
        try:
            lacking = sorted(wanted - {*seen.get(site, ())})
            frames[site] = _frame(site, table, found, archives.get(site), lacking, quality, period, more, screen, measured)
        except NoRecord as error:
            left_out[site] = str(error)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(_together(faults))
    if left_out:
        _LOG.warning("%d sites left out: %s", len(left_out), "; ".join(f"{site} ({why})" for site, why in left_out.items()))
    for note in found.beside.values():
        _LOG.warning("%s", note)
    if not frames:
        raise ValueError(f"no site left: {'; '.join(f'{site}: {why}' for site, why in left_out.items())}")
    satellites = {site: seen.get(site, pd.DataFrame()) for site in frames}
    record = align(frames, satellites, table.rows["lat"], archives, {row.name: row for row in more})
    dataset = next((one.attrs["dataset"] for one in seen.values() if "dataset" in one.attrs), None)
    record.attrs = {} if dataset is None else {"reflectance": dataset}
    daily, before = of_years(record, period, daily_co2(folder))
    _warn_of_absent(daily, more)
    described = describe(table.rows.loc[list(frames)], frames, record, daily.indexes["time"])
    return Towers(described, daily, before, left_out, tuple(row.name for row in more))


def _further(targets: Iterable[Variable]) -> tuple[Variable, ...]:
    """Rows of targets that the standard ones do not hold.

    Raises:
        ValueError: a row names no column.
    """
    standard = {name: VARIABLES[name].fluxnet for name in (*TARGETS, "swc")}
    further = tuple(row for row in targets if standard.get(row.name, "") != row.fluxnet)
    for row in further:
        if row.fluxnet is None or row.name in standard:
            raise ValueError(f"the target `{row.name}` has no column of its own: name it, Observed(..., column='LE_CORR')")
    return further


def _warn_of_absent(daily: xr.Dataset, more: Iterable[Variable]) -> None:
    for row in more:
        absent = daily["site"].to_numpy()[~daily[row.name].notnull().any("time").to_numpy()]
        if len(absent):
            _LOG.warning("no day of %s (%s) at %s", row.name, row.fluxnet, ", ".join(absent))


def _seen(folder: Path, plant_types: pd.Series, choice: str, wanted: Collection[str], made: Collection[str]) -> dict[str, pd.DataFrame]:
    """What satellites saw at each site, daily: `fapar`, and the indices of reflectance that are to be made with their `_sd`."""
    sites = list(plant_types.index)
    reflectance = read_reflectance(folder, sites, [name for name in made if name != "fapar"])
    none = "fapar" not in wanted and not any((folder / "satellite").glob("*.csv*"))
    fapar = {} if none else _spelt(read_vegetation(folder / "satellite", plant_types, choice), sites)
    seen = {site: series.rename("fapar").to_frame() for site, series in fapar.items()}
    for site, frame in reflectance.items():
        seen[site] = seen[site].join(frame, how="outer") if site in seen else frame
        seen[site].attrs = frame.attrs
    return seen


def _spelt(found: Mapping[str, object], sites: list[str]) -> dict:
    """What was found for sites, under their ids as the table of sites spells them."""
    spelt = {site.casefold(): site for site in sites}
    return {spelt[site.casefold()]: one for site, one in found.items() if site.casefold() in spelt}


def _no_file(folder: Path, sites: list[str], found: Survey) -> str:
    wanted = ", ".join(sites)[:300]
    said = [f"no FLUXNET file of {wanted} in {folder / FOLDERS[0]}; names begin like FLX_FR-Fon_FLUXNET", *found.unread.values()]
    if found.unknown:
        said.append(f"there are files with other names: {', '.join(found.unknown)[:200]} (folders, which end in /, are not looked into)")
    return "; ".join(said)


def _together(faults: list[str]) -> str:
    """One fault as it is, several with their number, a line each."""
    if len(faults) == 1:
        return faults[0]
    return f"{len(faults)} faults, mend them or leave these sites out with `sites`:\n  " + "\n  ".join(faults)


def _frame(
    site: str, table: SiteTable, found: Survey, archive: Archive | None, lacking: list[str], quality: Quality, period, more,
    screen: Screen | None, measured: bool,
) -> pd.DataFrame:  # fmt: skip
    """Checked daily frame of a site; `lacking`: which satellite series it does not have of those that are needed.

    Raises:
        NoRecord: the site cannot take part though nothing is wrong with it.
        ValueError: something is wrong in its files or its row of sites.csv.
    """
    if site in found.faults:
        raise ValueError(found.faults[site])
    if archive is None:
        raise NoRecord(f"no flux file; {found.unread[site]}" if site in found.unread else "no flux file")
    if site in table.unusable:
        raise NoRecord(table.unusable[site])
    if lacking:
        raise NoRecord("no vegetation series" if lacking == ["fapar"] else f"no {', '.join(lacking)} of satellites")
    table.refuse([site])
    frame, _ = read_record(archive, quality, table.rows.loc[site], more, measured)
    counts = frame.index[frame["nee"].notna()] if measured else days_of_weather(frame)
    if not ((counts.year >= period[0]) & (counts.year <= period[1])).any():
        years = counts.year
        record = f"; its record is of {years.min()} to {years.max()}" if len(years) else ""
        asked = "" if period == parse_years(None) else f" in {period[0]} to {period[1]}"
        raise NoRecord(f"no day of {'measured NEE' if measured else 'weather'}{asked}{record}")
    if screen is not None and (fault := screen.fault(frame)) is not None:
        raise NoRecord(fault)
    return frame
