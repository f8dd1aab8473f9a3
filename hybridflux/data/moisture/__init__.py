"""Soil moisture of a region from satellites and reanalyses: one reader for each product, all of which give `daily_moisture.Moisture`.

Here: flags masked, counts scaled, hours to days, and the comparison of a series with a modelled bucket. Not here: the
bucket itself (`process/water.py`), likelihoods (`inference/`).
"""

from __future__ import annotations

from hybridflux.data.formats import Readers

reader = Readers(
    "readers",
    "reader of soil moisture for the format",
    {
        "copernicus-moisture": "hybridflux.data.moisture.copernicus:read",
        "smap": "hybridflux.data.moisture.smap:read",
        "era5-land-moisture": "hybridflux.data.moisture.era5land:read",
    },
    room="moisture.",
)
"""Format of a dataset of the catalog -> its reader, `read(dataset, place, extent, start, end, utc_offset) -> Moisture`."""
