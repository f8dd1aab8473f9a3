"""Responses of a fitted model to one driver at a time, at corners of the data: partial dependence with a band over draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from hybridflux.evaluate.corners import CORNERS, Corner, days_of_growth
from hybridflux.inference.batch import names_of
from hybridflux.model.learned import draw_axes, over_draws
from hybridflux.model.sequences import Sequences
from hybridflux.process.call import arguments, call
from hybridflux.vocabulary import HISTORY_DAYS, PLANT_TYPES, VARIABLES

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

RESPONSES = ("par", "tair", "vpd", "rew", "lswi", "nirv", "fapar")
TEMPERATURES = ("tair", "tmin", "tmax", "tair_day", "tair_night", "tair_lagged")  # move together
OF_WEEKS = ("lswi", "nirv", "fapar")  # change slowly: their running means move with them
READ = "rew"  # the name by which factors read the soil water
DRIEST_AIR = 0.1  # hPa, least VPD by which a ratio is formed
POINTS = 25
BEYOND = 0.15  # share of the observed range, added on both sides: the extrapolation of the model
SEEN = (0.01, 0.99)  # quantiles
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


@dataclass(frozen=True)
class Response:
    """Fluxes of a plant type along one driver, the others as observed on the days of a corner.

    Attributes:
        plant_type: IGBP code.
        corner: name of the corner.
        driver: vocabulary name.
        grid: values of the driver `[point]`.
        flux: `gpp`, `reco` -> mean over the days `[draw, point]`, gC m-2 d-1.
        factors: the factors of GPP and RECO but the first of each that move with the driver -> mean over the days `[draw, point]`.
        seen: 1 % and 99 % quantile of the driver on the measured days of the towers.
        rug: the driver on the days of the corner `[day]`.
        towers: number of towers of the plant type.
    """

    plant_type: str
    corner: str
    driver: str
    grid: np.ndarray
    flux: dict[str, np.ndarray]
    factors: dict[str, np.ndarray]
    seen: tuple[float, float]
    rug: np.ndarray
    towers: int

    @property
    def days(self) -> int:
        """Number of days in the mean."""
        return len(self.rug)


def responses(
    posterior: Posterior, sequences: Sequences, *, corners: Sequence[Corner] = CORNERS, draws: int = 60, seed: int = 0
) -> Iterator[Response]:
    """Partial dependence (Friedman 2001, 10.1214/aos/1013203451) of GPP and RECO on weather, soil water, LSWI and greenness.

    For each plant type and corner, fluxes are computed on the days of the corner with one driver set to each value of a grid and all others
    as observed, and averaged over these days. Temperatures of a day move together, a vegetation index with its running means; other running
    means and the soil water of the day stay. Networks that read the driver follow it. Parameters are those of the centre of the population.

    Args:
        posterior: fitted posterior.
        sequences: sequences of towers.
        corners: which days.
        draws: number of draws of the posterior.
        seed: seed of the sample of days.
    """
    thinned = posterior.thin(min(draws, posterior.draws))
    kinds = np.asarray(sequences.drivers["plant_type"]).astype(int)
    for kind in np.unique(kinds):
        here = sequences.select([place for place, one in zip(sequences.places, kinds, strict=True) if one == kind])
        measured = np.isfinite(here.targets["nee"])
        growing = days_of_growth(here, measured)
        if len(growing[0]):
            yield from _of_type(thinned, here, PLANT_TYPES[kind], measured, growing, corners, seed)


def table_of(curves: Sequence[Response]) -> pd.DataFrame:
    """Curves as a table.

    Columns: `plant_type`, `corner`, `driver`, `units`, `value` (of the driver), `of` (GPP, RECO in gC m-2 d-1, or a factor), `q05`, `q50`,
    `q95` over the draws, `seen` (inside the 1 % to 99 % range of the towers), `days`, `towers`.
    """
    rows = []
    for one in curves:
        of = {name.upper(): values for name, values in one.flux.items()} | one.factors
        inside = (one.grid >= one.seen[0]) & (one.grid <= one.seen[1])
        where = {"plant_type": one.plant_type, "corner": one.corner, "driver": one.driver, "units": VARIABLES[one.driver].units}
        for name, drawn in of.items():
            bands = dict(zip(QUANTILES, np.quantile(drawn, list(QUANTILES.values()), axis=0), strict=True))
            columns = {"value": one.grid, "of": name, **bands, "seen": inside, "days": one.days, "towers": one.towers}
            rows.append(pd.DataFrame({**{key: [text] * len(one.grid) for key, text in where.items()}, **columns}))
    return pd.concat(rows, ignore_index=True)


def _of_type(posterior: Posterior, here: Sequences, code: str, measured: np.ndarray, growing, corners, seed: int) -> Iterator[Response]:
    model, names, shape = posterior.model, names_of(posterior.model, here), (len(here.days), len(here.places))
    for index in ("site", "site_year"):
        if index in names:
            names[index] = np.full_like(names[index], -1)
    whole = {name: jnp.asarray(values) for name, values in names.items()}
    states, water = _states(model, whole, growing, shape)
    series = {name: np.broadcast_to(values, shape) for name, values in names.items() if name in RESPONSES}
    series |= {} if water is None else {READ: np.asarray(water)}
    of_days = {name: values[growing] for name, values in series.items()}
    for corner in corners:
        chosen = corner.choose(of_days or {"": growing[0]}, seed)
        today = {name: jnp.asarray(np.broadcast_to(values, shape)[growing][chosen]) for name, values in names.items()}
        own = {name: values[:, chosen] for name, values in states.items()}
        for driver in (name for name in RESPONSES if name in series):
            low, high = (float(level) for level in np.quantile(series[driver][measured], SEEN))
            bounds, margin = VARIABLES[driver].bounds, BEYOND * (high - low)
            grid = np.linspace(max(low - margin, bounds[0]), min(high + margin, bounds[1]), POINTS)
            flux, factors = jax.tree.map(np.asarray, _curves(model, own, *_moved(today, driver, jnp.asarray(grid, jnp.float32))))
            moved = {name: drawn for name, drawn in factors.items() if np.ptp(drawn, axis=1).max() > 1e-6}
            yield Response(code, corner.name, driver, grid, flux, moved, (low, high), of_days[driver][chosen], len(here.places))


@eqx.filter_jit
def _states(stacked, whole: dict, rows, shape: tuple[int, int]):
    """States of some days `[draw, row]`, and the relative water of all days, mean over draws; None for a model without water."""
    watered = any(READ in call(memory.read, dict.fromkeys(arguments(memory.read), jnp.ones(()))) for memory in stacked.memory)

    def one(model):
        states = model.states(whole)
        water = jnp.broadcast_to(model.seen(states, whole, model.parameters(whole))[READ], shape) if watered else jnp.zeros(())
        return {name: jnp.broadcast_to(values, shape)[rows] for name, values in states.items()}, water

    states, water = over_draws(stacked, one)
    return states, water.mean(axis=0) if watered else None


def _moved(today: dict, driver: str, grid) -> tuple[dict, Array, Array]:
    """Names of the days along the grid of a driver, the shift of temperatures in states, and the water that factors read, `[point, day]`.

    The water is NaN where it is that of the states. All drivers have the same shapes, so that one compiled program serves them.
    """
    value, none = grid[:, None], jnp.zeros((len(grid), len(today["tair"])), grid.dtype)
    moved, shift, water = dict(today), none, none + jnp.nan
    if driver == "tair":
        shift = value - today["tair"]
        moved |= {name: today[name] + shift for name in TEMPERATURES if name in today}
    elif driver == "vpd":
        ratio = value / jnp.maximum(today["vpd"], DRIEST_AIR)
        moved |= {"vpd": value} | {name: today[name] * ratio for name in ("vpd_day",) if name in today}
    elif driver in OF_WEEKS:
        running = (driver, *(f"{driver}_{days}d" for days in HISTORY_DAYS))
        moved |= {name: today[name] + value - today[driver] for name in running if name in today}
    elif driver == READ:
        water = value + none
    else:
        moved[driver] = value
    return {name: jnp.broadcast_to(values, none.shape) for name, values in moved.items()}, shift, water


@eqx.filter_jit
def _curves(stacked, states: dict, moved: dict, shift: Array, water: Array):
    """GPP and RECO, and factors by name, mean over the days, `[draw, point]` each; arguments are those of `_moved`."""
    of_draw = lambda model, own: jax.vmap(lambda *point: _at(model, own, *point))(moved, shift, water)  # noqa: E731
    return eqx.filter_vmap(of_draw, in_axes=(draw_axes(stacked), 0))(stacked, states)


def _at(model, states: dict, today: dict, shift: Array, water: Array):
    """Mean fluxes and factors of the days at one point of the grid."""
    own = {name: values + shift if name in TEMPERATURES else values for name, values in states.items()}
    names = model.seen(own, today, model.parameters(today))
    if READ in names:
        names = {**names, READ: jnp.where(jnp.isnan(water), names[READ], water)}
    fluxes = model.fluxes_of(names)
    factors = {fn.__name__: call(fn, {**names, **fluxes}) for fn in (*model.gpp[1:], *model.reco[1:])}
    mean = lambda values: jnp.mean(jnp.broadcast_to(values, shift.shape))  # noqa: E731
    return {name: mean(fluxes[name]) for name in ("gpp", "reco")}, {name: mean(values) for name, values in factors.items()}
