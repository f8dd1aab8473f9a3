"""Crop parcels on a grid: one zone for each parcel, with crop, plant type and area; or zones from a raster of labels."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.services import located
from hybridflux.data.land.shapes import POLYGONS, duplicates, slivers
from hybridflux.data.land.vectors import HECTARE, Features, burn, claims, column, is_vector, needed, read_features
from hybridflux.data.land.warp import NO_LABEL, labels
from hybridflux.vocabulary import PLANT_TYPES

IDENTIFIER = ("ID_PARCEL", "id_parcelle", "sample_id", "id", "fid")
CROP = ("CODE_CULTU", "code_culture", "CT", "crop_code")
GROUP = ("CODE_GROUP", "code_groupe", "LC", "group")
LABEL = ("NOM_CULTU", "LIBELLE_CULTURE", "LIB_GROUP", "label", "name")
YEAR = ("millesime", "annee", "year")
"""Names of columns in all years of the RPG and in other files; the first that exists is used, in any case. RPG 2015 to
2023 has ID_PARCEL SURF_PARC CODE_CULTU CODE_GROUP CULTURE_D1 CULTURE_D2; the areas of 2014 and before have no parcel of their own."""
NO_GROUP = -1  # of a parcel whose group is empty or not a number
COLUMNS = ("zone", "parcel", "crop", "group", "label", "plant_type", "area_ha", "pixels")


@dataclass(frozen=True)
class Parcels:
    """Parcels of one year on a grid.

    Attributes:
        zone: `[y, x]` int32, number of the parcel whose polygon holds the centre of the pixel, 0 where none does.
        names: number -> label, for budgets.
        plant_type: `[y, x]` uint8, by the group of crops; `OUTSIDE` where no parcel is, or its group has none.
        table: one row for each parcel, `COLUMNS`; the area [ha] is that of the polygon in the coordinate system of the grid.
        origin: files, year, shares, overlaps; JSON-ready.
    """

    zone: np.ndarray
    names: dict[int, str]
    plant_type: np.ndarray
    table: pd.DataFrame
    origin: dict = field(default_factory=dict)


def read(dataset: Dataset, place: str | Path, geobox: GeoBox, year: int | None = None) -> Parcels:
    """Parcels on a grid, from polygons or from a raster of labels.

    Args:
        dataset: entry of the catalog whose classes map groups of crops to plant types.
        place: a vector file, a folder with one, or a raster (`file.tif`, `file.nc#CT`) whose codes become zones.
        geobox: the grid.
        year: year of the declarations; selects features where the file holds their year, else it is only recorded in the origin.

    Raises:
        FileNotFoundError: no file.
        ValueError: damaged file, no coordinate system, missing columns, no parcel on the grid, or a year that the file does not hold.
    """
    files = _files_of_year(located(dataset, place, geobox), str(place), year)
    if not is_vector(files[0]):
        return zones(dataset, labels(files, geobox), files)
    features = [_of_year(read_features(file, geobox), year) for file in files]
    parcels = of_features(dataset, _joined(features), geobox)
    return parcels if year is None else replace(parcels, origin=parcels.origin | {"year": year})


def of_features(dataset: Dataset, features: Features, geobox: GeoBox) -> Parcels:
    """Parcels on a grid from features that have been read.

    Of identical polygons the first in the file is kept. Where parcels overlap the smaller one has the pixel, but slivers,
    narrower than half a pixel, yield to all others. A hole is not part of its parcel. All cases are counted in the origin and reported.

    Raises:
        ValueError: no polygon, or no column of crops or groups.
    """
    import shapely

    area = np.isin(shapely.get_type_id(features.shapes), POLYGONS)
    first = duplicates(features.shapes)
    keep = area & (first == np.arange(len(first)))
    if not keep.any():
        reason = f"no polygon, points or lines: {len(area)}" if len(area) else "no parcel on the grid"
        where = f" ({features.where})" if features.where else ""
        raise ValueError(f"{features.source} has {reason}{where}; name the file of its region or department")
    table = _table(dataset, features)
    alike = (first != np.arange(len(first))) & area
    changed = int((table["group"].to_numpy()[first[alike]] != table["group"].to_numpy()[alike]).sum())
    shapes, table = features.shapes[keep], table[keep].reset_index(drop=True)
    table["zone"] = np.arange(1, len(table) + 1)
    named = table["parcel"] != ""
    table["parcel"] = table["parcel"].where(named, table["zone"].astype(str))
    table["area_ha"] = shapely.area(shapes) / HECTARE
    zone = burn(shapes, table["zone"].to_numpy(), geobox, fill=0)
    table["pixels"] = np.bincount(zone.ravel(), minlength=len(table) + 1)[1:]
    number = np.array([OUTSIDE] + [PLANT_TYPES.index(name) if name else OUTSIDE for name in table["plant_type"]], np.uint8)
    counts = {
        "parcels": len(table), "without_a_pixel": int((table["pixels"] == 0).sum()),
        "slivers": int(slivers(shapes, abs(geobox.affine.e)).sum()), "duplicates": int(alike.sum()), "duplicates_of_another_group": changed,
        "no_polygon": int((~area).sum()), **features.mended,
    }  # fmt: skip
    twice = float((claims(shapes, geobox) > 1).mean())
    covered = float((zone > 0).mean())
    _report(dataset, features, table, twice, covered, counts)
    names = {int(row.zone): f"{row.parcel} {row.label}".strip() for row in table.itertuples()}
    origin = {
        "dataset": dataset.id, "files": features.source.split("\n"), "covered": round(covered, 6),
        "in_two_parcels": round(twice, 6), **counts,
    }  # fmt: skip
    return Parcels(zone, names, number[zone], table[list(COLUMNS)], origin)


def _table(dataset: Dataset, features: Features) -> pd.DataFrame:
    """Identifier, crop, group, label and plant type of each feature."""
    group = needed(features, GROUP, "the group of crops")
    crop = _text(column(features, CROP), len(features))
    table = pd.DataFrame(
        {
            "parcel": _text(column(features, IDENTIFIER), len(features)),
            "crop": crop,
            "group": pd.to_numeric(group, errors="coerce").fillna(NO_GROUP).astype(int).to_numpy(),
            "label": _text(column(features, LABEL), len(features)),
        }
    )
    table["plant_type"] = table["group"].map(dataset.classes).fillna("")
    table["label"] = np.where(table["label"] != "", table["label"], crop)
    return table


def zones(dataset: Dataset, code: np.ndarray, files: list[str]) -> Parcels:
    """Zones from a raster of labels: one zone for each code, in order of codes.

    Args:
        dataset: entry of the catalog: `names` of the codes, the code itself where it has none, and `classes`, their plant types.
        code: `[y, x]` integers, `NO_LABEL` or 0 where there is none.
        files: names of the files, for provenance.

    Raises:
        ValueError: no label at all.
    """
    present = [int(value) for value in np.unique(code) if value not in (NO_LABEL, 0)]
    if not present:
        raise ValueError(f"{', '.join(files)}: no label on the grid")
    number = np.zeros(code.shape, np.int32)
    plant_type = np.full(code.shape, OUTSIDE, np.uint8)
    for zone, value in enumerate(present, start=1):
        number[code == value] = zone
        if value in dataset.classes:
            plant_type[code == value] = PLANT_TYPES.index(dataset.classes[value])
    label = [dataset.names.get(value, str(value)) for value in present]
    table = pd.DataFrame(
        {
            "zone": range(1, len(present) + 1), "parcel": "", "crop": [str(value) for value in present], "group": present, "label": label,
            "plant_type": [dataset.classes.get(value, "") for value in present], "area_ha": np.nan,
            "pixels": np.bincount(number.ravel(), minlength=len(present) + 1)[1:],
        }
    )  # fmt: skip
    origin = {"dataset": dataset.id, "files": list(files), "codes": present, "covered": round(float((number > 0).mean()), 6)}
    return Parcels(number, dict(enumerate(label, start=1)), plant_type, table[list(COLUMNS)], origin)


def _files_of_year(files: list[str], place: str, year: int | None) -> list[str]:
    """The files of one year, of several whose names or folders hold a year.

    Raises:
        ValueError: they are of several years and none is named, or none is of the year.
    """
    years = {file: found[-1] for file in files if (found := re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", file.removeprefix(place)))}
    held = sorted({int(found) for found in years.values()})
    if len(files) == 1 or not held:
        return files
    if year is None:
        if len(held) > 1:
            raise ValueError(f"{place} holds files of the years {held}, which would overlap; name one with `year`, or one file")
        return files
    if year not in held and len(years) == len(files):
        raise ValueError(f"{place} holds files of the years {held}, not {year}")
    return [file for file in files if int(years.get(file, year)) == year]


def _of_year(features: Features, year: int | None) -> Features:
    """The features of one year, where the file holds the year of a feature."""
    year_column = column(features, YEAR)
    if year_column is None or not len(features):
        return features
    years = pd.to_numeric(year_column, errors="coerce")
    held = sorted(int(value) for value in years.dropna().unique())
    if year is None and len(held) > 1:
        raise ValueError(f"{features.source} holds the years {held}; name one")
    if year is not None and year not in held:
        raise ValueError(f"{features.source} holds the years {held}, not {year}")
    keep = np.ones(len(features), bool) if year is None else (years == year).to_numpy()
    return replace(features, shapes=features.shapes[keep], table=features.table[keep].reset_index(drop=True))


def _joined(parts: list[Features]) -> Features:
    if len(parts) == 1:
        return parts[0]
    shapes = np.concatenate([part.shapes for part in parts])
    table = pd.concat([part.table for part in parts], ignore_index=True)
    mended = {key: round(sum(part.mended[key] for part in parts), 4) for key in parts[0].mended}
    return Features(shapes, table, "\n".join(part.source for part in parts), mended, "" if len(shapes) else parts[0].where)


def _text(values: pd.Series | None, length: int) -> np.ndarray:
    """A column as text, empty where the file has none."""
    return np.full(length, "", object) if values is None else values.fillna("").astype(str).str.strip().to_numpy(object)


def _report(dataset: Dataset, features: Features, table: pd.DataFrame, twice: float, covered: float, counts: dict) -> None:
    def report(text: str) -> None:
        warnings.warn(f"{features.source}: {text}", stacklevel=4)

    unknown = table[~table["group"].isin(dataset.classes)]
    if len(unknown):
        groups = unknown["group"].map(lambda group: "none or no number" if group == NO_GROUP else str(group)).value_counts(sort=False)
        report(
            f"parcels of groups without a plant type in {dataset.kind}/{dataset.id}.toml keep that of the land cover below them: group "
            + ", ".join(f"{group} ({count})" for group, count in groups.items())
        )
    if count := counts["no_polygon"]:
        report(f"points or lines, left out: {count}")
    if count := counts["duplicates"]:
        other = counts["duplicates_of_another_group"]
        report(f"duplicate polygons, left out: {count}" + (f", {other} of them with another group of crops" if other else ""))
    if twice:
        years = "; does the file hold several years? name one" if twice > 0.5 * covered else ""
        report(f"{twice:.2%} of the grid lies in two parcels and goes to the smaller one, or to the one that is not a sliver{years}")
