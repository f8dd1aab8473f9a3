"""The beginning of a run: its template and `run.json`, or a check that those there are of the same run; and what is swept at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hybridflux.files import PARTIAL, whole_stream
from hybridflux.provenance import canonical_json, provenance
from hybridflux.records import read_record, write_record
from hybridflux.region.draws.spread import PRIOR
from hybridflux.region.outputs.base import arrays_of
from hybridflux.region.outputs.flux_store import create_store
from hybridflux.region.outputs.merge_totals import Merged
from hybridflux.region.run import lock
from hybridflux.region.run.keep import outputs_of
from hybridflux.region.spec import Job, RunSpec, differences
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES, SIGN

POSTERIOR = "posterior.nc"
"""File of a run folder: the draws of the run. With `run.json` all that a task needs to know."""

MADE = "written by `hybridflux map`; map again into another folder"
NEEDS = ("state", "region", "spec", "config_hash", "title", "provenance")
"""What `run.json` of every run has."""
UNCREDITED = "not recorded: the region store does not say what it was made of (attribute `attribution`)"


def read_run(out: Path) -> dict:
    """What `run.json` of a run folder holds.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of a run of an earlier version.
    """
    record = read_record(out / "run.json", MADE)
    if "config" in record and "spec" not in record:
        raise ValueError(
            f"{out} is a run of an earlier version of hybridflux: its maps and totals can be used, but it cannot go on; map again into "
            "another folder"
        )
    return read_record(out / "run.json", MADE, NEEDS)


def spec_of(out: Path) -> RunSpec:
    """The specification of the run in a folder.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: as `read_run`.
    """
    return RunSpec.from_json(read_run(out)["spec"], outputs_of)


def begin(job: Job, resume: bool) -> dict:
    """Write the template and `run.json`, or check those that are there.

    Returns:
        What `run.json` holds.

    Raises:
        FileExistsError: the folder holds a run and `resume` is not set, or something else.
        ValueError: the run there is of another specification; names the differences.
    """
    path = job.out / "run.json"
    record = check(job, resume)
    if record is None or record["state"] == "preparing":  # a template that was cut short is written again
        record = _record(job)
        write_record(path, record)
        for folder in ("tiles", "totals", "cog"):
            (job.out / folder).mkdir(exist_ok=True)
        replace(job.posterior, observed={}).save(job.out / POSTERIOR)
        create_store(job.store, job.region, job.calendar, attributes(job, record), arrays_of(job.keep, job.calendar))
        record |= {"state": "running", "template": checksums.of_folder(job.store)}
        write_record(path, record)
    return record


def is_begun(job: Job) -> bool:
    """Whether the template of a run is complete."""
    path = job.out / "run.json"
    return path.exists() and read_run(job.out)["state"] != "preparing"


def check(job: Job, resume: bool) -> dict | None:
    """The record of the run that is there, or None where there is none; touches nothing.

    Raises:
        FileExistsError: as `begin`.
        ValueError: as `begin`.
    """
    path = job.out / "run.json"
    record = read_run(job.out) if path.exists() else None
    if record is not None and record["state"] != "preparing" and record["config_hash"] == job.hash:
        checksums.check_template(job.out, record)
    if record is not None and not resume:
        cure = f"go on with `hybridflux map --run {job.out}`, or give another folder"
        raise FileExistsError(f"{job.out} holds a run (state `{record['state']}`); {cure}")
    if record is None and job.out.exists() and any(not _is_left_behind(one) for one in job.out.iterdir()):
        raise FileExistsError(f"{job.out} is not empty and not a run folder; give another folder")
    if record is not None and record["config_hash"] != job.hash:
        lines = "\n".join(f"- {line}" for line in differences(record["spec"], job.spec.to_json()))
        raise ValueError(f"{job.out} is a run of another specification and cannot be resumed; run it into another folder:\n{lines}")
    return record


def _is_left_behind(path: Path) -> bool:
    """Whether a run that died at its first step left this."""
    return path.name == lock.FOLDER or (path.name.startswith("run.json.") and path.suffix == PARTIAL)


def _record(job: Job) -> dict:
    """A new `run.json`."""
    return {
        "state": "preparing", "title": f"Carbon fluxes of {job.region.title}", "region": str(job.region.path.resolve()),
        "spec": job.spec.to_json(), "config_hash": job.hash, "spread_meaning": job.spread.meaning, "stage": PRIOR, "sign": SIGN,
        "days": len(job.calendar.mapped), "attribution": job.region.attribution, "plant_types": {"at_towers": job.at_towers},
        "provenance": provenance(job.spec.to_json(), job.seed),
    } | _structural_error(job)  # fmt: skip


def _structural_error(job: Job) -> dict:
    """Correlation of the structural error of a run in space, and the towers whose residuals it passes through; empty where it has none."""
    basis = job.field_basis
    if basis is None:
        return {}
    about = {**basis.correlation.to_json(), "towers": [tower.name for tower in basis.towers]}
    return {"structural_error": about}


def attributes(job: Job, record: Mapping) -> dict[str, str]:
    """Attributes of every product of a run."""
    period = job.spec.period
    return {
        "title": record["title"],
        "spread": job.spread.value,
        "stage": PRIOR,
        "time_coverage_start": str(period.start),
        "time_coverage_end": str(period.end),
        "days": str(len(job.calendar.mapped)),
        "credit": "; ".join(record.get("attribution", ())) or UNCREDITED,
        "source": "hybridflux, posterior of a hybrid carbon-flux model",
        "history": f"{record['provenance']['time']} hybridflux map",
        "changes": " ".join(job.spec.changes) or "none",
        **({"usual_year": " ".join(job.spec.usual)} if job.spec.usual else {}),
        "config_hash": record["config_hash"],
        "provenance": canonical_json(record["provenance"]),
    }


def write_totals(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> None:
    """Merge the totals of all tiles into the files of the outputs that have one, each whole or not at all."""
    merged = Merged.of(job.totals(tile.id) for tile in tiles)
    common = dict(attributes) | {
        "Conventions": layout.CONVENTIONS, "spread": job.spread.value, "spread_meaning": job.spread.meaning, "sign": SIGN,
        "zone_names": json.dumps(job.region.zone_names), "plant_types": " ".join(PLANT_TYPES),
    } | ({} if job.at_towers is None else {"plant_types_at_towers": " ".join(job.at_towers)})  # fmt: skip
    for output in job.keep:
        if output.file:
            with whole_stream(job.out / output.file) as stream:
                output.merge(stream, job, merged, common)
