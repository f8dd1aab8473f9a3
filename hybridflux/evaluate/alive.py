"""Sensitivity test: does a parameter, or a learned leaf, change NEE at all? By finite differences: a clipped ramp has no gradient."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from hybridflux.model import rollout
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sources import Names, to_raw, to_value
from hybridflux.vocabulary import Parameter

MARGIN = 1e-5  # share of the range of a parameter kept free at its bounds


def raw_of(value, row: Parameter) -> np.ndarray:
    """Unconstrained value of a parameter, also of one that rounding has put on a bound."""
    margin = MARGIN * (row.upper - row.lower)
    return to_raw(np.clip(np.asarray(value, float), row.lower + margin, row.upper - margin), row)


def effect_of_parameters(model: HybridFlux, names: Names) -> dict[str, float]:
    """Largest change of NEE [gC m-2 d-1] when a parameter moves by one prior standard deviation up or down.

    Args:
        model: one draw; parameters that are not learned are tested too.
        names: drivers `[time, place]` and covariates `[place]`.
    """
    parameters = {name: jnp.asarray(value, jnp.float32) for name, value in model.parameters(names).items()}

    @eqx.filter_jit
    def nee(values):
        return model.exchange(rollout.states(model, names, values), names, values)["nee"]

    base = nee(parameters)
    effects = {}
    for name, value in parameters.items():
        row = model.rows[name]
        moved = [jnp.asarray(to_value(raw_of(value, row) + sign * row.prior_sd, row), jnp.float32) for sign in (-1.0, 1.0)]
        effects[name] = max(_largest(nee({**parameters, name: other}), base) for other in moved)
    return effects


def effect_of_leaves(model: HybridFlux, names: Names) -> dict[str, float]:
    """Largest effect of moving all of a learned leaf by one prior standard deviation up or down.

    On NEE [gC m-2 d-1]; for a leaf of an observation, on the log density of a residual of one `scale` of its target (1 gC m-2 d-1 of NEE).

    Args:
        model: one draw, with the population effects of the places in `names`.
        names: drivers `[time, place]`, covariates `[place]`, indices of the effects.
    """
    before = model.fluxes(names)
    tried = {name: before[name] + one.variable.scale for name, one in model.observed.items() if name in before}

    @eqx.filter_jit
    def outputs(leaves: Mapping):
        moved = with_learned(model, leaves)
        fluxes = moved.fluxes(names)
        return fluxes["nee"], [moved.observed[name].error.log_density(seen, fluxes[name], jnp.zeros(())) for name, seen in tried.items()]

    leaves = learned(model)
    nee, density = outputs(leaves)
    effects = {}
    for name, leaf in leaves.items():
        moved = [outputs({**leaves, name: leaf + sign}) for sign in (-1.0, 1.0)]
        if not name.startswith("sources."):
            effects[name] = max(_largest(new, old) for _, densities in moved for new, old in zip(densities, density, strict=True))
        else:
            effects[name] = max(_largest(new, nee) for new, _ in moved)
    return effects


def _largest(new, old) -> float:
    return float(jnp.max(jnp.abs(new - old)))
