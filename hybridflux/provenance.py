"""Where a result comes from: configuration, seed, versions, git state, checksums. Written into every output."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from hybridflux.addresses import redacted, without_secrets

PACKAGES = ("jax", "jaxlib", "numpyro", "optax", "equinox", "numpy", "pandas", "xarray", "rasterio", "zarr", "arviz")
"""Packages whose version can change a number."""

_ROOT = Path(__file__).resolve().parent.parent


def provenance(config: Mapping, seed: int | None = None) -> dict:
    """All that is needed to repeat a run, as JSON-ready values.

    Args:
        config: the resolved configuration of the run.
        seed: seed of its random numbers.

    >>> record = provenance({"model": "lue_bucket"}, seed=1)
    >>> record["seed"], record["config_hash"] == config_hash({"model": "lue_bucket"})
    (1, True)
    """
    return {
        "hybridflux": _version("hybridflux"),
        "config": json.loads(canonical_json(config)),
        "config_hash": config_hash(config),
        "seed": seed,
        "command": redacted(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def config_hash(config: Mapping) -> str:
    """SHA-256 of the canonical JSON of a configuration: equal for equal configurations, in any order of keys.

    >>> config_hash({"a": 1, "b": (2, 3)}) == config_hash({"b": [2, 3], "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()


def canonical_json(config: Mapping) -> str:
    """JSON with sorted keys and no spaces; paths, dates, numpy values and sets become plain values, secrets of addresses are left out.

    >>> canonical_json({"start": date(2018, 1, 1), "x": np.float64(0.5)})
    '{"start":"2018-01-01","x":0.5}'
    """
    return json.dumps(without_secrets(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def file_checksum(path: str | Path) -> str:
    """SHA-256 of a file, as `sha256:<hex>`."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def git_state() -> dict | None:
    """Commit of the checkout hybridflux runs from and whether it has uncommitted changes; None when installed."""
    if not (_ROOT / ".git").exists():
        return None
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _plain(value):
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"a configuration cannot hold a {type(value).__name__}: {value!r}")
