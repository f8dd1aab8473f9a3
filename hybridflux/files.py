"""Files: outputs are checked before any work begins and are complete or absent afterwards; what is read is refused with a cure."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".part"
"""Suffix of a file that is being written; a complete file never carries it."""


def check_output(path: str | Path, *, overwrite: bool = False) -> Path:
    """Refuse an output file that cannot be written, so that no work is lost at its end.

    Args:
        path: the file that will be written later; missing parent folders will be made then.
        overwrite: whether a file of that name may be replaced.

    Returns:
        The path.

    Raises:
        ValueError: a file of that name exists and `overwrite` is false, the name is that of a folder, or the folder cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a device, not a file; name a file")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; name another file, or replace it with --overwrite (overwrite=True)")
    _check_writable(path, _first_there(path))
    return path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Write a file so that it is either complete or absent, whatever happens in between.

    Args:
        path: the file to write; parent folders are made. A file of that name is replaced at the end.

    Yields:
        The path to write to, in the same folder and with the same last suffix. When the block ends without an error its content is
        flushed to the disk and takes the name `path`; otherwise it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}{PARTIAL}{path.suffix}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_folder(path: str | Path) -> Path:
    """Refuse an output folder that cannot be made or written, so that no work is lost at its end.

    Whether a folder that has content may be gone on with is for the writer of that content to say.

    Args:
        path: the folder that will be written later; missing parent folders will be made then.

    Returns:
        The path.

    Raises:
        ValueError: a file has that name, or the folder cannot be written.
    """
    path = Path(path)
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
