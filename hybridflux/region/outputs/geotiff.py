"""GeoTIFFs that are complete or absent. GDAL says nothing of the last write of a file that fails, so what it wrote is looked at."""

from __future__ import annotations

import errno
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridflux.files import whole

LITTLE = 16 << 20  # bytes: a disk with less room than that is taken for full


@contextmanager
def whole_geotiff(path: Path) -> Iterator[Path]:
    """As `files.whole`, for what GDAL writes.

    Raises:
        OSError: the disk is full, a file may not grow so large, or GDAL could not write.
    """
    from rasterio.errors import RasterioError

    with whole(path) as partial:
        try:
            yield partial
            if not is_complete(partial):
                raise RasterioError("the file is cut short")
        except Exception as error:
            if not isinstance(error, RasterioError) and type(error).__module__ != "rasterio._err":  # those of GDAL itself
                raise
            raise _of_the_disk(partial, path, error) from error


def is_complete(path: Path) -> bool:
    """Whether every block that a GeoTIFF names, of its overviews too, lies inside the file."""
    import rasterio

    size = path.stat().st_size
    with rasterio.open(path, driver="GTiff") as file:
        for overview in (None, *range(len(file.overviews(1)))):
            with rasterio.open(path, driver="GTiff") if overview is None else rasterio.open(path, overview_level=overview) as level:
                rows, columns = (-(-level.shape[axis] // level.block_shapes[0][axis]) for axis in (0, 1))
            for band in file.indexes:
                for row in range(rows):
                    for column in range(columns):
                        place = [file.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", band, overview) for what in ("OFFSET", "SIZE")]
                        if None not in place and sum(map(int, place)) > size:
                            return False
    return True


def _of_the_disk(partial: Path, path: Path, error: Exception) -> OSError:
    """What GDAL's error means: it passes on that a write failed, not why."""
    if shutil.disk_usage(partial.parent).free < LITTLE:
        return OSError(errno.ENOSPC, "No space left on device", str(path))
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        return OSError(errno.EFBIG, "File too large", str(path))
    memory = resource.getrlimit(resource.RLIMIT_RSS)[0]
    if "output buffer" in str(error) and memory != resource.RLIM_INFINITY:  # GDAL keeps to this limit, SLURM sets it
        return OSError(errno.ENOMEM, f"GDAL may not take memory: this process is allowed {memory} bytes (SLURM: give --mem)", str(path))
    return OSError(errno.EIO, f"GDAL could not write it: {str(error)[:200]}", str(path))
