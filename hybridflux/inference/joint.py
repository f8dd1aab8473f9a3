"""The one probabilistic model: standard normal leaves, physics, composite likelihood of what towers measure."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from hybridflux.inference.batch import Batch
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned


def predicted(model: HybridFlux, batch: Batch) -> dict[str, Array]:
    """Fluxes of a batch and what is compared with its targets, without noise: elementwise if it holds the states, else by rolling out."""
    parameters = model.parameters(batch.names)
    start = model.start({**batch.names}, parameters)
    if set(start) <= set(batch.names):
        states = {name: batch.names[name] for name in start}
        fluxes = model.exchange(states, batch.names, parameters)
        return {**fluxes, **model.expected(states, fluxes, batch.names, parameters, batch.targets)}
    return model.fluxes(batch.names, before=batch.before or None)


def log_likelihood(model: HybridFlux, batch: Batch) -> Float[Array, ""]:
    """Composite log likelihood: each observation weighs its days with its `weight`; days without a measurement count nothing."""
    fluxes = predicted(model, batch)
    return _weighted(model, batch, fluxes, sizes=fluxes)


def quasi_likelihood(model: HybridFlux, batch: Batch) -> Float[Array, ""]:
    """The same value with another slope: the scale of an error is given by the flux, but the flux does not learn from the scale.

    A likelihood whose spread grows with |flux| is paid for fluxes that are too large where the model is wrong anyway: at unseen European
    towers it puts NEE about 0.2 gC m-2 d-1 lower. Iteratively reweighted estimation does not (quasi-likelihood, Wedderburn 1974,
    10.1093/biomet/61.3.439). It has no density, so samplers use `log_likelihood`.
    """
    fluxes = predicted(model, batch)
    value = _weighted(model, batch, fluxes, sizes=jax.lax.stop_gradient(fluxes))
    return value + randomised(model, batch, fluxes) if batch.score_noise else value


def randomised(model: HybridFlux, batch: Batch, fluxes: dict[str, Array]) -> Float[Array, ""]:
    """What the data would add if they were measured once more, to first order: linear in fluxes and in the scales of their errors.

    Its slope has the covariance of the score of the (composite) likelihood, its expected information. With a prior centre drawn too,
    the mode of the sum is a draw of the posterior where the model is linear and errors are Gaussian (randomise, then optimise: Bardsley et
    al. 2014, 10.1137/140964023; randomised maximum likelihood: Oliver et al. 1996).

    Args:
        model: of one member.
        batch: data with `score_noise` of that member `[2, ...]`.
        fluxes: what is compared with the targets.
    """
    total = jnp.zeros(())
    for name, noise in batch.score_noise.items():
        observed = model.observed[name]
        scale = observed.error.scale(jax.lax.stop_gradient(fluxes[name]), batch.known[name])
        root = jnp.sqrt(observed.weight) * batch.measured[name] / jax.lax.stop_gradient(scale)
        total += jnp.sum(root * (noise[0] * fluxes[name] + noise[1] * scale))
    return total


def _weighted(model: HybridFlux, batch: Batch, fluxes: dict[str, Array], sizes: dict[str, Array]) -> Float[Array, ""]:
    return sum((jnp.sum(term) for term in terms(model, batch, fluxes, sizes).values()), jnp.zeros(()))


def terms(model: HybridFlux, batch: Batch, fluxes: dict[str, Array], sizes: dict[str, Array]) -> dict[str, Array]:
    """Target -> weighted log density of each of its values, 0 where not measured."""
    terms = {}
    for name, observed in batch.targets.items():
        one = model.observed[name]
        density = one.error.log_density(observed, fluxes[name], batch.known[name], sizes[name])
        terms[name] = one.weight * jnp.where(batch.measured[name], density, 0.0)
    return terms


def misfit_by_place(model: HybridFlux, batch: Batch, places: int) -> Array:
    """Negative log likelihood per measured value of each place `[place]`; NaN where nothing was measured."""
    fluxes = predicted(model, batch)
    total, count = jnp.zeros(places), jnp.zeros(places)
    for name, term in terms(model, batch, fluxes, fluxes).items():
        site = jnp.broadcast_to(batch.names["site"], term.shape)
        total, count = total.at[site].add(-term), count.at[site].add(batch.measured[name])
    return jnp.where(count > 0, total / count, jnp.nan)


def log_prior(model: HybridFlux) -> Float[Array, ""]:
    """Log prior up to a constant: every learned leaf is standard normal."""
    return sum((-0.5 * jnp.sum(leaf**2) for leaf in learned(model).values()), jnp.zeros(()))


def joint(model: HybridFlux, batch: Batch, share: float = 1.0):
    """The numpyro model: samples every learned leaf by its name, adds the likelihood.

    Args:
        model: gives structure and shapes; its learned values are not used.
        batch: data; a part of all of it under minibatching.
        share: all data over the data of this batch.
    """
    values = {
        name: numpyro.sample(name, dist.Normal(0.0, 1.0).expand(leaf.shape).to_event(leaf.ndim)) for name, leaf in learned(model).items()
    }
    numpyro.factor("towers", share * log_likelihood(with_learned(model, values), batch))
