"""What is refused before the first step of a fit, and what is reported after its last."""

import warnings
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from hybridflux.inference import MAP, NUTS, Ensemble
from hybridflux.inference.batch import batch
from hybridflux.inference.checks import at_bounds
from hybridflux.inference.methods import METHODS
from hybridflux.inference.methods.base import AbstractMethod, Drawn, InferenceWarning
from hybridflux.inference.methods.ensemble import behind_the_best, concerns
from hybridflux.inference.methods.settings import method_of
from hybridflux.inference.posterior import Indices, Posterior
from hybridflux.model import HybridFlux, Neural, Pooled, Sequences, Shared, StudentT, observe
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.noise import Laplace
from hybridflux.process import light, respiration
from tests.inference.conftest import dark_series

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]


class Never(AbstractMethod):
    """A method that must not begin."""

    def draw(self, model, data, key, progress):
        raise AssertionError("the fit began")


class Stub(AbstractMethod):
    """A method that draws the prior medians."""

    def draw(self, model, data, key, progress):
        return Drawn({name: jnp.zeros((2, *leaf.shape)) for name, leaf in learned(model).items()}, 1, {}, {}, ())


def nameless():
    """A source and an error of the user's that no file can name."""

    class OwnSource(Shared):
        pass

    class OwnNoise(Laplace):
        pass

    return OwnSource(), OwnNoise()


def own_factor(fapar, par, light_use_efficiency):
    return fapar * par * light_use_efficiency


def model_of(gpp=light.absorbed, source=None, noise=None):
    return HybridFlux(
        gpp=(gpp,), reco=(respiration.basal,), sources={"respiration_ref": source or Shared()}, observed=(observe.nee(noise),)
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (model_of(gpp=own_factor), "own_factor"),
        (model_of(gpp=partial(light.absorbed)), "partial"),
        (model_of(source=nameless()[0]), "OwnSource"),
        (model_of(noise=nameless()[1]), "OwnNoise"),
    ],
    ids=["process", "partial", "source", "noise"],
)
def test_a_model_that_cannot_be_saved_is_refused_before_the_first_step(model, said, plain_series):
    with pytest.raises(ValueError, match=f"cannot be saved: .*{said}"):
        Never().fit(model, plain_series)


