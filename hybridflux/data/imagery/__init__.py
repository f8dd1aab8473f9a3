"""Satellite images: one reader for each format, which gives scenes, each a day and a way to read it onto a grid.

`reader(dataset.format)` finds the reader of a dataset of the catalog. `window` resamples images, `masks` gives the clear pixels,
`frames` makes one scene of the frames of a day, `indices` and `fapar` turn reflectance into the inputs of a model.
"""

from __future__ import annotations

from hybridflux.data.formats import Readers
from hybridflux.data.imagery.scene import Reader, Scene

__all__ = ["Reader", "Scene", "reader"]

reader = Readers(
    "readers",
    "reader of images for the format",
    {
        "cube": "hybridflux.data.imagery.cube:cube_scenes",
        "safe": "hybridflux.data.imagery.safe:safe_scenes",
        "stac": "hybridflux.data.imagery.stac:stac_scenes",
        "stack": "hybridflux.data.imagery.stack:stack_scenes",
        "theia-l2a": "hybridflux.data.imagery.theia:theia_scenes",
        "theia-l3a": "hybridflux.data.imagery.theia_l3a:synthesis_scenes",
    },
    room="imagery.",
)
"""Format of a dataset of the catalog -> its reader, `scenes(dataset, place, geobox, start, end) -> list[Scene]`."""
