"""The totals of a run as numpy arrays: per flux, cell (a zone and plant type), month and draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.vocabulary import PLANT_TYPES, UNVEGETATED

SPREADS = ("parameter", "parameter+random_effects", "parameter+random_effects+vegetation")
"""Spreads a budget may show. `predictive` also holds measurement noise, which belongs beside a tower, not in a budget."""

STRUCTURAL = "+structural_error"
"""Added to the name of the spread of totals that hold the error of the model itself."""

REGION = "region"
ALL = "all"


@dataclass(frozen=True)
class Totals:
    """Monthly carbon totals of a run.

    Attributes:
        total: flux -> gC `[cell, month, draw]`; NEE is positive to the atmosphere.
        zone: name of the zone of each cell `[cell]`.
        land_cover: plant type code of each cell `[cell]`.
        area: true area of each cell `[cell]`, m2.
        months: first day of each month `[month]`.
        days: days the run covers in each month `[month]`.
        spread: what the draws contain, one of `SPREADS`.
        meaning: the same in words.
        structural: error of NEE by what the model itself gets wrong `[cell, month, draw]`, gC, mean zero; None where it is not known.
    """

    total: dict[str, np.ndarray]
    zone: np.ndarray
    land_cover: np.ndarray
    area: np.ndarray
    months: pd.DatetimeIndex
    days: np.ndarray
    spread: str
    meaning: str = ""
    structural: np.ndarray | None = None

    @property
    def draws(self) -> int:
        """Number of posterior draws."""
        return next(iter(self.total.values())).shape[-1]

    def sum(self, flux: str, cells: np.ndarray, months: np.ndarray) -> np.ndarray:
        """Carbon of some cells over some months per draw `[draw]`, gC: the one way a total is made, so errors stay correlated."""
        return self.total[flux][cells][:, months].sum(axis=(0, 1))

    def with_structural_error(self) -> Totals:
        """Draws that hold the structural error too, as far as it is known.

        The error of NEE is shared out to GPP and RECO by their sizes, so that NEE = RECO - GPP in every draw; errors of both that cancel
        in NEE are not told by NEE and are not in it.
        """
        if self.structural is None:
            return self
        gpp, reco = self.total["GPP"], self.total["RECO"]
        share = gpp / np.maximum(gpp + reco, 1e-9)
        parts = {"NEE": 1.0, "GPP": -share, "RECO": 1.0 - share}
        total = {flux: self.total[flux] + part * self.structural for flux, part in parts.items()}
        meaning = f"{self.meaning}; and the structural error of the model, alike in the whole region"
        return replace(self, total=total, structural=None, spread=self.spread + STRUCTURAL, meaning=meaning)

    def groups(self) -> list[tuple[str, str, np.ndarray]]:
        """(zone, land cover, cells) of every row of a budget: the region, its land covers, each zone, its land covers."""
        covers = [code for code in PLANT_TYPES if code in self.land_cover]
        zones = [name for name in dict.fromkeys(self.zone)]
        places = [(REGION, np.ones(len(self.zone), bool)), *((name, self.zone == name) for name in sorted(zones))]
        rows = []
        for name, here in places:
            rows.append((name, ALL, np.flatnonzero(here)))
            rows += [(name, code, np.flatnonzero(here & (self.land_cover == code))) for code in covers]
        return [(zone, cover, cells) for zone, cover, cells in rows if len(cells)]

    def complete_years(self) -> list[int]:
        """Calendar years the run covers from the first to the last day."""
        covered = pd.Series(self.days, self.months.year).groupby(level=0).sum()
        return [int(year) for year, days in covered.items() if days == 366 - (not pd.Timestamp(year, 1, 1).is_leap_year)]

    def regroup(self, groups: Mapping[str, str]) -> Totals:
        """The same totals with zones put together; zones that are not named become `other`."""
        return replace(self, zone=np.array([groups.get(name, "other") for name in self.zone], dtype=object))


def check_spread(spread: str | None, source: str) -> str:
    """The named spread of a budget.

    Raises:
        ValueError: there is none, it is unknown, or it holds measurement noise.
    """
    if spread in SPREADS:
        return spread
    known = ", ".join(f"`{name}`" for name in SPREADS)
    if not spread:
        raise ValueError(f"{source} does not name its spread, and an interval without a name means nothing; a budget needs one of {known}")
    if spread == "predictive":
        raise ValueError(f"{source} has the spread `predictive`: it holds measurement noise, which a regional budget must not; use {known}")
    raise ValueError(f"{source} has the spread `{spread}`; a budget needs one of {known}")


def run_record(run: str | Path) -> dict:
    """`run.json` of a run folder.

    Raises:
        FileNotFoundError: it is not a run folder.
    """
    path = Path(run) / "run.json"
    if not path.exists():
        raise FileNotFoundError(f"{run} is not a run folder: it has no run.json; write one with `hybridflux map --out {run}`")
    return json.loads(path.read_text())


def open_totals(run: str | Path) -> Totals:
    """Totals of a finished run folder, cells without vegetation left out.

    Raises:
        FileNotFoundError: the run has no `totals.nc` yet.
        ValueError: its spread is not named or not fit for a budget.
    """
    import xarray as xr

    path = Path(run) / "totals.nc"
    record = run_record(run)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the run is not finished (state `{record.get('state')}`); go on with `--resume`")
    with xr.open_dataset(path, engine="h5netcdf") as found:
        data = found.load()
    return totals_of(data, check_spread(data.attrs.get("spread"), str(path)))


def totals_of(data, spread: str) -> Totals:
    """Totals as arrays, from a dataset `total(flux, cell, month, draw)`."""
    cover = np.array([PLANT_TYPES[int(index)] for index in data["plant_type"].values], dtype=object)
    keep = np.array([code not in UNVEGETATED for code in cover], bool) & (data["area"].values > 0)
    values = data["total"].transpose("flux", "cell", "month", "draw").values.astype(float)
    months = pd.DatetimeIndex(pd.to_datetime(data["month"].values).astype("datetime64[s]")).normalize()
    return Totals(
        total={str(flux).upper(): values[i][keep] for i, flux in enumerate(data["flux"].values)},
        zone=zone_names(data)[keep],
        land_cover=cover[keep],
        area=data["area"].values.astype(float)[keep],
        months=months,
        days=data["days"].values.astype(int),
        spread=spread,
        meaning=data.attrs.get("spread_meaning", ""),
        structural=data["structural"].transpose("cell", "month", "draw").values.astype(float)[keep] if "structural" in data else None,
    )


def zone_names(data) -> np.ndarray:
    """Names of the zones of a totals dataset `[cell]`; zone 0 is outside all zones."""
    names = {int(number): name for number, name in json.loads(data.attrs.get("zone_names", "{}")).items()}
    return np.array([names.get(int(z), f"zone {int(z)}" if z else "no zone") for z in data["zone"].values], dtype=object)
