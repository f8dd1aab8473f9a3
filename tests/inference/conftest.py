"""A posterior that can be computed by hand: constant respiration seen through known Gaussian-like noise."""

import numpy as np
import pytest

from hybridflux.model import Fixed, HybridFlux, Pooled, Sequences, Shared, StudentT, observe
from hybridflux.process import light, respiration

SD, MEAN, DAYS, PLACES = 0.5, 2.3, 200, 3


@pytest.fixture(scope="session")
def plain_model():
    """Reco is one number, GPP is zero in the dark, the error is known: only `respiration_ref` learns from the data."""
    noise = StudentT(floor=Fixed(SD), slope=Fixed(1e-3), tail=Fixed(39.0))
    return HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal,),
        sources={"respiration_ref": Shared(), "light_use_efficiency": Shared()},
        observed=(observe.nee(noise),),
    )


@pytest.fixture(scope="session")
def pooled_model():
    """The same with an effect of the place."""
    noise = StudentT(floor=Fixed(SD), slope=Fixed(1e-3), tail=Fixed(39.0))
    return HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal,),
        sources={"respiration_ref": Pooled(Shared(), spread=0.5)},
        observed=(observe.nee(noise),),
    )


def dark_series(means, seed=0, days=DAYS):
    """Sequences of dark days whose NEE scatters around one mean per place, with gaps."""
    rng = np.random.default_rng(seed)
    nee = np.asarray(means)[None, :] + SD * rng.normal(size=(days, len(means)))
    nee[rng.random(nee.shape) < 0.2] = np.nan
    zero = np.zeros(nee.shape, np.float32)
    drivers = {"par": zero, "fapar": zero + 0.5, "tair": zero + 10.0, "plant_type": np.zeros(len(means), np.int32)}
    start = np.datetime64("2019-03-01")
    when = np.arange(start, start + np.timedelta64(days, "D"))
    return Sequences(tuple(f"P{i}" for i in range(len(means))), when, drivers, {"nee": nee.astype(np.float32)}, {})


@pytest.fixture(scope="session")
def plain_series():
    """Three places of the same respiration."""
    return dark_series([MEAN] * PLACES)


@pytest.fixture(scope="session")
def pooled_series():
    """Twelve places that differ."""
    return dark_series(2.3 * np.exp(0.4 * np.random.default_rng(5).normal(size=12)), seed=1)
