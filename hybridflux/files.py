"""Files: outputs are checked before any work begins and are complete or absent afterwards; what is read is refused with a cure."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridflux.ours import DESCRIBED_BY, is_ours

PARTIAL = ".part"
"""Suffix of a folder that holds a file while it is written; nothing complete carries it, and what a killed process left is never read."""

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Errors of a full disk, a quota, a file system that is read only, a limit on the size of a file (`ulimit -f`)."""


def check_output(path: str | Path, *, overwrite: bool = False, room: int = 0) -> Path:
    """Refuse an output file that cannot be written, or that would replace what hybridflux did not write, so that nothing is lost.

    Args:
        path: the file that will be written later; missing parent folders will be made then.
        overwrite: whether a file of that name may be replaced, if hybridflux wrote it (`ours.is_ours`).
        room: bytes that it may need, if its work cannot be gone on with.

    Returns:
        The path.

    Raises:
        ValueError: a file of that name exists and `overwrite` is false, or it is not ours; or the name is that of a folder or holds a line
            break, or the folder cannot be written, or has not so much room.
    """
    path = _check_name(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a device, not a file; name a file")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; name another file, or replace it with --overwrite (overwrite=True)")
    if path.exists() and not is_ours(path):
        raise ValueError(f"{path} was not written by hybridflux, so --overwrite does not replace it; name another file, or remove it")
    described = path.with_name(path.name + DESCRIBED_BY)
    if path.suffix.lower() == ".csv" and described.exists() and not is_ours(described):
        raise ValueError(f"{described}, where the description of {path.name} goes, was not written by hybridflux; name another file")
    folder = _first_there(path)
    _check_writable(path, folder)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if 0 <= limit < room:
        raise ValueError(f"{path} may need {room >> 20} MB, and files of this session may have {limit >> 10} kB; raise this (ulimit -f)")
    if (free := shutil.disk_usage(folder).free) < room:
        raise ValueError(f"{path} may need {room >> 20} MB, and {folder} has {free >> 10} kB left; make room, or name another place")
    return path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Write a file, or a folder such as a Zarr store, so that it is either complete or absent, whatever happens in between.

    Two processes that write the same file do not disturb each other: the last one to end has it.

    Args:
        path: the file to write; parent folders are made. A file of that name is replaced at the end.

    Yields:
        The path to write to: the same name in a folder of its own (`PARTIAL`) beside it, which may hold scratch files too. When the block
        ends without an error its content is flushed to the disk and takes the name `path`; the folder is removed in any case.

    Raises:
        OSError: of the disk (`OF_THE_DISK`), with the name of the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{path.name[:40]}.", suffix=PARTIAL, dir=path.parent))
    partial = folder / path.name
    try:
        yield partial
        if partial.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, *within: str) -> None:
    """Remove what killed processes left half written; nothing reads it.

    Args:
        folder: of a run or a build that this process holds.
        within: names of folders and Zarr stores in it: in all, what `whole` left, and in stores the chunks that zarr left.
    """
    for one in (folder, *(folder / name for name in within)):
        for path in [*one.glob(f"*{PARTIAL}"), *(one.rglob("*.partial") if one.suffix == ".zarr" else ())]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


class Enduring:
    """An open file that takes every byte, and keeps an error of the disk until it is asked for.

    HDF5 ends the process, by an abort or a segmentation fault, where a file cannot be closed because the disk is full (h5py and HDF5 1.14).
    """

    def __init__(self, file):
        self._file, self.error = file, None

    def __reduce__(self):
        """Travels as its name: where a client of dask is open, xarray asks the cluster for a lock that is named after this object."""
        return str, (str(self._file.name),)

    def write(self, data) -> int:
        """Write; after an error nothing more is written, and the place moves on as if it were."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest) and self.error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.error = error
        self._file.seek(len(rest), os.SEEK_CUR)
        return size

    def readinto(self, data) -> int:
        """Read; zeros where nothing was written."""
        room = memoryview(data).cast("B")
        found = self._file.readinto(room)
        room[found:] = bytes(len(room) - found)
        return len(room)

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """Read bytes."""
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """The place."""
        return self._file.tell()

    def flush(self) -> None:
        """Nothing waits here."""


@contextmanager
def whole_stream(path: str | Path) -> Iterator[Enduring]:
    """As `whole`, for a library that cannot bear a full disk, HDF5 and so netCDF: gives it an open file instead of a path.

    Raises:
        OSError: of the disk, at the end of the block.
    """
    with whole(path) as partial, open(partial, "w+b", buffering=0) as file:
        stream = Enduring(file)
        try:
            yield stream
        except Exception:  # the library may stumble over what it no longer finds in the file
            if stream.error is None:
                raise
        if stream.error is not None:
            raise stream.error


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: dict, **options) -> None:
    """Write a JSON file, whole or not at all; `options` are those of `json.dumps`."""
    write_text(path, json.dumps(content, **({"indent": 1} | options)))


def check_folder(path: str | Path) -> Path:
    """Refuse an output folder that cannot be made or written, so that no work is lost at its end.

    Whether a folder that has content may be gone on with is for the writer of that content to say.

    Args:
        path: the folder that will be written later; missing parent folders will be made then.

    Returns:
        The path.

    Raises:
        ValueError: a file has that name, the name holds a line break, or the folder cannot be written.
    """
    path = _check_name(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file, and a folder will be written; name another place")
    _check_writable(path, path if path.exists() else _first_there(path))
    return path


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is a folder, cannot be read, or is not UTF-8; names the file and the cure.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 (byte {error.start}); save it as UTF-8, or name another file") from error
    except PermissionError as error:
        raise ValueError(f"{path} may not be read; change its permissions") from error


def read_json(path: str | Path, what: str) -> dict:
    """The object in a JSON file of ours.

    Args:
        path: the file.
        what: what it is and how it is made again, for the message.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a JSON object.
    """
    text = read_text(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged, line {error.lineno}: {error.msg}; it is {what}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} does not hold a JSON object; it is not {what}")
    return found


def _check_name(path: str | Path) -> Path:
    """The path, unless it holds what would end a line of a script or a log."""
    if not str(path).isprintable():
        raise ValueError(f"{ascii(str(path)[:200])} holds a line break or another character that cannot be printed; name another place")
    return Path(path)


def _first_there(path: Path) -> Path:
    """The nearest parent that exists."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def _check_writable(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: {folder} is a file, not a folder; name another place")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {folder}: {error.strerror}; name another place") from error
