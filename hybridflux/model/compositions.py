"""Named compositions for `--model`, and models from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridflux.files import read_json
from hybridflux.model import observe, outside
from hybridflux.model.flux import HybridFlux
from hybridflux.model.measured_water import MEASURED_WATER
from hybridflux.model.noise import StudentT
from hybridflux.model.sources import Fixed, Given, Neural, PerClass, Pooled, Shared
from hybridflux.model.spec import from_spec
from hybridflux.model.stacked import Stacked
from hybridflux.process import deep_water, direct, light, respiration, stress, water
from hybridflux.vocabulary import suggestion


def static() -> HybridFlux:
    """Physics only: one value per plant type with site effects, nothing learned from daily inputs. Small enough for NUTS."""
    return HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.low_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor, respiration.moisture_ramp),
        memory=(water.BUCKET,),
        sources={
            "light_use_efficiency": Pooled(PerClass()),
            "light_saturation": Shared(),
            "vpd_sensitivity": Shared(),
            "rew_critical": Shared(),
            "respiration_ref": Pooled(PerClass()),
            "respiration_gpp_share": Shared(),
            "activation_temp": Shared(),
            "root_zone_capacity": Given("soil_capacity"),
        },
        observed=(observe.nee(weight=0.2), observe.nee_night(weight=0.1)),
    )


TODAY = ("fapar_phase", "fapar", "tair", "par", "vpd", "par_potential", "plant_type")
"""Vegetation and weather of the day: what light use and base respiration follow. Means over the last weeks and months did not predict
unseen towers better: they tell the network which tower it sees."""


def hybrid() -> HybridFlux:
    """For real towers: light use efficiency and base respiration from small networks on the weather and vegetation of the day.

    Both have site effects. Soil water comes from a bucket of one capacity for all places, because most tower tables do not give one; it
    acts on GPP and Reco. The networks see daily drivers: a declared choice, so they can absorb part of the temperature and VPD responses
    (see the identifiability guard). Errors are nearly Gaussian: Laplace errors follow the median of a skewed NEE and put its mean
    lower. A day weighs 0.01 of one, because the residuals of a tower last for weeks and its three targets are not independent.
    """
    return HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.low_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor, respiration.moisture_ramp),
        memory=(water.BUCKET,),
        sources={
            "light_use_efficiency": Pooled(Neural(*TODAY), spread=0.2),
            "respiration_ref": Pooled(Neural(*TODAY), spread=0.2),
            "light_saturation": Shared(),
            "vpd_sensitivity": Shared(),
            "tmin_open": Shared(),
            "rew_critical": Shared(),
            "respiration_dry": Shared(),
            "activation_temp": Shared(),
            "respiration_gpp_share": Shared(),
            "rew_respiration": Shared(),
            "root_zone_capacity": Fixed(300.0),
            "evaporation_scalar": Fixed(0.5),
        },
        observed=[make(StudentT(tail=Fixed(30.0)), weight=0.01) for make in (observe.nee, observe.nee_day, observe.nee_night)],
    )


GREEN_TODAY = ("nirv_phase", "nirv", "lswi", "tair", "par", "vpd", "par_potential", "plant_type")
"""`TODAY` with vegetation as reflectance shows it: NIRv in place of fapar, and the water of leaf and soil (LSWI)."""
MEMORY_OF_TEMPERATURE = 0.93
"""Share of yesterday's acclimated temperature that is kept: a memory of 14 days."""


def hybrid_nirv() -> HybridFlux:
    """`hybrid` on reflectance: light absorbed by green leaves from NIRv, LSWI beside it in the networks, and acclimation.

    The limit of a cold night gives way to a peaked response to a temperature with 14 days' memory (Makela et al. 2008; Bao et al. 2022).
    Needs `nirv` and `lswi` of towers (folder `reflectance`) and of regions (`[vegetation] also`).
    """
    as_before = hybrid()
    sources = {name: source for name, source in as_before.sources.items() if name != "tmin_open" and not isinstance(source, Fixed)}
    networks = {name: Pooled(Neural(*GREEN_TODAY), spread=0.2) for name in ("light_use_efficiency", "respiration_ref")}
    fixed = {name: as_before.sources[name] for name in ("root_zone_capacity", "evaporation_scalar")}
    fixed["temp_memory"] = Fixed(MEMORY_OF_TEMPERATURE)
    return HybridFlux(
        gpp=(light.absorbed_green, light.saturation_green, stress.peaked_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=as_before.reco,
        memory=(water.BUCKET_GREEN, stress.ACCLIMATION),
        sources={**sources, **networks, **fixed, "temp_optimum": Shared(), "temp_width": Shared()},
        observed=tuple(as_before.observed.values()),
    )


GREENING = (*GREEN_TODAY, "nirv_30d", "lswi_30d")
"""`GREEN_TODAY` beside the means of the last month: leaves that unfold and leaves that age have the same greenness and another capacity."""
DRY_NEVER_HELPS: dict[str, Any] = {"rising": ("lswi", "lswi_30d"), "falling": ("vpd",)}
"""Signs of the network of light use: it never falls with the water of leaf and soil (Xiao et al. 2004, 10.1016/j.rse.2003.11.008) and never
rises with VPD (Grossiord et al. 2020, 10.1111/nph.16485). Its other inputs, and all those of base respiration, have no sign that holds
everywhere: light use has an optimum of temperature, and respiration falls in dry and in waterlogged soil."""
RESPONSES = ("light_saturation", "vpd_sensitivity", "temp_optimum", "activation_temp", "respiration_gpp_share")
"""Parameters of responses that differ between plant types and between places of one type."""


def hybrid_water() -> HybridFlux:
    """`hybrid_nirv` with water that latent heat and soil water of towers gave, and responses that differ between plant types and places.

    Soil water has depth (`deep_water`), with the parameters of `MEASURED_WATER`. Its ramp ends at a floor, because roots find water below,
    and has a threshold of its own at every place; Reco follows GPP into a drought. Responses are partially pooled: one value a plant type,
    and effects of places around it, which an unseen place draws from the population. A day weighs 0.02 of one.
    """
    networks = {name: Pooled(Neural(*GREENING, width=16), spread=0.2) for name in ("light_use_efficiency", "respiration_ref")}
    responses = {name: Pooled(PerClass(), spread=0.2) for name in RESPONSES}
    return HybridFlux(
        gpp=(light.absorbed_green, light.saturation_green, stress.peaked_temperature, stress.vpd_exponential, stress.water_ramp_to_floor),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor),
        memory=(deep_water.DEEP_BUCKET_GREEN, stress.ACCLIMATION),
        sources={
            **networks,
            **responses,
            **MEASURED_WATER,
            "rew_critical": Pooled(Shared(), spread=0.5),
            "drought_floor": Shared(),
            "temp_width": Shared(),
            "temp_memory": Fixed(MEMORY_OF_TEMPERATURE),
        },
        observed=[make(StudentT(tail=Fixed(30.0)), weight=0.02) for make in (observe.nee, observe.nee_day, observe.nee_night)],
    )


