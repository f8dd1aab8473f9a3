"""VPRM with parameters fitted to the towers: the skill of its equations, whatever the vegetation index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import least_squares

from hybridflux.evaluate.baselines.vprm import NEEDS, Hours, daily_fluxes, hours_of
from hybridflux.evaluate.baselines.vprm_tables import TABLES, Rates, rates_of
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import CARBON

START = TABLES["pyVPRM_modis"]
LOWEST, HIGHEST = Rates(10.0, 0.0, 0.0, -20.0), Rates(10000.0, 2.0, 5.0, 20.0)
ACTS_ON: Mapping[str, Sequence[str]] = {"nee": Rates._fields, "gpp": ("par0", "efficiency"), "reco": ("alpha", "beta")}
"""Flux -> the parameters it depends on."""
ALL = "all"
DAYS = 4000  # fitted days of a class: four parameters need no more


@dataclass(frozen=True)
class RefittedVPRM:
    """PAR0, lambda, alpha and beta of each vegetation class by least squares, of all classes together where a class is new.

    As the other baselines each flux is predicted by a fit to that flux: NEE by all four parameters fitted to daily NEE, GPP by PAR0 and
    lambda fitted to GPP, RECO by alpha and beta fitted to RECO (daily NEE alone does not identify GPP and RECO in these equations). So NEE
    is not exactly RECO - GPP. Every site of a class gives as many days as the others, as far as it has them.

    Attributes:
        variables: fluxes to predict.
        days: measured days of a class that are fitted, drawn at random.
        seed: seed of the draw.
        rates: variable -> vegetation class -> parameters on PAR in umol m-2 s-1, once fitted.
    """

    variables: Sequence[str] = CARBON
    days: int = DAYS
    seed: int = 0
    rates: Mapping[str, Mapping[str, Rates]] = field(default_factory=dict)

    needs = NEEDS

    def fit(self, sequences: Sequences) -> RefittedVPRM:
        """VPRM of these sites.

        Raises:
            ValueError: the sequences lack a driver, or hold no measured day of a flux.
        """
        parts = {variable: defaultdict(list) for variable in self.variables}
        rng = np.random.default_rng(self.seed)
        for at, place in enumerate(sequences.places):
            vegetation, hours = hours_of(sequences.select([place]), START.radiation)
            for variable, of_class in parts.items():
                observed = sequences.targets[variable][:, at]
                chosen = rng.permutation(np.flatnonzero(np.isfinite(observed)))[: self.days]
                if len(chosen):
                    of_class[vegetation].append((_on(hours, chosen), observed[chosen].astype(float)))
        rates = {}
        for variable, of_class in parts.items():
            if not of_class:
                raise ValueError(f"no measured day of {variable}; VPRM cannot be fitted to these sequences")
            groups = {**of_class, ALL: [part for group in of_class.values() for part in group]}
            rates[variable] = {name: _fit(variable, *_joined(group, self.days), _start(name)) for name, group in groups.items()}
        return replace(self, rates=rates)

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        if not self.rates:
            raise ValueError("this VPRM is not fitted; use RefittedVPRM().fit(sequences).predict(...)")
        out = {variable: np.empty((len(sequences.days), len(sequences.places))) for variable in self.rates}
        for at, place in enumerate(sequences.places):
            vegetation, hours = hours_of(sequences.select([place]), START.radiation)
            for variable, rates in self.rates.items():
                out[variable][:, at] = _flux(variable, hours, rates.get(vegetation, rates[ALL]))
        return out


def _flux(variable: str, hours: Hours, rates: Rates) -> np.ndarray:
    gpp, reco = daily_fluxes(hours, rates)
    return {"nee": reco - gpp, "gpp": gpp, "reco": reco}[variable]


def _start(vegetation: str) -> Rates:
    return rates_of(START, "Mixed" if vegetation == ALL else vegetation)


def _on(hours: Hours, days) -> Hours:
    return Hours(hours.radiation[days], hours.canopy[days], hours.warmth[days])


def _joined(parts: list[tuple[Hours, np.ndarray]], days: int) -> tuple[Hours, np.ndarray]:
    """The first days of each site, the same number of each, one after the other."""
    each = slice(max(days // len(parts), 1))
    rows = ((hours.radiation[each], hours.canopy[each], hours.warmth[each], observed[each]) for hours, observed in parts)
    *hours, observed = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Hours(*hours), observed


def _fit(variable: str, hours: Hours, observed: np.ndarray, start: Rates) -> Rates:
    free = ACTS_ON[variable]

    def rates(values) -> Rates:
        return start._replace(**dict(zip(free, map(float, values), strict=True)))

    def picked(of: Rates) -> np.ndarray:
        return np.array([getattr(of, name) for name in free])

    def residuals(values):
        return _flux(variable, hours, rates(values)) - observed

    fitted = least_squares(residuals, picked(start), bounds=(picked(LOWEST), picked(HIGHEST)), x_scale=np.abs(picked(start)))
    return rates(fitted.x)
