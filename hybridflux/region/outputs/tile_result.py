"""What the slabs of a tile give, put together: maps in the order of the pixels, totals per draw.

A slab gives its maps block by block; they are kept as the devices made them and put in order one map at a time, when it is written, so
that no tile needs the room of its maps twice. Where a chunk of the store holds some rows of a tile, these are written as soon as their
last block is there, so that a large tile needs the room of a part of its maps only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import jax
import numpy as np

from hybridflux.region.drivers.dissimilarity import Dissimilarity
from hybridflux.region.drivers.map_periods import mapped_days
from hybridflux.region.drivers.read import TileDrivers
from hybridflux.region.kernels.contract import LIMIT, Result
from hybridflux.region.kernels.pixel_blocks import Slab
from hybridflux.region.outputs.base import GROUPS, ArraySpec
from hybridflux.region.outputs.flux_store import packed
from hybridflux.region.outputs.merge_totals import Block, TileTotals
from hybridflux.region.spec import Job
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile

PERIODS_AT_ONCE = 32
"""Days of a map that are put in order together: they stay in the cache."""


class NotANumber(ValueError):
    """A flux that is no number, though all its drivers are."""


class Part(NamedTuple):
    """Maps of one group of the store on some blocks.

    Attributes:
        place: of each slot in the tile, -1 where it repeats another pixel `[slot]`.
        maps: name -> `[block, period, n]`, int16.
    """

    place: np.ndarray
    maps: dict[str, np.ndarray]


class Rows(NamedTuple):
    """A map on some rows of a tile.

    Attributes:
        group: of the store.
        names: in the group, of maps that all have these values.
        rows: of the tile.
        values: `[period, pixel of the rows]`, int16; the memory of the next map of the group, too.
    """

    group: str
    names: tuple[str, ...]
    rows: slice
    values: np.ndarray


@dataclass
class TileResult:
    """Maps and totals of a tile.

    Attributes:
        job: the run.
        tile: of the grid.
        height: group of the store -> rows that are written together; all rows of the tile where it is not named.
        totals: what outputs sum over pixels.
        parts: group of the store -> its maps on the blocks that are there and not all written.
        begun: group of the store -> first row that is not written.
        whole: (group, name) -> maps `[period, pixel of the tile]` that no kernel makes, int16.
        clipped: array of the store, `group/name` -> values that it cannot hold, and that are stored as the largest that it can.
        applicability: how unlike the days of the fit the pixels of the tile are; None where the posterior does not remember these.
    """

    job: Job
    tile: Tile
    height: Mapping[str, int] = field(default_factory=dict)
    totals: TileTotals = field(default_factory=TileTotals)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)
    whole: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    clipped: Counter[str] = field(default_factory=Counter)
    applicability: Dissimilarity | None = None

    @cached_property
    def _made(self) -> dict[str, list[tuple[ArraySpec, str, tuple[str, ...]]]]:
        """Group of the store -> arrays, the output of each, and names of all arrays with the same values.

        Quantiles of a single draw are its mean, and its standard deviations all the same: they are put in order and compressed once.
        """
        found: dict[str, list[tuple[ArraySpec, str, tuple[str, ...]]]] = {}
        sds: dict[str, list[tuple[ArraySpec, str]]] = {}
        for spec, output in ((spec, kept.name) for kept in self.job.keep for spec in kept.arrays(self.job.calendar)):
            made = found.setdefault(spec.group, [])
            if self.job.draws == 1 and spec.is_sd:
                sds.setdefault(spec.group, []).append((spec, output))
            elif self.job.draws == 1 and spec.is_quantile:
                mean, of, names = made[-1]
                made[-1] = mean, of, (*names, spec.name)
            else:
                made.append((spec, output, (spec.name,)))
        for group, of_group in sds.items():
            found[group].append((*of_group[0], tuple(spec.name for spec, _ in of_group)))
        return found

    def add(self, drivers: TileDrivers, slab: Slab, result: Result) -> None:
        """Add a slab; waits until the devices are done with it.

        Raises:
            NotANumber: a flux is not finite.
        """
        blocks = 0
        for part in _by_device(result):
            mine = slice(blocks, blocks + len(part.sound))
            blocks = mine.stop
            active = int(slab.active[mine].sum())  # what only fills up a slab is behind the rest
            if active:
                part = jax.tree.map(lambda values: values[:active], part)  # noqa: B023
                self._add(drivers, slab.pixel[mine][:active], slab.real[mine][:active], part)

    def _add(self, drivers: TileDrivers, pixel: np.ndarray, real: np.ndarray, part: Result) -> None:
        if not part.sound[real].all():
            raise NotANumber(f"the fluxes of tile {drivers.tile.id} are not all numbers, though its drivers are; look at the posterior")
        found = {}
        for group, specs in self._made.items():
            days = mapped_days(self.job.calendar, group)[None, :, None]
            for spec, output in ((made, output) for made, output, _ in specs if made.key in part.kept[output]):
                values = part.kept[output][spec.key]
                whole = values if values.dtype == np.int16 else packed(values, spec.scale, days if spec.per_day else 1.0)
                found.setdefault(group, {})[spec.name] = whole
                self._count_clipped(spec, whole, real[:, None])
        place = np.where(real, drivers.pixel[pixel], -1).reshape(-1)
        for group, maps in found.items():
            self.parts.setdefault(group, []).append(Part(place, maps))
        for number, (which, kept) in enumerate(zip(pixel, real, strict=True)):
            kind, area = int(drivers.plant_type[which[0]]), np.where(kept, drivers.area[which], 0.0)
            places = {name: int(where[which[0]]) for name, where in drivers.places.items()}
            at = np.where(kept, drivers.pixel[which], -1)
            block = Block(kind, drivers.zone[which], area, self.job.region.grid.pixel**2, places, at)
            self.totals.add_area(block)
            for output in self.job.keep:
                output.tile(self.totals, {name: values[number] for name, values in part.kept[output.name].items()}, block)

    def add_map(self, key: str, values: np.ndarray, pixel: np.ndarray) -> None:
        """Add a map that is not made by the kernel.

        Args:
            key: `group/name`.
            values: `[period, pixel]`.
            pixel: number of each in the tile.
        """
        group, name = key.split("/")
        spec = next(one for output in self.job.keep for one in output.arrays(self.job.calendar) if one.key == key)
        self.whole[group, name] = np.full((len(values), int(np.prod(self.tile.shape))), layout.NODATA, np.int16)
        stored = packed(values, spec.scale)
        self._count_clipped(spec, stored)
        self.whole[group, name][:, pixel] = stored

    def _count_clipped(self, spec: ArraySpec, stored: np.ndarray, real: np.ndarray | bool = True) -> None:
        """Count the values of a map that lie at the end of its integers, which none does that fits."""
        if max(int(stored.max()), -int(stored.min())) >= LIMIT:  # without an array as large as the map
            self.clipped[spec.key] += int(((np.abs(stored) == LIMIT) & real).sum())

    def ready(self, row: int) -> Iterator[Rows]:
        """What can be written when no further slab has a pixel above a row of the tile; a map is gone when the next one is asked for."""
        height = self.tile.shape[0]
        for group in (group for group in GROUPS if group in self._made):
            step = min(self.height.get(group, height), height)
            while (first := self.begun.get(group, 0)) < height and row >= (stop := min(first + step, height)):
                yield from self._rows(group, slice(first, stop))
                left = stop * self.tile.shape[1]
                self.begun[group], self.parts[group] = stop, [part for part in self.parts.get(group, ()) if part.place.max() >= left]
        for group, name in list(self.whole) if row >= height else ():
            yield Rows(group, (name,), slice(0, height), self.whole.pop((group, name)))

    def _rows(self, group: str, rows: slice) -> Iterator[Rows]:
        """Maps of a group on some rows of the tile."""
        first, stop = rows.start * self.tile.shape[1], rows.stop * self.tile.shape[1]
        parts = [part for part in self.parts.get(group, ()) if ((part.place >= first) & (part.place < stop)).any()]
        place = np.concatenate([part.place for part in parts]) if parts else np.zeros(0, int)
        slot = np.full(stop - first, len(place))  # behind the last one: no value
        kept = np.flatnonzero((place >= first) & (place < stop))
        slot[place[kept] - first] = kept
        periods = len(mapped_days(self.job.calendar, group))
        slots = np.empty((min(periods, PERIODS_AT_ONCE), len(place) + 1), np.int16)
        slots[:, -1] = layout.NODATA
        values = np.empty((periods, stop - first), np.int16)  # of one map after the other: new memory costs as much as the copy
        for spec, _, names in (made for made in self._made[group] if (group, made[0].name) not in self.whole):
            if spec.is_sd and self.job.draws == 1:
                zeros = np.where(slot < len(place), np.int16(0), np.int16(layout.NODATA))
                yield Rows(group, names, rows, np.broadcast_to(zeros, (periods, stop - first)))
                continue
            name = spec.name
            maps = [part.maps.pop(name) if rows.stop == self.tile.shape[0] else part.maps[name] for part in parts]
            blocks = [block for found in maps for block in found]
            for start in range(0, periods, PERIODS_AT_ONCE):
                some, begun = values[start : start + PERIODS_AT_ONCE], 0
                for block in blocks:
                    slots[: len(some), begun : begun + block.shape[1]] = block[start : start + len(some)]
                    begun += block.shape[1]
                np.take(slots[: len(some)], slot, axis=1, out=some, mode="clip")  # `clip` writes into `out` without a buffer
            del maps, blocks
            yield Rows(group, names, rows, values)


def _by_device(result: Result) -> Iterator[Result]:
    """The share of each device, as NumPy arrays that look at the memory of the device where that is possible."""
    arrays, structure = jax.tree.flatten(result)
    shards = [sorted(array.addressable_shards, key=lambda one: one.index[0].start or 0) for array in arrays]
    for number in range(len(shards[0])):
        yield jax.tree.unflatten(structure, [np.asarray(one[number].data) for one in shards])
