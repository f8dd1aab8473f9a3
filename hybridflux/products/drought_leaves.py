"""Greenness in two at towers: what leaves lost because rain was missing, and the rest (harvest, late springs, legacies, other stress).

The part of greenness is the integral of the slopes of a flux against NIRv and LSWI along the path of the ledger, times their departures
from the usual course (`model.attribution`). Of each departure the response to the rain deficit (`model.leaf_response`) is one
share, and its part is the same integral times that share; the rest of greenness is what is left. A share may be larger than the
departure, or of another sign: leaves that were greener than usual although rain was missing lost by it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.data.gaps import trailing_mean
from hybridflux.model.attribution import SPLIT, Fluxes
from hybridflux.model.leaf_response import FOLLOWED, LeafResponse
from hybridflux.process.leaves import WATER, rain_deficit
from hybridflux.vocabulary import split_history

PER = "_per_"


def slope_name(flux: str, index: str) -> str:
    """Name of the mean slope of a flux against an index along the path.

    >>> slope_name("gpp", "nirv_30d")
    'gpp_per_nirv_30d'
    """
    return f"{flux}{PER}{index}"


def followed(names: Mapping) -> list[str]:
    """Those of the names of drivers that follow the rain deficit."""
    return [name for name in names if split_history(name)[0] in FOLLOWED]


def slopes_along(fluxes: Fluxes, usual: Mapping[str, Array], actual: Mapping[str, Array], nodes: int) -> dict[str, Array]:
    """Mean slopes of GPP and RECO against NIRv, LSWI and their running means on the straight path [gC m-2 d-1].

    Args:
        fluxes: `gpp` and `reco` from the inputs.
        usual: inputs that change, in the usual year.
        actual: the same inputs as they were.
        nodes: of the quadrature.
    """
    at, weights = np.polynomial.legendre.leggauss(nodes)
    found = {}
    for name in followed(usual):
        total = {flux: jnp.zeros(()) for flux in SPLIT}
        for share, weight in zip((0.5 * (at + 1.0)).tolist(), (0.5 * weights).tolist(), strict=True):
            point = {one: usual[one] + share * (actual[one] - usual[one]) for one in usual}
            moved, unit = (point.pop(name),), (jnp.ones_like(actual[name]),)
            _, slope = jax.jvp(lambda value, name=name, point=point: fluxes({**point, name: value}), moved, unit)
            total = {flux: total[flux] + weight * slope[flux] for flux in SPLIT}
        found |= {slope_name(flux, name): total[flux] for flux in SPLIT}
    return found


def through_leaves(
    slopes: Mapping[str, np.ndarray],
    usual: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    plant_type: np.ndarray,
    at: np.ndarray,
    response: LeafResponse,
    seed: int,
) -> dict[str, np.ndarray]:
    """Flux -> change by leaves that follow the rain deficit `[draw, day, place]` [gC m-2 d-1].

    Args:
        slopes: of `slopes_along`, `[draw, day, place]`.
        usual: `WATER`, NIRv and LSWI of the usual year `[time, place]`.
        actual: weather as it was.
        plant_type: of each place.
        at: positions of the days of the season.
        response: of leaves; one slope is drawn for each draw and plant type.
        seed: of these draws.
    """
    before, after = (
        rain_deficit(**{name: np.asarray(of[name]) for name in WATER}, memory_days=response.memory_days) for of in (usual, actual)
    )
    draws = next(iter(slopes.values())).shape[0]
    drawn = response.drawn(draws, seed)
    found = {flux: np.zeros((draws, len(at), len(plant_type))) for flux in SPLIT}
    for name in {name.partition(PER)[2] for name in slopes}:
        base, window = split_history(name)
        for draw in range(draws):
            moved = np.asarray(FOLLOWED[base](**{base: usual[base], "response": drawn[base][plant_type, draw] * (after - before)}), float)
            share = moved - np.asarray(usual[base], float)
            share = (trailing_mean(share, window) if window else share)[at]
            for flux in SPLIT:
                found[flux][draw] += slopes[slope_name(flux, name)][draw] * share
    return found
