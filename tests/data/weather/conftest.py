"""Small files of weather in the layouts of the data stores, made of a sky that is known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.data.catalog import load_catalog

LATITUDES, LONGITUDES = (44.2, 44.1, 44.0, 43.9), (1.0, 1.1, 1.2)
EXTENT = (1.05, 44.0, 1.15, 44.1)  # two of the cells' centres lie inside, all twelve within one cell of it


@pytest.fixture(scope="session")
def catalog():
    return load_catalog()


@pytest.fixture
def extent():
    return EXTENT


def sky(stamps, longitudes=LONGITUDES, latitudes=LATITUDES):
    """Per-hour ERA5 variables `[hour, lat, lon]`: sun highest at local noon, rain of single hours, known temperatures."""
    end = (stamps - stamps.astype("datetime64[D]")).astype("timedelta64[m]").astype(float) / 60
    day = (stamps - stamps[0]).astype("timedelta64[m]").astype(float) / 1440
    shape = len(stamps), len(latitudes), len(longitudes)
    solar = (end - 0.5)[:, None, None] + np.asarray(longitudes)[None, None, :] / 15
    sun = np.broadcast_to(np.maximum(np.cos((solar - 12) / 24 * 2 * np.pi), 0.0), shape)
    rng = np.random.default_rng(5)
    rain = np.where(rng.random(shape) < 0.1, rng.exponential(8e-4, shape), 0.0)
    cold = np.arange(len(latitudes))[None, :, None]
    t2m = 288.0 + 5 * np.cos(((end[:, None, None] - 15) / 24) * 2 * np.pi) + 0.05 * day[:, None, None] - cold
    t2m = np.broadcast_to(t2m, shape)
    return {"t2m": t2m, "d2m": t2m - 4.0, "ssrd": 2.4e6 * sun, "tp": rain}


def since_midnight(stamps, hourly):
    """Sums since 00 UTC, as ERA5-Land stores them: the value of 00 is the day before."""
    day = (stamps - np.timedelta64(30, "m")).astype("datetime64[D]")
    out = np.empty_like(hourly)
    for one in np.unique(day):
        out[day == one] = np.cumsum(hourly[day == one], axis=0)
    return out


def as_dataset(stamps, variables, *, time="valid_time", latitudes=LATITUDES, longitudes=LONGITUDES, units=True):
    """What the data store makes of it."""
    says = {"t2m": "K", "d2m": "K", "ssrd": "J m**-2", "tp": "m"}
    return xr.Dataset(
        {
            name: ((time, "latitude", "longitude"), values.astype(np.float32), {"units": says[name]} if units else {})
            for name, values in variables.items()
        },
        coords={time: stamps.astype("datetime64[ns]"), "latitude": list(latitudes), "longitude": list(longitudes)},
    )


def stamps_of(start, end):
    """Every hour from 00 UTC of the first day to 23 UTC of the last."""
    return np.arange(np.datetime64(start, "h"), np.datetime64(end, "h") + np.timedelta64(24, "h")).astype("datetime64[s]")


class Store:
    """Writes a folder of ERA5 or ERA5-Land files."""

    def __init__(self, folder):
        self.folder = folder

    def month(self, name="one.nc", start="2018-05-01", end="2018-05-31", *, land=True, change=None, **options):
        stamps = stamps_of(start, end)
        variables = sky(stamps)
        if land:
            variables |= {name: since_midnight(stamps, variables[name]) for name in ("ssrd", "tp")}
        data = as_dataset(stamps, variables, **options)
        self.write(change(data) if change else data, name)
        return stamps

    def write(self, data, name):
        data.to_netcdf(self.folder / name, engine="h5netcdf")
        return self.folder / name


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def sim2_table(days, cells=((6000, 18500), (6080, 18500)), suffix="_Q"):
    """A table of SIM2: what Meteo-France gives for some cells (hectometres, Lambert II etendu)."""
    rows = []
    for x, y in cells:
        for day in pd.DatetimeIndex(days):
            warm = 12 + 8 * np.cos(2 * np.pi * (day.dayofyear - 200) / 365)
            rows.append((x, y, f"{day:%Y%m%d}", 0.2, 1.3, warm, 3.0, 6.5, 2600.0, 1500.0, 70.0, warm - 5, warm + 6))
    names = ("PRENEI", "PRELIQ", "T", "FF", "Q", "DLI", "SSI", "HU", "TINF_H", "TSUP_H")
    return pd.DataFrame(rows, columns=["LAMBX", "LAMBY", "DATE", *(name + suffix for name in names)])


@pytest.fixture
def make_sim2():
    return sim2_table