def hybrid_signed() -> HybridFlux:
    """`hybrid_water` whose GPP never gains from drought, wherever it is asked: the network of light use has signs (`DRY_NEVER_HELPS`).

    At unseen towers this costs and gains nothing, in droughts at known ones NEE is worse by one per cent, and inside the range of the
    towers `hybrid_water` has these signs by itself (E20). It is for maps and scenarios of climates drier and hotter than theirs.
    """
    free = hybrid_water()
    signed = {"light_use_efficiency": Pooled(Neural(*GREENING, width=16, **DRY_NEVER_HELPS), spread=0.2)}
    return HybridFlux(
        gpp=free.gpp, reco=free.reco, memory=free.memory, sources={**free.sources, **signed}, observed=free.observed.values()
    )


WEEKS = (
    "nirv", "nirv_30d", "lswi", "lswi_30d", "tair", "tmin", "par", "vpd", "rain", "tair_7d", "tair_30d", "tair_90d", "par_30d", "vpd_30d",
    "rain_30d", "rain_90d", "par_potential", "plant_type",
)  # fmt: skip
"""Vegetation and weather of the day and of the weeks before: what boosted trees read (`evaluate.baselines.PREDICTORS`), for a network."""


def network() -> HybridFlux:
    """No physics: GPP and Reco are networks of the weather and vegetation of the day and of the weeks before, as boosted trees have them.

    Compared with NEE and, as trees are, with partitioned GPP and Reco. A member of another kind beside `hybrid_water` (see `stacked`).
    """
    direct_flux = Pooled(Neural(*WEEKS, width=16, reach=2.0), spread=0.2)
    return HybridFlux(
        gpp=(direct.productivity,),
        reco=(direct.respiration,),
        sources={"network_gpp": direct_flux, "network_reco": direct_flux},
        observed=[make(StudentT(tail=Fixed(30.0)), weight=0.01) for make in (observe.nee, observe.gpp, observe.reco)],
    )


def stacked() -> Stacked:
    """Draws of `hybrid_water` and of `network`, as many of each as predict unseen towers best (Bayesian stacking)."""
    return Stacked(hybrid_water(), network())


MODELS: dict[str, Callable[[], HybridFlux]] = {
    "static": static, "hybrid": hybrid, "hybrid_nirv": hybrid_nirv, "hybrid_water": hybrid_water,
    "hybrid_signed": hybrid_signed, "network": network, "stacked": stacked,
}  # fmt: skip


def get(name: str) -> HybridFlux:
    """A model by name, or from a file.

    Args:
        name: a name of `MODELS`; a `.json` spec written by `hybridflux.model.spec.to_spec`; or a `.py` file that sets `model`.

    Raises:
        ValueError: neither a known name nor a file that gives a model; it names the file and what is wrong.
    """
    if name in MODELS:
        return MODELS[name]()
    path = Path(name)
    if not path.exists():
        raise ValueError(f"no model `{name}`; there are {', '.join(MODELS)}, or give a .py or .json file.{suggestion(name, MODELS)}")
    if path.suffix not in (".py", ".json"):
        raise ValueError(f"{path} is neither a .py file that sets `model` nor a .json file written by `hybridflux.model.spec.to_spec`")
    if path.suffix == ".json":
        try:
            return from_spec(read_json(path, "written by `hybridflux.model.spec.to_spec`"))
        except Exception as error:
            raise ValueError(f"{path} does not give a model: {type(error).__name__}: {str(error)[:200]}") from error
    try:
        model = getattr(outside.load([path])[0], "model", None)
    except ValueError as error:
        raise ValueError(f"{error}; it must be Python that sets `model`") from error
    if not isinstance(model, HybridFlux):
        raise ValueError(f"{path} does not set `model` to a HybridFlux")
    return model
