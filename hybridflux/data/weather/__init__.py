"""Weather of a region: one reader for each format, all of which give complete days of a few cells (`daily_weather.Weather`).

Here: reanalyses and towers read into vocabulary names and units on standard days, their correction for elevation, and the
requests that download them. Not here: gaps of vegetation (`imagery/`), soil moisture (`moisture/`), the region store.
"""

from __future__ import annotations

from hybridflux.data.formats import Readers

reader = Readers(
    "readers",
    "reader of weather for the format",
    {
        "agera5": "hybridflux.data.weather.agera5:read",
        "era5": "hybridflux.data.weather.era5:read",
        "sim2": "hybridflux.data.weather.sim2:read",
        "tower-weather": "hybridflux.data.weather.tower_weather:read",
    },
    room="weather.",
)
"""Format of a dataset of the catalog -> its reader, `read(dataset, place, extent, start, end, utc_offset) -> Weather`."""
