"""A folder of eddy-covariance towers as one aligned, checked data set."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.data.alignment import align, describe, with_co2
from hybridflux.data.archives import FOLDERS, Archive, find_archives
from hybridflux.data.carbon_dioxide import daily_co2
from hybridflux.data.checks import check_latitude, check_units, drop_outliers
from hybridflux.data.fluxnet import TARGETS, Quality, read_tower
from hybridflux.data.gaps import CLIMATOLOGY, FLAGS, trailing_mean
from hybridflux.data.site_table import parse_years, pick_sites, read_sites
from hybridflux.data.vegetation import read_vegetation
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, variable

_LOG = logging.getLogger("hybridflux.data")
_BY_INFERENCE = ("site", "site_year")

ASSUMED = {"soil_capacity": PARAMETERS["root_zone_capacity"].typical}
"""Covariates a model can do without knowing: what is taken where sites.csv does not give them, with a warning."""


@dataclass(frozen=True)
class Towers:
    """Towers side by side on one axis of local standard days.

    Attributes:
        sites: one row a tower: name, lat, lon, elev, igbp, utc_offset, `first` and `last` day of the record, fapar_base, fapar_top, and
            whatever else sites.csv holds.
        daily: `[time, site]`: drivers without gaps and their `<driver>_flag`; targets `nee nee_day nee_night gpp reco` with NaN where not
            measured, `swc_measured` likewise; `nee_uncertainty`. Vocabulary units.
        left_out: sites that are not here, and why.
    """

    sites: pd.DataFrame
    daily: xr.Dataset
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sites)

    def __repr__(self) -> str:
        days = self.daily["time"].to_numpy().astype("datetime64[D]")
        counts = ", ".join(f"{n} {code}" for code, n in self.sites["igbp"].value_counts().items())
        period = f"{days[0]} to {days[-1]}, {int(self.daily['nee'].count())} days of measured NEE"
        return f"Towers: {len(self)} sites ({counts}), {period}; {len(self.left_out)} left out"

    def flag_shares(self) -> pd.DataFrame:
        """Share of the days of measured NEE on which each driver is given, interpolated, a climatology or derived [1]."""
        measured = self.daily["nee"].notnull().to_numpy()
        names = [name for name in self.daily if name.endswith("_flag")]
        counts = [np.bincount(self.daily[name].to_numpy()[measured], minlength=len(FLAGS)) for name in names]
        return pd.DataFrame(counts, [name.removesuffix("_flag") for name in names], FLAGS) / max(measured.sum(), 1)

    def select(self, sites: str | Iterable[str]) -> Towers:
        """Only some towers, in the order asked for, on the days of their records.

        Raises:
            ValueError: a site is not there, or none is asked for.
        """
        chosen = self.sites.loc[pick_sites(sites, self.sites.index, "these towers")]
        period = slice(chosen["first"].min(), chosen["last"].max())
        return replace(self, sites=chosen, daily=self.daily.sel(site=list(chosen.index), time=period))

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
        known = np.ones((self.daily.sizes["time"], len(self)), bool)
        for flag in {f"{variable(name).name}_flag" for name in wanted} & set(self.daily):
            known &= self.daily[flag].to_numpy() != CLIMATOLOGY

        def where_known(name):
            return np.where(known, self.daily[name].to_numpy(), np.float32(np.nan))

        return Sequences(
            places=tuple(self.sites.index),
            days=self.daily["time"].to_numpy().astype("datetime64[D]"),
            drivers=drivers,
            targets={**{name: where_known(name) for name in TARGETS}, "swc": where_known("swc_measured")},
            uncertainty={"nee": where_known("nee_uncertainty")},
            left_out=dict(self.left_out),
        )

    def _values(self, name: str) -> np.ndarray:
        row = variable(name)
        if name == "plant_type":
            return self.sites["igbp"].map(PLANT_TYPES.index).to_numpy(np.int32)
        if row.kind == "driver":
            values = self.daily[row.name].to_numpy()
            if row.name != name:
                values = trailing_mean(values, int(name.removeprefix(f"{row.name}_").removesuffix("d")))
        elif name in self.sites or name in ASSUMED:
            values = self.sites.get(name, pd.Series(np.nan, self.sites.index)).to_numpy(np.float32)
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


def open_towers(folder, *, sites=None, years=None, qc=0.75, exclude_met=("neighbour",), vegetation="auto") -> Towers:
    """Read, check and align a folder of towers.

    Sites without flux file, vegetation series or measured days are left out with one warning.

    Args:
        folder: holds `sites.csv`, `fluxnet_dd/` (FLUXNET, ICOS or AmeriFlux files as downloaded), `satellite/` and, if there is one,
            `co2_annual.csv`.
        sites: site ids, or one text such as "FR-Fon,DE-Tha"; all by default.
        years: (2001, 2010), "2001:2010" or 2005, both ends included; all by default.
        qc: least share of measured or well-filled half-hours of a flux on a day that counts [1].
        exclude_met: values of the column MET_SOURCE whose days do not count.
        vegetation: name of a file of `satellite/` without ending, or "auto": MODIS collection 5 first, then what else there is.

    Raises:
        FileNotFoundError: the folder, its site table, its flux files or its vegetation series are missing.
        ValueError: something in a file is wrong; the message names the file, the column, the row and the cure.
    """
    folder, period = Path(folder), parse_years(years)
    quality = Quality(qc, (exclude_met,) if isinstance(exclude_met, str) else tuple(exclude_met))
    table = read_sites(folder)
    chosen = list(table.index) if sites is None else pick_sites(sites, table.index, "sites.csv")
    archives = find_archives(folder, None if sites is None else chosen)
    if not archives:
        raise FileNotFoundError(f"no FLUXNET file of {', '.join(chosen)} in {folder / FOLDERS[0]}; names begin like FLX_FR-Fon_FLUXNET")
    series = read_vegetation(folder / "satellite", table.loc[chosen, "igbp"], vegetation)
    left_out = {site: "no row in sites.csv" for site in archives if site not in table.index}
    frames = {}
    for site in chosen:
        frame = _checked(archives[site], quality, table.loc[site]) if site in archives and site in series else None
        reason = _why_not(site in archives, site in series, frame, period)
        if reason:
            left_out[site] = reason
        else:
            frames[site] = frame
    if left_out:
        _LOG.warning("%d sites left out: %s", len(left_out), "; ".join(f"{site} ({why})" for site, why in left_out.items()))
    if not frames:
        raise ValueError(f"no site left: {'; '.join(f'{site}: {why}' for site, why in left_out.items())}")
    daily = align(frames, series, table["lat"], archives, period)
    daily = with_co2(daily, daily_co2(folder)(daily.indexes["time"]))
    return Towers(describe(table.loc[list(frames)], frames, daily), daily, left_out)


def _checked(archive: Archive, quality: Quality, site: pd.Series) -> pd.DataFrame:
    noon = 12 - site["lon"] / 15 + site["utc_offset"]
    frame = read_tower(archive, quality, noon if np.isfinite(noon) else None)
    check_units(frame, str(archive))
    check_latitude(frame["par_potential"], site["lat"], str(archive))
    return drop_outliers(frame, str(archive))


def _why_not(has_flux: bool, has_vegetation: bool, frame: pd.DataFrame | None, period) -> str | None:
    if not has_flux:
        return "no flux file"
    if not has_vegetation:
        return "no vegetation series"
    inside = frame["nee"][(frame.index.year >= period[0]) & (frame.index.year <= period[1])]
    return None if inside.notna().any() else "no day of measured NEE in the period"
