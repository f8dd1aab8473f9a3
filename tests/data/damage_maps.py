"""Small files of the formats that maps of a region are made of: heights, soil layers, biomass, coarse soil water and weather, plots."""

import h5py
import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.inventories import biomass_map, plots
from hybridflux.data.land import soil, terrain

GRID = GeoBox((24, 24), Affine(100, 0, 600000, 0, -100, 4900000), "EPSG:32631")
CATALOG = load_catalog()
EXTENT = (1.0, 43.0, 1.5, 43.5)
RNG = np.random.default_rng(3)
DAYS = np.array(["2018-06-01", "2018-06-05"], "M8[D]")


def raster(path, values, driver="GTiff", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver=driver, height=24, width=24, count=1, dtype=values.dtype, crs="EPSG:32631", transform=GRID.affine, **options
    ) as file:
        file.write(values, 1)
    return path


def heights(path):
    values = RNG.normal(200, 20, (24, 24)).astype(np.float32)
    if path.suffix == ".asc":
        from rasterio.shutil import copy

        copy(raster(path.with_suffix(".tif"), values, nodata=-9999), path, driver="AAIGrid")
        path.with_suffix(".tif").unlink()
        return path
    return raster(path, values, nodata=-9999, compress="deflate")


def read_heights(path):
    return terrain.read(CATALOG["copernicus-dem-glo30"], path, GRID).values


def soil_layers(path):
    for band, value in {"sand": 400, "clay": 200, "soc": 145, "cfvo": 100}.items():
        for depth in ("0-5", "5-15"):
            values = (value + RNG.integers(-20, 20, (24, 24))).astype(np.int16)
            raster(path / f"{band}_{depth}cm_mean.tif", values, nodata=-32768, compress="deflate")
    return path


def read_soil(path):
    return soil.capacity(CATALOG["soilgrids"], path, GRID, depth=150.0).values


def biomass(path):
    for name, values in (("AGB", RNG.integers(50, 200, (24, 24))), ("AGB_SD", RNG.integers(10, 40, (24, 24)))):
        raster(path / f"N50E000_ESACCI-BIOMASS-L4-{name}-MERGED-100m-2020-fv6.0.tif", values.astype(np.uint16), compress="lzw")
    return path


def read_biomass(path):
    zone = np.repeat([[1, 2]], 12, axis=1).repeat(24, axis=0)
    return biomass_map.stocks(path, path, GRID, zone, {1: "west", 2: "east"}, campaign="2020").to_numpy().astype(str)


def composite(path):
    """SMAP L3: morning and evening of one day."""
    with h5py.File(path, "w") as file:
        for group, suffix in (("AM", ""), ("PM", "_pm")):
            part = file.create_group(f"Soil_Moisture_Retrieval_Data_{group}")
            for name, values in (("latitude", 43.2), ("longitude", 1.2), ("soil_moisture", 0.2)):
                part[name + suffix] = (values + RNG.random((4, 4)) / 50).astype(np.float32)
            part["retrieval_qual_flag" + suffix] = np.zeros((4, 4), np.uint16)
    return path


def orbit(path):
    """SMAP L2: cells of one half-orbit with their times as text."""
    with h5py.File(path, "w") as file:
        part = file.create_group("Soil_Moisture_Retrieval_Data")
        for name, values in (("latitude", 43.2), ("longitude", 1.2), ("soil_moisture", 0.2)):
            part[name] = (values + RNG.random(16) / 50).astype(np.float32)
        part["retrieval_qual_flag"] = np.zeros(16, np.uint16)
        part["tb_time_utc"] = np.array([b"2018-06-03T05:30:01.000Z"] * 16)
    return path


def saturation(path):
    counts = RNG.integers(0, 200, (1, 5, 5)).astype(np.uint8)
    axes = {"time": np.array(["2018-06-02"], "M8[ns]"), "lat": np.linspace(43.4, 43.0, 5), "lon": np.linspace(1.0, 1.4, 5)}
    xr.Dataset({"ssm": (("time", "lat", "lon"), counts, {"scale_factor": np.float32(0.5)})}, axes).to_netcdf(path, engine="h5netcdf")
    return path


def in_time(reader, dataset):
    """What a reader of weather or soil moisture gives of a file."""

    def read(path):
        series = reader(CATALOG[dataset].format)(CATALOG[dataset], path, EXTENT, *DAYS, 1.0)
        return [series.days.astype(str), *series.values.values()]

    return read


def agera5(path):
    mean = 288 + RNG.random((5, 3, 3))
    values = {
        "temperature_mean": mean, "temperature_min": mean - 5, "temperature_max": mean + 5, "vapour_pressure": 12 + 0 * mean,
        "solar_radiation_flux": 2e7 + 1e6 * RNG.random((5, 3, 3)), "precipitation_flux": RNG.gamma(0.3, 7, (5, 3, 3)),
    }  # fmt: skip
    units = {"solar_radiation_flux": "J m-2 d-1", "precipitation_flux": "mm d-1", "vapour_pressure": "hPa"}
    data = {name: (("time", "lat", "lon"), part.astype(np.float32), {"units": units.get(name, "K")}) for name, part in values.items()}
    axes = {"time": np.arange(DAYS[0], DAYS[1] + 1).astype("M8[ns]"), "lat": [43.4, 43.3, 43.2], "lon": [1.1, 1.2, 1.3]}
    xr.Dataset(data, axes).to_netcdf(path, engine="h5netcdf")
    return path


def sim2(path):
    """One cell of the 8 km grid, EPSG:27572 in hectometres, for five days."""
    from pyproj import Transformer

    x, y = (round(part / 100) for part in Transformer.from_crs("EPSG:4326", "EPSG:27572", always_xy=True).transform(1.25, 43.25))
    names = ("PRENEI_Q", "PRELIQ_Q", "T_Q", "TINF_H_Q", "TSUP_H_Q", "SSI_Q", "HU_Q")
    rows = [f"{x};{y};2018060{day};0.0;1.{day};15.{day};9.{day};22.{day};2010.{day};70.{day}" for day in range(1, 6)]
    path.write_text("\n".join([";".join(("LAMBX", "LAMBY", "DATE", *names)), *rows, ""]))
    return path


def forest(path):
    table = pd.DataFrame({"plot": np.arange(20), "carbon": RNG.random(20).round(3), "zone": ["a", "b"] * 10})
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, sep=";", index=False)
    return path


def read_forest(path):
    return plots.read_table(path, ("plot", "carbon", "zone")).to_numpy().astype(str)
