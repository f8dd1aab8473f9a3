"""The truth of a synthetic region, shown beside the estimates."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.budget import budget_of
from hybridflux.products.rows import budget_row
from hybridflux.products.totals import ALL, REGION, RunTotals, totals_of


@dataclass(frozen=True)
class Truth:
    """True totals and parameters.

    Attributes:
        totals: monthly totals with a single draw, or None.
        parameters: parameter -> value, or plant type code -> value.
        ledger: rows of NBP and export, with the columns of a budget; None where they are not known.
    """

    totals: RunTotals | None = None
    parameters: dict = field(default_factory=dict)
    ledger: pd.DataFrame | None = None

    def rows(self, reference: tuple[int, int] | None = None) -> pd.DataFrame | None:
        """All that is true, as rows of a budget; None where nothing is known.

        Args:
            reference: years that anomalies refer to, as of `budget_table`.
        """
        parts = [] if self.totals is None else [budget_of(self.totals, reference)]
        return pd.concat([*parts, self.ledger]) if parts else None


def read_truth(path: str | Path) -> Truth:
    """Read `truth.nc`: `total(flux, cell, month)` as in `totals.nc` without draws, and the attributes `parameters` and `ledger` (JSON)."""
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(path) as file:
        data = file[["total", "days"]].load()
    one_draw = data.assign(total=data["total"].expand_dims("draw"))
    ledger = _ledger(json.loads(data.attrs["ledger"])) if "ledger" in data.attrs else None
    return Truth(totals_of(one_draw, spread="none"), json.loads(data.attrs.get("parameters", "{}")), ledger)


def _ledger(record: dict) -> pd.DataFrame:
    """Rows of NBP and export of each zone and land cover, of the land covers of the region, and of all of it."""
    places = pd.DataFrame(record["places"])
    grams = places[["nee", "export"]].mul(places["area"], axis=0).assign(area=places["area"])
    region = grams.groupby(places["land_cover"]).sum().reset_index().assign(zone=REGION)
    whole = grams.sum().to_frame().T.assign(zone=REGION, land_cover=ALL)
    every = pd.concat([grams.assign(zone=places["zone"], land_cover=places["land_cover"]), region, whole])
    rows = [
        budget_row(place.zone, place.land_cover, place.area, variable, np.array([carbon]))
        for place in every.itertuples()
        for variable, carbon in (("NBP", -place.nee - place.export), ("export", place.export))
    ]
    return pd.DataFrame(rows).assign(period=record["period"], quantity="flux")
