"""Published parameters of VPRM, all sets with their sources.

The units of radiation differ: lambda and PAR0 belong to the radiation they were fitted with, which is either global radiation in W m-2 or
PAR in umol m-2 s-1, about twice the number. A table with the other radiation is wrong by a factor of about two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Rates(NamedTuple):
    """The four fitted parameters of a vegetation class.

    `par0`: radiation of half saturation, units of the table's radiation. `efficiency` (lambda): umol CO2 per unit of that radiation and of
    EVI. `alpha`: umol m-2 s-1 degC-1. `beta`: umol m-2 s-1.
    """

    par0: float
    efficiency: float
    alpha: float
    beta: float


class Temperatures(NamedTuple):
    """Temperatures of light use (minimum, optimum, maximum) and the one below which respiration stays constant, degC."""

    tmin: float
    topt: float
    tmax: float
    tlow: float


@dataclass(frozen=True)
class Table:
    """A published set.

    Attributes:
        radiation: what `par0` and `efficiency` refer to: `shortwave` in W m-2 or `par` in umol m-2 s-1.
        source: source of the parameters.
        rates: vegetation class -> its parameters.
    """

    radiation: Literal["shortwave", "par"]
    source: str
    rates: Mapping[str, Rates]


TEMPERATURES: Mapping[str, Temperatures] = {
    "Evergreen": Temperatures(-4, 15, 38, -3),
    "Deciduous": Temperatures(1, 21, 37, 0),
    "Mixed": Temperatures(-1, 18, 38, 0),
    "Shrub": Temperatures(-1, 19, 44, 2),
    "Savanna": Temperatures(0, 20, 40, 0),
    "Crop": Temperatures(-3, 16, 50, -3),
    "Grass": Temperatures(-2, 17, 36, -2),
    "Wetland": Temperatures(-2, 26, 40, 0),
}
"""Of github.com/tglauch/pyVPRM, used with every set."""

CLASS_OF: Mapping[str, str] = {
    "ENF": "Evergreen", "EBF": "Evergreen", "DNF": "Deciduous", "DBF": "Deciduous", "MF": "Mixed", "CSH": "Shrub", "OSH": "Shrub",
    "WSA": "Savanna", "SAV": "Savanna", "GRA": "Grass", "WET": "Wetland", "CRO": "Crop", "URB": "Grass", "WAT": "Grass", "BSV": "Grass",
}  # fmt: skip
"""IGBP code -> vegetation class of VPRM."""

NEAREST: Mapping[str, str] = {"Savanna": "Shrub", "Wetland": "Grass", "Evergreen": "Mixed"}
"""Class that is taken where a set lacks one."""

_MAHADEVAN = (
    "Mahadevan et al. 2008, 10.1029/2006GB002735, as transcribed in github.com/mareitzef/VPRM_tools; our reading: they refer "
    "to global radiation, for on PAR a lambda of 0.31 and an EVI near 0.5 would exceed the quantum yield of a leaf"
)
_PYVPRM = "github.com/tglauch/pyVPRM, applied there to PAR = global radiation / 0.505"

TABLES: Mapping[str, Table] = {
    "EU2007": Table(
        "shortwave",
        "fits to hourly NEE of 46 European sites in 2007, github.com/URBAG-ICTA/VPRM_offline, applied there to global radiation in W m-2",
        {
            "Evergreen": Rates(275.5, 0.2258, 0.288, -1.09),
            "Deciduous": Rates(254.4, 0.2149, 0.181, 0.84),
            "Mixed": Rates(446.1, 0.1629, 0.245, -0.49),
            "Shrub": Rates(70.4, 0.2931, 0.055, -0.12),
            "Crop": Rates(1132.0, 0.0863, 0.092, 0.29),
            "Grass": Rates(527.9, 0.1193, 0.125, 0.02),
        },
    ),
    "pyVPRM_sentinel2": Table(
        "par",
        _PYVPRM + ", vegetation indices of Sentinel-2",
        {
            "Evergreen": Rates(316.0, 0.175, 0.217, 1.387),
            "Deciduous": Rates(312.0, 0.139, 0.246, 1.038),
            "Mixed": Rates(239.0, 0.189, 0.149, 1.465),
            "Shrub": Rates(402.0, 0.121, 0.183, 0.572),
            "Crop": Rates(662.0, 0.100, 0.141, 1.127),
            "Grass": Rates(472.0, 0.158, 0.264, 1.199),
            "Wetland": Rates(424.0, 0.085, 0.286, -0.248),
        },
    ),
    "pyVPRM_modis": Table(
        "par",
        _PYVPRM + ", vegetation indices of MODIS",
        {
            "Evergreen": Rates(333.0, 0.192, 0.211, 1.296),
            "Deciduous": Rates(416.0, 0.133, 0.185, 1.096),
            "Mixed": Rates(177.0, 0.280, 0.153, 1.344),
            "Shrub": Rates(199.0, 0.163, 0.062, 0.845),
            "Crop": Rates(627.0, 0.111, 0.182, 0.943),
            "Grass": Rates(491.0, 0.195, 0.275, 1.567),
            "Wetland": Rates(596.0, 0.086, 0.243, 0.336),
        },
    ),
    "Mahadevan2008_Europe": Table(
        "shortwave",
        _MAHADEVAN,
        {
            "Evergreen": Rates(270.2, 0.3084, 0.1797, 0.8800),
            "Deciduous": Rates(271.4, 0.1955, 0.1495, 0.8233),
            "Mixed": Rates(236.6, 0.2856, 0.2258, 0.4321),
            "Shrub": Rates(363.0, 0.0874, 0.0239, 0.0),
            "Savanna": Rates(682.0, 0.1141, 0.0049, 0.0),
            "Crop": Rates(690.3, 0.1350, 0.1699, -0.0144),
            "Grass": Rates(229.1, 0.1748, 0.0881, 0.5843),
        },
    ),
    "Mahadevan2008_US": Table(
        "shortwave",
        _MAHADEVAN,
        {
            "Evergreen": Rates(261.0, 0.2492, 0.3301, 0.0),
            "Deciduous": Rates(324.0, 0.1729, 0.3258, 0.0),
            "Mixed": Rates(206.0, 0.2555, 0.3422, 0.0),
            "Shrub": Rates(363.0, 0.08736, 0.0239, 0.0),
            "Savanna": Rates(682.0, 0.1141, 0.0049, 0.0),
            "Crop": Rates(757.0, 0.15330, 0.2680, 0.0),
            "Grass": Rates(157.0, 0.13335, 0.0269, 0.0),
        },
    ),
    "Gourdji2022": Table(
        "par",
        "Gourdji et al. 2022, 10.1029/2021JG006290, annual fits, as transcribed in github.com/mareitzef/VPRM_tools; PAR in umol m-2 s-1",
        {
            "Deciduous": Rates(688.0, 0.0800, 0.135, 1.27),
            "Mixed": Rates(1168.0, 0.0752, 0.246, 0.28),
            "Shrub": Rates(1144.0, 0.0765, 0.071, 1.57),
            "Grass": Rates(1128.0, 0.0840, 0.129, 0.98),
            "Wetland": Rates(579.0, 0.0752, 0.111, 0.82),
            "Crop": Rates(2100.0, 0.0435, 0.099, 0.74),
        },
    ),
}


def rates_of(table: Table, vegetation: str) -> Rates:
    """Parameters of a vegetation class, those of the nearest one where the set lacks it."""
    while vegetation not in table.rates:
        vegetation = NEAREST[vegetation]
    return table.rates[vegetation]
