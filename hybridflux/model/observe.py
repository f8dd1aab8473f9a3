"""Observations of towers, ready for `HybridFlux(observed=(observe.nee(), ...))`: each gives an `Observed`."""

from __future__ import annotations

from collections.abc import Callable

from hybridflux.model.noise import AbstractNoise, Constant, Laplace
from hybridflux.model.observed import Observed
from hybridflux.model.sources import AbstractSource, PerClass
from hybridflux.process import observation, water
from hybridflux.vocabulary import Parameter

SENSOR_ERROR = Parameter(
    "noise_sd", "m3 m-3", "error of measured soil water against that of the root zone", 0.04, 0.005, 0.3, 0.8,
    "accuracy asked of soil moisture from space, 0.04: Entekhabi et al. 2010, 10.1109/JPROC.2010.2043918",
)  # fmt: skip
LATENT_HEAT_ERROR = (
    Parameter("noise_floor", "W m-2", "error of latent heat of a day without flux", 8.0, 1.0, 80.0, 0.8,
              "order of half-hours over a day, 15.3 W m-2 + 0.23 LE: Richardson et al. 2006, 10.1016/j.agrformet.2006.01.007"),
    Parameter("noise_slope", "1", "growth of the error of latent heat per unit of it", 0.2, 0.0, 1.0, 0.8,
              "Richardson et al. 2006, 10.1016/j.agrformet.2006.01.007; energy balances close to 80 %, Wilson et al. 2002"),
)  # fmt: skip


def nee(error: AbstractNoise | None = None, *, weight: float = 1.0) -> Observed:
    """Net exchange of whole days, `NEE_VUT_REF` [gC m-2 d-1]."""
    return Observed("nee", observation.exchange, error, weight)


def gpp(error: AbstractNoise | None = None, *, weight: float = 1.0) -> Observed:
    """Partitioned GPP [gC m-2 d-1]: itself a model of the night, so mostly for studies of methods."""
    return Observed("gpp", observation.productivity, error, weight)


def reco(error: AbstractNoise | None = None, *, weight: float = 1.0) -> Observed:
    """Partitioned Reco [gC m-2 d-1]; as `gpp`."""
    return Observed("reco", observation.respiration, error, weight)


def nee_night(error: AbstractNoise | None = None, *, weight: float = 1.0) -> Observed:
    """Net exchange while the sun is down, as a daily rate, `NEE_VUT_REF_NIGHT` [gC m-2 d-1]."""
    return Observed("nee_night", observation.exchange_at_night, error, weight)


def nee_day(error: AbstractNoise | None = None, *, weight: float = 1.0) -> Observed:
    """Net exchange while the sun is up, as a daily rate, `NEE_VUT_REF_DAY` [gC m-2 d-1]."""
    return Observed("nee_day", observation.exchange_by_day, error, weight)


def soil_water(
    error: AbstractNoise | None = None,
    *,
    wilting: AbstractSource | None = None,
    field: AbstractSource | None = None,
    weight: float = 1.0,
    of: Callable = water.volumetric,
) -> Observed:
    """Measured soil water, `SWC_F_MDS_1` [m3 m-3]: swc = swc_wilting + rew (swc_field - swc_wilting).

    A sensor sees one depth of one soil, the bucket is the root zone of a footprint: this line belongs to the sensor and the soil and is
    learned with the fit, per plant type by default. So only the course of soil water informs the bucket, how far it falls and how fast,
    not its level. Structural errors, scores and maps are of fluxes and do not know it. Sensors err for weeks: give a day a small `weight`.
    Peat holds more water than the bounds of `swc_field` (0.55) allow; leave towers on it out. `of` is what sensors see:
    `deep_water.volumetric`, the root zone alone, where the bucket has a deep store.
    """
    ends = {"swc_wilting": wilting or PerClass(), "swc_field": field or PerClass()}
    return Observed("swc", of, error or Constant(SENSOR_ERROR), weight, sources=ends)


def latent_heat(error: AbstractNoise | None = None, *, weight: float = 1.0, column: str | None = None) -> Observed:
    """Latent heat flux of whole days [W m-2]: an independent constraint of the evapotranspiration of the bucket.

    `LE_F_MDS`, or the column that is named: `LE_CORR` is closed to the energy balance (Pastorello et al. 2020,
    10.1038/s41597-020-0534-3).
    """
    return Observed("latent_heat", observation.latent_heat, error or Laplace(rows=LATENT_HEAT_ERROR), weight, column=column)
