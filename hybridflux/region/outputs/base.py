"""What an output of a map is: what it does with every day inside a kernel, which arrays it writes, what it makes of all tiles.

An output is a frozen dataclass with the base `Output`; its fields are part of the specification of the run. Kernels, store, merge and
the estimate of a run know nothing of what it keeps. One of the user's own is a file of its own: `tests/outside/files/my_dry_days.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hybridflux.model.outside import file_name
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.map_periods import mapped_days
from hybridflux.region.kernels.contract import LIMIT, Carry, Kept, Static, Today
from hybridflux.region.outputs.quantities import CARBON, carried, checked, names_of
from hybridflux.region.store import layout

if TYPE_CHECKING:
    from hybridflux.files import Enduring
    from hybridflux.inference.posterior import Posterior
    from hybridflux.region.drivers.dissimilarity import Dissimilarity
    from hybridflux.region.outputs.merge_totals import Block, Merged, TileTotals
    from hybridflux.region.spec import Job
    from hybridflux.region.store.grid import Grid, Tile

GROUPS = ("monthly", "annual", "daily", "record")
"""Groups of the store of maps, by the periods of their arrays."""


@dataclass(frozen=True)
class ArraySpec:
    """An array of the store, `[period, y, x]`, scaled int16 with a tile in a chunk.

    Attributes:
        group: `daily`, `monthly`, `annual`, or `record`, all mapped days in one period: what its periods are.
        name: in that group.
        long_name: what it is.
        units: of its values.
        largest: absolute value that it has to hold; the step of the integers is the least of 1, 2, 5 x 10^k that holds it.
        units_of_part: where a period may be a part of a calendar year and is not an amount per year then; empty: as `units`.
        per_day: what the kernel gives is a sum over the days of a period, the array is their mean.
        cell_methods: of CF.
        standard_name: of CF, of `units`, not of `units_of_part`.
        geotiff: whether it is copied into GeoTIFFs.
        linear: whether a mean over pixels means something, which the overviews of a GeoTIFF need.
        is_sd: whether it is a standard deviation over the draws, which is 0 of a single draw: a kernel need not make it then.
        is_quantile: whether it is a quantile of the draws, which is the mean of a single draw: the array before it that is neither.
        attributes: more attributes of CF, name and value.
    """

    group: str
    name: str
    long_name: str
    units: str
    largest: float
    units_of_part: str = ""
    per_day: bool = False
    cell_methods: str = "area: mean time: mean"
    standard_name: str | None = None
    geotiff: bool = True
    linear: bool = True
    is_sd: bool = False
    is_quantile: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Name among what a kernel gives back."""
        return f"{self.group}/{self.name}"

    @property
    def scale(self) -> float:
        """Step of the scaled integers."""
        return step_of(self.largest)

    def units_of(self, whole: bool) -> str:
        """Units where all periods are whole calendar periods, or not."""
        return self.units if whole or not self.units_of_part else self.units_of_part

    def described(self, whole: bool) -> dict[str, Any]:
        """Attributes of CF; `whole` says whether all periods are whole calendar periods."""
        found = {
            "units": self.units_of(whole), "long_name": self.long_name, "cell_methods": self.cell_methods, "grid_mapping": "spatial_ref",
            "scale_factor": self.scale, "_FillValue": layout.NODATA,
        }  # fmt: skip
        named = self.standard_name and (whole or not self.units_of_part)
        return found | dict(self.attributes) | ({"standard_name": self.standard_name} if named else {})


