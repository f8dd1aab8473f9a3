"""What a model gets wrong at a place that it knows, as a smooth function of the season, the weather and the vegetation.

Fluxes of a known place are those of a draw plus a discrepancy (Kennedy & O'Hagan 2001, 10.1111/1467-9868.00294), a Gaussian process of
each place in the space of its inputs, written as a linear model of random Fourier features (Rahimi & Recht 2007, "Random features for
large-scale kernel machines", NIPS 20). Its prior has mean zero and no place tells of another, so where no flux was measured nothing is
added; the structural error, which was learned at places that draws had not seen, says how wrong a flux may be there. The weights are found
by `inference.fit_site_discrepancy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybridflux.model.inputs import standardised
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
    """

    inputs: tuple[str, ...]
    frequency: np.ndarray
    weight: np.ndarray
    row: np.ndarray

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
        for at, place in enumerate(known):
            if place >= 0 and np.any(self.weight[:, place]):
                weight = self.weight[self.row, place]
                found[:, :, at] = np.einsum("tk,dfk->dtf", features(sequences, at, self.inputs, self.frequency), weight)
        return found

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file, without the names of the inputs."""
        return {"frequency": self.frequency, "weight": self.weight, "row": self.row}


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
