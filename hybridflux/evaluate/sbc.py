"""Simulation-based calibration: a sampler that is right ranks the truth uniformly among its draws.

Parameters are drawn from the prior, observations are simulated with the model's own noise, the sampler sees the observations, and the truth
is ranked among the draws (Talts et al. 2018, arXiv 1804.06788). Ranks that pile up in the middle mean that the posterior is too wide; at
both ends, too narrow; at one end, a bias. The log likelihood is ranked too: without a quantity that depends on the data, a sampler that
returns the prior would pass (Modrak et al. 2023, 10.1214/23-BA1404).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray
from numpyro.infer.hmc import hmc

from hybridflux.inference.batch import Batch, Indices, batch
from hybridflux.inference.joint import log_likelihood, log_prior, predicted
from hybridflux.inference.methods.base import AbstractMethod
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, populations, with_learned, with_places
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import AbstractFree

Leaves = dict[str, Array]
Sampler = Callable[[HybridFlux, Batch, PRNGKeyArray], Leaves]
"""From a model and data with targets `[replication, ...]` to draws of everything learned `[replication, draw, ...]`."""

SIGNIFICANT = 0.01  # family-wise: a sampler that is right fails one calibration in a hundred
NULL = 10_000  # simulated tables of uniform ranks


class SbcRanks(NamedTuple):
    """Ranks of the truth.

    Attributes:
        ranks: `[replication, quantity]`, number of draws below the truth, 0 to `draws`.
        draws: number of draws among which each truth was ranked.
    """

    ranks: pd.DataFrame
    draws: int


def calibrate(
    model: HybridFlux, sequences: Sequences, sampler: Sampler, *, replications: int = 100, draws: int = 63, seed: int = 0
) -> SbcRanks:
    """Calibrate a sampler on a model and the drivers of some towers.

    Args:
        model: a model small enough for the sampler.
        sequences: drivers; days without a target stay without one, the targets themselves are replaced by simulated ones.
        sampler: `vectorised_nuts()`, `one_by_one(method)`, or any other `Sampler`.
        replications: number of truths.
        draws: number of draws of each fit among which the truth is ranked, evenly spaced ones; they should be nearly independent. 2^k - 1
            of them make equal bins.
        seed: seed of truths, observations and sampler.

    Raises:
        ValueError: an observation has a weight other than 1, or the sampler gives fewer draws than asked for.
    """
    for name, observed in model.observed.items():
        if observed.weight != 1.0:
            raise ValueError(
                f"`{name}` has weight {observed.weight}: its likelihood is not the density of its observations, "
                "so ranks are not uniform; calibrate the model with weight=1.0"
            )
    model = with_places(model, Indices.of(sequences).sizes())
    data = batch(model, sequences)
    key = jax.random.key(seed)
    truth = truths(model, replications, jax.random.fold_in(key, 0))
    simulated = simulate(model, data, truth, jax.random.fold_in(key, 1))
    drawn = sampler(model, simulated, jax.random.fold_in(key, 2))
    drawn_count = next(iter(drawn.values())).shape[1]
    if drawn_count < draws:
        raise ValueError(f"the sampler gives {drawn_count} draws, {draws} are to be ranked among; let it draw more")
    pick = np.linspace(0, drawn_count - 1, draws).round().astype(int)
    drawn = {name: values[:, pick] for name, values in drawn.items()}
    ranked, true = quantities(model, simulated, drawn), at_truth(model, simulated, truth)
    ranks = {name: np.sum(np.asarray(values) < np.asarray(true[name])[:, None], axis=1) for name, values in ranked.items()}
    return SbcRanks(pd.DataFrame(ranks), draws)


def truths(model: HybridFlux, replications: int, key: PRNGKeyArray) -> Leaves:
    """Draws of the prior of everything learned `[replication, ...]`."""
    return {
        name: jax.random.normal(jax.random.fold_in(key, number), (replications, *leaf.shape))
        for number, (name, leaf) in enumerate(learned(model).items())
    }


@eqx.filter_jit
def simulate(model: HybridFlux, data: Batch, truth: Leaves, key: PRNGKeyArray) -> Batch:
    """The data with targets `[replication, ...]` simulated from each truth, noise included."""

    def one(leaves, key):
        here = with_learned(model, leaves)
        fluxes = predicted(here, data)
        return {
            name: here.observed[name].error.sample(
                jax.random.fold_in(key, number), jnp.broadcast_to(fluxes[name], old.shape), jnp.broadcast_to(data.known[name], old.shape)
            )
            for number, (name, old) in enumerate(data.targets.items())
        }

    count = next(iter(truth.values())).shape[0]
    return data._replace(targets=jax.vmap(one)(truth, jax.random.split(key, count)))


def quantities(model: HybridFlux, simulated: Batch, drawn: Leaves) -> Leaves:
    """The ranked quantities: name -> `[replication, draw]`.

    Each learned parameter of the physics and of the observations (unconstrained, mean over places and days), the standard deviation of each
    population, the mean of each observed quantity, and the log likelihood. Weights of networks are not: they have symmetries.
    """
    return _quantities(model, simulated, drawn)


def at_truth(model: HybridFlux, simulated: Batch, truth: Leaves) -> Leaves:
    """The ranked quantities of the truths: name -> `[replication]`."""
    truth_quantities = _quantities(model, simulated, {name: values[:, None] for name, values in truth.items()})
    return {name: values[:, 0] for name, values in truth_quantities.items()}


@eqx.filter_jit
def _quantities(model: HybridFlux, simulated: Batch, drawn: Leaves) -> Leaves:
    def one(targets, leaves):
        here, data = with_learned(model, leaves), simulated._replace(targets=targets)
        quantities = {
            name: jnp.mean(source.raw(here.rows[name], data.names))
            for name, source in here.sources.items()
            if isinstance(source, AbstractFree)
        }
        quantities |= {one.sd: leaves[one.sd] for one in populations(here)}
        for target, one in here.observed.items():
            free = {name: source for name, source in one.all_sources().items() if isinstance(source, AbstractFree)}
            quantities |= {f"{name}.{target}": jnp.mean(source.raw(one.row(name), data.names)) for name, source in free.items()}
        quantities |= {f"mean {name}": jnp.mean(flux) for name, flux in predicted(here, data).items() if name in targets}
        return quantities | {"log likelihood": log_likelihood(here, data)}

    return jax.vmap(lambda targets, leaves: jax.lax.map(partial(one, targets), leaves))(simulated.targets, drawn)


def vectorised_nuts(warmup: int = 300, draws: int = 63, thin: int = 4, depth: int = 6, target: float = 0.8, dense: bool = True) -> Sampler:
    """The No-U-Turn sampler of numpyro on the coordinates of the model, all replications in one compiled loop.

    What it calibrates is the density every method shares (`inference/joint.py`) and the kernel; `one_by_one` calibrates a whole method.

    Args:
        warmup: adaptation steps.
        draws: draws kept per replication.
        thin: steps per kept draw.
        depth: largest depth of the tree; replications wait for the deepest of them.
        target: acceptance probability aimed at.
        dense: adapt a full mass matrix.
    """

    def sample(model: HybridFlux, simulated: Batch, key: PRNGKeyArray) -> Leaves:
        flat, unravel = ravel_pytree(learned(model))

        def one(targets, key):
            data = simulated._replace(targets=targets)

            def potential(at):
                here = with_learned(model, unravel(at))
                return -(log_likelihood(here, data) + log_prior(here))

            start, step = hmc(potential, algo="NUTS")
            begin, run = jax.random.split(key)
            state = start(
                0.1 * jax.random.normal(begin, flat.shape), num_warmup=warmup, target_accept_prob=target, max_tree_depth=depth,
                dense_mass=dense, rng_key=run,
            )  # fmt: skip
            several = lambda state, count: jax.lax.fori_loop(0, count, lambda _, state: step(state), state)  # noqa: E731

            def keep(state, _):
                state = several(state, thin)
                return state, state.z

            return jax.vmap(unravel)(jax.lax.scan(keep, several(state, warmup), None, draws)[1])

        replications = next(iter(simulated.targets.values())).shape[0]
        return jax.jit(jax.vmap(one))(simulated.targets, jax.random.split(key, replications))

    return sample


def one_by_one(method: AbstractMethod) -> Sampler:
    """A method of `inference`, fitted to each replication in turn as `method.fit` would."""

    def sample(model: HybridFlux, simulated: Batch, key: PRNGKeyArray) -> Leaves:
        replications = next(iter(simulated.targets.values())).shape[0]
        drawn = []
        for number in range(replications):
            data = simulated._replace(targets={name: values[number] for name, values in simulated.targets.items()})
            drawn.append(method.draw(model, data, jax.random.fold_in(key, number), lambda done, total, message: None).leaves)
        return {name: np.stack([np.asarray(leaves[name]) for leaves in drawn]) for name in drawn[0]}

    return sample


def uniformity(calibration: SbcRanks, bins: int = 8, seed: int = 0) -> pd.DataFrame:
    """Tests of the uniformity of ranks.

    Args:
        calibration: result of `calibrate`.
        bins: number of bins of the chi-square test.
        seed: seed of the simulated null distributions.

    Returns:
        One row per quantity: `quantity`; `chi2_p` and `ecdf_p`, probabilities of a table of uniform ranks at least as uneven (chi-square
        of the bins; largest deviation of the empirical distribution), both against simulated uniform ranks; `bias`, mean rank as a
        share of the draws less 0.5 (positive: the draws lie too low); `spread`, variance of the ranks over that of uniform ones (above
        1: the posterior is too narrow); `verdict`, `uniform` or the kind of failure, at 1 % over all quantities and both tests
            (Bonferroni).
    """
    ranks, draws = calibration
    rng = np.random.default_rng(seed)
    null = rng.integers(0, draws + 1, (NULL, len(ranks)))
    null_chi2, null_ecdf = _chi2(null, draws, bins), _deviation(null, draws)
    limit = SIGNIFICANT / (2 * ranks.shape[1])
    rows = []
    for name, values in ranks.items():
        observed = values.to_numpy()[None]
        chi2_p = (1 + np.sum(null_chi2 >= _chi2(observed, draws, bins))) / (NULL + 1)
        ecdf_p = (1 + np.sum(null_ecdf >= _deviation(observed, draws))) / (NULL + 1)
        bias = observed.mean() / draws - 0.5
        spread = observed.var() / ((draws + 1) ** 2 - 1) * 12
        shape = "biased" if abs(bias) > 3 / np.sqrt(12 * len(ranks)) else "too narrow" if spread > 1 else "too wide"
        verdict = shape if min(chi2_p, ecdf_p) < limit else "uniform"
        rows.append({"quantity": name, "chi2_p": chi2_p, "ecdf_p": ecdf_p, "bias": bias, "spread": spread, "verdict": verdict})
    return pd.DataFrame(rows)


def ecdf_band(replications: int, draws: int, level: float = 0.95, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Band in which the empirical distribution of uniform ranks, less the uniform one, lies as a whole with probability `level`.

    Returns:
        Ranks `[draws + 1]` as a share of the draws, and the half width of the band there.
    """
    null = np.random.default_rng(seed).integers(0, draws + 1, (NULL, replications))
    expected = np.arange(1, draws + 2) / (draws + 1)
    sd = np.sqrt(expected * (1 - expected) / replications)
    return np.arange(draws + 1) / draws, np.quantile(_deviation(null, draws), level) * sd


