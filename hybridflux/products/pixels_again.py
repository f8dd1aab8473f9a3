"""Totals of some pixels of a run, which go through the engine once more with its posterior, draws and effects of places.

A run keeps the draws of zones, not those of pixels, and standard deviations of pixels do not add up. So pixels become zones made
afterwards: their totals have the draws that zones of these pixels would have had.
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hybridflux.files import check_folder
from hybridflux.products.totals import RunTotals, read_totals
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.kernels.kernel_inputs import prepare
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.outputs.flux_store import TileWriter
from hybridflux.region.run.lifecycle import attributes, read_run, write_totals
from hybridflux.region.run.tile import compute
from hybridflux.region.run.training_range import only_within
from hybridflux.region.spec import Job
from hybridflux.region.store.grid import Tile

_ENGINE = threading.Lock()  # one set of pixels at a time


def pixels_again(
    job: Job,
    zones: Sequence[tuple[Tile, np.ndarray]],
    names: Mapping[int, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RunTotals:
    """Totals of zones per plant type, month and draw, as the run would have made them.

    Args:
        job: of the run (`region.map.job_of_run`).
        zones: tiles, and the number of the zone of each of their pixels `[pixel]`, 0 for those that are left out.
        names: number -> name of a zone.
        progress: called with (tiles done, all).

    Raises:
        ValueError: no pixel with vegetation is in a zone.
        UnreadableTile: a chunk of the region cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="hybridflux-pixels-") as folder, _ENGINE:
        region = dataclasses.replace(job.region, zone_names=dict(names))
        spec = dataclasses.replace(job.spec, keep=(ZoneTotals(),))
        alone = dataclasses.replace(job, spec=spec, region=region, out=check_folder(folder))
        (alone.out / "totals").mkdir()
        prepared, done = prepare(alone), []
        for number, (tile, zone) in enumerate(zones):
            progress(number, len(zones))
            drivers = read_tile(region, tile, prepared.names, prepared.window)
            drivers = only_within(drivers, spec.within) if spec.within else drivers
            kept = zone[drivers.pixel] > 0
            if kept.any():
                parts = {name: getattr(drivers, name)[kept] for name in ("pixel", "cell", "plant_type", "area")}
                parts |= {"static": {name: values[kept] for name, values in drivers.static.items()}}
                drivers = dataclasses.replace(drivers, **parts, zone=zone[parts["pixel"]].astype(np.int32))
                compute(alone, prepared, drivers, TileWriter.of(alone, tile)).totals.save(alone.totals(tile.id))
                done.append(tile)
        if not done:
            raise ValueError("no pixel with vegetation is among those that were asked for")
        progress(len(zones), len(zones))
        write_totals(alone, done, attributes(job, read_run(job.out)))
        return read_totals(alone.out / ZoneTotals().file).in_memory()
