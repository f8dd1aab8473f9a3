"""Names, types and chunks of a region store: what `create` writes and `store` expects."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from hybridflux.vocabulary import VARIABLES

WEATHER = ("tair", "tmin", "par", "vpd", "rain", "par_potential", "day_fraction", "co2")
"""Weather every region has, `[time, cell]`."""

OUTSIDE = 255  # plant_type of a pixel that is not part of the region
SCALE = 1e-4  # of fapar, int16
NODATA = -32768
COMPRESSOR, LEVEL = "zstd", 1  # of all arrays, behind shuffled bits
EPOCH = np.datetime64("1970-01-01", "D")
TIME_UNITS = "days since 1970-01-01"
_STEPS = {"day": "D", "hour": "h", "minute": "m", "second": "s", "millisecond": "ms", "microsecond": "us", "nanosecond": "ns"}
_SINCE = re.compile(rf"({'|'.join(_STEPS)})s? since (\d{{4}}-\d{{2}}-\d{{2}})(?:[ T]00:00(?::00(?:\.0*)?)?)?(?:Z| UTC)?")
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
TIME = {"standard_name": "time", "axis": "T", "units_metadata": "leap_seconds: none"}  # attributes of a coordinate of days
CONVENTIONS = "CF-1.11"
FORMAT = "hybridflux region 1"
WEATHER_DAYS = "weather_days"  # attribute that says what the days of the weather are, where they are not those of the region
ATTRIBUTION = "attribution"  # attribute with the sentences that credit the sources of a region
LIKE = "like"  # attribute of a daily index: dataset as whose instrument it is; without it, as the imagery of the region shows it
IRRIGATION = "irrigation"  # attribute with the declared water that the rain holds (`ingest.irrigate`)
MOISTURE = "moisture"
"""Group of a region store with one group for each dataset of soil moisture: values `[time, cell]`, `latitude`, `longitude`, `time`."""
COMPLETE = "complete"  # attribute `state` of a store; one that has none was written whole


def is_ours(name: str, dims: tuple[str, ...] | None) -> bool:
    """Whether an array of a store is part of a region, by its name or its dimensions; what else libraries and users add is let be."""
    known = name in VARIABLES or name in ("x", "y", "time", "cell", "zone") or name.endswith("_climatology")
    return known or dims in (("time", "y", "x"), ("y", "x"), ("time", "cell"))


def days_of(time) -> np.ndarray:
    """Days of an axis of time in CF units, `datetime64[D]`: libraries that save a store again count from another day, or in hours.

    Raises:
        ValueError: other units, another calendar, or a time that is not the beginning of a day.
    """
    units, calendar = str(time.attrs.get("units", "")), time.attrs.get("calendar", "standard")
    found = _SINCE.fullmatch(units.strip())
    if not found or calendar not in _CALENDARS:
        raise ValueError(f"`time` is in `{units[:60]}` of the calendar `{calendar}`; give `{TIME_UNITS}` of the standard calendar")
    step, values = _STEPS[found[1]], time[:]
    exact = np.datetime64(found[2], step) + values.astype("timedelta64[" + step + "]")
    days = exact.astype("datetime64[D]")
    if (values != np.floor(values)).any() or (days != exact).any():
        raise ValueError(f"`time` holds {exact[np.flatnonzero(days != exact)[:1]]}; a region has days, each at 00:00")
    return days


def codecs() -> tuple[BloscCodec, Crc32cCodec]:
    """Fast and small for scaled integers: zstd level 1 on shuffled bits; then a checksum of what is on the disk."""
    return BloscCodec(cname=COMPRESSOR, clevel=LEVEL, shuffle="bitshuffle"), Crc32cCodec()


def spatial_ref(crs: str, west: float, north: float, pixel: float) -> dict:
    """Attributes of the CF grid mapping variable."""
    from pyproj import CRS

    return CRS.from_user_input(crs).to_cf() | {"GeoTransform": f"{west} {pixel} 0.0 {north} 0.0 {-pixel}"}


def axes(x: np.ndarray, y: np.ndarray) -> dict[str, tuple[np.ndarray, dict]]:
    """CF coordinates of a projected grid: name -> (values, attributes)."""
    return {
        name: (values, {"standard_name": f"projection_{name}_coordinate", "units": "m", "axis": name.upper()})
        for name, values in (("x", x), ("y", y))
    }


def put(group, name: str, values: np.ndarray, dims: tuple[str, ...], *, chunks=None, fill=None, **attributes) -> None:
    """Create an array of a Zarr group and write it."""
    values = np.asarray(values)
    array = group.create_array(
        name, shape=values.shape, dtype=values.dtype, chunks=chunks or values.shape, dimension_names=dims, compressors=codecs(),
        fill_value=fill, attributes=attributes,
    )  # fmt: skip
    array[...] = values


def consolidate(path: str | Path) -> None:
    """Put the metadata of all arrays of a finished Zarr store beside those of its groups, so that xarray opens each without a warning.

    Readers of ours do not use them. zarr-python warns that they are not yet part of the specification of Zarr 3 (they are its widely
    read convention, and a reader that does not know them ignores them): that warning is for the writer, so it ends here.

    Args:
        path: of the store; called again after a change of its arrays or their attributes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        groups = zarr.open_group(path, mode="r", use_consolidated=False).members(max_depth=None)
        below = sorted((name for name, member in groups if isinstance(member, zarr.Group)), key=lambda name: -name.count("/"))
        for name in (*below, ""):
            zarr.consolidate_metadata(path, path=name or None, zarr_format=3)
