"""Draws of fluxes at places, with the errors of the model and of measuring where they are asked for: what `Posterior.simulate` compiles."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.model.gross_error import GrossError
from hybridflux.model.known_place_error import KnownPlaceError
from hybridflux.model.learned import draw_axes
from hybridflux.model.site_discrepancy import FLUXES
from hybridflux.model.structural_error import StructuralError
from hybridflux.vocabulary import CARBON


@eqx.filter_jit
def predictive_draws(
    model, names, known, keys, structure: StructuralError | None, gross: GrossError | None, added: Array | None,
    left: KnownPlaceError | None, has_left: Array, everywhere: bool, noise: bool, variables, shape, kinds,
):  # fmt: skip
    """Name -> draws `[draw, time, place]` of some fluxes and states, gC m-2 d-1 where they are carbon.

    Args:
        model: with draws, at the places.
        names: what it reads of them.
        known: known random errors of fluxes, 0 where unknown.
        keys: random keys of the errors `[draw]`.
        structure: error of NEE at places that were not fitted; None without noise, and where it is not known.
        gross: error that GPP and RECO have in common there; None likewise.
        added: discrepancy of GPP and RECO at places of the fit `[draw, time, place, flux]`, 0 at others; None where there is none.
        left: error of known places; None likewise.
        has_left: which places have it `[place]`.
        everywhere: whether all have.
        noise: whether errors are added.
        variables: names that are asked for.
        shape: days and places.
        kinds: plant types of the places.
    """

    def one(parts):
        draw, key, error, common, more, of_known = parts
        found = draw.fluxes(names, variables)
        fluxes = {name: jnp.broadcast_to(values, shape) for name, values in found.items()}  # one may be the same every day
        if more is not None:
            fluxes |= {name: jnp.maximum(fluxes[name] + more[..., at], 0.0) for at, name in enumerate(FLUXES)}
            fluxes["nee"] = fluxes["reco"] - fluxes["gpp"]
        if not noise:
            return {name: fluxes[name] for name in variables}
        observed = {}
        activity = 0.5 * (fluxes["gpp"] + fluxes["reco"])
        together = common.sample(error, key, fluxes, known, kinds) if error is not None and common is not None and not everywhere else {}
        for number, name in enumerate(variables):
            own, random_error = jax.random.fold_in(key, number), known.get(name, jnp.zeros(()))
            drawn = None
            if name not in CARBON or of_known is None or not everywhere:
                if name in together:
                    drawn = together[name]
                elif error is not None and name in CARBON:
                    drawn = error.sample(own, fluxes[name], activity, random_error, kinds)
                else:  # partitioned fluxes carry the error of the NEE they were made from
                    of_days = draw.observed[name if name in draw.observed else "nee"].error
                    drawn = of_days.sample(own, fluxes[name], random_error)
            if name in CARBON and of_known is not None:
                around = of_known.around(name, fluxes[name], jax.lax.pmean(fluxes[name], "draw"))
                there = of_known.sample(name, own, around, activity, random_error, kinds)
                drawn = there if drawn is None else jnp.where(has_left, there, drawn)
            observed[name] = drawn
        return observed

    axes = draw_axes(model), 0, *(None if part is None else 0 for part in (structure, gross, added, left))
    return eqx.filter_vmap(one, in_axes=(axes,), axis_name="draw")((model, keys, structure, gross, added, left))
