"""What an HDF5 file may refer to: nothing but itself.

HDF5, and netCDF-4 with it, can take a group or a variable from another file, its values from raw bytes of any file, or from parts of other
files. A file from somewhere else could so show the content of any file of the user as soil moisture, in a product that is then shared.
"""

from __future__ import annotations

import os
from pathlib import Path

from hybridflux.limits import AXIS, METADATA, Refused, shown

_HEAP = b"GCOL\x01\0\0\0"  # signature, version 1, reserved
_SELF = "."  # name of the own file among the sources of a virtual variable


def refuse_links(file, name: str, source=None) -> None:
    """Check every group and variable of an open HDF5 file, without following links or reading values.

    Args:
        file: an open `h5py.File`.
        name: of the file, for messages.
        source: the open file of bytes that it is read from; none where it is read from its path.

    Raises:
        OSError: damaged.
        Refused: a link into another file, values kept in another file or put together from others, or an axis longer than the limit.
    """
    _check_heaps(file, name, source)
    try:
        _walk(file, name)
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise OSError(f"{name} is damaged HDF5 ({shown(error)})") from error


def _check_heaps(file, name: str, source=None) -> None:
    """Refuse damage over which the HDF5 library runs forever: free space of no size in a heap of texts (`H5HG__cache_heap_deserialize`).

    Looked at are files up to the limit of metadata; format: "HDF5 File Format Specification", III.E, global heap.
    """
    if source is None:
        source = Path(os.fsdecode(file.filename))
    if isinstance(source, Path):
        if not source.is_file() or source.stat().st_size > METADATA.value:
            return
        content = source.read_bytes()
    else:
        place = source.tell()
        if source.seek(0, os.SEEK_END) > METADATA.value:
            source.seek(place)
            return
        source.seek(0)
        content = source.read()
        source.seek(place)
    at = content.find(_HEAP)
    while at >= 0:
        size, place = int.from_bytes(content[at + 8 : at + 16], "little"), at + 16
        while size <= len(content) and place + 16 <= at + size:
            index, length = int.from_bytes(content[place : place + 2], "little"), int.from_bytes(content[place + 8 : place + 16], "little")
            step = length if index == 0 else 16 + (length + 7) // 8 * 8
            if step < 8 or place + step > at + size:
                raise OSError(f"{name} is damaged HDF5 (a heap of texts at byte {at} has an object of {length} bytes at byte {place})")
            place += step
        at = content.find(_HEAP, at + 4)


def _walk(file, name: str) -> None:
    waiting, groups = [("", file)], {file.id}
    while waiting:
        path, group = waiting.pop()
        for key in group:
            where = f"{path}/{key}"
            try:
                link = group.get(key, getlink=True)
            except TypeError as error:
                raise Refused(f"{name}: {shown(where)} is a link of another kind ({error}); {_CURE}") from error
            kind = type(link).__name__
            if kind == "ExternalLink":
                raise Refused(f"{name}: {shown(where)} is a link into the file {shown(link.filename)}; {_CURE}")
            if kind != "HardLink":  # a soft link leads to a place in this file that is checked there
                continue
            found = group[key]
            if hasattr(found, "keys"):
                if found.id not in groups:  # groups may hold each other
                    groups.add(found.id)
                    waiting.append((where, found))
            elif hasattr(found, "shape"):
                _check_values(found, f"{name}: {shown(where)}")


_CURE = "files that take values from other files are not read: copy it into one file (`h5repack`, `nccopy`, or xarray)"


def _check_values(variable, where: str) -> None:
    if variable.external:
        raise Refused(f"{where} keeps its values in the file {shown(variable.external[0][0])}; {_CURE}")
    if variable.is_virtual:
        others = sorted({source.file_name for source in variable.virtual_sources()} - {_SELF})
        if others:
            raise Refused(f"{where} is put together from the file {shown(others[0])}; {_CURE}")
    for length in variable.shape or ():
        AXIS.check(length, where)
