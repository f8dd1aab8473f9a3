"""Soil moisture of a region as satellites and reanalyses see it: one reader a product, all of which give `moisture.Moisture`.

Here: flags masked, counts scaled, hours to days, and the comparison of a series with a modelled bucket. Not here: the
bucket itself (`process/water.py`), likelihoods (`inference/`).
"""

from __future__ import annotations

from importlib import import_module

from hybridflux.vocabulary import suggestion

FORMATS = {
    "copernicus-moisture": "hybridflux.data.moisture.copernicus:read",
    "smap": "hybridflux.data.moisture.smap:read",
    "era5-land-moisture": "hybridflux.data.moisture.era5land:read",
}
"""`format` of a dataset of the catalog -> its reader."""


def reader(format: str):
    """The function that reads a format: `read(dataset, place, extent, start, end, utc_offset) -> Moisture`.

    Raises:
        ValueError: no such format; names those there are.
    """
    if format not in FORMATS:
        known = f"{suggestion(format, FORMATS)} There are {', '.join(FORMATS)}"
        raise ValueError(f"no reader of soil moisture for the format `{format}`.{known}")
    module, name = FORMATS[format].split(":")
    return getattr(import_module(module), name)
