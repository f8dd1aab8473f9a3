"""`build_region`: from a configuration to a region store, resumable, with a record of all its sources."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import zarr

from hybridflux.addresses import without_secrets
from hybridflux.data.catalog import Dataset, load_catalog
from hybridflux.data.harmonisation import ALL, IDENTITY, CalibrationLine
from hybridflux.files import sweep
from hybridflux.ingest import soil_moisture
from hybridflux.ingest.config import RegionConfig, load_config
from hybridflux.ingest.dry_run import LOCAL, BuildPlan, plan
from hybridflux.ingest.fapar_series import WHOLE, Lines, Processes, daily_maps, fill_tiles, learn_processes
from hybridflux.ingest.region_report import OTHER_DAYS
from hybridflux.ingest.static_maps import read_static_maps
from hybridflux.ingest.views import collect, find_scenes
from hybridflux.ingest.weather_drivers import read_drivers
from hybridflux.ingest.work import Work
from hybridflux.progress import Progress
from hybridflux.region.draws.vegetation_error import CalibrationLineError, VegetationError, sd_of
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.plausible_drivers import Finding, findings
from hybridflux.region.run.lock import hold
from hybridflux.region.store import layout
from hybridflux.region.store.checksums import seal
from hybridflux.region.store.create import RegionMaps, RegionWeather, RegionWriter, create_region


@dataclass(frozen=True)
class BuildReport:
    """Summary of a build.

    Attributes:
        out: region store.
        scenes: number of scenes read.
        clear: share of the pixels of the region that were clear, mean over the scenes.
        tiles: number of tiles.
        days: number of days of the store.
        seconds: duration of this call.
        other_days: definition of the days of the weather; empty where they are those of the region.
        unusual: findings that are odd or wrong by the declared ranges.
    """

    out: Path
    scenes: int
    clear: float
    tiles: int
    days: int
    seconds: float
    other_days: str = ""
    unusual: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        views = f"{self.scenes} scenes, {100 * self.clear:.0f} % clear on average"
        summary = f"{self.out}: {views}; {self.tiles} tile{'s' if self.tiles != 1 else ''} x {self.days} days in {self.seconds:.0f} s"
        lines = [f"{OTHER_DAYS}: {self.other_days}"] if self.other_days else []
        return "\n".join([summary, *lines, *(str(finding) for finding in self.unusual)])


def build_region(
    config: str | Path | RegionConfig, out: str | Path, *, data: Path | None = None, catalog: Path | None = None, resume: bool = False,
    seed: int = 0, progress: Progress | None = None,
) -> BuildReport:  # fmt: skip
    """Build a region store.

    The order is: static maps, weather, the scenes one by one, the hyperparameters of the smoother, the series tile by tile. Finished work
    is kept in `REGION.build` beside the store, so that an interrupted build continues and gives the same store.

    Args:
        config: a configuration, its file, or its id in the catalog.
        out: store to write, `*.zarr`.
        data: folder that replaces `{data}` in the places of the configuration.
        catalog: folder with datasets of your own, `satellite/my-camera.toml`, which join those of hybridflux.
        resume: continue an interrupted build.
        seed: seed of the sample of pixels from which the smoother learns.
        progress: called with (done, all, message).

    Raises:
        FileExistsError: the region, or a build of it, exists and `resume` is not set; or another process is building it.
        FileNotFoundError: a place does not exist.
        ValueError: a source is damaged, does not cover the region, or holds impossible values; finished work is kept.
    """
    began, out = time.perf_counter(), Path(out)
    config = (config if isinstance(config, RegionConfig) else load_config(config)).at(data)
    catalog, notify = _datasets(config, catalog), progress or (lambda done, total, message: None)
    lines = lines_of(config, catalog)
    work = Work.beside(out)
    work.check(resume, out)
    with hold(work.folder, resumed=resume):
        work.start({"region": config.model_dump(mode="json"), "seed": seed, "lines": _plain(lines["fapar"])} | _also(lines), resume, out)
        scenes = find_scenes(config, catalog)
        template = work.read("template")
        if template is None:
            _template(config, catalog, lines, seed, work, out)
            work.write("template", {"out": out.name})
        views = collect(config, catalog, scenes, work, notify)
        writer = RegionWriter(out, config.region_grid, config.period.days)
        plant_type = zarr.open_array(out / "plant_type", mode="r")[:]
        processes = learn_processes(config, views, plant_type, work, seed)
        fill_tiles(config, views, processes, lines, writer, plant_type, work, notify)
        sweep(work.folder, "views", "tiles", work.views.name)
        sweep(out)
        clear = _finish(config, processes, work, out)
    other_days = zarr.open_group(out, mode="r").attrs.get(layout.WEATHER_DAYS, "")
    unusual = tuple(finding for finding in findings(open_region(out, check=False)) if finding.level != "ok")
    seconds = time.perf_counter() - began
    return BuildReport(out, len(views.day), clear, len(config.region_grid), len(config.period.days), seconds, other_days, unusual)


def plan_region(
    config: str | Path | RegionConfig, out: str | Path, *, data: Path | None = None, catalog: Path | None = None
) -> BuildPlan:
    """The dry run of `build_region`: what it would request, read and write; `FOLDER` stands for `data` where it is not named."""
    config = config if isinstance(config, RegionConfig) else load_config(config)
    return plan(config.at(Path(LOCAL) if data is None else data), _datasets(config, catalog), Path(out))


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


def _template(config: RegionConfig, catalog: dict[str, Dataset], lines: Lines, seed: int, work: Work, out: Path) -> None:
    """Write the store with everything but the vegetation series."""
    land = read_static_maps(config, catalog)
    soil_water = soil_moisture.read(config, catalog)
    drivers = read_drivers(config, catalog, land.elevation, soil_water, work)
    covariates = {} if land.elevation is None else {"elevation": np.nan_to_num(land.elevation).astype(np.float32)}
    brought = {name: {layout.LIKE: dataset} for name, dataset in config.vegetation.brought.items() if name in lines}
    layers = {name: brought.get(name, {}) for name in daily_maps(config) if name != "fapar"}
    maps = RegionMaps(land.plant_type, land.soil_capacity, drivers.cell, land.zone, land.zone_names, covariates, layers)
    weather = RegionWeather(config.period.days, drivers.values, utc_offset=config.utc_offset)
    create_region(out, config.region_grid, maps, weather, warm_up=config.period.lead, title=config.title, overwrite=True)
    group = zarr.open_group(out, mode="r+", use_consolidated=False)
    sources = {"land": land.origin, "weather": drivers.origin}
    sources["moisture"] = soil_moisture.write(soil_water, group)
    group.attrs.update(without_secrets({
        "state": "building", "id": config.id, "config": config.model_dump(mode="json"), "seed": seed, "lines": _plain(lines["fapar"]),
        "sources": sources, "attribution": _credits(config, catalog), "note": config.note or "", **_also(lines),
    }))  # fmt: skip
    if drivers.other_days:
        group.attrs[layout.WEATHER_DAYS] = drivers.other_days


def _plain(lines: dict[str, CalibrationLine]) -> dict[str, dict]:
    return {kind: asdict(line) for kind, line in lines.items()}


def _also(lines: Lines) -> dict[str, dict]:
    """Lines of the other layers, for records; nothing where there are none."""
    others = {name: _plain(of_kind) for name, of_kind in lines.items() if name != "fapar"}
    return {"lines_of_indices": others} if others else {}


def _credits(config: RegionConfig, catalog: dict[str, Dataset]) -> list[str]:
    """The credits of the sources that a product of this region must carry."""
    used = [catalog[source.dataset] for sources in config.sources().values() for source in sources]
    years = "-".join(dict.fromkeys((str(config.period.days[0])[:4], str(config.period.end.year))))
    sentences = [f"{dataset.title}: {dataset.attribution or dataset.citation} ({dataset.licence})" for dataset in used]
    return [sentence.replace("[years]", years).replace("[year]", years) for sentence in dict.fromkeys(sentences)]


def _finish(config: RegionConfig, processes: Processes, work: Work, out: Path) -> float:
    """Write hyperparameters and scenes, mark the store as complete, and return the mean clear share."""
    index = config.vegetation.index
    records = work.records("views")
    tiles = work.records("tiles")
    scenes: dict[str, dict] = {}
    for record in records.values():
        scene = scenes.setdefault(record["id"], {"day": record["day"], "origin": record["origin"], "clear": []})
        scene["clear"].append(record[index]["clear"])
    listed = [{"id": name, **scene, "clear": round(float(np.mean(scene["clear"])), 4)} for name, scene in scenes.items()]
    views = {what: sum(tile[index][key] for tile in tiles.values()) for what, key in (("clear", "views"), ("rejected", "rejected"))}
    group = zarr.open_group(out, mode="r+", use_consolidated=False)
    lines = {"fapar": group.attrs["lines"], **group.attrs.get("lines_of_indices", {})}
    for name in ("fapar", *config.vegetation.also):
        errors = {kind: CalibrationLineError(**CalibrationLine(**line).relative()) for kind, line in lines.get(name, {}).items()}
        memory_days = processes[index if name == "fapar" else name][WHOLE].fast_days
        group[sd_of(name)].attrs.update(VegetationError(memory_days, errors).attributes())
    group.attrs.update({
        "scenes": listed,
        "smoother": {name: {kind: asdict(process) for kind, process in of_kind.items()} for name, of_kind in processes.items()},
        "views": views, "state": layout.COMPLETE,
    })  # fmt: skip
    seal(out)
    return float(np.mean([scene["clear"] for scene in listed]))
