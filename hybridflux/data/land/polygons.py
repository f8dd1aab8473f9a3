"""Land-cover codes from polygons: OSO vector, BD Foret V2, CORINE, RPG crop groups."""

from __future__ import annotations

import re
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.land.vectors import burn, needed, read_features
from hybridflux.data.land.warp import NO_LABEL

CODE_COLUMNS = ("CODE_TFV", "TFV", "CODE_GROUP", "classe", "code_18", "code_12", "code_06", "code_00", "code_90", "code")
"""Columns that hold the code, in order: BD Foret V2, RPG, OSO, CORINE 2018 to 1990."""
_FAMILIES = {"FF": 0, "FO": 10, "LA": 20, "FP": 30}


def codes(dataset: Dataset, files: list[str], geobox: GeoBox) -> tuple[np.ndarray, dict[str, float]]:
    """Codes of the polygons that hold the centres of the pixels `[y, x]` int32, `NO_LABEL` where none does; and the counts of repairs.

    Args:
        dataset: entry of the catalog; its first band names the code column, else the usual names are tried.
        files: vector files; a later one fills the pixels that earlier ones leave.
        geobox: the grid.

    Raises:
        ValueError: no column of codes, or codes that are neither numbers nor BD Foret types.
    """
    out = np.full(geobox.shape, NO_LABEL, np.int32)
    mended: Counter[str] = Counter()
    names = tuple(band.name for band in dataset.bands[:1]) + CODE_COLUMNS
    for file in files:
        features = read_features(file, geobox)
        numbers = as_numbers(needed(features, names, "the land-cover code"), file)
        burned = burn(features.shapes, numbers, geobox, fill=NO_LABEL)
        out = np.where(out == NO_LABEL, burned, out)
        mended.update(features.mended)
    return out, dict(mended)


def as_numbers(values: pd.Series, file: str) -> np.ndarray:
    """Codes as integers: numbers as they are, types of BD Foret by `stand_number`, others `NO_LABEL` with a warning."""
    known = {value: _number(value) for value in values.unique()}
    unknown = sorted(str(value) for value, number in known.items() if number is None)
    if unknown:
        examples = ", ".join(unknown[:5])
        warnings.warn(f"{file}: {len(unknown)} codes are neither numbers nor BD Foret types and are left out: {examples}", stacklevel=4)
    return np.array([NO_LABEL if known[value] is None else known[value] for value in values], np.int32)


def stand_number(code: str) -> int | None:
    """Number of a vegetation type of BD Foret V2 (`CODE_TFV`), None if it is none.

    The catalog keys classes by numbers, so a type becomes 100 times its family plus its species: closed forest `FFd` is family
    d, open forest `FOd` 10 + d, heath and herbaceous `LAd` 20 + d, poplar `FP` 30; the species is the last pair of digits. The
    mixed forests `FF31` and `FF32` have species 1 and 2, pure stands in islets (`FF1-00`) species 99.

    >>> stand_number("FF1G01-01"), stand_number("FF2-63-63"), stand_number("FF31"), stand_number("FF1-00"), stand_number("LA4")
    (101, 263, 301, 199, 2400)
    """
    text = code.strip().upper()
    if not (match := re.fullmatch(r"(FF|FO|LA|FP)(\d?)(.*)", text)):
        return None
    family, digit, rest = match.groups()
    if not (species := re.fullmatch(r"(?:G?\d\d|-\d\d)-(\d\d)|(\d)|(-00)|", rest)):
        return None
    pair, mixture, islet = species.groups()
    return 100 * (_FAMILIES[family] + int(digit or 0)) + int(pair or mixture or (99 if islet else 0))


def _number(value) -> int | None:
    if isinstance(value, str):
        return int(value) if value.strip().isdigit() else stand_number(value)
    return int(value) if pd.notna(value) and float(value).is_integer() else None
