"""Parts of a build done the whole way into a folder that is thrown away: what a scene, a plant type and a pixel cost here and now."""

from __future__ import annotations

import dataclasses
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import zarr

from hybridflux.data.imagery.indices import bands_needed
from hybridflux.ingest import views
from hybridflux.ingest.build_job import BuildJob
from hybridflux.ingest.config import SourceConfig
from hybridflux.ingest.fill_tile import fill_tile
from hybridflux.ingest.made_up import made_up_items, made_up_job, made_up_views
from hybridflux.ingest.read_scene import BLOCK, read_scene
from hybridflux.ingest.region_store import write_template
from hybridflux.ingest.run_build import SCENES_AT_ONCE
from hybridflux.ingest.smoother_fit import LEAST_PIXELS, SAMPLE
from hybridflux.ingest.work import Work
from hybridflux.region.run.executors import Serial
from hybridflux.region.store import layout
from hybridflux.series import learn
from hybridflux.vocabulary import PLANT_TYPES

SIDE, TILES = 96, 2  # pixels along the side of the tiles that are filled, and tiles along a side
FEWER = 4  # times as many views has a plant type of the region as that of the trial; its time grows with them
KINDS = 6  # plant types of a region, where its land cover is not at hand


@dataclasses.dataclass(frozen=True)
class BuildTrial:
    """What the parts of a build take on this machine.

    Attributes:
        begin: seconds before and between the parts, whatever the size: to load and compile the programs.
        land: seconds of static maps and weather; 0 where they come from services.
        scene: seconds a scene, while others are read; of a service, without those in which it arrives.
        learning: seconds of the hyperparameters of all indices and plant types.
        pixel_day: seconds to fill and write a pixel and day, all indices.
    """

    begin: float
    land: float
    scene: float
    learning: float
    pixel_day: float

    def seconds(self, pixel_days: float, scenes: float) -> float:
        """Seconds of a build."""
        return self.begin + self.land + self.scene * scenes + self.learning + self.pixel_day * pixel_days

    @classmethod
    def of(cls, job: BuildJob, scenes: int, *, land: bool, imagery: bool, service: str = "") -> BuildTrial:
        """Do parts of a build.

        Args:
            job: the build; nothing of it is written.
            scenes: how many there are, or may be.
            land: whether static maps and weather are files of this machine.
            imagery: whether the scenes are.
            service: dataset of the scenes of a service, which are made up; empty where there are none.
        """
        with tempfile.TemporaryDirectory(prefix="hybridflux-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the build says it
            of_land, of_scene, first_scene, sizes = _of_files(job, Path(folder), land, imagery, service)
            first_learn, of_learn = _of_learning(job, scenes)
            first_tile, pixel_day = _of_filling(job, Path(folder), scenes)
        begin = first_scene + first_learn * len({SAMPLE, *sizes}) + first_tile  # samples of a size have a program, which all indices share
        return cls(begin, of_land, of_scene, of_learn * len(job.indices) * (1 + len(sizes)), pixel_day)


def _of_files(job: BuildJob, folder: Path, land: bool, imagery: bool, service: str) -> tuple[float, float, float, list[int]]:
    """Seconds of land and weather, of a scene, what comes before and with the first one, and sample of each plant type, by the middle."""
    config, grid, share = job.config, job.config.grid, 1.0
    rows, columns = config.region_grid.shape
    if max(rows, columns) > BLOCK:
        height, width = (min(side, BLOCK) for side in (rows, columns))
        west, north = grid.west + grid.pixel * ((columns - width) // 2), grid.north - grid.pixel * ((rows - height) // 2)
        share = height * width / (rows * columns)
        config = config.on(west=west, north=north, east=west + grid.pixel * width, south=north - grid.pixel * height)
    if service:
        bands = bands_needed(job.indices, [band.name for band in job.catalog[service].bands])
        place = made_up_items(folder, config, job.catalog[service], bands, 1 + SCENES_AT_ONCE)
        config = config.model_copy(update={"imagery": (SourceConfig(dataset=service, place=str(place)),)})
    out = folder / "middle.zarr"
    apart = dataclasses.replace(job, config=config, work=Work.beside(out), out=out)
    of_land, of_scene, first, sizes = 0.0, 0.0, 0.0, KINDS * [SAMPLE]
    if land:
        began = time.perf_counter()
        write_template(apart)
        of_land = (time.perf_counter() - began) / share
        codes, counts = np.unique(zarr.open_array(out / "plant_type", mode="r")[:], return_counts=True)
        sizes = sample_sizes(counts[codes < len(PLANT_TYPES)] / counts.sum(), rows * columns)
    if imagery or service:
        began = time.perf_counter()
        views.begin(apart.scenes, apart.indices, apart.config.region_grid, apart.work)
        listed = time.perf_counter() - began
        numbers = np.unique(np.linspace(0, len(apart.scenes) - 1, 1 + 2 * SCENES_AT_ONCE).astype(int)).tolist()
        first = _seconds(read_scene, apart, numbers[:1])
        of_scene = _seconds(read_scene, apart, numbers[1:]) / max(len(numbers) - 1, 1)
        first, of_scene = listed + max(first - of_scene, 0.0), of_scene / share
    return of_land, of_scene, first, sizes


def sample_sizes(shares: np.ndarray, pixels: int) -> list[int]:
    """Pixels from which the hyperparameters of each plant type are learned, of those common enough (`smoother_fit`).

    Args:
        shares: of the pixels that each plant type has.
        pixels: of the region.

    >>> sample_sizes(np.array([0.6, 0.39, 0.01]), 3000), sample_sizes(np.array([0.6, 0.39, 0.01]), 10**6)
    ([1500, 1170], [1500, 1500, 225])
    """
    sampled = shares * min(pixels, len(PLANT_TYPES) * SAMPLE)
    return np.minimum(sampled[sampled >= LEAST_PIXELS], SAMPLE).round().astype(int).tolist()


def _of_learning(job: BuildJob, scenes: int) -> tuple[float, float]:
    """What the first plant type takes more, and seconds of each."""
    days = len(job.config.period.days)
    when = np.linspace(0, days - 1, max(scenes // FEWER, 20)).astype(int)
    stored = np.stack([view.reshape(-1)[:SAMPLE] for view in made_up_views(when, days, int(np.ceil(np.sqrt(SAMPLE))), 0.45)])
    values = np.where(stored == layout.NODATA, np.nan, stored * np.float32(layout.SCALE))
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        learn(values, when, days)
        seconds.append(time.perf_counter() - began)
    return max(seconds[0] - seconds[1], 0.0), seconds[1] * scenes / len(when)


def _of_filling(job: BuildJob, folder: Path, scenes: int) -> tuple[float, float]:
    """What the first tile takes more, and seconds a pixel and day."""
    made = made_up_job(folder, job.config, job.catalog, job.lines, tiles=TILES, tile=SIDE, scenes=max(scenes, 2))
    tiles, days = list(made.config.region_grid.tiles()), len(made.config.period.days)
    first, others = _seconds(fill_tile, made, tiles[:1]), _seconds(fill_tile, made, tiles[1:]) / (len(tiles) - 1)
    return max(first - others, 0.0), others / (SIDE**2 * days)


def _seconds(work, job: BuildJob, units: list) -> float:
    """Seconds of some units, done as a build does them."""
    began = time.perf_counter()
    list(Serial().run(work, job, units, at_once=SCENES_AT_ONCE if work is read_scene else 0))
    return time.perf_counter() - began
