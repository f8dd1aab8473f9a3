"""Drainage measured by a lysimeter of known catch: an observation operator with a target, a parameter and an error of its own."""

import hybridflux as hf

CATCH = hf.Parameter("catch", "1", "share of the drainage that the lysimeter catches", 0.7, 0.2, 1.0, 0.7, "made up for this example")
ERROR = hf.Parameter("noise_sd", "mm d-1", "error of the lysimeter", 0.5, 0.05, 5.0, 0.8, "made up for this example")


@hf.process(parameters=[CATCH], variables=[hf.Variable("lysimeter", "mm d-1", "water in the lysimeter", (0, 200), "flux", fluxnet="LYS")])
def caught(*, drainage, catch):
    """What the lysimeter shows [mm d-1].

    >>> caught(drainage=2.0, catch=0.5)
    1.0
    """
    return catch * drainage


model = hf.HybridFlux(
    gpp=(hf.light.absorbed, hf.stress.water_ramp),
    reco=(hf.respiration.basal,),
    memory=(hf.water.BUCKET,),
    sources={"light_use_efficiency": hf.Shared(), "respiration_ref": hf.Shared(), "drainage_rate": hf.Shared()},
    observed=(
        hf.observe.nee(weight=0.1),
        hf.Observed("lysimeter", caught, hf.Constant(ERROR), sources={"catch": hf.Shared()}),
        hf.observe.latent_heat(weight=0.1),
    ),
)
