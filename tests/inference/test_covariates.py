"""A fit settles the scale of a covariate of the user's own, and the posterior file keeps it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.posterior import Posterior
from hybridflux.model import HybridFlux, Neural, Sequences
from hybridflux.model.learned import learned
from hybridflux.process import light, respiration

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]


class Prior(AbstractMethod):
    """Draws that have seen no data."""

    def draw(self, model, data, key, progress):
        leaves = {name: jnp.stack([leaf, leaf + 0.5]) for name, leaf in learned(model).items()}
        return Drawn(leaves, 1, {}, {}, ())


def test_scale_and_range_of_a_covariate_are_saved_with_the_posterior(tmp_path):
    heights = np.array([10.0, 20.0, 36.0], np.float32)
    day = np.ones((40, 3), np.float32)
    drivers = {"par": 8 * day, "fapar": 0.5 * day, "tair": 10 * day, "canopy_height": heights, "plant_type": np.array([0, 3, 3], np.int32)}
    days = np.datetime64("2019-03-01") + np.arange(40)
    sequences = Sequences(("A", "B", "C"), days, drivers, {"nee": -day}, {"nee": 0.1 * day})
    model = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={"light_use_efficiency": Neural("canopy_height")})
    posterior = Prior().fit(model, sequences)
    assert posterior.info["ranges"]["canopy_height"] == [10.0, 36.0]
    posterior.save(tmp_path / "posterior.nc")
    back = Posterior.load(tmp_path / "posterior.nc")
    assert back.model.sources["light_use_efficiency"].own == posterior.model.sources["light_use_efficiency"].own
    assert back.model.sources["light_use_efficiency"].own[0].scale == np.float64(heights.std(dtype=float))
    ours, theirs = (np.asarray(one.simulate(sequences, key=jax.random.key(0))["gpp"]) for one in (posterior, back))
    np.testing.assert_array_equal(ours, theirs)
    assert np.ptp(ours[0, 0]) > 0.01, "taller canopies differ"
