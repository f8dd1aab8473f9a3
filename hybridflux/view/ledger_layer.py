"""The table of `hybridflux ledger` as a layer of zones: export, fire, leaching, net biome production of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import read_cells
from hybridflux.products.totals import ALL
from hybridflux.view.zones import SHOWN, plain
from hybridflux.vocabulary import FLUXES

_TEXTS = ("period", "variable", "quantity", "units")
_EXAMPLE = "the table of `hybridflux ledger --out ledger.csv`"


@dataclass(frozen=True)
class LedgerLayer:
    """Rows of a ledger, all land covers together.

    Attributes:
        rows: the columns `SHOWN`, and `zone`.
    """

    rows: pd.DataFrame

    @classmethod
    def read(cls, path: str | Path) -> LedgerLayer:
        """Read a table of `hybridflux ledger`.

        Raises:
            ValueError: a column is missing, a number is none, or it has no export of a zone.
        """
        cells = read_cells(Path(path), ("zone", "land_cover", *SHOWN), example=_EXAMPLE)
        table = {name: cells.text[name] if name in _TEXTS else cells.numbers(name) for name in SHOWN}
        table["zone"] = cells.text["zone"].str.removeprefix("'")  # the mark of texts that a spreadsheet would run
        rows = pd.DataFrame(table)[cells.text["land_cover"] == ALL]
        if "export" not in set(rows["variable"]):
            raise ValueError(f"{path} has no row `export` of all land covers of a zone (`land_cover` = `{ALL}`); give {_EXAMPLE}")
        return cls(rows)

    @property
    def variables(self) -> list[str]:
        """Its variables besides the fluxes, in the order of the table."""
        return [name for name in dict.fromkeys(self.rows["variable"]) if name not in FLUXES]

    def of_zone(self, name: str) -> list[dict]:
        """Rows of a zone, besides those of the fluxes."""
        return plain(self.rows[(self.rows["zone"] == name) & ~self.rows["variable"].isin(FLUXES)], SHOWN)

    def by_zone(self, variable: str, period: str) -> tuple[str, dict[str, list[float | None]]]:
        """Units, and name of a zone -> mean, q05, q95 of a variable in a period; empty where the table does not have it.

        Args:
            variable: one of `variables`.
            period: a calendar year, `2018`; of a part of it the table has `2018-05..2018-07`.
        """
        table = self.rows
        when = (table["period"] == period) | table["period"].str.startswith(f"{period}-")
        chosen = table[(table["variable"] == variable) & when & (table["quantity"] == "flux")]
        known = chosen[np.isfinite(chosen["mean"])]
        values = {row["zone"]: [row[name] for name in ("mean", "q05", "q95")] for row in plain(known, ("zone", "mean", "q05", "q95"))}
        return (known["units"].iloc[0] if len(known) else ""), values
