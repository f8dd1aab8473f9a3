"""Satellite soil moisture kept beside the drivers of a region, and its comparison with the water bucket."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import zarr

from hybridflux.data.moisture import reader
from hybridflux.data.moisture.agreement import against_bucket as agreement
from hybridflux.data.moisture.daily_moisture import Moisture
from hybridflux.data.weather.daily_weather import Weather
from hybridflux.evaluate.dryness import dryness
from hybridflux.ingest.config import RegionConfig
from hybridflux.model.sequences import Sequences
from hybridflux.region.drivers.open import Region, unpacked
from hybridflux.region.store import layout


def read(config: RegionConfig, catalog: dict) -> dict[str, Moisture]:
    """Soil moisture by dataset."""
    by_dataset, days = {}, config.period.days
    for source in config.moisture:
        dataset = catalog[source.dataset]
        first, last = np.datetime64(source.start or days[0], "D"), np.datetime64(source.end or days[-1], "D")
        by_dataset[source.dataset] = reader(dataset.format)(dataset, source.place, config.extent, first, last, config.utc_offset)
    return by_dataset


def driver(config: RegionConfig, by_dataset: dict[str, Moisture], weather: Weather) -> np.ndarray | None:
    """Soil water of the weather cells, that of the nearest cell of its source [m3 m-3] `[time, cell]`; None where no source is the driver.

    Raises:
        ValueError: two drivers, an unknown series, another unit, or a day or cell without a value.
    """
    named = [source for source in config.moisture if source.driver]
    if not named:
        return None
    if len(named) > 1:
        raise ValueError(f"{', '.join(source.dataset for source in named)} are all named as the driver of soil water; name one")
    source, moisture = named[0], by_dataset[named[0].dataset]
    if source.driver not in moisture.values:
        raise ValueError(f"{source.dataset} has no `{source.driver}`; it has {', '.join(moisture.values)}")
    if moisture.units[source.driver] != "m3 m-3":
        units = moisture.units[source.driver]
        raise ValueError(f"`{source.driver}` of {source.dataset} is in `{units}`, a share of saturation; a driver is volumetric, m3 m-3")
    missing = np.setdiff1d(weather.days, moisture.days)
    if len(missing):
        lacking = f"{len(missing)} days, first {missing[0]}"
        raise ValueError(f"{source.dataset} lacks {lacking}; a driver needs every day of the region, warm-up included")
    away = (moisture.latitude[None] - weather.latitude[:, None]) ** 2
    away = away + ((moisture.longitude[None] - weather.longitude[:, None]) * np.cos(np.radians(weather.latitude[:, None]))) ** 2
    values = moisture.values[source.driver][np.searchsorted(moisture.days, weather.days)][:, away.argmin(axis=1)]
    if not np.isfinite(values).all():
        day = weather.days[np.flatnonzero(~np.isfinite(values).all(axis=1))[0]]
        raise ValueError(f"`{source.driver}` of {source.dataset} has gaps, the first on {day}; a driver must have none: take a reanalysis")
    return values


def write(by_dataset: dict[str, Moisture], group: zarr.Group) -> list[dict]:
    """Write soil moisture into a region store.

    Returns:
        The origin of each dataset.
    """
    origins = []
    for name, moisture in by_dataset.items():
        place = group.require_group(layout.MOISTURE).create_group(name, overwrite=True)
        layout.put(place, "time", (moisture.days - layout.EPOCH).astype(np.int32), ("time",), fill=-1, units=layout.TIME_UNITS)
        layout.put(place, "latitude", moisture.latitude, ("cell",), units="degrees_north")
        layout.put(place, "longitude", moisture.longitude, ("cell",), units="degrees_east")
        for series, values in moisture.values.items():
            layout.put(place, series, np.asarray(values, np.float32), ("time", "cell"), fill=np.nan, units=moisture.units[series])
        origins.append({"dataset": name} | moisture.origin)
    return origins


def bucket_of(region: Region) -> np.ndarray:
    """Relative water of the bucket at typical parameters under the mean vegetation of the region [1], `[time, cell]`."""
    fapar = np.zeros(len(region.days))
    count = 0
    for tile in region.tiles():
        inside = region.group["plant_type"][tile.y, tile.x].reshape(-1) != layout.OUTSIDE
        stored = region.group["fapar"][:, tile.y, tile.x].reshape(len(region.days), -1)[:, inside]
        known = (stored != layout.NODATA).all(axis=0)
        fapar, count = fapar + unpacked(stored[:, known]).sum(axis=1), count + int(known.sum())
    weather = region.weather(("tair", "par", "rain"), slice(0, len(region.days)))
    cells = weather["tair"].shape[1]
    drivers = weather | {"fapar": np.repeat((fapar / max(count, 1)).astype(np.float32)[:, None], cells, axis=1)}
    return 1.0 - dryness(Sequences(tuple(f"cell {i}" for i in range(cells)), region.days, drivers, {}, {}))


def against_bucket(region: Region) -> Iterator[str]:
    """Lines of a report: each satellite series beside the bucket, mean over the cells of the region."""
    if layout.MOISTURE not in region.group:
        return
    yield "soil moisture, beside the relative water of a bucket at typical parameters:"
    water = bucket_of(region).mean(axis=1)
    for dataset, place in sorted(region.group[layout.MOISTURE].groups()):
        days = layout.EPOCH + place["time"][:].astype("timedelta64[D]")
        for name, array in sorted(place.arrays()):
            if array.metadata.dimension_names == ("time", "cell"):
                values = array[:]
                seen = np.isfinite(values).any(axis=1)
                mean = np.array([row[np.isfinite(row)].mean() if some else np.nan for row, some in zip(values, seen, strict=True)])
                agreed = agreement(days, mean, region.days, water)
                level = f", mean {np.nanmean(mean):.2f}" if seen.any() else ""
                span = f"{seen.sum()} days with a value, {days[0]} to {days[-1]}{level}"
                rank = "too few days to compare" if agreed.rank is None else f"rank correlation {agreed.rank:.2f} over {agreed.n} days"
                weeks = "" if agreed.rank_anomaly is None else f", {agreed.rank_anomaly:.2f} without the season"
                yield f"  {dataset} {name}: {span}; {rank}{weeks}"
    yield ""
