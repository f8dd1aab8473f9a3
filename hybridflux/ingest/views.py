"""Clear views of the region: which scenes there are, and the store in which each of them is kept as vegetation indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zarr

from hybridflux.data.imagery import reader
from hybridflux.data.imagery.scene import Scene
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.work import Work
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Grid, Tile

CHUNK_TILES = 4  # tiles along the side of a file of views, so that files are neither many nor large; each tile is read alone
SCALE = layout.SCALE
"""Scale of the stored indices, int16."""


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


@dataclass(frozen=True)
class ClearViews:
    """The clear views of a build.

    Attributes:
        work: folder of the build.
        day: day of each scene, counted from the first day of the region `[view]`, ascending.
    """

    work: Work
    day: np.ndarray

    @classmethod
    def of(cls, work: Work, first: np.datetime64) -> ClearViews:
        """The views of the scenes that a build began with.

        Args:
            work: folder of the build.
            first: first day of the region.
        """
        return cls(work, (np.array(work.read("scenes")["days"], "datetime64[D]") - first).astype(int))

    def stored(self, index: str, tile: Tile) -> np.ndarray:
        """An index over a tile `[view, pixel]` as it is stored, int16 in steps of `SCALE`, `layout.NODATA` where not clear."""
        return zarr.open_array(self.work.views / index, mode="r")[:, tile.y, tile.x].reshape(len(self.day), -1)

    def read(self, index: str, tile: Tile) -> np.ndarray:
        """An index over a tile `[view, pixel]`, float32, NaN where not clear."""
        stored = self.stored(index, tile)
        return np.where(stored == layout.NODATA, np.nan, stored * np.float32(SCALE)).astype(np.float32)


def offered(config: RegionConfig, scenes: Sequence[Scene], catalog: dict) -> list[str]:
    """Bands that every scene has, so that no series mixes a band and its substitute."""
    named = [band.name for source in config.imagery for band in catalog[source.dataset].bands]
    of_each = [scene.origin.get("bands", named) for scene in scenes]
    known = dict.fromkeys([*named, *(band for bands in of_each for band in bands)])  # angles are in the scenes, not in the catalog
    return [band for band in known if all(band in bands for bands in of_each)]


def those_of_the_build(scenes: Sequence[Scene], work: Work) -> Sequence[Scene]:
    """The scenes that a build began with, whatever a service has added since; all of them before it has begun.

    Raises:
        ValueError: scenes of the interrupted build are missing.
    """
    before = work.read("scenes")
    if before is None:
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


def begin(scenes: Sequence[Scene], names: Sequence[str], grid: Grid, work: Work) -> None:
    """Create the store of the views and note the scenes of the build, unless it has begun.

    The days are on the axis of scenes, each in files of its own, so that scenes are written side by side; a file holds tiles that are
    read one by one.
    """
    if work.read("scenes") is not None:
        return
    group, side = zarr.open_group(work.views, mode="w"), CHUNK_TILES * grid.tile
    for name in names:
        group.create_array(
            name, shape=(len(scenes), *grid.shape), dtype=np.int16, shards=(1, side, side), chunks=(1, grid.tile, grid.tile),
            compressors=layout.codecs(), fill_value=layout.NODATA, dimension_names=("view", "y", "x"),
        )  # fmt: skip
    work.write("scenes", {"scenes": [scene.id for scene in scenes], "days": [str(scene.day) for scene in scenes]})
