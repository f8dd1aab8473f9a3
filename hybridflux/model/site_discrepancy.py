"""What a model gets wrong at a place that it knows, as a smooth function of the season, the weather and the vegetation.

Fluxes of a known place are those of a draw plus a discrepancy (Kennedy & O'Hagan 2001, 10.1111/1467-9868.00294), a Gaussian process of
each place in the space of its inputs, written as a linear model of random Fourier features (Rahimi & Recht 2007, "Random features for
large-scale kernel machines", NIPS 20). Its prior has mean zero and no place tells of another, so where no flux was measured nothing is
added; the structural error, which was learned at places that draws had not seen, says how wrong a flux may be there. The weights, and how
wrong a flux of a known place may still be, are found by `inference.fit_site_discrepancy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybridflux.model.inputs import standardised
from hybridflux.model.known_place_error import KnownPlaceError
from hybridflux.model.sequences import Sequences

FLUXES = ("gpp", "reco")
INPUTS = (
    "fapar", "nirv", "nirv_30d", "lswi", "lswi_30d", "tair", "tair_30d", "tair_90d", "par", "par_30d", "vpd", "vpd_30d", "rain_30d",
    "rain_90d",
)  # fmt: skip
"""Inputs beside the day of the year, of which a model takes those that it needs anyway."""
FREQUENCIES = 128
LENGTH_PER_ROOT_INPUT = 0.5
"""Length scale of a standardised input over the root of the number of inputs: as many inputs as there are, two days are as far apart."""
YEAR_DAYS = 365.25


@dataclass(frozen=True)
class SiteDiscrepancy:
    """Draws of the discrepancy of each place of a fit.

    Attributes:
        inputs: names of what it follows, beside the day of the year.
        frequency: of the features `[input, frequency]`, the sine and the cosine of the day of the year first.
        weight: of the features of each kept draw `[row, place, flux, feature]`, gC m-2 d-1, zero at places without a measured flux.
        row: of each draw of the posterior `[draw]`.
        error: what is left there of the error of the model; None in files of before, which have the structural error of unknown places.
    """

    inputs: tuple[str, ...]
    frequency: np.ndarray
    weight: np.ndarray
    row: np.ndarray
    error: KnownPlaceError | None = None

    def pick(self, numbers: np.ndarray) -> SiteDiscrepancy:
        """Of some draws."""
        return replace(self, row=self.row[numbers])

    def of(self, sequences: Sequences, known: Sequence[int]) -> np.ndarray:
        """Discrepancy of GPP and RECO `[draw, time, place, flux]`, gC m-2 d-1.

        Args:
            sequences: with the inputs of the places.
            known: index of each place among those of the fit, -1 for others: nothing is added there.
        """
        found = np.zeros((len(self.row), len(sequences.days), len(known), len(FLUXES)), np.float32)
        for at in np.flatnonzero(self.known(known)).tolist():
            weight = self.weight[self.row, known[at]]
            found[:, :, at] = np.einsum("tk,dfk->dtf", features(sequences, at, self.inputs, self.frequency), weight)
        return found

    def known(self, places: Sequence[int]) -> np.ndarray:
        """Whether there is a discrepancy of each place `[place]`; places as for `of`."""
        return np.array([place >= 0 and bool(np.any(self.weight[:, place])) for place in places])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file, without the names of the inputs."""
        error = {} if self.error is None else self.error.to_arrays()
        return {"frequency": self.frequency, "weight": self.weight, "row": self.row, **error}

    @classmethod
    def from_arrays(cls, inputs: Sequence[str], arrays: Mapping[str, np.ndarray]) -> SiteDiscrepancy:
        """What `to_arrays` gave."""
        own = {name: arrays[name] for name in ("frequency", "weight", "row")}
        return cls(tuple(inputs), **own, error=KnownPlaceError.from_arrays(arrays))


def frequencies(inputs: Sequence[str]) -> np.ndarray:
    """Frequencies of features of some inputs and the day of the year `[2 + input, frequency]`, the same for every fit."""
    count = 2 + len(inputs)
    drawn = np.random.default_rng(0).standard_normal((count, FREQUENCIES))
    return (drawn / (LENGTH_PER_ROOT_INPUT * count**0.5)).astype(np.float32)


def features(sequences: Sequences, place: int, inputs: Sequence[str], frequency: np.ndarray) -> np.ndarray:
    """Features of a place `[time, feature]`: their products are about exp(-d^2 / 2), d the distance of two days in length scales.

    Args:
        sequences: with the inputs.
        place: number of the place among the sequences.
        inputs: their names.
        frequency: as of `frequencies`.
    """
    days = sequences.days.astype("datetime64[D]")
    angle = 2.0 * np.pi * (days - days.astype("datetime64[Y]")).astype(int) / YEAR_DAYS
    shape = len(days), len(sequences.places)
    names = {name: np.broadcast_to(sequences.drivers[name], shape)[:, place] for name in inputs}
    season = [2.0**0.5 * np.sin(angle), 2.0**0.5 * np.cos(angle)]
    columns = np.stack([*season, *(np.asarray(standardised(name, names)) for name in inputs)], axis=-1)
    phase = columns @ frequency
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1) / frequency.shape[1] ** 0.5
