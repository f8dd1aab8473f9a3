"""The beginning of a run: its template and `run.json`, or a check that those there are of the same run; and what is swept at its end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hybridflux.files import PARTIAL, whole_stream
from hybridflux.provenance import canonical_json, provenance
from hybridflux.records import read_record, write_record
from hybridflux.region.outputs.base import arrays_of
from hybridflux.region.outputs.flux_store import SIGN, SPREADS, create_store
from hybridflux.region.outputs.merge_totals import Merged
from hybridflux.region.run import lock
from hybridflux.region.spec import Job, differences
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES

POSTERIOR = "posterior.nc"
"""File of a run folder: the draws of the run. With `run.json` all that a task needs to know."""

MADE = "written by `hybridflux map`; map again into another folder"
NEEDS = ("state", "region", "config", "config_hash", "title", "spread", "start", "end", "changes", "provenance")
"""What `run.json` of every run has."""
UNCREDITED = "not recorded: the region store does not say what it was made of (attribute `attribution`)"


def begin(job: Job, resume: bool) -> dict:
    """Write the template and `run.json`, or check those that are there.

    Returns:
        What `run.json` holds.

    Raises:
        FileExistsError: the folder holds a run and `resume` is not set, or something else.
        ValueError: the run there is of another configuration; names the differences.
    """
    path = job.out / "run.json"
    record = check(job, resume)
    if record is None or record["state"] == "preparing":  # a template that was cut short is written again
        record = _record(job)
        write_record(path, record)
        for folder in ("tiles", "totals", "cog"):
            (job.out / folder).mkdir(exist_ok=True)
        replace(job.posterior, observed={}).save(job.out / POSTERIOR)
        create_store(job.store, job.region, job.calendar, attributes(record), arrays_of(job.keep, job.calendar))
        record |= {"state": "running", "template": checksums.of_folder(job.store)}
        write_record(path, record)
    return record


def is_begun(job: Job) -> bool:
    """Whether the template of a run is complete."""
    path = job.out / "run.json"
    return path.exists() and read_record(path, MADE, NEEDS)["state"] != "preparing"


def check(job: Job, resume: bool) -> dict | None:
    """The record of the run that is there, or None where there is none; touches nothing.

    Raises:
        FileExistsError: as `begin`.
        ValueError: as `begin`.
    """
    path = job.out / "run.json"
    record = read_record(path, MADE, NEEDS) if path.exists() else None
    if record is not None and record["state"] != "preparing" and record["config_hash"] == job.hash:
        checksums.check_template(job.out, record)
    if record is not None and not resume:
        raise FileExistsError(f"{job.out} holds a run (state `{record['state']}`); go on with `--resume`, or give another folder")
    if record is None and job.out.exists() and any(not _is_left_behind(one) for one in job.out.iterdir()):
        raise FileExistsError(f"{job.out} is not empty and not a run folder; give another folder")
    if record is not None and record["config_hash"] != job.hash:
        lines = "\n".join(f"- {line}" for line in differences(record["config"], json.loads(canonical_json(job.config()))))
        raise ValueError(f"{job.out} is a run of another configuration and cannot be resumed; run it into another folder:\n{lines}")
    return record


def _is_left_behind(path: Path) -> bool:
    """Whether a run that died at its first step left this."""
    return path.name == lock.FOLDER or (path.name.startswith("run.json.") and path.suffix == PARTIAL)


def _record(job: Job) -> dict:
    """A new `run.json`."""
    config = json.loads(canonical_json(job.config()))
    return {
        "state": "preparing", "title": f"Carbon fluxes of {job.region.title}", "region": str(job.region.path.resolve()),
        "spread": job.spread,
        "spread_meaning": SPREADS[job.spread], "sign": SIGN, "draws": job.draws, "seed": job.seed, "start": config["start"],
        "end": config["end"], "days": len(job.calendar.mapped), "changes": config["changes"], "attribution": job.region.attribution,
        "plant_types": {"at_towers": job.at_towers}, "config": config, "config_hash": job.hash,
        "provenance": provenance(config, job.seed),
    }  # fmt: skip


def sweep(job: Job) -> None:
    """Remove what killed processes left half written, in the store and beside it; nothing reads it."""
    for folder in (job.out, *(job.out / name for name in ("tiles", "totals", "cog"))):
        for path in folder.glob(f"*{PARTIAL}"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in job.store.rglob("*.partial"):  # as zarr names them
        path.unlink()


def attributes(record: Mapping) -> dict[str, str]:
    """Attributes of every product of a run."""
    written = record["provenance"]["time"]
    return {
        "title": record["title"],
        "spread": record["spread"],
        "time_coverage_start": record["start"],
        "time_coverage_end": record["end"],
        "days": str(record.get("days", "")),
        "credit": "; ".join(record.get("attribution", ())) or UNCREDITED,
        "source": "hybridflux, posterior of a hybrid carbon-flux model",
        "history": f"{written} hybridflux map",
        "changes": " ".join(record["changes"]) or "none",
        "config_hash": record["config_hash"],
        "provenance": canonical_json(record["provenance"]),
    }


def write_totals(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> None:
    """Merge the totals of all tiles into the files of the outputs that have one, each whole or not at all."""
    merged = Merged.of(job.totals(tile.id) for tile in tiles)
    common = dict(attributes) | {
        "Conventions": layout.CONVENTIONS, "spread": job.spread, "spread_meaning": SPREADS[job.spread], "sign": SIGN,
        "zone_names": json.dumps(job.region.zone_names), "plant_types": " ".join(PLANT_TYPES),
    } | ({} if job.at_towers is None else {"plant_types_at_towers": " ".join(job.at_towers)})  # fmt: skip
    for output in job.keep:
        if output.file:
            with whole_stream(job.out / output.file) as stream:
                output.merge(stream, job, merged, common)
