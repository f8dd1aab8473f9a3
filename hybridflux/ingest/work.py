"""The work folder beside a region that is being built: what is done, so that a build can be interrupted and resumed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from hybridflux.addresses import without_secrets
from hybridflux.provenance import canonical_json, config_hash, provenance
from hybridflux.region.job import differences


@dataclass(frozen=True)
class Work:
    """A build in progress, `REGION.build` beside `REGION.zarr`.

    Attributes:
        folder: of the build.
    """

    folder: Path

    @classmethod
    def beside(cls, out: Path) -> Work:
        """The work folder of a region store."""
        return cls(out.with_suffix(".build"))

    @property
    def views(self) -> Path:
        """Store of the clear views."""
        return self.folder / "views.zarr"

    def start(self, config: dict, resume: bool, out: Path) -> None:
        """Begin, or go on with what is there.

        Raises:
            FileExistsError: the region, or a build of it, is there and `resume` is not set.
            ValueError: the build there is of another configuration; the differences are told.
        """
        record = self.read("build")
        if record is None and out.exists():
            raise FileExistsError(f"{out} is there already and has no {self.folder.name} beside it; remove it or take another name")
        if record is not None and not resume:
            raise FileExistsError(f"{self.folder} holds a build of {out.name}; go on with `--resume`, or remove both")
        plain = json.loads(canonical_json(config))
        if record is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.write("build", {"config_hash": config_hash(config), "config": plain, "provenance": provenance(config)})
        elif record["config_hash"] != config_hash(config):
            lines = "\n".join(f"- {line}" for line in differences(flat(record["config"]), flat(plain)))
            raise ValueError(f"{self.folder} is a build of another configuration; build into another name, or remove it:\n{lines}")

    def read(self, name: str) -> dict | None:
        """A record, or None where this was not done."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write(self, name: str, record: dict) -> None:
        """Write a record, whole or not at all: it says that something is done, so it comes after what it tells of."""
        path = self.folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        with open(partial, "w", encoding="utf-8") as file:
            file.write(json.dumps(without_secrets(record), indent=1, default=str))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    def records(self, folder: str) -> dict[str, dict]:
        """All records of a kind by name, in order."""
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((self.folder / folder).glob("*.json"))}


def flat(config, name: str = "") -> dict:
    """A nested configuration with dotted names, so that a difference is told where it is.

    >>> flat({"grid": {"tile": 64}, "imagery": [{"place": "x"}]})
    {'grid.tile': 64, 'imagery.0.place': 'x'}
    """
    if not isinstance(config, dict | list):
        return {name: config}
    parts = config.items() if isinstance(config, dict) else enumerate(config)
    return {key: value for part, inner in parts for key, value in flat(inner, f"{name}.{part}" if name else str(part)).items()}
