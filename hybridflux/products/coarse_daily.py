"""The carbon of each cell of a coarse grid, day by day and draw by draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybridflux.files import Enduring
from hybridflux.products.coarse_grid_file import grid_of_file
from hybridflux.region.outputs.base import Output
from hybridflux.region.outputs.daily_series import DailySeries
from hybridflux.region.outputs.merge_totals import Block, Merged, PlacesOfOutput, TileTotals
from hybridflux.region.outputs.quantities import CARBON, value_of
from hybridflux.region.outputs.zone_totals import DAYS, axis, bounds, labels
from hybridflux.region.spec import Job
from hybridflux.region.store.coarse_grid import OUTSIDE
from hybridflux.region.store.curvilinear_grid import coarse_grid
from hybridflux.region.store.grid import Grid, Tile
from hybridflux.vocabulary import PLANT_TYPES

_SERIES = DailySeries()
LAND_COVER = "land_cover"
"""Sectors of a coarse cell: its plant types."""


@dataclass(frozen=True)
class CoarseDaily(Output):
    """`total(flux, cell, draw, time)`: grams of carbon of each cell of a coarse grid, day by day and draw by draw.

    The sum over the pixels whose centre lies in the cell, each with its true area (`store.coarse_grid.CoarseGrid`). A block of pixels lies
    in one cell, so a day costs what it costs for `DailySeries`. `hybridflux export prior` makes fluxes for inversions of it.

    Attributes:
        grid: step in degrees; or edges of rows and columns, or corners of cells (latitude, longitude); or a netCDF file with `lat` and
            `lon`, of which the edges or corners are kept (`coarse_grid_file`). On the command line `,land_cover` may follow.
        sectors: `land_cover` for an entry of `cell` for each plant type of a cell; empty for one entry for the whole cell.
    """

    grid: float | str | tuple = 0.1
    sectors: str = ""
    file = "coarse_daily.nc"
    title = "carbon of coarse cells by day and draw"
    reads, program = _SERIES.reads, _SERIES.program
    begin, day, end, cost = _SERIES.begin, _SERIES.day, _SERIES.end, _SERIES.cost

    def __post_init__(self):
        grid, sectors = self.grid, self.sectors
        if isinstance(grid, str):
            text = grid.removesuffix(f",{LAND_COVER}")
            sectors = sectors if text == grid else LAND_COVER
            grid = float(text) if text.replace(".", "", 1).isdigit() else grid_of_file(text)
        if sectors not in ("", LAND_COVER):
            raise ValueError(f"sectors `{sectors}`: there is `{LAND_COVER}`, the plant types of a cell")
        object.__setattr__(self, "grid", float(grid) if not isinstance(grid, tuple) else grid)
        object.__setattr__(self, "sectors", sectors)
        coarse_grid(self.grid)

    def places(self, grid: Grid, tile: Tile) -> np.ndarray:
        """The cell of each pixel."""
        return coarse_grid(self.grid).places(grid, tile)

    def tile(self, totals: TileTotals, kept: Mapping[str, np.ndarray], block: Block) -> None:
        """Add the sums of a block to those of its cell, or of its plant type there."""
        place = block.places[self.name]
        if self.sectors and place != OUTSIDE:
            place = place * len(PLANT_TYPES) + block.plant_type
        totals.add_to_place(self.name, place, np.stack([kept[name] for name in self.reads], 1) * block.pixel_area, block)

    def merge(self, stream: Enduring, job: Job, merged: Merged, attributes: Mapping) -> None:
        """The cells first, then their carbon, group by group."""
        import h5netcdf
        import xarray as xr

        grid, days = coarse_grid(self.grid), len(job.calendar.mapped)
        found = merged.places.get(self.name) or PlacesOfOutput.of(self.name, [])
        cell, kind = np.divmod(found.place, len(PLANT_TYPES)) if self.sectors else (found.place, found.place)
        row, column = np.where(found.place == OUTSIDE, OUTSIDE, np.divmod(cell, grid.shape[1]))
        tair, tmin = job.region.weather(("tair", "tmin"), job.region.window(*job.calendar.mapped[[0, -1]])).values()
        numbers = {"row": row, "column": column} | ({"plant_type": np.where(found.place == OUTSIDE, OUTSIDE, kind)} if self.sectors else {})
        about = {name: f"{name} of the coarse grid, from 0, {OUTSIDE} outside of it" for name in ("row", "column")}
        about["plant_type"] = f"IGBP plant type, index into the attribute plant_types, {OUTSIDE} outside of the coarse grid"
        xr.Dataset(
            {"time_bnds": bounds(job.calendar, "daily", "time")}
            | {
                name: ("time", np.nanmean(values, 1, dtype=float), {"units": "degC", "long_name": f"{what}, mean over the weather cells"})
                for name, values, what in (("tair", tair, "air temperature"), ("tmin", tmin, "lowest air temperature of the day"))
            },
            coords=labels(job.draws, CARBON)
            | {
                "time": axis(job.calendar.mapped, "time", f"day, {job.region.time_zone}"),
                "area": ("cell", found.area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
            }
            | {
                name: ("cell", values.astype(np.int32), {"long_name": about[name]}) for name, values in numbers.items()
            },
            attrs={**attributes, "utc_offset": float(job.region.group.attrs.get("utc_offset", 0.0))},
        ).to_netcdf(stream, engine="h5netcdf", encoding={"time": DAYS})
        with h5netcdf.File(stream, "a") as file:
            a_day = (1, max(len(row), 1), job.draws, 1)
            total = file.create_variable("total", ("flux", "cell", "draw", "time"), np.float64, chunks=a_day)
            total.attrs.update({
                "units": "g", "cell_methods": "area: sum time: sum", "coordinates": f"area {' '.join(numbers)}",
                "long_name": "carbon exchanged in the day by the mapped pixels of the cell",
            })  # fmt: skip
            for cells, sums in found.groups((days, len(self.reads), job.draws)):
                parts = {name: sums[:, :, number] for number, name in enumerate(self.reads)}
                for number, name in enumerate(CARBON):
                    total[number, cells] = value_of(name, parts).swapaxes(1, 2)
