"""A synthetic world from one seed: towers, a region, an inventory, and their truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridflux.data.gaps import seasonal_mean
from hybridflux.data.imagery.indices import compute
from hybridflux.evaluate.seasons import day_of_year
from hybridflux.files import write_json
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.region.store.layout import LIKE, WEATHER
from hybridflux.twin.landscape import CRS, NORTH, PIXEL, WEST, Landscape, centres, make_landscape, with_earlier_crops
from hybridflux.twin.ledger import make_ledger, pools, write_inventory
from hybridflux.twin.phenology import Greenness, make_greenness
from hybridflux.twin.pixel_fapar import pixel_fapar, water_stress
from hybridflux.twin.region_truth import simulate, write_truth
from hybridflux.twin.satellite import fill_daily, observe, reflectance_of
from hybridflux.twin.tower_records import make_towers
from hybridflux.twin.true_model import BY_CLASS, NOISE, REGIONAL, SHARED, SPREAD, Places, draw_places
from hybridflux.twin.weather_generator import Climate, make_weather
from hybridflux.vocabulary import PLANT_TYPES

TRUTH = "truth.json"
"""File of a world with its true parameters, written last."""

SEEN_AS = {LIKE: "reflectance-points"}  # the instrument of towers and region is the same

YEAR = 2022  # the mapped year, or the last of several, with the drought
LEAD = 365  # days of warm-up before the first mapped day
LONGEST = 730
RECORD = 8  # years of weather before the year of the drought, behind the climatology
MOST_YEARS = RECORD - 1
TOWER_YEARS = 2020, 2022
TILE = 128
ELEVATION = 160.0, 150.0, 85.0, 120.0  # m, of the four weather cells: plateau in the north, a valley in the south-west


@dataclass(frozen=True)
class World:
    """Paths of a written world.

    Attributes:
        folder: folder of the world.
        start: first mapped day.
        end: last mapped day.
    """

    folder: Path
    start: np.datetime64
    end: np.datetime64

    @property
    def towers(self) -> Path:
        """Folder of towers."""
        return self.folder / "towers"

    @property
    def region(self) -> Path:
        """Region store; starts a year before `start`."""
        return self.folder / "region.zarr"

    @property
    def inventory(self) -> Path:
        """Table of measured stock changes."""
        return self.folder / "inventory.csv"

    @property
    def truth(self) -> Path:
        """True totals, monthly maps and daily series, netCDF."""
        return self.folder / "truth.nc"

    @property
    def parameters(self) -> Path:
        """True parameters, JSON."""
        return self.folder / TRUTH


def make_world(
    folder: str | Path, *, size: int = 200, days: int = 365, years: int = 1, towers: int = 12, seed: int = 0, reflectance: bool = False
) -> World:
    """Make a world and write it.

    Args:
        folder: folder to write; an existing world is replaced, anything else is not.
        size: pixels along one side of the region, 10 m each, at least 16.
        days: mapped days where `years` is 1, at most two years; the whole of 2022 or its middle, always with the drought.
        years: whole mapped years, of which 2022 is the last.
        towers: number of towers.
        seed: seed of all random numbers; towers and region do not depend on each other.
        reflectance: give the towers reflectance, and the region `nirv` and `lswi`, beside fapar; nothing else changes.

    Raises:
        FileExistsError: the folder holds something else, or a world that was cut short.
        ValueError: more than two years of days, more years than the record of the weather has, or too few pixels.
    """
    if Path(folder).is_dir() and any(Path(folder).iterdir()) and not (Path(folder) / TRUTH).exists():
        raise FileExistsError(f"{folder} is not empty and holds no world ({TRUTH}): its files could be replaced; name another, or empty it")
    if not 1 <= days <= LONGEST:
        raise ValueError(f"the twin's calendar has two years to map, not {days} days; take 1 to {LONGEST}")
    if not 1 <= years <= MOST_YEARS:
        raise ValueError(f"the twin's weather has {MOST_YEARS} years to map and one to warm up, not {years}; take 1 to {MOST_YEARS}")
    world = WorldBuilder(Path(folder), size, days, years, seed, ("nirv", "lswi") if reflectance else ())
    world.folder.mkdir(parents=True, exist_ok=True)
    tower_truth = make_towers(world.folder / "towers", towers, TOWER_YEARS, world.chance("towers"), reflectance)
    parcels = world.make_region()
    of_towers = {name: np.float64(v) for name, v in tower_truth.places.parameters.items() if np.ndim(v)}
    record = {
        "seed": seed, "start": str(world.start), "end": str(world.end), "shared": SHARED, "by_class": BY_CLASS, "spread": SPREAD,
        "regional_share": REGIONAL, "noise": NOISE,
        "towers": {name: dict(zip(tower_truth.sites["site_id"], v, strict=True)) for name, v in of_towers.items()},
        "parcels": {name: np.float64(v).round(4).tolist() for name, v in parcels.items() if np.ndim(v)},
    }  # fmt: skip
    write_json(world.folder / TRUTH, record)
    return World(world.folder, world.start, world.end)


class Nature(NamedTuple):
    """What is true of a region, before anyone looks at it.

    Attributes:
        land: parcels, soil and crops.
        weather: name -> `[time, cell]`.
        climatology: name -> `[day of year, cell]`.
        cell: weather cell of each pixel `[y, x]`.
        green: vegetation of the parcels.
        fapar: of the pixels `[time, y, x]`.
        places: true parameters of the parcels.
    """

    land: Landscape
    weather: dict[str, np.ndarray]
    climatology: dict[str, np.ndarray]
    cell: np.ndarray
    green: Greenness
    fapar: np.ndarray
    places: Places


class WorldBuilder:
    """The steps of making a region, with its days and random generators."""

    def __init__(self, folder, size, days, years, seed, indices):
        self.folder, self.size, self._seed, self._indices = folder, size, seed, indices
        first = YEAR - years + 1
        if years > 1:
            days = int((np.datetime64(f"{YEAR + 1}-01-01") - np.datetime64(f"{first}-01-01")).astype(int))
        skipped = int(np.clip(196 - days // 2, 0, max(365 - days, 0)))
        self.start = np.datetime64(f"{first}-01-01") + np.timedelta64(skipped, "D")
        self.end = self.start + np.timedelta64(days - 1, "D")
        self.years = first, max(YEAR, int(self.end.astype("datetime64[Y]").astype(int)) + 1970)
        self.days = np.arange(f"{first - 1}-01-01", f"{self.years[1] + 1}-01-01", dtype="datetime64[D]")
        at = int((self.start - self.days[0]).astype(int))
        self.mapped = slice(at, at + days)
        self.stored = slice(max(at - LEAD, 0), at + days)

    def chance(self, purpose: str) -> np.random.Generator:
        """Random generator of one purpose, independent of the others."""
        return np.random.default_rng([self._seed, *purpose.encode()])

    def nature(self) -> Nature:
        """The truth of the region, the same whenever it is asked for."""
        land = make_landscape(self.size, self.chance("landscape"))
        weather, climatology, cell = self._weather()
        crops = with_earlier_crops(land.crops, YEAR - self.years[0], self.chance("rotation"))
        green = make_greenness(land.cover, crops, self.days, self.years[0] - 1, self.chance("calendar"))
        middle = np.bincount(land.parcel.ravel(), cell.ravel() == 3) > 0.5 * np.bincount(land.parcel.ravel())
        over_parcels = {name: values[:, np.where(middle, 3, 0)] for name, values in weather.items()}
        dry = water_stress(green.fapar, over_parcels, land.parcel_soil.astype(np.float32))
        fapar = pixel_fapar(land, green.fapar, dry, self.chance("texture"))
        kinds = np.array([PLANT_TYPES.index(code) for code in land.cover])
        places = draw_places(kinds, self.chance("parcels"), one_region=True)
        return Nature(land, weather, climatology, cell, green, fapar, places)

    def make_region(self) -> dict[str, np.ndarray]:
        """Write `region.zarr`, `inventory.csv` and `truth.nc`; give the true parameters of the parcels."""
        land, weather, climatology, cell, green, fapar, places = self.nature()
        truth = simulate(land, places, fapar, weather, cell, self.days, self.mapped)
        grid = Grid(CRS, WEST, NORTH, PIXEL, (self.size, self.size), min(TILE, self.size))
        area = np.empty(grid.shape)
        for tile in grid.tiles():
            area[tile.y, tile.x] = grid.area(tile)
        ledger = make_ledger(land, green, truth, self.years, self.chance("ledger"))
        true_pools = pools(land, ledger, area)
        write_inventory(self.folder / "inventory.csv", true_pools, self.years, self.chance("inventory"))
        period = "-".join(map(str, dict.fromkeys(self.years)))
        write_truth(self.folder / "truth.nc", land, truth, area, true_pools, period)
        self._write_region(grid, land, weather, climatology, cell, fapar)
        return places.parameters

    def _weather(self):
        """Weather on 2 x 2 cells `[time, cell]`, its climatology by day of year, and the cell of each pixel `[y, x]`."""
        x, y = centres(self.size)
        east, south = np.meshgrid(np.arange(self.size) * 2 // self.size, np.arange(self.size) * 2 // self.size)
        cell = (2 * south + east).astype(np.int32)
        quarter = np.arange(4)
        climate = Climate(
            np.full(4, 48.74), 1e-3 * x[0] + 1e-3 * PIXEL * self.size / 2 * (quarter % 2),
            1e-3 * y[0] - 1e-3 * PIXEL * self.size / 2 * (quarter // 2), np.array(ELEVATION),
        )  # fmt: skip
        record = np.arange(f"{YEAR - RECORD}-01-01", self.days[-1] + np.timedelta64(1, "D"), dtype="datetime64[D]")
        weather = make_weather(climate, record, self.chance("weather"))
        past = record < np.datetime64(f"{YEAR}-01-01")
        number = day_of_year(record[past])
        climatology = {
            name: np.stack([seasonal_mean(column, number) for column in weather[name][past].T], 1).astype(np.float32)
            for name in ("tair", "tmin", "par", "vpd", "rain")
        }
        return {name: values[record >= self.days[0]] for name, values in weather.items()}, climatology, cell

    def _write_region(self, grid: Grid, land: Landscape, weather, climatology, cell, fapar) -> None:
        """The drivers as a user would have them, with vegetation from simulated Sentinel-2 views."""
        clearness = (weather["par"] / weather["par_potential"]).mean(axis=1)
        seen = observe(fapar, clearness, self.chance("satellite"))
        daily = fill_daily(seen, len(self.days))
        names = (*WEATHER, "tair_night")
        writer = create_region(
            self.folder / "region.zarr", grid,
            RegionMaps(land.plant_type, land.soil_capacity, cell, land.zone, land.zone_names, daily=dict.fromkeys(self._indices, SEEN_AS)),
            RegionWeather(self.days[self.stored], {name: weather[name][self.stored] for name in names}, climatology, utc_offset=1),
            warm_up=self.mapped.start - self.stored.start, title="the twin's plateau", overwrite=True,
            attribution=["synthetic data of the hybridflux twin (CC0-1.0)"],
        )  # fmt: skip
        daily = daily[self.stored]
        writer.write_all(daily, **{name: compute(name, reflectance_of(daily)) for name in self._indices})
