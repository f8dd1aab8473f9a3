"""A stress function, a memory and an observation operator of a user's own: declared, checked, fitted, saved, read, mapped."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import hybridflux as hf
from hybridflux.evaluate.alive import effect_of_leaves, effect_of_parameters
from hybridflux.inference.batch import names_of
from hybridflux.model import outside
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]

KEPT = (*hf.KEEP, hf.DailyMaps())
FILES = ("my_heat", "my_litter", "my_runoff")
DAYS = np.arange(np.datetime64("2017-01-01"), np.datetime64("2018-03-01"))


def weather(places):
    """Two winters and a summer, `[time, place]`."""
    rng = np.random.default_rng(1)
    season = -np.cos(2 * np.pi * np.arange(len(DAYS)) / 365)[:, None] + 0.1 * rng.normal(size=(len(DAYS), places))
    series = {"tair": 12 + 14 * season, "par": np.clip(6 + 5 * season, 0.3, 14), "rain": rng.gamma(0.3, 9.0, season.shape)}
    return {name: values.astype(np.float32) for name, values in series.items()}


@pytest.fixture(scope="module")
def series():
    """Two towers whose measurements are the prior median of each model, with errors."""

    def made(model):
        drivers = weather(2) | {"fapar": np.full((len(DAYS), 2), 0.7, np.float32), "plant_type": np.array([0, 3], np.int32)}
        blank = hf.Sequences(("A", "B"), DAYS, drivers, {}, {})
        fluxes = with_places(model, {"site": 2}).fluxes(names_of(model, blank))
        rng = np.random.default_rng(2)
        noisy = {name: np.asarray(fluxes[name]) + 0.1 * rng.normal(size=(len(DAYS), 2)) for name in model.observed}
        return replace(blank, targets={name: values.astype(np.float32) for name, values in noisy.items()})

    return made


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """A field of 8 x 6 pixels with the weather of the towers."""
    grid = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (8, 6), 8)
    air = weather(1)
    rest = dict(tmin=air["tair"] - 5, vpd=0 * air["tair"] + 8, par_potential=air["par"] + 8, day_fraction=0 * air["tair"] + 0.5)
    air |= rest | {"co2": 0 * air["tair"] + 400}
    kinds, capacity = np.full((8, 6), PLANT_TYPES.index("CRO")), np.full((8, 6), 120.0)
    maps = RegionMaps(kinds, capacity, zone=np.ones((8, 6), int), zone_names={1: "all"})
    writer = create_region(tmp_path_factory.mktemp("region") / "field.zarr", grid, maps, RegionWeather(DAYS, air, utc_offset=1))
    writer.write_all(np.full((len(DAYS), 8, 6), 0.7))
    return writer.path


def small(posterior):
    """One draw of a posterior."""
    return with_learned(posterior.model, {name: leaf[0] for name, leaf in learned(posterior.model).items()})


@pytest.mark.parametrize("name", FILES)
def test_fit_save_load_map(name, mine, series, region, tmp_path):
    model = mine(name).model
    posterior = hf.MAP(steps=8).fit(model, series(model), seed=1)
    posterior.save(tmp_path / "p.nc")
    again = hf.Posterior.load(tmp_path / "p.nc")
    assert to_spec(again.model) == to_spec(model) and again.summary().notna()["units"].all()
    with pytest.warns(UserWarning, match="no tower of the posterior has plant type CRO"):
        period = hf.Period("2018-02-01", "2018-02-28")
        hf.map_region(again, region, tmp_path / "run", draws=hf.Draws(1, "parameter"), period=period, keep=KEPT)
    found = xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="daily").load()
    drivers = {one: jnp.asarray(values) for one, values in weather(1).items()} | {"fapar": jnp.full((len(DAYS), 1), 0.7)}
    drivers |= {"plant_type": jnp.array([PLANT_TYPES.index("CRO")]), "site": jnp.array([-1])}
    whole = small(again).fluxes(drivers)  # CPU kernel and whole series walk through a day in one order
    for flux in ("NEE", "GPP", "RECO"):
        expected = np.broadcast_to(whole[flux.lower()], (len(DAYS), 1))[DAYS >= np.datetime64("2018-02-01"), 0]
        np.testing.assert_allclose(found[flux].values[:, 3, 2], expected, atol=0.0011)


@pytest.mark.parametrize("name", FILES)
def test_parameters_of_ones_own_are_alive_and_bounded(name, mine, series):
    model = with_places(mine(name).model, {"site": 2})
    names = {one: jnp.asarray(values) for one, values in names_of(model, series(model)).items()}
    own = {one for one, row in model.rows.items() if row is not hf.PARAMETERS.get(one) and one in model.sources}
    effects = effect_of_parameters(model, names)
    assert all(effects[one] > 1e-3 for one in own)
    leaves = effect_of_leaves(model, names)
    assert all(effect > 0 for one, effect in leaves.items() if not one.endswith((".effect", ".spread", "plant_type")))
    for fn in {*model.functions(), *(one.predict for one in model.observed.values())}:
        if fn.__module__ == name:
            hf.check_process(fn, rows=model.rows)


def test_the_pool_is_fed_by_gpp_of_the_days_before(mine):
    """litter(t + 1) = (1 - turnover) litter(t) + share gpp(t): the flux of a day does not see its own litter."""
    model = mine("my_litter").model
    drivers = weather(1) | {"fapar": np.full((len(DAYS), 1), 0.7, np.float32), "plant_type": np.array([3])}
    fluxes = {one: np.asarray(values) for one, values in model.fluxes(drivers, also=("drainage",)).items()}
    expected = 0.98 * fluxes["litter"][:-1] + 0.2 * fluxes["gpp"][:-1]
    np.testing.assert_allclose(fluxes["litter"][1:], expected, rtol=1e-5)
    assert fluxes["litter"][0] > 10.0, "spun up over the first year"
    assert (fluxes["drainage"] >= 0).all() and fluxes["drainage"].sum() > 0
    kept = mine("my_litter")
    stock = hf.HybridFlux(gpp=model.gpp, reco=model.reco, sources={}, memory=(hf.water.BUCKET, replace(kept.LITTER, spin_up=None)))
    assert float(stock.fluxes(drivers)["litter"][0, 0]) == 0.0, "a stock begins at its start"


def test_what_is_observed_can_be_predicted_with_its_error(mine, series):
    model = mine("my_runoff").model
    posterior = hf.MAP(steps=4).fit(model, series(model), seed=1)
    found = posterior.predict(series(model), variables=("lysimeter", "latent_heat", "evapotranspiration", "rew"))
    assert found["lysimeter"].attrs["units"] == "mm d-1"
    np.testing.assert_allclose(found["latent_heat"], 2.45e6 / 86400 * found["evapotranspiration"], rtol=1e-5)
    assert float(posterior.predict(series(model), noise=True, variables=("lysimeter",))["lysimeter"].std()) > 0.1
    with pytest.raises(ValueError, match="no error of rew is known"):
        posterior.predict(series(model), noise=True, variables=("rew",))


def test_a_target_is_read_from_the_column_that_its_row_names(mine, tmp_path):
    from hybridflux.data.archives import Archive
    from hybridflux.data.fluxnet import Quality, read_tower

    days = [f"2018{month:02d}{day:02d}" for month in (1, 2) for day in range(1, 29)]
    columns = dict(TA_F=5.0, SW_IN_F=90.0, VPD_F=4.0, P_F=1.0, NEE_VUT_REF=-1.0, NEE_VUT_REF_QC=1.0)
    columns |= dict(LYS=0.4, LE_F_MDS=30.0, LE_F_MDS_QC=0.5)
    rows = [",".join(("TIMESTAMP", *columns)), *(",".join((day, *map(str, columns.values()))) for day in days)]
    (tmp_path / "FLX_XX-Own_FLUXNET2015_SUBSET_DD.csv").write_text("\n".join(rows))
    more = mine("my_runoff").model.targets()[1:]
    frame = read_tower(Archive("XX-Own", tmp_path / "FLX_XX-Own_FLUXNET2015_SUBSET_DD.csv", "DD"), Quality(0.75), more=more)
    assert (frame["lysimeter"] == 0.4).sum() == 56 and frame["latent_heat"].isna().all(), "half-filled days do not count"


@pytest.fixture
def spec(mine):
    return json.loads(json.dumps(to_spec(mine("my_heat").model)))


@pytest.mark.parametrize("text", ["os:system", "subprocess:run", "builtins:exec", "my_heat:jnp", "my_heat:HALF", "my_heat:model"])
def test_a_hostile_file_gets_nothing_but_declared_processes(text, spec):
    with pytest.raises(ValueError, match=f"`{text}` is no process.*refused"):
        from_spec(spec | {"gpp": [text]})


def test_a_module_that_nobody_named_is_refused_and_not_imported(spec, folder):
    shutil.copy(folder / "my_heat.py", folder / "never_named.py")
    with pytest.raises(ValueError, match=r"`never_named:heat`, from outside hybridflux; if you trust it.*--with never_named.py"):
        from_spec(spec | {"gpp": ["never_named:heat"]})
    assert "never_named" not in sys.modules
    assert outside.load([folder / "never_named.py"])[0].heat is from_spec(spec | {"gpp": ["light.absorbed", "never_named:heat"]}).gpp[1]
    assert str(folder / "never_named.py") in outside.loaded()


def test_an_installed_package_announces_its_processes(spec, folder, monkeypatch):
    shutil.copy(folder / "my_heat.py", folder / "announced.py")
    point = SimpleNamespace(module="announced")
    monkeypatch.setattr(outside, "installed", lambda kind: {"heat": point} if kind == "processes" else {})
    assert from_spec(spec | {"gpp": ["light.absorbed", "announced:heat"]}).gpp[1].__name__ == "heat"


def test_a_changed_source_is_a_warning_that_names_it(spec):
    [name] = spec["outside"]
    with pytest.warns(outside.ChangedProcess, match="the source of my_heat:heat is not the one that this file was written with"):
        from_spec(spec | {"outside": {name: "0" * 64}})


def test_a_file_of_ones_own_may_be_a_model_and_is_named_to_read_it_again(folder, tmp_path, series, mine):
    """`--model my_heat.py`, then another process that knows the file by `--with` alone."""
    posterior = hf.MAP(steps=4).fit(mine("my_heat").model, series(mine("my_heat").model))
    posterior.save(tmp_path / "p.nc")
    code = "from hybridflux.model import outside; import hybridflux as hf; {} print(hf.Posterior.load('p.nc').model.gpp[1].__name__)"
    run = lambda text: subprocess.run([sys.executable, "-c", code.format(text)], cwd=tmp_path, capture_output=True, text=True)  # noqa: E731
    refused = run("")
    assert refused.returncode and "--with my_heat.py" in refused.stderr
    assert run(f"outside.load([{str(folder / 'my_heat.py')!r}]);").stdout == "heat\n"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: hf.process(parameters=[hf.Parameter("q10", "1", "m", 2.0, 1.0, 4.0, 0.5, "s")]), "`f` declares `q10`, which is a name of"),
        (lambda: hf.process(parameters=[hf.Parameter("mine", "1", "m", 2.0, 1.0, 4.0, 0.5, "s")]), "`mine`, which is not among its arg"),
        (lambda: hf.Parameter("mine", "", "m", 5.0, 1.0, 4.0, 0.0, ""), "unit is empty.*no source.*not all inside its bounds.*not above 0"),
        (lambda: hf.Variable("a b", "1", "x", (1, 0)), "not made of letters.*do not go up"),
    ],
)
def test_a_wrong_row_is_refused_on_declaration(make, said):
    with pytest.raises(ValueError, match=said):
        make()(lambda_named_f)


def lambda_named_f(*, tair):
    return tair


lambda_named_f.__name__ = "f"


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (lambda *, vpd: 1.0 / vpd, "is inf at"),
        (lambda *, vpd: jnp.sqrt(vpd), "slope of `<lambda>` along `vpd` is not finite"),
        (lambda *, vpd, q10: vpd + 0.0 * q10, "`q10` changes nothing"),
        (lambda *, vpdd: vpdd, "has no row; declare it. Did you mean `vpd`"),
    ],
)
def test_a_process_that_breaks_at_a_bound_is_found(fn, said):
    with pytest.raises(ValueError, match=said):
        hf.check_process(fn)
