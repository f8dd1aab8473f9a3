"""Rows of a budget table: a total per draw becomes a mean and an interval, per area and in tCO2."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from hybridflux.units import convert

SIGN = {
    "NEE": "positive to the atmosphere",
    "GPP": "positive to the plants",
    "RECO": "positive to the atmosphere",
    "NBP": "positive gain of the land",
    "export": "positive out of the land",
    "import": "positive into the land",
    "fire": "positive to the atmosphere",
    "leaching": "positive out of the land",
    "structural bias": "positive where the model takes up too much or respires too little",
    "residue": "positive to the litter",
    "residue respiration": "positive to the atmosphere, part of RECO",
}
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
COLUMNS = (
    "zone", "land_cover", "period", "days", "variable", "quantity", "units", "area_ha", "mean", "sd", *QUANTILES,
    "total_units", "total_tCO2", "total_tCO2_sd", *(f"total_tCO2_{name}" for name in QUANTILES), "sign",
)  # fmt: skip
"""First columns of every budget table, in this order."""
TOTALS = tuple(name for name in COLUMNS if name.startswith("total_tCO2"))

NORMAL_POINTS = 64


def summary(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, sd and quantiles over draws `[..., draw]`; one draw has neither sd nor interval.

    >>> summary(np.array([1.0, 2.0, 3.0]))["sd"].item()
    1.0
    """
    mean = draws.mean(-1)
    if draws.shape[-1] < 2:
        return {"mean": mean} | dict.fromkeys(("sd", *QUANTILES), np.full(mean.shape, np.nan)[()])
    quantiles = np.quantile(draws, list(QUANTILES.values()), axis=-1)
    return {"mean": mean, "sd": draws.std(-1, ddof=1)} | dict(zip(QUANTILES, quantiles, strict=True))


def budget_row(
    zone: str | Sequence[str], cover: str | Sequence[str], area: float | np.ndarray, variable: str, grams: np.ndarray, *,
    yearly: bool = True, sd: float | None = None,
) -> dict:  # fmt: skip
    """Columns of one row, or of many where all arguments but the variable are given per row.

    Args:
        zone: name of the zone.
        cover: plant type code, or `all`.
        area: area [m2].
        variable: a row of `SIGN`.
        grams: total carbon per draw `[draw]` or `[row, draw]`, gC.
        yearly: whether the total is that of a whole year.
        sd: sd of the flux, gC m-2, where it is known better than from the draws.
    """
    flux, total = summary(grams / np.expand_dims(area, -1)), summary(convert(grams, "gC", "tCO2"))
    if sd is not None:
        flux["sd"], total["sd"] = sd, convert(sd * area, "gC", "tCO2")
    return {
        "zone": zone,
        "land_cover": cover,
        "variable": variable,
        "units": "gC m-2 yr-1" if yearly else "gC m-2",
        "area_ha": area / 1e4,
        **flux,
        "total_units": "tCO2 yr-1" if yearly else "tCO2",
        "total_tCO2": total.pop("mean"),
        **{f"total_tCO2_{name}": value for name, value in total.items()},
        "sign": SIGN[variable],
    }


def mixed_with_normal(draws: np.ndarray, sd: float) -> np.ndarray:
    """Draws `[draw]` with an independent normal error of zero mean added, as `[draw * 64]` equally likely values.

    >>> mixed_with_normal(np.array([1.0]), 2.0).mean().round(6).item()
    1.0
    """
    normal = NormalDist()
    points = np.array([normal.inv_cdf((i + 0.5) / NORMAL_POINTS) for i in range(NORMAL_POINTS)])
    return (draws[:, None] + sd * points).ravel()
