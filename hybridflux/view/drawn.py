"""The budget of a polygon that somebody draws: its pixels go through the engine once more (`products.pixels_again`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from hybridflux.limits import DRAWN
from hybridflux.products.pixels_again import pixels_again
from hybridflux.products.totals import RunTotals
from hybridflux.region.spec import Job
from hybridflux.region.store.grid import Tile
from hybridflux.view.zones import months_of, rows_of_zone

MOST_CORNERS = 2000  # of a polygon


@dataclass(frozen=True)
class DrawnPolygon:
    """A polygon on the grid of a run.

    Attributes:
        name: for tables.
        corners: (x, y) of its ring [m], in the coordinate system of the map.
    """

    name: str
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, name: str, corners: Sequence) -> DrawnPolygon:
        """A polygon from what a page sent.

        Raises:
            ValueError: too few or too many corners, not finite, or a ring that crosses itself.
        """
        import shapely

        try:
            ring = tuple((float(x), float(y)) for x, y in corners)
        except (TypeError, ValueError) as error:
            raise ValueError("a polygon is a list of corners [x, y] in metres") from error
        if not 3 <= len(ring) <= MOST_CORNERS or not np.isfinite(ring).all():
            raise ValueError(f"a polygon has 3 to {MOST_CORNERS} corners with finite coordinates; this one has {len(ring)}")
        if not shapely.Polygon(ring).is_valid:
            raise ValueError("the outline of the polygon crosses itself; draw it again")
        return cls(name, ring)

    @cached_property
    def shape(self):
        """As shapely has it."""
        import shapely

        return shapely.Polygon(self.corners)

    def inside(self, job: Job, tile: Tile) -> np.ndarray:
        """Whether the centre of each pixel of a tile lies in it `[pixel]`."""
        from affine import Affine
        from rasterio.features import geometry_mask

        grid = job.region.grid
        west, north = grid.west + grid.pixel * tile.x.start, grid.north - grid.pixel * tile.y.start
        transform = Affine(grid.pixel, 0.0, west, 0.0, -grid.pixel, north)
        return geometry_mask([self.shape], tile.shape, transform, invert=True).reshape(-1)

    def tiles(self, job: Job) -> Iterator[Tile]:
        """Tiles that its box touches."""
        grid, (west, south, east, north) = job.region.grid, self.shape.bounds
        columns = (west - grid.west) / grid.pixel, (east - grid.west) / grid.pixel
        rows = (grid.north - north) / grid.pixel, (grid.north - south) / grid.pixel
        for tile in job.region.tiles():
            if tile.y.start < rows[1] and tile.y.stop > rows[0] and tile.x.start < columns[1] and tile.x.stop > columns[0]:
                yield tile


def polygon_totals(job: Job, polygon: DrawnPolygon, progress: Callable[[int, int], None] = lambda done, total: None) -> RunTotals:
    """Totals of the pixels of a polygon per plant type, month and draw, as the run would have made them of a zone.

    Args:
        job: of the run (`region.map.job_of_run`).
        polygon: in the coordinate system of the run.
        progress: called with (tiles done, all).

    Raises:
        ValueError: no pixel of the map lies in it, or no vegetation.
        Refused: more pixels than a polygon may have (`limits.DRAWN`).
        UnreadableTile: a chunk of the region cannot be read.
    """
    masks = [(tile, mask) for tile in polygon.tiles(job) if (mask := polygon.inside(job, tile)).any()]
    if not masks:
        raise ValueError("no centre of a pixel of the map lies in this polygon; draw a larger one")
    DRAWN.check(sum(int(mask.sum()) for _, mask in masks), polygon.name)
    return pixels_again(job, [(tile, mask.astype(np.int32)) for tile, mask in masks], {1: polygon.name}, progress)


def difference(of: RunTotals, other: RunTotals) -> RunTotals:
    """Totals of one run minus those of another one, draw by draw; the structural error of the model, which both share, is left out."""
    total = {flux: values - other.total[flux] for flux, values in of.total.items()}
    return dataclasses.replace(of, total=total, structural={})


def are_paired(of: Job, other: Job) -> bool:
    """Whether draw n of one run is draw n of the other, over the same days, so that differences may be made draw by draw."""
    mine, its = of.spec, other.spec
    return (mine.posterior_fingerprint, mine.draws, mine.period) == (its.posterior_fingerprint, its.draws, its.period)


@dataclass
class DrawnBudget:
    """A polygon whose budget is being made, or is there.

    Attributes:
        polygon: its ring.
        run: number of its run.
        other: number of the run that it is compared with; None for none.
        done: tiles done.
        total: tiles; 0 before it is known.
        rows: of its budget.
        spread: of the draws of the budget.
        months: mean rate of each month (`zones.months_of`).
        apart: rows of the budget of `run` minus that of `other`, made draw by draw.
        note: why there is no such difference.
        error: why there is no budget; empty where nothing is wrong.
        state: `working`, `done` or `refused`.
    """

    polygon: DrawnPolygon
    run: int
    other: int | None = None
    done: int = 0
    total: int = 0
    rows: list[dict] = field(default_factory=list)
    spread: str = ""
    months: dict | None = None
    apart: list[dict] = field(default_factory=list)
    note: str = ""
    error: str = ""
    state: str = "working"

    def work(self, job: Callable[[int], Job]) -> None:
        """Make the budget; what goes wrong is kept as a message.

        Args:
            job: gives the job of a run by its number.
        """
        try:
            mine = job(self.run)
            totals = polygon_totals(mine, self.polygon, self._progress)
            if self.other is not None and are_paired(mine, its := job(self.other)):
                other = polygon_totals(its, self.polygon, self._progress)
                self.apart = rows_of_zone(difference(totals, other), self.polygon.name)
            elif self.other is not None:
                self.note = "the runs do not share their draws and days, so that the difference has no interval of its own"
            totals = totals.with_structural_error()
            self.rows, self.months = rows_of_zone(totals, self.polygon.name), months_of(totals)
            self.spread, self.state = totals.spread, "done"
        except Exception as error:  # the page shows it: a thread has nobody else to hear it
            self.error, self.state = str(error) or type(error).__name__, "refused"

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def to_json(self) -> dict:
        """For the page."""
        return {name: getattr(self, name) for name in SHOWN_OF_DRAWN} | {"name": self.polygon.name}


SHOWN_OF_DRAWN = ("run", "other", "done", "total", "rows", "spread", "months", "apart", "note", "error", "state")


def write_geopackage(path: Path, drawn: Sequence[DrawnBudget], crs: str) -> None:
    """Polygons with the budget of each period as columns of one layer, as GeoPackage.

    Args:
        path: file to write.
        drawn: polygons; those without a budget have empty columns.
        crs: of their corners, WKT.

    Raises:
        ImportError: pyogrio is not installed; says how.
    """
    import shapely

    try:
        from pyogrio.raw import write
    except ImportError as error:
        raise ImportError("a GeoPackage is written with pyogrio: pip install 'hybridflux[ingest]'") from error
    columns: dict[str, np.ndarray] = {"name": np.array([one.polygon.name for one in drawn], object)}
    columns["spread"] = np.array([one.spread for one in drawn], object)
    for row in (row for one in drawn for row in one.rows):
        for name in ("mean", "q05", "q95", "total_tCO2"):
            columns.setdefault(_column(row, name), np.full(len(drawn), np.nan))
    for number, one in enumerate(drawn):
        for row in one.rows:
            for name in ("mean", "q05", "q95", "total_tCO2"):
                columns[_column(row, name)][number] = np.nan if row[name] is None else row[name]
    shapes = np.array([shapely.to_wkb(one.polygon.shape) for one in drawn], object)
    options = {"driver": "GPKG", "layer": "polygons", "geometry_type": "Polygon", "crs": crs}
    write(path, shapes, list(columns.values()), np.array(list(columns), object), **options)


def _column(row: dict, name: str) -> str:
    """Name of a column, `NEE_2018_mean_gC_m-2_yr-1`."""
    units = "" if name.startswith("total") else f"_{row['units']}"
    anomaly = "_anomaly" if row["quantity"] == "anomaly" else ""
    return f"{row['variable']}_{row['period']}{anomaly}_{name}{units}".replace(" ", "_")
