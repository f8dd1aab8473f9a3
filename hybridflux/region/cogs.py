"""Maps for GIS at the end of a run: cloud-optimised GeoTIFFs of mean and sd."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hybridflux.region import layout
from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES
from hybridflux.region.outputs import SIGN, SPREADS


def write_cogs(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> list[Path]:
    """Cloud-optimised GeoTIFFs of mean and sd: one for each flux and year, and one with a band for each month of the year."""
    import zarr

    store = zarr.open_group(job.store, mode="r")
    years = job.calendar.years
    written = []
    for flux in FLUXES:
        for ending in ("", "_sd"):
            for number, (year, (first, end)) in enumerate(zip(years, job.calendar.months_of_years, strict=True)):
                months = [str(month) for month in job.calendar.months[first:end]]
                for group, window, bands in (("annual", slice(number, number + 1), [str(year)]), ("monthly", slice(first, end), months)):
                    array = store[group][flux + ending]
                    path = job.out / "cog" / f"{flux}{ending}_{group}_{year}.tif"
                    _write_cog(path, job, tiles, array, window, bands, dict(attributes))
                    written.append(path)
    return written


def _write_cog(path: Path, job: Job, tiles: Sequence[Tile], array, window: slice, bands: list[str], attributes: dict) -> None:
    """One file, copied tile by tile so that a large region fits into memory; what has no tile is not stored."""
    import rasterio
    import rasterio.shutil
    from rasterio.windows import Window

    grid, scratch, partial = job.region.grid, path.with_suffix(".scratch.part"), path.with_suffix(".part")
    profile = dict(
        driver="GTiff", dtype="float32", count=len(bands), height=grid.shape[0], width=grid.shape[1], crs=grid.crs,
        transform=grid.geobox.affine, nodata=np.nan, tiled=True, blockxsize=256, blockysize=256, interleave="band", BIGTIFF="IF_SAFER",
        SPARSE_OK="TRUE",
    )  # fmt: skip
    with rasterio.open(scratch, "w", **profile) as file:
        for tile in tiles:
            raw = array[window, tile.y, tile.x]
            values = np.where(raw == layout.NODATA, np.nan, raw * np.float32(array.attrs["scale_factor"])).astype(np.float32)
            file.write(values, window=Window(tile.x.start, tile.y.start, tile.shape[1], tile.shape[0]))
        file.update_tags(**{name: array.attrs[name] for name in ("units", "long_name", "comment", "cell_methods")})
        file.update_tags(spread_meaning=SPREADS[job.spread], sign=SIGN, **attributes)
        for number, band in enumerate(bands, 1):
            file.set_band_description(number, band)
            file.set_band_unit(number, array.attrs["units"])
    resampling = "nearest" if path.stem.split("_")[1] == "sd" else "average"  # the mean of sds is not the sd of the mean
    rasterio.shutil.copy(
        scratch, partial, driver="COG", compress="ZSTD", predictor=3, overview_resampling=resampling, overview_compress="ZSTD",
        sparse_ok="YES",
    )  # fmt: skip
    scratch.unlink()
    os.replace(partial, path)
