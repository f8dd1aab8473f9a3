"""The likelihood: masks, weights, days equal series, minibatches unbiased, numpyro agrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import log_density

from hybridflux.inference.batch import batch, days, memory_is_known, series
from hybridflux.inference.joint import joint, log_likelihood, log_prior
from hybridflux.inference.methods.adam import minibatches
from hybridflux.inference.methods.fisher_whitening import information, whitened
from hybridflux.model import HybridFlux, Sequences, Shared, observe
from hybridflux.model.compositions import get
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.process import light, respiration, stress, water
from hybridflux.vocabulary import PARAMETERS
from tests.inference.conftest import SD

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    shape = (500, 4)
    season = np.sin(2 * np.pi * (np.arange(500) - 100) / 365)[:, None] + np.zeros(shape)
    drivers = {
        "tair": 10 + 8 * season, "tmin": 5 + 8 * season, "tair_night": 7 + 8 * season, "par": 6 + 4 * season, "vpd": 5 + 4 * season,
        "rain": rng.exponential(2, shape), "fapar": 0.5 + 0.3 * season, "day_fraction": 0.5 + 0.1 * season,
    }  # fmt: skip
    drivers = {name: values.astype(np.float32) for name, values in drivers.items()}
    drivers |= {"plant_type": np.array([0, 3, 9, 11], np.int32), "soil_capacity": np.full(4, 120, np.float32)}
    targets = {name: rng.normal(size=shape).astype(np.float32) for name in ("nee", "nee_night")}
    for values in targets.values():
        values[rng.random(shape) < 0.4] = np.nan
    sequences = Sequences(tuple("ABCD"), np.datetime64("2018-01-01") + np.arange(500).astype("timedelta64[D]"), drivers, targets, {})
    return with_places(get("static"), {"site": 4}), sequences


def test_days_and_series_have_one_likelihood(case):
    model, sequences = case
    assert memory_is_known(model)
    one, other = (float(log_likelihood(model, data)) for data in (days(model, sequences), series(model, sequences)))
    assert one == pytest.approx(other, rel=1e-4)


def test_learned_memory_needs_whole_series(case):
    model = HybridFlux(
        gpp=(light.absorbed, stress.water_ramp), reco=(respiration.basal,), memory=(water.BUCKET,), sources={"root_zone_capacity": Shared()}
    )
    assert not memory_is_known(model)
    data = batch(with_places(model, {}), case[1])
    slope = jax.grad(lambda leaves: log_likelihood(with_learned(model, leaves), data))(learned(model))
    assert np.isfinite(slope["sources.root_zone_capacity.z"]) and slope["sources.root_zone_capacity.z"] != 0


def test_values_under_the_mask_do_not_matter_not_even_in_the_gradient(case):
    model, sequences = case
    data = series(model, sequences)
    wild = data._replace(targets={name: jnp.where(data.measured[name], values, 1e9) for name, values in data.targets.items()})
    grad = jax.grad(lambda leaves, data: log_likelihood(with_learned(model, leaves), data))
    for name, slope in grad(learned(model), data).items():
        np.testing.assert_allclose(slope, grad(learned(model), wild)[name], rtol=1e-6, err_msg=name)


def test_weight_is_a_power_of_the_likelihood(case):
    model, sequences = case
    single = HybridFlux(gpp=model.gpp, reco=model.reco, sources=model.sources, memory=model.memory, observed=(observe.nee(weight=1.0),))
    half = HybridFlux(gpp=model.gpp, reco=model.reco, sources=model.sources, memory=model.memory, observed=(observe.nee(weight=0.5),))
    full, tempered = (float(log_likelihood(m, series(m, sequences))) for m in (single, half))
    assert tempered == pytest.approx(0.5 * full, rel=1e-5)


def test_known_random_error_widens_the_density(case):
    model, sequences = case
    noisy = Sequences(
        sequences.places, sequences.days, sequences.drivers, sequences.targets, {"nee": np.full_like(sequences.targets["nee"], 3.0)}
    )
    assert np.all(series(model, noisy).known["nee"] == 3.0)
    assert float(log_likelihood(model, series(model, noisy))) != float(log_likelihood(model, series(model, sequences)))


def test_minibatches_add_up_to_all_days(case):
    model, sequences = case
    data = days(model, sequences)
    steps, share = minibatches(data, 128, np.random.default_rng(0))
    parts = jax.vmap(lambda step: log_likelihood(model, step))(steps)
    assert share * float(parts.mean()) == pytest.approx(float(log_likelihood(model, data)), rel=0.05)


def test_numpyro_density_is_ours_up_to_a_constant(case):
    model, sequences = case
    data = days(model, sequences)
    points = [jax.tree.map(lambda leaf, size=size: leaf + size, learned(model)) for size in (0.0, 0.4)]
    ours = [float(log_likelihood(with_learned(model, p), data) + log_prior(with_learned(model, p))) for p in points]
    theirs = [float(log_density(joint, (model, data), {}, p)[0]) for p in points]
    assert theirs[1] - theirs[0] == pytest.approx(ours[1] - ours[0], rel=1e-3)


def test_information_of_a_known_case(plain_model, plain_series):
    """Days of reco = value(z) with a known error: information = n (d value / dz / sd)^2, nothing on what the dark hides."""
    point = learned(plain_model)
    names = sorted(point)
    matrix = np.asarray(information(plain_model, series(plain_model, plain_series), point, {}))
    row = PARAMETERS["respiration_ref"]
    at = (row.typical - row.lower) / (row.upper - row.lower)
    steepness = (row.upper - row.lower) * at * (1 - at) * row.prior_sd
    seen = np.isfinite(plain_series.targets["nee"]).sum()
    expected = seen * (steepness / SD) ** 2
    where = names.index("sources.respiration_ref.z")
    assert matrix[where, where] == pytest.approx(expected, rel=0.02)
    assert matrix[1 - where, 1 - where] == 0


def test_white_coordinates_keep_the_density(case):
    """Moving in white coordinates changes potential and volume together: the density of the leaves is the same function."""
    model, sequences = case
    data = days(model, sequences)
    mode = jax.tree.map(lambda leaf: leaf + 0.1, learned(model))
    white = whitened(model, data, mode)
    count = sum(leaf.size for leaf in mode.values())
    at_mode = white.leaves(jnp.zeros(count))
    for name, leaf in mode.items():
        np.testing.assert_allclose(at_mode[name], leaf, rtol=1e-4, atol=1e-5)
    spread = "sources.light_use_efficiency.z.spread"
    step = 0.5 * jax.random.normal(jax.random.key(0), (count,))
    flat = lambda at: jax.flatten_util.ravel_pytree(white.leaves(at))[0]  # noqa: E731
    volume = lambda at: np.linalg.slogdet(np.asarray(jax.jacfwd(flat)(at), float))[1]  # noqa: E731
    assert float(white.leaves(step)[spread]) != pytest.approx(float(mode[spread]))
    change = float(white.log_volume(step) - white.log_volume(jnp.zeros(count)))
    assert volume(step) - volume(jnp.zeros(count)) == pytest.approx(change, abs=1e-3)


def test_a_missing_driver_is_named(case):
    model, sequences = case
    without = {name: values for name, values in sequences.drivers.items() if name != "vpd"}
    with pytest.raises(ValueError, match="needs vpd"):
        series(model, Sequences(sequences.places, sequences.days, without, sequences.targets, {}))
