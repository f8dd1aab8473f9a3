"""Zones of a run: their map, their budgets, the values by which they are coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hybridflux.data.hdf5 import open_netcdf
from hybridflux.products.budget import budget_of
from hybridflux.products.totals import ALL, RunTotals, open_totals, zone_names
from hybridflux.region.drivers.open import Region, open_region
from hybridflux.view.pyramid import MapSource, Pyramid
from hybridflux.view.run_maps import RunMaps
from hybridflux.vocabulary import FLUXES

if TYPE_CHECKING:
    from hybridflux.view.ledger_layer import LedgerLayer

SHOWN = ("period", "variable", "quantity", "units", "mean", "q05", "q95", "area_ha", "total_tCO2", "total_tCO2_q05", "total_tCO2_q95")
"""Columns of a budget that a page shows."""
MOST_ZONES = 20_000  # whose totals are coloured on a page
WHOLE_YEAR = 365  # days from which a sum is one of a year


@dataclass(frozen=True)
class Zones:
    """Zones of a run: their map from the region store, their budgets from its totals.

    Attributes:
        run: the run.
        region: where its region store is now.
        ledger: table of `hybridflux ledger`; None for none.
    """

    run: RunMaps
    region: Path
    ledger: Path | None = None

    @cached_property
    def opened(self) -> Region | None:
        """The region store; None where it is not there, or of another grid."""
        try:
            found = open_region(self.region, check=False)
        except (OSError, ValueError, KeyError):
            return None
        mine, its = self.run.grid, found.grid
        return found if (mine.shape, mine.west, mine.north, mine.pixel) == (its.shape, its.west, its.north, its.pixel) else None

    @cached_property
    def booked(self) -> LedgerLayer | None:
        """The ledger, read."""
        from hybridflux.view.ledger_layer import LedgerLayer

        return LedgerLayer.read(self.ledger) if self.ledger else None

    @property
    def variables(self) -> list[str]:
        """By which zones can be coloured."""
        return [*FLUXES, *(self.booked.variables if self.booked else ())]

    @cached_property
    def pyramid(self) -> Pyramid | None:
        """Numbers of the zones."""
        if self.opened is None:
            return None
        array = self.opened.group["zone"]
        source = MapSource("zone", (1, *array.shape), 0, lambda frames, y, x: array[y, x][None], linear=False)
        return Pyramid(source, self.run.memory, self.run.cache)

    @cached_property
    def totals(self) -> RunTotals:
        """Totals of the run, with the structural error of its model where it is known."""
        return open_totals(self.run.path).with_structural_error()

    @cached_property
    def names(self) -> dict[int, str]:
        """Number -> name, of the zones that have totals."""
        with open_netcdf(self.run.inside(self.run.path / "totals.nc")) as data:
            return dict(zip(data["zone"].values.tolist(), zone_names(data).tolist(), strict=True))

    def budget(self, name: str) -> dict:
        """Budget of a zone: all its land covers together."""
        cells = np.flatnonzero(self.totals.zone == name)
        if not len(cells):
            return {"name": name, "spread": self.totals.spread, "rows": [], "months": None, "ledger": []}
        part, booked = part_of(self.totals, cells), self.booked.of_zone(name) if self.booked else []
        return {"name": name, "spread": self.totals.spread, "rows": rows_of_zone(part, name), "months": months_of(part), "ledger": booked}

    def of_pixel(self, row: int, column: int) -> dict | None:
        """Budget of the zone of a pixel; None where it lies in none, or where zones are not known."""
        if self.opened is None:
            return None
        name = self.names.get(int(self.opened.group["zone"][row, column]))
        return None if name is None else self.budget(name)

    def by_number(self, label: str, variable: str) -> dict:
        """A flux of each zone, from sums per draw, or a variable of the ledger, of a calendar year or a month.

        Args:
            label: `2018`, or `2018-06`.
            variable: one of `variables`.

        Returns:
            Units, and number of a zone -> its name and value (mean, q05, q95); at most `MOST_ZONES`.

        Raises:
            KeyError: the run has no such year or month.
        """
        units, values = self._fluxes(label, variable) if variable in FLUXES else self.booked.by_zone(variable, label)
        kept = {number: name for number, name in list(self.names.items())[:MOST_ZONES] if name in values}
        return {"units": units, "zones": {str(number): {"name": name, "value": values[name]} for number, name in kept.items()}}

    def _fluxes(self, label: str, flux: str) -> tuple[str, dict[str, list[float]]]:
        totals = self.totals
        months = np.flatnonzero([f"{month:%Y-%m}".startswith(label) for month in totals.months])
        if not len(months):
            raise KeyError(label)
        days = int(totals.days[months].sum())
        units, over = ("gC m-2 d-1", days) if len(label) > 4 else ("gC m-2 yr-1" if days >= WHOLE_YEAR else "gC m-2", 1)
        names, which = np.unique(totals.zone.astype(str), return_inverse=True)
        cells = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
        area = np.bincount(which, totals.area)[:, None]
        values = summary(totals.sums(flux, cells, months) / area / over).T
        return units, dict(zip(names.tolist(), np.round(values, 4).tolist(), strict=True))


def part_of(totals: RunTotals, cells: np.ndarray) -> RunTotals:
    """Totals of some cells, in memory."""
    carbon = {flux: values[cells] for flux, values in totals.total.items()}
    return replace(totals, total=carbon, zone=totals.zone[cells], land_cover=totals.land_cover[cells], area=totals.area[cells])


def rows_of_zone(totals: RunTotals, name: str) -> list[dict]:
    """Fluxes and anomalies of a zone, all land covers together, JSON-ready."""
    table = budget_of(totals)
    shown = table["quantity"].isin(["flux", "anomaly"])
    return plain(table[(table["zone"] == name) & (table["land_cover"] == ALL) & shown], SHOWN)


def summary(draws: np.ndarray) -> np.ndarray:
    """Mean, 5 % and 95 % quantile over the last axis, on the first one of what is returned."""
    return np.stack([draws.mean(-1), *np.quantile(draws, [0.05, 0.95], axis=-1)])


def months_of(totals: RunTotals) -> dict:
    """Mean rate of each month over all cells, gC m-2 d-1, from sums per draw: labels, and flux -> ending -> values."""
    over = totals.area.sum() * totals.days[:, None]
    series = {flux: summary(np.asarray(values[:]).sum(0) / over) for flux, values in totals.total.items()}
    named = {flux: dict(zip(("", "_q05", "_q95"), np.round(three, 5).tolist(), strict=True)) for flux, three in series.items()}
    return {"frames": [f"{month:%Y-%m}" for month in totals.months], "series": named}


def plain(table: pd.DataFrame, columns: Sequence[str]) -> list[dict]:
    """Rows as plain values; what is not finite becomes None."""

    def value(one):
        return one if isinstance(one, str) else float(one) if np.isfinite(one) else None

    rows: list[Mapping] = table[list(columns)].to_dict("records")
    return [{name: value(one) for name, one in row.items()} for row in rows]
