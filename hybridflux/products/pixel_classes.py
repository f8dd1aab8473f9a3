"""Classes of the pixels of a region: its maps, rasters and polygons of the user, mowing regime, irrigation, and any two crossed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.land.vectors import burn, column, is_vector, read_features
from hybridflux.data.land.warp import NO_LABEL, VARIABLE, files_at, labels, numbers
from hybridflux.products.totals import names_of_zones
from hybridflux.region.drivers.open import UNVEGETATED_CODES, Region
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES, suggestion

COLUMNS = ("zone", "name", "nom", "label", "id")
"""Columns that name a polygon where none is given; the first that exists is used."""
MOST = 24
"""Classes, at most: more are no longer compared by a person; numbers with more values are parted into thirds."""
NONE = -1
OF_COVER = ("land_cover", "plant_type")
MOWINGS = ("not mown", "mown once", "mown twice", "mown 3 times or more")
SEEN = ("mowing", "irrigation")
"""Classes that are searched in the vegetation series."""


@dataclass(frozen=True)
class Classes:
    """Classes of pixels.

    Attributes:
        name: what they are classes of.
        labels: of the classes, in the order of their numbers.
        number: of each pixel of a tile `[pixel]`; -1 for those in no class.
    """

    name: str
    labels: tuple[str, ...]
    number: Callable[[Tile], np.ndarray]


def classes_of(text: str, region: Region, year: int) -> Classes:
    """Classes by a text.

    Args:
        text: `land_cover`, `zone`, a map of the region such as `soil_capacity`, `mowing`, `irrigation`, a raster `crops.tif` or polygons
            `fields.gpkg:crop`; several with commas between them are crossed: `land_cover,soil_capacity`.
        region: open.
        year: of the season, for mowing and irrigation.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such map, no polygon or no value on the region, no such column, or too many classes.
    """
    return reduce(crossed, [_single(one.strip(), region, year) for one in text.split(",")])


def crossed(first: Classes, second: Classes) -> Classes:
    """Every class of the one within every class of the other."""
    width = len(second.labels)

    def number(tile: Tile) -> np.ndarray:
        one, other = first.number(tile), second.number(tile)
        return np.where((one < 0) | (other < 0), NONE, one * width + other)

    both = tuple(f"{one}, {other}" for one in first.labels for other in second.labels)
    return Classes(f"{first.name}, {second.name}", both, number)


def _single(text: str, region: Region, year: int) -> Classes:
    if text in OF_COVER:
        return Classes(text, PLANT_TYPES, partial(_of_codes, region, "plant_type", np.arange(len(PLANT_TYPES))))
    if text == "zone":
        found = np.unique(np.concatenate([np.unique(region.map_of("zone", tile)) for tile in region.tiles()]))
        _check_number(text, len(found))
        names = names_of_zones(region.zone_names, found.tolist())
        return Classes(text, tuple(names[one] for one in found.tolist()), partial(_of_codes, region, "zone", found))
    if text in SEEN:
        return _seen(text, region, year)
    if text in region.names:
        return _of_map(text, region)
    file, _, wanted = text.rpartition(":") if ":" in text and not Path(text).exists() else (text, "", "")
    if Path(file.partition(VARIABLE)[0]).exists():
        name = Path(file).stem + (f" {wanted}" if wanted else "")
        grid = _of_polygons(file, wanted, region) if is_vector(file) else _of_raster(file, region)
        return _on_grid(name, *grid)
    known = [*OF_COVER[:1], "zone", *SEEN, *(one for one in region.names if _is_static(region, one))]
    raise ValueError(
        f"`{text}` is neither a file nor a map of {region.path}; give one of {', '.join(known)}, a raster or polygons "
        f"(`fields.gpkg:COLUMN`).{suggestion(text, known)}"
    )


def _check_number(name: str, classes: int) -> None:
    """Refuse more classes than a person compares.

    Raises:
        ValueError: there are more than `MOST`.
    """
    if classes > MOST:
        raise ValueError(f"`{name}` makes {classes} classes, more than the {MOST} that a person compares; name a coarser map or column")


def _is_static(region: Region, name: str) -> bool:
    own = ("plant_type", "cell", "zone")
    return region.group[name].metadata.dimension_names == ("y", "x") and name not in own


def _of_codes(region: Region, name: str, codes: np.ndarray, tile: Tile) -> np.ndarray:
    """Position of the code of each pixel among rising codes."""
    value = region.map_of(name, tile).astype(np.int64)
    place = np.minimum(np.searchsorted(codes, value), len(codes) - 1)
    return np.where(codes[place] == value, place, NONE)


def _of_map(name: str, region: Region) -> Classes:
    """Thirds, or single values, of a static map of the region, over its pixels with vegetation."""
    if not _is_static(region, name):
        raise ValueError(f"`{name}` of {region.path} changes from day to day; classes are made of maps that do not")
    bare = [*UNVEGETATED_CODES, layout.OUTSIDE]
    inside = [region.map_of(name, tile)[~np.isin(region.map_of("plant_type", tile), bare)] for tile in region.tiles()]
    edges, names = parted(np.concatenate(inside), name, region.group[name].attrs.get("units", ""))
    return Classes(name, names, lambda tile: placed(region.map_of(name, tile).astype(float), edges))


def parted(values: np.ndarray, name: str, units: str = "") -> tuple[np.ndarray, tuple[str, ...]]:
    """Lower edges of the classes of some numbers, and their labels: each value where there are few, else thirds of the pixels.

    Raises:
        ValueError: there is no value, or one alone.

    >>> parted(np.array([1, 1, 2]), "crop")
    (array([1., 2.]), ('crop 1', 'crop 2'))
    >>> parted(np.arange(90.0), "capacity", "mm")[1]
    ('capacity below 29.7 mm', 'capacity 29.7 to 59.3 mm', 'capacity above 59.3 mm')
    """
    known, words = np.asarray(values, float)[np.isfinite(values)], name.replace("_", " ")
    different = np.unique(known)
    if len(different) < 2:
        raise ValueError(f"`{name}` has {'one value' if len(different) else 'no value'} on the region, which makes no classes")
    if len(different) <= MOST and np.equal(different, different.round()).all():
        return different, tuple(f"{words} {one:g}" for one in different)
    low, high = np.quantile(known, (1 / 3, 2 / 3))
    unit = f" {units}" if units not in ("", "1") else ""
    names = (f"{words} below {low:.3g}{unit}", f"{words} {low:.3g} to {high:.3g}{unit}", f"{words} above {high:.3g}{unit}")
    return np.array([-np.inf, low, high]), names


def placed(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Number of the class of each value by the lower edges; -1 where it is not finite or lies below all."""
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right") - 1, NONE)


