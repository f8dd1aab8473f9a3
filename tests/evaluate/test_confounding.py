"""A network that reads the driver of a response it multiplies is named before any fit; restarts that disagree are named after."""

from dataclasses import replace

import numpy as np
import pytest

from hybridflux.evaluate.confounding import confounded, sentence, slope_correlation
from hybridflux.evaluate.identify import identify
from hybridflux.evaluate.restarts import restarts
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model import observe
from hybridflux.model.compositions import get
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Fixed, Neural, PerClass, Pooled, Shared
from hybridflux.process import light, respiration, stress

pytestmark = pytest.mark.long


def respiring(base, q10=None):
    return HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal, respiration.q10_response),
        sources={"respiration_ref": base, "q10": q10 or Shared()},
        observed=(observe.reco(),),
    )


def found(model):
    return [(row.parameter, row.network, row.driver, row.reads, row.direct) for row in confounded(model)]


@pytest.fixture(scope="module")
def towers(toy):
    drivers = {**toy.drivers, "par_30d": toy.drivers["par"]}
    return Sequences(
        tuple(f"S{at}" for at in range(len(toy.codes))), toy.days, drivers, {"reco": np.ones((len(toy.days), len(toy.codes)))}, {}
    )


def test_a_network_on_the_driver_of_the_response_is_named():
    assert found(respiring(Neural("par_30d", "tair"))) == [("q10", "respiration_ref", "tair", ("tair",), True)]
    assert found(respiring(Pooled(Pooled(Neural("tair"), by="site"), by="site_year")))[0][4]


def test_a_history_or_the_minimum_of_temperature_is_temperature_in_weaker_words(towers, toy):
    model = respiring(Neural("tmin", "tair_7d", "vpd"))
    assert found(model) == [("q10", "respiration_ref", "tair", ("tmin", "tair_7d"), False)]
    assert found(respiring(Neural("tair_7d", "tair")))[0][3:] == (("tair", "tair_7d"), True)


@pytest.mark.parametrize(
    "model",
    [
        respiring(Neural("par_30d", "vpd")),
        respiring(Neural("tair"), Fixed()),
        respiring(PerClass()),
        respiring(Shared(), Neural("tair")),  # it has nothing to be confused with
        get("static"),
    ],
)
def test_nothing_is_said_where_the_driver_is_not_read_or_nothing_is_learned(model):
    assert found(model) == []


def test_factors_of_gpp_and_of_reco_are_not_mixed():
    model = HybridFlux(
        gpp=(light.absorbed, stress.vpd_exponential),
        reco=(respiration.basal, respiration.lloyd_taylor),
        sources={"light_use_efficiency": Neural("tair"), "respiration_ref": Neural("vpd"), "vpd_sensitivity": Shared(),
                 "activation_temp": Shared()},
    )  # fmt: skip
    assert found(model) == []
    swapped = HybridFlux(
        gpp=model.gpp, reco=model.reco,
        sources={**model.sources, "light_use_efficiency": Neural("vpd"), "respiration_ref": Neural("tair")},
    )  # fmt: skip
    assert [row[:2] for row in found(swapped)] == [("vpd_sensitivity", "light_use_efficiency"), ("activation_temp", "respiration_ref")]


def test_the_hybrid_composition_is_warned_of():
    named = {(row.parameter, row.direct) for row in confounded(get("hybrid"))}
    assert {("vpd_sensitivity", True), ("activation_temp", True), ("light_saturation", True), ("tmin_open", False),
            ("respiration_gpp_share", True)} == named  # fmt: skip


def test_a_network_of_light_and_leaves_is_gpp_in_other_words():
    """Reco = ref + share GPP: where the network of ref reads all that absorbs light, it can be the share; with one of both it cannot."""
    def shared(*inputs):
        return found(HybridFlux(gpp=(light.absorbed_green, stress.vpd_exponential), reco=(respiration.lin_gpp,), sources={
            "respiration_ref": Neural(*inputs), "respiration_gpp_share": Shared()}))  # fmt: skip

    assert shared("nirv", "tair", "par") == [("respiration_gpp_share", "respiration_ref", "gpp", ("nirv", "par"), True)]
    assert shared("nirv", "par_30d") == shared("par") == []
    row = confounded(get("hybrid_water"))
    (text,) = [sentence(one, 0.5) for one in row if one.parameter == "respiration_gpp_share"]
    assert "which reads `nirv`, `par` (correlation" in text and "take `nirv`, `par` from the network, or fix" in text


