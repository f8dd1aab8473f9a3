"""True fluxes of every pixel of the region, and their totals in the layout of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.files import whole_stream
from hybridflux.twin.landscape import CRS, Landscape, centres
from hybridflux.twin.true_model import BY_CLASS, SHARED, Places, true_fluxes
from hybridflux.vocabulary import FLUXES, PLANT_TYPES, UNVEGETATED

BLOCK = 4096  # pixels at once


@dataclass(frozen=True)
class RegionTruth:
    """Fluxes of the vegetated pixels.

    Attributes:
        days: all simulated days `[time]`.
        months: first day of each mapped month `[month]`.
        month_days: mapped days in it `[month]`.
        monthly: flux -> gC m-2 per month `[month, y, x]`, NaN without vegetation.
        by_parcel: flux -> daily mean of the vegetated pixels of a parcel, gC m-2 d-1 `[time, parcel]`, NaN without vegetation.
        rew: relative extractable water, mean of a parcel `[time, parcel]`.
    """

    days: np.ndarray
    months: np.ndarray
    month_days: np.ndarray
    monthly: dict[str, np.ndarray]
    by_parcel: dict[str, np.ndarray]
    rew: np.ndarray


def simulate(
    land: Landscape, places: Places, fapar: np.ndarray, weather: Mapping[str, np.ndarray], cell: np.ndarray, days: np.ndarray, mapped: slice
) -> RegionTruth:
    """Run the true model on every vegetated pixel.

    Args:
        land: the region.
        places: true parameters of the parcels.
        fapar: true vegetation `[time, y, x]`.
        weather: `[time, cell]`.
        cell: weather cell of a pixel `[y, x]`.
        days: `datetime64[D]` `[time]`.
        mapped: positions of the mapped days.
    """
    size, number = len(land.parcel), len(land.cover)
    bare = np.isin(land.cover, list(UNVEGETATED))
    pixels = np.flatnonzero(~bare[land.parcel.ravel()])
    month = days[mapped].astype("datetime64[M]")
    months, turns = np.unique(month, return_index=True)
    monthly = {flux: np.full((len(months), size * size), np.nan, np.float32) for flux in FLUXES}
    sums = {name: np.zeros((len(days), number)) for name in (*FLUXES, "rew")}
    for first in range(0, len(pixels), BLOCK):
        real = pixels[first : first + BLOCK]
        at = np.resize(real, min(BLOCK, len(pixels)))  # the last block repeats pixels, so that one program serves all
        parcel = land.parcel.ravel()[at]
        here = {name: value[parcel] if np.ndim(value) else value for name, value in places.parameters.items()}
        model = Places(places.plant_type[parcel], here).model()
        soil = land.soil_capacity.ravel()[at]
        known = {"fapar": fapar.reshape(len(days), -1)[:, at], "soil_capacity": soil}
        drivers = {name: known[name] if name in known else weather[name][:, cell.ravel()[at]] for name in model.needs()}
        exchange = true_fluxes(model, drivers)
        series = {flux: np.asarray(exchange[flux.lower()])[:, : len(real)] for flux in FLUXES}
        series["rew"] = (np.asarray(exchange["soil_water"]) / soil)[:, : len(real)]
        member = np.zeros((len(real), number), np.float32)
        member[np.arange(len(real)), parcel[: len(real)]] = 1.0
        for name, values in series.items():
            sums[name] += values @ member
            if name in monthly:
                monthly[name][:, real] = np.add.reduceat(values[mapped], turns, axis=0)
    count = np.where(bare, np.nan, np.bincount(land.parcel.ravel(), minlength=number))
    means = {name: (total / count).astype(np.float32) for name, total in sums.items()}
    return RegionTruth(
        days,
        months.astype("datetime64[D]"),
        np.diff([*turns, len(month)]),
        {flux: values.reshape(-1, size, size) for flux, values in monthly.items()},
        {flux: means[flux] for flux in FLUXES},
        means["rew"],
    )


def totals(land: Landscape, truth: RegionTruth, area: np.ndarray) -> xr.Dataset:
    """`total(flux, cell, month)` [gC] per zone and plant type, in the layout of a run's `totals.nc`.

    Args:
        land: the region.
        truth: true fluxes of the region.
        area: true area of each pixel `[y, x]`, m2.
    """
    kinds = len(PLANT_TYPES)
    cells, index = np.unique(land.zone.astype(int) * kinds + land.plant_type, return_inverse=True)
    index = index.ravel()
    values = np.stack([
        [np.bincount(index, np.nan_to_num(month.ravel()).astype(float) * area.ravel()) for month in truth.monthly[flux]] for flux in FLUXES
    ])  # fmt: skip
    return xr.Dataset(
        {
            "total": (("flux", "cell", "month"), np.moveaxis(values, 1, 2), {"units": "gC"}),
            "days": ("month", truth.month_days),
        },
        coords={
            "flux": list(FLUXES), "month": truth.months.astype("datetime64[ns]"),
            "zone": ("cell", cells // kinds), "plant_type": ("cell", cells % kinds),
            "area": ("cell", np.bincount(index, area.ravel()), {"units": "m2"}),
        },
        attrs={"zone_names": json.dumps({str(number): name for number, name in land.zone_names.items()})},
    )  # fmt: skip


def write_truth(path: str | Path, land: Landscape, truth: RegionTruth, area: np.ndarray, pools: pd.DataFrame, period: str) -> None:
    """Write totals, monthly maps, daily means of parcels, the parcels themselves, and the pools of `ledger.pools` of a period of years."""
    x, y = centres(len(land.parcel))
    data = totals(land, truth, area)
    for flux in FLUXES:
        data[f"{flux}_map"] = (("month", "y", "x"), truth.monthly[flux], {"units": "gC m-2", "long_name": f"{flux} of the month"})
        data[f"{flux}_parcel"] = (("time", "parcel"), truth.by_parcel[flux], {"units": "gC m-2 d-1"})
    data["rew_parcel"] = (("time", "parcel"), truth.rew, {"units": "1"})
    data["parcel"] = (("y", "x"), land.parcel)
    data["cover"] = ("parcel_number", land.cover.astype(object))
    data["crop"] = (("parcel_number", "season"), land.crops.astype(object))
    data = data.assign_coords(x=x, y=y, time=truth.days.astype("datetime64[ns]"))
    data.attrs |= {
        "title": "what is true in the twin's region", "crs": CRS,
        "sign": "NEE = RECO - GPP, positive to the atmosphere",
        "parameters": json.dumps({**SHARED, **BY_CLASS}),
        "ledger": json.dumps({"period": period, "places": pools.to_dict("list")}),
    }  # fmt: skip
    large = [name for name in data if data[name].ndim > 1 and data[name].dtype != object]
    with whole_stream(path) as file:
        data.to_netcdf(file, engine="h5netcdf", encoding={name: {"zlib": True, "complevel": 2} for name in large})
