"""`run_tile`: read the drivers of a tile, run the kernel over it, write maps and totals, then mark it done."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field, replace

import jax
import numpy as np

from hybridflux.machine import give_back_memory
from hybridflux.records import CHECKSUM, read_record, write_record
from hybridflux.region.drivers.dissimilarity import dissimilarity
from hybridflux.region.drivers.open import UnreadableTile
from hybridflux.region.drivers.read import TileDrivers, read_against_usual
from hybridflux.region.kernels.kernel_inputs import KernelInputs, prepare
from hybridflux.region.kernels.select import kernel_of
from hybridflux.region.outputs.flux_store import TileWriter
from hybridflux.region.outputs.merge_totals import FIELD, OUTSIDE
from hybridflux.region.outputs.tile_result import NotANumber, TileResult
from hybridflux.region.run.executors.serial import is_large
from hybridflux.region.run.training_range import APPLICABILITY, only_within, outside, without_tower
from hybridflux.region.spec import Job
from hybridflux.region.store import checksums
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES

_COMPUTING = threading.Lock()  # one tile computes on all cores while others read and write


@dataclass(frozen=True)
class TileReport:
    """What was done in a tile.

    Attributes:
        tile: its name.
        pixels: mapped.
        masked: reason -> pixels left out.
        read_s: seconds of reading.
        compute_s: seconds of computing.
        write_s: seconds of writing.
        hash: of the configuration.
        outside: covariate -> pixels outside the range of the towers (`training_range.outside`).
        without_tower: plant type that no tower of the fit has -> pixels mapped.
        refused: why the tile was not mapped; empty where it was.
        clipped: array of the store -> values stored as the largest that it can hold (`TileResult.clipped`).
        checksums: file, below the run folder -> digest of what was written (`checksums.digest`); empty in runs of earlier versions.
    """

    tile: str
    pixels: int
    masked: dict[str, int]
    read_s: float
    compute_s: float
    write_s: float
    hash: str
    outside: dict[str, float] = field(default_factory=dict)
    without_tower: dict[str, int] = field(default_factory=dict)
    refused: str = ""
    clipped: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.refused:
            return f"tile {self.tile} refused: {self.refused}"
        times = f"read {self.read_s:.1f} s, computed {self.compute_s:.1f} s, written {self.write_s:.1f} s"
        return f"tile {self.tile}, {self.pixels:,} pixels, {times}"


def run_tile(job: Job, tile: Tile) -> TileReport:
    """Map one tile; the one unit of work, whatever the executor.

    Maps and totals are written first, the done marker last, each whole or not at all: a tile without a marker is run again. A tile
    that cannot be read, or whose fluxes are not numbers, is refused: nothing of it stays written or is marked, and its report says why.

    Args:
        job: the run; its template is written.
        tile: of the region's grid.
    """
    prepared, writer = prepare(job), TileWriter.of(job, tile)
    began = time.perf_counter()
    try:
        drivers = read_against_usual(job.region, tile, prepared.names, prepared.window)
        drivers = only_within(drivers, job.spec.within) if job.spec.within else drivers
        after_reading = time.perf_counter()
        with _COMPUTING:
            started = time.perf_counter()
            found = compute(job, prepared, drivers, writer)
            computed = time.perf_counter() - writer.seconds
    except (UnreadableTile, NotANumber) as error:
        writer.take_back()
        return TileReport(tile.id, 0, {}, 0.0, 0.0, 0.0, job.hash, refused=str(error))
    about = {
        "tile": tile.id, "pixels": len(drivers.pixel), "masked": drivers.masked, "outside": outside(drivers, job.ranges),
        "without_tower": without_tower(drivers.plant_type, job.at_towers),
    }  # fmt: skip
    if found.applicability is not None:
        about["outside"] |= {APPLICABILITY: round(float(found.applicability.share.sum()), 3)}
    del drivers  # its memory is for the next tile
    for part in found.ready(tile.shape[0]):
        writer.write(*part)
    totals = [path.relative_to(job.out).as_posix() for path in found.totals.save(job.totals(tile.id))]
    about["clipped"] = dict(found.clipped)
    about["checksums"] = writer.digests | checksums.of_files(job.out, totals)
    times = {"read_s": after_reading - began, "compute_s": computed - started, "write_s": time.perf_counter() - computed}
    report = TileReport(**about, **{name: round(seconds, 3) for name, seconds in times.items()}, hash=job.hash)
    write_record(job.marker(tile.id), asdict(report))
    del found
    if is_large(job.tile_size):
        give_back_memory()  # else the heap keeps what this tile needed beside what the next one needs
    return report


def done_report(job: Job, tile_id: str) -> TileReport | None:
    """The report of a tile that was finished by this configuration, else None; a marker that is not whole does not count."""
    try:
        found = read_record(job.marker(tile_id), "the marker of a tile")
        report = TileReport(**{name: value for name, value in found.items() if name != CHECKSUM})
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return report if report.hash == job.hash else None


def compute(job: Job, prepared: KernelInputs, drivers: TileDrivers, writer: TileWriter) -> TileResult:
    """Totals, and the maps that are not yet written; a slab is collected, and rows that are done written, while the next is computed."""
    places = {output.name: output.places(job.region.grid, drivers.tile) for output in job.keep}
    places = {name: where.reshape(-1)[drivers.pixel] for name, where in places.items() if where is not None}
    drivers, waiting = replace(drivers, places=places), None
    height, width = drivers.tile.shape
    found = TileResult(job, drivers.tile, writer.height)
    waves, run_slab = prepared.waves(job, drivers), kernel_of(jax.default_backend(), prepared.model, prepared.static)
    by_row = min(writer.height.values(), default=height) < height
    for slab, pixels in prepared.slabs(job, drivers, by_row=by_row):
        result = run_slab(prepared.model, prepared.shared, waves, pixels, prepared.static)  # returns at once, computes behind
        if waiting:
            found.add(drivers, *waiting)
            for part in found.ready(int(drivers.pixel[slab.pixel[0, 0]]) // width):
                writer.write(*part)
            if by_row:
                give_back_memory()  # of the rows that are written
        waiting = slab, result
    if waiting:
        found.add(drivers, *waiting)
    cells, cell = np.unique(drivers.zone.astype(np.int64) * len(PLANT_TYPES) + drivers.plant_type, return_inverse=True)
    keys = [divmod(number, len(PLANT_TYPES)) for number in cells.tolist()]
    if job.posterior.training is not None and len(drivers.pixel):
        unlike = found.applicability = dissimilarity(drivers, job.posterior.training, job.calendar)
        found.totals.of_cells[OUTSIDE] = dict(zip(keys, np.bincount(cell, unlike.share * drivers.area, len(keys)), strict=True))
        found.totals.share_outside = np.full(height * width, np.nan, np.float32)
        found.totals.share_outside[drivers.pixel] = unlike.share
        for output in job.keep:
            for key, values in output.of_dissimilarity(unlike).items():
                found.add_map(key, values, drivers.pixel)
    if job.field_basis is not None:
        points = job.region.grid.centres(drivers.tile, drivers.pixel)
        found.totals.of_cells[FIELD] = dict(zip(keys, job.field_basis.sums(cell, points, drivers.area), strict=True))
    return found
