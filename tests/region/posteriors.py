"""Posteriors without a fit: models with random draws of everything learned."""

import jax
import numpy as np

from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import Given, Neural, PerClass, Pooled, Shared
from hybridflux.model.tree import learned, with_learned, with_places
from hybridflux.process import light, respiration, stress, water


def a_model(*, network=False, years=False):
    """A model with soil water, effects of places (and of years), perhaps a network on daily inputs."""
    efficiency = Neural("plant_type", "tair_30d", "fapar_30d", width=4) if network else PerClass()
    efficiency = Pooled(efficiency)
    return HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.low_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor, respiration.moisture_ramp),
        memory=(water.BUCKET,),
        sources={
            "light_use_efficiency": Pooled(efficiency, by="site_year", spread=0.2) if years else efficiency,
            "vpd_sensitivity": Shared(),
            "rew_critical": Shared(),
            "respiration_ref": Pooled(PerClass()),
            "respiration_gpp_share": Shared(),
            "root_zone_capacity": Given("soil_capacity"),
            "drainage_rate": Shared(),
        },
    )


def a_posterior(draws=6, seed=0, size=0.5, **kind):
    """Draws around the prior median, `size` prior standard deviations wide."""
    model = with_places(a_model(**kind), {"site": 3, "site_year": 6})
    leaves = learned(model)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    values = {name: size * jax.random.normal(key, (draws, *leaf.shape)) for (name, leaf), key in zip(leaves.items(), keys, strict=True)}
    return Posterior(with_learned(model, values), Indices(("a", "b", "c"), (2017, 2018)), info={"method": "made up"})


def one_draw(model, number):
    """The model of one draw."""
    return with_learned(model, {name: np.asarray(leaf)[number] for name, leaf in learned(model).items()})
