"""Every name of the project, declared once: variables, parameters and plant types.

A `Variable` is something that varies in space or time (driver, covariate, state, flux). A `Parameter` is a number the
process functions need and a source supplies. Physics signatures, readers, writers, priors and figures all take their
units, bounds and names from these rows; nothing is declared a second time.

Sign, everywhere: NEE = RECO - GPP, positive to the atmosphere; GPP >= 0; RECO >= 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from hybridflux.causes import CAUSES, LEAF_DRIVERS, change_name, departure_name, exposure_name

MISSING_FLUXNET = -9999.0
SIGN = "NEE = RECO - GPP, positive to the atmosphere; GPP >= 0, RECO >= 0"
FLUXES = ("NEE", "GPP", "RECO")
"""FLUXNET names of the carbon fluxes, in the order of every product."""
CARBON = tuple(name.lower() for name in FLUXES)
"""The same as variables of a model."""
KINDS = ("driver", "covariate", "state", "flux")


def _refuse(name: str, faults: Mapping[str, bool]) -> None:
    """Raise all that is wrong with a row."""
    wrong = [fault for fault, there in faults.items() if there]
    if wrong:
        raise ValueError(f"the row of `{name}` is refused: {'; '.join(wrong)}")


@dataclass(frozen=True)
class Variable:
    """One named quantity.

    Attributes:
        name: the word used for it in the code.
        units: internal units, UDUNITS spelling.
        long_name: meaning, for figures and files.
        bounds: values outside are refused at the border.
        kind: who provides it.
        centre: typical value, subtracted before a network sees it.
        scale: typical spread, divided by before a network sees it.
        cf_name: CF standard name, only where it is exactly true.
        positive: "up" (to the atmosphere), "down", or None.
        fluxnet: name in FLUXNET daily files, if there is one.
    """

    name: str
    units: str
    long_name: str
    bounds: tuple[float, float]
    kind: Literal["driver", "covariate", "state", "flux"] = "state"
    centre: float = 0.0
    scale: float = 1.0
    cf_name: str | None = None
    positive: Literal["up", "down"] | None = None
    fluxnet: str | None = None

    def __post_init__(self):
        _refuse(self.name, {
            "its name is not made of letters, digits and underscores": not self.name.isidentifier(),
            f"its unit `{self.units}` or its long name is empty; write '1' for a quantity without unit": not (self.units and self.long_name),
            f"its bounds {self.bounds} do not go up": not self.bounds[0] < self.bounds[1],
            f"its scale {self.scale} is not above 0": not self.scale > 0,
            f"its kind `{self.kind}` is none of {', '.join(KINDS)}": self.kind not in KINDS,
        })  # fmt: skip


@dataclass(frozen=True)
class Covariate:
    """A quantity of the user's own with one value a place: a column of sites.csv, and a map `[y, x]` of that name in a region.

    Attributes:
        name: of the column and of the map; none of `VARIABLES` or `PARAMETERS`.
        units: for messages and figures; towers and regions must have the same.
        centre: typical value, subtracted before a network sees it; None: the mean of the towers of the fit.
        scale: typical spread, divided by before a network sees it; None: the standard deviation over the towers of the fit.
    """

    name: str
    units: str = "1"
    centre: float | None = None
    scale: float | None = None

    def __post_init__(self):
        if self.name in VARIABLES or self.name in PARAMETERS:
            raise ValueError(f"`{self.name}` is a name of the vocabulary; write it as a text, or give your covariate another name")
        if not self.name.isidentifier():
            raise ValueError(f"a covariate is named by letters, digits and underscores, not `{self.name}`")
        if self.scale is not None and not self.scale > 0:
            raise ValueError(f"the scale of `{self.name}` is {self.scale}; it is a spread, above 0")


@dataclass(frozen=True)
class Parameter:
    """One process parameter: its bounds, its prior and where they come from.

    A free parameter is `lower + (upper - lower) * sigmoid(raw)`; a priori `raw ~ Normal(logit of typical, prior_sd)`.

    Attributes:
        name: the word used for it in process signatures.
        units: internal units.
        meaning: one line.
        typical: prior median.
        lower: hard lower bound.
        upper: hard upper bound.
        prior_sd: prior standard deviation of `raw`.
        source: where typical value and bounds come from.
        by_class: prior median per plant type, where the literature gives one.
    """

    name: str
    units: str
    meaning: str
    typical: float
    lower: float
    upper: float
    prior_sd: float
    source: str
    by_class: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self):
        values = (self.typical, *self.by_class.values())
        _refuse(self.name, {
            "its name is not made of letters, digits and underscores": not self.name.isidentifier(),
            "its unit is empty; write '1' for a quantity without unit": not self.units,
            "its meaning is empty": not self.meaning,
            "it names no source of its typical value and bounds": not self.source,
            f"its values {values} are not all inside its bounds ({self.lower}, {self.upper})": (
                not all(self.lower < value < self.upper for value in values)
            ),
            f"its prior standard deviation {self.prior_sd} is not above 0": not self.prior_sd > 0,
            f"`by_class` names other plant types than {', '.join(PLANT_TYPES)}": not set(self.by_class) <= set(PLANT_TYPES),
        })  # fmt: skip


PLANT_TYPES: tuple[str, ...] = (
    "ENF", "EBF", "DNF", "DBF", "MF", "CSH", "OSH", "WSA", "SAV", "GRA", "WET", "CRO", "URB", "WAT", "BSV",
)  # fmt: skip
"""IGBP codes; the index is what the model sees as `plant_type`. URB, WAT and BSV carry no vegetation flux."""

PLANT_TYPE_NAMES: Mapping[str, str] = {
    "ENF": "evergreen needleleaf forest", "EBF": "evergreen broadleaf forest", "DNF": "deciduous needleleaf forest",
    "DBF": "deciduous broadleaf forest", "MF": "mixed forest", "CSH": "closed shrubland", "OSH": "open shrubland",
    "WSA": "woody savanna", "SAV": "savanna", "GRA": "grassland", "WET": "wetland", "CRO": "cropland",
    "URB": "urban and built-up", "WAT": "water", "BSV": "bare or sparsely vegetated",
}  # fmt: skip

UNVEGETATED: frozenset[str] = frozenset({"URB", "WAT"})
"""Plant types the region engine masks: no ecosystem exchange is modelled there."""


def _rows(*rows):
    return {row.name: row for row in rows}


def _change(flux: str, cause: str) -> Variable:
    """The row of the change of a flux by a cause."""
    long_name = f"change of {flux.upper()} against the usual year by {CAUSES[cause].words}"
    return Variable(change_name(flux, cause), "gC m-2 d-1", long_name, (-60, 60), "flux", positive=None if flux == "gpp" else "up")


def _exposure(flux: str, driver: str) -> Variable:
    """The row of the change of a flux by leaves that follow a driver."""
    words, units = LEAF_DRIVERS[driver]
    long_name = f"change of {flux.upper()} by leaves whose log NIRv follows {words} by a slope of 1 for each {units}"
    return Variable(exposure_name(flux, driver), "gC m-2 d-1", long_name, (-3000, 3000), "flux")


def _departure(driver: str) -> Variable:
    """The row of the departure of a driver of leaves."""
    words, units = LEAF_DRIVERS[driver]
    return Variable(departure_name(driver), units, f"departure of {words} from the usual year, as leaves follow it", (-100, 100), "state")


def _error(name: str) -> Variable:
    """The row of the standard deviation of a daily map of vegetation."""
    return Variable(f"{name}_sd", "1", f"standard deviation of the error of {name}", (0, 1), "driver", 0.05, 0.05)


VARIABLES: Mapping[str, Variable] = _rows(
    # drivers: one value a day
    Variable("tair", "degC", "air temperature, mean of the day", (-60, 50), "driver", 10, 8, "air_temperature", fluxnet="TA_F"),
    Variable("tmin", "degC", "air temperature, minimum of the day", (-70, 45), "driver", 5, 8, fluxnet="TMIN_F"),
    Variable("tmax", "degC", "air temperature, maximum of the day", (-55, 60), "driver", 15, 9, fluxnet="TMAX_F"),
    Variable("tair_day", "degC", "air temperature, mean of the hours of light", (-55, 55), "driver", 12, 8, fluxnet="TA_F_DAY"),
    Variable("tair_night", "degC", "air temperature, mean of the night", (-65, 45), "driver", 7, 8, fluxnet="TA_F_NIGHT"),
    Variable("par", "MJ m-2 d-1", "incoming photosynthetically active radiation", (0, 22), "driver", 5, 3.5),
    Variable("par_potential", "MJ m-2 d-1", "photosynthetically active radiation at the top of the atmosphere", (0, 25), "driver", 11, 6),
    Variable("day_fraction", "1", "share of the day with the sun up", (0, 1), "driver", 0.5, 0.13),
    Variable("vpd", "hPa", "vapour pressure deficit, mean of the day", (0, 80), "driver", 5, 4, fluxnet="VPD_F"),
    Variable("vpd_day", "hPa", "vapour pressure deficit, mean of the hours of light", (0, 100), "driver", 7, 5, fluxnet="VPD_F_DAY"),
    Variable("rain", "mm d-1", "precipitation", (0, 500), "driver", 2, 4, "lwe_precipitation_rate", fluxnet="P_F"),
    Variable("co2", "ppm", "carbon dioxide mole fraction of the air", (280, 600), "driver", 395, 15),
    Variable("fapar", "1", "share of photosynthetically active radiation absorbed by vegetation", (0, 1), "driver", 0.5, 0.25,
             "fraction_of_surface_downwelling_photosynthetic_radiative_flux_absorbed_by_vegetation"),
    Variable("swc", "m3 m-3", "observed volumetric soil water content", (0, 1), "driver", 0.25, 0.1,
             "volume_fraction_of_condensed_water_in_soil", fluxnet="SWC_F_MDS_1"),
    *map(_error, ("fapar", "ndvi", "evi2", "nirv", "kndvi", "lswi", "ndre", "cci")),
    Variable("ndvi", "1", "normalised difference vegetation index", (-1, 1), "driver", 0.6, 0.2),
    Variable("evi2", "1", "two-band enhanced vegetation index", (-1, 1.5), "driver", 0.4, 0.15),
    Variable("nirv", "1", "near-infrared reflectance of vegetation", (-1, 1), "driver", 0.2, 0.1),
    Variable("kndvi", "1", "kernel normalised difference vegetation index", (-1, 1), "driver", 0.4, 0.2),
    Variable("lswi", "1", "land surface water index", (-1, 1), "driver", 0.2, 0.2),
    Variable("ndre", "1", "normalised difference red-edge index", (-1, 1), "driver", 0.4, 0.15),
    Variable("cci", "1", "chlorophyll/carotenoid index", (-1, 1), "driver", 0.0, 0.1),
    # covariates: one value a place, or slow
    Variable("plant_type", "1", "IGBP plant type (index into PLANT_TYPES)", (0, len(PLANT_TYPES) - 1), "covariate"),
    Variable("site", "1", "index of the place among the places of a fit", (-1, 1e9), "covariate"),
    Variable("site_year", "1", "index of the place and year among those of a fit", (-1, 1e9), "covariate"),
    Variable("soil_capacity", "mm", "plant-available water capacity of the root zone", (5, 1000), "covariate", 150, 60),
    Variable("elevation", "m", "height above sea level", (-430, 8850), "covariate", 300, 400, "surface_altitude"),
    Variable("latitude", "degrees_north", "latitude", (-90, 90), "covariate", 48, 6, "latitude"),
    Variable("fapar_top", "1", "95 % quantile of fapar at the place", (0, 1), "covariate", 0.75, 0.15),
    Variable("fapar_base", "1", "5 % quantile of fapar at the place", (0, 1), "covariate", 0.25, 0.15),
    Variable("nirv_top", "1", "95 % quantile of nirv at the place", (-1, 1), "covariate", 0.25, 0.07),
    Variable("nirv_base", "1", "5 % quantile of nirv at the place", (-1, 1), "covariate", 0.09, 0.05),
    # states
    Variable("soil_water", "mm", "plant-available water in the root zone", (0, 1000), "state"),
    Variable("deep_water", "mm", "water below the root zone that roots reach when it is dry", (0, 1500), "state"),
    Variable("snow", "mm", "snow water equivalent", (0, 5000), "state", cf_name="lwe_thickness_of_surface_snow_amount"),
    Variable("tair_lagged", "degC", "temperature the vegetation is acclimated to", (-60, 50), "state", 10, 8),
    Variable("rew", "1", "relative extractable water: root-zone water over capacity", (0, 1), "state", 0.7, 0.25),
    Variable("rew_root_zone", "1", "relative extractable water of the root zone, where roots reach water below it too", (0, 1), "state", 0.7, 0.25),
    Variable("fapar_phase", "1", "fapar between the lowest and the highest of the place", (-1, 2), "state", 0.5, 0.3),
    Variable("nirv_phase", "1", "nirv between the lowest and the highest of the place", (-1, 2), "state", 0.5, 0.3),
    # fluxes
    Variable("gpp", "gC m-2 d-1", "gross primary productivity", (0, 60), "flux",
             cf_name="gross_primary_productivity_of_biomass_expressed_as_carbon", fluxnet="GPP_NT_VUT_REF"),
    Variable("reco", "gC m-2 d-1", "ecosystem respiration (no CF standard name)", (0, 60), "flux", positive="up", fluxnet="RECO_NT_VUT_REF"),
    Variable("nee", "gC m-2 d-1", "net ecosystem exchange, RECO - GPP, positive to the atmosphere", (-60, 60), "flux", positive="up",
             fluxnet="NEE_VUT_REF"),
    Variable("nee_day", "gC m-2 d-1", "net ecosystem exchange while the sun is up, as a daily rate", (-120, 60), "flux", positive="up",
             fluxnet="NEE_VUT_REF_DAY"),
    Variable("nee_night", "gC m-2 d-1", "net ecosystem exchange at night, as a daily rate", (-60, 60), "flux", positive="up",
             fluxnet="NEE_VUT_REF_NIGHT"),
    Variable("evapotranspiration", "mm d-1", "water lost by evaporation and transpiration", (0, 30), "flux", positive="up"),
    Variable("latent_heat", "W m-2", "latent heat flux", (-200, 800), "flux", 50, 50, cf_name="surface_upward_latent_heat_flux", positive="up",
             fluxnet="LE_F_MDS"),
    Variable("drainage", "mm d-1", "water leaving the root zone downwards or sideways", (0, 500), "flux"),
    Variable("water_missing", "mm", "water that roots can reach, in the usual year minus in this one", (-2500, 2500), "state"),
    *(_change(flux, cause) for flux in ("gpp", "reco") for cause in CAUSES),
    *(_departure(driver) for driver in LEAF_DRIVERS),
    *(_exposure(flux, driver) for flux in ("gpp", "reco") for driver in LEAF_DRIVERS),
)  # fmt: skip

HISTORY_DAYS: tuple[int, ...] = (7, 30, 90)
"""Windows of the running means `<driver>_<days>d` that networks may read, for instance `tair_30d`."""


def split_history(name: str) -> tuple[str, int]:
    """The driver behind a name, and the days of its running mean; 0 for the driver itself.

    >>> split_history("tair_30d"), split_history("tair")
    (('tair', 30), ('tair', 0))
    """
    base, _, window = name.rpartition("_")
    return (base, int(window[:-1])) if window in {f"{days}d" for days in HISTORY_DAYS} else (name, 0)


def variable(name: str) -> Variable:
    """The row of a variable, or of the driver behind a history name such as `tair_30d`.

    Raises:
        KeyError: unknown name, with the nearest known one.

    >>> variable("tair_30d").units
    'degC'
    """
    base, _ = split_history(name)
    if base not in VARIABLES:
        raise KeyError(f"`{name}` is not a variable of hybridflux.{suggestion(name, VARIABLES)}")
    return VARIABLES[base]


def is_own(name: str) -> bool:
    """Whether a name is a covariate of the user's own: none of the vocabulary, and too far from all of it for a slip.

    >>> is_own("canopy_height"), is_own("tairr"), is_own("tair_30d")
    (True, False, False)
    """
    histories = {f"{base}_{days}d" for base in VARIABLES for days in HISTORY_DAYS}
    known = {*VARIABLES, *PARAMETERS, *histories}
    return name not in known and not get_close_matches(name, known, n=1, cutoff=0.8) and name.isidentifier()


def suggestion(name: str, known) -> str:
    """" Did you mean `x`?", or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


