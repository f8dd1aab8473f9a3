"""A reader of daily weather of one station, as its logger writes it: day,mean,min,radiation,humidity,rain."""

import numpy as np
import pandas as pd

import hybridflux as hf


@hf.register("readers", "weather.my-logger")
def read(dataset, place, extent, start, end, utc_offset):
    """The weather of a station for the whole region; scale and offset of a column stand in the catalog."""
    table = pd.read_csv(place, parse_dates=["day"]).set_index("day").loc[str(start) : str(end)]
    values = {
        band.variable: (band.scale * table[band.name].to_numpy(np.float32) + np.float32(band.offset))[:, None]
        for band in dataset.bands
    }
    west, south, east, north = extent
    middle = np.array([(south + north) / 2]), np.array([(west + east) / 2])
    return hf.Weather(table.index.to_numpy().astype("datetime64[D]"), values, *middle, np.array([np.nan]), {"files": [place]})
