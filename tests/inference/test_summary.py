"""The table at the end of a fit: prior, posterior and contraction of a posterior whose numbers are known."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.summary import COLUMNS, lines
from hybridflux.model import HybridFlux, Neural, PerClass, Pooled, Shared
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sources import to_value
from hybridflux.model.structural_error import NAMES, StructuralError, prior_of
from hybridflux.process import light, respiration
from hybridflux.vocabulary import PARAMETERS

pytestmark = pytest.mark.long

DRAWS = 400


@pytest.fixture(scope="module")
def posterior():
    """Two chains: activation_temp has half the prior sd around one prior sd, light saturation its prior, chains of respiration apart."""
    model = HybridFlux(
        gpp=(light.absorbed, light.saturation), reco=(respiration.basal, respiration.lloyd_taylor),
        sources={
            "light_use_efficiency": Pooled(Neural("fapar", "tair")), "light_saturation": Shared(), "activation_temp": Shared(),
            "respiration_ref": PerClass(),
        },
    )  # fmt: skip
    rng = np.random.default_rng(0)
    leaves = {name: rng.normal(size=(DRAWS, *leaf.shape)).astype(np.float32) for name, leaf in learned(model).items()}
    leaves["sources.activation_temp.z"] = (1.0 + 0.5 * rng.normal(size=DRAWS)).astype(np.float32)
    leaves["sources.respiration_ref.z.common"][: DRAWS // 2] += 8.0
    info = {
        "method": "NUTS", "seed": 3, "seconds": 4.5, "settings": {"draws": 200, "target": 0.65}, "observed_days": {"nee": 700},
        "places": {"FR-Pue": {"plant_type": "EBF", "days": {"nee": 400}, "years": [2004, 2005]},
                   "DE-Tha": {"plant_type": "ENF", "days": {"nee": 300}, "years": [2005, 2005]}},
        "left_out": {"FR-Gri": "no vegetation series"}, "diagnostics": {"r_hat_max": 1.52, "ess_min": 7.0, "divergences": 3},
        "concerns": ["3 divergent transitions"],
        "structural_error": {"prior_towers": 10.0, "data_towers": 0.0, "residuals": "none: the prior alone"},
    }  # fmt: skip
    raw = {name: jnp.asarray(np.resize(value, 20), jnp.float32) for name, value in zip(NAMES, prior_of(2)[0], strict=True)}
    stats = {"diverging": np.zeros(DRAWS, bool)}
    return Posterior(with_learned(model, leaves), Indices(("FR-Pue", "DE-Tha"), (2004, 2005)), 2, stats, info, {}, StructuralError(raw))


def test_prior_posterior_and_contraction(posterior):
    table = posterior.summary()
    assert list(table.columns) == list(COLUMNS)
    one = table.set_index("parameter").loc["activation_temp"]
    row = PARAMETERS["activation_temp"]
    centre = float(np.log((row.typical - row.lower) / (row.upper - row.typical)))
    assert one["prior_median"] == pytest.approx(row.typical, rel=0.03)
    assert one["median"] == pytest.approx(float(to_value(centre + row.prior_sd, row)), rel=0.03)
    assert one["q95"] == pytest.approx(float(to_value(centre + row.prior_sd * (1.0 + 0.5 * 1.645), row)), rel=0.03)
    assert one["contraction"] == pytest.approx(0.75, abs=0.06)  # 1 - 0.5^2
    assert table.set_index("parameter").loc["light_saturation"]["contraction"] == pytest.approx(0.0, abs=0.15)


def test_only_types_of_the_fit_and_chains_that_disagree(posterior):
    table = posterior.summary()
    assert set(table[table.parameter == "respiration_ref"].plant_type) == {"EBF", "ENF"}
    assert (table[table.parameter == "respiration_ref"].r_hat > 1.5).all()
    one = table.set_index("parameter").loc["activation_temp"]
    assert one.r_hat < 1.02 and 200 < one.ess < 800


def test_one_point_has_no_contraction_and_no_chains(posterior):
    point = replace(posterior.thin(1), stats={}, structure=None).summary()
    assert point.contraction.isna().all() and point.r_hat.isna().all() and (point["q05"] == point["q95"]).all()


def test_the_text_holds_what_a_user_asks(posterior):
    text = "\n".join(lines(posterior, file="p.nc", towers="towers"))
    for said in (
        "NUTS, seed 3, 4.5 s; draws=200 target=0.65", "2 sites used (1 EBF, 1 ENF); measured days: 700 nee", "FR-Gri: no vegetation series",
        "light_use_efficiency comes from a network of fapar, tair", "the prior counts as 10 towers, the fit as 0", "R-hat at most 1.520",
        "effective draws at least 7", "3 divergent transitions", "light_use_efficiency, sd by site", "structural_days",
        "hybridflux evaluate --posterior p.nc --towers towers --out scores.csv", "hybridflux map --posterior p.nc",
    ):  # fmt: skip
        assert said in text, said
    assert max(map(len, text.splitlines())) < 150
    assert "concerns: none" in "\n".join(lines(replace(posterior, info={**posterior.info, "concerns": []})))


def test_a_file_of_before_has_a_summary_too(posterior):
    assert lines(replace(posterior, info={"method": "MAP"}, structure=None))