def ecdf_difference(ranks: np.ndarray, draws: int) -> np.ndarray:
    """Empirical distribution of ranks `[..., replication]` less the uniform one: `[..., draws + 1]`."""
    counts = np.stack([np.bincount(rank, minlength=draws + 1) for rank in ranks.reshape(-1, ranks.shape[-1])])
    empirical = counts.cumsum(axis=1) / ranks.shape[-1] - np.arange(1, draws + 2) / (draws + 1)
    return empirical.reshape(*ranks.shape[:-1], draws + 1)


def _deviation(ranks: np.ndarray, draws: int) -> np.ndarray:
    """Largest deviation of the empirical distribution in its standard deviations: sensitive at the ends too."""
    expected = np.arange(1, draws + 1) / (draws + 1)
    sd = np.sqrt(expected * (1 - expected) / ranks.shape[-1])
    return np.abs(ecdf_difference(ranks, draws)[..., :-1] / sd).max(axis=-1)


def _chi2(ranks: np.ndarray, draws: int, bins: int) -> np.ndarray:
    at = ranks * bins // (draws + 1)
    share = np.bincount(np.arange(draws + 1) * bins // (draws + 1), minlength=bins) / (draws + 1)
    counts = np.stack([(at == bin_number).sum(axis=-1) for bin_number in range(bins)], axis=-1)
    expected = ranks.shape[-1] * share
    return ((counts - expected) ** 2 / expected).sum(axis=-1)
