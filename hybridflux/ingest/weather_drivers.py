"""Weather of a region on its days and cells: read, checked, corrected for elevation, completed with solar geometry and CO2."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hybridflux.data.carbon_dioxide import daily_co2
from hybridflux.data.land.services import SERVICE
from hybridflux.data.moisture.daily_moisture import Moisture
from hybridflux.data.site_table import distance_km
from hybridflux.data.solar import day_fraction, potential_par
from hybridflux.data.weather import reader
from hybridflux.data.weather.climate_data_store import download, requests_of
from hybridflux.data.weather.daily_weather import DAILY, Weather
from hybridflux.data.weather.elevation import cells
from hybridflux.ingest import soil_moisture
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.work import Work
from hybridflux.vocabulary import VARIABLES

KM_PER_DEGREE = 111.2  # of a great circle
REACH = 1.0  # distance of a pixel to the centre of its weather cell, in cells; within a grid it is 0.71 at most


@dataclass(frozen=True)
class Drivers:
    """Coarse drivers of a region.

    Attributes:
        values: name -> `[time, cell]` float32.
        cell: weather cell of each pixel `[y, x]` int32.
        origin: origin of the weather; JSON-ready.
        other_days: definition of the days of the weather; empty where they are those of the region.
    """

    values: dict[str, np.ndarray]
    cell: np.ndarray
    origin: dict
    other_days: str = ""


def read_drivers(
    config: RegionConfig, catalog: dict, elevation: np.ndarray | None, soil_water: Mapping[str, Moisture], work: Work
) -> Drivers:
    """Read the weather of a region.

    Args:
        config: configuration of the region.
        catalog: datasets by id.
        elevation: elevations of the pixels `[y, x]`, m; None without a terrain, and then without correction.
        soil_water: soil moisture by dataset, of which one may be the driver `swc`.
        work: folder of the build, where downloads of the weather are kept.

    Raises:
        ValueError: days that the source does not cover, gaps, or values out of bounds.
    """
    source, days = config.weather, config.period.days
    dataset, place = catalog[source.dataset], source.place
    if place == SERVICE:
        place = str(work.folder / "downloads" / dataset.id)
        download(requests_of(dataset, config.extent, days[0], days[-1], config.utc_offset), place)
    weather = reader(dataset.format)(dataset, place, config.extent, days[0], days[-1], config.utc_offset)
    check(weather, days, place)
    grid = config.region_grid
    longitude, latitude = grid.lonlat(*np.meshgrid(grid.x, grid.y))
    check_reach(weather, latitude, longitude, dataset.ground_resolution, place)
    cell, weather = cells(weather, latitude, longitude, elevation)
    swc = soil_moisture.driver(config, soil_water, weather)
    observed = {} if swc is None else {"swc": swc}
    index = pd.DatetimeIndex(weather.days)
    day_of_year = index.day_of_year.to_numpy()[:, None]
    sun = {"par_potential": potential_par(weather.latitude, day_of_year), "day_fraction": day_fraction(weather.latitude, day_of_year)}
    co2 = np.repeat(np.asarray(daily_co2(None)(index))[:, None], len(weather.latitude), axis=1)
    values = {name: np.asarray(column, np.float32) for name, column in {**weather.values, **observed, **sun, "co2": co2}.items()}
    return Drivers(values, cell, weather.origin, weather.other_days)


def check_reach(weather: Weather, latitude: np.ndarray, longitude: np.ndarray, spacing: float | None, place: str) -> None:
    """Warn where the weather does not cover the region: a file of a smaller area, or cells of the sea.

    Args:
        weather: weather of the cells of the source.
        latitude: latitudes of the pixels `[y, x]`, degrees north.
        longitude: longitudes of the pixels `[y, x]`, degrees east.
        spacing: distance of two cells of the source [degrees]; None where it is not a grid.
        place: place of the source, for the message.
    """
    if spacing is None:
        return
    corners = np.ix_([0, latitude.shape[0] // 2, -1], [0, latitude.shape[1] // 2, -1])  # the farthest pixel is at an edge
    points = zip(latitude[corners].ravel(), longitude[corners].ravel(), strict=True)
    away = np.array([distance_km(*point, weather.latitude, weather.longitude).min() for point in points])
    reach = REACH * spacing * KM_PER_DEGREE
    if (away > reach).any():
        warnings.warn(
            f"the weather at {place} does not cover the region: its nearest cell is {away.max():.0f} km from an edge, cells are "
            f"{spacing * KM_PER_DEGREE:.0f} km apart; pixels take the nearest cell: get the cells of the whole region, unless they "
            "are sea",
            stacklevel=3,
        )


def check(weather: Weather, days: np.ndarray, place: str) -> None:
    """Check that the weather is complete and within its bounds.

    Raises:
        ValueError: all faults, with their days and the cure.
    """
    faults = []
    if not np.array_equal(weather.days, days):
        missing = np.setdiff1d(days, weather.days)
        lacking = f"{len(missing)} days are missing, first {missing[0]}" if len(missing) else "a day repeats, or the days are not in order"
        faults.append(f"{lacking}; the region needs {days[0]} to {days[-1]}, warm-up included: get the missing days or shorten the period")
    for name in DAILY:
        if name not in weather.values:
            faults.append(f"`{name}` is missing")
            continue
        values, (low, high) = weather.values[name], VARIABLES[name].bounds
        if not np.isfinite(values).all():
            day = weather.days[np.flatnonzero(~np.isfinite(values).all(axis=1))[0]]
            faults.append(f"`{name}` has {int((~np.isfinite(values)).sum())} gaps, the first on {day}: fill them at the source")
        elif values.min() < low or values.max() > high:
            span, units = f"{values.min():g} to {values.max():g}", VARIABLES[name].units
            faults.append(f"`{name}` runs from {span}; {units} between {low:g} and {high:g} is expected, check the unit in the catalog")
    if faults:
        raise ValueError(f"the weather at {place} cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults))
