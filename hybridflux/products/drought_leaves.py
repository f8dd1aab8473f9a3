"""Greenness in parts: what leaves lost because rain was missing, by heat, light and dry air, and the rest (harvest, late spring, legacy).

Leaves follow these drivers by slopes of log NIRv that were fitted without any flux (`model.leaf_response`), one of an unknown place for
each plant type and draw. How a flux follows leaves is in the ledger: over a season its change by greenness is e F d, with the departure d
of log NIRv, the flux F between that of the usual and of the actual leaves, and the elasticity e, fitted to the days of each pixel and draw
by least squares (`elasticity`). The part of a driver is then slope times e times the sum of F times its departure, linear in the response,
and the rest is what is left of greenness: the parts add up in every draw. Leaves that were greener than usual although rain was missing
lost by it all the same. All leaves are taken to change as one: LSWI and means of the last month along with NIRv.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import add

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.causes import LEAF_DRIVERS, USUAL, change_name, departure_name, exposure_name, greenness_by
from hybridflux.data.gaps import trailing_mean
from hybridflux.model.attribution import SPLIT
from hybridflux.model.leaf_response import BESIDE_WATER, FOLLOWED, LEAF_RESPONSE, LeafResponse
from hybridflux.model.sequences import Sequences
from hybridflux.process.leaves import WATER, rain_deficit
from hybridflux.products.drought_towers import usual_drivers
from hybridflux.products.rows import SIGN, summary
from hybridflux.products.totals import Lazy, RunTotals
from hybridflux.region.draws.followed_leaves import WEATHER, leaf_drivers
from hybridflux.region.drivers.open import Region
from hybridflux.region.drivers.usual_weather import Years
from hybridflux.region.kernels.contract import Carry, Kept, Static, Today
from hybridflux.region.outputs import ZoneTotals
from hybridflux.vocabulary import FLUXES, PLANT_TYPES, split_history

GREENNESS, REST, LEAVES = "greenness", "rest", "nirv"
RESPONSES: Mapping[str, LeafResponse] = {"water": LEAF_RESPONSE, **BESIDE_WATER}
PARTS = (*LEAF_DRIVERS, REST)
FAINTEST = 0.02  # NIRv, as where the response was fitted: the logarithm of less is noise
USUAL_ELASTICITY = {"gpp": 0.6, "reco": 0.25}
"""Per cent of a flux for a per cent of NIRv, where leaves are hardly off their usual course: below 1, because light saturates. Moving the
leaves of 23 European towers by the response to missing rain gives 0.62 and 0.27 (ledgers of 2003, 2015 and 2018, `hybrid_water`)."""
PRIOR_SD = 0.07
"""Departure of log NIRv of a day that says as much of the elasticity as is known before. At those towers the parts by water then differ
least from what moving the leaves gives: r 0.96 and 0.94, the mean of GPP is -8.8 in place of -7.9 gC m-2 a summer."""


def between(actual: Array, change: Array) -> Array:
    """A flux between what it was and what it would have been without a change, the mean over a path on which its logarithm is a line.

    The logarithmic mean, (2 geometric + arithmetic) / 3 to the fourth order (Carlson 1972, The logarithmic mean); a flux below 0
    counts as 0.
    """
    first, last = jnp.maximum(actual - change, 0.0), jnp.maximum(actual, 0.0)
    return (2.0 * jnp.sqrt(first * last) + 0.5 * (first + last)) / 3.0


def log_departure(actual: Array, usual: Array) -> Array:
    """Departure of log NIRv."""
    return jnp.log(jnp.maximum(actual, FAINTEST) / jnp.maximum(usual, FAINTEST))


def of_day(flux: Array, change: Array, leaves: Array) -> tuple[Array, Array, Array, Array]:
    """The flux between, and what a day adds to the three sums of `elasticity`."""
    mean = between(flux, change)
    step = mean * leaves
    return mean, change * step, step * step, mean * mean


def elasticity(flux: str, product: Array, square: Array, size: Array) -> Array:
    """Per cent by which a flux changes for a per cent of NIRv: least squares over days, with `USUAL_ELASTICITY` before.

    Args:
        flux: its name.
        product: sum over days of change times step, a step being flux times departure of log NIRv.
        square: of the squares of steps.
        size: of the squares of the flux.
    """
    known = PRIOR_SD**2 * size
    return (product + known * USUAL_ELASTICITY[flux]) / jnp.maximum(square + known, 1e-20)


@dataclass(frozen=True)
class LeafTotals(ZoneTotals):
    """`total(flux, cell, draw, month)`: changes of GPP and RECO by leaves whose log NIRv follows a driver by a slope of 1 [g].

    Times the slopes of a response they are parts of greenness, so that another response needs no other run.
    """

    stem = "leaf_totals"
    quantities: tuple[str, ...] = tuple(exposure_name(flux, driver) for flux in SPLIT for driver in LEAF_DRIVERS)
    name = stem
    reads = (*SPLIT, *(change_name(flux, GREENNESS) for flux in SPLIT), LEAVES, USUAL + LEAVES, *map(departure_name, LEAF_DRIVERS))
    sums = ()

    def begin(self, static: Static) -> Carry:
        """The sums of `elasticity` of the season, and the flux times departures of a month `[draw, driver, n]`."""
        none = jnp.zeros((static.draws, static.n), jnp.float32)
        return {flux: ((none,) * 3, jnp.zeros((static.draws, len(LEAF_DRIVERS), static.n), jnp.float32)) for flux in SPLIT}

    def day(self, carry: Carry, values: Mapping[str, Array], today: Today) -> Carry:
        """Add a day."""
        leaves = log_departure(values[LEAVES], values[USUAL + LEAVES])
        departures = jnp.stack([values[departure_name(driver)][0] for driver in LEAF_DRIVERS])  # weather: the same in all draws
        found = {}
        for flux, (sums, exposures) in carry.items():
            mean, *more = of_day(values[flux], values[change_name(flux, GREENNESS)], leaves)
            found[flux] = tuple(map(add, sums, more)), exposures + mean[:, None] * departures
        return found

    def month(self, carry: Carry, sums: Kept) -> tuple[Carry, Kept]:
        """The flux times departures of a month."""
        ended = {
            exposure_name(flux, driver): exposures[:, number]
            for flux, (_, exposures) in carry.items() for number, driver in enumerate(LEAF_DRIVERS)
        }  # fmt: skip
        return {flux: (of, jnp.zeros_like(exposures)) for flux, (of, exposures) in carry.items()}, ended

    def end(self, carry: Carry, months: Kept, sums: Kept, static: Static) -> Kept:
        """With the elasticity of the season."""
        of = {flux: elasticity(flux, *season) for flux, (season, _) in carry.items()}
        return {exposure_name(flux, driver): of[flux] * months[exposure_name(flux, driver)] for flux in SPLIT for driver in LEAF_DRIVERS}


def can_be_split(region: Region, needs: Sequence[str], usual: Sequence[str]) -> bool:
    """Whether greenness can be split: the model reads NIRv, its usual course is known, and the weather that leaves follow is there."""
    return LEAVES in needs and LEAVES in usual and {*WEATHER} <= {*region.names}


def slopes(draws: int, seed: int, place: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Driver -> slope of log NIRv `[plant type, draw]` of an unknown place; those of water are those of a scenario of the same seed."""
    streams = {driver: (number, *place) if number or place else () for number, driver in enumerate(RESPONSES)}
    return {driver: RESPONSES[driver].drawn(draws, seed, stream)[LEAVES] for driver, stream in streams.items()}


