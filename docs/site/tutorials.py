"""Tutorials: one source each, run as a notebook; of it come the page with its output and figures, and the `.ipynb`.

A tutorial is Python in the percent format of Jupytext. It runs in an empty folder of its own; what it wrote there and a text links, such as
`[the page](report.html)`, is copied beside its page. A tutorial that was run with the same sources of hybridflux is not run again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from docs.site.stage import LINK, ROOT
from hybridflux.machine import cores

FOLDER = ROOT / "docs" / "tutorials"
LONGEST = 120
"""Seconds that a tutorial may take, of processor time of a quiet machine; a shared one is given three times as much."""
SECONDS_PER_CELL = 3 * LONGEST
OF_TERMINALS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Tutorial:
    """A tutorial that was run.

    Attributes:
        name: of its source without `.py`.
        notebook: executed, as `nbformat` has it.
        folder: what it wrote.
        seconds: how long it took.
    """

    name: str
    notebook: dict
    folder: Path
    seconds: float

    @property
    def place(self) -> str:
        """Its page."""
        return f"tutorials/{self.name}.md"

    def page(self) -> tuple[str, dict[str, bytes]]:
        """Its text, and the pictures and files beside it."""
        beside: dict[str, bytes] = {}
        parts = [_of_cell(cell, f"{self.name}_{number}", beside) for number, cell in enumerate(self.notebook.cells)]
        ran = f"*Run when this site was built, in {self.seconds:.0f} s. [The notebook]({self.name}.ipynb), with its output.*"
        text = "\n\n".join([parts[0], ran, *(part for part in parts[1:] if part)]) + "\n"
        return LINK.sub(lambda found: self._with_file(found, beside), text), beside

    def _with_file(self, found: re.Match, beside: dict[str, bytes]) -> str:
        """A link to a file that the tutorial wrote."""
        before, target, after = found.groups()
        written = self.folder / target
        if target in beside or not written.is_file():
            return found[0]
        beside[f"{self.name}_{written.name}"] = written.read_bytes()
        return f"{before}{self.name}_{written.name}{after}"


def sources() -> list[Path]:
    """All tutorials."""
    return sorted(FOLDER.glob("*.py"))


def digest(source: Path) -> str:
    """Of all that decides what a tutorial prints."""
    found = hashlib.sha256(source.read_bytes())
    for folder, pattern in (("hybridflux", "*.py"), ("data_catalog", "*.toml"), ("docs/site", "tutorials.py")):
        for path in sorted((ROOT / folder).rglob(pattern)):
            found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:24]


def run_all(cache: Path) -> list[Tutorial]:
    """Run all tutorials, as many at once as there are cores; they share a cache of compiled programs."""
    spawned = get_context("spawn")  # a kernel started from a copy of a process with threads could hang
    with ProcessPoolExecutor(min(len(sources()), cores()), mp_context=spawned) as pool:
        return list(pool.map(run, sources(), [cache] * len(sources())))


def run(source: Path, cache: Path) -> Tutorial:
    """Run a tutorial, or take what it gave before.

    Args:
        source: its file.
        cache: folder of what was run; holds the last run of each tutorial.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed, or wrote a warning.
    """
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    kept, folder, stamp = cache / f"{source.stem}.ipynb", cache / source.stem, digest(source)
    if kept.exists():
        notebook = nbformat.read(kept, as_version=4)
        of = notebook.metadata.get("hybridflux", {})
        if of.get("digest") == stamp:
            return Tutorial(source.stem, notebook, folder, of["seconds"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    began = time.perf_counter()
    with _environment(cache):
        limits = {"timeout": SECONDS_PER_CELL, "startup_timeout": SECONDS_PER_CELL}
        quiet = {"extra_arguments": ["--log-level=ERROR"]}  # kernel and client talk on the loopback, of which the kernel warns
        NotebookClient(notebook, **limits, **quiet, resources={"metadata": {"path": str(folder)}}).execute()
    seconds = time.perf_counter() - began
    _clean(notebook, folder)
    notebook.metadata["hybridflux"] = {"digest": stamp, "seconds": round(seconds, 1)}
    nbformat.write(notebook, kept)
    return Tutorial(source.stem, notebook, folder, seconds)


class _environment:
    """Variables that a kernel sees: the programs of this Python, a cache of compiled programs, wide tables."""

    def __init__(self, cache: Path):
        self.new = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "110",
            "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "NO_COLOR": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }  # fmt: skip

    def __enter__(self):
        self.old = {name: os.environ.get(name) for name in self.new}
        os.environ.update(self.new)

    def __exit__(self, *_):
        for name, value in self.old.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _clean(notebook, folder: Path) -> None:
    """Take from outputs what belongs to this machine and to a terminal, and join the pieces of a stream."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", ()):
            texts = [output] if "text" in output else [output.data] if "data" in output else []
            for holder in texts:
                for key in ("text", "text/plain", "text/html"):
                    if key in holder:
                        holder[key] = OF_TERMINALS.sub("", holder[key].replace(f"{folder}/", "").replace(str(folder), "."))


def _joined(outputs: list) -> list:
    """Outputs with the pieces of one stream as one."""
    joined: list = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _of_cell(cell, name: str, beside: dict[str, bytes]) -> str:
    """A cell as Markdown."""
    if cell.cell_type == "markdown":
        return cell.source
    shell = cell.source.startswith("%%bash\n")
    code = cell.source.removeprefix("%%bash\n")
    parts = [f"```{'bash' if shell else 'python'}\n{code}\n```"]
    for number, output in enumerate(cell.outputs):
        parts.append(_of_output(output, f"{name}_{number}.png", beside))
    return "\n\n".join(part for part in parts if part)


def _of_output(output, picture: str, beside: dict[str, bytes]) -> str:
    """An output as Markdown: a picture, a table, or text."""
    if output.output_type == "stream":
        return f'```text {{ .output }}\n{output.text.rstrip()}\n```'
    data = output.get("data", {})
    if "image/png" in data:
        beside[picture] = base64.b64decode(data["image/png"])
        return f"![]({picture})"
    if "text/html" in data:
        inside = re.sub(r">\s+<", "><", re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S))
        return f'<div class="output-table">{inside}</div>'
    return f'```text {{ .output }}\n{data.get("text/plain", "").rstrip()}\n```'
