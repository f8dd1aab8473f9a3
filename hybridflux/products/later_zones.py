"""Zones from any file of polygons, made of a finished run that kept the sums of its pixels (`PixelTotals`)."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from hybridflux.data.land.vectors import burn, column, read_features
from hybridflux.products.totals import RunTotals, read_totals
from hybridflux.region.map import job_of_run
from hybridflux.region.outputs import PixelTotals, ZoneTotals
from hybridflux.region.outputs.merge_totals import FIELD, OUTSIDE, KeptPixels, TileTotals
from hybridflux.region.run.lifecycle import attributes, read_run, write_totals
from hybridflux.region.run.tile import done_report
from hybridflux.region.spec import Job
from hybridflux.region.store.grid import Grid, Tile

NAMES = ("zone", "name", "nom", "label", "id")
"""Columns that name a polygon, in any case; the first that exists is used."""


def later_zones(run: str | Path, polygons: str | Path) -> RunTotals:
    """Totals of a finished run by zones that it was not mapped with; pixels outside all polygons are `no zone`.

    A pixel belongs to the polygon that holds its centre, as in `hybridflux region build`: where polygons overlap, to the smaller one. Of a
    run that did not keep the share of the days of its pixels outside the area of applicability, the area outside is not known.

    Args:
        run: run folder that keeps `PixelTotals`, whose region store is where it was.
        polygons: GeoPackage, Shapefile, GeoJSON, FlatGeobuf or GeoParquet.

    Raises:
        FileNotFoundError: no such file, or no such run.
        ValueError: the run does not keep the sums of its pixels or is not finished, no polygon lies on the grid, or a name stands twice.
    """
    job = job_of_run(Path(run))
    kept = PixelTotals()
    if kept not in job.keep:
        size = 8e-9 * float(np.prod(job.region.grid.shape)) * len(job.calendar.months) * job.draws
        cure = f"map again with `--keep {type(kept).__name__}` (up to {size:.2g} GB), or add the zones to the region before"
        raise ValueError(f"{run} keeps totals of its own zones, not of its pixels, so other zones cannot be made of it; {cure}")
    if read_run(Path(run))["state"] != "done":
        raise ValueError(f"{run} is not finished; go on with `hybridflux map --run {run}`")
    zone, names = rasterised(polygons, job.region.grid)
    with tempfile.TemporaryDirectory(prefix="hybridflux-zones-") as folder:
        spec = dataclasses.replace(job.spec, keep=(ZoneTotals(),))
        alone = dataclasses.replace(job, spec=spec, region=dataclasses.replace(job.region, zone_names=names), out=Path(folder))
        (alone.out / "totals").mkdir()
        tiles = [tile for tile in job.region.tiles() if done_report(job, tile.id) is not None]
        for tile in tiles:
            pixels = KeptPixels.of(job.totals(tile.id), kept.name)
            totals = TileTotals() if pixels is None else _of_tile(alone, zone[tile.y, tile.x].reshape(-1), pixels, tile)
            totals.save(alone.totals(tile.id))
            if pixels is not None and pixels.outside is None:  # nothing to add up, so the file says nothing of it
                alone = dataclasses.replace(alone, posterior=dataclasses.replace(alone.posterior, training=None))
        write_totals(alone, tiles, attributes(alone, read_run(Path(run))))
        return read_totals(alone.out / ZoneTotals().file).in_memory()


def rasterised(polygons: str | Path, grid: Grid) -> tuple[np.ndarray, dict[int, str]]:
    """Number of the zone of each pixel `[y, x]`, 0 for none, and number -> name.

    Raises:
        ValueError: no polygon lies on the grid, or two have the same name.
    """
    found = read_features(polygons, grid.geobox)
    if not len(found):
        raise ValueError(f"{polygons} has no polygon on the grid of the run: {found.where}")
    named = column(found, NAMES)
    names = [str(number) for number in range(1, len(found) + 1)] if named is None else named.fillna("").astype(str).str.strip().tolist()
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}  # parts of one zone share its name
    zone = burn(found.shapes, np.array([numbers[name] for name in names]), grid.geobox, fill=0)
    return zone, {number: name for name, number in numbers.items()}


def _of_tile(job: Job, zone: np.ndarray, pixels: KeptPixels, tile: Tile) -> TileTotals:
    """Sums over the pixels of each zone and plant type of a tile, weighted by area."""
    cells, cell = np.unique(np.stack([zone[pixels.pixel], pixels.plant_type]).astype(int), axis=1, return_inverse=True)
    totals, keys = TileTotals(of_cells={ZoneTotals().name: {}}), [(int(one), int(kind)) for one, kind in cells.T]
    for number, key in enumerate(keys):
        mine = np.flatnonzero(cell == number)
        totals.area[key] = float(pixels.area[mine].sum())
        totals.of_cells[ZoneTotals().name][key] = np.tensordot(pixels.area[mine], pixels.sums[mine].astype(float), 1)
    if pixels.outside is not None:
        outside = np.bincount(cell, pixels.area * pixels.outside, len(keys))
        totals.of_cells[OUTSIDE] = dict(zip(keys, outside, strict=True))
    if job.field_basis is not None:
        sums = job.field_basis.sums(cell, job.region.grid.centres(tile, pixels.pixel), pixels.area)
        totals.of_cells[FIELD] = dict(zip(keys, sums, strict=True))
    return totals
