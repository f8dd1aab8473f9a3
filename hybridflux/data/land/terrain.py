"""Elevation of the pixels of a grid [m], averaged from a terrain model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.land.requests import located
from hybridflux.data.land.warp import numbers
from hybridflux.vocabulary import VARIABLES

SEA_LEVEL = 0.0
"""Elevation where no tile is: the producers leave tiles of the open sea out."""


@dataclass(frozen=True)
class Elevation:
    """Height above sea level.

    Attributes:
        values: `[y, x]` float32, m, no gaps.
        origin: files, share without a value; JSON-ready.
    """

    values: np.ndarray
    origin: dict = field(default_factory=dict)


def read(dataset: Dataset, place: str | Path, geobox: GeoBox) -> Elevation:
    """Elevation of a grid: the mean over each pixel where the grid is coarser, bilinear where it is finer.

    Pixels without a value are sea and take 0 m; their share is told. Numbers outside the bounds of the vocabulary are
    missing values that the file does not declare.

    Args:
        dataset: entry of the catalog, for the names of its files in a folder.
        place: a file, several in a folder, an address, or `service` for the tiles of its provider.
        geobox: the grid.

    Raises:
        FileNotFoundError: no file.
        ValueError: damaged file, no coordinate system, no value on the grid, or an undeclared missing value.
    """
    files = located(dataset, place, geobox)
    values = numbers(files, geobox)
    missing = np.isnan(values)
    if missing.all():
        raise ValueError(f"{place} has no value on the grid; name the tiles that cover it")
    low, high = VARIABLES["elevation"].bounds
    if (wrong := values[~missing & ((values < low) | (values > high))]).size:
        raise ValueError(
            f"{place} has elevations of {wrong.min():g} to {wrong.max():g} m, not within {low:g} to {high:g} m; "
            "if that is its missing value, declare it with `gdal_edit.py -a_nodata`"
        )
    if missing.any():
        warnings.warn(f"{place} has no value on {missing.mean():.1%} of the grid, taken as sea, {SEA_LEVEL:g} m", stacklevel=2)
    origin = {"dataset": dataset.id, "files": [str(file) for file in files], "taken_as_sea": round(float(missing.mean()), 6)}
    return Elevation(np.where(missing, SEA_LEVEL, values).astype(np.float32), origin)
