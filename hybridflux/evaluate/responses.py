"""Responses of a fitted model to one driver at a time, on the days of towers: partial dependence with a band over draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.inference.batch import names_of
from hybridflux.model.learned import over_draws
from hybridflux.model.sequences import Sequences
from hybridflux.process.call import arguments, call
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

RESPONSES = ("par", "tair", "vpd", "rew")
TEMPERATURES = ("tair", "tmin", "tmax", "tair_day", "tair_night", "tair_lagged")  # move together
READ = "rew"  # the name by which factors read the soil water
DRIEST_AIR = 0.1  # hPa, least VPD by which a ratio is formed
POINTS, DAYS = 25, 200
BEYOND = 0.15  # share of the observed range, added on both sides: the extrapolation of the model
SEEN = (0.01, 0.99)  # quantiles
GROWING = 5.0  # degC: days on average warmer than this
GREENNESS = ("fapar", "nirv")  # the first that is there says which days are green


@dataclass(frozen=True)
class Response:
    """Fluxes of a plant type along one driver, the others as observed.

    Attributes:
        plant_type: IGBP code.
        driver: vocabulary name.
        grid: values of the driver `[point]`.
        flux: `gpp`, `reco` -> mean over the days `[draw, point]`, gC m-2 d-1.
        seen: 1 % and 99 % quantile of the driver on the measured days of the towers.
        towers: number of towers of the plant type.
        days: number of days in the mean.
    """

    plant_type: str
    driver: str
    grid: np.ndarray
    flux: dict[str, np.ndarray]
    seen: tuple[float, float]
    towers: int
    days: int


def responses(posterior: Posterior, sequences: Sequences, *, draws: int = 60, seed: int = 0) -> Iterator[Response]:
    """Partial dependence (Friedman 2001, 10.1214/aos/1013203451) of GPP and RECO on light, temperature, VPD and soil water.

    For each plant type, fluxes are computed on a sample of measured days of the growing season (warmer than 5 degC, fapar or NIRv above
    its median at the tower) with one driver set to each value of a grid and all others as observed, and averaged over these days.
    Temperatures of a day move together; running means and the soil water of the day stay. Networks that read the driver follow it.
    Parameters are those of the centre of the population.

    Args:
        posterior: fitted posterior.
        sequences: sequences of towers.
        draws: number of draws of the posterior.
        seed: seed of the sample of days.
    """
    thinned = posterior.thin(min(draws, posterior.draws))
    kinds = np.asarray(sequences.drivers["plant_type"]).astype(int)
    for kind in np.unique(kinds):
        here = sequences.select([place for place, one in zip(sequences.places, kinds, strict=True) if one == kind])
        measured = np.isfinite(here.targets["nee"])
        rows = _days_of_growth(here, measured, seed)
        if len(rows[0]):
            yield from _of_type(thinned, here, PLANT_TYPES[kind], measured, rows)


def _days_of_growth(here: Sequences, measured: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (time, place) of a sample of days."""
    growing = measured.copy()
    if "tair" in here.drivers:
        growing &= here.drivers["tair"] > GROWING
    greenness = next((here.drivers[name] for name in GREENNESS if name in here.drivers), None)
    if greenness is not None:
        growing &= greenness >= np.median(greenness, axis=0)
    at = np.argwhere(growing)
    chosen = np.random.default_rng(seed).choice(len(at), min(DAYS, len(at)), replace=False)
    return tuple(at[np.sort(chosen)].T)


def _of_type(posterior: Posterior, here: Sequences, code: str, measured: np.ndarray, rows) -> Iterator[Response]:
    names = names_of(posterior.model, here)
    names["site"] = np.full_like(names["site"], -1)
    if "site_year" in names:
        names["site_year"] = np.full_like(names["site_year"], -1)
    whole = {name: jnp.asarray(values) for name, values in names.items()}
    shape = (len(here.days), len(here.places))
    today = {name: jnp.asarray(np.broadcast_to(values, shape)[rows]) for name, values in names.items()}
    water = _water(posterior.model, whole, shape)
    for driver in RESPONSES:
        values = water if driver == "rew" else names.get(driver)
        if values is None:
            continue
        low, high = (float(level) for level in np.quantile(np.broadcast_to(values, shape)[measured], SEEN))
        bounds, margin = VARIABLES[driver].bounds, BEYOND * (high - low)
        grid = np.linspace(max(low - margin, bounds[0]), min(high + margin, bounds[1]), POINTS)
        curves = _curves(posterior.model, whole, today, rows, shape, driver, jnp.asarray(grid, jnp.float32))
        flux = {name: np.asarray(drawn) for name, drawn in zip(("gpp", "reco"), curves, strict=True)}
        yield Response(code, driver, grid, flux, (low, high), len(here.places), len(rows[0]))


def _water(model, whole: dict, shape: tuple[int, int]) -> np.ndarray | None:
    """Relative water of the days, mean over draws `[time, place]`; None for a model without it."""
    if not any(READ in call(memory.read, dict.fromkeys(arguments(memory.read), jnp.ones(()))) for memory in model.memory):
        return None

    @eqx.filter_jit
    def rew(stacked, names):
        water = lambda model: jnp.broadcast_to(model.seen(model.states(names), names, model.parameters(names))[READ], shape)  # noqa: E731
        return over_draws(stacked, water).mean(axis=0)

    return np.asarray(rew(model, whole))


@eqx.filter_jit
def _curves(stacked, whole: dict, today: dict, rows, shape: tuple[int, int], driver: str, grid):
    """GPP and RECO along the grid, mean over the days, `[draw, point]` each."""

    def one(model):
        states = {name: jnp.broadcast_to(values, shape)[rows] for name, values in model.states(whole).items()}
        return jax.vmap(lambda value: _at(model, states, today, driver, value))(grid)

    return over_draws(stacked, one)


def _at(model, states: dict, today: dict, driver: str, value):
    """Mean GPP and RECO of the days with the driver at one value."""
    moved, own = dict(today), states
    if driver == "tair":
        shift = value - today["tair"]
        moved |= {name: today[name] + shift for name in TEMPERATURES if name in today}
        own = {name: values + shift if name in TEMPERATURES else values for name, values in states.items()}
    elif driver == "vpd":
        ratio = value / jnp.maximum(today["vpd"], DRIEST_AIR)
        moved |= {"vpd": jnp.full_like(today["vpd"], value)} | {name: today[name] * ratio for name in ("vpd_day",) if name in today}
    elif driver != READ:
        moved[driver] = jnp.full_like(today[driver], value)
    names = model.seen(own, moved, model.parameters(moved))
    if driver == READ:
        names = {**names, READ: jnp.full_like(today["tair"], value)}
    fluxes = model.fluxes_of(names)
    return jnp.mean(fluxes["gpp"]), jnp.mean(fluxes["reco"])
