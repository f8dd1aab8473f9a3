"""Blocks of arrays, straight from their files into the memory that holds them.

zarr reads from any kind of store by tasks of an event loop, a thread and a copy for each chunk, which takes half as long again as the
bytes themselves. Here a chunk is read once, compared with its record, checked by its crc32c, and decoded where it is wanted. Arrays that
are not in local files, or have other codecs than `layout.codecs` and parts of them, are read by zarr.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec
from zarr.storage import LocalStore

READ_ERRORS = (RuntimeError, ValueError, OSError, EOFError, zlib.error)
"""What is raised for a chunk that is damaged, by zarr and its codecs too."""
SEAL = 4  # bytes of crc32c
HEADER = 16  # bytes of blosc: those of the values are in 4 to 7, those of the compressed chunk in 12 to 15


class NotAsWritten(ValueError):
    """A chunk that is not what its record says."""


class _Form(NamedTuple):
    """How the chunks of an array are written.

    Attributes:
        compressed: by blosc.
        sealed: ends with its crc32c.
    """

    compressed: bool
    sealed: bool


def read(
    array: zarr.Array, window: tuple[slice, ...] = (), fault: Callable[[str, np.ndarray | None], str] | None = None
) -> np.ndarray:
    """A window of an array; a chunk that is not there reads as the fill value.

    Args:
        array: opened.
        window: along the first axes, without steps; all of the others.
        fault: given the key of a chunk and the bytes of its file, None where there is none, what is wrong with it; empty where nothing is.

    Raises:
        NotAsWritten: `fault` says so.
        READ_ERRORS: a chunk cannot be read.
    """
    window = (*window, *(slice(None),) * (array.ndim - len(window)))
    bounds = [part.indices(size)[:2] for part, size in zip(window, array.shape, strict=True)]
    form = _form(array)
    if form is None:
        for key, _ in _touched(array, bounds) if fault is not None else ():
            _refuse(fault, key, content(_folder(array) / key))
        return array.get_basic_selection(tuple(slice(*ends) for ends in bounds))
    return _read(array, bounds, form, fault)


def read_chunk(array: zarr.Array, chunk: tuple[int, ...]) -> np.ndarray:
    """A whole chunk, as far as it lies in the array; raises as `read`."""
    return read(array, tuple(slice(at * length, (at + 1) * length) for at, length in zip(chunk, array.chunks, strict=True)))


def content(file: Path) -> np.ndarray | None:
    """The bytes of a file; None where it is not there."""
    try:
        return np.fromfile(file, np.uint8)
    except FileNotFoundError:
        return None


def _read(array: zarr.Array, bounds: list[tuple[int, int]], form: _Form, fault: Callable | None) -> np.ndarray:
    out = np.empty([stop - start for start, stop in bounds], array.dtype)
    whole = None  # memory of a chunk of which a part is wanted
    for key, place in _touched(array, bounds):
        file = content(_folder(array) / key)
        _refuse(fault, key, file)
        wanted, inside = [], []  # the same part, as places in the window and in the chunk
        for (start, stop), at, length in zip(bounds, place, array.chunks, strict=True):
            low, high = max(start, at * length), min(stop, (at + 1) * length)
            wanted.append(slice(low - start, high - start))
            inside.append(slice(low - at * length, high - at * length))
        part = out[tuple(wanted)]
        if file is None:
            part[...] = array.fill_value
        elif part.shape == array.chunks and part.flags.c_contiguous:
            _decode(file, form, part, key)
        else:
            whole = np.empty(array.chunks, array.dtype) if whole is None else whole
            _decode(file, form, whole, key)
            part[...] = whole[tuple(inside)]
    return out


def _refuse(fault: Callable | None, key: str, file: np.ndarray | None) -> None:
    said = fault(key, file) if fault is not None else ""
    if said:
        raise NotAsWritten(f"{said} (chunk {key})")


def _decode(file: np.ndarray, form: _Form, out: np.ndarray, key: str) -> None:
    """Decode the bytes of a chunk into memory of its size.

    Raises:
        ValueError: they are cut short, or not what was written.
        RuntimeError: blosc cannot decode them.
    """
    if form.sealed:
        file, seal = file[:-SEAL], file[-SEAL:]
        if google_crc32c.value(file).to_bytes(SEAL, "little") != seal.tobytes():
            raise ValueError(f"chunk {key} does not agree with its checksum")
    if not form.compressed:
        if file.size != out.nbytes:
            raise ValueError(f"chunk {key} has {file.size} bytes in place of {out.nbytes}")
        out.reshape(-1)[...] = file.view(out.dtype)
        return
    size, stored = struct.unpack_from("<4xI4xI", file) if file.size >= HEADER else (0, 0)
    if size != out.nbytes or stored != file.size:
        raise ValueError(f"chunk {key} is cut short, or no chunk of this array")
    blosc.decompress(file, out)


def _form(array: zarr.Array) -> _Form | None:
    """None of an array that zarr must read."""
    if not isinstance(array.store, LocalStore) or array.metadata.zarr_format != 3 or array.dtype.kind not in "iuf":
        return None
    first, *others = array.metadata.codecs
    if not isinstance(first, BytesCodec) or not array.dtype.isnative:
        return None
    if first.to_dict().get("configuration", {}).get("endian", sys.byteorder) != sys.byteorder:
        return None
    kinds = [type(codec) for codec in others]
    form = _Form(BloscCodec in kinds, Crc32cCodec in kinds)
    return form if kinds == [BloscCodec] * form.compressed + [Crc32cCodec] * form.sealed else None


def _folder(array: zarr.Array) -> Path:
    return array.store.root / array.path


def _touched(array: zarr.Array, bounds: list[tuple[int, int]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Key and place of each chunk that a window touches."""
    axes = (range(start // length, -(-stop // length)) for (start, stop), length in zip(bounds, array.chunks, strict=True))
    return ((array.metadata.encode_chunk_key(place), place) for place in product(*axes))
