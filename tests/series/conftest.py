"""Series made by the process itself, and what a dense Gaussian process says of them."""

from dataclasses import dataclass

import numpy as np
import pytest

from hybridflux.series import SeriesProcess
from hybridflux.series.cleaning import variances_of, view_axis
from hybridflux.series.lanes import EXCESS, FACTOR, LANES, OPENING, RECORD_ROWS, VIEW, keep_views, room
from hybridflux.series.outliers import open_drops

DAYS = 300
PROCESS = SeriesProcess(season=(0.6, -0.1, 0.05), fast_sd=0.12, fast_days=25.0, slow_sd=0.08, slow_days=400.0, view_sd=0.03, freedom=1e9)


def row(first) -> slice:
    """A row of lanes."""
    return slice(int(first), int(first) + LANES)


def records(kept: np.ndarray, first, pixels: int) -> np.ndarray:
    """One row of the records of all views `[view, pixel]`, a view of `kept`."""
    return kept.reshape(-1, RECORD_ROWS * LANES)[1:, row(first)][:, :pixels]


def lanes_of(views: np.ndarray, opening: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`kept` and `rows` with a few pixels, views and openings `[view, pixel]`."""
    kept, rows = room(len(views))
    keep_views(kept, np.float32(views), np.float32(opening), 0)
    return kept, rows


def drops(views, excess, when, factor, process: SeriesProcess) -> tuple[np.ndarray, np.ndarray]:
    """`outliers.open_drops` of a few pixels: views that are kept, and openings, from views `[view, pixel]`, excess and factor."""
    kept, rows = lanes_of(views, np.zeros_like(views))
    records(kept, EXCESS, views.shape[1])[:] = excess
    rows[row(FACTOR)] = factor
    open_drops(kept, rows, view_axis(process, np.asarray(when, int)), variances_of(process))
    return tuple(records(kept, one, views.shape[1]).copy() for one in (VIEW, OPENING))


def _kernel(process: SeriesProcess, lag: np.ndarray) -> np.ndarray:
    """Covariance of the departure from the season at two days, by the definition of the two processes."""
    x = np.sqrt(3.0) * np.abs(lag) / process.fast_days
    return process.fast_sd**2 * (1 + x) * np.exp(-x) + process.slow_sd**2 * np.exp(-np.abs(lag) / process.slow_days)


def _season(process: SeriesProcess, days: np.ndarray) -> np.ndarray:
    """The harmonics written out."""
    angle = 2 * np.pi * np.asarray(days) / 365.2425
    return process.season[0] + process.season[1] * np.cos(angle) + process.season[2] * np.sin(angle)


def _dense(process: SeriesProcess, values: np.ndarray, when: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of one pixel on every day, by solving with the whole covariance matrix, in float64."""
    every, seen = np.arange(days), np.isfinite(values)
    at, departure = when[seen], values[seen].astype(float) - _season(process, when[seen])
    among = _kernel(process, at[:, None] - at[None, :]) + process.view_sd**2 * np.eye(len(at))
    across = _kernel(process, every[:, None] - at[None, :])
    weights = np.linalg.solve(among, across.T).T
    return _season(process, every) + weights @ departure, _kernel(process, 0) - np.sum(weights * across, axis=1)


@dataclass
class Made:
    """Truth `[time, pixel]`, views `[view, pixel]` with NaN, and their days."""

    truth: np.ndarray
    values: np.ndarray
    when: np.ndarray
    process: SeriesProcess
    days: int = DAYS


def _make(pixels: int, seed: int, process: SeriesProcess = PROCESS) -> Made:
    """Pixels of the process, seen about every five days, four views in ten hidden, two views on one day."""
    rng, every = np.random.default_rng(seed), np.arange(DAYS)
    root = np.linalg.cholesky(_kernel(process, every[:, None] - every[None, :]) + 1e-10 * np.eye(DAYS))
    truth = _season(process, every)[:, None] + root @ rng.standard_normal((DAYS, pixels))
    when = np.sort(np.append(np.arange(2, DAYS - 3, 5), 102))
    values = truth[when] + process.view_sd * rng.standard_normal((len(when), pixels))
    values[rng.random(values.shape) < 0.4] = np.nan
    return Made(truth, values.astype(np.float32), when, process)


@pytest.fixture(scope="session")
def made() -> Made:
    return _make(300, seed=1)


@pytest.fixture(scope="session")
def make():
    return _make


@pytest.fixture(scope="session")
def dense():
    return _dense


@pytest.fixture(scope="session")
def kernel():
    return _kernel
