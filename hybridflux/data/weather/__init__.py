"""Weather of a region: one reader a format, all of which give complete days of a few cells (`weather.Weather`).

Here: reanalyses and towers read into vocabulary names and units on standard days, their correction for elevation, the
requests that download them. Not here: gaps of vegetation (`imagery/`), soil moisture (`moisture/`), the region store.
"""

from __future__ import annotations

from importlib import import_module

from hybridflux.vocabulary import suggestion

FORMATS = {
    "agera5": "hybridflux.data.weather.agera5:read",
    "era5": "hybridflux.data.weather.era5:read",
    "sim2": "hybridflux.data.weather.sim2:read",
    "tower-weather": "hybridflux.data.weather.towers:read",
}
"""`format` of a dataset of the catalog -> its reader."""


def reader(format: str):
    """The function that reads a format: `read(dataset, place, extent, start, end, utc_offset) -> Weather`.

    Raises:
        ValueError: no such format; names those there are.
    """
    if format not in FORMATS:
        raise ValueError(f"no reader of weather for the format `{format}`.{suggestion(format, FORMATS)} There are {', '.join(FORMATS)}")
    module, name = FORMATS[format].split(":")
    return getattr(import_module(module), name)
