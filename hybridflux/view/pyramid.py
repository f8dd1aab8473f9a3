"""Maps as a pyramid of tiles that are read where somebody looks: overviews are made on demand, in bounded memory, and kept on the disk.

A level halves the pixels of the one below. A block is a tile of some frames: chunks of the store hold all months, or a year of days, so
that frames beside each other cost little more than one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numcodecs import Blosc

from hybridflux.files import whole
from hybridflux.machine import cores

SIDE = 256
"""Rows and columns of a tile."""
FRAMES = 32
"""Frames of a block, at most."""
MEMORY = 192 << 20  # bytes of blocks that are kept, of all maps together
_CODEC = Blosc(cname="zstd", clevel=1, shuffle=Blosc.BITSHUFFLE)
Read = Callable[[slice, slice, slice], np.ndarray]
"""Values `[frame, y, x]` of some frames, rows and columns."""


@dataclass(frozen=True)
class MapSource:
    """An array of maps.

    Attributes:
        name: of the array, `monthly/NEE`.
        shape: frames, rows, columns.
        missing: value where there is none.
        read: its values.
        linear: whether overviews are means of what is known; else they are single pixels: the mean of standard deviations, or of the
            numbers of zones, means nothing.
        made: overviews that exist already, such as those of a GeoTIFF: values of a level, or None where it has not got it.
    """

    name: str
    shape: tuple[int, int, int]
    missing: int
    read: Read
    linear: bool = True
    made: Callable[[int, slice, slice, slice], np.ndarray | None] | None = None

    @property
    def levels(self) -> int:
        """How many there are: the coarsest one fits into a tile.

        >>> MapSource("", (1, 256, 100), 0, None).levels, MapSource("", (1, 10_000, 10_000), 0, None).levels
        (1, 7)
        """
        return 1 + max(int(np.ceil(np.log2(max(self.shape[1:]) / SIDE))), 0)


@dataclass
class BlockMemory:
    """The latest blocks, those that were not used for longest go first.

    Attributes:
        most: bytes.
    """

    most: int = MEMORY
    _kept: OrderedDict = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    bytes: int = 0

    def get(self, key: tuple) -> np.ndarray | None:
        """A block, if it is still there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple, block: np.ndarray) -> None:
        """Keep a block."""
        with self._lock:
            old = self._kept.pop(key, None)
            self._kept[key] = block
            self.bytes += block.nbytes - (0 if old is None else old.nbytes)
            while self.bytes > self.most and len(self._kept) > 1:
                self.bytes -= self._kept.popitem(last=False)[1].nbytes


