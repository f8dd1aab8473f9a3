"""The configuration of a region, `data_catalog/regions/<id>.toml`: where, when, and which dataset of the catalog gives what."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hybridflux.data.catalog import REGIONS, catalog_folder
from hybridflux.limits import shown
from hybridflux.region.grid import Grid
from hybridflux.time import FRANCE_UTC_OFFSET
from hybridflux.vocabulary import suggestion

DATA = "{data}"
"""In a `place`, the folder named on the command line."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Frame(_Part):
    """The grid: edges in metres of a projected coordinate system.

    Attributes:
        crs: for instance `EPSG:32631` or `EPSG:2154`.
        west: left edge [m]; a multiple of the pixel size, as all edges.
        south: lower edge [m].
        east: right edge [m].
        north: upper edge [m].
        pixel: size of a pixel [m].
        tile: pixels along the side of a tile.
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
            ValueError: the edges are crossed or not on whole pixels.
        """
        width, height = (self.east - self.west) / self.pixel, (self.north - self.south) / self.pixel
        if width <= 0 or height <= 0:
            raise ValueError(f"the grid is empty: west {self.west}, east {self.east}, south {self.south}, north {self.north}")
        if abs(width - round(width)) > 1e-6 or abs(height - round(height)) > 1e-6:
            raise ValueError(f"the grid is {width:g} x {height:g} pixels of {self.pixel:g} m; move its edges so that both are whole")
        return Grid(self.crs, self.west, self.north, self.pixel, (round(height), round(width)), self.tile)


class Period(_Part):
    """The days that are mapped, and those before them for the spin-up.

    Attributes:
        start: first mapped day.
        end: last mapped day.
        lead: days before `start`, for the water in the soil to find its level and for running means [d].
    """

    start: date
    end: date
    lead: Annotated[int, Field(ge=0)] = 365

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.end < self.start:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start}); swap the two dates")
        return self

    @property
    def days(self) -> np.ndarray:
        """All days of the store, lead included, `datetime64[D]`."""
        return np.arange(np.datetime64(self.start - timedelta(self.lead)), np.datetime64(self.end + timedelta(1)), dtype="datetime64[D]")


class Source(_Part):
    """A dataset of the catalog and where it lies.

    Attributes:
        dataset: its id.
        place: folder, file, or name of one of its services; `{data}` is the folder named on the command line.
        year: of the edition, where there is one a year.
        over: of a land cover, the plant types below it that it may replace; None for all.
        start: first day that is read, where it is not that of the region.
        end: last day that is read, where it is not that of the region.
        driver: of soil moisture, which of its series is the `swc` of the region [m3 m-3], for models with `water.OBSERVED`.
    """

    dataset: str
    place: str
    year: int | None = None
    over: tuple[str, ...] | None = None
    start: date | None = None
    end: date | None = None
    driver: str | None = None


class Vegetation(_Part):
    """How `fapar` is made.

    Attributes:
        index: of reflectance whose series is filled, `fapar` for the network on Sentinel-2 bands.
        line: dataset to whose fapar a straight line brings the index; None where `index` is `fapar`.
        also: other indices that are filled and stored each day.
    """

    index: str = "ndvi"
    line: str | None = "modis-fpar-c5"
    also: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _a_line_or_fapar(self) -> Vegetation:
        if (self.index == "fapar") == (self.line is not None):
            raise ValueError("`fapar` needs no line, every other index needs one: set `line`, or `index = \"fapar\"` with `line` left out")
        return self


class Soil(_Part):
    """Plant-available water capacity: of a dataset, or one number for all.

    Attributes:
        dataset: its id.
        place: of it.
        capacity: of all pixels [mm].
    """

    dataset: str | None = None
    place: str | None = None
    capacity: Annotated[float, Field(ge=5, le=1000)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Soil:
        if (self.dataset is None) == (self.capacity is None):
            raise ValueError("name a `dataset` with its `place`, or a `capacity` in mm")
        return self


class RegionConfig(_Part):
    """A region to build.

    Attributes:
        id: file name without `.toml`.
        title: one line.
        note: what a reader must know.
        status: `sample`, built from cut-outs that lie beside a checkout; `live`, from services.
        utc_offset: of the region's standard day [h].
        grid: where.
        period: when.
        vegetation: how fapar is made.
        imagery: sources of scenes, together.
        weather: one source.
        landcover: sources, the first on top of the others.
        zones: parcels or labels that become zones.
        soil: water capacity.
        terrain: heights, for the temperature of pixels above and below their weather cell.
        moisture: soil moisture, kept beside the drivers for comparison; one may be the driver `swc`.
    """

    id: str
    title: str
    note: str | None = None
    status: Literal["sample", "live"] = "live"
    utc_offset: float = FRANCE_UTC_OFFSET
    grid: Frame
    period: Period
    vegetation: Vegetation = Vegetation()
    imagery: tuple[Source, ...]
    weather: Source
    landcover: tuple[Source, ...]
    zones: Source | None = None
    soil: Soil
    terrain: Source | None = None
    moisture: tuple[Source, ...] = ()

    @cached_property
    def region_grid(self) -> Grid:
        """Its grid."""
        return self.grid.grid()

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north [degrees]."""
        box = self.region_grid.geobox.geographic_extent.boundingbox
        return box.left, box.bottom, box.right, box.top

    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Part of the configuration -> its sources."""
        soil = Source(dataset=self.soil.dataset, place=self.soil.place or "") if self.soil.dataset else None
        single = {"weather": self.weather, "zones": self.zones, "soil": soil, "terrain": self.terrain}
        found = {"imagery": self.imagery, "landcover": self.landcover, "moisture": self.moisture}
        return found | {name: (source,) for name, source in single.items() if source}

    def at(self, data: Path | None) -> RegionConfig:
        """The configuration with `{data}` put in.

        Raises:
            ValueError: a place holds `{data}` and no folder is named.
        """
        text = self.model_dump_json()
        if DATA in text and data is None:
            raise ValueError(f"the places of region `{self.id}` begin with {DATA}: name the folder with `--data FOLDER`")
        return self if data is None else RegionConfig.model_validate_json(text.replace(DATA, data.as_posix()))


def load_config(name: str | Path) -> RegionConfig:
    """Read a configuration.

    Args:
        name: a TOML file, or the id of one in the catalog.

    Raises:
        FileNotFoundError: neither.
        ValueError: everything that is wrong in it, one line each.
    """
    path = Path(name)
    if not path.is_file():
        path = catalog_folder() / REGIONS / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.toml"))
        near = suggestion(str(name), known)
        raise FileNotFoundError(f"`{name}` is neither a file nor a region of the catalog: {', '.join(known)}.{near}")
    try:
        config = RegionConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        config.region_grid  # noqa: B018  a grid that cannot be is told here
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML in UTF-8: {shown(error)}") from error
    except ValidationError as error:
        lines = [f"- {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
        raise ValueError(f"{path} is not the configuration of a region:\n" + "\n".join(lines)) from error
    return config


_STATUS = {
    "sample": "built from public cut-outs, docs/regions.md says where they are; --data is their folder",
    "live": "built from services; --data is the folder of what you fetch by hand, if the configuration names it",
}


def describe_regions() -> str:
    """The regions of the catalog as text for the terminal."""
    lines = ["regions, for `hybridflux region build ID --data FOLDER`:"]
    for path in sorted((catalog_folder() / REGIONS).glob("*.toml")):
        config = load_config(path)
        lines += [f"  {config.id}: {config.title}", f"    {config.period.start} to {config.period.end}; {_STATUS[config.status]}"]
    return "\n".join(lines)
