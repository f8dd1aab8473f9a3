"""A small model, a posterior of known draws and towers it describes exactly."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import PerClass, Pooled, Shared
from hybridflux.process import light, respiration, stress
from hybridflux.vocabulary import PLANT_TYPES

DAYS = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
CODES = ("ENF", "DBF", "ENF", "CRO")


def drivers(codes=CODES, seed=0):
    """Plausible weather `[time, place]`; soil always wet."""
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), len(codes))
    season = np.sin(2 * np.pi * (np.arange(len(DAYS)) - 100) / 365)[:, None]
    return {
        "tair": (10 + 8 * season + 3 * rng.normal(size=shape)).astype(np.float32),
        "par": (6 + 3 * season + rng.random(shape)).astype(np.float32),
        "fapar": np.broadcast_to(0.5 + 0.3 * season, shape).astype(np.float32),
        "vpd": (5 + 3 * season + 2 * rng.random(shape)).astype(np.float32),
        "plant_type": np.array([PLANT_TYPES.index(code) for code in codes], np.int32),
    }


def stacked(model, draws, spread=1.0, seed=0):
    """`model` with `draws` random values of everything learned, of standard deviation `spread`."""
    key = jax.random.key(seed)
    leaves = learned(model)
    values = {
        name: spread * jax.random.normal(jax.random.fold_in(key, at), (draws, *leaf.shape))
        for at, (name, leaf) in enumerate(leaves.items())
    }
    return with_learned(model, values)


@pytest.fixture(scope="module")
def toy():
    """What tests build their own towers and posteriors from."""
    return SimpleNamespace(days=DAYS, codes=CODES, drivers=drivers(), stacked=stacked)


@pytest.fixture(scope="module")
def posterior():
    """40 draws of a model with site effects, fitted (as it were) to the sites S0 to S2."""
    model = HybridFlux(
        gpp=(light.absorbed, stress.vpd_exponential),
        reco=(respiration.basal, respiration.lloyd_taylor),
        sources={"light_use_efficiency": Pooled(PerClass()), "respiration_ref": Pooled(Shared()), "vpd_sensitivity": Shared()},
    )
    indices = Indices(("S0", "S1", "S2"), (2001, 2002))
    return Posterior(stacked(with_places(model, indices.sizes()), 40, spread=0.3), indices)


@pytest.fixture(scope="module")
def sequences(posterior):
    """Four towers whose observations are one predictive draw; S3 was not in the fit. Every third day is missing."""
    bare = Sequences(tuple(f"S{at}" for at in range(len(CODES))), DAYS, drivers(), {}, {})
    drawn = posterior.thin(60).simulate(bare, key=jax.random.key(99), noise=True)
    targets = {name: np.array(values)[7] for name, values in drawn.items()}
    for values in targets.values():
        values[::3] = np.nan
    targets["reco"][:, 1] = np.nan
    return Sequences(bare.places, DAYS, bare.drivers, targets, {}, latitude=np.full(len(CODES), 48.0), longitude=np.full(len(CODES), 2.0))
