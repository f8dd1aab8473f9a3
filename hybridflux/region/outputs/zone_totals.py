"""Totals of zones and plant types, month by month and draw by draw; and those of pixels, of which other zones can be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybridflux.files import Enduring
from hybridflux.model.structural_covariance import Periods
from hybridflux.region.draws.flux_errors import FluxErrors
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.map_periods import bounds_of, mapped_days
from hybridflux.region.kernels.contract import Kept, Static
from hybridflux.region.outputs.base import OfQuantities, Output
from hybridflux.region.outputs.merge_totals import FIELD, OUTSIDE, Block, Merged, TileTotals
from hybridflux.region.outputs.quantities import CARBON, Quantity, carried, names_of, value_of
from hybridflux.region.spec import Job
from hybridflux.region.store import layout
from hybridflux.vocabulary import PLANT_TYPES

DAYS = {"units": layout.TIME_UNITS, "calendar": "standard", "dtype": "int32"}
"""How time is written."""
ERRORS = {"NEE": "structural", "GPP": "structural_gpp"}
"""Flux -> variable of its structural error in the file."""


@dataclass(frozen=True)
class ZoneTotals(OfQuantities):
    """Sums over the pixels of each zone and plant type, for each month and draw, with the true area of every pixel.

    `total(flux, cell, draw, month)`; a cell is a zone and a plant type. Where the posterior knows its structural error,
    `structural(cell, draw, month)` is that of NEE, `structural_gpp` that of GPP, and their sum that of RECO, to be added to the total. Time
    stands last, as CF recommends (section 2.4).

    Attributes:
        quantities: names of the model that add up: carbon in g, water in kg.
    """

    stem = "totals"

    def __post_init__(self):
        super().__post_init__()
        for name in self.quantities:
            if not Quantity.of(name).is_rate:
                raise ValueError(f"`{name}` [{Quantity.of(name).units}] is no rate: its days do not add up; PeriodMaps gives its mean")

    @property
    def file(self) -> str:
        """`totals.nc`."""
        return f"{self.name}.nc"

    @property
    def title(self) -> str:
        """What the file holds."""
        return f"{_what(self.quantities)} by zone, plant type, month and draw"

    sums = OfQuantities.reads

    @property
    def given(self) -> tuple[str, ...]:
        """What `end` gives of each pixel, month and draw, in the order of the totals of a tile."""
        return carried(self.quantities)

    @property
    def has_structural_error(self) -> bool:
        """Of the carbon fluxes."""
        return self.quantities == CARBON

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """The sums of each month and draw."""
        return {name: sums[name] for name in self.sums}

    def tile(self, totals: TileTotals, kept: Mapping[str, np.ndarray], block: Block) -> None:
        """Sums over the pixels of each zone, weighted by area."""
        totals.add_to_cells(self.name, [kept[name] for name in self.given], block)

    def cost(self, calendar: Calendar, draws: int) -> float:
        """Four bytes for each month, draw and sum."""
        return 4 * len(self.given) * len(calendar.months) * draws

    def merge(self, stream: Enduring, job: Job, merged: Merged, attributes: Mapping) -> None:
        """The coordinates first, then the totals, group by group of cells."""
        import h5netcdf
        import xarray as xr

        first = layout.EPOCH + bounds_of(job.calendar, "monthly")[0].astype("timedelta64[D]")
        plant_type = {"long_name": "IGBP plant type, index into the attribute plant_types"}
        flags = {"flag_values": np.arange(len(PLANT_TYPES), dtype=merged.plant_type.dtype), "flag_meanings": " ".join(PLANT_TYPES)}
        xr.Dataset(
            {"month_bnds": bounds(job.calendar, "monthly", "month")},
            coords=labels(job.draws, self.quantities)
            | {
                "month": axis(first, "month", "first mapped day of the month"),
                "zone": ("cell", merged.zone, {"long_name": "number of the zone, 0 for none; names in the attribute zone_names"}),
                "plant_type": ("cell", merged.plant_type, plant_type | flags),
                "area": ("cell", merged.area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
                "days": ("month", mapped_days(job.calendar, "monthly"), {"units": "1", "long_name": "number of mapped days in the month"}),
            },
            attrs=attributes,
        ).to_netcdf(stream, engine="h5netcdf", encoding={"month": DAYS})
        basis = job.field_basis if self.quantities == CARBON else None
        fields = None if basis is None else FluxErrors.of(basis, job.posterior, Periods(*bounds_of(job.calendar, "monthly")), job.seed)
        with h5netcdf.File(stream, "a") as file:
            if job.posterior.training is not None:
                unlike = file.create_variable(OUTSIDE, ("cell",), np.float64)
                unlike[...] = merged.cells(OUTSIDE).sums(slice(0, len(merged.area)), ())
                what = "area outside the area of applicability, a pixel counting as much as the share of its days"
                unlike.attrs.update({"units": "m2", "long_name": what, "coordinates": "zone plant_type area"})
            methods = {"cell_methods": "area: sum month: sum", "coordinates": "zone plant_type area days"}
            methods |= {"units": units_of(self.quantities)}
            total = file.create_variable("total", ("flux", "cell", "draw", "month"), np.float64)
            what = "carbon exchanged" if self.quantities == CARBON else _what(self.quantities)
            total.attrs.update(methods | {"long_name": f"{what} over the mapped days of the month, all of the cell"})
            errors = {}
            for flux, name in ERRORS.items() if fields is not None else ():
                errors[flux] = file.create_variable(name, ("cell", "draw", "month"), np.float64)
                what = f"structural error of {flux}, carbon of the cell and month"
                errors[flux].attrs.update(methods | {"long_name": what, "comment": "not part of total; that of RECO is the sum of both"})
            for cells, sums in merged.groups(self.name, (len(first), len(self.given), job.draws)):
                parts = {name: sums[:, :, number] for number, name in enumerate(self.given)}
                for number, name in enumerate(self.quantities):
                    total[number, cells] = value_of(name, parts).swapaxes(1, 2)
                if fields is not None:
                    features = merged.cells(FIELD).sums(cells, (basis.features,))
                    _write_errors(errors, cells, fields.errors(sums, merged.area[cells], merged.plant_type[cells], features))


@dataclass(frozen=True)
class PixelTotals(Output):
    """GPP and RECO of each pixel, month and draw, float32, beside the totals of its tile: eight bytes a pixel, month and draw.

    `products.later_zones` adds them up over any polygons, with the intervals that zones of the region would have had.
    """

    reads = sums = carried(CARBON)

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """The sums of each month and draw."""
        return {name: sums[name] for name in self.sums}

    def tile(self, totals: TileTotals, kept: Mapping[str, np.ndarray], block: Block) -> None:
        """The pixels of the block."""
        totals.add_pixels(self.name, [kept[name] for name in self.sums], block)

    def cost(self, calendar: Calendar, draws: int) -> float:
        """Four bytes for each month, draw and sum."""
        return 4 * len(self.sums) * len(calendar.months) * draws


def _write_errors(variables: Mapping, cells: slice, errors: Mapping[str, np.ndarray]) -> None:
    """Errors of some cells `[cell, month, draw]`, which are forgotten before those of the next ones are made."""
    for flux, variable in variables.items():
        variable[cells] = errors[flux].swapaxes(1, 2)


def units_of(quantities: Sequence[str]) -> str:
    """Units of totals; those of all quantities where they differ."""
    return " ".join(names_of([Quantity.of(name).total for name in quantities]))


def _what(quantities: Sequence[str]) -> str:
    return "carbon" if quantities == CARBON else ", ".join(Quantity.of(name).long_name for name in quantities)


def labels(draws: int, quantities: Sequence[str]) -> dict:
    """Coordinates of draws and fluxes."""
    carbon = "carbon flux: net ecosystem exchange, gross primary productivity, respiration"
    flux = {"long_name": carbon if quantities == CARBON else f"flux: {_what(quantities)}"}
    return {
        "flux": ("flux", [Quantity.of(name).label for name in quantities], flux),
        "draw": ("draw", np.arange(draws), {"long_name": "posterior draw", "standard_name": "realization", "units": "1"}),
    }


def bounds(calendar: Calendar, group: str, dim: str) -> tuple:
    """First mapped day, and the day after the last one, of each period: bounds in the sense of CF."""
    first, end = bounds_of(calendar, group)
    return (dim, "bnds"), (layout.EPOCH + np.stack([first, end], 1).astype("timedelta64[D]")).astype("datetime64[ns]")


def axis(values: np.ndarray, name: str, long_name: str) -> tuple:
    """A CF time coordinate with bounds."""
    attributes = layout.TIME | {"long_name": long_name, "bounds": f"{name}_bnds"}
    return name, values.astype("datetime64[ns]"), attributes