_MOD17 = "MOD17 C5.1 BPLUT, Running & Zhao 2015"
_STRUCTURAL = ("fit of 45 European towers, experiments/results/e03_unseen_sites.md; in all 2.1 gC m-2 d-1 and 29 d at summer fluxes, beside 2.5 "
               "and 30-35 d of Chevallier et al. 2012, 10.1029/2010GB003974, and 30 d of Kountouris et al. 2015, bg-12-7403")  # fmt: skip
_PERSISTENT = ("residuals of 51 European towers left out by `hybrid_nirv`, and their differences between years, "
               "experiments/results/e12_local_towers.md")  # fmt: skip
_BAO = "Bao et al. 2022, 10.1016/j.agrformet.2021.108708; bounds of De et al. 2025 (JAMES 17)"
_DAILY = "order and largest daily fluxes of towers, FLUXNET2015: Pastorello et al. 2020, 10.1038/s41597-020-0534-3"

PARAMETERS: Mapping[str, Parameter] = _rows(
    # gross primary productivity
    Parameter("light_use_efficiency", "gC MJ-1", "carbon fixed per unit of absorbed PAR without any limitation", 2.0, 0.1, 8.0, 0.6,
              "shape of " + _MOD17 + ", scaled by 1.5 because light saturation is a factor of its own here",
              by_class={"ENF": 1.8, "EBF": 2.1, "DNF": 1.8, "DBF": 2.3, "MF": 2.0, "CSH": 1.8, "OSH": 1.5, "WSA": 1.8, "SAV": 1.8,
                        "GRA": 2.2, "WET": 1.6, "CRO": 2.8, "BSV": 1.0}),
    Parameter("light_saturation", "m2 d MJ-1", "loss of efficiency per unit of absorbed PAR", 0.06, 0.0, 0.6, 1.0,
              "0.002 umol-1 m2 s of Bao et al. 2022 over a 12 h day: 0.002 * 4.57 mol MJ-1 * 1e6 / 43200 s = 0.21; lowered for daily means"),
    Parameter("tmin_closed", "degC", "daily minimum at which light use stops", -8.0, -15.0, 0.0, 0.7, _MOD17,
              by_class={"DBF": -6.0, "MF": -7.0}),
    Parameter("tmin_open", "degC", "daily minimum above which cold does not limit light use", 9.0, 1.0, 16.0, 0.7, _MOD17,
              by_class={"ENF": 8.31, "EBF": 9.09, "DNF": 10.44, "DBF": 9.94, "MF": 9.5, "CSH": 8.61, "OSH": 8.8, "WSA": 11.39,
                        "SAV": 11.39, "GRA": 12.02, "CRO": 12.02}),
    Parameter("temp_optimum", "degC", "acclimated temperature of highest light use", 16.0, 5.0, 35.0, 0.5, _BAO),
    Parameter("temp_width", "degC", "width of the temperature response", 9.0, 2.0, 25.0, 0.6, _BAO),
    Parameter("temp_memory", "1", "share of yesterday's acclimated temperature kept today", 0.6, 0.0, 0.97, 1.0, _BAO),
    Parameter("vpd_open", "hPa", "VPD below which light use is not limited", 6.5, 1.0, 12.0, 0.7, _MOD17, by_class={"EBF": 10.0}),
    Parameter("vpd_closed", "hPa", "VPD above which light use stops", 35.0, 15.0, 70.0, 0.7, _MOD17,
              by_class={"ENF": 30.0, "EBF": 40.0, "DBF": 29.0, "MF": 29.0, "CSH": 43.0, "GRA": 42.0, "CRO": 45.0}),
    Parameter("vpd_sensitivity", "hPa-1", "relative loss of light use per unit of VPD", 0.014, 0.0005, 0.15, 1.0,
              "wide around Bao et al. 2022 (0.005) and Sindbad.jl (0.04)"),
    Parameter("rew_wilting", "1", "relative extractable water at which light use stops", 0.05, 0.0, 0.3, 0.8,
              "SMAP L4C and DifferLand ramps, JAMES 2024MS004308"),
    Parameter("rew_critical", "1", "relative extractable water below which light use is limited", 0.4, 0.05, 0.95, 0.8,
              "0.4 of extractable water, Granier et al. 1999, 10.1016/S0304-3800(98)00205-1; Stocker et al. 2020 use 0.6"),
    Parameter("rew_half", "1", "relative extractable water of half light use", 0.26, 0.01, 0.9, 0.8, _BAO),
    Parameter("rew_slope", "1", "steepness of the sigmoid water response", 10.8, 3.0, 30.0, 0.7, _BAO),
    Parameter("drought_floor", "1", "light use left at zero extractable water", 0.4, 0.0, 1.0, 1.0,
              "Stocker et al. 2020, 10.5194/gmd-13-1545-2020: 0 + 0.733 * mean AET/PET"),
    Parameter("co2_reference", "ppm", "CO2 at which the response is one", 380.0, 340.0, 390.0, 0.5, _BAO),
    Parameter("co2_half", "ppm", "CO2 rise of half the largest gain", 2000.0, 100.0, 4000.0, 1.0, _BAO),
    Parameter("cloud_gain", "1", "relative gain of light use under a full cloud cover", 0.5, 0.0, 2.0, 1.0,
              "linear form of the exponent of Bao et al. 2022, finite on clear days"),
    # ecosystem respiration
    Parameter("respiration_ref", "gC m-2 d-1", "respiration at 15 degC without limitation, or its part not linked to GPP", 2.0, 0.05, 15.0, 0.6,
              "Migliavacca et al. 2011, 10.1111/j.1365-2486.2010.02243.x: order of R_LAI0 + a LAI"),
    Parameter("activation_temp", "K", "Lloyd-Taylor temperature sensitivity E0", 180.0, 30.0, 450.0, 0.7,
              "range of REddyProc; Migliavacca et al. 2011 per class 50-175"),
    Parameter("q10", "1", "factor of respiration per 10 K", 1.5, 1.0, 4.0, 0.6, "Mahecha et al. 2010, 10.1126/science.1189587: 1.4 +/- 0.1"),
    Parameter("respiration_gpp_share", "1", "respiration at 15 degC per unit of GPP of the day", 0.3, 0.0, 1.0, 0.8,
              "Migliavacca et al. 2011, k2 0.24-0.58"),
    Parameter("respiration_dry", "1", "share of respiration left in dry soil", 0.5, 0.0, 1.0, 1.0, "SMAP L4C moisture ramp, Jones et al. 2017"),
    Parameter("rew_respiration", "1", "relative extractable water below which respiration is limited", 0.4, 0.05, 0.95, 0.8,
              "SMAP L4C moisture ramp, Jones et al. 2017"),
    # fluxes of a network without physics
    Parameter("network_gpp", "gC m-2 d-1", "GPP that a network gives as a whole", 3.0, 0.0, 30.0, 1.0, _DAILY),
    Parameter("network_reco", "gC m-2 d-1", "Reco that a network gives as a whole", 2.0, 0.0, 20.0, 1.0, _DAILY),
    # water balance
    Parameter("root_zone_capacity", "mm", "plant-available water the root zone can hold", 150.0, 20.0, 600.0, 0.6,
              "Bao et al. 2022 start 100 mm, bounds 1-1000; European soils 50-300"),
    Parameter("evaporation_scalar", "1", "Makkink coefficient", 0.65, 0.3, 1.3, 0.5, "de Bruin 1987; KNMI reference evapotranspiration"),
    Parameter("bare_evaporation", "1", "share of potential evaporation lost without vegetation", 0.25, 0.0, 0.8, 0.7,
              "FAO-56 Kc of bare soil between wettings, 0.15-0.4"),
    Parameter("rew_evaporation", "1", "relative extractable water below which evapotranspiration is limited", 0.4, 0.05, 0.95, 0.7,
              "Granier et al. 1999, 10.1016/S0304-3800(98)00205-1"),
    Parameter("drainage_rate", "d-1", "share of the water above half the capacity drained in a day", 0.02, 0.0, 0.5, 1.0,
              "Bao et al. 2022, 0.05 mm h-1 at 100 mm, lowered to act from the top half only"),
    Parameter("deep_capacity", "mm", "water that the ground below the root zone can hold for roots", 300.0, 50.0, 1000.0, 0.6,
              "wide; root zones sized by water deficits reach deeper than soil maps say: Stocker et al. 2023, 10.1038/s41561-023-01125-2"),
    Parameter("canopy_storage", "mm d-1", "rain that leaves of full cover hold and lose in a day", 1.0, 0.0, 5.0, 0.8,
              "canopy capacities of 0.5-2 mm: Gash 1979, 10.1002/qj.49710544304; Muzylo et al. 2009, 10.1016/j.jhydrol.2009.02.058"),
    Parameter("wet_canopy_saving", "1", "evaporation saved on a day per unit of rain that evaporates from leaves", 0.5, 0.05, 0.95, 0.8,
              "wide: leaves that are wet do not transpire, but what they lose is not bound by the radiation of the day, Stewart 1977, "
              "10.1029/WR013i006p00915"),
    Parameter("snow_melt", "mm degC-1 d-1", "melt per degree above freezing", 3.0, 0.5, 12.0, 0.7, "Bao et al. 2022, 0.125 mm degC-1 h-1"),
    Parameter("swc_wilting", "m3 m-3", "volumetric soil water at the wilting point", 0.10, 0.01, 0.35, 0.8,
              "loam, Saxton & Rawls 2006, 10.2136/sssaj2005.0117"),
    Parameter("swc_field", "m3 m-3", "volumetric soil water at field capacity", 0.30, 0.12, 0.55, 0.8,
              "loam, Saxton & Rawls 2006, 10.2136/sssaj2005.0117"),
    # observation error
    Parameter("noise_floor", "gC m-2 d-1", "observation error of a day without flux", 0.4, 0.02, 4.0, 0.8,
              "daily scale of Richardson et al. 2006, 10.1016/j.agrformet.2006.01.007"),
    Parameter("noise_slope", "1", "growth of the observation error per unit of |flux|", 0.15, 0.0, 1.0, 0.8,
              "Richardson et al. 2006, 10.1016/j.agrformet.2006.01.007"),
    Parameter("noise_tail", "1", "degrees of freedom of the Student-t error", 5.0, 2.1, 40.0, 0.8, "heavy tails of Lasslop et al. 2008, bg-5-1311"),
    # structural error: what the model gets wrong for a while; standard deviations are those of a prior worth ten towers
    Parameter("structural_floor", "gC m-2 d-1", "structural error of a day without fluxes", 0.46, 0.01, 4.0, 0.26, _STRUCTURAL),
    Parameter("structural_slope", "1", "growth of the structural error per unit of (GPP + RECO) / 2", 0.32, 0.0, 1.0, 0.33, _STRUCTURAL),
    Parameter("structural_days", "d", "e-folding time of the structural error that comes again every year", 71.0, 3.0, 120.0, 0.56, _PERSISTENT),
    Parameter("structural_transient_days", "d", "e-folding time of the structural error of weeks that does not come again", 17.0, 2.0, 120.0, 0.29, _PERSISTENT),
    Parameter("structural_recurring", "1", "share of the structural error of weeks that comes again every year, about which those of plant types lie", 0.58, 0.0, 1.0, 0.5, _PERSISTENT),
    Parameter("structural_recurring_days", "d", "e-folding time over which the structural error that comes again every year changes: stands grow, management changes", 14600.0, 1000.0, 60000.0, 0.8, _PERSISTENT),
    Parameter("structural_year", "1", "size of the structural error of years per unit of (GPP + RECO) / 2", 0.02, 0.0, 0.5, 0.8, _PERSISTENT),
    Parameter("structural_place", "1", "size of the structural error of a place in all years, per unit of (GPP + RECO) / 2", 0.12, 0.0, 0.5, 0.29, _PERSISTENT),
    Parameter("structural_amplitude", "1", "standard deviation of the logarithm of the amplitude of the structural error between places of a plant type, and between types", 0.34, 0.0, 1.5, 0.3, _PERSISTENT),
)  # fmt: skip
