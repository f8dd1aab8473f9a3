"""The form of a region store: attributes, dimensions, shapes, types, scales and chunks, each fault with the cure.

Stores that a library saved again come with other ones; what would be read wrongly is refused here.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

import numpy as np
import zarr

from hybridflux.region.store import layout
from hybridflux.region.store.grid import Grid

CLOCKS = (-12, 14)  # hours of the first and the last clock of the world
MISSING = ("_FillValue", "missing_value")
SHOWN = 60  # characters of a value
EMPTY = {"plant_type": layout.OUTSIDE, "zone": 0, "cell": -1}
"""Value of a map of whole numbers where there is nothing."""
MAPS = ("plant_type", "soil_capacity", "cell", "zone")


def attributes(group: zarr.Group) -> Iterator[str]:
    """What is lost when a store is computed with and saved again."""
    if group.attrs.get("format") != layout.FORMAT:
        yield (
            f"the attribute `format` is `{group.attrs.get('format', '')}`, not `{layout.FORMAT}`: attributes of the store "
            "(`lead`, `time_zone` ...) were lost when it was saved again; put those of the first store back (`.attrs` in xarray)"
        )
    lead, offset = group.attrs.get("lead", 0), group.attrs.get("utc_offset", 0.0)
    if not (_is_number(lead) and lead == int(lead) and lead >= 0):
        yield f"the attribute `lead` is {shown(lead)}; it is a whole number of days, 0 or more: those before the first mapped one"
    elif "time" in group and lead >= group["time"].size:
        lead, days = group.attrs["lead"], group["time"].size
        yield f"the attribute `lead` is {lead} days of {days}: no day is left to map; set it to the days before the first mapped one"
    if not (_is_number(offset) and CLOCKS[0] <= offset <= CLOCKS[1]):
        yield f"the attribute `utc_offset` is {shown(offset)}; it is the hours of the region's day before UTC, {CLOCKS[0]} to {CLOCKS[1]}"
    names = group["zone"].attrs.get("zone_names", {}) if "zone" in group else {}
    if not isinstance(names, dict) or not all(str(key).isdecimal() and isinstance(name, str) for key, name in names.items()):
        yield f"the attribute `zone_names` of `zone` is {shown(names)}; it gives each number of a zone its name: {{'1': 'north'}}"


def arrays(group: zarr.Group, grid: Grid) -> Iterator[str]:
    """Missing arrays, wrong dimensions, shapes, types and chunks."""
    if "time" not in group:
        yield "the array `time` is missing"
        return
    days = group["time"].size
    missing = [name for name in layout.WEATHER if name not in group]
    if missing:
        yield f"weather is missing: {', '.join(missing)}; a region has {', '.join(layout.WEATHER)}"
    yield from (f"the map `{name}` is missing" for name in MAPS if name not in group)
    for name, array in sorted(group.arrays()):
        if not layout.is_ours(name, array.metadata.dimension_names):
            continue
        dims = _dims_of(name, array)
        shape = {("time", "y", "x"): (days, *grid.shape), ("y", "x"): grid.shape}.get(dims, array.shape)
        if tuple(array.metadata.dimension_names or ()) != dims:
            found = ", ".join(map(str, array.metadata.dimension_names or ("without names",)))
            yield f"`{name}` has the dimensions {found}; they must be {', '.join(dims)}: rename or transpose them and save the store again"
        if array.shape != shape:
            yield f"`{name}` has shape {array.shape}; [{', '.join(dims)}] is {shape}"
        elif array.shards:
            yield f"`{name}` is kept in shards {array.shards}; save the store again without them (`shards` None in the encoding)"
        elif dims == ("time", "y", "x"):
            yield from _daily(name, array, grid, days)
        elif dims:
            yield from _plain(name, array)
    cells = {group[name].shape[1:] for name in layout.WEATHER if name in group}
    if len(cells) > 1 or any(group[name].shape[0] != days for name in layout.WEATHER if name in group):
        shapes = ", ".join(f"{name} {group[name].shape}" for name in layout.WEATHER if name in group)
        yield f"the weather must all be [time, cell] with {days} days and the same cells; it is {shapes}"


def _dims_of(name: str, array: zarr.Array) -> tuple[str, ...]:
    """The dimensions an array must have by its name; its own where the name says nothing."""
    if name in MAPS:
        return ("y", "x")
    if name in layout.WEATHER:
        return ("time", "cell")
    if name == "fapar" or array.ndim == 3:
        return ("time", "y", "x")
    return tuple(array.metadata.dimension_names or ())


def _daily(name: str, array: zarr.Array, grid: Grid, days: int) -> Iterator[str]:
    """Type, scale and chunks of a daily map."""
    wanted = (days, grid.tile, grid.tile)
    lengths = zip(array.chunks, wanted, array.shape, strict=True)
    if not all(chunk == tile or (chunk >= size and tile >= size) for chunk, tile, size in lengths):
        yield f"`{name}` has chunks {array.chunks}; a chunk must hold a tile for all days, for instance {wanted}: write it anew{_ANEW}"
    scale, offset = array.attrs.get("scale_factor", layout.SCALE), array.attrs.get("add_offset", 0)
    missing = [array.attrs[key] for key in MISSING if key in array.attrs and str(array.attrs[key]) != str(layout.NODATA)]
    if array.dtype != np.int16:
        kept = f"int16 with scale_factor {layout.SCALE:g} and _FillValue {layout.NODATA}"
        yield f"`{name}` is {array.dtype}; it is kept as {kept}: write it anew{_ANEW}"
    elif not (_is_number(scale) and _is_number(offset) and np.isclose(scale, layout.SCALE) and offset == 0):
        also = f" and add_offset {shown(offset)}" if "add_offset" in array.attrs else ""
        yield f"`{name}` has the scale_factor {shown(scale)}{also}; it is kept with {layout.SCALE:g} and no offset: write it anew{_ANEW}"
    elif missing:
        yield f"`{name}` marks missing days by {shown(missing[0])}; it is kept with _FillValue {layout.NODATA}: write it anew{_ANEW}"


_ANEW = (
    f" (in xarray `encoding={{name: {{'dtype': 'int16', 'scale_factor': {layout.SCALE:g}, '_FillValue': {layout.NODATA}, "
    "'chunks': (all days, tile, tile)}}`)"
)


def _plain(name: str, array: zarr.Array) -> Iterator[str]:
    """Type of weather, maps and axes: numbers as they are."""
    whole = name in ("plant_type", "cell", "zone")
    if array.dtype.kind not in ("iu" if whole else "iuf"):
        kind = "whole numbers" if whole else "numbers"
        empty = f"`plant_type` is {layout.OUTSIDE} outside, `zone` 0 where there is none"
        yield f"`{name}` is {array.dtype}; it holds {kind}: convert it ({empty})"
    for key in MISSING:
        if key in array.attrs and not _is_empty(name, array, array.attrs[key]):
            empty = EMPTY.get(name, "NaN")
            yield f"`{name}` marks missing values by {key} {shown(array.attrs[key])}, and here {empty} does; replace them and save it again"
    packed = [key for key in ("scale_factor", "add_offset") if key in array.attrs]
    if packed:
        yield f"`{name}` is packed ({', '.join(packed)}), which only daily maps are; save it as numbers, without these in its encoding"


def shown(value) -> str:
    """A value of a file for a message, cut to a sane length."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_empty(name: str, array: zarr.Array, value) -> bool:
    """Whether a missing value of an array is the one that we take for it; xarray writes that of floats as base64 (Zarr 3)."""
    if array.dtype.kind == "f":
        if isinstance(value, str):
            try:
                content = base64.b64decode(value, validate=True)
                value = struct.unpack("<d", content)[0] if len(content) == 8 else value
            except ValueError:
                pass
        return str(value).lower() == "nan"
    return name not in MAPS or str(value) == str(EMPTY.get(name))
