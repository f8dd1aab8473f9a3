"""The viewer as a folder that opens offline: the page, and its tiles as scripts, which browsers load from a disk where they refuse data."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hybridflux.files import check_output, whole, write_text
from hybridflux.progress import Progress
from hybridflux.view.pyramid import FRAMES, SIDE, Pyramid
from hybridflux.view.viewer import Viewer
from hybridflux.view.viewer_page import static_page

PAGE, TILES = "index.html", "tiles"
MOST = 400_000_000  # bytes of tiles before compression, at most


def write_static(runs: Sequence[str | Path], out: str | Path, *, progress: Progress | None = None, most: int = MOST) -> str:
    """Write years and months of some runs as a folder that opens offline.

    Days, budgets of zones and polygons need the server. Of a large region the finest levels are left out: the note says which.

    Args:
        runs: run folders on one grid.
        out: folder to write, new, or one that this function wrote, which is then replaced.
        progress: called with (tiles done, all, message).
        most: bytes of tiles, before compression.

    Returns:
        What was written, one line.

    Raises:
        FileNotFoundError: as `Viewer.open`.
        ValueError: as `Viewer.open`; or the runs have neither years nor months, or the folder holds something else.
    """
    out = Path(out)
    check_output(out / PAGE, overwrite=True)
    if out.exists() and {one.name for one in out.iterdir()} - {PAGE, TILES}:
        raise ValueError(f"{out} holds other files; name a new folder")
    viewer = Viewer.open(runs)
    description = viewer.describe()
    for run in description["runs"]:
        run["groups"] = {name: group for name, group in run["groups"].items() if name != "daily"}
        if not run["groups"]:
            raise ValueError(f"{run['name']} has days only; a static page shows years and months")
    least = _finest(description, most)
    wanted = list(_blocks(viewer, description, least))
    notify, bytes_written = progress or (lambda done, total, message: None), 0
    with whole(out / TILES) as partial:
        partial.mkdir()
        for number, (name, pyramid, place) in enumerate(wanted):
            notify(number + 1, len(wanted), name)
            values = pyramid.block(*place)
            packed = zlib.compress(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes(), 4)
            text = f"hybridfluxTiles({json.dumps(name)},{json.dumps(base64.b64encode(packed).decode())});\n"
            bytes_written += len(text)
            (partial / f"{name}.js").write_text(text, encoding="ascii")
    write_text(out / PAGE, static_page(description | {"finest": least}))
    metres = viewer.runs[0].grid.pixel * 2**least
    return f"wrote {out / PAGE} and {len(wanted)} files of tiles, {bytes_written / 1e6:.1f} MB, pixels of {metres:g} m and coarser"


def _arrays(description: dict) -> Iterator[tuple[int, str, str, int]]:
    """Number of a run, group, array, frames."""
    for number, run in enumerate(description["runs"]):
        for group, about in run["groups"].items():
            for layer, spec in about["layers"].items():
                yield from ((number, group, layer + ending, len(about["frames"])) for ending in spec["scales"] if ending != "_q50")


def _finest(description: dict, most: int) -> int:
    """The finest level that fits."""
    grid, frames = description["grid"], sum(count for *_, count in _arrays(description))
    for level in range(description["levels"]):
        tiles = np.prod([np.ceil(grid[name] / (SIDE << level)) for name in ("height", "width")])
        if 2 * frames * tiles * SIDE**2 * 4 / 3 <= most:
            return level
    return description["levels"] - 1


def _blocks(viewer: Viewer, description: dict, least: int) -> Iterator[tuple[str, Pyramid, tuple[int, int, int, int]]]:
    """Name, pyramid and place of each block that is written."""
    grid = description["grid"]
    for run, group, array, frames in _arrays(description):
        pyramid = viewer.pyramid(run, group, array)
        for level in range(least, description["levels"]):
            rows, columns = (int(np.ceil(grid[name] / (SIDE << level))) for name in ("height", "width"))
            for row in range(rows):
                for column in range(columns):
                    for number in range(-(-frames // FRAMES)):
                        place = (level, row, column, number)
                        yield "_".join(map(str, (run, group, array, *place))), pyramid, place
