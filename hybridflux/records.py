"""Small JSON files that say what was done, each with a checksum of itself: a digit that changed on the disk is not taken for a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from hybridflux.files import read_json, write_json
from hybridflux.provenance import canonical_json

CHECKSUM = "checksum"
"""Key of the checksum of a record; records of earlier versions have none."""


def write_record(path: str | Path, content: dict) -> None:
    """Write a record, whole or not at all."""
    plain = json.loads(json.dumps(content, default=str))
    write_json(path, plain | {CHECKSUM: _checksum(plain)})


def read_record(path: str | Path, what: str, needs: Iterable[str] = ()) -> dict:
    """What `write_record` wrote.

    Args:
        path: the file.
        what: what it is and how it is made again, for the message.
        needs: keys it must have.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a JSON object, lacks a key, or is not as it was written.
    """
    found = read_json(path, what)
    if found.get(CHECKSUM, "") not in ("", _checksum(found)):
        raise ValueError(
            f"{path} is damaged: its checksum is that of other content; it is {what}. Where you changed it on purpose, delete its "
            f"`{CHECKSUM}`"
        )
    lost = [name for name in needs if name not in found]
    if lost:
        raise ValueError(f"{path} is damaged: it has no `{lost[0]}`; it is {what}")
    return found


def run_record(run: str | Path) -> dict:
    """`run.json` of a run folder, with the fields of its specification beside the others.

    Raises:
        FileNotFoundError: it is not a run folder.
    """
    path = Path(run) / "run.json"
    if not path.exists():
        raise FileNotFoundError(f"{run} is not a run folder: it has no run.json; write one with `hybridflux map --out {run}`")
    record = read_record(path, "written by `hybridflux map`; map again into another folder")
    return record.get("spec", {}) | record  # runs of earlier versions have them there


def _checksum(content: dict) -> str:
    plain = {name: value for name, value in content.items() if name != CHECKSUM}
    return hashlib.sha256(canonical_json(plain).encode()).hexdigest()[:32]
