"""Reproduction of a product from the commands, folders and checksums in its provenance, and the comparison with the original."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hybridflux.data.origin import read_origin
from hybridflux.ours import PAGE
from hybridflux.provenance import checksum_of, machine

OURS = "hybridflux"
RUN = "from hybridflux.cli import main; main()"
WITHOUT_TIME = 16  # differences named at most


@dataclasses.dataclass(frozen=True)
class Step:
    """One of the commands that made a product.

    Attributes:
        product: product of the command.
        command: the command as it was typed.
        folder: working folder; empty where it was not recorded.
        record: provenance of the product.
    """

    product: str
    command: str
    folder: str
    record: Mapping

    def __str__(self) -> str:
        made = f"# {self.product}: hybridflux {self.record.get('hybridflux')}, {commit_of(self.record)}, {self.record.get('time')}"
        where = [f"cd {shlex.quote(self.folder)}"] if self.folder else []
        if is_command(self.command):
            return "\n".join([made, *where, self.command])
        said = f"# made by a Python program (`{self.command}`), which no command of hybridflux repeats"
        return "\n".join([made, *where, said, *self.given])

    @property
    def given(self) -> list[str]:
        """What was made in Python and handed over in memory, a line each."""
        return [f"# of {name}: {what}" for name, what in (self.record.get("given") or {}).items()]


def steps(product: str | Path) -> list[Step]:
    """The commands that made a product, those of its inputs first, as far as the inputs still exist.

    Raises:
        FileNotFoundError: no such product.
        ValueError: it carries no provenance.
    """
    by_product: dict[str, Step] = {}
    _add(Path(product), by_product)
    return list(by_product.values())


def changed_inputs(record: Mapping) -> list[str]:
    """Inputs of a product that are missing or have another checksum now, one line each.

    Args:
        record: a provenance.
    """
    sentences = []
    for path, wanted in (record.get("inputs") or {}).items():
        if not Path(path).exists():
            sentences.append(f"{path} is missing")
        elif checksum_of(Path(path)) != wanted:
            sentences.append(f"{path} has changed: its checksum differs")
    return sentences


def check(product: str | Path) -> str:
    """Make a product again, in a temporary folder, and compare: maps bit for bit, totals, tables.

    Returns:
        One line with the number of compared arrays and tables.

    Raises:
        ValueError: something differs, or the product cannot be made again; every difference is named.
    """
    product = Path(product).absolute()
    record = made_by(read_origin(product))
    changed = changed_inputs(record)
    with tempfile.TemporaryDirectory(prefix="hybridflux-") as folder:
        if (product / "run.json").exists():
            again = _map_again(product, Path(folder))
        else:
            again = _run_again(product, record, Path(folder), changed)
        count, differing = compare(product, again)
    if differing:
        now = machine()
        then = record.get("machine") or {}
        notes = [*changed, *(f"{name}: {then[name]} then, {now[name]} now" for name in then if then[name] != now.get(name))]
        lines = [*differing[:WITHOUT_TIME], *notes]
        raise ValueError(f"{product} is not reproduced:\n" + "\n".join(f"- {line}" for line in lines))
    return f"{product}: made again, {count} arrays and tables are the same to the last bit"


def made_by(origin: Mapping) -> Mapping:
    """The provenance of the product itself: that of a table, not that of its run."""
    return origin.get("made") or origin.get("provenance") or {}


def commit_of(record: Mapping) -> str:
    """The commit of a provenance, in words."""
    git = record.get("git") or {}
    return f"commit {git['commit']}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else "installed"


def compare(path: Path, other: Path) -> tuple[int, list[str]]:
    """Number of arrays and tables of two products, and those that differ."""
    first, second = dict(_contents(path)), dict(_contents(other))
    lost = [f"{name} is only in {'the product' if name in first else 'the repetition'}" for name in sorted(first.keys() ^ second.keys())]
    return len(first), lost + [text for name in first if name in second for text in _difference(name, first[name], second[name])]


def is_command(command: str) -> bool:
    """Whether a product was made on the command line of hybridflux, by its words."""
    words = shlex.split(command)
    return bool(words) and Path(words[0]).name == OURS


def _add(product: Path, by_product: dict[str, Step]) -> None:
    if str(product) in by_product:
        return
    origin = read_origin(product)
    record = made_by(origin)
    places = [Path(path) for path in record.get("inputs") or {}]
    places += [Path(origin["region"])] if isinstance(origin.get("region"), str) else []
    for place in places:
        if place.exists() and place.absolute() != product.absolute():
            try:
                _add(place, by_product)
            except ValueError:  # not made by hybridflux: towers, an inventory
                continue
    by_product[str(product)] = Step(str(product), record.get("command", ""), record.get("folder", ""), record)


def _map_again(run: Path, folder: Path) -> Path:
    """A run mapped again from its own record and posterior."""
    from hybridflux.region.map import map_again

    return map_again(run, folder / run.name)


def _run_again(product: Path, record: Mapping, folder: Path, changed: list[str]) -> Path:
    """A product made again by its command, with another `--out`."""
    if not is_command(record.get("command", "")):
        given = "; ".join(f"{name}, {what}" for name, what in (record.get("given") or {}).items())
        raise ValueError(
            f"{product} was made by `{record.get('command', '')[:120]}`, not by a command of hybridflux: run that again, and compare"
            + (f". It was made of what lived in Python only, which cannot be repeated from here: {given}" if given else "")
        )
    words = shlex.split(record["command"])
    if changed:
        raise ValueError(f"{product} cannot be made again: {'; '.join(changed)}")
    out = folder / product.name
    arguments = [*_with_out(words[1:], out, product)]
    where = record.get("folder") or "."
    done = subprocess.run([sys.executable, "-c", RUN, *arguments], cwd=where, capture_output=True, text=True, check=False)
    if done.returncode or not out.exists():
        raise ValueError(f"{product}: `{record['command'][:200]}` failed when it was run again: {done.stderr.strip()[-300:]}")
    return out


def _with_out(words: list[str], out: Path, product: Path) -> Iterator[str]:
    """The words of a command with another output path."""
    replaced = False
    for number, word in enumerate(words):
        if word.startswith("--out="):
            replaced = True
            yield f"--out={out}"
        elif number and words[number - 1] == "--out":
            replaced = True
            yield str(out)
        elif word not in ("--overwrite", "--resume"):
            yield word
    if not replaced:
        raise ValueError(f"{product}: its command names no --out, so it cannot be repeated elsewhere")


def _contents(path: Path) -> Iterator[tuple[str, np.ndarray | str]]:
    """Name and content of all that is compared."""
    if path.is_dir() and (path / "run.json").exists():
        for name in ("fluxes.zarr", "totals.nc", "series.nc"):
            yield from ((f"{name}/{inner}", content) for inner, content in _contents(path / name))
    elif path.is_dir() and (path / "scenario.json").exists():
        for name in ("control", "changed", "effect.csv"):
            yield from ((f"{name}/{inner}", content) for inner, content in _contents(path / name))
    elif path.is_dir():
        import zarr

        for name, array in zarr.open_group(path, mode="r", use_consolidated=False).members(max_depth=None):
            if isinstance(array, zarr.Array):
                yield name, array[...]
    elif path.suffix == ".nc":
        import h5py

        arrays = {}
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, one: arrays.update({name: one[...]}) if isinstance(one, h5py.Dataset) and one.shape else None)
        yield from arrays.items()
    elif path.suffix.lower() in (".tif", ".tiff"):
        import rasterio

        with rasterio.open(path) as raster:
            yield "bands", raster.read()
    elif path.suffix.lower() in (".html", ".htm"):
        yield "page", "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(PAGE))
    elif path.suffix == ".csv":
        yield "table", path.read_text(encoding="utf-8")
    else:
        raise ValueError(f"{path} holds no maps, totals or tables that can be compared")


def _difference(name: str, one, other) -> Iterator[str]:
    if isinstance(one, str):
        lines = one.splitlines(), other.splitlines()
        count = sum(left != right for left, right in zip(*lines, strict=False)) + abs(len(lines[0]) - len(lines[1]))
        if count:
            yield f"{name}: {count} of {len(lines[0])} lines differ"
    elif one.shape != other.shape or one.dtype != other.dtype:
        yield f"{name}: {one.dtype} {one.shape}, made again {other.dtype} {other.shape}"
    elif one.tobytes() != other.tobytes() if one.dtype.kind != "O" else (one != other).any():
        differs = one != other
        if one.dtype.kind == "f":
            differs &= ~(np.isnan(one) & np.isnan(other))
        if differs.any():
            yield f"{name}: {int(differs.sum())} of {one.size} values differ"
