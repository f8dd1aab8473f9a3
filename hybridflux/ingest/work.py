"""The work folder beside a region that is being built: records of finished work, so that a build can be interrupted and resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hybridflux.addresses import without_secrets
from hybridflux.files import PARTIAL
from hybridflux.provenance import canonical_json, config_hash, provenance
from hybridflux.records import CHECKSUM, read_record, write_record
from hybridflux.region.run import lock
from hybridflux.region.spec import differences

WITHOUT_RETURN = ("build", "template", "scenes")
"""Records on which all later ones depend."""


@dataclass(frozen=True)
class Work:
    """A build in progress, `REGION.build` beside `REGION.zarr`; beside a store of another name, the whole name and `.zarr.build`.

    Attributes:
        folder: folder of the build.
    """

    folder: Path

    @classmethod
    def beside(cls, out: Path) -> Work:
        """The work folder of a region store."""
        return cls(out.with_suffix(".build") if out.suffix == ".zarr" else out.with_name(f"{out.name}.zarr.build"))

    @property
    def views(self) -> Path:
        """Store of the clear views."""
        return self.folder / "views.zarr"

    def check(self, resume: bool, out: Path) -> dict | None:
        """The record of an existing build, or None; changes nothing.

        Raises:
            FileExistsError: the region, or a build of it, exists and `resume` is not set; or the path is taken.
        """
        record = self.read("build")
        if record is None and out.exists():
            raise FileExistsError(f"{out} is there already and has no {self.folder.name} beside it; remove it or take another name")
        if record is None and self.folder.exists() and any(not self._is_left_behind(path) for path in self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} is not empty and holds no build; remove it, or take another name than {out.name}")
        if record is not None and record.get("store", out.name) != out.name:
            raise FileExistsError(f"{self.folder} holds a build of {record['store']}, not of {out.name}; take another name")
        if record is not None and not resume:
            raise FileExistsError(f"{self.folder} holds a build of {out.name}; go on with `--resume`, or remove both")
        return record

    def start(self, config: dict, resume: bool, out: Path) -> None:
        """Begin a build, or continue an existing one.

        Raises:
            FileExistsError: as `check`.
            ValueError: the existing build has another configuration; names the differences.
        """
        record = self.check(resume, out)
        plain = json.loads(canonical_json(config))
        if record is None:
            self.write("build", {"store": out.name, "config_hash": config_hash(config), "config": plain, "provenance": provenance(config)})
        elif record["config_hash"] != config_hash(config):
            lines = "\n".join(f"- {line}" for line in differences(flat(record["config"]), flat(plain)))
            raise ValueError(f"{self.folder} is a build of another configuration; build into another name, or remove it:\n{lines}")

    @staticmethod
    def _is_left_behind(path: Path) -> bool:
        """Whether a path is left over from a build that stopped in its first step."""
        return path.name == lock.FOLDER or (path.name.startswith("build.json.") and path.suffix == PARTIAL)

    def read(self, name: str) -> dict | None:
        """A record, or None if this was not done."""
        path = self.folder / f"{name}.json"
        return self._content(path) if path.exists() else None

    def write(self, name: str, record: dict) -> None:
        """Write a record, whole or not at all; it marks work as done, so it is written after that work."""
        write_record(self.folder / f"{name}.json", without_secrets(record))

    def records(self, folder: str) -> dict[str, dict]:
        """All records of a kind by name, in order."""
        return {path.stem: self._content(path) for path in sorted((self.folder / folder).glob("*.json"))}

    def _content(self, path: Path) -> dict:
        """Content of a record."""
        again = f"remove {self.folder} and the store, and build anew" if path.stem in WITHOUT_RETURN else "remove it, go on with --resume"
        record = read_record(path, f"written by `hybridflux region build`: {again}")
        return {name: value for name, value in record.items() if name != CHECKSUM}


def flat(config, name: str = "") -> dict:
    """A nested configuration with dotted names, so that a difference is named by its field.

    >>> flat({"grid": {"tile": 64}, "imagery": [{"place": "x"}]})
    {'grid.tile': 64, 'imagery.0.place': 'x'}
    """
    if not isinstance(config, dict | list):
        return {name: config}
    parts = config.items() if isinstance(config, dict) else enumerate(config)
    return {key: value for part, inner in parts for key, value in flat(inner, f"{name}.{part}" if name else str(part)).items()}