def test_correlation_with_the_slope_is_seen_where_the_mean_of_the_network_shows_nothing():
    rng = np.random.default_rng(0)
    q, driver = rng.normal(size=200), rng.normal(10, 3, size=(50, 2))
    network = -0.2 * q[:, None, None] * (driver - driver.mean())
    assert slope_correlation(q, network, driver) == pytest.approx(-1.0)
    assert abs(slope_correlation(q, rng.normal(size=(200, 50, 2)), driver)) < 0.25
    assert np.isnan(slope_correlation(q, np.ones((200, 1, 1)) * np.ones((50, 2)), driver))


def test_the_guard_warns_of_temperature_inside_the_base_rate_and_of_nothing_without_it(toy, towers):
    def warned(*inputs):
        posterior = Posterior(toy.stacked(respiring(Neural(*inputs, width=3)), 60, spread=0.1), Indices(("S0",), (2001,)))
        guard = identify(posterior, towers, days=60)
        return guard, [text for text in guard.warnings if "the network of" in text]

    guard, said = warned("par_30d", "tair")
    assert len(said) == 1 and said[0].startswith("`q10` is not identifiable beside the network of `respiration_ref`, which reads `tair`")
    assert guard.confounded.parameter.tolist() == ["q10"] and -1 <= guard.confounded.correlation[0] <= 1
    guard, said = warned("par_30d")
    assert said == [] and guard.confounded.empty


def posteriors(toy, means, sd=0.1, draws=100):
    stacked = toy.stacked(respiring(Neural("par_30d", width=3)), draws, spread=sd)
    for mean in means:
        z = learned(stacked)["sources.q10.z"]
        yield Posterior(with_learned(stacked, {"sources.q10.z": mean + (z - z.mean()) / z.std() * sd}), Indices(("S0",), (2001,)))


def test_restarts_are_compared_in_posterior_standard_deviations(toy, towers):
    found = restarts(list(posteriors(toy, (0.0, 0.05, 0.3))), towers, days=60)
    row = found.parameters.set_index("parameter").loc["q10"]
    assert row.apart == pytest.approx(3.0, rel=1e-3) and row.verdict == "disagree"
    assert row.within == pytest.approx(0.6 * 0.1, rel=1e-3)  # unconstrained: the prior spread of q10 is 0.6
    assert row.lowest < row.highest and len(found.warnings) == 1
    assert "restarts disagree about `q10`" in found.warnings[0]
    assert found.parameters.set_index("parameter").loc["respiration_ref"].verdict == "agree"  # the same draws


def test_restarts_that_agree_or_have_too_few_draws(toy, towers):
    close = restarts(list(posteriors(toy, (0.0, 0.05))), towers, days=60)
    assert set(close.parameters.verdict) == {"agree"} and close.warnings == ()
    few = restarts(list(posteriors(toy, (0.0, 0.3), draws=10)), towers, days=60)
    assert set(few.parameters.verdict) == {"undecided"} and few.warnings == ()


def test_restarts_refuses_what_it_cannot_compare(toy, towers):
    one, two = posteriors(toy, (0.0, 0.1))
    with pytest.raises(ValueError, match="two or more"):
        restarts([one], towers)
    other = replace(two, model=toy.stacked(respiring(Shared(), Fixed()), 100))
    with pytest.raises(ValueError, match="different parameters"):
        restarts([one, other], towers, days=60)
    with pytest.raises(ValueError, match="same draws.*another seed"):
        restarts([one, one], towers, days=60)
    with pytest.raises(ValueError, match=r"different towers \(S0, S1 not in all\)"):
        restarts([one, replace(two, indices=Indices(("S1",), (2001,)))], towers, days=60)
