"""GRIB as ECMWF writes it: edition 1 from the layout of WMO FM 92 (GDAL cannot write it), edition 2 by GDAL."""

import datetime
import math

import numpy as np
import rasterio
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import from_origin

TABLE_128 = {"t2m": 167, "d2m": 168, "ssrd": 169, "tp": 228, "z": 129, "swvl1": 39, "u10": 165}
SECOND = {"t2m": (0, 0, 103, 2), "d2m": (0, 6, 103, 2), "ssrd": (4, 7, 1, 0), "tp": (1, 193, 1, 0), "u10": (2, 2, 103, 10)}
"""Category, number, kind of level and level of edition 2."""
ACCUMULATED = ("ssrd", "tp")
BITS = 24


def signed(number, size):
    """Sign and magnitude, as edition 1 has them."""
    return (abs(number) | (1 << (8 * size - 1) if number < 0 else 0)).to_bytes(size, "big")


def ibm(number):
    """A float of IBM's System/360: 7 bits of a power of 16, 24 of a fraction."""
    power, fraction = 64, abs(number)
    while fraction >= 1:
        fraction, power = fraction / 16, power + 1
    while 0 < fraction < 1 / 16:
        fraction, power = fraction * 16, power - 1
    return bytes([power | (0x80 if number < 0 else 0)]) + int(fraction * 2**24).to_bytes(3, "big")


def of_ibm(code):
    return (-1 if code[0] & 0x80 else 1) * int.from_bytes(code[1:], "big") / 2**24 * 16.0 ** ((code[0] & 0x7F) - 64)


def packed(values):
    """Section 4: simple packing of numbers."""
    lowest = ibm(float(values.min()))
    above = values - of_ibm(lowest)
    power = math.ceil(math.log2(above.max() / (2**BITS - 1))) if above.max() > 0 else 0
    whole = np.round(above / 2.0**power).clip(0, 2**BITS - 1).astype(">u4")
    data = whole.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    fill = b"\0" * (len(data) % 2 == 0)
    return (11 + len(data + fill)).to_bytes(3, "big") + bytes([8 * len(fill)]) + signed(power, 2) + lowest + bytes([BITS]) + data + fill


def first(name, values, stamp, latitudes, longitudes, *, hours=1, since=None):
    """One message of edition 1; what fell is told to have fallen from `since`, or in the hours before the stamp."""
    fell = name in ACCUMULATED
    begin = (since if since is not None else stamp - np.timedelta64(hours, "h")) if fell else stamp
    when = begin.astype("datetime64[s]").astype(datetime.datetime)
    century, year = divmod(when.year - 1, 100)
    steps = bytes([0, int((stamp - begin) // np.timedelta64(1, "h")), 4]) if fell else bytes(3)
    gaps = ~np.isfinite(values)
    product = bytes([128, 98, 145, 255, 0xC0 if gaps.any() else 0x80, TABLE_128[name], 1, 0, 0])
    product += bytes([year + 1, when.month, when.day, when.hour, when.minute, 1]) + steps + bytes([0, 0, 0, century + 1, 0, 0, 0])
    edges = [round(1000 * edge) for edge in (latitudes[0], longitudes[0], latitudes[-1], longitudes[-1])]
    spacing = [round(1000 * abs(axis[-1] - axis[-2])) for axis in (longitudes, latitudes)]
    grid = bytes([0, 255, 0]) + b"".join(len(axis).to_bytes(2, "big") for axis in (longitudes, latitudes))
    grid += signed(edges[0], 3) + signed(edges[1], 3) + bytes([0x80]) + signed(edges[2], 3) + signed(edges[3], 3)
    grid += b"".join(step.to_bytes(2, "big") for step in spacing) + bytes([0x40 if latitudes[0] < latitudes[-1] else 0]) + bytes(4)
    parts = [product, grid]
    if gaps.any():
        bits = np.packbits(~gaps.ravel())
        parts.append(bytes([8 * len(bits) - gaps.size, 0, 0]) + bits.tobytes())
    body = b"".join((3 + len(part)).to_bytes(3, "big") + part for part in parts) + packed(values[~gaps]) + b"7777"
    return b"GRIB" + (8 + len(body)).to_bytes(3, "big") + bytes([1]) + body


def second(name, values, stamp, latitudes, longitudes, path, *, hours=1, total=1):
    """One message of edition 2, on regular axes from north to south."""
    category, number, kind, level = SECOND[name]
    fell = name in ACCUMULATED
    begin = stamp - np.timedelta64(hours if fell else 0, "h")
    product = [category, number, 2, 255, 255, 0, 0, 1, 0, kind, 0, level, 255, 255, -1]
    if fell:
        end = stamp.astype("datetime64[s]").astype(datetime.datetime)
        product += [end.year, end.month, end.day, end.hour, end.minute, end.second, 1, 0, total, 2, 1, hours, 255, 0]
    step = abs(latitudes[1] - latitudes[0]), abs(longitudes[1] - longitudes[0])
    corner = from_origin(longitudes[0] - step[1] / 2, latitudes[0] + step[0] / 2, step[1], step[0])
    told = f"CENTER=98 SUBCENTER=0 MASTER_TABLE=24 LOCAL_TABLE=0 SIGNF_REF_TIME=1 REF_TIME={begin.astype('datetime64[s]')}Z"
    options = {
        "DISCIPLINE": 0, "IDS": told + " PROD_STATUS=0 TYPE=1", "PDS_PDTN": 8 if fell else 0, "INPUT_UNIT": "K",
        "PDS_TEMPLATE_ASSEMBLED_VALUES": " ".join(map(str, product)), "DATA_ENCODING": "SIMPLE_PACKING", "NBITS": BITS,
    }  # fmt: skip
    shape = {"height": len(latitudes), "width": len(longitudes), "count": 1, "dtype": "float64"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", crs="EPSG:4326", transform=corner, **shape) as file:
            file.write(values, 1)
        with memory.open() as file, rasterio.Env():
            copy(file, path, driver="GRIB", **options)
    return path.read_bytes()
