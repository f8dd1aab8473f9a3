"""What any model has to beat: a climatology and gradient boosting, trained on each flux itself.

`Baseline.fit(sequences).predict(sequences)` gives variable -> `[time, place]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hybridflux.model.sequences import Sequences

if TYPE_CHECKING:
    from lightgbm import Booster

FLUXES = ("nee", "gpp", "reco")
YEAR = 366

PREDICTORS = (
    "tair", "tmin", "par", "vpd", "rain",
    "tair_7d", "tair_30d", "tair_90d", "par_30d", "vpd_30d", "rain_30d", "rain_90d",
    "fapar", "fapar_30d", "par_potential", "plant_type", "day_of_year",
)  # fmt: skip
"""Weather of the day, its 7- to 90-day means, FPAR, plant type, season: what the networks of a hybrid model may read."""

LIGHTGBM = {
    "objective": "regression", "num_leaves": 31, "learning_rate": 0.05, "num_threads": 2, "seed": 0, "deterministic": True,
    "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
TREES = 400


class Baseline(Protocol):
    """Anything fitted to the targets of sequences that predicts them elsewhere."""

    def fit(self, sequences: Sequences) -> Baseline:
        """The same baseline, fitted."""
        ...

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        ...


def day_of_year(days: np.ndarray) -> np.ndarray:
    """Day of the year, 1 to 366, of `datetime64[D]`."""
    return (days - days.astype("datetime64[Y]")).astype(int) + 1


@dataclass(frozen=True)
class Climatology:
    """The mean of the fitted sites of the same plant type on this day of the year; of all sites where the type is new.

    Every site counts the same, however long its record; the mean runs over a circular window of days.

    Attributes:
        variables: fluxes to predict.
        window: days of the running mean, odd.
        curves: variable -> plant type (-1 for all) -> mean of each day of the year `[366]`, once fitted.
    """

    variables: Sequence[str] = FLUXES
    window: int = 31
    curves: Mapping[str, Mapping[int, np.ndarray]] = field(default_factory=dict)

    def fit(self, sequences: Sequences) -> Climatology:
        """A climatology of these sites."""
        day = day_of_year(sequences.days) - 1
        types = np.asarray(sequences.drivers["plant_type"]).astype(int)
        curves = {}
        for name in self.variables:
            of_site = np.stack([self._site(day, sequences.targets[name][:, at]) for at in range(len(sequences.places))])
            groups = {-1: np.full(len(types), True), **{int(code): types == code for code in np.unique(types)}}
            curves[name] = {code: _mean(of_site[members], np.isfinite(of_site[members])) for code, members in groups.items()}
        return replace(self, curves=curves)

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        if not self.curves:
            raise ValueError("this climatology is not fitted; use Climatology().fit(sequences).predict(...)")
        day = day_of_year(sequences.days) - 1
        types = np.asarray(sequences.drivers["plant_type"]).astype(int)
        return {name: np.stack([_filled(curves, int(code))[day] for code in types], axis=1) for name, curves in self.curves.items()}

    def _site(self, day: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Running mean over the year of one site `[366]`, NaN where its window is empty."""
        seen = np.isfinite(observed)
        count = np.bincount(day[seen], minlength=YEAR)
        total = np.bincount(day[seen], weights=observed[seen], minlength=YEAR)
        near = [sum(np.roll(values, shift) for shift in range(-(self.window // 2), self.window // 2 + 1)) for values in (total, count)]
        return np.divide(near[0], near[1], out=np.full(YEAR, np.nan), where=near[1] > 0)


def _mean(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    count = seen.sum(axis=0)
    return np.divide(np.where(seen, values, 0.0).sum(axis=0), count, out=np.full(values.shape[1], np.nan), where=count > 0)


def _filled(curves: Mapping[int, np.ndarray], code: int) -> np.ndarray:
    own = curves.get(code, curves[-1])
    return np.where(np.isfinite(own), own, curves[-1])


@dataclass(frozen=True)
class LightGBM:
    """Gradient-boosted trees on `PREDICTORS`, one model per flux, trained on that flux (needs the extra `baselines`).

    Attributes:
        variables: fluxes to predict.
        predictors: drivers and `day_of_year`.
        trees: boosting rounds.
        settings: parameters of lightgbm.
        boosters: variable -> trees, once fitted.
    """

    variables: Sequence[str] = FLUXES
    predictors: Sequence[str] = PREDICTORS
    trees: int = TREES
    settings: Mapping[str, Any] = field(default_factory=lambda: dict(LIGHTGBM))
    boosters: Mapping[str, Booster] = field(default_factory=dict)

    def fit(self, sequences: Sequences) -> LightGBM:
        """Trees of these sites, from the days each flux was measured.

        Raises:
            ModuleNotFoundError: lightgbm is not installed.
        """
        try:
            import lightgbm
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("the LightGBM baseline needs lightgbm: pip install 'hybridflux[baselines]'") from error
        table = self.table(sequences)
        boosters = {}
        for name in self.variables:
            seen = np.isfinite(sequences.targets[name])
            data = lightgbm.Dataset(table[seen], sequences.targets[name][seen], feature_name=list(self.predictors))
            boosters[name] = lightgbm.train(dict(self.settings), data, num_boost_round=self.trees)
        return replace(self, boosters=boosters)

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        if not self.boosters:
            raise ValueError("these trees are not fitted; use LightGBM().fit(sequences).predict(...)")
        table = self.table(sequences)
        rows = table.reshape(-1, table.shape[-1])
        return {name: booster.predict(rows).reshape(table.shape[:2]) for name, booster in self.boosters.items()}

    def table(self, sequences: Sequences) -> np.ndarray:
        """Predictors `[time, place, predictor]`.

        Raises:
            ValueError: the sequences lack a predictor.
        """
        there = {**sequences.drivers, "day_of_year": day_of_year(sequences.days)[:, None]}
        missing = [name for name in self.predictors if name not in there]
        if missing:
            raise ValueError(f"LightGBM reads {', '.join(missing)}, which these sequences lack; ask for them when opening the towers")
        shape = (len(sequences.days), len(sequences.places))
        return np.stack([np.broadcast_to(np.asarray(there[name], np.float32), shape) for name in self.predictors], axis=-1)
