"""`build_region`: from a configuration to a region store, resumable, with a record of all its sources."""

from __future__ import annotations

from pathlib import Path

from hybridflux.data.catalog import Dataset, load_catalog
from hybridflux.data.harmonisation import ALL, IDENTITY, CalibrationLine
from hybridflux.ingest.build_job import BuildJob, Lines
from hybridflux.ingest.config import RegionConfig, load_config
from hybridflux.ingest.dry_run import LOCAL, BuildPlan, plan, tried
from hybridflux.ingest.run_build import BuildReport, run_build
from hybridflux.ingest.work import Work
from hybridflux.progress import Progress
from hybridflux.region.run.executors import Executor, Serial, Slurm


def build_region(
    config: str | Path | RegionConfig, out: str | Path, *, data: Path | None = None, catalog: Path | None = None, resume: bool = False,
    seed: int = 0, executor: Executor | Slurm | None = None, progress: Progress | None = None,
) -> BuildReport:  # fmt: skip
    """Build a region store.

    The order is: static maps, weather, the scenes, the hyperparameters of the smoother, the series of the tiles. Scenes and tiles are units
    that an executor hands out, as those of a map. Finished work is kept in `REGION.build` beside the store, so that an interrupted build
    continues and gives the same store, whoever does its units.

    Args:
        config: a configuration, its file, or its id in the catalog.
        out: store to write, `*.zarr`.
        data: folder that replaces `{data}` in the places of the configuration.
        catalog: folder with datasets of your own, `satellite/my-camera.toml`, which join those of hybridflux.
        resume: continue an interrupted build.
        seed: seed of the sample of pixels from which the smoother learns.
        executor: who reads the scenes and fills the tiles; this process with all its cores where it is None.
        progress: called with (done, all, message).

    Raises:
        FileExistsError: the region, or a build of it, exists and `resume` is not set; or another process is building it.
        FileNotFoundError: a place does not exist.
        ValueError: a source is damaged, does not cover the region, or holds impossible values; finished work is kept.
    """
    given = config if isinstance(config, RegionConfig) else load_config(config)
    job = make_job(given.at(data), catalog, Path(out), seed)
    notify = progress or (lambda done, total, message: None)
    return run_build(job, resume, executor or Serial(), notify, again(config, job.out, data, catalog, seed))


def make_job(config: RegionConfig, catalog: Path | None, out: Path, seed: int) -> BuildJob:
    """The job of a configuration, whose datasets and calibration lines are there.

    Raises:
        ValueError: a dataset or a line is missing.
    """
    datasets = _datasets(config, catalog)
    return BuildJob(config, datasets, lines_of(config, datasets), seed, Work.beside(out), out)


def again(config: str | Path | RegionConfig, out: Path, data: Path | None, catalog: Path | None, seed: int) -> tuple[str, ...]:
    """Words of the command line that go on with a build, for the tasks of a batch system; none where its configuration is no file."""
    if isinstance(config, RegionConfig):
        return ()
    place = str(Path(config).resolve()) if Path(config).exists() else str(config)
    words = ("region", "build", place, "--out", str(out.resolve()), "--resume", "--seed", str(seed))
    folders = ((name, folder) for name, folder in (("--data", data), ("--catalog", catalog)) if folder is not None)
    return words + tuple(word for name, folder in folders for word in (name, str(folder.resolve())))


def plan_region(
    config: str | Path | RegionConfig, out: str | Path, *, data: Path | None = None, catalog: Path | None = None, trial: bool = False
) -> BuildPlan:
    """The dry run of `build_region`: what it would request, read and write; `FOLDER` stands for `data` where it is not named.

    Args:
        config: as in `build_region`, like `out`, `data` and `catalog`.
        out: store that would be written.
        data: folder of local files.
        catalog: folder with datasets of your own.
        trial: do parts of the build in a temporary folder, for half a minute, so that the plan says how long it takes on this machine.
    """
    config = config if isinstance(config, RegionConfig) else load_config(config)
    job = make_job(config.at(Path(LOCAL) if data is None else data), catalog, Path(out), seed=0)
    planned = plan(job.config, job.catalog, job.out)
    return tried(planned, job) if trial else planned


def lines_of(config: RegionConfig, catalog: dict[str, Dataset]) -> Lines:
    """Calibration lines by daily map and plant type: from the index to fapar, and of the indices of `also` to the instrument of `like`.

    An index for which `like` has no line stays as the imagery shows it, and its map does not carry the name of the dataset.

    Raises:
        ValueError: the dataset has no calibration line for the index, or `like` for none of `also` or not for one that it names.
    """
    wanted = config.vegetation
    found = {"fapar": {ALL: IDENTITY} if wanted.line is None else _lines(catalog[wanted.line], wanted.index)}
    if isinstance(wanted.like, str):
        of_indices = {name: catalog[wanted.like].lines[name] for name in wanted.also if name in catalog[wanted.like].lines}
        return found | (of_indices or _lines(catalog[wanted.like], ", ".join(wanted.also)))
    return found | {name: _lines(catalog[dataset], name) for name, dataset in wanted.brought.items()}


def _lines(dataset: Dataset, index: str) -> dict[str, CalibrationLine]:
    if index not in dataset.lines:
        known = ", ".join(dataset.lines) or "none"
        raise ValueError(f"dataset `{dataset.id}` has no calibration line for the index `{index}`; it has {known}")
    return dataset.lines[index]


def _datasets(config: RegionConfig, own: Path | None) -> dict[str, Dataset]:
    """The catalog, checked to hold every dataset that the configuration names.

    Raises:
        ValueError: names the datasets that are missing.
    """
    catalog = load_catalog(own=own)
    calibrated = {config.vegetation.line, *config.vegetation.brought.values()} - {None}
    named = {source.dataset for sources in config.sources().values() for source in sources} | calibrated
    unknown = sorted(named - set(catalog))
    if unknown:
        raise ValueError(f"region `{config.id}` names datasets that are not in the catalog: {', '.join(unknown)}; see `hybridflux catalog`")
    return catalog
