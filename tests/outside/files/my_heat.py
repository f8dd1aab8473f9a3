"""Light use falls on hot days: a stress function with a parameter of its own."""

import jax.numpy as jnp

import hybridflux as hf

HALF = hf.Parameter("heat_half", "degC", "mean temperature of a day of half light use", 30.0, 20.0, 45.0, 0.7, "made up for this example")


@hf.process(parameters=[HALF], bounds=(0.0, 1.0))
def heat(*, tair, heat_half):
    """Limitation of light use by a hot day [1], in (0, 1).

    >>> float(heat(tair=30.0, heat_half=30.0))
    0.5
    """
    return 1.0 / (1.0 + jnp.exp((tair - heat_half) / 3.0))


model = hf.HybridFlux(
    gpp=(hf.light.absorbed, heat),
    reco=(hf.respiration.basal, hf.respiration.q10_response),
    sources={"light_use_efficiency": hf.Shared(), "respiration_ref": hf.Shared(), "heat_half": hf.Pooled(hf.PerClass())},
)
