# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Your region from Sentinel-2
#
# From images, weather and a land-cover map to the store of a region, and a map of it. The images here are made up, in the layout of a cube as openEO
# exports it; with yours, only the places in the configuration change. With a STAC service no image is needed on your disk at all.
#
# ## Files of yours
#
# This cell stands for what you download: images of every fifth day, a third of them cloudy; a tile of ESA WorldCover; daily weather of a tower near by.

# %%
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from pyproj import CRS

from hybridflux.twin.world import make_world

west, north, size, crs = 448_000.0, 5_398_000.0, 48, "EPSG:32631"
random = np.random.default_rng(0)
Path("my_files/images").mkdir(parents=True)
Path("my_files/cover").mkdir()

days = pd.date_range("2021-09-01", "2022-12-31", freq="5D")
season = 0.5 - 0.3 * np.cos(2 * np.pi * (days.dayofyear.to_numpy() - 20) / 365)
ndvi = np.repeat(season[:, None], size, 1)[:, None, :] + np.zeros((1, size, 1))
field = (days > "2022-07-20") & (days < "2022-10-15")  # the east is harvested in July
ndvi[np.ix_(field, range(size), range(size // 2, size))] = 0.2
ndvi = ndvi + random.normal(0, 0.015, ndvi.shape)
label = np.where(random.random(len(days)) < 0.33, 9, 4)[:, None, None] * np.ones(ndvi.shape)  # SCL: 4 vegetation, 9 cloud
bands = {"B04": 500.0 + 0 * ndvi, "B08": 500.0 * (1 + ndvi) / (1 - ndvi), "SCL": label}
cube = xr.Dataset({name: (("t", "y", "x"), band.round().astype("uint16"), {"grid_mapping": "spatial_ref"}) for name, band in bands.items()})
centre = 10 * (np.arange(size) + 0.5)
cube = cube.assign_coords(t=days.to_numpy(), y=north - centre, x=west + centre)
cube["spatial_ref"] = ((), 0, CRS.from_user_input(crs).to_cf())
cube.to_netcdf("my_files/images/S2_L2A_my_place.nc", engine="h5netcdf")

cover = np.full((size, size), 30, "uint8")  # WorldCover: 30 grassland, 40 cropland, 80 water
cover[:, size // 2 :], cover[:3] = 40, 80
profile = {"driver": "GTiff", "height": size, "width": size, "count": 1, "dtype": "uint8", "crs": crs, "nodata": 0}
grid = rasterio.transform.from_origin(west, north, 10, 10)
with rasterio.open("my_files/cover/ESA_WorldCover_10m_2021_v200_N48E002_Map.tif", "w", transform=grid, **profile) as file:
    file.write(cover, 1)

world = make_world("world", size=16, towers=6, seed=0)  # towers, with their weather

# %% [markdown]
# ## Where is it?
#
# The grid of a region is in metres, in any projected coordinate system, with edges that are multiples of the pixel. Of a box in degrees, west, south, east and
# north as a map in the web gives them, the grid in its UTM zone is:

# %%
from odc.geo.geobox import GeoBox

box = GeoBox.from_bbox((2.2929, 48.7286, 2.2993, 48.7328), crs="utm", resolution=10)
print(box.crs, box.boundingbox)

# %% [markdown]
# ## The configuration
#
# One TOML file says where, when, and which dataset of the [catalog](../reference/catalog.md) gives what. `{data}` is the folder that you name on the command
# line. `lead` days before the period let the soil water forget its start; a year is usual.
#
# Weather is that of the nearest tower here, so that nothing has to be asked for; `dataset = "era5-land"` with `place = "service"` asks the Climate Data Store,
# for which `hybridflux catalog era5-land` says how to get an account. Where the towers of the posterior had reflectance, the model reads it, and the region
# needs it too: `[vegetation]` with `also = ["nirv", "lswi"]`, and the bands for these. [Regions that were built](../reference/regions.md) are examples of all.

# %%
configuration = """
id = "my-place"
title = "My place"
utc_offset = 1

[grid]
crs = "EPSG:32631"
west = 448000
south = 5397520
east = 448480
north = 5398000
tile = 64

[period]
start = 2022-01-01
end = 2022-12-31
lead = 120

[[imagery]]
dataset = "sentinel-2-l2a-cube"
place = "{data}/images"

[weather]
dataset = "tower-weather"
place = "world/towers"

[[landcover]]
dataset = "worldcover"
place = "{data}/cover"

[soil]
capacity = 120
"""
Path("my_place.toml").write_text(configuration)

# %% language="bash"
# hybridflux region build my_place.toml --data my_files --out my_place.zarr --dry-run

# %% [markdown]
# `--dry-run` lists every file and request, with sizes and time, and sends nothing. With a service of the catalog as the place, for instance
#
# ```toml
# [[imagery]]
# dataset = "sentinel-2-l2a"
# place = "earth-search"
# ```
#
# it shows what would be asked for. Then build; an interrupted build goes on with `--resume`.

# %% language="bash"
# hybridflux region build my_place.toml --data my_files --out my_place.zarr --seed 1

# %% [markdown]
# ## Does it look like a region?
#
# Never skip this. `region check` compares vegetation by land cover and month, weather and soil with usual ranges, one line each; the exit code is 2 where something
# is wrong.

# %% language="bash"
# hybridflux region check my_place.zarr --figure my_place.png || true

# %% [markdown]
# ![The region, looked at](my_place.png)
#
# The first rows of the images were water, which is not mapped. The fall of the crop in July is there, and the standard deviation of the series grows between the clear
# views: [gap filling](../concepts/gap_filling.md).

# %%
import matplotlib.pyplot as plt

store = xr.open_zarr("my_place.zarr")
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
for column, name, colour in ((10, "grassland", "#3a7d44"), (36, "cropland", "#c98a1b")):
    mean, sd = store.fapar[:, 20, column], store.fapar_sd[:, 20, column]
    axes.plot(store.time, mean, color=colour, label=name)
    axes.fill_between(store.time, mean - 2 * sd, mean + 2 * sd, color=colour, alpha=0.2, linewidth=0)
axes.set(ylabel="fapar [1], mean ± 2 sd")
axes.legend();

# %% [markdown]
# ## Map it
#
# The spread `parameter+random_effects+vegetation` also draws the errors of this series.

# %% language="bash"
# hybridflux fit --towers world/towers --model static --method laplace --seed 1 --out posterior.nc | tail -n 3
# hybridflux map --posterior posterior.nc --region my_place.zarr --draws 16 --seed 1 --spread parameter+random_effects+vegetation --out run
# hybridflux budget --run run --out budget.csv

# %%
import hybridflux as hf

budget = hf.budget_table("run").query("zone == 'region' and quantity == 'flux' and variable == 'NEE'")
budget[["land_cover", "period", "area_ha", "mean", "q05", "q95", "units"]].round(1)

# %% [markdown]
# ## Next
#
# - [Polygons of your own](../howto/zones.md) as zones of the budget.
# - `hybridflux catalog` lists every dataset; [another satellite or reader](../howto/add.md) is one file.
# - [A large region](../howto/large.md): SLURM, dask, going on after a stop.
