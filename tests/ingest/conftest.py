"""A made-up place on disk as a user would have it: a cube of images, a netCDF of weather, a land-cover map."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from pyproj import CRS
from rasterio.transform import from_origin

from hybridflux.ingest import smoother_fit
from hybridflux.ingest.config import RegionConfig

CRS_CODE, WEST, NORTH, SIZE = "EPSG:32631", 500_000.0, 5_400_000.0, (36, 40)
FIRST, LAST = "2019-03-01", "2020-02-28"


def truth(days):
    """True NDVI `[time, y, x]` of the made-up place: a meadow in the west, a crop that is harvested on day 140 in the east."""
    day = np.arange(len(days))[:, None, None]
    season = 0.5 - 0.3 * np.cos(2 * np.pi * (day + 40) / 365)
    columns = np.arange(SIZE[1])[None, None, :] + np.zeros((1, SIZE[0], 1))
    return np.where((columns >= 20) & (day >= 140), 0.18, season + 0.002 * columns).astype(np.float32)


def write_cube(folder, days, every=5, seed=0, **changes):
    """Images every few days, a third of them cloudy; `changes` replaces arrays of the file."""
    random = np.random.default_rng(seed)
    seen = np.arange(2, len(days), every)
    usual, other = np.arange(2, len(days), 5), np.random.default_rng(seed + 1)  # a day looks the same whichever days are seen
    noise, chance = other.normal(0, 0.01, (len(days), *SIZE)), other.random((len(days), 1, 1))
    noise[usual], chance[usual] = random.normal(0, 0.01, (len(usual), *SIZE)), random.random((len(usual), 1, 1))
    ndvi = truth(days)[seen] + noise[seen]
    red = np.full(ndvi.shape, 0.05)
    near = red * (1 + ndvi) / (1 - ndvi)
    label = np.where(chance[seen] < 0.33, 9, 4) * np.ones(ndvi.shape)
    dims, store = ("t", "y", "x"), lambda values: np.round(values * 1e4).astype(np.uint16)
    bands = {"B04": store(red), "B08": store(near), "SCL": label.astype(np.uint16)} | changes
    data = xr.Dataset({name: (dims, values, {"grid_mapping": "spatial_ref"}) for name, values in bands.items()})
    x, y = WEST + 10 * (np.arange(SIZE[1]) + 0.5), NORTH - 10 * (np.arange(SIZE[0]) + 0.5)
    data = data.assign_coords(t=days[seen].astype("datetime64[ns]"), y=y, x=x)
    data["spatial_ref"] = ((), 0, CRS.from_user_input(CRS_CODE).to_cf())
    path = folder / "S2_L2A_made_up.nc"
    path.unlink(missing_ok=True)
    data.to_netcdf(path, engine="h5netcdf")
    return len(seen)


def write_weather(folder, days, **changes):
    """AgERA5-like daily weather of four cells around the place."""
    time = np.arange(len(days))
    season = -np.cos(2 * np.pi * (time + 60) / 365)[:, None, None] + np.zeros((1, 2, 2))
    random = np.random.default_rng(1)
    mean = 283.15 + 8 * season
    values = {
        "temperature_mean": mean, "temperature_min": mean - 5, "temperature_max": mean + 5,
        "solar_radiation_flux": (9 + 7 * season) * 1e6, "precipitation_flux": random.gamma(0.3, 7, mean.shape),
        "vapour_pressure": 9 + 4 * season,
    } | changes  # fmt: skip
    units = {"solar_radiation_flux": "J m-2 d-1", "precipitation_flux": "mm d-1", "vapour_pressure": "hPa"}
    data = xr.Dataset({n: (("time", "lat", "lon"), v.astype(np.float32), {"units": units.get(n, "K")}) for n, v in values.items()})
    data = data.assign_coords(time=days.astype("datetime64[ns]"), lat=[48.8, 48.7], lon=[2.9, 3.0])
    data.to_netcdf(folder / "agera5.nc", engine="h5netcdf")


def write_cover(folder):
    """WorldCover codes: grassland in the west, cropland in the east, one row of water."""
    code = np.full(SIZE, 30, np.uint8)
    code[:, 20:], code[:2] = 40, 80
    profile = dict(driver="GTiff", height=SIZE[0], width=SIZE[1], count=1, dtype="uint8", crs=CRS_CODE, nodata=0)
    profile["transform"] = from_origin(WEST, NORTH, 10, 10)
    with rasterio.open(folder / "ESA_WorldCover_10m_2021_v200_N48E003_Map.tif", "w", **profile) as file:
        file.write(code, 1)


def configuration(folder, **changes) -> RegionConfig:
    """The configuration of the made-up place."""
    place = str(folder)
    parts = {
        "id": "made-up", "title": "A made-up place", "utc_offset": 1,
        "grid": {"crs": CRS_CODE, "west": WEST, "south": NORTH - 360, "east": WEST + 400, "north": NORTH, "tile": 16},
        "period": {"start": "2019-06-01", "end": LAST, "lead": 92},
        "imagery": [{"dataset": "sentinel-2-l2a-cube", "place": place}],
        "weather": {"dataset": "agera5", "place": place},
        "landcover": [{"dataset": "worldcover", "place": place}],
        "soil": {"capacity": 120},
    }  # fmt: skip
    return RegionConfig.model_validate(parts | changes)


@pytest.fixture(autouse=True, scope="session")
def learned_once():
    """The hyperparameters of a sample of pixels are searched once, not in each of the builds of the made-up place."""
    known, learn = {}, smoother_fit.learn

    def remembered(values, when, days):
        key = hashlib.sha256(values.tobytes() + np.asarray(when).tobytes()).hexdigest(), values.shape, days
        if key not in known:
            known[key] = learn(values, when, days)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoother_fit, "learn", remembered)
        yield


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The folder of the made-up place."""
    folder = tmp_path_factory.mktemp("place")
    days = pd.date_range(FIRST, LAST).to_numpy()
    write_cube(folder, days)
    write_weather(folder, days)
    write_cover(folder)
    return folder


@pytest.fixture(scope="session")
def make():
    """The functions that write the made-up place, for tests that spoil a part of it."""
    return SimpleNamespace(
        cube=write_cube, weather=write_weather, cover=write_cover, configuration=configuration, truth=truth,
        days=pd.date_range(FIRST, LAST).to_numpy(), size=SIZE,
    )  # fmt: skip