@dataclass(frozen=True)
class Pyramid:
    """The tiles of a map at every level.

    Attributes:
        source: the map.
        memory: of blocks, shared by all maps.
        folder: of overviews on the disk; None where nothing may be written.
    """

    source: MapSource
    memory: BlockMemory
    folder: Path | None = None

    def tile(self, frame: int, level: int, row: int, column: int) -> np.ndarray:
        """A tile `[y, x]` of `SIDE` x `SIDE`, filled up with `missing` beyond the map.

        Raises:
            IndexError: there is no such frame, level or tile.
        """
        frames, height, width = self.source.shape
        reach = SIDE << level
        if not (0 <= frame < frames and 0 <= level < self.source.levels and 0 <= row * reach < height and 0 <= column * reach < width):
            raise IndexError(f"{self.source.name} has no tile {level}/{row}/{column} of frame {frame}")
        place = level, row, column, frame // FRAMES
        found = self._ready(*place)
        if found is None:
            with _WORKING:
                found = self.block(*place)
        return found[frame % FRAMES]

    def block(self, level: int, row: int, column: int, number: int) -> np.ndarray:
        """Some frames of a tile `[frame, y, x]`."""
        found = self._ready(level, row, column, number)
        return self._reduced(level, row, column, number) if found is None else found

    def _ready(self, level: int, row: int, column: int, number: int) -> np.ndarray | None:
        """A block that is only to be read: it is in memory, of full resolution, or an overview that exists; else None."""
        key = (self.source.name, self.folder, level, row, column, number)
        found = self.memory.get(key)
        if found is not None:
            return found
        frames = self._frames(number)
        window = frames, _part(row, self.source.shape[1], level), _part(column, self.source.shape[2], level)
        if level == 0:
            found = self._padded(self.source.read(*window))
        elif self.source.made and (made := self.source.made(level, *window)) is not None:
            found = self._padded(made)
        elif self.folder is not None:
            found = _read(self._kept(level, row, column, number), (frames.stop - frames.start, SIDE, SIDE), self._type)
        if found is not None:
            self.memory.put(key, found)
        return found

    def _frames(self, number: int) -> slice:
        return slice(number * FRAMES, min((number + 1) * FRAMES, self.source.shape[0]))

    def _kept(self, level: int, row: int, column: int, number: int) -> Path:
        """The file of an overview."""
        return self.folder / self.source.name / str(level) / f"{row}_{column}_{number}.blosc"

    def _reduced(self, level: int, row: int, column: int, number: int) -> np.ndarray:
        """A block made of the four below it, one after the other, and kept."""
        frames = self._frames(number)
        block = np.full((frames.stop - frames.start, SIDE, SIDE), self.source.missing, self._type)
        half, reach = SIDE // 2, SIDE << (level - 1)
        for below in range(2):
            for right in range(2):
                y, x = 2 * row + below, 2 * column + right
                if y * reach < self.source.shape[1] and x * reach < self.source.shape[2]:
                    part = self.block(level - 1, y, x, number)
                    corner = slice(below * half, (below + 1) * half), slice(right * half, (right + 1) * half)
                    block[:, *corner] = halved(part, self.source.missing) if self.source.linear else part[:, ::2, ::2]
        self.memory.put((self.source.name, self.folder, level, row, column, number), block)
        try:
            if self.folder is not None:
                with whole(self._kept(level, row, column, number)) as partial:
                    partial.write_bytes(_CODEC.encode(block))
        except OSError:  # a full disk ends the keeping, not the looking
            pass
        return block

    def _padded(self, values: np.ndarray) -> np.ndarray:
        whole_tile = np.full((len(values), SIDE, SIDE), self.source.missing, self._type)
        whole_tile[:, : values.shape[1], : values.shape[2]] = values
        return whole_tile

    @property
    def _type(self) -> type:
        return np.int16 if self.source.missing < 0 else np.int32


_WORKING = threading.BoundedSemaphore(max(cores(), 2))
"""As many overviews are made at once as there are cores; what is only read does not wait for them."""


def halved(values: np.ndarray, missing: int) -> np.ndarray:
    """The mean of what is known in each square of four pixels `[frame, y, x]`, as integers of the same type.

    >>> halved(np.array([[[1, 3, -9, -9], [5, -9, -9, -9]]]), -9).tolist()
    [[[3, -9]]]
    """
    total = np.zeros((len(values), values.shape[1] // 2, values.shape[2] // 2), np.int32)
    count = np.zeros(total.shape, np.int8)
    for below in range(2):
        for right in range(2):
            part = values[:, below::2, right::2]
            known = part != missing
            total += np.where(known, part, 0)
            count += known
    mean = np.rint(total / np.maximum(count, 1))
    return np.where(count > 0, mean, missing).astype(values.dtype)


def _part(number: int, size: int, level: int) -> slice:
    """Rows, or columns, of a tile in its level."""
    return slice(number * SIDE, min((number + 1) * SIDE, -(-size // (1 << level))))


def _read(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray | None:
    """A block from the disk; None where it is not there, or not whole."""
    try:
        return np.frombuffer(_CODEC.decode(path.read_bytes()), kind).reshape(shape)
    except (OSError, ValueError, RuntimeError):
        return None
