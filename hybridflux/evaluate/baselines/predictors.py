"""The predictors of the trees: one row for each day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridflux.evaluate.seasons import day_of_season
from hybridflux.model.sequences import Sequences

PREDICTORS = (
    "tair", "tmin", "par", "vpd", "rain",
    "tair_7d", "tair_30d", "tair_90d", "par_30d", "vpd_30d", "rain_30d", "rain_90d",
    "fapar", "fapar_30d", "par_potential", "plant_type", "day_of_year",
)  # fmt: skip
"""Weather of the day, its 7- to 90-day means, FPAR, plant type, season: what the networks of a hybrid model may read."""

REFLECTANCE_PREDICTORS = (*(name for name in PREDICTORS if not name.startswith("fapar")), "nirv", "nirv_30d", "lswi", "lswi_30d")
"""The same with vegetation as reflectance shows it: NIRv and LSWI of the day and of the month before in place of FPAR."""


def drivers_of(predictors: Sequence[str]) -> tuple[str, ...]:
    """The predictors that towers are asked for: all but the season, which the days give."""
    return tuple(name for name in predictors if name != "day_of_year")


def predictor_table(sequences: Sequences, predictors: Sequence[str], baseline: str) -> np.ndarray:
    """Predictors `[time, place, predictor]`.

    Args:
        sequences: hold the predictors as drivers; `day_of_year` comes from the days, in the south from 1 July.
        predictors: names of the predictors.
        baseline: name of the baseline, for the message.

    Raises:
        ValueError: the sequences lack a predictor.
    """
    available = {**sequences.drivers, "day_of_year": day_of_season(sequences)}
    missing = [name for name in predictors if name not in available]
    if missing:
        raise ValueError(f"{baseline} reads {', '.join(missing)}, which these sequences lack; ask for them when opening the towers")
    shape = (len(sequences.days), len(sequences.places))
    return np.stack([np.broadcast_to(np.asarray(available[name], np.float32), shape) for name in predictors], axis=-1)
