"""A pool of fresh litter that GPP of the day feeds and that respires: a process with memory of its own."""

import hybridflux as hf

TURNOVER = hf.Parameter("litter_turnover", "d-1", "share of the litter lost in a day", 0.02, 0.001, 0.2, 0.7, "made up for this example")
SHARE = hf.Parameter("litter_share", "1", "share of GPP that becomes litter", 0.2, 0.0, 0.6, 0.7, "made up for this example")


@hf.process(variables=[hf.Variable("litter", "gC m-2", "carbon of fresh litter", (0, 5000), scale=100)])
def bare(*, tair):
    """The pool before the first day."""
    return {"litter": 0.0 * tair}


@hf.process(parameters=[TURNOVER, SHARE])
def fed(*, litter, gpp, litter_share, litter_turnover):
    """The pool at the end of the day, from GPP of the day."""
    return {"litter": (1.0 - litter_turnover) * litter + litter_share * gpp}


@hf.process(parameters=[TURNOVER])
def decay(*, respiration_ref, litter, litter_turnover):
    """Respiration of the soil and of the litter of the days before [gC m-2 d-1]."""
    return respiration_ref + litter_turnover * litter


LITTER = hf.Memory(start=bare, after=fed)
model = hf.HybridFlux(
    gpp=(hf.light.absorbed, hf.stress.water_ramp),
    reco=(decay, hf.respiration.q10_response),
    memory=(hf.water.BUCKET, LITTER),
    sources={"light_use_efficiency": hf.Shared(), "respiration_ref": hf.Shared(), "litter_share": hf.Shared()},
)
