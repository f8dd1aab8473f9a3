"""What a build writes beside the vegetation: the store with everything else, before, and the record of its sources, behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import zarr

from hybridflux.addresses import without_secrets
from hybridflux.data.catalog import Dataset
from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.ingest import soil_moisture
from hybridflux.ingest.build_job import BuildJob, plain
from hybridflux.ingest.config import RegionConfig
from hybridflux.ingest.smoother_fit import WHOLE
from hybridflux.ingest.static_maps import read_static_maps
from hybridflux.ingest.weather_drivers import read_drivers
from hybridflux.region.draws.vegetation_error import CalibrationLineError, VegetationError, sd_of
from hybridflux.region.store import layout
from hybridflux.region.store.checksums import seal
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region


def write_template(job: BuildJob) -> None:
    """Write the store with everything but the vegetation series, unless that is done."""
    if job.work.read("template") is not None:
        return
    config, catalog, out = job.config, job.catalog, job.out
    land = read_static_maps(config, catalog)
    soil_water = soil_moisture.read(config, catalog)
    drivers = read_drivers(config, catalog, land.elevation, soil_water, job.work)
    covariates = {} if land.elevation is None else {"elevation": np.nan_to_num(land.elevation).astype(np.float32)}
    brought = {name: {layout.LIKE: dataset} for name, dataset in config.vegetation.brought.items() if name in job.lines}
    layers = {name: brought.get(name, {}) for name in job.daily_maps if name != "fapar"}
    maps = RegionMaps(land.plant_type, land.soil_capacity, drivers.cell, land.zone, land.zone_names, covariates, layers)
    weather = RegionWeather(config.period.days, drivers.values, utc_offset=config.utc_offset)
    create_region(out, config.region_grid, maps, weather, warm_up=config.period.lead, title=config.title, overwrite=True)
    group = zarr.open_group(out, mode="r+", use_consolidated=False)
    sources = {"land": land.origin, "weather": drivers.origin}
    sources["moisture"] = soil_moisture.write(soil_water, group)
    group.attrs.update(without_secrets({
        "state": "building", "id": config.id, "config": config.model_dump(mode="json"), "seed": job.seed, **plain(job.lines),
        "sources": sources, "attribution": _credits(config, catalog), "note": config.note or "",
    }))  # fmt: skip
    if drivers.other_days:
        group.attrs[layout.WEATHER_DAYS] = drivers.other_days
    job.work.write("template", {"out": out.name})


def _credits(config: RegionConfig, catalog: Mapping[str, Dataset]) -> list[str]:
    """The credits of the sources that a product of this region must carry."""
    used = [catalog[source.dataset] for sources in config.sources().values() for source in sources]
    years = "-".join(dict.fromkeys((str(config.period.days[0])[:4], str(config.period.end.year))))
    sentences = [f"{dataset.title}: {dataset.attribution or dataset.citation} ({dataset.licence})" for dataset in used]
    return [sentence.replace("[years]", years).replace("[year]", years) for sentence in dict.fromkeys(sentences)]


def complete(job: BuildJob) -> float:
    """Write hyperparameters and scenes, mark the store as complete, and return the mean clear share."""
    index, config, processes, out = job.indices[0], job.config, job.processes, job.out
    records = job.work.records("views")
    tiles = job.work.records("tiles")
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
