"""Checksums of what was written: of every chunk of a region store, of the chunks and totals of a tile, of the files of a finished run.

The arrays carry `crc32c` (a codec of Zarr 3), which sees a flipped bit whoever wrote the chunk, but not that two whole chunks were
exchanged, one was put in from elsewhere or is gone. The record beside an array binds each chunk to its place. It is no part of the
array: a library that saves the store again leaves it behind, and such a store opens as before.

A chunk that is younger than its record was changed by a program on purpose or by accident: it is reported, and counts for the fingerprint
of a run. One that is not younger, and differs, was damaged or exchanged: it is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from pathlib import Path

import google_crc32c
import numpy as np
import zarr

from hybridflux.records import read_record
from hybridflux.region.store import blocks, layout

RECORD = "checksums.txt"
"""File beside the metadata of an array: a line `key size digest` for each chunk, the last line of a chunk counts."""
PIECE = 1 << 20  # bytes of a file that are read at once
CRC_32, SHA_256 = 8, 32  # digits of digests that stores of earlier versions hold
METADATA = "zarr.json"
"""Key of the metadata of an array in its record: types, codecs and attributes such as `scale_factor`."""
OF_GROUP, KEEPER = "../zarr.json", "time"
"""Key of the metadata of the whole store, and the array whose record holds it: zarr takes no foreign file beside the arrays of a group."""
GONE = ""  # digest of a chunk that is not there: it holds nothing but the fill value
SHOWN = 8  # chunks named in a message


def digest(file: Path, like: str = "") -> str:
    """The CRC-32C (RFC 3720) of a file without its last four bytes, and those bytes, hexadecimal; empty where it is not there.

    A chunk ends with its own crc32c, so this is known when it is written. Other content has the same one by a chance of 2^-32 (of a chunk
    that is whole in itself), 2^-64 else. A CRC-32C of the whole file would be the same for every such chunk.

    Args:
        file: path of the file.
        like: a recorded digest to compare with, of which the same kind is made: stores of earlier versions hold the CRC-32 (IEEE 802.3) of
            the file, or the first 32 digits of its SHA-256.
    """
    try:
        with open(file, "rb", buffering=0) as stream:
            if len(like) == SHA_256:
                return hashlib.file_digest(stream, "sha256").hexdigest()[:SHA_256]
            if len(like) == CRC_32:
                return f"{reduce(lambda crc, piece: zlib.crc32(piece, crc), iter(partial(stream.read, PIECE), b''), 0):08x}"
            crc, left = 0, max(os.fstat(stream.fileno()).st_size - blocks.SEAL, 0)
            while left and (piece := stream.read(min(PIECE, left))):
                crc, left = google_crc32c.extend(crc, piece), left - len(piece)
            return sealed(crc, stream.read())
    except FileNotFoundError:
        return GONE


def digest_of(content: np.ndarray | None, like: str = "") -> str:
    """`digest` of a file whose bytes were read; None where it is not there."""
    if content is None:
        return GONE
    if len(like) == SHA_256:
        return hashlib.sha256(content).hexdigest()[:SHA_256]
    if len(like) == CRC_32:
        return f"{zlib.crc32(content):08x}"
    whole = max(content.size - blocks.SEAL, 0)
    return sealed(google_crc32c.value(content[:whole]), content[whole:].tobytes())


def sealed(crc: int, last: bytes) -> str:
    """The digest of a file, of the CRC-32C of all but its last four bytes, and of these."""
    return f"{crc:08x}{last.hex()}"


def record(array: Path, keys: Iterable[str]) -> None:
    """Note the chunks of an array as they are on the disk.

    Args:
        array: folder of the array.
        keys: of its chunks, `c/0/1/0`; one that is not there is left out.
    """
    lines = []
    for key in keys:
        if (array / key).exists():
            lines.append(f"\n{key} {(array / key).stat().st_size} {digest(array / key)}\n")  # a line that was cut short stays alone
    with open(array / RECORD, "a", encoding="ascii") as file:
        file.write("".join(lines))


def record_all(path: Path, array: zarr.Array) -> None:
    """Note all chunks and the metadata of an array in the folder `path` anew."""
    (path / RECORD).unlink(missing_ok=True)
    record(path, [*keys_of(array), METADATA])


def seal(region: Path) -> None:
    """Consolidate the metadata of a region store and note what of them is new, of arrays that carry a record."""
    layout.consolidate(region)
    for folder in sorted(file.parent for file in region.glob(f"*/{RECORD}")):
        kept = Recorded.of(folder)
        record(folder, [key for key in _metadata_of(folder) if key not in kept.chunks or kept.changed(key)])


def accept(region: str | Path) -> None:
    """Note all chunks and metadata of a region store anew: it was changed on purpose, by hand or with another program."""
    for name, array in sorted(zarr.open_group(region, mode="r", use_consolidated=False).arrays()):
        record_all(Path(region) / name, array)
    seal(Path(region))


def _metadata_of(folder: Path) -> tuple[str, ...]:
    return (METADATA, OF_GROUP) if folder.name == KEEPER else (METADATA,)


def damaged_metadata(path: Path) -> Iterator[str]:
    """One line for each file of metadata of a region store that no program wrote anew and that is not what was written."""
    for folder in sorted(file.parent for file in path.glob(f"*/{RECORD}")):
        kept = Recorded.of(folder)
        for key in _metadata_of(folder):
            if (fault := kept.fault(key)) and not kept.younger(key):
                yield f"`{_named(folder, key)}` {fault}: attributes or types differ; restore it from a copy, or make the store again"


def _named(folder: Path, key: str) -> str:
    return METADATA if key == OF_GROUP else f"{folder.name}/{key}"


def keys_of(array: zarr.Array, window: tuple[slice, ...] | None = None) -> Iterator[str]:
    """Keys of the chunks of an array, or of those that a window of its last dimensions touches."""
    free = array.ndim - len(window or ())
    of_axis = [range(-(-size // length)) for size, length in zip(array.shape, array.chunks, strict=True)]
    for axis, part in enumerate(window or (), free):
        of_axis[axis] = range(part.start // array.chunks[axis], -(-part.stop // array.chunks[axis]))
    yield from (array.metadata.encode_chunk_key(chunk) for chunk in product(*of_axis))


@dataclass(frozen=True)
class Recorded:
    """What is recorded of the chunks of an array.

    Attributes:
        folder: of the array.
        chunks: key -> (size, digest).
        time: when the record was written last [ns].
    """

    folder: Path
    chunks: dict[str, tuple[int, str]]
    time: int

    @classmethod
    def of(cls, folder: Path) -> Recorded | None:
        """The record of an array, or None where there is none."""
        file, chunks = folder / RECORD, {}
        if not file.exists():
            return None
        for line in file.read_text(encoding="ascii", errors="replace").splitlines():
            words = line.split()
            if len(words) == 3 and words[1].isdigit():
                chunks[words[0]] = (int(words[1]), words[2])
        return cls(folder, chunks, file.stat().st_mtime_ns)

    def as_recorded(self, key: str) -> bool:
        """Whether size and time of a chunk say that it was not touched since; no byte of it is read."""
        try:
            found = (self.folder / key).stat()
        except FileNotFoundError:
            return key not in self.chunks
        return key in self.chunks and found.st_size == self.chunks[key][0] and found.st_mtime_ns <= self.time

    def younger(self, key: str) -> bool:
        """Whether a chunk was written after its record."""
        return (self.folder / key).exists() and (self.folder / key).stat().st_mtime_ns > self.time

    def changed(self, key: str) -> bool:
        """Whether a chunk differs from its record; all its bytes are read."""
        return key in self.chunks and digest(self.folder / key, self.chunks[key][1]) != self.chunks[key][1]

    def fault(self, key: str) -> str:
        """What is wrong with a chunk that cannot be what was written there; empty where nothing is, or a program wrote it anew."""
        return self._fault(key, digest(self.folder / key, self.chunks[key][1])) if key in self.chunks else ""

    def fault_of(self, key: str, content: np.ndarray | None) -> str:
        """`fault` of a chunk whose bytes were read; None where it is not there."""
        return self._fault(key, digest_of(content, self.chunks[key][1])) if key in self.chunks else ""

    def _fault(self, key: str, found: str) -> str:
        if found == self.chunks[key][1]:
            return ""
        if found == GONE:
            return "missing"
        other = next((name for name, (_, one) in self.chunks.items() if one == found), None)
        if other is not None:
            return f"holds the chunk {other}"
        return "" if self.younger(key) else "is not what was written there"

    def fingerprint(self, array: zarr.Array) -> list[tuple[str, str]]:
        """Key and digest of each chunk: the recorded one where it was not touched since, or is broken and waits for its repair."""
        found = []
        for chunk in np.ndindex(*(-(-size // length) for size, length in zip(array.shape, array.chunks, strict=True))):
            key = array.metadata.encode_chunk_key(chunk)
            as_before = key in self.chunks and (self.as_recorded(key) or not _can_be_read(array, chunk))
            found.append((key, self.chunks[key][1] if as_before else digest(self.folder / key, self.chunks.get(key, (0, ""))[1])))
        return found


def edited(path: Path, group: zarr.Group) -> list[str]:
    """What of a store was written whole after its record and differs from it: chunks `fapar c/0/0/1`, metadata `fapar/zarr.json`."""
    found = []
    for folder in sorted(file.parent for file in path.glob(f"*/{RECORD}")):
        kept = Recorded.of(folder)
        found += [_named(folder, key) for key in _metadata_of(folder) if kept.younger(key) and kept.changed(key)]
    for name, array in sorted(group.arrays()):
        kept = Recorded.of(path / name)
        if kept is not None:
            for chunk in np.ndindex(*(-(-size // length) for size, length in zip(array.shape, array.chunks, strict=True))):
                key = array.metadata.encode_chunk_key(chunk)
                if not kept.as_recorded(key) and kept.younger(key) and kept.changed(key) and _can_be_read(array, chunk):
                    found.append(f"{name} {key}")
    return found


def _can_be_read(array: zarr.Array, chunk: tuple[int, ...]) -> bool:
    """Whether a chunk is whole by its own crc32c; one that is not is refused where it is read."""
    try:
        blocks.read_chunk(array, chunk)
    except blocks.READ_ERRORS:
        return False
    return True


def say(path: Path, group: zarr.Group) -> str:
    """What the checksums of a store say, one line; `edited` is the part a run warns of."""
    without = [name for name, array in sorted(group.arrays()) if array.ndim and not (path / name / RECORD).exists()]
    found = edited(path, group)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return (
            f"changed after it was written: {', '.join(found[:SHOWN])}{more}; where that was not you, restore it from a copy or build it "
            f"again; where it was, `hybridflux.region.store.checksums.accept` notes it"
        )
    if without:
        return f"carries no checksums of {', '.join(without[:SHOWN])}{' ...' if len(without) > SHOWN else ''}"
    return "every chunk and the metadata are recorded; nothing was written since"


def of_files(out: Path, names: Iterable[str]) -> dict[str, str]:
    """Digests of files of a run folder by name; empty for a chunk that is not there, because it holds nothing but the fill value."""
    return {name: digest(out / name) for name in names}


def faults_of_tile(out: Path, marker: Mapping) -> list[str]:
    """What of a tile is not as its marker says, `monthly/NEE missing`; empty for markers that carry no checksums.

    Args:
        out: run folder.
        marker: of the tile, as `TileReport` writes it.
    """
    found = []
    for name, wanted in marker.get("checksums", {}).items():
        file = out / name
        now = digest(file, wanted)
        if now != wanted:
            short = name.removeprefix("fluxes.zarr/").partition("/c/")[0]
            found.append(f"{short} {'missing' if now == GONE else 'not what was written' if wanted else 'not empty as it was'}")
    return found


def damaged_tiles(out: Path, tiles: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Tile -> what of it is not as it was written, of the tiles of a run folder that are marked done."""
    found = {}
    markers = sorted((out / "tiles").glob("*.json")) if tiles is None else [out / "tiles" / f"{tile}.json" for tile in tiles]
    for marker in markers:
        try:
            faults = faults_of_tile(out, json.loads(marker.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError):  # a marker that is not whole does not count: its tile is mapped again
            continue
        if faults:
            found[marker.stem] = faults
    return found


def list_of(damaged: Mapping[str, list[str]]) -> str:
    """Tiles and what of them, for a message."""
    lines = []
    for tile, faults in damaged.items():
        lines.append(f"{tile} ({', '.join(faults[:2])}{f' and {len(faults) - 2} more' if len(faults) > 2 else ''})")
    return ", ".join(lines[:SHOWN]) + (f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")


def of_folder(store: Path) -> dict[str, str]:
    """Digest of every file of a store as it is: its metadata and coordinates, before any map is written."""
    return {file.relative_to(store).as_posix(): digest(file) for file in sorted(store.rglob("*")) if file.is_file()}


def check_template(out: Path, record: Mapping) -> None:
    """Look whether metadata and coordinates of the maps of a run are as they were written.

    Raises:
        ValueError: a file is damaged or gone, by name.
    """
    store = out / "fluxes.zarr"
    lost = [name for name, one in (record.get("template") or {}).items() if digest(store / name, one) != one]
    if lost:
        raise ValueError(
            f"{store / lost[0]} is damaged or gone{f', and {len(lost) - 1} more' if len(lost) > 1 else ''}: the maps cannot be "
            "read rightly without it; restore it from a copy, or map into another folder"
        )


def check_maps(out: Path) -> None:
    """Look whether the maps of a run are what its tiles wrote, their metadata too.

    Raises:
        ValueError: a chunk is damaged, missing or another one's, by name.
    """
    if (out / "run.json").exists():
        check_template(out, read_record(out / "run.json", "written by `hybridflux map`; map again into another folder"))
    damaged = damaged_tiles(out)
    if damaged:
        raise ValueError(
            f"{out}: {len(damaged)} tiles are not what the run wrote: {list_of(damaged)}; `hybridflux map --run {out}` maps them again"
        )


def check_file(run: Path, name: str, record: Mapping) -> None:
    """Look whether a file of a finished run is the one that it wrote; runs of earlier versions carry no checksums.

    Args:
        run: its folder.
        name: of the file.
        record: what `run.json` holds.

    Raises:
        ValueError: it is another one.
    """
    wanted = (record.get("checksums") or {}).get(name)
    if wanted and digest(run / name, wanted) != wanted:
        raise ValueError(
            f"{run / name} is not the file that the run wrote: damaged or exchanged; `hybridflux map --run {run}` writes it again"
        )


def check_product(path: Path) -> None:
    """Look whether a region store, or the files of a finished run or scenario, or one of these files, are what was written.

    Warns of what of a region a program wrote since.

    Raises:
        ValueError: a file is damaged, changed or gone, by name.
    """
    lost = [*damaged_metadata(path)] if path.is_dir() else []
    if lost:
        raise ValueError(f"{path}: {'; '.join(lost[:SHOWN])}")
    if any(path.glob(f"*/{RECORD}")) and edited(path, group := zarr.open_group(path, mode="r", use_consolidated=False)):
        warnings.warn(f"{path} was {say(path, group)}", stacklevel=2)
    for folder, name in product(path.absolute().parents[:2] if path.is_file() else (path,), ("run.json", "scenario.json")):
        if (folder / name).exists():
            kept = read_record(folder / name, "written by `hybridflux map` or `hybridflux scenario`; run it again").get("checksums") or {}
            asked = {one: digest(folder / one, kept[one]) for one in kept if path.absolute() in (folder.absolute(), folder / one)}
            lost = [one for one, found in asked.items() if found != kept[one]]
            if lost:
                cure = f"`hybridflux map --run {folder}`" if name == "run.json" else "`hybridflux scenario` with --resume"
                raise ValueError(
                    f"{folder}: {', '.join(lost[:SHOWN])}{' and more' if len(lost) > SHOWN else ''} are not the files that were written: "
                    f"damaged, changed or gone; {cure} writes them again"
                )
