"""From white coordinates at the mode to those of the nearest Gaussian: curvature averaged over the posterior.

The information at a mode says nothing of skewness, of errors that are not distributed as assumed, and Laplace errors have no
curvature at a point at all. The Gaussian that minimises KL(Gaussian | posterior) has the mean where the average slope of the
potential is zero, and the average curvature as precision (Opper & Archambeau 2009, 10.1162/neco.2008.08-07-592). Both averages come
from gradients at antithetic pairs along random orthogonal directions, at radii of a Gaussian draw: one pair per coordinate shows the
whole matrix of a quadratic potential, so a few rounds of Newton steps, the first ones close to the mode, settle.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from hybridflux.inference.batch import Batch
from hybridflux.inference.methods.fisher_whitening import White, whitened
from hybridflux.inference.methods.mode import find_mode
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned
from hybridflux.progress import Progress

FEWEST_PAIRS = 32  # per round, for models of few numbers
MOST_NUMBERS = 400  # learned numbers up to which a dense covariance is worth its gradients
AT_ONCE = 8  # gradients computed together
RADII = (0.25, 0.5)  # of the first rounds over those of a Gaussian draw: from the mode outwards, funnels have steep walls
CALM, SETTLED = 1.0, 0.25  # standard deviations: a smaller move starts the averaging of curvature; after two such, one below ends it
FARTHEST = 2.0  # standard deviations the centre moves in one round
CURVATURE = (0.1, 10.0)  # change of the precision trusted in one round


class Sharpened(NamedTuple):
    """White coordinates of the nearest Gaussian.

    Attributes:
        white: the coordinates; zero is the mean, the covariance is the unit matrix.
        gradients: evaluated for it.
        unrest: length of the last move of the centre, in standard deviations along it.
        overlap: effective share of importance weights from the Gaussian before the last move to the posterior, 1 if it is the
            posterior; falls with the number of coordinates.
    """

    white: White
    gradients: int
    unrest: float
    overlap: float


def around_mode(model: HybridFlux, data: Batch, key: PRNGKeyArray, *, steps: int, rounds: int, progress: Progress) -> Sharpened:
    """Search the mode, whiten by the expected information, sharpen: where Laplace, NUTS and SVI of small models begin.

    Args:
        model: structure and fixed values.
        data: whole series or days.
        key: of the starting point and the directions.
        steps: most steps of the search.
        rounds: most rounds of sharpening.
        progress: called with (done, all, message).

    Raises:
        ValueError: more is learned than a dense matrix is good for.
    """
    count = sum(leaf.size for leaf in learned(model).values())
    if count > MOST_NUMBERS:
        raise ValueError(
            f"{count} learned numbers, a dense covariance takes at most {MOST_NUMBERS}; use Ensemble or SVI, or a smaller model"
        )
    start, directions = jax.random.split(key)
    mode, _ = find_mode(model, data, start, steps=steps, progress=progress)
    return sharpened(model, data, whitened(model, data, mode), directions, rounds=rounds)


def sharpened(model: HybridFlux, data: Batch, white: White, key: PRNGKeyArray, *, rounds: int) -> Sharpened:
    """Move white coordinates to the nearest Gaussian.

    Args:
        model: structure and fixed values.
        data: whole series or days.
        white: coordinates around the mode.
        key: of the directions.
        rounds: at most, of at least `2 n` gradients each; 0 leaves the coordinates as they are.

    Returns:
        The new coordinates; the old ones where the search does not settle: on plateaus, in banana shapes, where a gradient is not finite.
    """
    size = white.size
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    centre, root, precision, unrest, overlap = np.zeros(size), np.eye(size), np.eye(size), 0.0, np.nan
    calm, gradients, blocks = 0, 0, -(-FEWEST_PAIRS // size)
    for number in range(rounds):
        pairs = np.concatenate([np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(blocks)])
        reach = RADII[number] if number < len(RADII) else 1.0
        radii = reach * np.sqrt(rng.chisquare(size, len(pairs)))
        steps = (pairs * radii[:, None]) @ root.T
        heights, slopes = _in_blocks(model, data, white, np.concatenate([centre + steps, centre - steps]))
        slopes = slopes @ root
        if not np.all(np.isfinite(slopes)):
            return Sharpened(white, gradients + len(slopes), np.inf, 0.0)
        overlap = _effective_share(0.5 * np.tile(radii**2, 2) - heights)
        bend = pairs.T @ (0.5 * (slopes[: len(pairs)] - slopes[len(pairs) :]) / radii[:, None]) / blocks
        values, vectors = np.linalg.eigh(0.5 * (bend + bend.T))
        seen = (vectors * np.clip(values, *CURVATURE)) @ vectors.T
        back = np.linalg.inv(root)
        share = 1.0 / (1 + calm)
        precision = (1.0 - share) * precision + share * back.T @ seen @ back
        move = -np.linalg.solve(precision, back.T @ slopes.mean(0))
        unrest = float(np.sqrt(move @ precision @ move))
        centre = centre + move * min(1.0, FARTHEST / max(unrest, 1e-9))
        root = np.linalg.inv(np.linalg.cholesky(precision)).T
        gradients += len(slopes)
        calm = calm + 1 if reach == 1.0 and unrest < CALM else 0
        if calm > 1 and unrest < SETTLED:
            break
    if unrest >= CALM:
        return Sharpened(white, gradients, unrest, overlap)
    moved = white.moved(jnp.asarray(centre, jnp.float32), jnp.asarray(root, jnp.float32))
    return Sharpened(moved, gradients, unrest, overlap)


def _in_blocks(model: HybridFlux, data: Batch, white: White, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Potentials `[point]` and gradients `[point, n]`, a few at once; the last block is filled up."""
    filled = np.resize(points, (-(-len(points) // AT_ONCE) * AT_ONCE, points.shape[1])).astype(np.float32)
    blocks = [_heights_and_slopes(model, data, white, filled[at : at + AT_ONCE]) for at in range(0, len(filled), AT_ONCE)]
    heights, slopes = (np.concatenate([np.asarray(part, np.float64) for part in parts]) for parts in zip(*blocks, strict=True))
    return heights[: len(points)], slopes[: len(points)]


@jax.jit
def _heights_and_slopes(model: HybridFlux, data: Batch, white: White, points: Array) -> tuple[Array, Array]:
    return jax.vmap(jax.value_and_grad(white.potential(model, data)))(points)


def _effective_share(log_weights: np.ndarray) -> float:
    """Kish's effective number of weighted draws over their number."""
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum() / weights.size)
