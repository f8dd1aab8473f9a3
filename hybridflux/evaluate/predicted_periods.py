"""Predicted fluxes of towers as a table: days, months and years with their intervals, whether a flux was measured there or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from hybridflux.evaluate.predictions import Prediction, predictions
from hybridflux.inference.conditioned_error import UNUSED
from hybridflux.vocabulary import CARBON, PLANT_TYPES

if TYPE_CHECKING:
    from hybridflux.data.towers import Towers
    from hybridflux.inference.posterior import Posterior
    from hybridflux.progress import Progress


class CalendarPeriod(NamedTuple):
    """A period of the calendar.

    Attributes:
        unit: numpy unit of it.
        total: whether its value is the sum of its days, else their mean.
        units: units of its value.
    """

    unit: str
    total: bool
    units: str


PERIODS: Mapping[str, CalendarPeriod] = {
    "day": CalendarPeriod("D", False, "gC m-2 d-1"),
    "month": CalendarPeriod("M", False, "gC m-2 d-1"),
    "year": CalendarPeriod("Y", True, "gC m-2 yr-1"),
}
COLUMNS = (
    "site", "igbp", "known", "step", "period", "days", "variable", "units", "mean", "sd", "q05", "q50", "q95",
    "observed", "climatology", "filled",
)  # fmt: skip


def predicted_periods(
    posterior: Posterior,
    towers: Towers,
    *,
    step: Sequence[str] = ("day",),
    draws: int = 100,
    seed: int = 0,
    residuals: str = UNUSED,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """NEE, GPP and RECO of each tower over each whole period of its record, one tower in memory at a time.

    Each draw is summed over the days of a period before its quantiles are taken. Draws are predictive: with the structural error and the
    error of measuring, as a measured value has it; `mean` is that of the draws without these errors, or, at a site of the fit whose
    residuals are given, with the structural error that follows from them. NEE = RECO - GPP of means. A site of the fit keeps its own
    effects and, where residuals are unused, its discrepancy; any other draws its effects from the population.

    Args:
        posterior: fitted posterior.
        towers: of `open_towers`; with `measured=False` sites without a measured flux are among them.
        step: names of `PERIODS`. Months and years of which the record lacks a day are left out.
        draws: predictive draws per site.
        seed: of the effects of other sites and of the errors.
        residuals: months of the fit through whose residuals the error of a known site passes, see `Posterior.predict`: with `all-months`
            a year of a site of the fit is what its measured days say, filled by the model.
        progress: called with (done, all, message) over the towers.

    Returns:
        Columns `COLUMNS`. `period` is 2018-07-15, 2018-07 or 2018; `observed` the measured value of periods of which each day was
        measured; `climatology` the share of the days on which a driver of the model was missing for more than a week, so that its seasonal
        mean was taken, and `filled` names these drivers. NEE = RECO - GPP, positive to the atmosphere.

    Raises:
        ValueError: a driver that the towers do not have; residuals as of `Posterior.predict`.
    """
    needs = posterior.model.needs_at_towers()
    sequences, filled = towers.sequences(needs), towers.climatologies(needs)
    tables: list[pd.DataFrame] = []
    predicted = predictions(posterior, sequences, variables=CARBON, draws=draws, seed=seed, residuals=residuals)
    for number, one in enumerate(predicted):
        site = one.tower.places[0]
        first, last = (np.datetime64(towers.sites.at[site, end], "D") for end in ("first", "last"))
        record = (sequences.days >= first) & (sequences.days <= last)
        here = {name: absent[:, number] for name, absent in filled.items()}
        tables += [_of_tower(one, name, record, here) for name in step]
        if progress is not None:
            progress(number + 1, len(sequences.places), site)
    return pd.concat(tables, ignore_index=True)


def _of_tower(one: Prediction, step: str, record: np.ndarray, filled: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Rows of a tower at a step.

    Args:
        one: its prediction.
        step: name of `PERIODS`.
        record: whether a day belongs to its record `[time]`.
        filled: driver -> whether it was missing on a day `[time]`.
    """
    of = PERIODS[step]
    days, (site,) = one.tower.days[record], one.tower.places
    starts, first, count = np.unique(days.astype(f"datetime64[{of.unit}]"), return_index=True, return_counts=True)
    whole = count == ((starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")).astype(int)

    def over(values: np.ndarray, total: bool) -> np.ndarray:
        """Of whole periods `[..., period]`, of days `[..., time]`."""
        if not len(first):
            return np.zeros((*values.shape[:-1], 0))
        return np.add.reduceat(values[..., record], first, axis=-1, dtype=float)[..., whole] / (1 if total else count[whole])

    absent = np.any([np.zeros(len(record), bool), *filled.values()], axis=0)
    times = [np.where(over(days_without.astype(float), True) > 0, f"{name} ", "") for name, days_without in sorted(filled.items())]
    named = [" ".join(row).split() for row in zip(*times, strict=True)] if times else [[]] * int(whole.sum())
    tables = []
    for name in CARBON:
        drawn = over(one.draws[name][..., 0], of.total)
        low, middle, high = np.quantile(drawn, (0.05, 0.5, 0.95), axis=0)
        tables.append(pd.DataFrame({
            "site": site, "igbp": PLANT_TYPES[int(one.tower.plant_types[0])], "known": one.known, "step": step,
            "period": starts[whole].astype(str), "days": count[whole], "variable": name.upper(), "units": of.units,
            "mean": over(one.point[name][:, 0], of.total), "sd": drawn.std(axis=0, ddof=1), "q05": low, "q50": middle, "q95": high,
            "observed": over(one.tower.targets[name][:, 0], of.total), "climatology": over(absent.astype(float), False),
            "filled": [" ".join(row) for row in named],
        }))  # fmt: skip
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]
