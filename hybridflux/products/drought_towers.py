"""The drought ledger at towers: the season of one year against the usual one of other years of the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.data.gaps import trailing_mean
from hybridflux.inference.batch import names_of
from hybridflux.model.attribution import NODES, SPLIT, cause_of, shapley, split
from hybridflux.model.flux import given_by
from hybridflux.model.leaf_response import FOLLOWED, LeafResponse
from hybridflux.model.learned import over_draws
from hybridflux.model.rollout import remembers, states
from hybridflux.process.leaves import WATER
from hybridflux.products.drought_leaves import slopes_along, through_leaves
from hybridflux.region.drivers.driver_change import AMOUNTS, TEMPERATURES
from hybridflux.region.drivers.usual_weather import Years, typical, usual_course
from hybridflux.vocabulary import split_history

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior
    from hybridflux.model.sequences import Sequences

FEWEST = 3  # reference years


def usual_drivers(sequences: Sequences, names: Sequence[str], years: Sequence[Years]) -> dict[str, np.ndarray]:
    """Drivers of the usual year `[time, place]`: typical days of weather, the mean course of vegetation; running means are made of these.

    Args:
        sequences: of towers, each of which is looked at by itself.
        names: that a model reads.
        years: reference years of each place.

    Raises:
        ValueError: as `usual_rain`.
    """
    read, days = {split_history(name)[0] for name in names}, sequences.days
    parts: dict[str, list[np.ndarray]] = {}
    for place, of in enumerate(years):
        here = {name: values[:, place : place + 1] for name, values in sequences.drivers.items() if values.ndim == 2}
        for base in read & {*TEMPERATURES, *AMOUNTS}:
            usual = typical(here[base], here["rain"], here["par"], days, amounts=base not in TEMPERATURES, years=of)
            parts.setdefault(base, []).append(usual)
        for base in (one for one in read if cause_of(one) == "greenness"):
            parts.setdefault(base, []).append(usual_course(here[base], days, years=of))
    found = {base: np.concatenate(columns, axis=1) for base, columns in parts.items()}
    histories = {name: split_history(name) for name in names}
    return {
        name: trailing_mean(found[base], window) if window else found[base] for name, (base, window) in histories.items() if base in found
    }


def drought_at_towers(
    posterior: Posterior,
    sequences: Sequences,
    season: np.ndarray,
    years: Sequence[Years],
    *,
    seed: int = 0,
    nodes: int = NODES,
    full: bool = False,
    leaves: LeafResponse | None = None,
) -> dict[str, np.ndarray]:
    """Changes by cause at towers on the days of a season `[draw, day, place]`, gC m-2 d-1, with the fluxes of both runs.

    Args:
        posterior: fitted; of a stacked one the process members.
        sequences: of the towers, whose drivers have no gaps.
        season: which days, `[time]` of bool.
        years: reference years of each place.
        seed: of the effects of towers that took no part in the fit.
        nodes: of the quadrature.
        full: by the sum over all subsets of the causes instead (`attribution.shapley`).
        leaves: what the share of leaves that follow the rain deficit is made by; none is given without.

    Returns:
        `causes.change_name(flux, cause)`, `gpp`, `reco`, `usual_gpp`, `usual_reco`, and `water_missing` [mm] where the model has a bucket;
        with `leaves` the share of greenness, `gpp_through_leaves` and `reco_through_leaves` (`drought_leaves`).
    """
    posterior, at = posterior.of_causes(), np.flatnonzero(season)
    needs = posterior.model.needs()
    usual = {name: jnp.asarray(values) for name, values in usual_drivers(sequences, needs, years).items()}
    names = {name: jnp.asarray(values) for name, values in names_of(posterior.model, sequences).items() if name in needs}
    how = partial(shapley) if full else partial(split, nodes=nodes)
    along = partial(slopes_along, nodes=nodes) if leaves is not None else None
    walked = _walk(posterior.at(sequences, key=jax.random.key(seed)), names, usual, jnp.asarray(at), how, along)
    found = {name: np.asarray(values, float) for name, values in walked.items()}
    if leaves is None:
        return found
    slopes = {name: found.pop(name) for name in list(found) if name.startswith(("gpp_per_", "reco_per_"))}
    kinds = np.asarray(sequences.drivers["plant_type"], int)
    parts = through_leaves(slopes, usual_drivers(sequences, (*WATER, *FOLLOWED), years), sequences.drivers, kinds, at, leaves, seed)
    return found | {f"{flux}_through_leaves": part for flux, part in parts.items()}


@eqx.filter_jit
def _walk(model, names: Mapping, usual: Mapping, at: np.ndarray, how: Callable, along: Callable | None):
    def one(draw):
        shape = (len(at), names["par"].shape[1])
        kept = {name for memory in draw.memory for name in given_by(memory)[0]}
        runs = [states(draw, drivers, draw.parameters(drivers, remembers(draw))) for drivers in ({**names, **usual}, names)]
        before, after = ({name: run[name][at] for name in kept if name in run} for run in runs)
        before |= {name: values[at] for name, values in usual.items()}
        after |= {name: names[name][at] for name in usual}
        fixed = {name: values if jnp.ndim(values) < 2 else values[at] for name, values in names.items() if name not in usual}

        def fluxes(point):
            here = {**fixed, **point}
            found = draw.exchange({name: point[name] for name in kept if name in point}, here, draw.parameters(here))
            return {name: jnp.broadcast_to(found[name], shape) for name in SPLIT}

        ends = {prefix + name: value for prefix, point in (("usual_", before), ("", after)) for name, value in fluxes(point).items()}
        water = sum((before[name] - after[name] for name in ("soil_water", "deep_water") if name in before), jnp.zeros(shape))
        slopes = along(fluxes, before, after) if along is not None else {}
        return {**how(fluxes, before, after), **slopes, **ends, "water_missing": water}

    return over_draws(model, one)