def _on_grid(name: str, number: np.ndarray, names: tuple[str, ...]) -> Classes:
    """Classes whose numbers are there for the whole grid `[y, x]`."""
    _check_number(name, len(names))
    return Classes(name, names, lambda tile: number[tile.y, tile.x].reshape(-1))


def _of_raster(file: str, region: Region) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes of a raster of whole numbers, thirds of any other."""
    files, geobox, name = files_at(file, ("*.tif",)), region.grid.geobox, Path(file).stem
    value = numbers(files, geobox)
    try:
        codes = labels(files, geobox)
        value = np.where(codes == NO_LABEL, np.nan, codes)
    except ValueError:
        pass  # its numbers are no codes
    edges, names = parted(value, name)
    return placed(value, edges), names


def _of_polygons(file: str, wanted: str, region: Region) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values of a column of polygons in the pixels whose centres they hold."""
    found = read_features(file, region.grid.geobox)
    if not len(found):
        raise ValueError(f"{file} has no polygon on the region: {found.where}")
    values = column(found, (wanted,) if wanted else COLUMNS)
    if values is None:
        there = ", ".join(map(str, found.table.columns))
        raise ValueError(f"{file} has no column {wanted or ' or '.join(COLUMNS)}; name one of {there}: `{file}:COLUMN`")
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > 1:
        edges, names = parted(values.to_numpy(float), wanted or str(values.name))
        number = placed(values.to_numpy(float), edges)
    else:
        text = values.fillna("").astype(str).str.strip()
        names = tuple(sorted({one for one in text if one}))
        number = np.array([names.index(one) if one else NONE for one in text])
    return burn(found.shapes, number, region.grid.geobox, fill=NONE), names


def _seen(text: str, region: Region, year: int) -> Classes:
    """Classes that are found in the vegetation series, tile by tile."""
    if text == "mowing":
        from hybridflux.products.region_events import mowings

        return Classes(text, MOWINGS, lambda tile: mowings(region, tile, year))
    from hybridflux.products.region_irrigation import beyond_rain_of

    return Classes(text, ("rain alone", "water beyond rain"), beyond_rain_of(region, year))
