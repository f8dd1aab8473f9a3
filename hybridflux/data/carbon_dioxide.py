"""Carbon dioxide of the air, from annual means."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import read_cells
from hybridflux.vocabulary import VARIABLES

_LOG = logging.getLogger("hybridflux.data")
_BOUNDS = VARIABLES["co2"].bounds
_FARTHEST = 5.0  # years of extrapolation beyond the file without a warning: the error is within 2 ppm since 1990
_FIRST_YEAR = 1990
_MAUNA_LOA = (
    354.45, 355.70, 356.54, 357.21, 358.96, 360.97, 362.74, 363.88, 366.84, 368.54,
    369.71, 371.32, 373.45, 375.98, 377.70, 379.98, 382.09, 384.02, 385.83, 387.64,
    390.10, 391.85, 394.06, 396.74, 398.81, 401.01, 404.41, 406.76, 408.72, 411.65,
    414.21, 416.41, 418.53, 421.08, 424.61,
)  # fmt: skip
"""Annual means at Mauna Loa, 1990 on [ppm]: NOAA Global Monitoring Laboratory, Lan, Tans & Thoning, gml.noaa.gov/ccgg/trends."""


def daily_co2(folder: Path | None) -> Callable[[pd.DatetimeIndex], np.ndarray]:
    """Mole fraction of CO2 [ppm] as a function of days: linear between the middles of the years, extrapolated at the ends.

    Args:
        folder: may hold `co2_annual.csv` with the columns year and co2_ppm; else, or if None, the annual means of Mauna Loa are taken.

    Raises:
        ValueError: the file lacks a column, holds fewer than two years, or means that are not in ppm.
    """
    path = folder / "co2_annual.csv" if folder else None
    if path is None or not path.exists():
        years, means = _FIRST_YEAR + np.arange(len(_MAUNA_LOA)), np.array(_MAUNA_LOA)
    else:
        cells = read_cells(path, ("year", "co2_ppm"), {"mean": "co2_ppm"}, "year,co2_ppm")
        table = pd.DataFrame({name: cells.numbers(name) for name in ("year", "co2_ppm")}).sort_values("year")
        if table.isna().any(axis=None):
            row, name = table.isna().stack().loc[lambda missing: missing].index[0]
            raise ValueError(f"co2_annual.csv, column {name}, row {row} is missing; delete the row")
        years, means = table["year"].to_numpy(), table["co2_ppm"].to_numpy()
    if len(years) < 2 or (np.diff(years) <= 0).any() or (years % 1 != 0).any():
        raise ValueError("co2_annual.csv needs two or more whole years, each once, with means between 280 and 600 ppm")
    if (wrong := (means <= _BOUNDS[0]) | (means >= _BOUNDS[1])).any():
        raise ValueError(
            f"co2_annual.csv: {means[wrong][0]:g} in {years[wrong][0]:g} is not between {_BOUNDS[0]:g} and {_BOUNDS[1]:g} ppm; multiply a "
            "mole fraction by 1e6"
        )

    def of_days(days: pd.DatetimeIndex) -> np.ndarray:
        when = days.year + (days.day_of_year - 0.5) / 365.25
        middle = years + 0.5
        beyond = max(middle[0] - when.min(), when.max() - middle[-1])
        if beyond > _FARTHEST:
            _LOG.warning("CO2 of the air is extrapolated over %.0f years beyond the annual means of %g to %g", beyond, years[0], years[-1])
        inside = np.interp(when, middle, means)
        first, last = ((means[i + 1] - means[i]) / (middle[i + 1] - middle[i]) for i in (0, -2))
        return inside + first * np.minimum(when - middle[0], 0) + last * np.maximum(when - middle[-1], 0)

    return of_days
