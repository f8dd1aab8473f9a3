"""The amplitude of the structural error of a place, given what was measured there (`model.structural_error.amplitude`)."""

from __future__ import annotations

import numpy as np

from hybridflux.model.structural_error import amplitude

SCORES = np.linspace(-5.0, 6.0, 221)
"""Standard normal scores at which the amplitude of a place is looked for."""


def likelihood_of_amplitudes(error: np.ndarray, noise: np.ndarray, residual: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Log likelihood of residuals of a place at each amplitude, N(0, b^2 error + diag(noise)), up to a constant of the noise.

    Tridiagonal matrices give determinant and quadratic form of all amplitudes in one pass over the rows, a fourth of the work of
    eigenvectors.

    Args:
        error: covariance of the structural error of amplitude one `[..., row, row]`.
        noise: variance of the rest `[row]`.
        residual: `[row]`.
        amplitudes: b.

    Returns:
        `[..., amplitude]`.
    """
    sd, square = np.sqrt(noise), np.square(amplitudes)
    diagonal, beside, length_sq = _tridiagonal(error / np.multiply.outer(sd, sd), residual / sd)
    own, across = 1.0 + square * diagonal[..., None], (square * beside[..., None]) ** 2
    pivot = own[..., -1, :]  # of the Gaussian elimination from the last row up, of 1 + b^2 error
    log_determinant = np.log(pivot)
    for row in range(beside.shape[-1] - 1, -1, -1):
        pivot = own[..., row, :] - across[..., row, :] / pivot
        log_determinant = log_determinant + np.log(pivot)
    return -0.5 * (log_determinant + length_sq / pivot)


def _tridiagonal(matrices: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Symmetric matrices `[..., row, row]` in an orthonormal base that begins with a vector, and there are tridiagonal.

    Golub & Van Loan 2013, Matrix Computations, 8.3.1; the first reflection takes the vector to the first axis.

    Returns:
        The diagonal `[..., row]`, the values beside it `[..., row - 1]`, and the squared length of the vector.
    """
    from scipy.linalg.lapack import dsytrd, dsytrd_lwork  # a map without towers does not need it, and starts sooner

    count, length_sq = len(vector), float(vector @ vector)
    normal = vector.copy()
    normal[0] += np.copysign(np.sqrt(length_sq), vector[0])
    if length_sq > 0.0:
        normal *= np.sqrt(2.0 / (normal @ normal))
        image = matrices @ normal
        image = image - 0.5 * (image @ normal)[..., None] * normal
        outer = image[..., :, None] * normal
        matrices = matrices - outer - np.swapaxes(outer, -1, -2)
    flat, work = matrices.reshape(-1, count, count), int(dsytrd_lwork(count, lower=1)[0])
    reduced = [dsytrd(one, lower=1, lwork=work)[1:3] for one in flat]
    diagonal, beside = (np.array(part) for part in zip(*reduced, strict=True))
    return diagonal.reshape(*matrices.shape[:-2], count), beside.reshape(*matrices.shape[:-2], count - 1), length_sq


def score_given(error: np.ndarray, noise: np.ndarray, residual: np.ndarray, spread: float, level: float, share: float) -> float:
    """A draw of the score of a place (`structural_error.amplitude`), given what was measured there.

    Args:
        error: covariance of its structural error with amplitude one `[row, row]`.
        noise: variance of the measuring errors `[row]`.
        residual: `[row]`.
        spread: `structural_amplitude`.
        level: of the plant type.
        share: uniform random number: the share of the posterior below the draw.
    """
    found = likelihood_of_amplitudes(error, noise, residual, amplitude(spread, SCORES, level=level)) - 0.5 * SCORES**2
    weight = np.exp(found - found.max())
    below = np.cumsum(weight) - 0.5 * weight
    return float(np.interp(share * weight.sum(), below, SCORES))
