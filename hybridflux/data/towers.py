"""A folder of eddy-covariance towers as one aligned, checked data set."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.data.archives import Archive, find_archives
from hybridflux.data.carbon_dioxide import daily_co2
from hybridflux.data.drivers import check_bounds, complete
from hybridflux.data.fluxnet import DRIVERS, TARGETS, Quality, read_tower
from hybridflux.data.gaps import CLIMATOLOGY, DERIVED, FLAG_MEANINGS, trailing_mean
from hybridflux.data.site_table import parse_years, pick_sites, read_sites
from hybridflux.data.vegetation import read_vegetation
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES, variable

_LOG = logging.getLogger("hybridflux.data")
_BY_INFERENCE = ("site", "site_year")


@dataclass(frozen=True)
class Towers:
    """Towers side by side on one axis of local standard days.

    Attributes:
        sites: one row a tower: name, lat, lon, elev, igbp, utc_offset, first, last (of the record), vegetation quantiles.
        daily: `[time, site]`: drivers without gaps and their `<driver>_flag`; targets `nee nee_day nee_night gpp reco` with NaN where not
            measured; `nee_uncertainty`. Vocabulary units.
        left_out: sites of the folder that are not here, and why.
    """

    sites: pd.DataFrame
    daily: xr.Dataset
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sites)

    def __repr__(self) -> str:
        days = self.daily["time"].to_numpy().astype("datetime64[D]")
        counts = ", ".join(f"{n} {code}" for code, n in self.sites["igbp"].value_counts().items())
        return (
            f"Towers: {len(self)} sites ({counts}), {days[0]} to {days[-1]}, {int(self.daily['nee'].count())} days of measured NEE; "
            f"{len(self.left_out)} left out"
        )

    def select(self, sites: Iterable[str]) -> Towers:
        """Only some towers, in the order asked for, on the days of their records.

        Raises:
            ValueError: a site is not there, or none is asked for.
        """
        chosen = self.sites.loc[pick_sites(sites, self.sites.index, "these towers")]
        period = slice(chosen["first"].min(), chosen["last"].max())
        return replace(self, sites=chosen, daily=self.daily.sel(site=list(chosen.index), time=period))

    def sequences(self, names: Iterable[str]) -> Sequences:
        """What a fit needs: the named drivers and covariates, the targets, the known errors.

        A target day counts only where none of the named drivers is a climatology on that day.

        Args:
            names: drivers, running means such as `tair_30d`, covariates; `site` and `site_year` are added by the inference.

        Raises:
            KeyError: an unknown name.
            ValueError: a driver or covariate that some tower does not have; names the towers.
        """
        wanted = sorted(set(names) - set(_BY_INFERENCE))
        values = {name: self._values(name) for name in wanted}
        known = np.ones((self.daily.sizes["time"], len(self)), bool)
        for base in {variable(name).name for name in wanted if f"{variable(name).name}_flag" in self.daily}:
            known &= self.daily[f"{base}_flag"].to_numpy() != CLIMATOLOGY
        return Sequences(
            places=tuple(self.sites.index),
            days=self.daily["time"].to_numpy().astype("datetime64[D]"),
            drivers=values,
            targets={name: np.where(known, self.daily[name].to_numpy(), np.float32(np.nan)) for name in TARGETS},
            uncertainty={"nee": np.where(known, self.daily["nee_uncertainty"].to_numpy(), np.float32(np.nan))},
        )

    def _values(self, name: str) -> np.ndarray:
        row = variable(name)
        if row.name in self.daily and row.kind == "driver":
            values = self.daily[row.name].to_numpy()
            if row.name != name:
                values = trailing_mean(values, int(name.rsplit("_", 1)[1][:-1]))
        elif name == "plant_type":
            return self.sites["igbp"].map(PLANT_TYPES.index).to_numpy(np.int32)
        elif name in self.sites:
            values = self.sites[name].to_numpy(np.float32)
        else:
            raise ValueError(f"towers cannot give `{name}` ({row.long_name}); add a column `{name}` to sites.csv or choose another source")
        lacking = self.sites.index[np.atleast_1d(~np.isfinite(values).all(axis=0)) if values.ndim == 2 else ~np.isfinite(values)]
        if len(lacking):
            raise ValueError(f"no `{name}` at {', '.join(lacking)}; leave these sites out or use a model that does not need it")
        return values


def open_towers(folder, *, sites=None, years=None, qc=0.75, exclude_met=("neighbour",), vegetation="auto") -> Towers:
    """Read, check and align a folder of towers.

    Args:
        folder: holds `sites.csv`, `fluxnet_dd/` (FLUXNET, ICOS or AmeriFlux files as downloaded), `satellite/` and, if there is one,
            `co2_annual.csv`.
        sites: site ids, or one text such as "FR-Fon,DE-Tha"; all by default.
        years: (2001, 2010), "2001:2010" or 2005, both ends included; all by default.
        qc: least share of measured or well-filled half-hours of a flux on a day that counts [1].
        exclude_met: values of the column MET_SOURCE whose days do not count.
        vegetation: name of a file of `satellite/` without ending, or "auto": MODIS collection 5 first, then what else there is.

    Raises:
        FileNotFoundError: the folder, its site table or its vegetation series are missing.
        ValueError: something in a file is wrong; the message names the file, the column, the row and the cure.
    """
    folder = Path(folder)
    period = parse_years(years)
    table = read_sites(folder)
    archives = find_archives(folder)
    chosen = pick_sites(sites, table.index, "sites.csv") if sites is not None else list(table.index)
    series = read_vegetation(folder / "satellite", table.loc[chosen], vegetation)
    left_out = {site: "no flux file" for site in chosen if site not in archives}
    left_out |= {site: "no vegetation series" for site in chosen if site in archives and site not in series}
    if left_out:
        _LOG.warning("%d sites left out: %s", len(left_out), "; ".join(f"{site} ({why})" for site, why in left_out.items()))
    chosen = [site for site in chosen if site not in left_out]
    if not chosen:
        raise ValueError(f"no site of {folder} has both a flux file and a vegetation series: {left_out}")
    quality = Quality(qc, tuple(exclude_met))
    frames = {site: check_bounds(read_tower(archives[site], quality), str(archives[site])) for site in chosen}
    daily = _align(frames, series, table["lat"], archives, period)
    co2 = np.asarray(daily_co2(folder)(daily.indexes["time"]), np.float32)
    daily["co2"] = (("time", "site"), np.repeat(co2[:, None], len(chosen), axis=1), _attributes("co2"))
    daily["co2_flag"] = (("time", "site"), np.full(daily["co2"].shape, DERIVED, np.int8), _attributes("co2_flag"))
    return Towers(_describe(table.loc[chosen], frames, daily), daily, left_out)


def _align(frames: Mapping[str, pd.DataFrame], series: Mapping[str, pd.Series], latitude, archives: Mapping[str, Archive], period) -> xr.Dataset:
    """All towers on the days from the first to the last measurement that lie in the period."""
    days = pd.date_range(min(f.index[0] for f in frames.values()), max(f.index[-1] for f in frames.values()), freq="D", name="time")
    inside = days[(days.year >= period[0]) & (days.year <= period[1])]
    if len(inside) == 0:
        raise ValueError(f"no day in the years {period[0]} to {period[1]}; the towers measured {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}")
    columns: dict[str, list[np.ndarray]] = {}
    for site, frame in frames.items():
        drivers = frame[list(DRIVERS)].join(series[site].rename("fapar"), how="outer")
        values, flags = complete(drivers, days, latitude[site], str(archives[site]))
        others = frame.drop(columns=list(DRIVERS)).reindex(days)
        for part in (values, flags.add_suffix("_flag"), others):
            for name in part.columns:
                columns.setdefault(name, []).append(part.loc[inside, name].to_numpy())
    daily = xr.Dataset(coords={"time": inside, "site": list(frames)})
    for name, parts in columns.items():
        kind = np.int8 if name.endswith("_flag") else np.float32
        daily[name] = (("time", "site"), np.stack(parts, axis=1).astype(kind), _attributes(name))
    return daily


def _describe(table: pd.DataFrame, frames: Mapping[str, pd.DataFrame], daily: xr.Dataset) -> pd.DataFrame:
    """The site table with the covariates that follow from the series."""
    base, top = daily["fapar"].quantile([0.05, 0.95], dim="time").to_numpy()
    return table.assign(
        first=[frame.index[0] for frame in frames.values()],
        last=[frame.index[-1] for frame in frames.values()],
        fapar_base=base, fapar_top=top, latitude=table["lat"], elevation=table["elev"],
    )  # fmt: skip


def _attributes(name: str) -> dict:
    if name.endswith("_flag"):
        return {"flag_values": [0, 1, 2, 3], "flag_meanings": FLAG_MEANINGS}
    row = VARIABLES.get(name)
    return {"units": row.units, "long_name": row.long_name} if row else {"units": "gC m-2 d-1", "long_name": "random error of nee"}
