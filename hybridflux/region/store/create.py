"""Write a region store: the drivers of every pixel of a grid, tile by tile."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zarr

from hybridflux.provenance import provenance
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.chunks import UNIFORM, only_value, uniform_tiles
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.time import time_zone_name, zone_of_longitude
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

DAYS_AT_ONCE = 32  # of a tile, scaled together to bound memory
Map = np.ndarray | Callable[[Tile], np.ndarray]
"""A map `[y, x]` of the whole grid, or a function that gives that of a tile: a large region need not be in memory."""


@dataclass(frozen=True)
class RegionWriter:
    """An open region store that waits for its vegetation.

    Attributes:
        path: of the store.
        grid: its grid.
        days: its days, `datetime64[D]`.
    """

    path: Path
    grid: Grid
    days: np.ndarray

    def write(self, tile: Tile, fapar: np.ndarray, **layers: np.ndarray) -> None:
        """Write the vegetation of a tile.

        Args:
            tile: of the grid.
            fapar: `[time, y, x]`, 0 to 1, NaN where missing.
            layers: the other daily maps the region was created with, `[time, y, x]`.

        Raises:
            ValueError: wrong shape.
        """
        for name, values in {"fapar": fapar, **layers}.items():
            self.write_layer(tile, name, values)

    def write_layer(self, tile: Tile, name: str, values: np.ndarray) -> None:
        """Write one daily map of a tile.

        Args:
            tile: of the grid.
            name: of the map.
            values: `[time, y, x]`, NaN where missing; integers are taken for values in steps of `layout.SCALE`.

        Raises:
            ValueError: wrong shape.
        """
        shape = (len(self.days), *tile.shape)
        if values.shape != shape:
            raise ValueError(f"{name} of tile {tile.id} has shape {values.shape}; [time, y, x] is {shape}")
        opened = zarr.open_array(self.path / name, mode="r+")
        # a tile that was never seen is written too: one not there is lost; of this array alone, because other threads write others
        array = zarr.Array(zarr.AsyncArray(opened.metadata, opened.store_path, {"write_empty_chunks": True}))
        array[:, tile.y, tile.x] = values if values.dtype == np.int16 else _scaled(values, *VARIABLES[name].bounds)
        checksums.record(self.path / name, checksums.keys_of(array, (tile.y, tile.x)))

    def write_all(self, fapar: np.ndarray, **layers: np.ndarray) -> None:
        """Write the vegetation of the whole grid `[time, y, x]`; arguments as in `write`."""
        for tile in self.grid.tiles():
            here = {name: values[:, tile.y, tile.x] for name, values in {"fapar": fapar, **layers}.items()}
            self.write(tile, **here)


@dataclass(frozen=True)
class RegionMaps:
    """Maps of a region. Each is an array `[y, x]` of the whole grid, or a function of a tile: in memory one of 1e8 pixels takes 400 MB.

    Attributes:
        plant_type: index into PLANT_TYPES, 255 outside.
        soil_capacity: plant-available water that the root zone holds, mm.
        cell: weather cell of a pixel; all are in cell 0 where it is None.
        zone: number of the zone of a pixel, 0 for none; no zones where it is None.
        zone_names: number of a zone -> name.
        covariates: other static covariates, for instance `elevation`.
        daily: daily maps beside `fapar`, for instance `fapar_sd` -> attributes besides those of the vocabulary.
    """

    plant_type: Map
    soil_capacity: Map
    cell: Map | None = None
    zone: Map | None = None
    zone_names: Mapping[int, str] = field(default_factory=dict)
    covariates: Mapping[str, Map] = field(default_factory=dict)
    daily: Mapping[str, Mapping] = field(default_factory=dict)

    def static(self) -> dict[str, tuple[Map, type]]:
        """Name -> map and type of those that do not change in time."""
        return {
            "plant_type": (self.plant_type, np.uint8),
            "soil_capacity": (self.soil_capacity, np.float32),
            "cell": (_none if self.cell is None else self.cell, np.int32),
            "zone": (_none if self.zone is None else self.zone, np.int32),
            **{name: (source, np.float32) for name, source in self.covariates.items()},
        }


@dataclass(frozen=True)
class RegionWeather:
    """Weather of a region on coarse cells, and the days it is of.

    Attributes:
        days: every day once, `datetime64[D]`; begin a year before the first day to be mapped, for spin-up and running means.
        values: `layout.WEATHER` and, if there are, `tmax tair_night tair_day vpd_day swc`; `[time, cell]` in vocabulary units.
        climatology: name -> long-term mean by day of year `[366, cell]`, for changes such as `vpd=climatology`.
        utc_offset: of the region's standard day [h]; that of the longitude of its middle (`time.zone_of_longitude`) where it is None.
    """

    days: np.ndarray
    values: Mapping[str, np.ndarray]
    climatology: Mapping[str, np.ndarray] = field(default_factory=dict)
    utc_offset: float | None = None


def create_region(
    path: str | Path,
    grid: Grid,
    maps: RegionMaps,
    weather: RegionWeather,
    *,
    warm_up: int = 0,
    title: str = "",
    attribution: Sequence[str] = (),
    overwrite: bool = False,
) -> RegionWriter:
    """Create a region store with everything but the vegetation; maps are written tile by tile.

    Args:
        path: of the store, `*.zarr`.
        grid: projected grid and tile size.
        maps: of the grid.
        weather: of its cells, and the days.
        warm_up: days at the beginning that are there for the spin-up only and are not mapped unless asked for.
        title: one line.
        attribution: credit of the sources of the data, a sentence each; every product of the region carries them.
        overwrite: replace a region store that is there.

    Raises:
        FileExistsError: the store is there, or with `overwrite` something that is no region store.
        ValueError: a shape does not fit the grid, the days or the cells.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; remove it or take another name")
    if path.exists() and not _is_region(path):
        raise FileExistsError(f"{path} is not a region store, and is not replaced; remove it or take another name")
    days = np.asarray(weather.days, "datetime64[D]")
    utc_offset = zone_of_longitude(grid.centre[0]) if weather.utc_offset is None else weather.utc_offset
    cells, static = next(iter(weather.values.values())).shape[1], maps.static()
    whole = {name: np.shape(source) for name, (source, _) in static.items() if not callable(source)}
    _check_shapes({name: (shape, grid.shape) for name, shape in whole.items()}, "[y, x]")
    _check_shapes({name: (values.shape, (len(days), cells)) for name, values in weather.values.items()}, "[time, cell]")
    _check_shapes({name: (values.shape, (366, cells)) for name, values in weather.climatology.items()}, "[day of year, cell]")

    shutil.rmtree(path, ignore_errors=True)
    group = zarr.create_group(path, attributes={
        "Conventions": layout.CONVENTIONS, "title": title or path.stem, "format": layout.FORMAT,
        "time_zone": time_zone_name(utc_offset), "utc_offset": float(utc_offset), "lead": int(warm_up),
        layout.ATTRIBUTION: list(attribution),
        "provenance": provenance(
            {"title": title, "shape": grid.shape, "first": str(days[0]), "last": str(days[-1]), "lead": warm_up},
            given={"weather": weather.values, **{name: source for name, (source, _) in static.items() if source is not _none}},
        ),
    })  # fmt: skip
    for name, (values, attributes) in layout.axes(grid.x, grid.y).items():
        layout.put(group, name, values, (name,), **attributes)
    layout.put(group, "spatial_ref", np.int32(0), (), **layout.spatial_ref(grid.crs, grid.west, grid.north, grid.pixel))
    layout.put(
        group, "time", (days - layout.EPOCH).astype(np.int32), ("time",), fill=-1, standard_name="time", units=layout.TIME_UNITS,
        calendar="standard", axis="T", time_zone=time_zone_name(utc_offset),
    )  # fmt: skip
    for name, values in weather.values.items():
        layout.put(group, name, np.asarray(values, np.float32), ("time", "cell"), fill=np.nan, **_describe(name))
    for name, values in weather.climatology.items():
        layout.put(group, f"{name}_climatology", np.asarray(values, np.float32), ("day_of_year", "cell"), fill=np.nan, **_describe(name))
    more = {
        "plant_type": {"flag_values": list(range(len(PLANT_TYPES))), "flag_meanings": " ".join(PLANT_TYPES)},
        "zone": {"zone_names": {str(number): text for number, text in maps.zone_names.items()}},
    }
    fills = {"plant_type": layout.OUTSIDE, "cell": -1, "zone": 0}
    for name, (source, kind) in static.items():
        array = group.create_array(
            name, shape=grid.shape, dtype=kind, chunks=(grid.tile, grid.tile), compressors=layout.codecs(), dimension_names=("y", "x"),
            fill_value=fills.get(name, np.nan), attributes={"grid_mapping": "spatial_ref"} | _describe(name) | more.get(name, {}),
        )  # fmt: skip
        one_value = []
        for tile in grid.tiles():
            values = source(tile) if callable(source) else np.asarray(source)[tile.y, tile.x]
            _check_shapes({f"{name} of tile {tile.id}": (np.shape(values), tile.shape)}, "[y, x]")
            array[tile.y, tile.x] = values = np.asarray(values, kind)
            one_value.append(only_value(values))
        array.attrs[UNIFORM] = uniform_tiles(grid.tile, one_value)
    stored = {"scale_factor": layout.SCALE, "_FillValue": layout.NODATA, "grid_mapping": "spatial_ref"}
    for name, attributes in {"fapar": {}, **maps.daily}.items():
        group.create_array(
            name, shape=(len(days), *grid.shape), dtype=np.int16, chunks=(len(days), grid.tile, grid.tile), compressors=layout.codecs(),
            dimension_names=("time", "y", "x"), fill_value=layout.NODATA, attributes=_describe(name) | stored | dict(attributes),
        )  # fmt: skip
    for name, array in sorted(group.arrays()):
        checksums.record_all(path / name, array)
    checksums.seal(path)
    return RegionWriter(path, grid, days)


