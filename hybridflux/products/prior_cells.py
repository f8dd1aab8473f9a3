"""The cells of a coarse grid and their fluxes, day by day, from what a run keeps of them (`CoarseDaily`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridflux.products.coarse_daily import CoarseDaily
from hybridflux.products.hours_of_day import HOURS, light_shares, temperature_shares
from hybridflux.region.store.coarse_grid import CoarseGrid
from hybridflux.region.store.curvilinear_grid import CurvilinearGrid, coarse_grid
from hybridflux.vocabulary import PLANT_TYPES

if TYPE_CHECKING:
    import xarray as xr

PER_SECOND = 1 / 86_400 / 1000
"""Of a gram in a day: kilograms in a second."""


@dataclass(frozen=True)
class PriorCells:
    """Rows of `CoarseDaily`: a cell, or a plant type in a cell, those of a cell one after the other.

    Attributes:
        data: the file that a run keeps.
        grid: the coarse grid.
        rows: of the grid that are written.
        columns: of the grid that are written.
    """

    data: xr.Dataset
    grid: CoarseGrid | CurvilinearGrid
    rows: slice
    columns: slice

    @classmethod
    def of(cls, data: xr.Dataset, output: CoarseDaily, path: Path) -> PriorCells:
        """All of a grid that was given by a file or edges, else the cells around the run.

        Raises:
            ValueError: no pixel of the run lies in the grid, or some do not: their carbon would be lost.
        """
        row, column, mapped = (data[name].values for name in ("row", "column", "area"))
        inside = row >= 0
        if not inside.all():
            lost = mapped[~inside].sum() / mapped.sum()
            raise ValueError(f"{path}: {100 * lost:.3g} % of the mapped area lies outside the grid; give one that holds the whole region")
        grid = coarse_grid(output.grid)
        if isinstance(output.grid, tuple):
            return cls(data, grid, *(slice(0, count) for count in grid.shape))
        return cls(data, grid, *(slice(int(at.min()), int(at.max()) + 1) for at in (row, column)))

    @cached_property
    def area(self) -> np.ndarray:
        """True area of the cells that are written `[row, column]`, m2."""
        return self.grid.area()[self.rows, self.columns]

    @cached_property
    def at(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each row of the file among those that are written."""
        return self.data["row"].values - self.rows.start, self.data["column"].values - self.columns.start

    @cached_property
    def starts(self) -> np.ndarray:
        """First of the rows of the file that belong to each cell."""
        number = self.at[0] * self.area.shape[1] + self.at[1]
        return np.flatnonzero(np.diff(number, prepend=-1))

    @cached_property
    def sectors(self) -> dict[str, np.ndarray]:
        """Code of each plant type that is mapped -> its rows of the file; empty where the run does not keep them apart."""
        if "plant_type" not in self.data:
            return {}
        kinds = self.data["plant_type"].values
        return {PLANT_TYPES[kind]: np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}

    @cached_property
    def lat_lon(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of the middle of the cell of each row of the file, degrees."""
        return self.grid.centres(self.data["row"].values, self.data["column"].values)

    def day(self, day: int, hourly: bool = False) -> dict[str, np.ndarray]:
        """NEE, GPP and RECO of a day, or of its hours, `[draw, hour, row of the file]`, over the area of the cell, kg m-2 s-1 of carbon."""
        names = [str(name) for name in self.data["flux"].values]
        fluxes = {name: self.data["total"][number, :, :, day].values.T[:, None] * self._per_area for number, name in enumerate(names)}
        return self._hours(fluxes, day) if hourly else fluxes

    def anomalies(self, days: slice, cells: np.ndarray) -> np.ndarray:
        """Departures of NEE of some cells from the mean over the draws `[draw, day, cell]`, kg m-2 s-1."""
        flux = self.data["flux"].values.tolist().index("NEE")
        of_days = [self.data["total"][flux, :, :, day].values.T * self._per_area for day in range(days.start, days.stop)]
        values = np.stack([np.add.reduceat(one, self.starts, axis=-1)[:, cells] for one in of_days], 1)
        return values - values.mean(0)

    @cached_property
    def _per_area(self) -> np.ndarray:
        return PER_SECOND / self.area[self.at]

    def _hours(self, fluxes: dict[str, np.ndarray], day: int) -> dict[str, np.ndarray]:
        """The hours of the fluxes of a day."""
        offset, date = float(self.data.attrs["utc_offset"]), self.data["time"].values[day].astype("datetime64[D]")
        latitude, longitude = self.lat_lon
        tair, tmin = (float(self.data[name][day]) for name in ("tair", "tmin"))
        gpp = fluxes["GPP"] * HOURS * light_shares(date, latitude, longitude, offset)
        reco = fluxes["RECO"] * HOURS * temperature_shares(tair, tmin, longitude, offset)
        return {"NEE": reco - gpp, "GPP": gpp, "RECO": reco}
