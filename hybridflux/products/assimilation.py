"""An inventory informs the draws of a run: what stock changes say of NBP, of exported carbon and of the error of the model.

    stock change of a zone and its years = -NEE - export + import - fire - leaching + error

The draws of a run are a prior of NEE, what the inventory says of exports one of these, and its stock changes are the measurements
(`ensemble_update`). One matrix updates everything that is made of draws: each zone, land cover, month and flux, so that sums add up as
before. Years that the same stock changes cover move alike, by the mean of their updates in each month of the year: a stock change says
nothing of how they differ, and what some draws would say of it by chance stays out. So anomalies within such years are those of the prior.
Maps are not touched, nor is a file of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from hybridflux.products.ensemble_update import METHODS, effective_draws, errors_of, importance
from hybridflux.products.inventory import CARRIED, Entry, read_inventory
from hybridflux.products.measured_stocks import StockChange, error_covariance, export_covariance, place_name, stock_changes, summed
from hybridflux.products.totals import Lazy, RunTotals, open_totals


@dataclass(frozen=True)
class Assimilated:
    """The update of a run.

    Attributes:
        prior: totals with the structural error.
        totals: the same, updated.
        changes: stock changes with draws of the prior.
        updated: the same with updated draws.
        matrix: T `[draw, draw]`; `x @ matrix` is the update of the mean of a quantity over the years of a stock change `[..., draw]`.
        method: name of the update.
        effective: draws that would keep weight if they were weighed instead.
    """

    prior: RunTotals
    totals: RunTotals
    changes: tuple[StockChange, ...]
    updated: tuple[StockChange, ...]
    matrix: np.ndarray
    method: str
    effective: float


def assimilate(run: str | Path, inventory: str | Path, *, method: str = "kalman", seed: int = 0) -> Assimilated:
    """Update the draws of a run by an inventory.

    Args:
        run: folder written by `map_region`.
        inventory: CSV of stock changes and exports (`inventory.read_inventory`).
        method: `kalman` or `weights` (`ensemble_update`).
        seed: of the random numbers of exports and of the update.

    Raises:
        ValueError: no stock change can be used, with the reason of each; or weights degenerate.
    """
    try:
        return assimilate_totals(open_totals(run), read_inventory(inventory), method=method, seed=seed)
    except NothingToLearn as error:
        raise NothingToLearn(f"{inventory}: {error}") from None


class NothingToLearn(ValueError):
    """No stock change of an inventory can inform a run."""


def assimilate_totals(totals: RunTotals, entries: Sequence[Entry], *, method: str = "kalman", seed: int = 0) -> Assimilated:
    """Update totals; arguments and errors as of `assimilate`."""
    if method not in METHODS:
        raise ValueError(f"method `{method}` is not known; an update is one of {', '.join(METHODS)}")
    prior, changes = totals.with_structural_error(), stock_changes(totals, entries, seed)
    used = [number for number, change in enumerate(changes) if not change.left_out]
    if not used:
        listed = "; ".join(dict.fromkeys(f"{place_name(change.entry)}: {change.left_out}" for change in changes))
        raise NothingToLearn(f"no stock change can inform this run. {listed[:1500]}")
    chosen = [changes[number] for number in used]
    exports = {pool: export_covariance(chosen, pool) for pool in CARRIED}
    errors = error_covariance(chosen)
    expected = np.array([-sum(CARRIED[pool] * value for pool, (value, _) in change.entry.carried.items()) for change in chosen])
    predicted, observed = expected[:, None] - np.array([change.nee for change in chosen]), np.array([one.measured for one in chosen])
    given = predicted, observed, errors + sum(exports.values())
    matrix = METHODS[method](*given, seed)
    updated = _with_exports(changes, used, matrix, exports, errors, seed)
    alike = _moved_alike(prior, [change.entry.years for change in chosen])
    total = {flux: Lazy(values.shape, partial(_updated, values, matrix, alike)) for flux, values in prior.total.items()}
    return Assimilated(
        prior, replace(prior, total=total), tuple(changes), updated, matrix, method, effective_draws(importance(*given))
    )  # fmt: skip


def _with_exports(changes: Sequence[StockChange], used: Sequence[int], matrix, exports, errors, seed: int) -> tuple[StockChange, ...]:
    """Updated draws of the stock changes: fluxes by the matrix, then exports given these, which needs no covariances of draws.

    Args:
        changes: of the prior.
        used: numbers of those that took part.
        matrix: T of the update.
        exports: covariance of each pool `[change, change]`.
        errors: of the stock changes.
        seed: of the errors that perturb them.
    """
    out = [
        replace(one, yearly=one.yearly @ matrix, carried=dict(one.carried), bias=None if one.bias is None else one.bias @ matrix)
        for one in changes
    ]
    predicted = np.array([out[number].nbp for number in used])
    perturbed = errors_of(errors, predicted, np.random.default_rng([seed, len(used), 1]))
    departure = np.array([out[number].measured for number in used])[:, None] + perturbed - predicted
    solved = np.linalg.lstsq(errors + sum(exports.values()), departure, rcond=1e-12)[0]
    for pool, covariance in exports.items():
        for number, moved in zip(used, -CARRIED[pool] * covariance @ solved, strict=True):
            if pool in out[number].carried:
                out[number].carried[pool] = out[number].carried[pool] + moved
    for number in sorted((number for number, one in enumerate(out) if one.parts), key=lambda number: len(out[number].cells)):
        out[number] = replace(out[number], carried=summed(out, out[number].parts))
    return tuple(out)


def _moved_alike(totals: RunTotals, periods: Sequence[tuple[int, int]]) -> np.ndarray:
    """Weights `[month, month]` of a mean over the same month in all years that the same stock changes cover."""
    whole = totals.complete_years()
    covered = {year: tuple(first <= year <= last for first, last in periods) if year in whole else () for year in set(totals.months.year)}
    kind = [(covered[month.year], month.month) for month in totals.months]
    same = np.array([[one == other for other in kind] for one in kind], float)
    return same / same.sum(1, keepdims=True)


def _updated(values, matrix: np.ndarray, alike: np.ndarray, cells: np.ndarray) -> np.ndarray:
    before = values[cells]
    return before + alike @ (before @ matrix - before)
