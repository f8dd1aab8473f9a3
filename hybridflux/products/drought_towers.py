"""The drought ledger at towers: the season of one year against the usual one of other years of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.causes import CAUSES, USUAL, change_name
from hybridflux.data.gaps import trailing_mean
from hybridflux.inference.batch import names_of
from hybridflux.model.attribution import SPLIT, AgainstUsual, cause_of, following
from hybridflux.model.flux import HybridFlux, given_by
from hybridflux.model.learned import learned, over_draws, parameters_over_draws
from hybridflux.model.rollout import remembers, states
from hybridflux.region.drivers.driver_change import AMOUNTS, TEMPERATURES
from hybridflux.region.drivers.usual_weather import Years, typical, usual_course
from hybridflux.region.kernels.networks import Members, solve
from hybridflux.region.kernels.networks_moved import following_networks
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
    full: bool = False,
) -> dict[str, np.ndarray]:
    """Changes by cause at towers on the days of a season `[draw, day, place]`, gC m-2 d-1, with the fluxes of both runs.

    Args:
        posterior: fitted; of a stacked one the process members.
        sequences: of the towers, whose drivers have no gaps.
        season: which days, `[time]` of bool.
        years: reference years of each place.
        seed: of the effects of towers that took no part in the fit.
        full: by the sum over all subsets of the causes, see `attribution.split`.

    Returns:
        `causes.change_name(flux, cause)`, `gpp`, `reco`, `usual_gpp`, `usual_reco`, and `water_missing` [mm] where the model has a bucket.
    """
    usual = usual_drivers(sequences, posterior.of_causes().model.needs(), years)
    return changes_at_towers(posterior, sequences, season, usual, seed=seed, full=full)


def changes_at_towers(
    posterior: Posterior, sequences: Sequences, season: np.ndarray, usual: Mapping[str, np.ndarray], *, seed: int = 0, full: bool = False
) -> dict[str, np.ndarray]:
    """The same against given drivers of a usual year.

    Args:
        posterior: as of `drought_at_towers`, as are `sequences`, `season`, `seed` and `full`.
        sequences: of the towers.
        season: which days `[time]`.
        usual: those drivers that had other values `[time, place]`.
        seed: of effects.
        full: see there.
    """
    posterior, at = posterior.of_causes(), np.flatnonzero(season)
    needs = posterior.model.needs()
    names = {name: jnp.asarray(values) for name, values in names_of(posterior.model, sequences).items() if name in needs}
    changed = {name: jnp.asarray(values) for name, values in usual.items()}
    found = _walk(posterior.at(sequences, key=jax.random.key(seed)), names, changed, jnp.asarray(at), full=full)
    return {name: np.asarray(values, float) for name, values in found.items()}


@eqx.filter_jit
def _walk(model: HybridFlux, names: Mapping, usual: Mapping, at: Array, *, full: bool) -> dict[str, Array]:
    shape = (len(at), names["par"].shape[1])

    def runs_of(draw):
        both = {"": names, USUAL: {**names, **usual}}
        runs = {prefix: states(draw, run, draw.parameters(run, remembers(draw))) for prefix, run in both.items()}
        return {prefix + name: values[at] for prefix, run in runs.items() for name, values in run.items()}

    def flat(values):
        of_days = values if jnp.ndim(values) < 2 else values[at]
        return jnp.broadcast_to(of_days, shape).reshape(-1)

    kept = {name for memory in model.memory for name in given_by(memory)[0]}
    walked = {name: values.reshape(len(values), -1) for name, values in over_draws(model, runs_of).items()}
    state = {name: values for name, values in walked.items() if name.removeprefix(USUAL) in kept}
    today = {name: flat(values) for name, values in names.items()} | {USUAL + name: flat(values) for name, values in usual.items()}
    today |= {name: values for name, values in walked.items() if name not in state}
    networks = {name: Members(network, None) for name, source in model.sources.items() if (network := source.network()) is not None}

    def value(name, of_day):
        """A parameter, its network evaluated anew."""
        return parameters_over_draws(solve(model, {name: networks[name]} if name in networks else {}, of_day), of_day, (name,))[name]

    follow = following(model, tuple(usual), value) if full else following_networks(model, networks, tuple(usual))
    pair = AgainstUsual(model, usual, follow, full=full)
    parameters = parameters_over_draws(model, today, [name for name in model.sources if name not in pair.moving])
    found = pair.exchange(state, today, parameters)
    for flux in SPLIT:
        found[USUAL + flux] = found[flux] - sum(found[change_name(flux, cause)] for cause in CAUSES)
    draws = len(jax.tree.leaves(learned(model))[0])
    return {name: jnp.broadcast_to(values, (draws, shape[0] * shape[1])).reshape(-1, *shape) for name, values in found.items()}
