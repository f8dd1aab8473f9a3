"""Signs that physics give to responses, and how probable it is that a fitted model contradicts them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from hybridflux.evaluate.responses import Response

SLACK = 0.02  # share of the mean flux by which a curve may go the other way
FLAGGED = 0.1  # probability of a contradiction from which on it is reported


class Sign(NamedTuple):
    """A sign that is known.

    Attributes:
        driver: vocabulary name.
        flux: `gpp` or `reco`.
        sign: 1 where the flux never falls with the driver, -1 where it never rises.
        between: values of the driver between which this is known.
        words: what is known, and the source.
    """

    driver: str
    flux: str
    sign: int
    between: tuple[float, float]
    words: str


SIGNS = (
    Sign("par", "gpp", 1, (0.0, np.inf), "a canopy takes up more in more light (Ruimy et al. 1995, 10.1016/S0065-2504(08)60063-X)"),
    Sign("vpd", "gpp", -1, (10.0, np.inf), "stomata close in dry air (Grossiord et al. 2020, 10.1111/nph.16485)"),
    Sign("rew", "gpp", 1, (0.0, 0.6), "drier soil never helps (Granier et al. 1999, 10.1016/S0304-3800(98)00205-1)"),
    Sign("lswi", "gpp", 1, (-1.0, 1.0), "drier leaves never help (Xiao et al. 2004, 10.1016/j.rse.2003.11.008)"),
    Sign("nirv", "gpp", 1, (-1.0, 1.0), "greener leaves take up more (Badgley et al. 2017, 10.1126/sciadv.1602244)"),
    Sign("fapar", "gpp", 1, (0.0, 1.0), "a canopy that absorbs more takes up more (Monteith 1972, 10.2307/2401901)"),
    Sign("tair", "reco", 1, (-10.0, 25.0), "respiration rises with temperature (Lloyd & Taylor 1994, 10.2307/2389824)"),
    Sign("rew", "reco", 1, (0.0, 0.4), "dry soil respires less (Moyano et al. 2013, 10.1016/j.soilbio.2013.01.002)"),
)
"""Below 10 hPa air is humid because it is cloudy, above 25 degC it is dry, and in wet soil oxygen is short: there no sign is known."""


def contradictions(curves: Iterable[Response], signs: Iterable[Sign] = SIGNS) -> pd.DataFrame:
    """How probable it is that responses contradict physics.

    A draw contradicts a sign if its curve, between the bounds of the sign and inside the range that the towers saw, goes the other way by
    more than 2 % of its mean, from any point to any later one.

    Returns:
        One row a curve and sign: `plant_type`, `corner`, `driver`, `flux`, `expected` (`rises`, `falls`), `probability` (share of the
        draws), `wrong_way` (median over the draws of the largest change the other way, as a share of the mean), `words`.
    """
    rows = []
    for curve in curves:
        for one in signs:
            low, high = max(one.between[0], curve.seen[0]), min(one.between[1], curve.seen[1])
            inside = (curve.grid >= low) & (curve.grid <= high)
            if one.driver != curve.driver or inside.sum() < 2:
                continue
            drawn = one.sign * curve.flux[one.flux][:, inside]
            share = (np.maximum.accumulate(drawn, axis=1) - drawn).max(axis=1) / np.maximum(np.abs(drawn.mean(axis=1)), 1e-6)
            expected = "rises" if one.sign > 0 else "falls"
            found = {"expected": expected, "probability": float(np.mean(share > SLACK)), "wrong_way": float(np.median(share))}
            where = {"plant_type": curve.plant_type, "corner": curve.corner, "driver": one.driver, "flux": one.flux.upper()}
            rows.append(where | found | {"words": one.words})
    columns = ["plant_type", "corner", "driver", "flux", "expected", "probability", "wrong_way", "words"]
    return pd.DataFrame(rows, columns=columns)


def sentences(found: pd.DataFrame) -> list[str]:
    """A sentence for each contradiction that is reported, the most probable first."""
    flagged = found[found["probability"] >= FLAGGED].sort_values("probability", ascending=False, kind="stable")
    return [
        f"{row.plant_type}, {row.corner}: {row.flux} does not follow `{row.driver}` as physics has it, with a probability of "
        f"{row.probability:.2f} (the other way by {row.wrong_way:.0%} in the median draw): {row.words}"
        for row in flagged.itertuples()
    ]
