"""The made-up region of E11: 1e5 parcels on a grid of 1e8 pixels, a few tiles of which have vegetation."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.region.store import layout
from hybridflux.region.store.create import RegionMaps, RegionWeather, RegionWriter, create_region
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.vocabulary import PLANT_TYPES

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from bench_map_throughput import made_up_weather, season_of  # noqa: E402

TILE, PARCEL, CELL, PATCH = 256, 31, 2500, 64  # pixels along a side of a tile, a parcel, a weather cell, a patch of one plant type
PIXEL = 10.0  # m
WEST, NORTH = 600_000.0, 6_900_000.0
KINDS = np.array([PLANT_TYPES.index(code) for code in ("CRO", "CRO", "GRA", "DBF", "ENF")] + [layout.OUTSIDE])
FIRST = np.datetime64("2017-01-01")


@dataclass(frozen=True)
class Size:
    """How large.

    Attributes:
        pixels: along a side.
        active: tiles with vegetation.
        draws: of the posterior.
        days: mapped; behind as many days of a lead, and of a spin-up over these.
    """

    pixels: int = 10_000
    active: int = 40
    draws: int = 100
    days: int = 365

    @property
    def grid(self) -> Grid:
        """Of the whole region."""
        return Grid("EPSG:2154", WEST, NORTH, PIXEL, (self.pixels, self.pixels), TILE)

    def tiles(self) -> list[Tile]:
        """Those with vegetation: at random places, each fourth beside the one before, so that parcels lie across their edge."""
        grid, columns = self.grid, -(-self.pixels // TILE)
        whole = {tile.id: tile for tile in grid.tiles() if tile.shape == (TILE, TILE)}
        chosen: dict[str, Tile] = {}
        for number in np.random.default_rng(1).permutation(columns**2):
            row, column = divmod(int(number), columns)
            for name in [f"r{row:03d}_c{column:03d}", f"r{row:03d}_c{column + 1:03d}"][: 2 if len(chosen) % 4 == 2 else 1]:
                if name in whole and len(chosen) < self.active:
                    chosen[name] = whole[name]
        return [chosen[name] for name in sorted(chosen)]


def plant_type(tile: Tile) -> np.ndarray:
    """Patches of plant types, one in six of them outside `[y, x]`."""
    rows, columns = (np.arange(part.start, part.stop) // PATCH for part in (tile.y, tile.x))
    return KINDS[(7 * rows[:, None] ** 2 + 3 * columns[None, :] + rows[:, None] * columns[None, :]) % len(KINDS)]


def parcel(tile: Tile, pixels: int) -> np.ndarray:
    """Number of the parcel `[y, x]`, from 1."""
    rows, columns = (np.arange(part.start, part.stop) // PARCEL for part in (tile.y, tile.x))
    return (1 + rows[:, None] * -(-pixels // PARCEL) + columns[None, :]).astype(np.int32)


def vegetation(tile: Tile, days: int) -> np.ndarray:
    """The fapar of a tile `[time, y, x]`."""
    rows, columns = (np.arange(part.start, part.stop, dtype=np.float32) for part in (tile.y, tile.x))
    place = 0.08 * np.sin(rows[:, None] / 7) * np.cos(columns[None, :] / 11)
    return 0.5 + 0.3 * season_of(days)[:, :, None] + place[None].astype(np.float32)


def make_region(path: Path, size: Size, active: set[str], alone: Tile | None = None) -> RegionWriter:
    """The whole region with vegetation in some tiles, or one tile of it as a region of its own, without its fapar."""
    at, grid, across = alone or Tile("", slice(0, 0), slice(0, 0)), size.grid, -(-size.pixels // CELL)
    if alone:
        grid = Grid(grid.crs, WEST + PIXEL * alone.x.start, NORTH - PIXEL * alone.y.start, PIXEL, alone.shape, TILE)

    def moved(tile: Tile) -> Tile:
        """A tile of this grid on that of the whole region."""
        y, x = (slice(part.start + start, part.stop + start) for part, start in ((tile.y, at.y.start), (tile.x, at.x.start)))
        return Tile(tile.id, y, x)

    def kinds(tile: Tile) -> np.ndarray:
        return plant_type(moved(tile)) if alone or tile.id in active else np.full(tile.shape, layout.OUTSIDE)

    def cell(tile: Tile) -> np.ndarray:
        rows, columns = (np.arange(part.start, part.stop) // CELL for part in (moved(tile).y, moved(tile).x))
        return rows[:, None] * across + columns[None, :]

    def soil(tile: Tile) -> np.ndarray:
        return 130.0 + 40.0 * np.sin(np.arange(moved(tile).y.start, moved(tile).y.stop) / 97.0)[:, None] + np.zeros(tile.shape)

    return create_region(
        path, grid, RegionMaps(kinds, soil, cell, lambda tile: parcel(moved(tile), size.pixels)),
        RegionWeather(FIRST + np.arange(2 * size.days), made_up_weather(2 * size.days, across**2)), warm_up=size.days,
    )  # fmt: skip
