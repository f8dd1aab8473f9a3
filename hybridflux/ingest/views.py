"""Clear views of the region: every scene read once onto the grid and kept as vegetation indices.

A unit of work is one scene on one block of the grid. Finished units are marked, so that an interrupted build reads no image twice, and
images of a service are read in pieces of their own size, not tile by tile.
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

from hybridflux.data.imagery import reader
from hybridflux.data.imagery.indices import bands_needed, compute, negatives
from hybridflux.data.imagery.scene import Scene
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.work import Work
from hybridflux.progress import Progress
from hybridflux.provenance import canonical_json
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile

BLOCK = 2048  # pixels along the side of a block: a tenth of a Sentinel-2 frame, 17 MB a band
CHUNK_TILES = 4  # tiles along the side of a chunk of views, so that files are neither many nor large
SCALE = layout.SCALE
"""Scale of the stored indices, int16."""
SAMPLES, SAMPLE_BYTES = 9, 16384  # of each file of a scene, to detect that it was replaced
LONGEST_PATH = 1024


def find_scenes(config: RegionConfig, catalog: dict) -> list[Scene]:
    """Scenes of all sources of imagery, by day.

    Raises:
        ValueError: no scene at all in the period.
    """
    days, geobox = config.period.days, config.region_grid.geobox
    scenes: list[Scene] = []
    for source in config.imagery:
        dataset = catalog[source.dataset]
        scenes += reader(dataset.format)(dataset, source.place, geobox, days[0], days[-1])
    if not scenes:
        places = ", ".join(source.place for source in config.imagery)
        raise ValueError(f"no scene of {days[0]} to {days[-1]} touches region `{config.id}` in {places}; check the period and the place")
    return sorted(scenes, key=lambda scene: (scene.day, scene.id))


def blocks(geobox: GeoBox, size: int = BLOCK) -> Iterator[tuple[str, tuple[slice, slice], GeoBox]]:
    """Name, window and geobox of each block."""
    cut = GeoboxTiles(geobox, (size, size))
    for row in range(cut.shape.y):
        for column in range(cut.shape.x):
            yield f"b{row:02d}_{column:02d}", cut.roi[row, column], cut[row, column]


@dataclass(frozen=True)
class ClearViews:
    """The clear views of a build.

    Attributes:
        work: folder of the build.
        day: day of each scene, counted from the first day of the region `[view]`, ascending.
    """

    work: Work
    day: np.ndarray

    def read(self, index: str, tile: Tile) -> np.ndarray:
        """An index over a tile `[view, pixel]`, float32, NaN where not clear."""
        stored = zarr.open_array(self.work.views / index, mode="r")[:, tile.y, tile.x].reshape(len(self.day), -1)
        return np.where(stored == layout.NODATA, np.nan, stored * np.float32(SCALE)).astype(np.float32)


def offered(config: RegionConfig, scenes: Sequence[Scene], catalog: dict) -> list[str]:
    """Bands that every scene has, so that no series mixes a band and its substitute."""
    named = [band.name for source in config.imagery for band in catalog[source.dataset].bands]
    of_each = [scene.origin.get("bands", named) for scene in scenes]
    known = dict.fromkeys([*named, *(band for bands in of_each for band in bands)])  # angles are in the scenes, not in the catalog
    return [band for band in known if all(band in bands for bands in of_each)]


def collect(
    config: RegionConfig, catalog: dict, scenes: Sequence[Scene], work: Work, progress: Progress
) -> ClearViews:
    """Read every scene that has not been read yet.

    Args:
        config: configuration of the region.
        catalog: datasets by id.
        scenes: scenes in order.
        work: folder of the build.
        progress: called with (done, all, message).

    Raises:
        ValueError: a file is damaged or lacks a band; or scenes of the interrupted build are missing, or were replaced; views that
            were read are kept.
    """
    grid, names = config.region_grid, (config.vegetation.index, *config.vegetation.also)
    scenes = _begun_with(config, scenes, names, work)
    parts, bands = list(blocks(grid.geobox)), bands_needed(names, offered(config, scenes, catalog))
    for number, scene in enumerate(scenes):
        files = fingerprint(scene.origin)
        for name, window, box in parts:
            marker = f"views/{number:05d}_{name}"
            before = work.read(marker)
            if before is None:
                work.write(marker, _read_block(scene, names, bands, number, window, box, work) | {"files": files})
            elif before.get("files", files) != files:  # not recorded by earlier versions
                _check_same(scene, names, bands, number, window, box, work)
                work.write(marker, before | {"files": files})
        progress(number + 1, len(scenes), f"{scene.day} {scene.id}")
    first = config.period.days[0]
    return ClearViews(work, np.array([(scene.day - first).astype(int) for scene in scenes]))


def _begun_with(config: RegionConfig, scenes: Sequence[Scene], names: Sequence[str], work: Work) -> Sequence[Scene]:
    """The scenes of this build: all that the first call finds, and the same ones later, whatever a service has added since."""
    before = work.read("scenes")
    if before is None:
        _template(config, len(scenes), names, work)
        work.write("scenes", {"scenes": [scene.id for scene in scenes], "days": [str(scene.day) for scene in scenes]})
        return scenes
    by_name = {(scene.id, str(scene.day)): scene for scene in scenes}
    wanted = list(zip(before["scenes"], before["days"], strict=True))
    gone = [f"{name} of {day}" for name, day in wanted if (name, day) not in by_name]
    if gone:
        raise ValueError(
            f"{len(gone)} of the {len(wanted)} scenes this build began with are missing now, first {gone[0]}; "
            f"restore them, or remove {work.folder} and build anew"
        )
    return [by_name[key] for key in wanted]


def _template(config: RegionConfig, count: int, names: Sequence[str], work: Work) -> None:
    grid = config.region_grid
    group = zarr.open_group(work.views, mode="w")
    for name in names:
        group.create_array(
            name, shape=(count, *grid.shape), dtype=np.int16, chunks=(1, CHUNK_TILES * grid.tile, CHUNK_TILES * grid.tile),
            compressors=layout.codecs(), fill_value=layout.NODATA, dimension_names=("view", "y", "x"),
        )  # fmt: skip


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
