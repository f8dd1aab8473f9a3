"""The land of a region: cover, parcels, soil and terrain on its grid, one reader a format.

Here: rasters and polygons brought to a grid (`warp`, `vectors`), codes -> plant types by the tables of the catalog
(`landcover`, `layers`), parcels as zones (`parcels`), water capacity of soils (`soil`), elevation (`terrain`), and what a
download of them would ask for (`requests`). Not here: images (`imagery/`), weather (`weather/`), forest inventories
(`inventories/`), the region store.
"""

from __future__ import annotations

from importlib import import_module

from hybridflux.vocabulary import suggestion

FORMATS = {
    "codes": "hybridflux.data.land.landcover:read",
    "declared": "hybridflux.data.land.declared:read",
    "elevation": "hybridflux.data.land.terrain:read",
    "parcels": "hybridflux.data.land.parcels:read",
    "soil-layers": "hybridflux.data.land.soil:capacity",
}
"""`format` of a dataset of the catalog -> its reader."""


def reader(format: str):
    """The function that reads a format: `read(dataset, place, geobox) -> LandCover, Elevation, Parcels or SoilCapacity`.

    Raises:
        ValueError: no such format; names those there are.
    """
    if format not in FORMATS:
        raise ValueError(f"no reader of land for the format `{format}`.{suggestion(format, FORMATS)} There are {', '.join(FORMATS)}")
    module, name = FORMATS[format].split(":")
    return getattr(import_module(module), name)
