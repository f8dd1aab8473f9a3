"""Maps for GIS at the end of a run: cloud-optimised GeoTIFFs of mean and sd."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hybridflux.machine import cores
from hybridflux.region import layout
from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES
from hybridflux.region.outputs import SIGN, SPREADS

BLOCK = 512  # pixels of a block, and the size at which overviews end
AT_ONCE = 2  # files, at most: their rough copies lie uncompressed on the disk meanwhile, and each takes some 150 MB of memory
CACHE_BYTES = 64 << 20  # of blocks, all files together; of its own a twentieth of the machine's memory


def write_cogs(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> list[Path]:
    """Cloud-optimised GeoTIFFs of mean and sd: one for each flux and year, and one with a band for each month of the year."""
    import zarr

    store = zarr.open_group(job.store, mode="r")
    waiting = {}
    with ThreadPoolExecutor(min(cores(), AT_ONCE)) as pool:
        for name, group, year, window, bands in _files(job):
            path = job.out / "cog" / f"{name}_{group}_{year}.tif"
            waiting[path] = pool.submit(_write_cog, path, job, tiles, store[group][name], window, bands, dict(attributes))
        try:
            for future in waiting.values():
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return list(waiting)


def _files(job: Job) -> Iterator[tuple[str, str, int, slice, list[str]]]:
    """(array, group, year, its periods, names of the bands) of each file."""
    months = [str(month) for month in job.calendar.months]
    for name in (flux + ending for flux in FLUXES for ending in ("", "_sd")):
        for number, (year, (first, end)) in enumerate(zip(job.calendar.years, job.calendar.months_of_years, strict=True)):
            yield name, "annual", year, slice(number, number + 1), [str(year)]
            yield name, "monthly", year, slice(first, end), months[first:end]


def _write_cog(path: Path, job: Job, tiles: Sequence[Tile], array, window: slice, bands: list[str], attributes: dict) -> None:
    """One file, copied tile by tile so that a large region fits into memory; what has no tile is not stored.

    Overviews are made of the rough copy, before anything is compressed, and ZSTD works at its fastest level: a third of the time of
    the driver's own ways, for files that are 2 % larger.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.enums import Resampling

    grid, scratch, partial = job.region.grid, path.with_suffix(".scratch.part"), path.with_suffix(".part")
    profile = dict(
        driver="GTiff", dtype="float32", count=len(bands), height=grid.shape[0], width=grid.shape[1], crs=grid.crs,
        transform=grid.geobox.affine, nodata=np.nan, tiled=True, blockxsize=256, blockysize=256, interleave="band", BIGTIFF="IF_SAFER",
        SPARSE_OK="TRUE",
    )  # fmt: skip
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, SPARSE_OK_OVERVIEW="YES"):
        with rasterio.open(scratch, "w", **profile) as file:
            _copy(array, window, tiles, file)
            file.update_tags(**{name: array.attrs[name] for name in ("units", "long_name", "comment", "cell_methods")})
            file.update_tags(spread_meaning=SPREADS[job.spread], sign=SIGN, **attributes)
            for number, band in enumerate(bands, 1):
                file.set_band_description(number, band)
                file.set_band_unit(number, array.attrs["units"])
        is_sd = path.stem.split("_")[1] == "sd"  # the mean of sds is not the sd of the mean
        with rasterio.open(scratch, "r+") as file:
            file.build_overviews(_overviews(grid.shape), Resampling.nearest if is_sd else Resampling.average)
        rasterio.shutil.copy(
            scratch, partial, driver="COG", compress="ZSTD", level=1, predictor=3, blocksize=BLOCK, overviews="FORCE_USE_EXISTING",
            overview_compress="ZSTD", sparse_ok="YES", BIGTIFF="IF_SAFER",
        )  # fmt: skip
    scratch.unlink()
    os.replace(partial, path)


def _copy(array, window: slice, tiles: Sequence[Tile], file) -> None:
    """Numbers of some periods of a map of the store into an open file."""
    from rasterio.windows import Window

    for tile in tiles:
        raw = array[window, tile.y, tile.x]
        values = np.where(raw == layout.NODATA, np.nan, raw * np.float32(array.attrs["scale_factor"])).astype(np.float32)
        file.write(values, window=Window(tile.x.start, tile.y.start, tile.shape[1], tile.shape[0]))


def _overviews(shape: tuple[int, int]) -> list[int]:
    """Factors of the overviews of a map: by twos, until one block holds it.

    >>> _overviews((2000, 900)), _overviews((512, 300))
    ([2, 4], [])
    """
    return [2**step for step in range(1, 32) if max(shape) / 2 ** (step - 1) > BLOCK]
