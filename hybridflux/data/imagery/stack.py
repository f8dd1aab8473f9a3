"""A raster file with several dates, one after the other, each with the bands of the catalog in their order.

The file does not hold its dates; the place names them after a `#`: `2018_3A_Theia_Bouconne.tif#2018-04-29,2018-05-13,2018-07-08`.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.imagery.frames import Frame, FrameBand, is_reflectance, scenes
from hybridflux.data.imagery.offset_frames import by_catalog
from hybridflux.data.imagery.scene import Scene
from hybridflux.data.imagery.window import raster
from hybridflux.data.rasters import DRIVERS, open_raster


def stack_scenes(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """Scenes of a stack, see `scene.Reader`. There is no mask: clear pixels were selected when the stack was made.

    Raises:
        ValueError: no dates, dates that repeat, or another number of bands in the file than dates times bands.
    """
    path, days = dates_of(place)
    names = [band.name for band in dataset.bands]
    grid = raster(path).grid
    with open_raster(path, DRIVERS["stack"]) as file:
        count = file.count
    if count != len(days) * len(names):
        raise ValueError(
            f"{path} has {count} bands; {len(days)} dates of {len(names)} bands ({', '.join(names)}) are {len(days) * len(names)}: "
            "name all its dates after the #"
        )
    frames = []
    for date, day in enumerate(days):
        layers = {
            band.name: FrameBand(
                partial(raster, path, date * len(names) + number, band.nodata), band.scale, band.offset, reflective=is_reflectance(band)
            )
            for number, band in enumerate(dataset.bands, start=1)
        }
        origin = {"place": path, "bands": [date * len(names) + 1, (date + 1) * len(names)]}
        frames.append(Frame(f"{dataset.id} {day}", day, grid, layers, origin=origin, declared=by_catalog(dataset), tile=path))
    return scenes(frames, dataset, geobox, start, end)


def dates_of(place: str) -> tuple[str, list[np.datetime64]]:
    """File and dates of a place.

    >>> dates_of("stack.tif#2018-04-29,2018-05-13")
    ('stack.tif', [np.datetime64('2018-04-29'), np.datetime64('2018-05-13')])
    """
    path, _, text = str(place).partition("#")
    dates = [date.strip() for date in text.split(",") if date.strip()]
    wrong = [date for date in dates if not re.fullmatch(r"\d{4}-\d\d-\d\d", date)]
    if not dates or wrong or len(set(dates)) < len(dates):
        reason = f"`{wrong[0]}` is not a date" if wrong else "a date repeats" if dates else "it names no dates"
        raise ValueError(f"the place of a stack is FILE.tif#2018-04-29,2018-05-13,...; {place}: {reason}")
    return path, [np.datetime64(date) for date in dates]
