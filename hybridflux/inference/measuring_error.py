"""How large the measuring error of a day is, from what the residuals of successive days differ by.

Errors of a model have a memory of weeks, those of measuring have none. Of the residuals r of three successive days

    E[(r2 - r1) (r3 - r2)] = -(2 g(1) - g(2)),   g(k) half the mean square of the difference of two days, k apart,

where g holds the measuring error whatever k, and a part of the model that grows in proportion to k over a few days and cancels: what is
left is the nugget of the variogram (Cressie 1993, Statistics for Spatial Data, 2.3.1). For partitioned RECO, which follows the temperature
of the night from day to day, it is next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from hybridflux.inference.mean_residuals import Record

CLASSES, FEWEST = 5, 20
"""Classes of |flux|, of as many days each; days that a place needs in a class."""


def measuring_error(records: Sequence[Record]) -> dict[str, float]:
    """`noise_floor` [gC m-2 d-1] and `noise_slope` of a flux, beside its known random error; empty where too few days follow each other.

    The mean square in a class of |flux| is the mean over places; floor and slope are a straight line through its roots, neither below 0.

    Args:
        records: of the places.
    """
    rows = [_squares(record) for record in records]
    size = np.concatenate([np.empty(0), *(flux for _, flux in rows)])
    edges, found = np.quantile(size, np.linspace(0.0, 1.0, CLASSES + 1)[1:-1]) if len(size) else np.empty(0), []
    for number in range(CLASSES):
        inside = [(square[here], flux[here]) for square, flux in rows for here in (np.searchsorted(edges, flux) == number,)]
        means = [(square.mean(), flux.mean()) for square, flux in inside if len(flux) >= FEWEST]
        found += [np.mean(means, axis=0)] if means else []
    if not found:
        return {}
    square, flux = np.transpose(found)
    floor, slope = nnls(np.stack([np.ones(len(flux)), flux], axis=1), np.sqrt(np.maximum(square, 0.0)))[0]
    return {"noise_floor": float(floor), "noise_slope": float(slope)}


def _squares(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of the square of the measuring error beside the known one, each from three successive days, and |flux| of their middle."""
    change = np.diff(record.observed.astype(float) - record.modelled)
    square = -change[1:] * change[:-1] - record.known[1:-1].astype(float) ** 2
    seen = np.isfinite(square)
    return square[seen], np.abs(record.modelled[1:-1][seen])
