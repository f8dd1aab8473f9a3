"""VPRM with parameters fitted to the towers at hand: what its form can do, whatever the vegetation index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import least_squares

from hybridflux.evaluate.baselines.vprm import Hours, daily_fluxes, hours_of, run
from hybridflux.evaluate.baselines.vprm_tables import TABLES, Rates, rates_of
from hybridflux.model.sequences import Sequences

START = TABLES["pyVPRM_modis"]
LOWEST, HIGHEST = Rates(10.0, 0.0, 0.0, -20.0), Rates(10000.0, 2.0, 5.0, 20.0)
ALL = "all"
DAYS = 4000  # of a class that are fitted: four parameters need no more


@dataclass(frozen=True)
class RefittedVPRM:
    """PAR0, lambda, alpha and beta of each vegetation class by least squares on daily NEE, of all classes together where a class is new.

    Every site of a class gives as many days as the others, as far as it has them.

    Attributes:
        days: measured days of a class that are fitted, drawn at random.
        seed: of the draw.
        rates: vegetation class -> parameters on PAR in umol m-2 s-1, once fitted.
    """

    days: int = DAYS
    seed: int = 0
    rates: Mapping[str, Rates] = field(default_factory=dict)

    def fit(self, sequences: Sequences) -> RefittedVPRM:
        """VPRM of these sites.

        Raises:
            ValueError: the sequences lack a driver, or hold no day of measured NEE.
        """
        parts = defaultdict(list)
        rng = np.random.default_rng(self.seed)
        for at, place in enumerate(sequences.places):
            nee = sequences.targets["nee"][:, at]
            chosen = rng.permutation(np.flatnonzero(np.isfinite(nee)))[: self.days]
            if len(chosen):
                vegetation, hours = hours_of(sequences.select([place]), START.radiation)
                parts[vegetation].append((_days(hours, chosen), nee[chosen].astype(float)))
        if not parts:
            raise ValueError("no day of measured NEE; VPRM cannot be fitted to these sequences")
        rates = {vegetation: _fit(_shortened(of_class, self.days), rates_of(START, vegetation)) for vegetation, of_class in parts.items()}
        everything = [part for of_class in parts.values() for part in of_class]
        return replace(self, rates={**rates, ALL: _fit(_shortened(everything, self.days), rates_of(START, "Mixed"))})

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """`nee`, `gpp`, `reco` `[time, place]`, gC m-2 d-1."""
        if not self.rates:
            raise ValueError("this VPRM is not fitted; use RefittedVPRM().fit(sequences).predict(...)")
        return run(sequences, START.radiation, lambda vegetation: self.rates.get(vegetation, self.rates[ALL]))


def _days(hours: Hours, chosen) -> Hours:
    return Hours(hours.radiation[chosen], hours.canopy[chosen], hours.warmth[chosen])


def _shortened(parts: list[tuple[Hours, np.ndarray]], days: int) -> tuple[Hours, np.ndarray]:
    """The first days of each site, the same number of each, side by side."""
    each = slice(max(days // len(parts), 1))
    columns = zip(*((hours.radiation[each], hours.canopy[each], hours.warmth[each], nee[each]) for hours, nee in parts), strict=True)
    *hours, nee = (np.concatenate(column) for column in columns)
    return Hours(*hours), nee


def _fit(data: tuple[Hours, np.ndarray], start: Rates) -> Rates:
    hours, observed = data

    def residuals(values):
        gpp, reco = daily_fluxes(hours, Rates(*values))
        return reco - gpp - observed

    return Rates(*(float(value) for value in least_squares(residuals, start, bounds=(LOWEST, HIGHEST), x_scale=np.abs(start)).x))