def _is_region(path: Path) -> bool:
    """Whether a folder is an empty one, or a region store, whole or not; also one killed while zarr wrote its first metadata."""
    if not path.is_dir() or all(file.match("zarr.json.*.partial") for file in path.iterdir()):
        return path.is_dir()
    try:
        return zarr.open_group(path, mode="r").attrs.get("format") == layout.FORMAT
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _none(tile: Tile) -> np.ndarray:
    """The map of a tile where there is but one weather cell, or no zone."""
    return np.zeros(tile.shape, np.int32)


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """As stored, int16 `[time, y, x]`."""
    out = np.empty(values.shape, np.int16)
    for start in range(0, len(values), DAYS_AT_ONCE):
        part = values[start : start + DAYS_AT_ONCE]
        known = np.isfinite(part)
        scaled = np.rint(np.clip(np.where(known, part, 0.0), low, high) / layout.SCALE)
        out[start : start + DAYS_AT_ONCE] = np.where(known, scaled, layout.NODATA)
    return out


def _describe(name: str) -> dict:
    """CF attributes from the vocabulary."""
    if name not in VARIABLES:
        return {"long_name": {"cell": "weather cell of the pixel", "zone": "zone of the pixel, 0 for none"}.get(name, name)}
    row = VARIABLES[name]
    return {"units": row.units, "long_name": row.long_name} | ({"standard_name": row.cf_name} if row.cf_name else {})


def _check_shapes(shapes: Mapping[str, tuple], dims: str) -> None:
    for name, (found, wanted) in shapes.items():
        if found != wanted:
            raise ValueError(f"`{name}` has shape {found}; {dims} is {wanted}")
