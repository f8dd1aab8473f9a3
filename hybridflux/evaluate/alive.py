"""Sensitivity test: does a parameter, or a learned leaf, change NEE at all? By finite differences: a clipped ramp has no gradient."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from hybridflux.model import rollout
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import Names, to_raw, to_value
from hybridflux.model.tree import learned, with_learned
from hybridflux.vocabulary import PARAMETERS, Parameter

MARGIN = 1e-5  # share of the range of a parameter kept free at its bounds
ERROR = 1.0  # gC m-2 d-1: the residual at which leaves of the noise are tested
ERROR_OF_WATER = 0.05  # m3 m-3: the same for measured soil water


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
        row = PARAMETERS[name]
        moved = [jnp.asarray(to_value(raw_of(value, row) + sign * row.spread, row), jnp.float32) for sign in (-1.0, 1.0)]
        effects[name] = max(_largest(nee({**parameters, name: other}), base) for other in moved)
    return effects


def effect_of_leaves(model: HybridFlux, names: Names) -> dict[str, float]:
    """Largest effect of moving all of a learned leaf by one prior standard deviation up or down.

    On NEE [gC m-2 d-1]; for a leaf of the noise, on the log density of a residual of 1 gC m-2 d-1, or of 0.05 m3 m-3 of soil water.

    Args:
        model: one draw, with the population effects of the places in `names`.
        names: drivers `[time, place]`, covariates `[place]`, indices of the effects.
    """
    wet = model.fluxes(names).get("swc", 0.0) + ERROR_OF_WATER

    @eqx.filter_jit
    def outputs(leaves: Mapping):
        moved = with_learned(model, leaves)
        fluxes = moved.fluxes(names)
        nee = fluxes["nee"]
        tried = {name: (wet, fluxes[name]) if name == "swc" else (nee + ERROR, nee) for name in moved.noise}
        return nee, [noise.log_density(*tried[name], jnp.zeros(())) for name, noise in moved.noise.items()]

    leaves = learned(model)
    nee, density = outputs(leaves)
    effects = {}
    for name, leaf in leaves.items():
        moved = [outputs({**leaves, name: leaf + sign}) for sign in (-1.0, 1.0)]
        if name.startswith("noise."):
            effects[name] = max(_largest(new, old) for _, densities in moved for new, old in zip(densities, density, strict=True))
        else:
            effects[name] = max(_largest(new, nee) for new, _ in moved)
    return effects


def _largest(new, old) -> float:
    return float(jnp.max(jnp.abs(new - old)))
