"""The BOA offset of frames: of one product each, or of one date of a cube, judged together as one series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.imagery.offset_evidence import RED
from hybridflux.data.imagery.offset_series import Declared, Member, Series

if TYPE_CHECKING:
    from hybridflux.data.imagery.frames import Frame

_BY_CATALOG, _ONE_EXPORTER = 1.5, 3.0
"""Log odds, assumed, that the offset which the catalog names for a kind of files is right, and that two dates in a row have one offset:
exporters take it out, `load_collection` of openEO for instance, but `load_stac` and odc-stac leave it in (Open-EO/openeo-geopyspark-driver
issue 1051), for all dates or for those from 25 January 2022 on."""
_WHOLE, _WINDOWS, _WINDOW = 256, 5, 51
"""Longest side of a region that is judged as a whole [pixel]; of a larger one, windows along a side, and their size [pixel]."""


def by_catalog(dataset: Dataset) -> Declared | None:
    """The offset of files without metadata of it: that of the catalog, where the pixels of each scene are compared with it."""
    red = next((band for band in dataset.bands if band.name == RED), None)
    if dataset.offsets == "catalog" or red is None:
        return None
    return Declared(red.offset, f"the catalog ({dataset.id})", _BY_CATALOG, {"catalog": red.offset}, _ONE_EXPORTER)


def judged(frames: Sequence[Frame], geobox: GeoBox) -> list[Frame]:
    """Frames with their BOA offset judged by their metadata and the pixels of the series, see `offset_series`."""
    parts = [replace(frame, origin={"id": frame.id} | frame.origin) for frame in frames]
    asked = {
        number: Member(frame.id, frame.tile, frame.day, frame.declared, partial(frame.sample, geobox))
        for number, frame in enumerate(parts)
        if frame.declared is not None
    }
    series = Series(list(asked.values()))
    for number, member in asked.items():
        parts[number].origin.update({"offset": None} | parts[number].origin | {"offset_from": None})
        parts[number] = replace(parts[number], correction=partial(_correction, series, member, parts[number].origin))
    return parts


def _correction(series: Series, member: Member, origin: dict) -> float | None:
    """Correction of the reflectance by the metadata [1]; records the decision on the offset."""
    verdict, declared = series.verdict(member), member.declared.value or 0.0
    same = verdict.value == declared
    origin.update(offset=origin["offset"] if same and origin["offset"] is not None else verdict.value)
    origin.update(offset_from=verdict.source, offset_evidence=verdict.record)
    return None if verdict.value is None else verdict.value - declared


def judged_windows(geobox: GeoBox) -> list[GeoBox]:
    """Parts of a region by which the offset of its frames is judged: all of it, or windows distributed evenly."""
    rows, columns = geobox.shape.yx
    if max(rows, columns) <= _WHOLE:
        return [geobox]
    tops, lefts = (np.unique(np.linspace(0, max(size - _WINDOW, 0), _WINDOWS).astype(int)) for size in (rows, columns))
    return [geobox[top : min(top + _WINDOW, rows), left : min(left + _WINDOW, columns)] for top in tops for left in lefts]
