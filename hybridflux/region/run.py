"""Map a region with a posterior: from a store of drivers to a run folder."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.provenance import canonical_json, config_hash, provenance
from hybridflux.region.blocks import one_cell_per_block
from hybridflux.region.calendar import Calendar
from hybridflux.region.change import Change, read_changes
from hybridflux.region.effects import LENGTH
from hybridflux.region.executors import Executor, Serial
from hybridflux.region.finish import write_cogs, write_totals
from hybridflux.region.job import Job, differences
from hybridflux.region.outputs import SIGN, SPREADS, create_store
from hybridflux.region.plan import Estimate, estimate
from hybridflux.region.store import Region, open_region
from hybridflux.region.tile import write_json
from hybridflux.region.vegetation import SD
from hybridflux.vocabulary import VARIABLES

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes:
        out: run folder.
        state: `done`, or `dry run`.
        tiles: in the region.
        skipped: tiles that were done before.
        pixels: mapped, all tiles.
        masked: reason -> pixels left out, all tiles.
        draws: of the posterior.
        days: mapped.
        seconds: of this call.
        estimate: of a dry run.
    """

    out: Path
    state: str
    tiles: int = 0
    skipped: int = 0
    pixels: int = 0
    masked: dict[str, int] = field(default_factory=dict)
    draws: int = 0
    days: int = 0
    seconds: float = 0.0
    estimate: Estimate | None = None

    def __str__(self) -> str:
        if self.estimate:
            return str(self.estimate)
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.masked.items() if count) or "none"
        again = f" ({self.skipped} done before)" if self.skipped else ""
        size = f"{self.pixels:,} pixels x {self.days} days x {self.draws} draws"
        return f"{self.out}: {self.tiles} tiles{again}, {size} in {self.seconds:.0f} s; masked: {left_out}"


def map_region(
    posterior: Posterior,
    region: str | Path | Region,
    out: str | Path,
    *,
    draws: int = 64,
    start: str | date | None = None,
    end: str | date | None = None,
    spread: str = "parameter+random_effects",
    daily: bool = False,
    quantiles: tuple[float, ...] = QUANTILES,
    daily_quantiles: tuple[float, ...] = (),
    resume: bool = False,
    dry_run: bool = False,
    change: Mapping[str, str | Change] | None = None,
    executor: Executor | None = None,
    seed: int = 0,
    effect_length: float = LENGTH,
    progress: Callable[[int, int, str], None] | None = None,
) -> RunReport:
    """Map GPP, RECO and NEE of every pixel with their spread, and totals per zone, plant type, month and draw.

    Two runs with the same posterior, draws and seed share their draws and their effects of places, so their difference is
    that of the drivers (`change`).

    Args:
        posterior: fitted model.
        region: store, or an open region.
        out: run folder to write (docs/architecture.md says what is in it).
        draws: posterior draws carried through every pixel.
        start: first day; by default the first one after the lead of the region.
        end: last day; by default the last one of the region.
        spread: what the draws contain, a key of `outputs.SPREADS`.
        daily: write daily maps of mean and sd too.
        quantiles: of months and years, exact.
        daily_quantiles: of days.
        resume: go on with an interrupted run of the same configuration.
        dry_run: only estimate.
        change: driver -> `*0.6`, `+2` or `climatology`, or a `Change`.
        executor: who runs the tiles.
        seed: of the effects of places.
        effect_length: distance over which effects are alike [m].
        progress: called with (tiles done, all, message).

    Raises:
        FileExistsError: `out` holds a run already and `resume` is not set.
        ValueError: the region lacks a driver; the period is not covered; or the run there has another configuration.
    """
    began = time.perf_counter()
    executor = executor or Serial()
    job = _job(
        posterior, region, Path(out), draws=draws, start=start, end=end, spread=spread, daily=daily, levels=tuple(quantiles),
        daily_levels=tuple(daily_quantiles), change=change or {}, seed=seed, length=effect_length,
    )  # fmt: skip
    if dry_run:
        found = estimate(job, getattr(executor, "threads", 1))
        return RunReport(
            job.out, "dry run", found.tiles, pixels=found.pixels, draws=job.draws, days=len(job.calendar.mapped), estimate=found
        )
    attributes = _start(job, resume)
    tiles = list(job.region.tiles())
    waiting = [tile for tile in tiles if not _is_done(job, tile.id)]
    skipped = done = len(tiles) - len(waiting)
    for report in executor.run(job, waiting):
        done += 1
        if progress:
            progress(done, len(tiles), f"tile {report.tile}")
    write_totals(job, attributes)
    write_cogs(job, attributes)
    reports = [json.loads(job.marker(tile.id).read_text()) for tile in tiles]
    masked = Counter()
    for report in reports:
        masked.update(report["masked"])
    seconds = time.perf_counter() - began
    pixels = sum(report["pixels"] for report in reports)
    record = json.loads((job.out / "run.json").read_text())
    record |= {"state": "done", "pixels": pixels, "masked": dict(masked), "seconds": round(seconds, 1)}
    write_json(job.out / "run.json", record)
    return RunReport(job.out, "done", len(tiles), skipped, pixels, dict(masked), job.draws, len(job.calendar.mapped), seconds)


