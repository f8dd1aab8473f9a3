"""`BuildJob`: a region that is being built, as each of its units sees it, in this process or on a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from hybridflux.data.catalog import Dataset
from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.data.imagery.indices import bands_needed
from hybridflux.data.imagery.scene import Scene
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.smoother_fit import Processes, processes_of
from hybridflux.ingest.views import ClearViews, find_scenes, offered, those_of_the_build
from hybridflux.ingest.work import Work
from hybridflux.provenance import config_hash
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.store.grid import Tile

Lines = dict[str, dict[str, CalibrationLine]]
"""Daily map -> plant type or `ALL` -> calibration line from an index to it: `fapar`, and indices as another instrument sees them."""


@dataclass(frozen=True, eq=False)
class BuildJob:
    """A build. What is found out about it, such as its scenes, stays in the process that found it and does not travel.

    Attributes:
        config: configuration of the region, at its data.
        catalog: datasets by id.
        lines: calibration lines.
        seed: of the sample of pixels from which the smoother learns.
        work: folder of the build.
        out: store to write.
    """

    config: RegionConfig
    catalog: dict[str, Dataset]
    lines: Lines
    seed: int
    work: Work
    out: Path

    def __reduce__(self):
        return BuildJob, tuple(getattr(self, field.name) for field in fields(self))

    @property
    def record(self) -> dict:
        """All that decides the store, JSON-ready."""
        return {"region": self.config.model_dump(mode="json"), "seed": self.seed, **plain(self.lines)}

    @cached_property
    def hash(self) -> str:
        """Of the record."""
        return config_hash(self.record)

    @property
    def indices(self) -> tuple[str, ...]:
        """Vegetation indices that are read: that of fapar, then the others."""
        return self.config.vegetation.index, *self.config.vegetation.also

    @property
    def daily_maps(self) -> tuple[str, ...]:
        """Daily maps of the store, each followed by its standard deviation."""
        return tuple(array for name in ("fapar", *self.config.vegetation.also) for array in (name, sd_of(name)))

    def maps_of(self, index: str) -> tuple[str, ...]:
        """Daily maps that an index gives."""
        every = "fapar", *self.config.vegetation.also
        return tuple(name for name in every if name == index or (name == "fapar" and index == self.config.vegetation.index))

    @cached_property
    def scenes(self) -> Sequence[Scene]:
        """The scenes of this build in order; all that are found, where it has not begun with any."""
        return those_of_the_build(find_scenes(self.config, self.catalog), self.work)

    @cached_property
    def bands(self) -> list[str]:
        """Bands that the indices need."""
        return bands_needed(self.indices, offered(self.config, self.scenes, self.catalog))

    @cached_property
    def views(self) -> ClearViews:
        """The clear views."""
        return ClearViews.of(self.work, self.config.period.days[0])

    @cached_property
    def processes(self) -> Processes:
        """Hyperparameters of the smoother."""
        return processes_of(self.work, self.indices)

    def plant_type(self, tile: Tile) -> np.ndarray:
        """Plant types of a tile `[y, x]`."""
        return zarr.open_array(self.out / "plant_type", mode="r")[tile.y, tile.x]


def plain(lines: Lines) -> dict[str, dict]:
    """Calibration lines for records: `lines` those of fapar, `lines_of_indices` those of other maps where there are any."""
    all_lines = {name: {kind: asdict(line) for kind, line in of_kind.items()} for name, of_kind in lines.items()}
    of_fapar = all_lines.pop("fapar")
    return {"lines": of_fapar} | ({"lines_of_indices": all_lines} if all_lines else {})
