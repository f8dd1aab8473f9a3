"""Sums of a finished drought ledger over any classes of its pixels, in every draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.products.drought_outputs import DroughtPixels
from hybridflux.products.pixel_classes import Classes
from hybridflux.region.map import job_of_run
from hybridflux.region.outputs import Output
from hybridflux.region.outputs.merge_totals import KeptPixels
from hybridflux.region.run.lifecycle import read_run
from hybridflux.region.run.tile import done_report
from hybridflux.region.spec import Job
from hybridflux.region.store.grid import Tile


@dataclass(frozen=True)
class ClassSums:
    """What the pixels of each class have lost, in every draw.

    Attributes:
        labels: of the classes, those that have pixels.
        area: m2 `[class]`.
        pixels: number of them `[class]`.
        sums: what `drought_outputs.DroughtPixels` holds -> sum over the season, mean over the area `[class, draw]`: gC m-2, mm d of the
            water missing, d of the share of soil water.
        days: of the season.
        spread: sources of error that the draws contain.
        number: of the classes among all that were asked for `[class]`.
        value: mean over the area of a quantity of pixels that was given `[class]`, else NaN.
    """

    labels: tuple[str, ...]
    area: np.ndarray
    pixels: np.ndarray
    sums: dict[str, np.ndarray]
    days: int
    spread: str
    number: np.ndarray
    value: np.ndarray


def kept_in(keep: Iterable[Output]) -> DroughtPixels | None:
    """The output of a run that holds its pixels; None where it keeps none."""
    return next((one for one in keep if isinstance(one, DroughtPixels)), None)


def quantities_of_pixels(job: Job) -> tuple[str, ...]:
    """What the pixels of a ledger hold, in this order."""
    return job.keep[[isinstance(one, DroughtPixels) for one in job.keep].index(True)].reads


def ledger_job(run: str | Path) -> Job:
    """The job of a ledger that keeps its pixels.

    Args:
        run: folder `run` of a ledger.

    Raises:
        ValueError: it does not keep the sums of its pixels, or is not finished.
    """
    job = job_of_run(Path(run))
    if kept_in(job.keep) is None:
        size = DroughtPixels().cost(job.calendar, job.draws) * float(np.prod(job.region.grid.shape)) / 1e9
        raise ValueError(
            f"{run} keeps sums of its zones, not of its pixels, so classes of pixels cannot be made of it; write the ledger again into "
            f"another folder with `hybridflux drought --pixels` (up to {size:.2g} GB)"
        )
    if read_run(Path(run))["state"] != "done":
        raise ValueError(f"{run} is not finished; go on with `hybridflux map --run {run}`")
    return job


def pixels_of(job: Job) -> Iterator[tuple[Tile, KeptPixels]]:
    """The pixels of each tile of a ledger that has some; `sums` are `[pixel, 1, quantity, draw]` in the order of `quantities_of_pixels`."""
    for tile in job.region.tiles():
        if done_report(job, tile.id) is not None:
            pixels = KeptPixels.of(job.totals(tile.id), DroughtPixels().name)
            if pixels is not None:
                yield tile, pixels


def sums_of(job: Job, classes: Classes, value: Callable[[Tile], np.ndarray] | None = None) -> ClassSums:
    """Sums over the pixels of each class, weighted by area.

    Args:
        job: of a ledger (`ledger_job`).
        classes: of pixels of its region.
        value: of the pixels of a tile `[pixel]`, whose mean is wanted too.

    Raises:
        ValueError: no pixel of the ledger is in a class.
    """
    found: dict[int, list] = {}
    for tile, pixels in pixels_of(job):
        number = classes.number(tile)[pixels.pixel]
        other = value(tile)[pixels.pixel] if value else np.full(len(number), np.nan)
        for one in np.unique(number[number >= 0]).tolist():
            mine = np.flatnonzero(number == one)
            area = pixels.area[mine]
            parts = area.sum(), len(mine), np.tensordot(area, pixels.sums[mine, 0].astype(float), 1), area @ other[mine]
            found[one] = [sum(pair) for pair in zip(found.get(one, (0.0, 0, 0.0, 0.0)), parts, strict=True)]
    if not found:
        raise ValueError(f"no pixel of the ledger is in a class of {classes.name}")
    there = sorted(found)
    area, count, total, others = (np.array([found[one][part] for one in there]) for part in range(4))
    means = total / area[:, None, None]
    sums = {name: means[:, number] for number, name in enumerate(quantities_of_pixels(job))}
    return ClassSums(
        tuple(classes.labels[one] for one in there), area, count, sums, len(job.calendar.mapped), str(job.spread), np.array(there),
        others / area,
    )  # fmt: skip
