"""The mean seasonal cycle of a plant type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hybridflux.evaluate.seasons import WINDOW, day_of_season, seasonal_cycle
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import CARBON


@dataclass(frozen=True)
class Climatology:
    """The mean of the fitted sites of the same plant type on this day of the year; of all sites where the type is new.

    Every site counts the same, however long its record; the mean runs over a circular window of days. In the south the year is counted
    from 1 July (`seasons.day_of_season`).

    Attributes:
        variables: fluxes to predict.
        window: days of the running mean, odd.
        curves: variable -> plant type (-1 for all) -> mean of each day of the year `[366]`, once fitted.
    """

    variables: Sequence[str] = CARBON
    window: int = WINDOW
    curves: Mapping[str, Mapping[int, np.ndarray]] = field(default_factory=dict)

    needs = ("plant_type",)

    def fit(self, sequences: Sequences) -> Climatology:
        """A climatology of these sites."""
        types = np.asarray(sequences.drivers["plant_type"]).astype(int)
        groups = {-1: np.full(len(types), True), **{int(code): types == code for code in np.unique(types)}}
        curves, days = {}, day_of_season(sequences)
        for name in self.variables:
            series = sequences.targets[name].T
            of_site = np.stack([seasonal_cycle(sequences.days, y, self.window, day) for y, day in zip(series, days.T, strict=True)])
            curves[name] = {code: _mean(of_site[members], np.isfinite(of_site[members])) for code, members in groups.items()}
        return replace(self, curves=curves)

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        if not self.curves:
            raise ValueError("this climatology is not fitted; use Climatology().fit(sequences).predict(...)")
        day = day_of_season(sequences) - 1
        types = np.asarray(sequences.drivers["plant_type"]).astype(int)

        def of_places(curves):
            return np.stack([_filled(curves, int(code))[day[:, at]] for at, code in enumerate(types)], axis=1)

        return {name: of_places(curves) for name, curves in self.curves.items()}


def _mean(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    count = seen.sum(axis=0)
    return np.divide(np.where(seen, values, 0.0).sum(axis=0), count, out=np.full(values.shape[1], np.nan), where=count > 0)


def _filled(curves: Mapping[int, np.ndarray], code: int) -> np.ndarray:
    own = curves.get(code, curves[-1])
    return np.where(np.isfinite(own), own, curves[-1])
