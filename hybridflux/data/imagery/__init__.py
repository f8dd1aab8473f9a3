"""Images of the land: one reader a format, each giving scenes, a day and a way to read it onto a grid.

`reader(dataset.format)` finds the reader of a dataset of the catalog. `window` puts an image onto a grid, `masks` says what is clear,
`frames` makes one scene of the frames of a day, `indices` and `fapar` turn reflectance into what a model reads.
"""

from __future__ import annotations

from importlib import import_module

from hybridflux.data.imagery.scene import Reader, Scene
from hybridflux.vocabulary import suggestion

__all__ = ["FORMATS", "Reader", "Scene", "reader"]

FORMATS = {
    "cube": "cube:cube_scenes",
    "safe": "safe:safe_scenes",
    "stac": "stac:stac_scenes",
    "stack": "stack:stack_scenes",
    "theia-l2a": "theia:theia_scenes",
    "theia-l3a": "theia_l3a:synthesis_scenes",
}
"""Format of a dataset -> module and function of its reader; imported when it is asked for."""


def reader(name: str) -> Reader:
    """The reader of a format.

    Raises:
        ValueError: no such format.

    >>> reader("theia-l2a").__name__
    'theia_scenes'
    """
    if name not in FORMATS:
        raise ValueError(f"no reader for images of the format `{name}`; there are {', '.join(FORMATS)}.{suggestion(name, FORMATS)}")
    module, function = FORMATS[name].split(":")
    return getattr(import_module(f"{__name__}.{module}"), function)
