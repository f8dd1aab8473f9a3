"""Files that hybridflux writes: checked before any work begins, complete or absent afterwards."""

from __future__ import annotations

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
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; name another file, or replace it with --overwrite (overwrite=True)")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: {folder} is a file, not a folder; name another place")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {folder}: {error.strerror}; name another place") from error
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
