"""Totals of tiles: added up block by block, saved, and put together, a group of cells at a time, so that memory does not grow with them.

A cell is a zone and a plant type. A parcel lies in a few tiles, and there may be 1e5 of them: 1e5 x 12 months x 100 draws x 2 fluxes are
1.9 GB. Sums over cells stay in the files of the tiles until their group is asked for. Each cell is summed over its tiles in the order of
their names: the same to the last bit whoever ran them, and for any size of the groups.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridflux.files import whole

FIELD = "structural_field"
"""Name under which a tile keeps what the structural error of its cells is made of."""
OUTSIDE = "outside_applicability"
"""Name under which a tile keeps the area of its cells outside the area of applicability, m2."""
OF_PIXELS = ("pixel", "plant_type", "area")
"""What the file of a tile says of the pixels that an output keeps, after its name."""
GROUP_BYTES = 12 << 20  # of sums in memory at once; what is made of it takes a few times that
_KINDS = 256  # plant types, at most
_KIND, _PLACE = "plant_type_", "place_"  # before the name of an output, in the file of a tile


@dataclass(frozen=True)
class Block:
    """Pixels of a block, all of one plant type.

    Attributes:
        plant_type: of the block.
        zone: of the pixels `[n]`.
        area: m2, 0 for pixels that do not count `[n]`.
        pixel_area: m2 of a pixel of the grid, by which weights of pixels are 1 on the mean.
        places: name of an output -> number that all these pixels have in it (`Output.places`).
        pixel: number of each in its tile; -1 for those that do not count `[n]`.
    """

    plant_type: int
    zone: np.ndarray
    area: np.ndarray
    pixel_area: float
    places: Mapping[str, int] = field(default_factory=dict)
    pixel: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    @cached_property
    def weights(self) -> tuple[list[int], np.ndarray]:
        """Zones, and the area of each pixel in each of them `[n, zone]`."""
        zones, which = np.unique(self.zone, return_inverse=True)
        weights = np.zeros((len(self.zone), len(zones)))
        weights[np.arange(len(self.zone)), which] = self.area
        return zones.tolist(), weights

    def cells(self) -> list[tuple[int, tuple[int, int], float]]:
        """Position among the zones, cell and area of each cell that has some."""
        zones, weights = self.weights
        sizes = enumerate(zip(zones, weights.sum(0).tolist(), strict=True))
        return [(number, (zone, self.plant_type), size) for number, (zone, size) in sizes if size]


@dataclass
class TileTotals:
    """What the outputs sum over the cells and the plant types of a tile, float64.

    All tiles use the same draws, so totals add up draw by draw; a spread is computed last, of the sum.

    Attributes:
        area: (zone, plant type) -> m2.
        of_cells: name of an output -> (zone, plant type) -> sums `[month, quantity, draw]`; `FIELD` -> those of
            `FieldBasis.sums`; `OUTSIDE` -> m2.
        of_plant_types: name of an output -> plant type -> sums of days `[day, quantity, draw]`.
        of_places: name of an output -> place -> sums of days `[day, quantity, draw]`.
        area_of_places: name of an output -> place -> m2.
        of_pixels: name of an output -> parts of pixels: number in the tile, plant type, area [m2], sums `[pixel, month, quantity, draw]`.
        share_outside: share of the mapped days of each pixel of the tile outside the area of applicability, kept with `of_pixels`, float32
            `[pixel of the tile]`; None where the posterior does not know it.
    """

    area: dict[tuple[int, int], float] = field(default_factory=dict)
    of_cells: dict[str, dict[tuple[int, int], np.ndarray]] = field(default_factory=dict)
    of_plant_types: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    of_places: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    area_of_places: dict[str, dict[int, float]] = field(default_factory=dict)
    of_pixels: dict[str, list[tuple[np.ndarray, ...]]] = field(default_factory=dict)
    share_outside: np.ndarray | None = None

    def add_area(self, block: Block) -> None:
        """Add the area of a block; once for all outputs."""
        for _, cell, size in block.cells():
            self.area[cell] = self.area.get(cell, 0.0) + size

    def add_to_cells(self, name: str, values: Sequence[np.ndarray], block: Block) -> None:
        """Add area times value of each pixel to the cells of a block.

        Args:
            name: of the output.
            values: of each quantity `[month, draw, pixel]`, float32.
            block: of pixels.
        """
        (months, draws, pixels), (zones, weights) = values[0].shape, block.weights
        sums, room = np.empty((months, len(values), draws, len(zones))), np.empty((draws, pixels))
        for month in range(months):
            for number, one in enumerate(values):
                np.copyto(room, one[month])  # a month at a time stays in the cache
                np.matmul(room, weights, out=sums[month, number])
        found = self.of_cells.setdefault(name, {})
        for number, cell, _ in block.cells():
            if cell in found:
                found[cell] += sums[..., number]
            else:
                found[cell] = sums[..., number].copy()  # the block it is part of is not kept

    def add_to_plant_type(self, name: str, values: np.ndarray, block: Block) -> None:
        """Add sums over the pixels of a block `[day, quantity, draw]` to those of its plant type."""
        found = self.of_plant_types.setdefault(name, {})
        found[block.plant_type] = found.get(block.plant_type, 0.0) + values.astype(np.float64)

    def add_to_place(self, name: str, place: int, values: np.ndarray, block: Block) -> None:
        """Add sums over the pixels of a block `[day, quantity, draw]` to those of a place."""
        found, area = self.of_places.setdefault(name, {}), self.area_of_places.setdefault(name, {})
        found[place] = found.get(place, 0.0) + values.astype(np.float64)
        area[place] = area.get(place, 0.0) + float(block.area.sum())

    def add_pixels(self, name: str, values: Sequence[np.ndarray], block: Block) -> None:
        """Keep the values `[month, draw, pixel]` of each quantity of the pixels of a block."""
        real = block.pixel >= 0
        sums = np.stack([one[..., real] for one in values], axis=1).transpose(3, 0, 1, 2)
        kind = np.full(len(sums), block.plant_type, np.int16)
        self.of_pixels.setdefault(name, []).append((block.pixel[real], kind, block.area[real], sums))

    def save(self, path: Path) -> list[Path]:
        """Write `path` as `.npz` and, for each output, its sums of cells or places as `.npy` beside it, in rising order.

        Returns:
            The files, each whole or not at all.
        """
        cells, series, written = sorted(self.area), {}, [path]
        for name, found in self.of_cells.items():
            written.append(_sums_of_cells(path, name))
            with whole(written[-1]) as partial, open(partial, "wb") as file:
                np.save(file, np.array([found[cell] for cell in cells], np.float64))
        for name, sums in self.of_places.items():
            places = sorted(sums)
            written.append(_sums_of_cells(path, name))
            with whole(written[-1]) as partial, open(partial, "wb") as file:
                np.save(file, np.array([sums[place] for place in places], np.float64))
            series[_PLACE + name] = np.array(places, np.int64)
            series[f"area_{name}"] = np.array([self.area_of_places[name][place] for place in places], np.float64)
        for name, parts in self.of_pixels.items():
            written.append(_sums_of_cells(path, name))
            *about, sums = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(about[0])
            with whole(written[-1]) as partial, open(partial, "wb") as file:
                np.save(file, sums[order])
            series |= {f"{name}_{what}": one[order] for what, one in zip(OF_PIXELS, about, strict=True)}
            if self.share_outside is not None:
                series[f"{name}_{OUTSIDE}"] = self.share_outside[about[0][order]]
        for name, of_kinds in self.of_plant_types.items():
            series[_KIND + name] = np.array(sorted(of_kinds), np.int64)
            series[f"series_{name}"] = np.array([of_kinds[kind] for kind in sorted(of_kinds)], np.float64)
        zone, kind = (np.array([cell[axis] for cell in cells], np.int64) for axis in (0, 1))
        with whole(path) as partial:
            np.savez(partial, zone=zone, plant_type=kind, area=np.array([self.area[cell] for cell in cells], np.float64), **series)
        return written


class TileShare(NamedTuple):
    """The part of a tile.

    Attributes:
        path: file of the tile (`TileTotals.save`).
        cell: number of each of its cells among those of the region, rising `[cell of the tile]`.
    """

    path: Path
    cell: np.ndarray


class KeptPixels(NamedTuple):
    """Pixels of a tile that an output keeps.

    Attributes:
        pixel: number of each in its tile, rising `[pixel]`.
        plant_type: of each.
        area: m2.
        sums: `[pixel, month, quantity, draw]`, float32, on disk.
        outside: share of the mapped days outside the area of applicability `[pixel]`; None where the run did not keep it.
    """

    pixel: np.ndarray
    plant_type: np.ndarray
    area: np.ndarray
    sums: np.ndarray
    outside: np.ndarray | None = None

    @classmethod
    def of(cls, path: Path, name: str) -> KeptPixels | None:
        """Those of a tile, by its file; None where it has no pixel inside.

        Raises:
            ValueError: a file is missing or damaged.
        """
        with _named(path), open(path, "rb") as raw, np.load(raw) as file:
            if f"{name}_pixel" not in file.files:
                return None
            about = [file[f"{name}_{what}"] for what in OF_PIXELS]
            outside = file[f"{name}_{OUTSIDE}"] if f"{name}_{OUTSIDE}" in file.files else None
        sums = _sums_of_cells(path, name)
        with _named(sums):
            return cls(*about, np.load(sums, mmap_mode="r"), outside)


@dataclass(frozen=True)
class PlacesOfOutput:
    """The places of an output over all tiles; their sums are read when they are asked for.

    Attributes:
        name: of the output.
        place: rising `[place]`.
        area: m2 `[place]`.
        shares: of the tiles, in the order of their names.
    """

    name: str
    place: np.ndarray
    area: np.ndarray
    shares: tuple[TileShare, ...]

    @classmethod
    def of(cls, name: str, found: Sequence[tuple[Path, np.ndarray, np.ndarray]]) -> PlacesOfOutput:
        """Of the file, the places and the areas of each tile."""
        places = np.unique(np.concatenate([place for _, place, _ in found] or [np.empty(0, np.int64)]))
        area, shares = np.zeros(len(places)), []
        for path, place, part in found:
            here = np.searchsorted(places, place).astype(np.int32)
            area[here] += part
            shares.append(TileShare(path, here))
        return cls(name, places, area, tuple(shares))

    def groups(self, shape: tuple[int, ...], most: int = GROUP_BYTES) -> Iterator[tuple[slice, np.ndarray]]:
        """As `Merged.groups`: places and their sums `[place, day, quantity, draw]`."""
        step = max(most // (8 * int(np.prod(shape))), 1)
        for start in range(0, len(self.area), step):
            here = slice(start, min(start + step, len(self.area)))
            yield here, self.sums(here, shape)

    def sums(self, here: slice, shape: tuple[int, ...]) -> np.ndarray:
        """Sums of some places `[place, ...]`, each of a shape."""
        sums = np.zeros((here.stop - here.start, *shape))
        for share in self.shares:
            first, last = np.searchsorted(share.cell, [here.start, here.stop])
            if first < last:
                path = _sums_of_cells(share.path, self.name)
                with _named(path):
                    sums[share.cell[first:last] - here.start] += np.load(path, mmap_mode="r")[first:last]
        return sums


@dataclass(frozen=True)
class Merged:
    """The totals of a region; the sums of its cells are read when they are asked for.

    Attributes:
        zone: of each cell, rising `[cell]`.
        plant_type: of each cell, rising within a zone `[cell]`.
        area: m2 `[cell]`.
        of_plant_types: name of an output -> plant type, rising -> sums of days `[day, quantity, draw]`.
        shares: of the tiles, in the order of their names.
        places: name of an output -> its places.
    """

    zone: np.ndarray
    plant_type: np.ndarray
    area: np.ndarray
    of_plant_types: dict[str, dict[int, np.ndarray]]
    shares: tuple[TileShare, ...]
    places: dict[str, PlacesOfOutput]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Merged:
        """Look through the files of all tiles, in any order.

        Raises:
            ValueError: one is missing or damaged.
        """
        found, of_kinds, of_places = [], {}, {}
        for path in sorted(paths):
            with _named(path), open(path, "rb") as raw, np.load(raw) as file:
                found.append((path, file["zone"] * _KINDS + file["plant_type"], file["area"]))
                for name in (one.removeprefix(_PLACE) for one in file.files if one.startswith(_PLACE)):
                    of_places.setdefault(name, []).append((path, file[_PLACE + name], file[f"area_{name}"]))
                for name in (one.removeprefix(_KIND) for one in file.files if one.startswith(_KIND)):
                    here = of_kinds.setdefault(name, {})
                    for kind, values in zip(file[_KIND + name].tolist(), file[f"series_{name}"], strict=True):
                        here[kind] = here[kind] + values if kind in here else values
        cells = PlacesOfOutput.of("", found)
        of_kinds = {name: dict(sorted(here.items())) for name, here in of_kinds.items()}
        places = {name: PlacesOfOutput.of(name, one) for name, one in of_places.items()}
        return cls(cells.place // _KINDS, cells.place % _KINDS, cells.area, of_kinds, cells.shares, places)

    def groups(self, name: str, shape: tuple[int, ...], most: int = GROUP_BYTES) -> Iterator[tuple[slice, np.ndarray]]:
        """Cells and their sums `[cell, month, quantity, draw]`, group by group.

        Args:
            name: of the output.
            shape: of the sums of one cell, (months, quantities, draws).
            most: bytes of sums in a group, one cell at least.

        Raises:
            ValueError: a file of a tile is missing or damaged.
        """
        return self.cells(name).groups(shape, most)

    def cells(self, name: str) -> PlacesOfOutput:
        """The cells as the places of what is summed over them under a name."""
        return PlacesOfOutput(name, self.zone, self.area, self.shares)


def _sums_of_cells(path: Path, name: str) -> Path:
    """File of the sums that an output makes of the cells of a tile, `[cell, month, quantity, draw]`; `path` is the file of the tile."""
    return path.with_suffix(f".{name}.npy")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file that is read inside is said with its name and the cure."""
    try:
        yield
    except (zipfile.BadZipFile, OSError, KeyError, EOFError, ValueError, IndexError, RuntimeError) as error:
        run, marker = path.parent.parent, f"tiles/{path.name.partition('.')[0]}.json"
        cure = f"remove {run / marker} and go on with `hybridflux map --run {run}`"
        raise ValueError(f"the totals of a tile, {path}, are lost or damaged ({error}); {cure}") from error