def parts_of_totals(totals: RunTotals, seed: int) -> RunTotals:
    """Parts of greenness `greenness_by` of a driver, behind the name of the flux, of totals that `LeafTotals` wrote."""
    kinds, of = [PLANT_TYPES.index(str(code)) for code in totals.land_cover], slopes(totals.draws, seed)

    def part(flux: str, driver: str, cells: np.ndarray) -> np.ndarray:
        slope = of[driver][[kinds[cell] for cell in cells]]
        return totals.total[exposure_name(flux, driver).upper()][cells] * slope[:, None, :]

    shape = next(iter(totals.total.values())).shape
    found: dict[str, np.ndarray | Lazy] = {
        f"{flux}_{driver}": Lazy(shape, partial(part, flux, driver)) for flux in SPLIT for driver in LEAF_DRIVERS
    }
    return replace(totals, total=found)


def greenness_rows(parts: Mapping[str, np.ndarray], whole: Mapping[str, np.ndarray], usual: Mapping[str, float]) -> Iterator[dict]:
    """Rows of the table of a ledger: parts of greenness of one place.

    Args:
        parts: `gpp_water`, `reco_water` ... `[draw]`, gC m-2.
        whole: FLUXNET name of a flux -> its change by greenness `[draw]`.
        usual: FLUXNET name of a flux -> mean of the usual season.
    """
    by = {(flux.upper(), driver): parts[f"{flux}_{driver}"] for flux in SPLIT for driver in LEAF_DRIVERS}
    by |= {("NEE", driver): by["RECO", driver] - by["GPP", driver] for driver in LEAF_DRIVERS}
    by |= {(flux, REST): whole[flux] - np.sum([by[flux, driver] for driver in LEAF_DRIVERS], axis=0) for flux in FLUXES}
    for flux in FLUXES:
        for part in PARTS:
            change = by[flux, part]
            percent = 100 * change.mean() / usual[flux] if flux != "NEE" else np.nan
            yield {"variable": flux, "cause": greenness_by(part), "units": "gC m-2", **summary(change), "percent": percent,
                   "sign": SIGN[flux]}  # fmt: skip


