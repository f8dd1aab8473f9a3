"""The configuration of a region, `data_catalog/regions/<id>.toml`: where, when, and which dataset of the catalog gives what."""

from __future__ import annotations

import logging
import tomllib
import warnings
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pyproj.exceptions import CRSError

from hybridflux.data.catalog import REGIONS, catalog_folder
from hybridflux.files import read_text
from hybridflux.limits import shown
from hybridflux.region.store.grid import Grid
from hybridflux.time import FARTHEST_FROM_SUN, LEGAL_OFFSETS, hours_from_sun, hours_of_zone, time_zone_name, zone_of_longitude
from hybridflux.vocabulary import suggestion

_LOG = logging.getLogger("hybridflux.ingest")
DATA = "{data}"
"""In a `place`, the folder named on the command line."""


def _hours(offset: object) -> object:
    return hours_of_zone(offset) if isinstance(offset, str) else offset


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GridConfig(_Part):
    """The grid: edges in metres of a projected coordinate system.

    Attributes:
        crs: for instance `EPSG:32631` or `EPSG:2154`.
        west: left edge [m]; a multiple of the pixel size, as all edges.
        south: lower edge [m].
        east: right edge [m].
        north: upper edge [m].
        pixel: size of a pixel [m].
        tile: pixels along the side of a tile; results do not depend on it.
    """

    crs: str
    west: float
    south: float
    east: float
    north: float
    pixel: float = 10.0
    tile: int = 128

    def grid(self) -> Grid:
        """The grid of the region.

        Raises:
            ValueError: the edges are crossed or not on whole pixels, or the coordinate system is unknown.
        """
        width, height = (self.east - self.west) / self.pixel, (self.north - self.south) / self.pixel
        if width <= 0 or height <= 0:
            raise ValueError(f"the grid is empty: west {self.west}, east {self.east}, south {self.south}, north {self.north}")
        if abs(width - round(width)) > 1e-6 or abs(height - round(height)) > 1e-6:
            raise ValueError(f"the grid is {width:g} x {height:g} pixels of {self.pixel:g} m; move its edges so that both are whole")
        try:
            return Grid(self.crs, self.west, self.north, self.pixel, (round(height), round(width)), self.tile)
        except CRSError as error:
            raise ValueError(f"the coordinate system `{self.crs[:40]}` is unknown; write a code such as EPSG:32631 or EPSG:2154") from error


class PeriodConfig(_Part):
    """The mapped days, and the warm-up before them.

    Attributes:
        start: first mapped day.
        end: last mapped day.
        lead: warm-up: days before `start` that soil water and running means need to forget their start [d].
    """

    start: date
    end: date
    lead: Annotated[int, Field(ge=0)] = 365

    @model_validator(mode="after")
    def _in_order(self) -> PeriodConfig:
        if self.end < self.start:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start}); swap the two dates")
        return self

    @property
    def days(self) -> np.ndarray:
        """All days of the store, warm-up included, `datetime64[D]`."""
        return np.arange(np.datetime64(self.start - timedelta(self.lead)), np.datetime64(self.end + timedelta(1)), dtype="datetime64[D]")


class SourceConfig(_Part):
    """A dataset of the catalog and its place.

    Attributes:
        dataset: id of the dataset.
        place: folder, file, or name of one of its services; `{data}` is the folder named on the command line.
        year: year of the edition, where there is one a year.
        over: for a land cover, the plant types below it that it may replace; None for all.
        start: first day that is read; that of the region by default.
        end: last day that is read; that of the region by default.
        driver: for soil moisture, the series that is the `swc` of the region [m3 m-3], for models with `water.OBSERVED`.
    """

    dataset: str
    place: str
    year: int | None = None
    over: tuple[str, ...] | None = None
    start: date | None = None
    end: date | None = None
    driver: str | None = None


