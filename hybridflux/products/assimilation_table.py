"""The table of an update by an inventory: every row beside its prior, and what each stock change says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.assimilation import Assimilated, assimilate
from hybridflux.products.budget import budget_of
from hybridflux.products.closure import worth_detecting
from hybridflux.products.ensemble_update import posterior_predictive_p, prior_predictive_p
from hybridflux.products.measured_stocks import SUM, StockChange, region_of
from hybridflux.products.rows import COLUMNS, budget_row
from hybridflux.products.stock_agreement import StockAgreement, Uncertainties, agreement
from hybridflux.products.years import named
from hybridflux.records import run_record
from hybridflux.region.draws.spread import ASSIMILATED

KEYS = ["zone", "land_cover", "period", "variable", "quantity"]
BIAS = "structural bias"


def assimilated_table(
    run: str | Path, inventory: str | Path, *, method: str = "kalman", seed: int = 0, reference: tuple[int, int] | None = None
) -> pd.DataFrame:
    """The budget of a run whose draws an inventory has informed, with the columns of `budget_table` and `stage` `assimilated`.

    Rows NBP, export (and `import`, `fire`, `leaching`) and `structural bias` of each place of the inventory come before those of fluxes,
    and before them those of the whole region, where stock changes of its parts make it up.
    `prior_mean` and `prior_sd` are those before the update, `shrinkage` is 1 - sd / prior_sd. Rows NBP have the measured `stock_change`,
    `prior_predictive_p` (how likely a measurement as far from the prior is: small where run and inventory contradict each other),
    `posterior_predictive_p`, and whether fluxes and stocks agree (`agreement`): `verdict` with its `reason`, `gap` with its interval, and
    where that is undecidable `years_to_decide`, `plots_to_decide` (times today's), `towers_to_decide`, each alone. `note` says why a stock
    change took no part.

    Args:
        run: folder written by `map_region`; it is not changed.
        inventory: CSV of stock changes and exports.
        method: `kalman` or `weights`.
        seed: of the random numbers.
        reference: first and last year of the period that anomalies refer to; all whole years by default.

    Raises:
        ValueError: as `assimilate`, or a reference year is not mapped.
    """
    found = assimilate(run, inventory, method=method, seed=seed)
    return table_of(found, nugget=run_record(run).get("effect_nugget"), reference=reference)


def table_of(found: Assimilated, *, nugget: float | None = None, reference: tuple[int, int] | None = None) -> pd.DataFrame:
    """The table of an update; arguments as of `assimilated_table` and `stock_agreement.Uncertainties`."""
    whole, pairs = region_of(found.changes, found.updated, found.prior), zip(found.changes, found.updated, strict=True)
    changes = pd.DataFrame([row for pair in [*([whole] if whole else []), *pairs] for row in _rows(found, *pair, nugget)])
    before, after = (budget_of(totals, reference) for totals in (found.prior, found.totals))
    known = before.set_index(KEYS)[["mean", "sd"]].rename(columns={"mean": "prior_mean", "sd": "prior_sd"})
    table = pd.concat([changes, after.merge(known, left_on=KEYS, right_index=True, how="left")], ignore_index=True)
    table["shrinkage"] = 1.0 - table["sd"] / table["prior_sd"].where(table["prior_sd"] > 0)
    table["area_without_tower_ha"] = table.groupby(["zone", "land_cover"])["area_without_tower_ha"].transform("first")
    table = table.assign(spread=found.prior.spread, draws=found.prior.draws, stage=ASSIMILATED, method=found.method)
    table["effective_draws"] = found.effective
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def agreement_of(change: StockChange, after: StockChange, nugget: float | None) -> StockAgreement:
    """Whether fluxes and a stock change agree; arguments as of `stock_agreement.Uncertainties`."""
    (export, exported_sd), (first, last) = change.entry.pools["export"], change.entry.years
    worth = worth_detecting(change.nee.mean(), export, change.measured)
    p = prior_predictive_p(change.nbp[None], np.array([change.measured]), np.array([change.sd]))[0]
    return agreement(change.nbp, after.nbp, float(p), worth, Uncertainties(change.sd, exported_sd, last - first + 1, nugget))


def _rows(found: Assimilated, change: StockChange, after: StockChange, nugget: float | None) -> list[dict]:
    """Rows of a place of the inventory: NBP, what is carried away, the error of the model; none where nothing of it is mapped."""
    if not len(change.yearly):
        return []
    entry, years = change.entry, range(change.entry.years[0], change.entry.years[1] + 1)
    complete = np.isfinite(change.measured) and "export" in entry.pools
    before, updated = (_quantities(one, complete) for one in (change, after))
    rows = []
    for variable, draws in before.items():
        row = budget_row(entry.zone, entry.land_cover, change.area, variable, updated[variable] * change.area)
        row |= {"period": named(years), "quantity": "flux", "prior_mean": draws.mean(), "prior_sd": draws.std(ddof=1)}
        row["days"] = int(found.prior.days[found.prior.months.year.isin(years)].sum())
        if variable == "NBP":
            row |= {"stock_change": change.measured, "stock_change_sd": change.sd, "note": change.left_out}
            if change.left_out in ("", SUM) and change.sd > 0:
                measured, sd = np.array([change.measured]), np.array([change.sd])
                row["prior_predictive_p"] = prior_predictive_p(draws[None], measured, sd)[0]
                row["posterior_predictive_p"] = posterior_predictive_p(after.nbp[None], measured, sd)[0]
                row |= vars(agreement_of(change, after, nugget))
        rows.append(row)
    return rows


def _quantities(change: StockChange, complete: bool) -> dict[str, np.ndarray]:
    """Variable -> draws."""
    return ({"NBP": change.nbp} if complete else {}) | change.carried | ({} if change.bias is None else {BIAS: change.bias})
