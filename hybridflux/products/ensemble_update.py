"""Bayesian update of draws by measurements: every draw becomes a mixture of all draws, so that what adds up before adds up after.

An updated quantity is x T, with x `[..., draw]` and a matrix T `[draw, draw]` for all quantities, whose columns sum to one. Two ways to T:

* `kalman`: pathwise conditioning (Matheron's rule; Wilson et al. 2021, JMLR 22:105), the ensemble Kalman smoother with perturbed
  observations of Evensen (2009, 10.1007/978-3-642-03711-5) on totals: x + K (y + e - h), K the gain of the draws' covariances, h what a
  draw predicts of y, e an error of y. Exact for Gaussian draws in great number. The gain of a draw is made of the draws of other folds
  (Houtekamer and Mitchell 1998, 10.1175/1520-0493(1998)126<0796:DAUAEK>2.0.CO;2): one that has seen the draw makes the interval too narrow.
  The errors e have exactly their covariance, and none with h, where draws are enough for that (second-order exact sampling, Pham 2001,
  10.1175/1520-0493(2001)129<1194:SMFSDA>2.0.CO;2): else the width of a sum over many places is a matter of the seed.
* `weights`: draws are weighed by the likelihood of y, and drawn again by systematic resampling; exact for any distribution, while enough
  draws keep weight.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfc, ndtri

FOLDS = 8
FEWEST_EFFECTIVE = 30.0
"""Effective draws below which weights are refused: a 5 % quantile of fewer rests on one or two draws."""


def kalman(predicted: np.ndarray, observed: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    """The matrix T `[draw, draw]` of the ensemble Kalman smoother.

    Args:
        predicted: of the measurements by each draw `[measurement, draw]`.
        observed: the measurements `[measurement]`.
        covariance: of their errors `[measurement, measurement]`.
        seed: of the errors that perturb them.

    Raises:
        ValueError: fewer draws than two folds of two.
    """
    measurements, draws = predicted.shape
    if draws < 4:
        raise ValueError(f"an update by covariances needs more than {draws} draws; map with 64 or more")
    errors = errors_of(covariance, predicted, np.random.default_rng([seed, measurements]))
    fold = np.arange(draws) % min(FOLDS, draws // 2)
    out = np.eye(draws)
    for number in np.unique(fold):
        here, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        departure = predicted[:, others] - predicted[:, others].mean(1, keepdims=True)
        scaled = departure @ departure.T + (len(others) - 1) * covariance
        innovation = observed[:, None] + errors[:, here] - predicted[:, here]
        out[np.ix_(others, here)] += departure.T @ np.linalg.lstsq(scaled, innovation, rcond=1e-12)[0]
    return out


def weights(predicted: np.ndarray, observed: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    """The matrix T `[draw, draw]` of importance weights: each column holds one draw; arguments as of `kalman`.

    Raises:
        ValueError: fewer than `FEWEST_EFFECTIVE` draws keep weight.
    """
    likely = importance(predicted, observed, covariance)
    effective = effective_draws(likely)
    draws = len(likely)
    if effective < FEWEST_EFFECTIVE:
        raise ValueError(f"importance weights degenerate: {effective:.1f} of {draws} draws keep weight, {FEWEST_EFFECTIVE:.0f} are needed; "
                         "take the method `kalman`, or map with more draws")  # fmt: skip
    at = (np.arange(draws) + np.random.default_rng(seed).random()) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(likely), at), draws - 1)
    return np.eye(draws)[:, chosen]


METHODS = {"kalman": kalman, "weights": weights}


def importance(predicted: np.ndarray, observed: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Weight of each draw by the Gaussian likelihood of the measurements, of sum one `[draw]`."""
    departure = observed[:, None] - predicted
    log = -0.5 * (departure * np.linalg.lstsq(covariance, departure, rcond=1e-12)[0]).sum(0)
    likely = np.exp(log - log.max())
    return likely / likely.sum()


def effective_draws(likely: np.ndarray) -> float:
    """Kish's effective size of weights `[draw]` of sum one.

    >>> effective_draws(np.array([0.5, 0.5, 0.0]))
    2.0
    """
    return float(1.0 / (likely**2).sum())


def prior_predictive_p(predicted: np.ndarray, observed: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """How likely a measurement at least as far from the prior is, before the update `[measurement]`; Box 1980, 10.2307/2982063.

    >>> prior_predictive_p(np.array([[-1.0, 1.0]]), np.array([0.0]), np.array([1.0])).tolist()
    [1.0]
    """
    total = np.sqrt(predicted.var(1, ddof=1) + sd**2)
    return erfc(np.abs(observed - predicted.mean(1)) / total / np.sqrt(2.0))


def posterior_predictive_p(updated: np.ndarray, observed: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """How likely a repeated measurement at least as far from an updated draw is, mean over draws `[measurement]`; Gelman et al. 1996."""
    return erfc(np.abs(observed[:, None] - updated) / sd[:, None] / np.sqrt(2.0)).mean(1)


def errors_of(covariance: np.ndarray, apart: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal errors `[measurement, draw]` of a covariance, which may be singular, and of other draws that they do not correlate with.

    With few draws neither can be exact: correlations by chance stay with `apart` first, then between the errors.

    Args:
        covariance: `[measurement, measurement]`.
        apart: `[row, draw]`.
        rng: of the numbers.
    """
    rows, draws = len(covariance), apart.shape[1]
    size, turn = np.linalg.eigh(covariance)
    scores = normal_scores(rng, rows, draws)
    if rows + len(apart) < draws - 1:
        others = np.linalg.qr((apart - apart.mean(1, keepdims=True)).T)[0]
        scores -= scores @ others @ others.T
    if rows < draws - 1:
        scores -= scores.mean(1, keepdims=True)
        scores = np.linalg.solve(np.linalg.cholesky(np.cov(scores).reshape(rows, rows)), scores)
    return turn * np.sqrt(np.maximum(size, 0.0)) @ scores


def normal_scores(rng: np.random.Generator, rows: int, draws: int) -> np.ndarray:
    """Standard normal numbers `[row, draw]` whose mean in each row is zero and whose variance is one: quantiles in a random order."""
    points = ndtri((np.arange(draws) + 0.5) / draws)
    return rng.permuted(np.tile(points / points.std(ddof=1), (rows, 1)), axis=1)