class VegetationConfig(_Part):
    """Source of `fapar`.

    Attributes:
        index: index of reflectance whose series is filled, `fapar` for the network on Sentinel-2 bands.
        line: dataset whose calibration line converts the index to fapar; None where `index` is `fapar`.
        also: other indices that are filled and stored each day.
        like: dataset to whose instrument straight lines bring the indices of `also`: that of the towers' reflectance; or index -> dataset
            for some of them. Without it, and without a line of it for an index, they stay as the imagery shows them.
    """

    index: str = "ndvi"
    line: str | None = "modis-fpar-c5"
    also: tuple[str, ...] = ()
    like: str | dict[str, str] | None = None

    @property
    def brought(self) -> dict[str, str]:
        """Index of `also` -> dataset to whose instrument it is brought, where the dataset has a line of it."""
        return dict.fromkeys(self.also, self.like) if isinstance(self.like, str) else self.like or {}

    @model_validator(mode="after")
    def _no_stranger(self) -> VegetationConfig:
        strangers = ", ".join(sorted(self.brought.keys() - {*self.also}))
        if strangers:
            raise ValueError(f"`like` names {strangers}, which `also` does not; name it in both")
        return self

    @model_validator(mode="after")
    def _a_line_or_fapar(self) -> VegetationConfig:
        if (self.index == "fapar") == (self.line is not None):
            raise ValueError("`fapar` needs no line, every other index needs one: set `line`, or `index = \"fapar\"` with `line` left out")
        return self


