"""Maps for GIS: cloud-optimised GeoTIFFs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridflux.machine import cores
from hybridflux.region.drivers.map_periods import MapPeriod, periods_of
from hybridflux.region.outputs.base import ArraySpec, arrays_of
from hybridflux.region.outputs.geotiff import whole_geotiff
from hybridflux.region.spec import Job
from hybridflux.region.store import blocks, layout
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.vocabulary import SIGN

BLOCK = 512  # pixels of a block, and the size at which overviews end
AT_ONCE = 2  # files, at most: each takes some 150 MB of memory
IN_MEMORY = 1  # overviews, at most, of a map whose rough copy is made in memory, up to 67 MB of twelve months; of a larger one it lies on
# the disk meanwhile: GDAL makes further overviews of missing values by another way in memory
CACHE_BYTES = 64 << 20  # of blocks, all files together; of its own a twentieth of the machine's memory


def write_cogs(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> list[Path]:
    """Cloud-optimised GeoTIFFs of the arrays that outputs want as such: one for each year, of months with a band for each."""
    import zarr

    store = zarr.open_group(job.store, mode="r")
    waiting = {}
    with ThreadPoolExecutor(min(cores(), AT_ONCE)) as pool:
        for file in files(job):
            path = job.out / "cog" / f"{file.name}.tif"
            waiting[path] = pool.submit(_write_cog, path, job, tiles, store[file.array.key], file, attributes)
        try:
            for future in waiting.values():
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return list(waiting)


class File(NamedTuple):
    """What one file holds.

    Attributes:
        array: of the store, of months, of years or of the record.
        window: its periods of that array.
        bands: the periods themselves, all of one calendar year; or the record.
    """

    array: ArraySpec
    window: slice
    bands: Sequence[MapPeriod]

    @property
    def name(self) -> str:
        """Array, periods and year, or years."""
        return f"{self.array.name}_{self.array.group}_{self.years}"

    @property
    def years(self) -> str:
        """Calendar year of all bands; of the record the first and the last one."""
        first, last = (str(day)[:4] for day in (self.bands[0].first, self.bands[-1].last))
        return first if first == last else f"{first}-{last}"


def files(job: Job) -> Iterator[File]:
    """A file for each array and year, and for each array of the record."""
    years, months, record = (periods_of(job.calendar, group) for group in ("annual", "monthly", "record"))
    arrays = arrays_of(job.keep, job.calendar)
    for number, (first, end) in enumerate(job.calendar.months_of_years):
        yield from (File(one, slice(number, number + 1), years[number : number + 1]) for one in arrays.get("annual", ()) if one.geotiff)
        yield from (File(one, slice(first, end), months[first:end]) for one in arrays.get("monthly", ()) if one.geotiff)
    yield from (File(one, slice(0, 1), record) for one in arrays.get("record", ()) if one.geotiff)


def _write_cog(path: Path, job: Job, tiles: Sequence[Tile], array, content: File, attributes: Mapping) -> None:
    """One file, copied tile by tile so that a large region fits into memory."""
    blocks = _blocks(array, content.window, tiles)
    about = {"spread_meaning": job.spread.meaning, "sign": SIGN, **attributes}
    about |= {name: array.attrs[name] for name in ("comment", "cell_methods", "long_name") if name in array.attrs}
    about["units"] = content.array.units_of(all(band.whole for band in content.bands))
    write_cog(path, job.region.grid, content.bands, about, blocks, content.array.linear)


def write_cog(
    path: Path, grid: Grid, bands: Sequence[MapPeriod], tags: Mapping, blocks: Iterable[tuple[slice, slice, np.ndarray]], linear=True
) -> None:
    """A cloud-optimised GeoTIFF of float32, whole or not at all; where no block is, nothing is stored and values are missing.

    Overviews are made of the rough copy, before anything is compressed, and ZSTD works at its fastest level: a third of the time of
    the driver's own ways, for files that are 2 % larger. The copy of a small map is made in memory, which takes a quarter less.

    Args:
        path: of the file.
        grid: of the map.
        bands: period of each band.
        tags: of the file, `units` and `long_name` among them; those of its days are added.
        blocks: rows, columns and values `[band, y, x]` of parts of the map.
        linear: whether overviews are means; else they are single pixels.

    Raises:
        OSError: as `whole_geotiff`.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    profile = dict(
        dtype="float32", count=len(bands), height=grid.shape[0], width=grid.shape[1], crs=grid.crs, transform=grid.geobox.affine,
        nodata=np.nan,
    )  # fmt: skip
    on_disk = dict(driver="GTiff", tiled=True, blockxsize=256, blockysize=256, interleave="band", BIGTIFF="IF_SAFER", SPARSE_OK="TRUE")
    overviews = _overviews(grid.shape)
    rough = {"driver": "MEM"} if len(overviews) <= IN_MEMORY else on_disk
    with whole_geotiff(path) as partial, rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, SPARSE_OK_OVERVIEW="YES"):
        with rasterio.open(partial.with_name("scratch.tif"), "w+", **profile, **rough) as file:
            if file.driver == "MEM":  # begins with zeros
                file.write(np.broadcast_to(np.float32(np.nan), (len(bands), *grid.shape)))
            for y, x, values in blocks:
                file.write(values, window=Window(x.start, y.start, values.shape[-1], values.shape[-2]))
            file.update_tags(**(dict(tags) | _of_days(bands, tags["long_name"])))
            for number, band in enumerate(bands, 1):
                file.set_band_description(number, str(band))
                file.set_band_unit(number, tags["units"])
                file.update_tags(number, period=f"{band.first}/{band.last}", days=str(band.days))
            file.build_overviews(overviews, Resampling.average if linear else Resampling.nearest)
            rasterio.shutil.copy(
                file, partial, driver="COG", compress="ZSTD", level=1, predictor=3, blocksize=BLOCK, overviews="FORCE_USE_EXISTING",
                overview_compress="ZSTD", sparse_ok="YES", BIGTIFF="IF_SAFER",
            )  # fmt: skip


def _of_days(bands: Sequence[MapPeriod], long_name: str) -> dict[str, str]:
    """Tags of a file that say which days it is of."""
    part = [str(band) for band in bands if not band.whole]
    return {
        "long_name": long_name + (f"; only {', '.join(part)}" if part else ""),
        "days": str(sum(band.days for band in bands)),
        "time_coverage_start": str(bands[0].first),
        "time_coverage_end": str(bands[-1].last),
    }


def _blocks(array, window: slice, tiles: Sequence[Tile]) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Values of some periods of a map of the store, tile by tile."""
    for tile in tiles:
        raw = blocks.read(array, (window, tile.y, tile.x))
        values = raw * np.float32(array.attrs["scale_factor"])
        values[raw == layout.NODATA] = np.nan
        yield tile.y, tile.x, values


def _overviews(shape: tuple[int, int]) -> list[int]:
    """Factors of the overviews of a map: by twos, until one block holds it.

    >>> _overviews((2000, 900)), _overviews((512, 300))
    ([2, 4], [])
    """
    return [2**step for step in range(1, 32) if max(shape) / 2 ** (step - 1) > BLOCK]
