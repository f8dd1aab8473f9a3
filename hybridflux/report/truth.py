"""The truth of a synthetic region, shown beside the estimates."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from hybridflux.products.totals import RunTotals, totals_of


@dataclass(frozen=True)
class Truth:
    """True totals and parameters.

    Attributes:
        totals: monthly totals with a single draw, or None.
        parameters: parameter -> value, or plant type code -> value.
    """

    totals: RunTotals | None = None
    parameters: dict = field(default_factory=dict)


def read_truth(path: str | Path) -> Truth:
    """Read `truth.nc`: `total(flux, cell, month)` as in `totals.nc` without draws, and the attribute `parameters` (JSON)."""
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(path) as file:
        data = file[["total", "days"]].load()
    one_draw = data.assign(total=data["total"].expand_dims("draw"))
    return Truth(totals_of(one_draw, spread="none"), json.loads(data.attrs.get("parameters", "{}")))
