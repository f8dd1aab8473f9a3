"""One plant type for a whole grid, declared in the configuration of a region."""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.land.landcover import LandCover
from hybridflux.vocabulary import PLANT_TYPES, suggestion


def read(dataset: Dataset, place: str, geobox: GeoBox) -> LandCover:
    """The plant type `place` on every pixel.

    Args:
        dataset: entry of the catalog, for provenance.
        place: IGBP code.
        geobox: the grid.

    Raises:
        ValueError: not an IGBP code.
    """
    if place not in PLANT_TYPES:
        raise ValueError(f"`{place}` is not a plant type; declare one of {', '.join(PLANT_TYPES)}.{suggestion(place, PLANT_TYPES)}")
    code = PLANT_TYPES.index(place)
    origin = {"dataset": dataset.id, "declared": place, "note": "declared for the whole grid, not mapped"}
    return LandCover(np.full(geobox.shape, code, np.uint8), np.full(geobox.shape, code, np.int32), {code: 1.0}, origin)