def _job(posterior, region, out: Path, *, draws, start, end, spread, change, **settings) -> Job:
    if spread not in SPREADS:
        hint = "; `predictive` adds measurement noise and belongs beside a tower" if spread == "predictive" else ""
        raise ValueError(f"the spread of a map is one of {', '.join(SPREADS)}, not `{spread}`{hint}")
    region = region if isinstance(region, Region) else open_region(region)
    region = region.with_changes(read_changes(change))
    if "vegetation" in spread and not region.offers(SD):
        raise ValueError(
            f"the spread `{spread}` draws the error of fapar, and {region.path} does not hold its standard deviation ({SD}); "
            "build the region with `hybridflux region build`, or leave `+vegetation` out"
        )
    missing = [name for name in posterior.model.needs() if not region.offers(name)]
    if missing:
        raise ValueError(
            f"the model needs {', '.join(missing)}, which {region.path} does not have; add "
            + ", ".join(f"{name} ({VARIABLES[name].units})" for name in missing if name in VARIABLES)
            + " to the region or fit a model without"
        )
    first = np.datetime64(start, "D") if start is not None else region.days[min(region.lead, len(region.days) - 1)]
    last = np.datetime64(end, "D") if end is not None else region.days[-1]
    region.window(first, last)
    job = Job(
        region=region, posterior=posterior if draws == posterior.draws else posterior.thin(draws), out=out,
        calendar=Calendar.of(region.days, first, last), spread=spread, by_cell=one_cell_per_block(region), **settings,
    )  # fmt: skip
    return dataclasses.replace(job, hash=config_hash(job.config()))


def _start(job: Job, resume: bool) -> dict:
    """Write the template and `run.json`, or check those that are there; attributes of all products."""
    path = job.out / "run.json"
    config = json.loads(canonical_json(job.config()))
    record = json.loads(path.read_text()) if path.exists() else None
    if record is not None and not resume:
        raise FileExistsError(f"{job.out} holds a run (state `{record['state']}`); go on with `--resume`, or give another folder")
    if record is None and job.out.exists() and any(job.out.iterdir()):
        raise FileExistsError(f"{job.out} is not empty and not a run folder; give another folder")
    if record is not None and record["config_hash"] != job.hash:
        lines = "\n".join(f"- {line}" for line in differences(record["config"], config))
        raise ValueError(f"{job.out} is a run of another configuration and cannot be resumed; run it into another folder:\n{lines}")
    if record is None or record["state"] == "preparing":
        record = {
            "state": "preparing", "title": f"Carbon fluxes of {job.region.title}", "region": str(job.region.path), "spread": job.spread,
            "spread_meaning": SPREADS[job.spread], "sign": SIGN, "draws": job.draws, "seed": job.seed, "start": config["start"],
            "end": config["end"], "changes": config["changes"], "config": config, "config_hash": job.hash,
            "provenance": provenance(config, job.seed),
        }  # fmt: skip
        for folder in ("tiles", "totals", "cog"):
            (job.out / folder).mkdir(parents=True, exist_ok=True)
        write_json(path, record)
        levels = {"monthly": job.levels, "annual": job.levels} | ({"daily": job.daily_levels} if job.daily else {})
        create_store(job.store, job.region, job.calendar, _attributes(record), levels=levels)
        record["state"] = "running"
        write_json(path, record)
    return _attributes(record)


def _attributes(record: Mapping) -> dict[str, str]:
    """Attributes of every product of a run."""
    written = record["provenance"]["time"]
    return {
        "title": record["title"],
        "spread": record["spread"],
        "source": "hybridflux, posterior of a hybrid carbon-flux model",
        "history": f"{written} hybridflux map",
        "changes": " ".join(record["changes"]) or "none",
        "config_hash": record["config_hash"],
        "provenance": canonical_json(record["provenance"]),
    }


def _is_done(job: Job, tile_id: str) -> bool:
    """Whether a tile was finished by this configuration."""
    marker = job.marker(tile_id)
    return marker.exists() and json.loads(marker.read_text())["hash"] == job.hash
