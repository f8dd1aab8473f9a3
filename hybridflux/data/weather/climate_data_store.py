"""Requests of a region to the Climate Data Store: their size and their download."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybridflux.data.catalog import Dataset
from hybridflux.data.weather.border import Extent, wanted_days
from hybridflux.data.weather.era5 import REQUEST_NAMES
from hybridflux.data.weather.netcdf import parts
from hybridflux.files import whole

BYTES_PER_VALUE = 2.1  # measured: hourly t2m and ssrd over southern Germany, netCDF-4 with deflate
STORES = {"era5-land": "reanalysis-era5-land", "era5": "reanalysis-era5-single-levels", "agera5": "sis-agrometeorological-indicators"}
"""Id of a dataset of the catalog -> its name in the data store."""
AGERA5_VERSION = "2_0"
_AGERA5 = {
    "2m_temperature": ("24_hour_mean", "24_hour_minimum", "24_hour_maximum"),
    "solar_radiation_flux": (), "precipitation_flux": (), "vapour_pressure": ("24_hour_mean",),
}  # fmt: skip
_TRIES, _PAUSE = 4, 30.0  # a busy data store answers again after a while; s


@dataclass(frozen=True)
class Request:
    """One request and the file it fills.

    Attributes:
        store: name of the dataset in the data store.
        body: body of the request, JSON-ready.
        target: name of the file.
        size: expected size of the answer [byte].
    """

    store: str
    body: dict = field(hash=False)
    target: str = ""
    size: int = 0


def requests_of(dataset: Dataset, extent: Extent, start, end, utc_offset: float) -> list[Request]:
    """Requests for the weather of a region, one for each month, and for AgERA5 one for each variable.

    Hourly data begin with the day before where the offset needs its last hours, from which sums since 00 UTC are differenced.

    Args:
        dataset: `era5-land`, `era5` or `agera5` of the catalog.
        extent: west, south, east, north [degrees]; it grows by one cell.
        start: first day.
        end: last day, included.
        utc_offset: UTC offset of the region's standard days [h].

    Raises:
        ValueError: the dataset is not one of the data store.
    """
    if dataset.id not in STORES:
        raise ValueError(f"{dataset.id} is not downloaded from the Climate Data Store: {dataset.access} There are {', '.join(STORES)}")
    days = wanted_days(start, end)
    hourly = dataset.id != "agera5"
    if hourly:
        before, after = (1, 0) if utc_offset > 0 else (0, 1)
        days = np.arange(days[0] - before, days[-1] + after + 1)
    area = area_of(extent, dataset.ground_resolution)
    n = _cells(area, dataset.ground_resolution)
    out = []
    for month in np.unique(days.astype("datetime64[M]")):
        mine = days[days.astype("datetime64[M]") == month]
        when = {"year": str(month)[:4], "month": str(month)[5:], "day": [str(day)[8:] for day in mine]}
        for name, body, values in _bodies(dataset.id):
            size = int(n * len(mine) * values * BYTES_PER_VALUE)
            out.append(Request(STORES[dataset.id], body | when | {"area": list(area)}, f"{dataset.id}_{name}{month}.nc", size))
    return out


def _bodies(dataset: str) -> list[tuple[str, dict, int]]:
    """Part of the file name, the part of the body that does not depend on the month, and values per cell and day."""
    if dataset == "agera5":
        statistic = {name: {"statistic": list(kinds)} if kinds else {} for name, kinds in _AGERA5.items()}
        variables = {name: {"variable": [name], "version": AGERA5_VERSION} | statistic[name] for name in _AGERA5}
        return [(f"{name}_", body, max(len(_AGERA5[name]), 1)) for name, body in variables.items()]
    body = {"variable": list(REQUEST_NAMES.values()), "time": [f"{hour:02d}:00" for hour in range(24)],
            "data_format": "netcdf", "download_format": "unarchived"}  # fmt: skip
    if dataset == "era5":
        body["product_type"] = ["reanalysis"]
    return [("", body, 24 * len(REQUEST_NAMES))]


def area_of(extent: Extent, spacing: float) -> tuple[float, float, float, float]:
    """North, west, south, east of an extent grown by one cell, outward to whole cells [degrees].

    >>> area_of((1.23, 43.61, 1.37, 43.72), 0.1)
    (43.9, 1.1, 43.5, 1.5)
    """
    west, south, east, north = extent
    low, high = (np.floor(np.array([south, west]) / spacing) - 1) * spacing, (np.ceil(np.array([north, east]) / spacing) + 1) * spacing
    north, west, south, east = (round(float(edge), 4) for edge in (high[0], low[1], low[0], high[1]))
    return north, west, south, east


def _cells(area, spacing: float) -> int:
    north, west, south, east = area
    return round((north - south) / spacing + 1) * round((east - west) / spacing + 1)


def describe(requests: Iterable[Request]) -> str:
    """Requests as text: file, dataset, days, area and size of each."""
    lines = [
        f"{request.target}: {request.store}, {', '.join(request.body['variable'])}, {request.body['year']}-{request.body['month']}, "
        f"{len(request.body['day'])} days, N W S E {request.body['area']}, about {request.size / 1e6:.2f} MB"
        for request in requests
    ]
    return "\n".join(lines)


def download(requests: Iterable[Request], folder: str | Path, *, pause: float = _PAUSE) -> list[Path]:
    """Fetch the missing files; a file gets its name only once it is complete and opens.

    Args:
        requests: result of `requests_of`.
        folder: folder, made if needed.
        pause: time between tries [s].

    Returns:
        The file of each request.

    Raises:
        ModuleNotFoundError: `cdsapi` is not installed; names the extra.
        OSError: a request failed four times; names it and the last reason.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    requests = list(requests)
    missing = [request for request in requests if not (folder / request.target).exists()]
    if missing:
        client = _client()
        for request in missing:
            _fetch(client, request, folder, pause)
    return [folder / request.target for request in requests]


def _client():
    try:
        import cdsapi
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("downloads from the Climate Data Store need cdsapi: pip install 'hybridflux[download]'") from error
    return cdsapi.Client()


def _fetch(client, request: Request, folder: Path, pause: float) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            with whole(folder / request.target) as partial:
                client.retrieve(request.store, request.body, str(partial))
                for _ in parts(partial):  # opens: neither a page of an error nor cut short
                    pass
            return
        except Exception as error:  # cdsapi raises its own, those of requests, and plain Exception
            reason = f"{type(error).__name__}: {error}"
            if attempt < _TRIES:
                warnings.warn(f"{request.target}: try {attempt} of {_TRIES} failed ({reason}); once more in {pause:g} s", stacklevel=3)
                time.sleep(pause)
    raise OSError(f"{request.target}: {_TRIES} tries failed, the last with {reason}; see the request in your account of the data store")
