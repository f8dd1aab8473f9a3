"""`read_scene`: a scene read once onto the grid of the region and kept as vegetation indices.

It is read block by block. Finished blocks are marked, so that an interrupted build reads no image twice, and images of a service are read
in pieces of their own size, not tile by tile; all indices are made of one reading.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from odc.geo.geobox import GeoBox, GeoboxTiles

from hybridflux.data.imagery.indices import compute, negatives
from hybridflux.data.imagery.scene import Scene
from hybridflux.ingest.build_job import BuildJob
from hybridflux.ingest.views import SCALE
from hybridflux.ingest.work import Work
from hybridflux.provenance import canonical_json
from hybridflux.region.store import layout

BLOCK = 2048  # pixels along the side of a block: a tenth of a Sentinel-2 frame, 17 MB a band
SAMPLES, SAMPLE_BYTES = 9, 16384  # of each file of a scene, to detect that it was replaced
LONGEST_PATH = 1024


@dataclass(frozen=True)
class SceneRead:
    """The report of a scene."""

    scene: str
    day: str

    def __str__(self) -> str:
        return f"{self.day} {self.scene}"


def read_scene(job: BuildJob, number: int) -> SceneRead:
    """Read the blocks of a scene that have not been read yet. One unit of a build, whatever the executor.

    Args:
        job: the build; its store of views is there.
        number: position of the scene among those of the build.

    Raises:
        ValueError: a file is damaged or lacks a band, or the scene was replaced since a part of it was read; views that were read are kept.
    """
    scene, work = job.scenes[number], job.work
    files = fingerprint(scene.origin)
    for name, window, box in blocks(job.config.region_grid.geobox):
        marker = f"views/{number:05d}_{name}"
        before = work.read(marker)
        if before is None:
            work.write(marker, _read_block(scene, job.indices, job.bands, number, window, box, work) | {"files": files})
        elif before.get("files", files) != files:  # not recorded by earlier versions
            _check_same(scene, job.indices, job.bands, number, window, box, work)
            work.write(marker, before | {"files": files})
    return SceneRead(scene.id, str(scene.day))


def blocks(geobox: GeoBox, size: int = BLOCK) -> Iterator[tuple[str, tuple[slice, slice], GeoBox]]:
    """Name, window and geobox of each block."""
    cut = GeoboxTiles(geobox, (size, size))
    for row in range(cut.shape.y):
        for column in range(cut.shape.x):
            yield f"b{row:02d}_{column:02d}", cut.roi[row, column], cut[row, column]


def _read_block(scene: Scene, names: Sequence[str], bands: Sequence[str], number: int, window, box: GeoBox, work: Work) -> dict:
    """Read, compute and write one scene on one block; returns its record."""
    reflectance = scene.read(box, bands)
    record: dict = {"id": scene.id, "day": str(scene.day), "origin": scene.origin, "negative": negatives(reflectance)}
    for name in names:
        values = compute(name, reflectance)
        known = np.isfinite(values)
        zarr.open_array(work.views / name, mode="r+")[number, window[0], window[1]] = _scaled(values)
        record[name] = {"clear": float(known.mean()), "median": float(np.median(values[known])) if known.any() else None}
    return record


def _scaled(values: np.ndarray) -> np.ndarray:
    """An index as stored, int16."""
    known = np.isfinite(values)
    return np.where(known, np.rint(np.clip(np.nan_to_num(values), -3.0, 3.0) / SCALE), layout.NODATA).astype(np.int16)


def _check_same(scene: Scene, names: Sequence[str], bands: Sequence[str], number: int, window, box: GeoBox, work: Work) -> None:
    """Read a scene again whose files have changed since.

    Raises:
        ValueError: its values differ.
    """
    reflectance = scene.read(box, bands)
    for name in names:
        kept = zarr.open_array(work.views / name, mode="r")[number, window[0], window[1]]
        differs = kept != _scaled(compute(name, reflectance))
        if differs.any():
            raise ValueError(
                f"scene {scene.id} of {scene.day} was replaced after this build had read it: {name} differs at {int(differs.sum())} of "
                f"{differs.size} pixels; restore the first version, or remove {work.folder} and build anew"
            )


def fingerprint(origin: dict) -> str:
    """Digest of size, time and some bytes of the files of a scene; if it differs, the scene is read again and compared.

    Args:
        origin: origin of the scene; its texts that name a file or folder of this machine are read.
    """
    digest = hashlib.sha256(canonical_json(origin).encode())
    for place in sorted({text for text in _texts(origin) if 0 < len(text) < LONGEST_PATH and os.path.exists(text)}):
        for path in [Path(place)] if os.path.isfile(place) else sorted(path for path in Path(place).rglob("*") if path.is_file()):
            size = path.stat()
            digest.update(f"{path} {size.st_size} {size.st_mtime_ns}".encode())
            with open(path, "rb") as file:
                for start in {*np.linspace(0, max(size.st_size - SAMPLE_BYTES, 0), SAMPLES).astype(int).tolist()}:
                    file.seek(start)
                    digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:32]


def _texts(content) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list | tuple):
        for one in content.values() if isinstance(content, dict) else content:
            yield from _texts(one)
