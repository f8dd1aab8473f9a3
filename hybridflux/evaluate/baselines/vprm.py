"""VPRM, the Vegetation Photosynthesis and Respiration Model, with published parameters.

    GPP  = lambda T_s P_s W_s EVI R / (1 + R / PAR0)        RECO = max(alpha max(T, T_low) + beta, 0)       [umol m-2 s-1]

R is the radiation of the table: global radiation [W m-2] or PAR = global radiation / 0.505 [umol m-2 s-1]. T_s is the temperature scalar,
(T - Tmin)(T - Tmax) / ((T - Tmin)(T - Tmax) - (T - Topt)^2). Mahadevan et al. 2008, 10.1029/2006GB002735. VPRM is made for hours: days
are run hour by hour (`diurnal`) and averaged; the daily mean of a saturating response is not the response to the daily mean.

The towers have FPAR of MOD15, neither EVI nor LSWI. In their place:

* EVI = (FAPAR + 0.048) / 1.3632, the inverse of FAPAR = 1.2 (1.136 EVI - 0.04) of Fisher et al. 2008, 10.1016/j.rse.2007.06.025. One line
  for all vegetation: needleleaf forest absorbs more light at the same EVI than this says, so its GPP comes out high with published
  parameters. A re-fitted lambda absorbs any factor.
* W_s = 1: no water index. VPRM without it cannot see a drought that leaves the canopy green.
* P_s = (1 + c) / 2 instead of (1 + LSWI) / 2, c = clip((FAPAR - base) / (top - base), 0, 1) with base and top the 5 and 95 % quantiles of
  FAPAR at the place; evergreen 1. As the original it rises from a half to one while leaves expand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridflux.evaluate.baselines.diurnal import hourly_shortwave, hourly_temperature
from hybridflux.evaluate.baselines.vprm_tables import CLASS_OF, TABLES, TEMPERATURES, Rates, Temperatures, rates_of
from hybridflux.model.sequences import Sequences
from hybridflux.units import convert
from hybridflux.vocabulary import CARBON, PLANT_TYPES

SHORTWAVE_PER_PAR = 0.505  # W m-2 per umol m-2 s-1, github.com/tglauch/pyVPRM
FAPAR_SLOPE, FAPAR_OFFSET = 1.2 * 1.136, -1.2 * 0.04  # Fisher et al. 2008, 10.1016/j.rse.2007.06.025
NEEDS = ("tair", "tmin", "par", "day_fraction", "fapar", "plant_type")


@dataclass(frozen=True)
class Hours:
    """Hourly inputs of VPRM for one vegetation class, `[..., 24]`.

    Attributes:
        radiation: radiation of the table, W m-2 or umol m-2 s-1.
        canopy: T_s P_s W_s EVI [1].
        warmth: max(T, T_low) [degC].
    """

    radiation: np.ndarray
    canopy: np.ndarray
    warmth: np.ndarray


def temperature_scalar(tair: np.ndarray, limits: Temperatures) -> np.ndarray:
    """T_s [1]: 1 at the optimum, 0 at and beyond minimum and maximum.

    >>> [float(temperature_scalar(np.array(t), Temperatures(0, 20, 40, 0))) for t in (0.0, 10.0, 20.0, 45.0)]
    [0.0, 0.75, 1.0, 0.0]
    """
    product = (tair - limits.tmin) * (tair - limits.tmax)
    inside = (tair > limits.tmin) & (tair < limits.tmax)
    return np.where(inside, product / np.where(inside, product - (tair - limits.topt) ** 2, 1.0), 0.0)


def evi_of(fapar: np.ndarray) -> np.ndarray:
    """Enhanced vegetation index from FAPAR [1], Fisher et al. 2008.

    >>> round(float(evi_of(np.array(0.6))), 3)
    0.475
    """
    return (np.asarray(fapar, float) - FAPAR_OFFSET) / FAPAR_SLOPE


def daily_fluxes(hours: Hours, rates: Rates) -> tuple[np.ndarray, np.ndarray]:
    """GPP and RECO of days [gC m-2 d-1], the means of their hours, `[...]`."""
    gpp = rates.efficiency * hours.canopy * hours.radiation / (1.0 + hours.radiation / rates.par0)
    reco = np.maximum(rates.alpha * hours.warmth + rates.beta, 0.0)
    return tuple(convert(flux.mean(axis=-1), "umol m-2 s-1", "gC m-2 d-1") for flux in (gpp, reco))


def hours_of(place: Sequences, radiation: str) -> tuple[str, Hours]:
    """Vegetation class and hours of one place, `[time, 24]`.

    Args:
        place: sequences of one place.
        radiation: `shortwave` or `par`.
    """
    missing = [name for name in NEEDS if name not in place.drivers]
    if missing:
        raise ValueError(f"VPRM reads {', '.join(missing)}, which these sequences lack; ask for them when opening the towers")
    shape = (len(place.days), 1)
    daily = {name: np.broadcast_to(np.asarray(place.drivers[name], float), shape)[:, 0] for name in NEEDS if name != "plant_type"}
    vegetation = CLASS_OF[PLANT_TYPES[int(place.drivers["plant_type"][0])]]
    limits = TEMPERATURES[vegetation]
    light = hourly_shortwave(daily["par"], daily["day_fraction"])
    warmth = hourly_temperature(daily["tair"], daily["tmin"])
    base, top = np.quantile(daily["fapar"], [0.05, 0.95])
    grown = np.clip((daily["fapar"] - base) / max(top - base, 1e-6), 0.0, 1.0)
    phenology = np.ones_like(grown) if vegetation == "Evergreen" else (1.0 + grown) / 2.0
    return vegetation, Hours(
        radiation=light if radiation == "shortwave" else light / SHORTWAVE_PER_PAR,
        canopy=temperature_scalar(warmth, limits) * (phenology * evi_of(daily["fapar"]))[:, None],
        warmth=np.maximum(warmth, limits.tlow),
    )


@dataclass(frozen=True)
class VPRM:
    """VPRM with a published table, without a fit.

    Attributes:
        table: a name of `vprm_tables.TABLES`.
    """

    table: str = "EU2007"

    needs = NEEDS

    def __post_init__(self):
        if self.table not in TABLES:
            raise ValueError(f"`{self.table}` is not a published table of VPRM; there are {', '.join(TABLES)}")

    def fit(self, sequences: Sequences) -> VPRM:
        """Itself."""
        return self

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """`nee`, `gpp`, `reco` `[time, place]`, gC m-2 d-1.

        Raises:
            ValueError: the sequences lack one of `NEEDS`.
        """
        table = TABLES[self.table]
        return run(sequences, table.radiation, lambda vegetation: rates_of(table, vegetation))


def run(sequences: Sequences, radiation: str, rates_for) -> dict[str, np.ndarray]:
    """`nee`, `gpp`, `reco` `[time, place]`, gC m-2 d-1, with the rates of each vegetation class."""
    out = {name: np.empty((len(sequences.days), len(sequences.places))) for name in CARBON}
    for at, place in enumerate(sequences.places):
        vegetation, hours = hours_of(sequences.select([place]), radiation)
        gpp, reco = daily_fluxes(hours, rates_for(vegetation))
        out["gpp"][:, at], out["reco"][:, at], out["nee"][:, at] = gpp, reco, reco - gpp
    return out
