"""Leaves that follow the water in a scenario: the same to the bit without a response, in tiles of any size, and said in the record."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import zarr

from hybridflux.causes import LEAF_DRIVERS, departure_name, greenness_by
from hybridflux.data.gaps import trailing_mean
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.leaf_response import BESIDE_WATER, LEAF_RESPONSE
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sources import Neural, Pooled
from hybridflux.process import light, respiration, stress
from hybridflux.process import water as water_balance
from hybridflux.products import drought_leaves
from hybridflux.products.drought import RUN, drought_table, run_drought, usual_of
from hybridflux.products.drought_leaves import PARTS, slopes
from hybridflux.products.scenario import run_scenario
from hybridflux.products.totals import open_totals
from hybridflux.records import read_record
from hybridflux.region.draws.followed_leaves import change_of, deficit_changes, follow, leaf_departures
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.changeable import check_leaves, why_leaves_are_held
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import job_of_run, map_region
from hybridflux.report.drought_section import drought_section
from hybridflux.report.style import interval, number

pytestmark = pytest.mark.long

DRY = {"rain": "*0.3@2018-04-01:"}
SUMMER = Period("2018-06-01", "2018-08-31")
ZERO = {kind: 0.0 for kind in LEAF_RESPONSE.mean["nirv"]}
NONE = replace(LEAF_RESPONSE, mean={"nirv": ZERO, "lswi": ZERO}, sd={"nirv": ZERO, "lswi": ZERO},
               common_sd={"nirv": 0.0, "lswi": 0.0}, place_sd={"nirv": 0.0, "lswi": 0.0})  # fmt: skip
ONE = replace(NONE, mean={"nirv": {"other": -0.2}, "lswi": {"other": 0.0}}, sd={"nirv": {"other": 0.0}, "lswi": {"other": 0.0}})
"""Every place loses a fifth of its NIRv for each mm d-1, and no LSWI."""


def green_region(path, make_region, tile=12, factor=lambda path: 1.0):
    """Two years of a made-up region with NIRv and LSWI; NIRv times what a function of the store gives."""
    writer = make_region(path, size=(12, 12), tile=tile, days=("2017-01-01", "2018-08-31"), daily={"nirv": {}, "lswi": {}})
    fapar = zarr.open_array(path / "fapar", mode="r")[:] * np.float32(1e-4)
    writer.write_all(fapar, nirv=0.4 * fapar * factor(path), lswi=0.6 * fapar - 0.2)
    return path


def green_posterior(*inputs, water=False):
    """Draws of a model whose GPP is proportional to NIRv, with a network of the named inputs, and perhaps with soil water."""
    memory, stressed = ((water_balance.BUCKET_GREEN,), (stress.water_ramp,)) if water else ((), ())
    sources = {"light_use_efficiency": Pooled(Neural(*inputs, width=4))}
    model = HybridFlux(gpp=(light.absorbed_green, *stressed), reco=(respiration.basal,), memory=memory, sources=sources)
    model = with_places(model, {"site": 2})
    random = np.random.default_rng(1)
    values = {name: jnp.asarray(0.5 * random.normal(size=(6, *leaf.shape)), jnp.float32) for name, leaf in learned(model).items()}
    return Posterior(with_learned(model, values), Indices(("a", "b"), (2018,)), info={})


@pytest.fixture(scope="module")
def region(make_region, tmp_path_factory):
    return green_region(tmp_path_factory.mktemp("green") / "r.zarr", make_region)


@pytest.fixture(scope="module")
def posterior():
    return green_posterior("lswi", "lswi_30d", "nirv_30d", "vpd", water=True)


@pytest.fixture(scope="module")
def scenarios(region, posterior, tmp_path_factory):
    """Folders of the same scenario with leaves that are held, have no response, and follow; the control is mapped once."""
    folder = tmp_path_factory.mktemp("scenarios")
    options = {"draws": posterior.draws, "period": SUMMER}
    run_scenario(posterior, region, DRY, folder / "held", **options, leaves="held")
    for name, leaves in (("none", NONE), ("auto", "auto")):
        run_scenario(posterior, region, DRY, folder / name, **options, control=folder / "held" / "control", leaves=leaves)
    return folder


def gpp(run):
    return open_totals(run).total["GPP"][:]


def test_no_response_changes_nothing(scenarios):
    for group in ("annual", "monthly"):
        held, none = (zarr.open_group(scenarios / name / "changed" / "fluxes.zarr", mode="r")[group] for name in ("held", "none"))
        for name in ("GPP", "GPP_sd", "NEE", "NEE_q05"):
            np.testing.assert_array_equal(held[name][:], none[name][:], err_msg=name)
    np.testing.assert_array_equal(gpp(scenarios / "held" / "changed"), gpp(scenarios / "none" / "changed"))
    assert np.any(gpp(scenarios / "held" / "changed") != gpp(scenarios / "held" / "control"))  # the soil is drier


def test_the_record_says_what_leaves_did_and_intervals_hold_the_response(scenarios):
    said = {name: read_record(scenarios / name / "scenario.json", "written here")["leaves"] for name in ("held", "auto")}
    assert said["held"] == "NIRv and LSWI held"
    assert said["auto"] == f"NIRv and LSWI follow the rain deficit, memory 90 d ({LEAF_RESPONSE.source})"
    effect = {name: (gpp(scenarios / name / "changed") - gpp(scenarios / "held" / "control")).sum(axis=(0, 1)) for name in said}
    added = effect["auto"] / effect["held"] - 1
    assert np.abs(added).min() > 1e-3 and np.std(added) > 1e-3


def test_gpp_goes_with_the_leaves_in_tiles_of_any_size(tmp_path, make_region):
    """Where GPP is proportional to NIRv its relative change is that of NIRv, in every draw."""
    posterior, found = green_posterior("vpd"), {}
    options = {"draws": Draws(posterior.draws, "parameter"), "period": SUMMER}
    for tile, changes in ((12, {}), (12, DRY), (5, DRY)):
        path = green_region(tmp_path / f"r{tile}{len(changes)}.zarr", make_region, tile)
        changed = open_region(path).with_changes(changes)
        map_region(posterior, changed.with_leaves(ONE if changes else None), tmp_path / f"run{tile}{len(changes)}", **options)
        found[tile, bool(changes)] = gpp(tmp_path / f"run{tile}{len(changes)}").sum(axis=(0, 1))
    np.testing.assert_allclose(found[5, True], found[12, True], rtol=1e-5)
    opened = changed.with_leaves(ONE)
    summer = opened.window(*(np.datetime64(day) for day in (SUMMER.start, SUMMER.end)))
    change = deficit_changes(opened, ("nirv",), summer)[change_of("nirv")]
    assert change.min() >= 0 and change.max() > 0.3
    loss = found[12, True] / found[12, False]
    assert np.all(loss > np.exp(-0.2 * change.max()) - 1e-6) and np.all(loss < np.exp(-0.2 * change.min()) + 1e-6) and loss.max() < 0.97


def test_a_running_mean_moves_as_its_days(region):
    opened = open_region(region).with_changes(DRY).with_leaves(LEAF_RESPONSE)
    whole = opened.window(opened.days[0], opened.days[-1])
    changes = {name: one[:, :1] for name, one in deficit_changes(opened, ("nirv", "nirv_30d", "lswi", "lswi_30d", "vpd"), whole).items()}
    assert set(changes) == {change_of(name) for name in ("nirv", "nirv_30d", "lswi", "lswi_30d")}
    slope, season = jnp.array([-0.15]), 0.25 + 0.15 * np.sin(2 * np.pi * (np.arange(len(opened.days)) - 110) / 365.25)[:, None]
    for name, exact in (("nirv", 2e-3), ("lswi", 1e-6)):
        moved = np.asarray(follow(name, season, slope, changes[change_of(name)]))
        mean = np.asarray(follow(f"{name}_30d", trailing_mean(season, 30), slope, changes[change_of(f"{name}_30d")]))
        np.testing.assert_allclose(mean, trailing_mean(moved, 30), rtol=exact)
        assert np.abs(moved / season - 1).max() > 0.05


def test_leaves_that_cannot_follow_are_held_and_say_why(region, region_path, posterior, make_posterior):
    green, needs = open_region(region), posterior.model.needs()
    for store, changes, read, why in (
        (region_path, DRY, make_posterior().model.needs(), "the model reads neither NIRv nor LSWI"),
        (region, {"vpd": "*1.2"}, needs, "no change moves the rain deficit"),
        (region, DRY | {"nirv": "*0.9"}, needs, "`nirv=\\*0.9` says what they do"),
    ):
        with pytest.raises(ValueError, match=f"leaves cannot follow the water: {why}; hold them"):
            check_leaves(open_region(store).with_changes(changes).with_leaves(LEAF_RESPONSE), read)
    assert why_leaves_are_held(green.with_changes({"tair": "+2"}), needs) is None
    assert "usual year" in why_leaves_are_held(green.with_changes(DRY).against({"tair": "typical"}), needs)


def test_a_run_goes_on_with_its_response(scenarios):
    """What a task of a batch system reads in the run folder is the response that the run was begun with, and a run without is another."""
    job = job_of_run(scenarios / "auto" / "changed")
    assert job.region.leaves == LEAF_RESPONSE and job.spec.leaves == LEAF_RESPONSE
    assert job.hash != replace(job.spec, leaves=None).hash
    assert "leaves" not in job_of_run(scenarios / "held" / "control").spec.to_json()


WET, SLOPE = {"rain": "*3", "nirv": "climatology:2017"}, -0.5
KNOWN = replace(NONE, mean={"nirv": dict.fromkeys(ZERO, SLOPE), "lswi": ZERO})


def follows(path):
    """Of NIRv, whose leaves of 2018 have followed the water by a known slope and nothing else."""
    opened, name = open_region(path, check=False), departure_name("water")
    usual = usual_of(opened, ("tair", "par", "rain"), (2017, 2017)) | WET
    deficit = leaf_departures(opened.against(usual), [name], slice(0, len(opened.days)))[name]
    last = (opened.days >= np.datetime64("2018-01-01"))[:, None, None]
    return np.exp(np.where(last, SLOPE * deficit[:, zarr.open_array(path / "cell", mode="r")[:]], 0.0))


@pytest.fixture(scope="module")
def ledgers(make_region, tmp_path_factory):
    """Of a summer in which GPP is in proportion to such leaves, in tiles of 12 and of 5 pixels."""
    folder, posterior = tmp_path_factory.mktemp("ledger"), green_posterior("vpd", water=True)
    for tile in (12, 5):
        path = green_region(folder / f"r{tile}.zarr", make_region, tile, follows)
        run_drought(posterior, path, folder / str(tile), period=SUMMER, usual=WET, years=(2017, 2017), draws=posterior.draws)
    return folder


def greenness_of(table, column="mean"):
    """Greenness and its parts `[place, part]`, of GPP."""
    of = table[(table.variable == "GPP") & table.cause.str.startswith("greenness")]
    return of.pivot_table(index=["zone", "land_cover"], columns="cause", values=column)


def test_greenness_that_only_followed_the_water_goes_through_it(ledgers, monkeypatch):
    """By the slope that made it, applied to the finished run; tiles do not matter, and neither do the other drivers."""
    monkeypatch.setattr(drought_leaves, "RESPONSES", {"water": KNOWN, **dict.fromkeys(BESIDE_WATER, NONE)})
    found = {tile: greenness_of(drought_table(ledgers / tile / RUN)) for tile in ("12", "5")}
    np.testing.assert_allclose(found["12"], found["5"], rtol=1e-4, atol=1e-4)
    assert found["12"].greenness.max() < -5
    np.testing.assert_allclose(found["12"]["greenness_by_water"], found["12"].greenness, rtol=0.1)
    assert (found["12"][[greenness_by(driver) for driver in BESIDE_WATER]] == 0).all(axis=None)


def test_parts_of_greenness_add_up_and_have_the_error_of_the_response(ledgers):
    table = drought_table(ledgers / "12" / RUN)
    names = [greenness_by(part) for part in PARTS]
    for flux in ("GPP", "RECO", "NEE"):
        of = table[table.variable == flux].pivot_table(index=["zone", "land_cover"], columns="cause", values="mean")
        np.testing.assert_allclose(of[names].sum(axis=1), of["greenness"], rtol=1e-5, atol=1e-5)
    mean, sd = (greenness_of(table, column)["greenness_by_water"] for column in ("mean", "sd"))
    assert (sd > 0.15 * mean.abs()).all() and (mean < 0).all()
    html, whole = drought_section(ledgers / "12"), table[(table.zone == "region") & (table.land_cover == "all") & (table.variable == "GPP")]
    of_water = whole.set_index("cause").loc["greenness_by_water"]
    said = f"{number(-of_water['mean'])} ({interval(-of_water.q95, -of_water.q05)}) went with leaves that followed missing rain"
    assert said in html and f"{number(of_water['mean'])}<br>" in html and "of greenness, by missing rain" in html
    drawn = slopes(4, 1)
    assert len({tuple(of[0]) for of in drawn.values()}) == len(LEAF_DRIVERS)
    np.testing.assert_array_equal(drawn["water"], LEAF_RESPONSE.drawn(4, 1)["nirv"])  # a scenario of this seed has the same leaves
