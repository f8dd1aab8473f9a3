"""Overviews that a run has made already: those of its GeoTIFFs, one file for each array and calendar year with a band for each month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hybridflux.data.rasters import DRIVERS, open_raster
from hybridflux.region.store import layout


@dataclass(frozen=True)
class ReadyOverviews:
    """Overviews of an array of the store.

    Attributes:
        folder: of the GeoTIFFs.
        name: of the array and its group, `NEE_monthly`.
        years: calendar year of each frame.
        shape: rows and columns of the map.
        scale: of the integers of the store.
        inside: refuses a path that leads out of the run folder.
    """

    folder: Path
    name: str
    years: Sequence[str]
    shape: tuple[int, int]
    scale: float
    inside: Callable[[Path], Path]

    @cached_property
    def files(self) -> dict[str, Path]:
        """Year -> its file."""
        return {year: self.folder / f"{self.name}_{year}.tif" for year in dict.fromkeys(self.years)}

    @cached_property
    def levels(self) -> int:
        """How many there are in every file; none where a file is missing or of other maps."""
        least = 99
        for year, file in self.files.items():
            if not file.exists():
                return 0
            with open_raster(self.inside(file), DRIVERS["product"]) as raster:
                factors = raster.overviews(1) if raster.shape == self.shape and raster.count == self.years.count(year) else []
            least = min(least, len(factors) if factors == [2**step for step in range(1, len(factors) + 1)] else 0)
        return least

    def __call__(self, level: int, frames: slice, y: slice, x: slice) -> np.ndarray | None:
        """Scaled integers `[frame, y, x]` of a level, or None where the files have not got it."""
        import rasterio

        if level > self.levels:
            return None
        parts = []
        for year, file in self.files.items():
            first, end = self.years.index(year), self.years.index(year) + self.years.count(year)
            bands = range(max(frames.start, first) - first + 1, min(frames.stop, end) - first + 1)
            if bands:
                with rasterio.open(self.inside(file), driver="GTiff", overview_level=level - 1) as raster:
                    parts.append(raster.read([*bands], window=((y.start, y.stop), (x.start, x.stop))))
        values = np.concatenate(parts)
        return np.where(np.isfinite(values), np.rint(np.nan_to_num(values) / self.scale), layout.NODATA).astype(np.int16)
