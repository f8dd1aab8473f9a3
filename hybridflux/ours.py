"""Whether a file was written by hybridflux, by what stands in it: nothing else is replaced. Opens no file with a library of its format."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

DESCRIBED_BY = "-metadata.json"
"""What is added to the name of a table to get that of its description (CSV on the Web)."""

MAKER = "hybridflux"
"""What our figures name as their software, in the metadata of PNG, SVG and PDF."""

GENERATOR = b'<meta name="generator" content="hybridflux">'
PAGE = '<meta name="hybridflux-provenance" content="'
"""Where a page of ours says, as escaped JSON on one line, how it was made."""
POSTERIOR = b"hybridflux_format"
FIGURES = (".png", ".svg", ".pdf")
HEAD = 4096  # bytes in which a page names its generator


def is_ours(path: str | Path) -> bool:
    """Whether a file is a product of hybridflux, or empty.

    A page names its generator, a posterior its format, a figure its software; a record in JSON has a provenance, a hash of its
    configuration or a format of ours; a table has such a record beside it, which names the table.

    Args:
        path: an existing file.
    """
    path = Path(path)
    if not path.stat().st_size:
        return True
    match path.suffix.lower():
        case ".csv":
            record = _record(path.with_name(path.name + DESCRIBED_BY))
            return _is_record(record) and record.get("url") == path.name
        case ".json":
            return _is_record(_record(path))
        case ".html" | ".htm":
            with open(path, "rb") as file:
                return GENERATOR in file.read(HEAD)
        case ".nc":
            return _holds(path, POSTERIOR)
        case suffix if suffix in FIGURES:
            return _holds(path, MAKER.encode())
        case _:
            return False


def _record(path: Path) -> dict:
    """The object of a JSON file; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_record(record: dict) -> bool:
    origin = record.get("provenance")
    made = isinstance(origin, dict) and MAKER in origin
    return made or "config_hash" in record or str(record.get("format", "")).startswith(MAKER)


def _holds(path: Path, text: bytes) -> bool:
    """Whether a text stands anywhere in a file, which is not read into memory."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0


def raised_by_us(error: BaseException) -> bool:
    """Whether an error comes from code of hybridflux itself, and not from a library it calls."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("hybridflux.")