class Output:
    """Something that a run keeps. Every method has a default, so that an output says only what it does.

    Attributes:
        reads: quantities of a day, by the names of the model: drivers, parameters, states, what is read of them, diagnostics, fluxes.
        sums: those of them whose sums over each month and draw it wants.
        program: part of the program for GPUs that does its days (`kernels.contract.Accumulator`).
        file: that `merge` writes into the run folder; empty for none.
        title: of this file, one line.
        has_structural_error: whether it adds up the structural error of NEE over cells (`merge_totals.FIELD`).
    """

    reads: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    program: str = ""
    file: str = ""
    title: str = ""
    has_structural_error: bool = False

    @property
    def name(self) -> str:
        """Unlike that of any other output of a run: that of the class, `period_maps`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def to_json(self) -> dict[str, Any]:
        """The class and the fields, plain values; a class outside of hybridflux as `module:Class`."""
        cls = type(self)
        inside = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
        return {"output": cls.__name__ if inside else f"{file_name(cls.__module__)}:{cls.__qualname__}"} | asdict(self)

    def places(self, grid: Grid, tile: Tile) -> np.ndarray | None:
        """A number of each pixel of a tile `[y, x]`, where sums over a block must be of pixels of one number only (`Block.places`)."""
        return None

    def begin(self, static: Static) -> Carry:
        """What is carried before the first mapped day: a tree of arrays."""
        return ()

    def day(self, carry: Carry, values: Mapping[str, Any], today: Today) -> Carry:
        """Add a day; `values` are float32 `[draw, n]`, one for each of `reads`."""
        return carry

    def month(self, carry: Carry, sums: Kept) -> tuple[Carry, Kept]:
        """End a month: what is carried on, and name -> what is kept of the month; `sums` are `[draw, n]`."""
        return carry, {}

    def end(self, carry: Carry, months: Kept, sums: Kept, static: Static) -> Kept:
        """End a block of pixels: name -> all that is kept, `group/name` `[period, n]` for each of `arrays`.

        Args:
            carry: after the last day.
            months: what `month` kept, with the axis month before the others.
            sums: all sums `[month, draw, n]`.
            static: what is fixed.
        """
        return months

    def of_dissimilarity(self, found: Dissimilarity) -> Kept:
        """Arrays `group/name` `[period, pixel]` made of the dissimilarity of a tile to the days of the fit, not inside the kernel."""
        return {}

    def check(self, posterior: Posterior) -> None:
        """Refuse a posterior that the output cannot be made with.

        Raises:
            ValueError: says what to do.
        """

    def arrays(self, calendar: Calendar) -> Iterable[ArraySpec]:
        """Arrays of the store."""
        return ()

    def tile(self, totals: TileTotals, kept: Mapping[str, np.ndarray], block: Block) -> None:
        """Add what is kept of a block of pixels to the totals of its tile."""

    def merge(self, stream: Enduring, job: Job, merged: Merged, attributes: Mapping) -> None:
        """Write `file` from the totals of all tiles.

        Args:
            stream: open file for h5netcdf.
            job: the run.
            merged: totals of all tiles.
            attributes: of every product of the run.
        """

    def cost(self, calendar: Calendar, draws: int) -> float:
        """Bytes that a kernel gives back for a pixel."""
        return sum(4 * len(mapped_days(calendar, array.group)) for array in self.arrays(calendar))


@dataclass(frozen=True)
class OfQuantities(Output):
    """An output of some quantities of the model.

    Attributes:
        stem: of its name, to which quantities are added where they are not the carbon fluxes.
        quantities: names of the model; a single one may stand alone.
    """

    stem: ClassVar[str]
    quantities: tuple[str, ...] = CARBON

    def __post_init__(self):
        object.__setattr__(self, "quantities", names_of(self.quantities))
        if hasattr(self, "quantiles"):
            object.__setattr__(self, "quantiles", checked(self.quantiles))

    @property
    def name(self) -> str:
        """With the quantities, where they are not the carbon fluxes."""
        return self.stem if self.quantities == CARBON else "_".join([self.stem, *self.quantities])

    @property
    def reads(self) -> tuple[str, ...]:
        """What is carried for the quantities."""
        return carried(self.quantities)


def step_of(largest: float) -> float:
    """The least of 1, 2, 5 x 10^k by which a value fits into 16 bits.

    >>> step_of(60), step_of(1)
    (0.002, 5e-05)
    """
    tens = math.floor(math.log10(largest / LIMIT))
    return next(step for step in (float(f"{digit}e{tens}") for digit in (1, 2, 5, 10)) if LIMIT * step >= largest)


def arrays_of(outputs: Iterable[Output], calendar: Calendar) -> dict[str, list[ArraySpec]]:
    """Group of the store -> its arrays."""
    found = [array for output in outputs for array in output.arrays(calendar)]
    return {group: here for group in GROUPS if (here := [array for array in found if array.group == group])}
