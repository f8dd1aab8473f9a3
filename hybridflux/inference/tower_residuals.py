"""What the draws of a posterior get wrong at the towers of the fit, month by month: a region that has a tower knows it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import jax
import numpy as np

from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, parameters_over_draws
from hybridflux.model.sequences import Sequences
from hybridflux.model.stacked import KIND, Stacked
from hybridflux.model.structural_covariance import Periods

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

LEAST_DAYS = 15
"""Measured days that a month needs."""
MOST_DRAWS = 32
"""Draws whose residuals are kept, evenly spaced: at a tower of the fit draws of one kind differ little."""
MOST_OF_KINDS = 128
"""The same of a stacked model, whose kinds differ much and take turns among the draws: all draws of 32 members. Then a month has 2 kB of
residuals, a place 0.3 MB of discrepancy, and 14 MB while its error is learned from the flux of each draw on each of 9000 days."""
AT_ONCE = 1 << 26
"""Values of a flux in memory at once."""


@dataclass(frozen=True)
class TowerResiduals:
    """Mean residuals of NEE, observed - modelled, of each tower and month of which enough days were measured.

    Attributes:
        place: index among the places of the posterior `[month]`.
        first: first day of the calendar month, days since 1970 `[month]`.
        end: the day after its last one `[month]`.
        count: measured days `[month]`.
        known_sq: mean square of their known random error `[month]`.
        residual: of each kept draw, gC m-2 d-1 `[row, month]`.
        activity: (GPP + RECO) / 2 over the measured days `[row, month]`.
        flux: mean of |NEE| over them `[row, month]`.
        flux_sq: of its square `[row, month]`.
        row: of each draw of the posterior `[draw]`.
    """

    place: np.ndarray
    first: np.ndarray
    end: np.ndarray
    count: np.ndarray
    known_sq: np.ndarray
    residual: np.ndarray
    activity: np.ndarray
    flux: np.ndarray
    flux_sq: np.ndarray
    row: np.ndarray

    @property
    def periods(self) -> Periods:
        """The months."""
        return Periods(self.first, self.end)

    def pick(self, numbers: np.ndarray) -> TowerResiduals:
        """Of some draws."""
        return replace(self, row=self.row[numbers])

    def only(self, chosen: np.ndarray) -> TowerResiduals:
        """Some of the months."""
        parts = {name: getattr(self, name)[..., chosen] for name in (one.name for one in fields(self)) if name != "row"}
        return replace(self, **parts)

    def noise(self, values: Mapping[str, float], row: int) -> np.ndarray:
        """Variance of the mean measuring error `[month]`, see `StructuralError.variance_of_mean`."""
        floor, slope = values["noise_floor"], values["noise_slope"]
        own = floor**2 + 2.0 * floor * slope * self.flux[row] + slope**2 * self.flux_sq[row]
        return (self.known_sq + own) / self.count

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def kept_draws(model: HybridFlux, most: int = MOST_DRAWS) -> np.ndarray:
    """Numbers of at most as many draws, evenly spaced: of a stacked model along the quantiles of the kinds, which so keep their shares."""
    leaves = learned(model)
    draws = len(next(iter(leaves.values())))
    order = np.argsort(np.asarray(leaves[f"sources.{KIND.name}.z"]), kind="stable") if isinstance(model, Stacked) else np.arange(draws)
    return order[np.linspace(0, draws - 1, min(draws, most)).round().astype(int)]


def kept_and_rows(model: HybridFlux, plant_types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the draws whose residuals are kept, and which of these stands for each draw `[draw]`: the nearest of the same kind.

    Args:
        model: with draws.
        plant_types: of the places, indices into PLANT_TYPES. Where no kept draw is of the same kind in all of them, one that is in most.
    """
    draws = len(next(iter(learned(model).values())))
    stacked = isinstance(model, Stacked)
    kept = np.sort(kept_draws(model, MOST_OF_KINDS if stacked else MOST_DRAWS))
    apart = np.abs(np.arange(draws)[:, None] - kept)
    if stacked:
        kinds = parameters_over_draws(model, {"plant_type": np.unique(plant_types)}, only=[KIND.name])
        of_network = np.asarray(kinds[KIND.name])
        apart = apart + draws * (of_network[:, None] != of_network[kept]).sum(axis=-1)
    return kept, apart.argmin(axis=1).astype(np.int32)


def of_posterior(posterior: Posterior, sequences: Sequences) -> TowerResiduals | None:
    """Residuals at the towers of a fit; None where NEE was not measured.

    Args:
        posterior: of the fit, with its structural error.
        sequences: of the fit.
    """
    if "nee" not in sequences.targets:
        return None
    kept, row = kept_and_rows(posterior.model, sequences.plant_types)
    few, step = posterior.pick(kept), max(AT_ONCE // (len(kept) * len(sequences.days)), 1)
    month = sequences.days.astype("datetime64[M]")
    parts = []
    for start in range(0, len(sequences.places), step):
        here = sequences.select(sequences.places[start : start + step])
        fluxes = {name: np.asarray(values) for name, values in few.simulate(here, key=jax.random.key(0)).items()}
        known = np.nan_to_num(np.broadcast_to(here.uncertainty.get("nee", np.zeros(1, np.float32)), here.targets["nee"].shape))
        for place in range(len(here.places)):
            of_place = {name: values[:, :, place] for name, values in fluxes.items()}
            parts.append((start + place, *_of_place(here.targets["nee"][:, place], known[:, place], of_place, month)))
    return _joined(parts, row)


def _of_place(observed: np.ndarray, known: np.ndarray, fluxes: Mapping[str, np.ndarray], month: np.ndarray) -> tuple:
    """Months, counts and means of one place."""
    seen = np.flatnonzero(np.isfinite(observed))
    months, group, count = np.unique(month[seen], return_inverse=True, return_counts=True)
    kept = count >= LEAST_DAYS
    average = np.zeros((len(months), len(seen)))
    average[group, np.arange(len(seen))] = 1.0 / count[group]
    mean = lambda values: (values[..., seen] @ average[kept].T).astype(np.float32)  # noqa: E731
    nee, activity = fluxes["nee"], 0.5 * (fluxes["gpp"] + fluxes["reco"])
    return (
        months[kept],
        count[kept],
        mean(known**2),
        mean(np.nan_to_num(observed) - nee),
        mean(activity),
        mean(np.abs(nee)),
        mean(nee**2),
    )


def _joined(parts: list[tuple], row: np.ndarray) -> TowerResiduals:
    """All places one after the other."""
    place = np.concatenate([np.full(len(one[1]), one[0]) for one in parts]).astype(np.int32)
    months, count, known_sq, *of_rows = (np.concatenate(column, axis=-1) for column in zip(*(one[1:] for one in parts), strict=True))
    first, end = (one.astype("datetime64[D]").astype(np.int32) for one in (months, months + 1))
    residual, activity, flux, flux_sq = of_rows
    return TowerResiduals(place, first, end, count.astype(np.int32), known_sq, residual, activity, flux, flux_sq, row)
