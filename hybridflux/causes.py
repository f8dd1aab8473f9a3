"""Causes of the change of a flux against the usual year, and the inputs that belong to each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

USUAL = "usual_"
"""What the names of drivers and states of the usual year begin with."""
SOIL_WATER = "rew"
"""The name by which the factors of a model read soil water."""


class Cause(NamedTuple):
    """A cause of the change of a flux against the usual year.

    Attributes:
        words: what it is called.
        inputs: drivers, states and diagnostics that belong to it; their running means do too.
    """

    words: str
    inputs: tuple[str, ...]


CAUSES: Mapping[str, Cause] = {
    "soil_water": Cause("soil water", ("soil_water", "deep_water", "snow", "rew", "rew_root_zone", "swc", "rain", "evapotranspiration",
                                       "drainage")),
    "vpd": Cause("vapour pressure deficit", ("vpd", "vpd_day")),
    "temperature": Cause("temperature", ("tair", "tmin", "tmax", "tair_day", "tair_night", "tair_lagged")),
    "light": Cause("light", ("par",)),
    "greenness": Cause("greenness", ("fapar", "ndvi", "evi2", "nirv", "kndvi", "lswi", "ndre", "cci")),
    "rest": Cause("the rest", ()),
}  # fmt: skip
"""Name of a cause -> what belongs to it (`model.attribution`)."""

LEAF_DRIVERS: Mapping[str, tuple[str, str]] = {
    "water": ("missing rain", "mm d-1"), "temperature": ("warmth", "K"), "light": ("light", "MJ m-2 d-1"), "vpd": ("dry air", "hPa"),
}  # fmt: skip
"""What greenness follows: words and units (`model.leaf_response`)."""


def change_name(flux: str, cause: str) -> str:
    """The variable that holds the change of a flux by a cause.

    >>> change_name("gpp", "soil_water")
    'gpp_by_soil_water'
    """
    return f"{flux}_by_{cause}"


def exposure_name(flux: str, driver: str) -> str:
    """The variable that holds the change of a flux by leaves whose log NIRv follows a driver by a slope of 1.

    >>> exposure_name("gpp", "water")
    'gpp_exposure_to_water'
    """
    return f"{flux}_exposure_to_{driver}"


def departure_name(driver: str) -> str:
    """The departure of a driver of leaves from the usual year.

    >>> departure_name("vpd")
    'leaf_vpd_departure'
    """
    return f"leaf_{driver}_departure"


def greenness_by(driver: str) -> str:
    """The part of greenness that goes through a driver of leaves, or its `rest`, as a cause in tables.

    >>> greenness_by("water")
    'greenness_by_water'
    """
    return f"greenness_by_{driver}"