def greenness_at_towers(
    found: Mapping[str, np.ndarray], sequences: Sequences, season: np.ndarray, usual: Mapping[str, np.ndarray], years: Sequence[Years],
    *, seed: int = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Parts of greenness at towers, sums over a season `[draw, place]`, gC m-2: `gpp_water`, ..., `gpp_rest`, `reco_water`, ...

    Args:
        found: changes by cause of `drought_at_towers`.
        sequences: of the towers, with `WEATHER` and NIRv.
        season: which days `[time]`.
        usual: `nirv` of the usual year `[time, place]`.
        years: reference years of each place.
        seed: of the slopes, which differ between towers.
    """
    weather = usual_drivers(sequences, WEATHER, years)
    actual, before = (leaf_drivers(one, LEAF_RESPONSE.memory_days) for one in (sequences.drivers, weather))
    leaves = log_departure(sequences.drivers[LEAVES][season], usual[LEAVES][season])
    kinds, draws = np.asarray(sequences.drivers["plant_type"], int), len(found["gpp"])
    drawn = [slopes(draws, seed, (place,)) for place in range(len(kinds))]
    parts: dict[str, np.ndarray] = {}
    for flux in SPLIT:
        change = found[change_name(flux, GREENNESS)]
        mean, *sums = of_day(jnp.asarray(found[flux]), jnp.asarray(change), leaves)
        of = elasticity(flux, *(one.sum(axis=1) for one in sums))
        for driver in LEAF_DRIVERS:
            slope = np.stack([one[driver][kind] for one, kind in zip(drawn, kinds, strict=True)], axis=1)
            departure = (actual[driver] - before[driver])[season]
            parts[f"{flux}_{driver}"] = np.asarray(slope * of * (mean * departure).sum(axis=1), float)
        parts[f"{flux}_{REST}"] = change.sum(axis=1) - np.sum([parts[f"{flux}_{driver}"] for driver in LEAF_DRIVERS], axis=0)
    return parts


def leaves_without_the_deficit(sequences: Sequences, years: Sequence[Years], response: LeafResponse) -> Sequences:
    """The same towers whose NIRv and LSWI, and running means of these, had not followed the rain deficit beyond the usual one.

    Args:
        sequences: of towers, with `WATER`.
        years: reference years of each place, whose typical weather says what is usual.
        response: of leaves; the mean slopes of plant types are taken.
    """
    actual, usual = sequences.drivers, usual_drivers(sequences, WATER, years)
    more = np.subtract(*(
        rain_deficit(**{name: np.asarray(of[name]) for name in WATER}, memory_days=response.memory_days) for of in (actual, usual)
    ))  # fmt: skip
    kinds = [PLANT_TYPES[int(code)] for code in actual["plant_type"]]
    moved = {}
    for base, follow in FOLLOWED.items():
        slope = np.array([response.of_type(base, kind)[0] for kind in kinds])
        back = np.asarray(follow(**{base: actual[base], "response": -slope * more}), np.float32)
        for name in (name for name in actual if split_history(name)[0] == base):
            _, window = split_history(name)
            moved[name] = trailing_mean(back, window) if window else back
    return replace(sequences, drivers={**actual, **moved})