@pytest.fixture
def as_users_call():
    """Without the checks of annotations, which only tests have: what hybridflux itself says of a wrong type."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_call")
@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "one"], ids=str)
def test_a_seed_that_cannot_seed_is_refused(seed, plain_model, plain_series):
    with pytest.raises(ValueError, match="is not a whole number from 0 to"):
        Never().fit(plain_model, plain_series, seed=seed)


def test_two_sites_of_one_name_are_refused(plain_model, plain_series):
    same = Sequences(("FR-Pue", "FR-Fon", "FR-Pue"), plain_series.days, plain_series.drivers, plain_series.targets, {})
    with pytest.raises(ValueError, match="FR-Pue is there twice"):
        Never().fit(plain_model, same)


def test_a_target_that_was_never_measured_is_reported(plain_series):
    model = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={"respiration_ref": Shared()},
                       observed=(observe.nee(StudentT()), observe.nee_night(StudentT())))  # fmt: skip
    with pytest.warns(InferenceWarning, match="nee_night was never measured.*fitted to nee alone"):
        posterior = Stub().fit(model, plain_series)
    assert len(posterior.info["concerns"]) == 1
    assert posterior.info["observed_days"] == {"nee": int(np.isfinite(plain_series.targets["nee"]).sum())}


def test_sites_left_out_stand_in_the_posterior_and_its_file(plain_model, plain_series, tmp_path):
    series = replace(plain_series, left_out={"XX-Gap": "no flux file"})
    Stub().fit(plain_model, series).save(tmp_path / "p.nc")
    info = Posterior.load(tmp_path / "p.nc").info
    assert info["left_out"] == {"XX-Gap": "no flux file"}
    assert info["places"]["P1"]["plant_type"] == "ENF" and info["places"]["P1"]["years"] == [2019, 2019]
    assert sum(place["days"]["nee"] for place in info["places"].values()) == info["observed_days"]["nee"]


@pytest.mark.parametrize(("z", "reported"), [(0.0, 0), (15.0, 1), (-15.0, 1)])
def test_a_parameter_at_its_bound_is_reported(plain_model, z, reported):
    stacked = with_learned(plain_model, {name: jnp.full((3, *leaf.shape), 0.0) for name, leaf in learned(plain_model).items()})
    stacked = with_learned(stacked, {"sources.respiration_ref.z": jnp.full(3, z)})
    found = at_bounds(Posterior(stacked, Indices(("P0",), (2019,))), np.zeros(1, int))
    assert len(found) == reported and all("`respiration_ref` ended at" in sentence for sentence in found)


@pytest.mark.usefixtures("as_users_call")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ensemble(members=0), "`members` = 0 is not a whole number from 1 on"),
        (lambda: Ensemble(members=8.5), "`members` = 8.5 is not a whole number"),
        (lambda: MAP(rate=-0.1), "`rate` = -0.1 is not a positive number"),
        (lambda: MAP(rate=float("nan")), "`rate` = nan is not a positive number"),
        (lambda: NUTS(target=1.0), "`target` = 1.0 is not between 0 and 1"),
        (lambda: NUTS(rounds=-1), "`rounds` = -1 is not a whole number from 0 on"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_setting_outside_its_range_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_settings_of_text_are_typed_by_the_method():
    assert method_of("ensemble", ["members=16", " rate = 0.01 "]) == Ensemble(members=16, rate=0.01)
    assert method_of("nuts", ["rounds=0", "target=0.9"]) == NUTS(rounds=0, target=0.9)
    assert {type(method_of(name)).__name__ for name in METHODS.own} == {reference.partition(":")[2] for reference in METHODS.own.values()}


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("ensemble", ["member=16"], r"no setting `member`; there are members=8, steps=2000, size=4096, rate=0.02. Did you mean `members`"),
        ("ensemble", ["members=many"], "`members` = many is not a whole number from 1 on"),
        ("ensemble", ["members=1e3"], "`members` = 1e3 is not a whole number"),
        ("ensemble", ["rate=0,02"], "`rate` = 0,02 is not a positive number"),
        ("ensemble", ["members"], "`members` is not a setting; write --set members=8"),
        ("ensemble", ["members=4", "members=5"], "set twice"),
        ("map", ["members=4"], "map has no setting `members`"),
        ("nuts", ["target=2"], "`target` = 2.0 is not between 0 and 1"),
        ("mcmc", [], "no posterior method `mcmc`. There are map"),
    ],
    ids=str,
)
def test_a_wrong_setting_names_the_cure(name, settings, said):
    with pytest.raises(ValueError, match=said):
        method_of(name, settings)


def test_members_are_compared_on_the_towers_they_share():
    """Four members, each without one of four towers, one of which is hard: all fit alike; the mean over own towers would differ."""
    hardness, away = np.array([0.1, 0.1, 0.1, 2.0]), np.eye(4, dtype=bool)
    after = np.tile(hardness, (4, 1))
    before = after + 1.0
    own = np.where(away, 0.0, after).sum(axis=1)
    assert own.max() - own.min() > 0.1 * (np.where(away, 0.0, before).sum(axis=1).mean() - own.min())  # the false alarm of before
    assert concerns(behind_the_best(before, after, away), 2000) == ()
    late = after.copy()
    late[2] += 0.3
    (said,) = concerns(behind_the_best(before, late, away), 2000)
    assert said.startswith("1 of 4 members") and "--set steps=4000" in said
    behind = behind_the_best(before, np.where(np.arange(4) == 1, np.nan, late), away)  # a tower without a measurement
    assert np.isfinite(behind).all() and behind.argmax() == 2


def test_an_ensemble_of_towers_of_unlike_difficulty_raises_no_alarm(plain_model):
    series = dark_series([2.3] * 6, seed=5, days=150)
    nee = series.targets["nee"].copy()
    nee[:, 2] += np.random.default_rng(0).normal(scale=6.0, size=len(nee)).astype(np.float32)
    nee[20:, 4] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error", InferenceWarning)
        some = Sequences(series.places, series.days, series.drivers, {"nee": nee}, {})
        posterior = Ensemble(members=6, steps=300).fit(plain_model, some, seed=1)
    assert max(posterior.info["diagnostics"]["behind_the_best"]) < 0.1


def drawn(method, model, series):
    data = batch(model := with_places(model, Indices.of(series).sizes()), series)
    return method.draw(model, data, jax.random.key(0), lambda *_: None)


@pytest.mark.parametrize("method", [MAP, partial(Ensemble, members=2)], ids=["MAP", "Ensemble"])
@pytest.mark.parametrize("networks", [False, True], ids=["numbers", "networks"])
def test_a_fit_that_ends_before_it_arrives_says_so(method, networks, pooled_model, pooled_series):
    """Of three steps, and of thirty of Adam, the log posterior density still rises at the end; with the default steps nothing is said."""
    network = Pooled(Neural("plant_type", "tair"), spread=0.5)
    sources = pooled_model.sources | ({"respiration_ref": network} if networks else {})
    model = HybridFlux(gpp=pooled_model.gpp, reco=pooled_model.reco, sources=sources, observed=tuple(pooled_model.observed.values()))
    for steps in (3, 30) if networks or method is not MAP else (3,):
        (said,) = [one for one in drawn(method(steps=steps), model, pooled_series).concerns if "ended before it arrived" in one]
        assert said.endswith(f"its {steps} {'steps' if 'search' in said else 'updates'}; use more of them (steps = 2000; --set steps=2000)")
    assert drawn(method(), model, pooled_series).concerns == ()


def test_what_a_fit_says_of_its_end_stands_in_the_posterior(pooled_model, pooled_series):
    with pytest.warns(InferenceWarning, match=r"the log posterior density still rose by \d+ in the last quarter of its 3 steps"):
        posterior = MAP(steps=3).fit(pooled_model, pooled_series)
    assert any("ended before it arrived" in concern for concern in posterior.info["concerns"])


def test_nuts_reports_warm_up_sampling_and_chains_and_draws_the_same_in_any_blocks(plain_model, plain_series, monkeypatch):
    method, said = NUTS(warmup=11, draws=12, chains=2, mode_steps=40, rounds=0), []
    draws = []
    for blocks in (5, 1):
        monkeypatch.setattr("hybridflux.inference.methods.nuts.BLOCKS", blocks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InferenceWarning)  # so short a run has not converged
            posterior = method.fit(plain_model, plain_series, seed=4, progress=lambda *what: said.append(what))
        draws.append(learned(posterior.model)["sources.respiration_ref.z"])
        assert posterior.draws == 24 and posterior.stats["diverging"].shape == (24,)
    np.testing.assert_allclose(*draws, rtol=1e-4, atol=1e-5)
    steps = [(done, total, message) for done, total, message in said if total == 23]
    assert [done for done, _, _ in steps] == [5, 10, 15, 20, 23, 23]
    assert steps[0][2] == "warm-up 5/11, 2 chains" and steps[2][2].startswith("sampling 4/12, 2 chains")