class SoilConfig(_Part):
    """Plant-available water capacity: of a dataset, or one value for all pixels.

    Attributes:
        dataset: id of the dataset.
        place: place of the dataset.
        capacity: water capacity of all pixels [mm].
    """

    dataset: str | None = None
    place: str | None = None
    capacity: Annotated[float, Field(ge=5, le=1000)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> SoilConfig:
        if (self.dataset is None) == (self.capacity is None):
            raise ValueError("name a `dataset` with its `place`, or a `capacity` in mm")
        return self


class RegionConfig(_Part):
    """A region to build.

    Attributes:
        id: file name without `.toml`.
        title: one line.
        note: caveats for users.
        status: `sample`, built from cut-outs that lie beside a checkout; `live`, from services.
        utc_offset: offset of the standard day [h]; by default the whole hours of its longitude (`time.zone_of_longitude`).
        grid: grid of the region.
        period: mapped days and warm-up.
        vegetation: source of fapar.
        imagery: sources of scenes, used together.
        weather: source of the weather.
        landcover: sources of the land cover, the first on top of the others.
        zones: parcels or labels that become zones.
        soil: source of the water capacity.
        terrain: elevation, for the temperature of pixels above and below their weather cell.
        moisture: soil moisture, kept beside the drivers for comparison; one may be the driver `swc`.
    """

    id: str
    title: str
    note: str | None = None
    status: Literal["sample", "live"] = "live"
    utc_offset: Annotated[float, BeforeValidator(_hours), Field(ge=LEGAL_OFFSETS[0], le=LEGAL_OFFSETS[1], multiple_of=0.25)] | None = None
    grid: GridConfig
    period: PeriodConfig
    vegetation: VegetationConfig = VegetationConfig()
    imagery: tuple[SourceConfig, ...]
    weather: SourceConfig
    landcover: tuple[SourceConfig, ...]
    zones: SourceConfig | None = None
    soil: SoilConfig
    terrain: SourceConfig | None = None
    moisture: tuple[SourceConfig, ...] = ()

    @model_validator(mode="after")
    def _standard_time(self) -> RegionConfig:
        """A missing offset follows from the longitude; an offset that contradicts it is warned of."""
        west, middle, east = self._longitudes()
        if self.utc_offset is None:
            object.__setattr__(self, "utc_offset", float(zone_of_longitude(middle)))  # once, before the object is used
            zone = time_zone_name(self.utc_offset)
            _LOG.info("region %s names no `utc_offset`: days of %s, of its longitude %.2f degrees east", self.id, zone, middle)
        off = max((hours_from_sun(self.utc_offset, edge) for edge in (west, east)), key=abs)
        if abs(off) > FARTHEST_FROM_SUN:
            warnings.warn(
                f"region `{self.id}`: utc_offset {self.utc_offset:g} is {off:+.1f} h from the sun at {west:.1f} to {east:.1f} degrees "
                f"east, where {zone_of_longitude(middle):+d} is nearest; days begin at {off % 24:.1f} h of the sun: is the sign right?",
                stacklevel=2,
            )
        return self

    def _longitudes(self) -> tuple[float, float, float]:
        """Westernmost corner, middle and easternmost corner [degrees east].

        Raises:
            ValueError: no grid, or one that lies on both sides of the date line.
        """
        grid, frame = self.region_grid, self.grid
        middle = grid.centre[0]
        corners, _ = grid.lonlat(np.array([frame.west, frame.west, frame.east, frame.east]), np.array([frame.south, frame.north] * 2))
        around = middle + (np.asarray(corners) - middle + 180.0) % 360.0 - 180.0
        west, east = float(around.min()), float(around.max())
        if west < -180.0 or east > 180.0:
            raise ValueError(f"the region lies on both sides of the date line, {west:.2f} to {east:.2f} degrees east; make two of it")
        return west, middle, east

    @cached_property
    def region_grid(self) -> Grid:
        """The grid of the region."""
        return self.grid.grid()

    def on(self, **changes) -> RegionConfig:
        """The same configuration on a grid with other edges or tiles."""
        plain = self.model_dump()
        return type(self).model_validate(plain | {"grid": plain["grid"] | changes})

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north [degrees]."""
        box = self.region_grid.geobox.geographic_extent.boundingbox
        return box.left, box.bottom, box.right, box.top

    def sources(self) -> dict[str, tuple[SourceConfig, ...]]:
        """Part of the configuration -> its sources."""
        soil = SourceConfig(dataset=self.soil.dataset, place=self.soil.place or "") if self.soil.dataset else None
        single = {"weather": self.weather, "zones": self.zones, "soil": soil, "terrain": self.terrain}
        several = {"imagery": self.imagery, "landcover": self.landcover, "moisture": self.moisture}
        return several | {name: (source,) for name, source in single.items() if source}

    def at(self, data: Path | None) -> RegionConfig:
        """The configuration with `{data}` replaced by a folder.

        Raises:
            ValueError: a place holds `{data}` and no folder is named.
        """
        text = self.model_dump_json()
        if DATA in text and data is None:
            raise ValueError(f"region `{self.id}` reads files of yours: name their folder with `--data FOLDER`")
        if data is None or DATA not in text:
            return self
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the configuration was warned of when it was read
            return RegionConfig.model_validate_json(text.replace(DATA, data.as_posix()))


def load_config(name: str | Path) -> RegionConfig:
    """Read a configuration.

    Args:
        name: a TOML file, or the id of a region of the catalog.

    Raises:
        FileNotFoundError: neither exists.
        ValueError: all faults of the configuration, one line each.
    """
    path = Path(name)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the configuration of a region, a TOML file")
    if not path.is_file():
        path = catalog_folder() / REGIONS / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.toml"))
        near = suggestion(str(name), known)
        raise FileNotFoundError(f"`{name}` is neither a file nor a region of the catalog: {', '.join(known)}.{near}")
    try:
        config = RegionConfig.model_validate(tomllib.loads(read_text(path)))
        config.region_grid  # noqa: B018  an impossible grid is refused here
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {shown(error)}") from error
    except ValidationError as error:
        lines = [_line(fault) for fault in error.errors()]
        raise ValueError(f"{path} is not the configuration of a region:\n" + "\n".join(lines)) from error
    return config


def _line(fault: Mapping) -> str:
    """A fault of a configuration: its field, the reason, the value, and for a date the cure."""
    message = fault["msg"].removeprefix("Value error, ")
    shown = isinstance(fault["input"], (str, int, float)) and fault["type"] != "value_error"
    given = f"; it is `{str(fault['input'])[:40]}`" if shown else ""
    cure = ": write YYYY-MM-DD" if fault["type"].startswith("date") else ""
    return f"- {'.'.join(map(str, fault['loc'])) or 'file'}: {message}{given}{cure}"


_STATUS = {
    "sample": "built from public cut-outs, docs/regions.md names their sources; --data is their folder",
    "live": "built from services; --data is the folder of files that you fetch by hand, if the configuration names it",
}


def describe_regions(word: str = "") -> str:
    """Regions of the catalog whose configuration holds a word, as text for the terminal; empty if none does."""
    lines = []
    for path in sorted((catalog_folder() / REGIONS).glob("*.toml")):
        if word.casefold() in read_text(path).casefold():
            config = load_config(path)
            lines += [f"  {config.id}: {config.title}", f"    {config.period.start} to {config.period.end}; {_STATUS[config.status]}"]
    return "\n".join(["regions, for `hybridflux region build ID --data FOLDER`:", *lines] if lines else [])
