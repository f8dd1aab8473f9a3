"""Water balances that E16 compares: those of the package, and others that are here as processes of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax.numpy as jnp

import hybridflux as hf
from hybridflux.model.sources import AbstractSource, Fixed, PerClass, Shared
from hybridflux.process import deep_water, water
from hybridflux.process.vegetation import green
from hybridflux.units import LATENT_HEAT, PAR_PER_SHORTWAVE

STEFAN_BOLTZMANN = 4.903e-9  # MJ K-4 m-2 d-1, FAO-56 eq. 39
MOLAR_MASS = {"water": 0.018015, "carbon": 12.011}  # kg mol-1, g mol-1
PRESSURE = 101.3  # kPa

ALPHA = hf.Parameter("priestley_taylor", "1", "Priestley-Taylor coefficient", 1.26, 0.5, 2.0, 0.5, "Priestley & Taylor 1972")
LAYER = (
    hf.Parameter("layer_capacity", "mm", "water of the shallow layer", 25.0, 5.0, 100.0, 0.6, "FAO-56, total evaporable water 8-29 mm"),
    hf.Parameter("soil_evaporation", "1", "evaporation of wet bare soil over potential", 1.0, 0.3, 2.0, 0.4, "FAO-56, Ke to 1.1"),
)
LAYER_STATE = hf.Variable("layer_water", "mm", "water of the shallow layer", (0, 100))
SLOPE = hf.Parameter(
    "stomatal_slope", "kPa0.5", "slope of stomatal conductance, g1", 4.0, 1.0, 9.0, 0.4,
    "Medlyn et al. 2011, 10.1111/j.1365-2486.2010.02375.x; Lin et al. 2015, 10.1038/nclimate2550",
    by_class={"ENF": 2.35, "EBF": 4.12, "DBF": 4.45, "MF": 3.4, "OSH": 4.7, "GRA": 5.25, "WET": 5.25, "CRO": 5.79},
)  # fmt: skip


def net_radiation(*, tair, tmin, tmax, par, par_potential, vpd):
    """Net radiation as evaporation [mm d-1], at least 0: FAO-56 eq. 38-40 with albedo 0.18 of vegetation (grass 0.23, forest 0.10-0.15)."""
    shortwave = par / PAR_PER_SHORTWAVE
    clear = jnp.maximum(0.75 * par_potential / PAR_PER_SHORTWAVE, 0.1)
    share = jnp.where(clear < 2.0, 0.7, jnp.clip(shortwave / clear, 0.25, 1.0))
    saturated = 0.6108 * jnp.exp(17.27 * tair / (tair + 237.3))
    vapour = jnp.maximum(saturated - 0.1 * vpd, 0.01)
    warm = 0.5 * ((tmin + 273.16) ** 4 + (tmax + 273.16) ** 4)
    longwave = STEFAN_BOLTZMANN * warm * (0.34 - 0.14 * jnp.sqrt(vapour)) * (1.35 * share - 0.35)
    return jnp.maximum(0.82 * shortwave - longwave, 0.0) / LATENT_HEAT


def weight_of_radiation(tair):
    """The share s / (s + gamma) [1]: Makkink evaporation of one mm of shortwave."""
    return water.potential_evaporation(tair=tair, par=PAR_PER_SHORTWAVE * LATENT_HEAT, evaporation_scalar=1.0)


def bucket_of(demand, *, held, soil_water, snow, tair, rain, capacity, rew_evaporation, drainage_rate, snow_melt):
    """`water.bucket` with a given demand [mm d-1], after leaves have held some rain."""
    snow, rainfall, melt = water.melted(snow=snow, tair=tair, rain=rain, snow_melt=snow_melt)
    available = soil_water + (rainfall - held) + melt
    taken = jnp.minimum(demand * jnp.clip(soil_water / (capacity * rew_evaporation), 0.0, 1.0), available)
    wet = available - taken
    left = jnp.minimum(wet - drainage_rate * jnp.maximum(wet - 0.5 * capacity, 0.0), capacity)
    return {"soil_water": left, "snow": snow, "evapotranspiration": held + taken, "drainage": wet - left}


def rain_held(tair, rain, nirv, canopy_storage):
    """Cover [1] and the rain that leaves hold [mm d-1]."""
    cover = jnp.minimum(green(nirv=nirv), 1.0)
    return cover, jnp.minimum(rain * (1.0 - jnp.clip(0.5 - 0.5 * tair, 0.0, 1.0)), canopy_storage * cover)


@hf.process
def with_leaves(
    *, soil_water, snow, tair, par, rain, nirv, root_zone_capacity, canopy_storage, wet_canopy_saving, evaporation_scalar, bare_evaporation,
    rew_evaporation, drainage_rate, snow_melt,
):  # fmt: skip
    """The bucket with rain held by leaves, without a deep store [mm, mm d-1]."""
    cover, held = rain_held(tair, rain, nirv, canopy_storage)
    potential = water.potential_evaporation(tair=tair, par=par, evaporation_scalar=evaporation_scalar)
    demand = jnp.maximum(potential * (bare_evaporation + (1.0 - bare_evaporation) * cover) - wet_canopy_saving * held, 0.0)
    state = {"soil_water": soil_water, "snow": snow, "tair": tair, "rain": rain, "capacity": root_zone_capacity, "snow_melt": snow_melt}
    return bucket_of(demand, held=held, rew_evaporation=rew_evaporation, drainage_rate=drainage_rate, **state)


@hf.process(parameters=[ALPHA])
def priestley_taylor_bucket(
    *, soil_water, snow, tair, tmin, tmax, par, par_potential, vpd, rain, nirv, root_zone_capacity, canopy_storage, wet_canopy_saving,
    priestley_taylor, bare_evaporation, rew_evaporation, drainage_rate, snow_melt,
):  # fmt: skip
    """`with_leaves` where the demand is Priestley-Taylor evaporation, soil heat ignored [mm, mm d-1]."""
    cover, held = rain_held(tair, rain, nirv, canopy_storage)
    energy = net_radiation(tair=tair, tmin=tmin, tmax=tmax, par=par, par_potential=par_potential, vpd=vpd)
    potential = priestley_taylor * weight_of_radiation(tair) * energy
    demand = jnp.maximum(potential * (bare_evaporation + (1.0 - bare_evaporation) * cover) - wet_canopy_saving * held, 0.0)
    state = {"soil_water": soil_water, "snow": snow, "tair": tair, "rain": rain, "capacity": root_zone_capacity, "snow_melt": snow_melt}
    return bucket_of(demand, held=held, rew_evaporation=rew_evaporation, drainage_rate=drainage_rate, **state)


def layers_of(soil, plants, held, names):
    """A shallow layer that bare soil dries, roots in both layers in proportion to their water [mm, mm d-1]."""
    snow, rainfall, melt = water.melted(snow=names["snow"], tair=names["tair"], rain=names["rain"], snow_melt=names["snow_melt"])
    upper, lower, top, root_zone = names["layer_water"], names["soil_water"], names["layer_capacity"], names["root_zone_capacity"]
    transpired = plants * jnp.clip((upper + lower) / ((top + root_zone) * names["rew_evaporation"]), 0.0, 1.0)
    share = upper / (upper + lower + 1e-3)
    above = upper + (rainfall - held) + melt
    dried = jnp.minimum(soil * (upper / top) ** 2 + transpired * share, above)
    kept = jnp.minimum(above - dried, top)
    below = lower + (above - dried - kept)
    taken = jnp.minimum(transpired * (1.0 - share), below)
    wet = below - taken
    left = jnp.minimum(wet - names["drainage_rate"] * jnp.maximum(wet - 0.5 * root_zone, 0.0), root_zone)
    out = {"layer_water": kept, "soil_water": left, "snow": snow}
    return {**out, "evapotranspiration": held + dried + taken, "drainage": wet - left}


@hf.process(parameters=LAYER, variables=[LAYER_STATE])
def two_layers(
    *, soil_water, layer_water, snow, tair, par, rain, nirv, root_zone_capacity, layer_capacity, soil_evaporation, canopy_storage,
    wet_canopy_saving, evaporation_scalar, rew_evaporation, drainage_rate, snow_melt,
):  # fmt: skip
    """Two layers, Makkink demand of soil and plants [mm, mm d-1]."""
    cover, held = rain_held(tair, rain, nirv, canopy_storage)
    potential = water.potential_evaporation(tair=tair, par=par, evaporation_scalar=evaporation_scalar)
    plants = jnp.maximum(potential * cover - wet_canopy_saving * held, 0.0)
    names = {"soil_water": soil_water, "layer_water": layer_water, "snow": snow, "tair": tair, "rain": rain, "snow_melt": snow_melt}
    soil = {"root_zone_capacity": root_zone_capacity, "layer_capacity": layer_capacity, "rew_evaporation": rew_evaporation}
    names |= soil | {"drainage_rate": drainage_rate}
    return layers_of(soil_evaporation * potential * (1.0 - cover), plants, held, names)


@hf.process(parameters=[*LAYER, SLOPE], variables=[LAYER_STATE])
def stomata(
    *, soil_water, layer_water, snow, tair, par, rain, nirv, vpd, co2, root_zone_capacity, layer_capacity, soil_evaporation, canopy_storage,
    wet_canopy_saving, evaporation_scalar, stomatal_slope, light_use_efficiency, light_saturation, rew_evaporation, drainage_rate,
    snow_melt,
):  # fmt: skip
    """Two layers; transpiration is the potential GPP of the day times 1.6 (D + g1 sqrt(D)) / (P ca), Medlyn et al. 2011 [mm, mm d-1]."""
    cover, held = rain_held(tair, rain, nirv, canopy_storage)
    light = green(nirv=nirv) * par
    cold = jnp.clip((tair + 2.0) / 12.0, 0.0, 1.0)
    gpp = light_use_efficiency * light / (1.0 + light_saturation * light) * cold
    deficit = 0.1 * vpd
    per_carbon = 1.6 * (deficit + stomatal_slope * jnp.sqrt(deficit + 1e-4)) / (PRESSURE * co2 * 1e-6)
    transpired = gpp / MOLAR_MASS["carbon"] * per_carbon * MOLAR_MASS["water"]
    potential = water.potential_evaporation(tair=tair, par=par, evaporation_scalar=evaporation_scalar)
    names = {"soil_water": soil_water, "layer_water": layer_water, "snow": snow, "tair": tair, "rain": rain, "snow_melt": snow_melt}
    soil = {"root_zone_capacity": root_zone_capacity, "layer_capacity": layer_capacity, "rew_evaporation": rew_evaporation}
    names |= soil | {"drainage_rate": drainage_rate}
    return layers_of(soil_evaporation * potential * (1.0 - cover), jnp.maximum(transpired - wet_canopy_saving * held, 0.0), held, names)


def _read_one(*, soil_water, root_zone_capacity):
    rew = soil_water / root_zone_capacity
    return {"rew": rew, "rew_root_zone": rew}


def _fill_layers(*, root_zone_capacity, layer_capacity, tair):
    filled = water.BUCKET.start(root_zone_capacity=root_zone_capacity, tair=tair)
    return {**filled, "layer_water": water.FIRST_FILLING * layer_capacity + 0.0 * tair}


def _read_layers(*, soil_water, layer_water, root_zone_capacity, layer_capacity):
    return {"rew": (soil_water + layer_water) / (root_zone_capacity + layer_capacity), "rew_root_zone": layer_water / layer_capacity}


@dataclass(frozen=True)
class Form:
    """A water balance with what is learned of it.

    Attributes:
        memory: its states.
        by_type: parameters learned for each plant type.
        shared: parameters learned for all.
        fixed: parameters that are not learned.
    """

    memory: hf.Memory
    by_type: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)

    def sources(self) -> dict[str, AbstractSource]:
        """Sources of all its parameters."""
        made: dict[str, AbstractSource] = {name: Fixed(value) for name, value in self.fixed.items()}
        return made | {name: Shared() for name in self.shared} | {name: PerClass() for name in self.by_type}


BUCKET = hf.Memory(start=water.BUCKET.start, step=water.bucket_green, read=_read_one)
LEAVES = hf.Memory(start=water.BUCKET.start, step=with_leaves, read=_read_one)
RADIATION = hf.Memory(start=water.BUCKET.start, step=priestley_taylor_bucket, read=_read_one)
LAYERS = hf.Memory(start=_fill_layers, step=two_layers, read=_read_layers)
STOMATA = hf.Memory(start=_fill_layers, step=stomata, read=_read_layers)
SOIL = ("root_zone_capacity", "rew_evaporation", "drainage_rate", "snow_melt")
LEAF = ("canopy_storage", "wet_canopy_saving")
OF_LAYERS = ("layer_capacity", "soil_evaporation")
AS_IT_WAS = {"root_zone_capacity": 300.0, "evaporation_scalar": 0.5}
CHOSEN = "Makkink, leaves, deep store"
OF_CHOSEN = (*SOIL, *LEAF, "bare_evaporation", "deep_capacity")

FORMS: dict[str, Form] = {
    "bucket of `hybrid_nirv`, nothing learned": Form(BUCKET, fixed=AS_IT_WAS),
    "Makkink": Form(BUCKET, (), (*SOIL, "bare_evaporation", "evaporation_scalar")),
    "Makkink, leaves": Form(LEAVES, (), (*SOIL, *LEAF, "bare_evaporation", "evaporation_scalar")),
    "Priestley-Taylor, leaves": Form(RADIATION, (), (*SOIL, *LEAF, "bare_evaporation", "priestley_taylor")),
    "Makkink, leaves, two layers": Form(LAYERS, (), (*SOIL, *LEAF, *OF_LAYERS, "evaporation_scalar")),
    "stomata and potential GPP, leaves, two layers": Form(
        STOMATA, ("stomatal_slope",), (*SOIL, *LEAF, *OF_LAYERS, "evaporation_scalar", "light_use_efficiency", "light_saturation")
    ),
    CHOSEN: Form(deep_water.DEEP_BUCKET_GREEN, (), (*OF_CHOSEN, "evaporation_scalar")),
    CHOSEN + ", coefficient by plant type": Form(deep_water.DEEP_BUCKET_GREEN, ("evaporation_scalar",), OF_CHOSEN),
}
