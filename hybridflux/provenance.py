"""Where a result comes from: configuration, seed, versions, git state, checksums. Written into every output."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from hybridflux.addresses import redacted, without_secrets
from hybridflux.machine import cores

PACKAGES = ("jax", "jaxlib", "numpyro", "optax", "equinox", "numba", "numpy", "pandas", "xarray", "rasterio", "zarr", "arviz")
"""Packages whose version can change a number."""

MOST_BYTES = 4 << 30
"""Of a folder whose files are all read for its checksum."""
LONGEST_PATH = 1024

_ROOT = Path(__file__).resolve().parent.parent


def provenance(config: Mapping, seed: int | None = None, given: Mapping[str, object] | None = None) -> dict:
    """All that is needed to repeat a run, as JSON-ready values.

    Args:
        config: the resolved configuration of the run.
        seed: seed of its random numbers.
        given: name -> what a function was given in memory, kept as type, shape and digest (`described`): no command repeats it.

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
        "folder": os.getcwd(),
        "inputs": inputs(),
        "given": {name: described(value) for name, value in (given or {}).items() if value is not None},
        "machine": machine(),
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


def inputs(words: Sequence[str] | None = None) -> dict[str, str]:
    """Files and folders that the command line names, except what it writes: absolute path -> checksum.

    Args:
        words: of the command; those of this process by default.
    """
    words, found = list(sys.argv[1:] if words is None else words), {}
    for before, word in zip(["", *words], words, strict=False):
        option, _, value = word.rpartition("=") if word.startswith("--") else (before, "", word)
        if option == "--out" or not value or len(value) > LONGEST_PATH or not os.path.exists(value):
            continue
        path = Path(value).absolute()
        found[str(path)] = checksum_of(path)
    return found


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, or of what a folder holds.

    Of a Zarr store it is that of its metadata and of the checksums that it carries, of a run folder that of `run.json`; of another folder
    that of names, sizes and contents of its files, as far as they hold less than `MOST_BYTES` together, else of names and sizes.
    """
    if path.is_file():
        return file_checksum(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    small = [file for file in files if file.name in ("zarr.json", "checksums.txt")]
    if (path / "run.json").exists():
        files = [path / "run.json"]
    elif path.suffix == ".zarr" and len(small) < len(files) and any(file.name == "checksums.txt" for file in small):
        files = small
    read = sum(file.stat().st_size for file in files) < MOST_BYTES
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size} {file_checksum(file) if read else ''}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def described(value: object) -> str:
    """Type, shape and SHA-256 of what is in memory; of a table of arrays how many there are.

    >>> described(np.zeros((365, 4), np.float32))[:40]
    'ndarray float32 (365, 4), sha256:12eb305'
    >>> described({"tair": np.zeros(3)})[:29]
    'dict of 1 arrays, sha256:14e8'
    """
    if callable(value):
        return f"function {getattr(value, '__qualname__', type(value).__name__)}, which has no digest"
    digest = hashlib.sha256()
    count = _digest(value, digest)
    shape = f" {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f" of {count} arrays"
    return f"{type(value).__name__}{shape}, sha256:{digest.hexdigest()}"


def machine() -> dict:
    """What of a machine can change the last bit of a number: cores, devices, processor."""
    return {
        "cores": cores(), "devices": os.environ.get("JAX_PLATFORMS", ""), "processor": platform.machine(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }  # fmt: skip


def git_state(root: Path = _ROOT) -> dict | None:
    """Commit of the checkout hybridflux runs from and whether it has uncommitted changes; None when installed.

    Git refuses to look at a checkout of another owner, for good reasons, and may not be installed: the commit is then read from its
    files, and `dirty` is None, not known.

    Args:
        root: of the checkout.
    """
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        found = _commit_of(root / ".git")
        return {"commit": found, "dirty": None} if found else None


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _commit_of(git: Path) -> str | None:
    """The commit that a `.git` folder, or the `.git` file of a worktree, stands at (gitrepository-layout(5))."""
    try:
        folder = git if git.is_dir() else (git.parent / git.read_text().partition("gitdir:")[2].strip())
        head = (folder / "HEAD").read_text().strip()
        common = folder / (folder / "commondir").read_text().strip() if (folder / "commondir").exists() else folder
        name = head.removeprefix("ref:").strip()
        if name == head:
            found = head
        elif (common / name).exists():
            found = (common / name).read_text().strip()
        else:
            packed = (common / "packed-refs").read_text().splitlines()
            found = next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except (OSError, UnicodeDecodeError):
        return None
    return found if re.fullmatch("[0-9a-f]{40,64}", found) else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _digest(value, digest) -> int:
    """Put a value into a digest, the parts of tables and records by name; the number of arrays in it."""
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        digest.update(repr(list(map(str, value))).encode())
        return sum(_digest(part, digest) for part in value.values())
    array = isinstance(value, np.ndarray)
    digest.update(f"{value.dtype} {value.shape}".encode() if array else repr(value).encode())
    if array:
        digest.update(repr(value.tolist()).encode() if value.dtype.hasobject else np.ascontiguousarray(value).tobytes())
    return int(array)


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
