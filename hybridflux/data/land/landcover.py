"""Land cover on the grid of a region: codes of a map -> plant types by the table of the catalog, with a record of unmapped codes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.land.services import located, tiles_at
from hybridflux.data.land.vectors import is_vector
from hybridflux.data.land.warp import NO_LABEL, labels
from hybridflux.vocabulary import PLANT_TYPES

OUTSIDE = 255
"""`plant_type` of a pixel without one: outside all files, no data, or a code that the catalog does not map."""
REPORTED = 0.001  # share of the grid from which an unmapped code or a missing part is reported


@dataclass(frozen=True)
class LandCover:
    """Plant types of the pixels of a grid.

    Attributes:
        plant_type: `[y, x]` uint8, index into `PLANT_TYPES`, `OUTSIDE` where there is none.
        code: `[y, x]` int32, code of the map, `NO_LABEL` where no file covers the pixel or it is marked missing.
        shares: code -> share of the pixels of the grid [1].
        origin: files, shares of the plant types, unmapped codes; JSON-ready.
    """

    plant_type: np.ndarray
    code: np.ndarray
    shares: dict[int, float]
    origin: dict = field(default_factory=dict)


def read(dataset: Dataset, place: str | Path, geobox: GeoBox) -> LandCover:
    """Plant types of a grid from a land-cover map, a raster or polygons.

    Args:
        dataset: an entry of the catalog with `classes`.
        place: a file, several in a folder, an address, `file.nc#VARIABLE`, or `service` for the tiles of its provider.
        geobox: the grid.

    Raises:
        FileNotFoundError: no file.
        ValueError: damaged file, no coordinate system, no overlap with the grid, or a dataset without classes.
    """
    _has_classes(dataset)
    files = located(dataset, place, geobox)
    code, mended = _polygon_codes(dataset, files, geobox) if is_vector(files[0]) else (labels(files, geobox), {})
    if (code == NO_LABEL).all():
        raise ValueError(f"{place} has no value on the grid ({_extent(geobox)}); name the files that cover it")
    cover = of_codes(dataset, code, files, geobox)
    return replace(cover, origin=cover.origin | {"polygons": mended}) if mended else cover


def of_codes(dataset: Dataset, code: np.ndarray, files: list[str], geobox: GeoBox | None = None) -> LandCover:
    """Plant types of codes on a grid; codes without one are counted and reported.

    Args:
        dataset: an entry of the catalog with `classes`.
        code: `[y, x]` int32, `NO_LABEL` where missing.
        files: names of the files, for provenance and messages.
        geobox: the grid, to name the tiles of a provider that are missing.
    """
    _has_classes(dataset)
    values, counts = np.unique(code, return_counts=True)
    shares = {int(value): float(count / code.size) for value, count in zip(values, counts, strict=True)}
    missing = shares.pop(NO_LABEL, 0.0)
    plant_type = np.full(code.shape, OUTSIDE, np.uint8)
    for value in shares:
        if value in dataset.classes:
            plant_type[code == value] = PLANT_TYPES.index(dataset.classes[value])
    unmapped = {value: share for value, share in shares.items() if value not in dataset.classes}
    lacking = [] if geobox is None or missing < REPORTED else tiles_at(dataset, geobox, code == NO_LABEL)
    lacking = [name for name in lacking if not any(name in file for file in files)]
    _report(dataset, unmapped, missing, files, lacking)
    origin = {
        "dataset": dataset.id, "files": [str(file) for file in files], "no_data": round(missing, 6), "missing_tiles": lacking,
        "unmapped": {str(value): round(share, 6) for value, share in unmapped.items()}, "plant_types": shares_of_types(plant_type),
    }  # fmt: skip
    return LandCover(plant_type, code, shares, origin)


def shares_of_types(plant_type: np.ndarray) -> dict[str, float]:
    """Plant type -> share of the pixels [1]; pixels without one are not in it."""
    counts = np.bincount(plant_type.ravel(), minlength=256)
    return {name: round(float(counts[index] / plant_type.size), 6) for index, name in enumerate(PLANT_TYPES) if counts[index]}


def _report(dataset: Dataset, unmapped: dict[int, float], missing: float, files: list[str], lacking: list[str]) -> None:
    where = f"{dataset.kind}/{dataset.id}.toml"
    codes = [f"{value} ({share:.1%})" for value, share in sorted(unmapped.items(), key=lambda item: -item[1]) if share >= REPORTED]
    if codes:
        warnings.warn(
            f"{files[0]}: codes without a plant type in {where} are masked: {', '.join(codes)} of the grid; "
            "name them under [classes] there, or lay another land cover over them",
            stacklevel=4,
        )
    if missing >= REPORTED:
        tiles = f" ({', '.join(lacking)} is not among the files)" if lacking else ""
        warnings.warn(
            f"{files[0]}{' and others' if len(files) > 1 else ''} have no value on {missing:.1%} of the grid, which is masked{tiles}; "
            "add the files that cover it, or lay another land cover under it",
            stacklevel=4,
        )


def _polygon_codes(dataset: Dataset, files: list[str], geobox: GeoBox) -> tuple[np.ndarray, dict]:
    from hybridflux.data.land.polygons import codes

    return codes(dataset, files, geobox)


def _has_classes(dataset: Dataset) -> None:
    if not dataset.classes:
        raise ValueError(f"{dataset.kind}/{dataset.id}.toml has no [classes]: its codes have no plant types")


def _extent(geobox: GeoBox) -> str:
    west, south, east, north = geobox.geographic_extent.boundingbox.bbox
    return f"{south:.2f} to {north:.2f} N, {west:.2f} to {east:.2f} E"
