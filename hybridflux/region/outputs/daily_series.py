"""The daily course of each plant type, draw by draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from hybridflux.files import Enduring
from hybridflux.model.sources import EXACT
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.kernels.contract import Kept, Static, Today
from hybridflux.region.outputs.base import OfQuantities
from hybridflux.region.outputs.merge_totals import Block, Merged, TileTotals
from hybridflux.region.outputs.quantities import CARBON, Quantity, names_of, value_of
from hybridflux.region.outputs.zone_totals import DAYS, axis, bounds, labels
from hybridflux.region.spec import Job
from hybridflux.vocabulary import PLANT_TYPES


@dataclass(frozen=True)
class DailySeries(OfQuantities):
    """`series(flux, plant_type, draw, time)`: the mean over the area of each plant type, day by day and draw by draw.

    Attributes:
        quantities: names of the model.
    """

    stem = "series"

    @property
    def file(self) -> str:
        """`series.nc`."""
        return f"{self.name}.nc"

    @property
    def title(self) -> str:
        """What the file holds."""
        what = "daily fluxes" if self.quantities == CARBON else ", ".join(Quantity.of(name).long_name for name in self.quantities)
        return f"{what} by plant type and draw"

    @property
    def program(self) -> str:
        """The program for GPUs sums the carbon fluxes."""
        return "series" if self.quantities == CARBON else ""

    def begin(self, static: Static) -> dict[str, Array]:
        """Empty series."""
        return {name: jnp.zeros((static.days, static.draws), jnp.float32) for name in self.reads}

    def day(self, carry: dict[str, Array], values: Mapping[str, Array], today: Today) -> dict[str, Array]:
        """Sums over the pixels of a block."""
        sums = {name: jnp.matmul(values[name], today.weight, precision=EXACT) for name in self.reads}
        return {name: lax.dynamic_update_index_in_dim(carry[name], total, today.row, 0) for name, total in sums.items()}

    def end(self, carry: dict[str, Array], months: Kept, sums: Kept, static: Static) -> Kept:
        """The series."""
        return carry

    def tile(self, totals: TileTotals, kept: Mapping[str, np.ndarray], block: Block) -> None:
        """Add the sums of a block to those of its plant type."""
        totals.add_to_plant_type(self.name, np.stack([kept[name] for name in self.reads], 1) * block.pixel_area, block)

    def cost(self, calendar: Calendar, draws: int) -> float:
        """Nothing: a series belongs to all pixels of a block."""
        return 0.0

    def merge(self, stream: Enduring, job: Job, merged: Merged, attributes: Mapping) -> None:
        """Means over the area of each plant type."""
        import xarray as xr

        found = merged.of_plant_types.get(self.name, {})
        kinds = list(found)
        area = np.array([merged.area[merged.plant_type == kind].sum() for kind in kinds])
        daily = np.array([found[kind] for kind in kinds]).reshape(len(kinds), len(job.calendar.mapped), len(self.reads), job.draws)
        parts = {name: daily[:, :, number] for number, name in enumerate(self.reads)}
        mean = np.stack([value_of(name, parts) for name in self.quantities]) / area.reshape(1, -1, 1, 1)
        rows = [Quantity.of(name) for name in self.quantities]
        described = {
            "units": " ".join(names_of([row.units_of("daily", True) for row in rows])),
            "long_name": "mean over the area of the plant type", "cell_methods": "area: mean time: mean", "coordinates": "area",
        } | ({"comment": rows[0].comment} if rows[0].comment else {})  # fmt: skip
        xr.Dataset(
            {
                "series": (("flux", "plant_type", "draw", "time"), mean.astype(np.float32).swapaxes(2, 3), described),
                "time_bnds": bounds(job.calendar, "daily", "time"),
            },
            coords=labels(job.draws, self.quantities)
            | {
                "plant_type": ("plant_type", [PLANT_TYPES[kind] for kind in kinds], {"long_name": "IGBP plant type"}),
                "time": axis(job.calendar.mapped, "time", f"day, {job.region.time_zone}"),
                "area": ("plant_type", area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
            },
            attrs=attributes,
        ).to_netcdf(stream, engine="h5netcdf", encoding={"time": DAYS})
