"""The land of a region: cover, parcels, soil and terrain on its grid, one reader for each format.

Here: rasters and polygons resampled to a grid (`warp`, `vectors`, `shapes`), codes -> plant types by the tables of the catalog
(`landcover`, `layers`), parcels as zones (`parcels`), water capacity of soils and the units of their layers (`soil`, `soil_units`),
elevation and its gaps (`terrain`, `height_gaps`), and the downloads of services (`services`). Not here: images (`imagery/`),
weather (`weather/`), forest inventories (`inventories/`), the region store.
"""

from __future__ import annotations

from hybridflux.data.formats import Readers

reader = Readers(
    "readers",
    "reader of land for the format",
    {
        "codes": "hybridflux.data.land.landcover:read",
        "declared": "hybridflux.data.land.declared:read",
        "elevation": "hybridflux.data.land.terrain:read",
        "parcels": "hybridflux.data.land.parcels:read",
        "soil-layers": "hybridflux.data.land.soil:capacity",
    },
    room="land.",
)
"""Format of a dataset of the catalog -> its reader, `read(dataset, place, geobox) -> LandCover, Elevation, Parcels or SoilCapacity`."""
