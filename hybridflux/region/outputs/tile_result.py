"""What the slabs of a tile give, put together: maps in the order of the pixels, totals per draw.

A slab gives its maps block by block; they are kept as the devices made them and put in order one map at a time, when it is written, so
that no tile needs the room of its maps twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import jax
import numpy as np

from hybridflux.region.drivers.dissimilarity import Dissimilarity
from hybridflux.region.drivers.map_periods import mapped_days
from hybridflux.region.drivers.read import TileDrivers
from hybridflux.region.kernels.contract import Result
from hybridflux.region.kernels.pixel_blocks import Slab
from hybridflux.region.outputs.base import arrays_of
from hybridflux.region.outputs.flux_store import packed
from hybridflux.region.outputs.merge_totals import Block, TileTotals
from hybridflux.region.spec import Job
from hybridflux.region.store import layout


class NotANumber(ValueError):
    """A flux that is no number, though all its drivers are."""


@dataclass
class TileResult:
    """Maps and totals of a tile.

    Attributes:
        job: the run.
        size: pixels of the tile, masked ones too.
        totals: what outputs sum over pixels.
        maps: (group, name) -> parts `[block, period, n]`, int16.
        place: of each slot of the parts in the tile, -1 where it repeats another pixel.
        whole: (group, name) -> maps `[period, pixel of the tile]` that no kernel makes, int16.
        applicability: how unlike the days of the fit the pixels of the tile are; None where the posterior does not remember these.
    """

    job: Job
    size: int
    totals: TileTotals = field(default_factory=TileTotals)
    maps: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)
    place: list[np.ndarray] = field(default_factory=list)
    whole: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    applicability: Dissimilarity | None = None

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
        calendar = self.job.calendar
        for output in self.job.keep:
            for spec in (one for one in output.arrays(calendar) if one.key in part.kept[output.name]):
                values = part.kept[output.name][spec.key]
                over = mapped_days(calendar, spec.group)[None, :, None] if spec.per_day else 1.0
                whole = values if values.dtype == np.int16 else packed(values / over, spec.scale)
                self.maps.setdefault((spec.group, spec.name), []).append(whole)
        self.place.append(np.where(real, drivers.pixel[pixel], -1))
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
        self.whole[group, name] = np.full((len(values), self.size), layout.NODATA, np.int16)
        self.whole[group, name][:, pixel] = packed(values, spec.scale)

    def in_order(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Group, name and values `[period, pixel of the tile]` of each map, int16; a map is gone when the next one is asked for."""
        place = np.concatenate([part.reshape(-1) for part in self.place]) if self.place else np.zeros(0, int)
        slot = np.full(self.size, len(place))  # behind the last one: no value
        kept = np.flatnonzero(place >= 0)
        slot[place[kept]] = kept
        for group, specs in arrays_of(self.job.keep, self.job.calendar).items():
            periods = len(mapped_days(self.job.calendar, group))
            for name in (spec.name for spec in specs):
                if (group, name) in self.whole:
                    yield group, name, self.whole.pop((group, name))
                    continue
                slots = np.empty((periods, len(place) + 1), np.int16)
                slots[:, -1] = layout.NODATA
                first = 0
                for part in self.maps.pop((group, name), []):
                    width = part.shape[0] * part.shape[2]
                    slots[:, first : first + width] = np.moveaxis(part, 0, 1).reshape(periods, width)
                    first += width
                yield group, name, slots.take(slot, axis=1)


def _by_device(result: Result) -> Iterator[Result]:
    """The share of each device, as NumPy arrays that look at the memory of the device where that is possible."""
    arrays, structure = jax.tree.flatten(result)
    shards = [sorted(array.addressable_shards, key=lambda one: one.index[0].start or 0) for array in arrays]
    for number in range(len(shards[0])):
        yield jax.tree.unflatten(structure, [np.asarray(one[number].data) for one in shards])
