"""Elevation of the pixels of a grid [m], averaged from a terrain model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.addresses import redacted
from hybridflux.data.catalog import Dataset
from hybridflux.data.land.height_gaps import REACH, Filled, filled, zero_voids
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.services import SERVICE, located, tiles_at
from hybridflux.data.land.warp import metres, numbers, positions
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

_WATER = PLANT_TYPES.index("WAT")


@dataclass(frozen=True)
class Elevation:
    """Height above sea level.

    Attributes:
        values: `[y, x]` float32, m, no gaps.
        origin: files, and the shares of sea, lake, narrow gaps, and pixels without a plant type; JSON-ready.
    """

    values: np.ndarray
    origin: dict = field(default_factory=dict)


def read(dataset: Dataset, place: str | Path, geobox: GeoBox, *, cover: np.ndarray | None = None) -> Elevation:
    """Elevation of a grid: the mean over each pixel where the grid is coarser, bilinear where it is finer.

    A pixel without a height is sea, or a lake at the level of its lowest shore, only where the land cover is water. On land it is filled
    from its neighbours within `height_gaps.REACH`; wider gaps are refused. A pixel without a plant type takes the nearest height.
    All cases are reported. Of undeclared values only zeros on a mountain count as missing.

    Args:
        dataset: entry of the catalog, for the names of its files in a folder.
        place: a file, several in a folder, an address, or `service` for the tiles of its provider.
        geobox: the grid.
        cover: plant types of the grid `[y, x]`, indices into PLANT_TYPES or `OUTSIDE`; without `cover` all pixels are land.

    Raises:
        FileNotFoundError: no file.
        ValueError: damaged file, no coordinate system, no value on the grid, an undeclared missing value, or a gap on land that is too wide
            to be filled, with its extent and tiles.
    """
    files = located(dataset, place, geobox)
    pixel = metres(geobox)
    rim = ceil(REACH / pixel)  # so that a gap at the edge of the grid has its other side
    values = numbers(files, geobox.pad(rim), possible=VARIABLES["elevation"].bounds, voids=zero_voids)
    values[zero_voids(values)] = np.nan  # a whole file of zeros beside others
    inside = (slice(rim, -rim), slice(rim, -rim))
    missing = np.isnan(values[inside])
    if missing.all():
        raise ValueError(f"{place} has no value on the grid; name the tiles that cover it" + _tiles(dataset, place, files, geobox, missing))
    water, mapped = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
    water[inside] = False if cover is None else cover == _WATER
    mapped[inside] = True if cover is None else cover != OUTSIDE
    closed = Filled(*(part[inside] for part in vars(filled(values, pixel, water, mapped)).values()))
    if closed.unresolved.any():
        raise ValueError(_refusal(dataset, place, files, geobox, closed.unresolved, cover))
    shares = {
        "taken_as_sea": closed.sea,
        "taken_as_lake": closed.lake,
        "filled_from_neighbours": closed.narrow,
        "not_mapped": closed.unmapped,
    }
    shares = {name: round(float(part.mean()), 6) for name, part in shares.items()}
    if missing.any():
        _report(place, float(missing.mean()), shares)
    origin = {"dataset": dataset.id, "files": [str(file) for file in files], **shares}
    return Elevation(closed.values.astype(np.float32), origin)


def _report(place: str | Path, missing: float, shares: dict[str, float]) -> None:
    words = {
        "taken_as_sea": "taken as sea, 0 m, where the land cover is water",
        "taken_as_lake": "taken as water at the level of its lowest shore",
        "filled_from_neighbours": f"filled from neighbours within {REACH:g} m",
        "not_mapped": "without a plant type, at the nearest height",
    }
    parts = ", ".join(f"{shares[name]:.2%} {text}" for name, text in words.items() if shares[name])
    warnings.warn(f"{redacted(str(place))} has no value on {missing:.2%} of the grid: {parts}", stacklevel=3)


def _refusal(dataset: Dataset, place: str | Path, files: list[str], geobox: GeoBox, gap: np.ndarray, cover: np.ndarray | None) -> str:
    longitude, latitude = positions(geobox, gap)
    if cover is None:
        land = "and no land cover shows water"
    else:
        counts = np.bincount(cover[gap], minlength=256)
        kinds = [PLANT_TYPES[index] for index in np.argsort(counts)[::-1] if counts[index] and index < len(PLANT_TYPES)]
        land = f"where the land cover is land ({', '.join(kinds[:3])})"
    return (
        f"{place} has no height on {gap.mean():.2%} of the grid, {latitude.min():.4f} to {latitude.max():.4f} N, {longitude.min():.4f} to "
        f"{longitude.max():.4f} E, {land}, further than {REACH:g} m from known heights: not sea, and too wide to be filled"
        + _tiles(dataset, place, files, geobox, gap)
    )


def _tiles(dataset: Dataset, place: str | Path, files: list[str], geobox: GeoBox, gap: np.ndarray) -> str:
    """The tiles of the provider at a gap, and whether they are among the files."""
    names = tiles_at(dataset, geobox, gap)
    if not names:
        return "; add a file that covers it"
    if str(place) == SERVICE:
        return f"; the service has no tile there or a hole in it ({', '.join(names[:6])}): name a file of another terrain model"
    lacking = [name for name in names if not any(name in file for file in files)]
    if not lacking:
        return f"; the hole is in {', '.join(names)}: download it again, or fill it from another terrain model"
    return f"; add {', '.join(lacking[:6])}{' and more' if len(lacking) > 6 else ''}, or any file that covers it"
