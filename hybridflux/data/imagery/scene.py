"""`Scene`, the result of every reader of satellite images: a day and a way to read it onto a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset


@dataclass(frozen=True)
class Scene:
    """The images of one day, from one or several neighbouring frames.

    Attributes:
        id: name of the product, for messages and provenance.
        day: solar day of the acquisition, `datetime64[D]`.
        read: `read(geobox, bands)` gives name -> `[y, x]` float32: surface reflectance [1] on the grid, offset and scale applied, NaN
            where there is no value or no clear view of the land. A window outside the image is all NaN.
        origin: files or addresses, processing baseline, offset: everything needed to reproduce the values; JSON-ready.
    """

    id: str
    day: np.datetime64
    read: Callable[[GeoBox, Sequence[str]], dict[str, np.ndarray]]
    origin: dict = field(default_factory=dict)


class Reader(Protocol):
    """A reader of one format of images.

    Gives the scenes of `dataset` at `place` (a folder, an archive, a file, or the name or address of a STAC API) that touch the extent
    of `geobox` between two days, both included, in order of days. Reads metadata only.
    """

    def __call__(self, dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]: ...
