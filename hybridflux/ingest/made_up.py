"""A small build with made-up views and hyperparameters, and made-up images of a service, to time what a build does on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import zarr

from hybridflux.data.catalog import Dataset
from hybridflux.ingest import views
from hybridflux.ingest.build_job import BuildJob, Lines
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.smoother_fit import WHOLE
from hybridflux.ingest.work import Work
from hybridflux.region.store import layout
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.series import SeriesProcess
from hybridflux.vocabulary import PLANT_TYPES

RED_BAND = "B04"  # darker than the others, as vegetation is
KINDS = ("CRO", "GRA", "DBF")
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
FIELD, CLOUD = 20, 50  # pixels along the side of a field, and of a cloud
PROCESS = SeriesProcess((0.5, -0.2, 0.05), fast_sd=0.1, fast_days=30.0, slow_sd=0.1, slow_days=1000.0, view_sd=0.03)


def made_up_job(
    folder: Path, config: RegionConfig, catalog: dict[str, Dataset], lines: Lines, *,
    tiles: int, tile: int, scenes: int, clear: float = 0.45,
) -> BuildJob:  # fmt: skip
    """A build of the days and indices of a configuration whose views are read and whose hyperparameters are learned.

    Args:
        folder: where it lies.
        config: days, indices and lines are taken from it; the grid is made up.
        catalog: datasets by id.
        lines: calibration lines.
        tiles: tiles along a side.
        tile: pixels along the side of one.
        scenes: number of views, spread over the days.
        clear: share of a view that is clear.
    """
    grid, size, out = config.grid, tiles * tile, folder / "region.zarr"
    config = config.on(south=grid.north - grid.pixel * size, east=grid.west + grid.pixel * size, tile=tile)
    job, days = BuildJob(config, catalog, lines, 0, Work.beside(out), out), config.period.days
    random, side = np.random.default_rng(0), -(-size // FIELD)
    codes = np.array([PLANT_TYPES.index(code) for code in KINDS])
    kinds = codes[random.integers(0, len(codes), (side, side))].repeat(FIELD, 0).repeat(FIELD, 1)[:size, :size]
    maps = RegionMaps(kinds, np.full((size, size), 120.0), daily={name: {} for name in job.daily_maps if name != "fapar"})
    weather = {name: np.ones((len(days), 1), np.float32) for name in layout.WEATHER}
    create_region(out, config.region_grid, maps, RegionWeather(days, weather))
    when = np.linspace(0, len(days) - 1, scenes).astype(int)
    made = [SimpleNamespace(id=f"{number}", day=days[day]) for number, day in enumerate(when)]
    views.begin(made, job.indices, config.region_grid, job.work)
    for name in job.indices:
        stored = zarr.open_array(job.work.views / name, mode="r+")
        for number, view in enumerate(made_up_views(when, len(days), size, clear)):
            stored[number] = view
        job.work.write(f"prior_{name}", {kind: asdict(PROCESS) for kind in (WHOLE, *KINDS)})
    return job


def made_up_items(folder: Path, config: RegionConfig, dataset: Dataset, bands: Iterable[str], dates: int) -> Path:
    """A STAC item collection of a grid: cloud-optimised files of vegetation without clouds, the same ones on all of some dates.

    Args:
        folder: where it lies.
        config: grid and days are taken from it.
        dataset: entry of the catalog, of format `stac`.
        bands: names of bands; that of the mask is added.
        dates: how many dates, spread over the days.
    """
    import pystac
    import rasterio
    from odc.geo.geobox import GeoBox

    extent, days, random = config.region_grid.geobox.geographic_extent, config.period.days, np.random.default_rng(2)
    longitude, latitude = extent.centroid.coords[0]
    crs, assets = f"EPSG:{32600 + 100 * (latitude < 0) + int(longitude + 180) // 6 + 1}", {}
    for band in dataset.bands:
        of_mask = dataset.mask is not None and band.name == dataset.mask.band
        if band.name not in bands and not of_mask:
            continue
        grid = GeoBox.from_bbox(extent.to_crs(crs).boundingbox, crs, resolution=band.resolution or config.grid.pixel)
        reflectance = (0.04 if band.name == RED_BAND else 0.3) * (1 + 0.1 * random.standard_normal(grid.shape.yx))
        values = np.full(grid.shape.yx, (*dataset.mask.clear, 0)[0]) if of_mask else (reflectance - band.offset) / band.scale
        path, kind = folder / f"{band.name}.tif", np.uint8 if of_mask else np.int16
        form = dict(driver="COG", count=1, dtype=kind, height=grid.shape.y, width=grid.shape.x, crs=crs, transform=grid.transform)
        with rasterio.open(path, "w", compress="deflate", blocksize=1024, nodata=band.nodata, **form) as file:
            file.write(np.rint(values).astype(kind), 1)
        assets[band.name] = {"href": str(path), "proj:shape": list(grid.shape.yx), "proj:transform": list(grid.transform)}
    items = []
    for day in days[np.linspace(0, len(days) - 1, dates).astype(int)]:
        when, properties = day.astype("datetime64[us]").item(), {"proj:code": crs, "s2:processing_baseline": "05.00"}
        item = pystac.Item(f"made_up_{day}", extent.json, list(extent.boundingbox.bbox), when, properties, stac_extensions=[PROJECTION])
        for name, fields in assets.items():
            item.add_asset(name, pystac.Asset(fields["href"], extra_fields={key: fields[key] for key in ("proj:shape", "proj:transform")}))
        items.append(item)
    path = folder / "items.json"
    pystac.ItemCollection(items).save_object(str(path))
    return path


def made_up_views(when: np.ndarray, days: int, size: int, clear: float) -> Iterator[np.ndarray]:
    """Views `[y, x]` as stored: a season, pixels that differ, harvests, clouds in patches and clouds that the mask missed."""
    random, side = np.random.default_rng(1), -(-size // CLOUD)
    level, harvest = 0.1 * random.standard_normal((size, size)), random.integers(120, 2 * days + 120, (size, size))
    for day in when:
        index = 0.5 - 0.2 * np.cos(2 * np.pi * day / 365.25) + level + 0.03 * random.standard_normal((size, size))
        index = index - 0.3 * ((day > harvest) & (day < harvest + 90)) - 0.3 * (random.random((size, size)) < 0.02)
        hidden = (random.random((side, side)) > clear).repeat(CLOUD, 0).repeat(CLOUD, 1)[:size, :size]
        yield np.where(hidden, layout.NODATA, np.rint(index / layout.SCALE)).astype(np.int16)
