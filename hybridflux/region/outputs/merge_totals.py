"""The totals of all tiles put together, a group of cells at a time: memory does not grow with the zones or the tiles.

A parcel lies in a few tiles, and there may be 1e5 of them: 1e5 x 12 months x 100 draws x 2 fluxes are 1.9 GB. Carbon stays in the
files of the tiles until its group is asked for. Each cell is summed over its tiles in the order of their names: the same to the last
bit whoever ran them, and for any size of the groups.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GROUP_BYTES = 16 << 20  # of carbon in memory at once; what is made of it takes a few times that
_KINDS = 256  # plant types, at most


@dataclass(frozen=True)
class Share:
    """The part of a tile: where its carbon lies in its file.

    Attributes:
        path: file of the tile (`zone_totals.Totals.save`).
        start: first byte of the carbon of its first cell.
        cell: number of each of its cells among those of the region, rising `[cell of the tile]`.
    """

    path: Path
    start: int
    cell: np.ndarray

    def carbon(self, first: int, end: int, shape: tuple[int, ...]) -> np.ndarray:
        """Carbon of some cells of the tile `[cell, *shape]`."""
        size = int(np.prod(shape))
        values = np.fromfile(self.path, np.float64, (end - first) * size, offset=self.start + 8 * first * size)
        return values.reshape(end - first, *shape)


@dataclass(frozen=True)
class Merged:
    """The totals of a region; the carbon of its cells is read when it is asked for.

    Attributes:
        zone: of each cell, rising `[cell]`.
        plant_type: of each cell, rising within a zone `[cell]`.
        area: m2 `[cell]`.
        series: plant type -> sums of daily fluxes `[day, (gpp, reco), draw]`, gC d-1.
        shares: of the tiles, in the order of their names.
    """

    zone: np.ndarray
    plant_type: np.ndarray
    area: np.ndarray
    series: dict[int, np.ndarray]
    shares: tuple[Share, ...]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Merged:
        """Look through the files of all tiles, in any order.

        Raises:
            ValueError: one is missing or damaged.
        """
        found, series = [], {}
        for path in sorted(paths):
            start = _carbon_of(path)
            with np.load(path) as file:
                found.append((path, start, file["zone"] * _KINDS + file["plant_type"], file["area"]))
                for kind, values in zip(file["series_plant_type"].tolist(), file["series"], strict=True):
                    series[kind] = series[kind] + values if kind in series else values
        keys = np.unique(np.concatenate([key for *_, key, _ in found] or [np.empty(0, np.int64)]))
        area, shares = np.zeros(len(keys)), []
        for path, start, key, part in found:
            cell = np.searchsorted(keys, key).astype(np.int32)
            area[cell] += part
            shares.append(Share(path, start, cell))
        return cls(keys // _KINDS, keys % _KINDS, area, dict(sorted(series.items())), tuple(shares))

    def groups(self, shape: tuple[int, ...], most: int = GROUP_BYTES) -> Iterator[tuple[slice, np.ndarray]]:
        """Cells and their carbon `[cell, month, (gpp, reco), draw]`, gC, group by group.

        Args:
            shape: of the carbon of one cell, (months, 2, draws).
            most: bytes of carbon in a group, one cell at least.
        """
        step = max(most // (8 * int(np.prod(shape))), 1)
        for start in range(0, len(self.area), step):
            end = min(start + step, len(self.area))
            carbon = np.zeros((end - start, *shape))
            for share in self.shares:
                first, last = np.searchsorted(share.cell, [start, end])
                if first < last:
                    carbon[share.cell[first:last] - start] += share.carbon(first, last, shape)
            yield slice(start, end), carbon


def _carbon_of(path: Path) -> int:
    """Where the carbon of the first cell lies in the file of a tile; the file is read once to see that it is whole.

    Members of a `.npz` are not compressed: a local header of 30 bytes, the name, an extra field, then the `.npy` (APPNOTE 4.3.7).
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged, member = file.testzip(), file.getinfo("carbon.npy")
            with file.open(member) as stream:
                np.lib.format.read_magic(stream)
                np.lib.format.read_array_header_1_0(stream)
                header = stream.tell()
    except (zipfile.BadZipFile, OSError, KeyError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        damaged = error
    if damaged:
        marker = path.parent.parent / "tiles" / f"{path.stem}.json"
        raise ValueError(f"the totals of a tile, {path}, are lost or damaged ({damaged}); remove {marker} and go on with --resume")
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        name, extra = struct.unpack("<26xHH", file.read(30))
    return member.header_offset + 30 + name + extra + header
