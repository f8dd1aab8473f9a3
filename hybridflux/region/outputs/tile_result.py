"""What the slabs of a tile give, put together: maps in the order of the pixels, totals per draw.

A slab gives its maps block by block; they are kept as the devices made them and put in order one map at a time, when it is written, so
that no tile needs the room of its maps twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hybridflux.region.drivers.map_periods import mapped_days
from hybridflux.region.drivers.open import TileDrivers
from hybridflux.region.kernels.cpu import FLUXES, Result
from hybridflux.region.kernels.pixel_blocks import Slab
from hybridflux.region.outputs.flux_store import packed, scale_of, statistics
from hybridflux.region.outputs.zone_totals import Totals
from hybridflux.region.spec import Job
from hybridflux.region.store import layout


class NotANumber(ValueError):
    """A flux that is no number, though all its drivers are."""


@dataclass
class Collected:
    """Maps and totals of a tile.

    Attributes:
        job: the run.
        size: pixels of the tile, masked ones too.
        totals: per zone, plant type, month and draw.
        maps: (group, name) -> parts `[block, period, n]`, int16.
        place: of each slot of the parts in the tile, -1 where it repeats another pixel.
    """

    job: Job
    size: int
    totals: Totals = field(default_factory=Totals)
    maps: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)
    place: list[np.ndarray] = field(default_factory=list)

    def add(self, drivers: TileDrivers, slab: Slab, result: Result) -> None:
        """Add a slab; waits until the devices are done with it.

        Raises:
            NotANumber: a flux is not finite.
        """
        blocks = 0
        for part in _by_device(result):
            mine = slice(blocks, blocks + len(part.gpp))
            blocks = mine.stop
            active = int(slab.active[mine].sum())  # what only fills up a slab is behind the rest
            if active:
                self._add(drivers, slab.pixel[mine][:active], slab.real[mine][:active], Result(*(_first(one, active) for one in part)))

    def _add(self, drivers: TileDrivers, pixel: np.ndarray, real: np.ndarray, part: Result) -> None:
        if not np.isfinite(np.moveaxis(part.annual[0], 0, 1)[:, real]).all():
            raise NotANumber(f"the fluxes of tile {drivers.tile.id} are not all numbers, though its drivers are; look at the posterior")
        levels = self.job.levels_of_groups()
        for group, found in (("daily", part.maps), ("monthly", part.monthly), ("annual", part.annual)):
            if group not in levels:
                continue
            over = mapped_days(self.job.calendar, group)[None, :, None] if group == "monthly" else 1.0
            names = [flux + ending for flux in FLUXES for ending in statistics(levels[group])]
            for name, values in zip(names, found, strict=True):
                whole = values if group == "daily" else packed(values / over, scale_of(group))
                self.maps.setdefault((group, name), []).append(whole)
        self.place.append(np.where(real, drivers.pixel[pixel], -1))
        for number, (which, kept) in enumerate(zip(pixel, real, strict=True)):
            kind = int(drivers.plant_type[which[0]])
            area = np.where(kept, drivers.area[which], 0.0)
            self.totals.add_block(part.gpp[number], part.reco[number], kind, drivers.zone[which], area)
            series = np.stack([flux[number] for flux in part.series], 1)
            self.totals.add_series(series * self.job.region.grid.pixel**2, kind)

    def in_order(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Group, name and values `[period, pixel of the tile]` of each map, int16; a map is gone when the next one is asked for."""
        place = np.concatenate([part.reshape(-1) for part in self.place]) if self.place else np.zeros(0, int)
        slot = np.full(self.size, len(place))  # behind the last one: no value
        kept = np.flatnonzero(place >= 0)
        slot[place[kept]] = kept
        for group, levels in self.job.levels_of_groups().items():
            periods = len(mapped_days(self.job.calendar, group))
            for name in (flux + ending for flux in FLUXES for ending in statistics(levels)):
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
    fields = [[one] if not isinstance(one, tuple) else one for one in result]
    shards = [[sorted(array.addressable_shards, key=lambda one: one.index[0].start or 0) for array in arrays] for arrays in fields]
    for number in range(len(shards[0][0])):
        parts = [tuple(np.asarray(array[number].data) for array in arrays) for arrays in shards]
        yield Result(*(part if isinstance(one, tuple) else part[0] for part, one in zip(parts, result, strict=True)))


def _first(found, count: int):
    """The first blocks of an array, or of each of several."""
    return tuple(one[:count] for one in found) if isinstance(found, tuple) else found[:count]
