"""Windows of measured days: each day once; likelihood, slopes and misfits of whole series."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hybridflux as hf
from hybridflux.inference import MAP
from hybridflux.inference.batch import Indices, batch, days, measured_days, names_of, series, warm_up_days, windows
from hybridflux.inference.joint import log_likelihood, misfit_by_place
from hybridflux.inference.methods import adam
from hybridflux.inference.windows import TOLERANCE, WARM_UPS, Windows, chosen, distance
from hybridflux.model import Fixed, HybridFlux, Pooled, Sequences, Shared, observe
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.process import light, respiration, stress, water

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]

TIMES, PLACES = 1300, 6
POOL = hf.Variable("litter", "gC m-2", "carbon of fresh litter", (0, 5000), scale=100)
TURNOVER = hf.Parameter("litter_turnover", "d-1", "share of the litter lost in a day", 0.02, 1e-5, 0.5, 1.0, "made up for this test")


@pytest.fixture(scope="module")
def towers():
    """Records that begin late, end early, have gaps of years and days; one place has two targets, dry summers, cold winters."""
    rng, shape = np.random.default_rng(0), (TIMES, PLACES)
    season = np.sin(2 * np.pi * (np.arange(TIMES) - 100) / 365)[:, None] + 0.1 * rng.normal(size=shape)
    drivers = {
        "tair": 8 + 10 * season, "tmin": 3 + 10 * season, "tair_night": 5 + 8 * season, "par": np.maximum(6 + 5 * season, 0.2),
        "rain": rng.exponential(1.5, shape) * (season < 0.5), "fapar": np.clip(0.5 + 0.3 * season, 0, 1),
    }  # fmt: skip
    drivers = {name: values.astype(np.float32) for name, values in drivers.items()}
    targets = {name: rng.normal(size=shape).astype(np.float32) for name in ("nee", "nee_night")}
    targets["nee"][rng.random(shape) < 0.3] = np.nan
    targets["nee_night"][:, 1:] = np.nan
    targets["nee"][555, 3] = 1.0
    for place, (begin, end) in enumerate([(0, TIMES), (700, TIMES), (0, 300), (555, 556), (400, 1000), (10, 20)]):
        outside = np.r_[0:begin, end:TIMES]
        for values in targets.values():
            values[outside, place] = np.nan
    targets["nee"][500:900, 4] = np.nan
    when = np.datetime64("2018-01-01") + np.arange(TIMES).astype("timedelta64[D]")
    return Sequences(tuple("ABCDEF"), when, drivers, targets, {"nee": np.full(shape, 0.3, np.float32)})


@hf.process(variables=[POOL])
def bare(*, tair):
    """Litter before the first day."""
    return {"litter": 100.0 + 0.0 * tair}


@hf.process(parameters=[TURNOVER])
def fed(*, litter, gpp, litter_turnover):
    """Litter at the end of a day, from GPP of the day."""
    return {"litter": litter * (1.0 - litter_turnover) + 0.5 * gpp}


@hf.process(parameters=[TURNOVER])
def decay(*, respiration_ref, litter, litter_turnover):
    """Respiration of the soil and of litter [gC m-2 d-1]."""
    return respiration_ref + litter * litter_turnover


LITTER = hf.Memory(start=bare, after=fed)


def composed(towers, *memory, reco=respiration.basal, **sources):
    """Light, dry soil, and respiration, with rows for the effects of the towers."""
    model = HybridFlux(
        gpp=(light.absorbed, stress.water_ramp), reco=(reco,), memory=(water.BUCKET, *memory),
        sources={"rew_critical": Shared(), "respiration_ref": Shared(), **sources}, observed=(observe.nee(), observe.nee_night()),
    )  # fmt: skip
    return with_places(model, Indices.of(towers).sizes())


MODELS = {
    "large bucket, snow": ((), {"root_zone_capacity": Shared(), "snow_melt": Shared()}, {"sources.root_zone_capacity.z": 1.5}),
    "a bucket a tower": ((), {"root_zone_capacity": Pooled(Shared())}, {}),
    "evaporation of each year": ((), {"evaporation_scalar": Pooled(Shared(), by="site_year")}, {}),
    "litter from GPP": ((LITTER,), {"litter_turnover": Shared(), "root_zone_capacity": Shared(), "reco": decay}, {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_likelihood_slopes_and_misfits_are_those_of_whole_series(towers, name):
    memory, sources, at = MODELS[name]
    model = composed(towers, *memory, **sources)
    leaves = {name: 0.3 * jax.random.normal(jax.random.key(3), leaf.shape) + at.get(name, 0.0) for name, leaf in learned(model).items()}

    @jax.jit
    def found(leaves, data):
        of = lambda leaves: (log_likelihood(with_learned(model, leaves), data), misfit_by_place(with_learned(model, leaves), data, PLACES))  # noqa: E731
        return jax.value_and_grad(of, has_aux=True)(leaves)

    packed = batch(model, towers, jax.tree.map(lambda leaf: leaf[None], leaves))
    assert packed.before
    ((value, misfits), slopes), ((expected, wanted), steep) = found(leaves, packed), found(leaves, series(model, towers))
    assert float(value) == pytest.approx(float(expected), rel=1e-4)
    assert np.all(np.abs(misfits / wanted - 1) < [0.002, 0.002, 0.002, 0.02, 0.002, 0.002]), "the fourth place has one day"
    for name, slope in slopes.items():
        np.testing.assert_allclose(slope, steep[name], rtol=0.01, atol=0.002 * float(jnp.abs(steep[name]).max()) + 1e-3, err_msg=name)


@pytest.mark.parametrize("length", [7, 120, 365])
def test_each_measured_value_is_there_once(towers, length):
    model = composed(towers, root_zone_capacity=Shared())
    packed = Windows.of(measured_days(model, towers), 365, length)
    data = windows(model, towers, packed)
    for name, values in towers.targets.items():
        seen = np.asarray(data.measured[name])
        found = np.sort(np.asarray(data.targets[name])[seen])
        np.testing.assert_array_equal(found, np.sort(values[np.isfinite(values)]))
        where = np.broadcast_to(np.asarray(data.names["site"]), seen.shape)[seen]
        np.testing.assert_array_equal(np.bincount(where, minlength=PLACES), np.isfinite(values).sum(axis=0))
    assert any_measured(data)[0].all(), "each begins with a measured day"
    tair = towers.drivers["tair"]
    np.testing.assert_array_equal(data.before["tair"][-1, 1:], tair[packed.first[1:] - 1, packed.place[1:]])


def any_measured(data):
    return np.any([np.asarray(values) for values in data.measured.values()], axis=0)


def test_a_window_at_the_first_day_begins_with_the_spin_up_of_the_series(towers):
    """Then nothing differs from the series: the first year, walked through once."""
    model = composed(towers, root_zone_capacity=Shared())
    nee = lambda data: np.asarray(model.fluxes(data.names, before=data.before or None)["nee"])  # noqa: E731
    found = nee(windows(model, towers, Windows.of(measured_days(model, towers), 365)))
    np.testing.assert_allclose(found[:, 0], nee(series(model, towers))[: len(found), 0], rtol=1e-6)


def test_years_without_measurements_cost_nothing(towers):
    model = composed(towers, root_zone_capacity=Shared())
    packed = Windows.of(measured_days(model, towers), 365, 50)
    assert not np.any((packed.place == 4) & (packed.first > 550 - 50) & (packed.first < 900))
    assert (packed.place == 3).sum() == 1 and len(packed.first) < 1.3 * measured_days(model, towers).sum() / 0.7 / 50 + PLACES


def test_a_tower_left_out_by_a_member_is_as_if_it_were_not_there(towers):
    """Two updates of Adam reach the same leaves where the place is left out and where it has no measurements."""
    model, reached = composed(towers, root_zone_capacity=Shared()), []
    without = replace(towers, targets={name: np.where(np.arange(PLACES) == 0, np.nan, values) for name, values in towers.targets.items()})
    leaves = {name: jnp.full((1, *leaf.shape), 0.1) for name, leaf in learned(model).items()}
    settings = {"steps": 2, "size": 10**6, "rate": 0.1, "seed": 0, "progress": lambda done, total, message: None}
    for data, away in ((batch(model, towers), np.arange(PLACES)[None] == 0), (batch(model, without), np.zeros((1, PLACES), bool))):
        reached.append(adam.descend(model, data, leaves, leaves, left_out=away, **settings)[0])
    for name, leaf in reached[0].items():
        assert "night" in name or abs(float(leaf[0]) - 0.1) > 0.01
        np.testing.assert_allclose(leaf, reached[1][name], rtol=1e-4, err_msg=name)


def test_minibatches_of_windows_add_up_to_all_of_them(towers):
    model = composed(towers, root_zone_capacity=Shared())
    data = windows(model, towers, Windows.of(measured_days(model, towers), 365, 30))
    steps, share = adam.minibatches(data, 300, np.random.default_rng(0))
    count, time, lanes = steps.targets["nee"].shape
    assert (time, lanes) == (30, 10) and steps.before["tair"].shape == (count, 365, 10) and steps.names["site"].shape == (count, 10)
    assert share == data.targets["nee"].shape[1] / 10
    np.testing.assert_array_equal(np.isin(np.asarray(steps.targets["nee"]), np.asarray(data.targets["nee"])), True)
    parts = jax.vmap(lambda step: log_likelihood(model, step))(steps)
    assert share * float(parts.mean()) == pytest.approx(float(log_likelihood(model, data)), rel=0.15)
    same = jax.tree.map(lambda values: values.shape[1:], adam.minibatches(series(model, towers), 300, np.random.default_rng(0))[0])
    assert same == jax.tree.map(lambda values: values.shape, series(model, towers)), "whole series are one step"


def litter(towers, days):
    """A model whose litter lives so many days, beside a bucket that forgets soon."""
    return composed(towers, LITTER, reco=decay, root_zone_capacity=Fixed(40.0), litter_turnover=Fixed(1.0 / days))


def test_the_warm_up_is_as_long_as_the_memory(towers):
    warm_up = lambda days: warm_up_days(batch(litter(towers, days), towers))  # noqa: E731
    assert warm_up(20) == WARM_UPS[0] and warm_up(60) == WARM_UPS[1]
    assert not batch(litter(towers, 5000), towers).before, "whole series where no warm-up is long enough"
    model, packed = litter(towers, 60), Windows.of(measured_days(litter(towers, 60), towers), WARM_UPS[0])
    zero = jax.tree.map(lambda leaf: leaf[None], learned(model))
    assert distance(model, names_of(model, towers), packed, zero)["litter"] > TOLERANCE


def test_a_stock_or_a_short_record_takes_whole_series(towers):
    stock = replace(LITTER, spin_up=None)
    model = composed(towers, stock, reco=decay, root_zone_capacity=Shared())
    assert chosen(model, names_of(model, towers), measured_days(model, towers)) is None and not batch(model, towers).before
    tables = ({name: values[:100] for name, values in of.items()} for of in (towers.drivers, towers.targets, towers.uncertainty))
    few = Sequences(towers.places, towers.days[:100], *tables)
    assert not batch(composed(few, root_zone_capacity=Shared()), few).before
    assert not batch(composed(towers), towers).before and days(composed(towers), towers).targets["nee"].ndim == 1


def test_a_fit_whose_memory_turns_out_longer_is_done_again(towers, monkeypatch):
    """Litter lives 50 days by the prior; the fit is made to end at 80."""
    model = composed(towers, LITTER, reco=decay, root_zone_capacity=Fixed(40.0), litter_turnover=Shared())
    monkeypatch.setattr("hybridflux.inference.windows.TRIED", 1)
    asked, real = [], MAP.draw

    def draw(self, model, data, key, progress):
        asked.append(warm_up_days(data))
        drawn = real(self, model, data, key, progress)
        slow = jnp.full(1, float(np.log(50 / 80)))
        return drawn._replace(leaves=drawn.leaves | {"sources.litter_turnover.z": slow})

    monkeypatch.setattr(MAP, "draw", draw)
    posterior = MAP(steps=4).fit(model, towers)
    assert asked == [365, 730] and posterior.info["warm_up_days"] == 730
