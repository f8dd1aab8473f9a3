"""A reader, a satellite, a posterior method and a baseline of a user's own, each one file outside the package."""

import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hybridflux as hf
from hybridflux.cli import app
from hybridflux.data.weather import reader
from hybridflux.evaluate.baselines import BASELINES, baseline_of
from hybridflux.evaluate.unseen import evaluate_unseen
from hybridflux.inference import MAP, method_of
from hybridflux.inference.methods import METHODS
from hybridflux.ingest.build import build_region
from hybridflux.model.learned import learned
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.registry import KINDS, register
from tests.inference.conftest import MEAN, SD, dark_series
from tests.ingest import conftest as place
from tests.outside.conftest import FILES
from tests.region.conftest import made_up

LONGEST = 40


@pytest.mark.parametrize("path", sorted(path for path in FILES.rglob("*") if path.is_file()), ids=lambda path: path.name)
def test_each_is_one_short_file(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.long
def test_a_method_fits_saves_loads_and_maps(mine, tmp_path):
    kind = mine("my_method").Resampling
    method = method_of("my_method:Resampling", ["draws=60", "proposals=20000"])
    assert method == kind(draws=60, proposals=20000) and METHODS("resampling") is kind and "resampling" in METHODS.names()
    model = hf.HybridFlux(
        gpp=(hf.light.absorbed,), reco=(hf.respiration.basal,), sources={"respiration_ref": hf.Shared()},
        observed=(hf.observe.nee(hf.StudentT(floor=hf.Fixed(SD), slope=hf.Fixed(1e-3), tail=hf.Fixed(39.0))),),
    )  # fmt: skip
    series = dark_series([MEAN] * 3, days=40)
    posterior = method.fit(model, series, seed=1)
    observed = series.targets["nee"][np.isfinite(series.targets["nee"])]
    drawn = posterior.parameter_draws()["respiration_ref"]
    assert drawn.mean() == pytest.approx(observed.mean(), abs=SD / len(observed) ** 0.5)
    assert drawn.std() == pytest.approx(SD / len(observed) ** 0.5, rel=0.4)
    posterior.save(tmp_path / "p.nc")
    again = hf.Posterior.load(tmp_path / "p.nc")
    assert again.info["method"] == "Resampling" and np.array_equal(*(one.stats["log_likelihood"] for one in (posterior, again)))
    assert all(np.array_equal(leaf, learned(again.model)[name]) for name, leaf in learned(posterior.model).items())
    region = made_up(tmp_path / "r.zarr", size=(10, 10), days=("2018-01-01", "2018-02-28"), cells=1, plant_type=np.zeros((10, 10))).path
    report = hf.map_region(again, region, tmp_path / "run", draws=4, period=hf.Period("2018-02-01", "2018-02-28"))
    assert report.tiles == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fit --with my_method.py --method resampling --set proposals=many --towers . --out p.nc", "= many is not a whole number"),
        ("fit --with my_method.py --method my_method:Resampling --set draw=3 --towers . --out p.nc", "there are proposals=4000, draws=200"),
        ("evaluate --with my_baseline.py --leave-site-out 2 --baseline mnth --towers . --out s.csv", "Did you mean `month`"),
        ("region build bouconne --with my_reader.py --catalog . --data nowhere --out r.zarr", "nowhere"),
    ],
)
def test_the_command_line_takes_them(folder, monkeypatch, words, said):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code and said in f"{done.output} {done.exception}"


def test_a_method_that_cannot_be_is_refused(mine):
    mine("my_method")
    for name, said in {
        "my_mehtod:Resampling": "is not imported: name its file, --with my_mehtod.py",
        "my_method:Resmapling": "has no `Resmapling`. Did you mean `Resampling`",
        "my_method:np": "is no posterior method: it must be a class that inherits",
        "resamplign": "no posterior method `resamplign`. Did you mean `resampling`",
    }.items():
        with pytest.raises(ValueError, match=said):
            method_of(name)


@pytest.mark.long
def test_a_baseline_is_scored_beside_the_model_at_the_same_unseen_sites(mine):
    mine("my_baseline")
    series = dark_series([1.0, 2.0, 3.0, 4.0], days=366)
    series.targets.update(gpp=series.targets["nee"], reco=series.targets["nee"])
    model = hf.HybridFlux(
        gpp=(hf.light.absorbed,), reco=(hf.respiration.basal,), sources={"respiration_ref": hf.Shared()},
        observed=(hf.observe.nee(hf.StudentT()),),
    )  # fmt: skip
    table = evaluate_unseen(model, MAP(steps=20), series, folds=2, draws=4, baselines={"month": baseline_of("month")})
    of_model, of_month = (table[(table.model == name) & (table.variable == "NEE")] for name in ("hybridflux", "month"))
    assert set(of_model.site) == set(of_month.site) == set(series.places) and "month" in BASELINES.names()
    means = dict(zip(series.places, np.nanmean(series.targets["nee"], axis=0), strict=True))
    for _, fold in of_month.groupby("fold"):
        seen = np.mean([mean for site, mean in means.items() if site not in set(fold.site)])
        assert fold.bias.to_numpy() == pytest.approx([seen - means[site] for site in fold.site], abs=0.05)


@pytest.mark.long
def test_a_satellite_and_a_reader_of_ones_own_make_a_region(mine, folder, tmp_path):
    mine("my_reader")
    days = np.arange(np.datetime64(place.FIRST), np.datetime64("2019-09-01"))
    place.write_cube(tmp_path, days)
    _renamed(tmp_path / "S2_L2A_made_up.nc", {"B04": "channel_3", "B08": "nir", "SCL": "label"})
    place.write_cover(tmp_path)
    season = np.sin(2 * np.pi * (np.arange(len(days)) - 40) / 365)
    logger = {"mean": 10 + 8 * season, "min": 5 + 8 * season, "radiation": 9 + 7 * season, "vpd": 6 + 5 * season, "rain": 2.0 + 0 * season}
    pd.DataFrame({"day": days, **logger}).to_csv(tmp_path / "logger.csv", index=False)
    config = place.configuration(
        tmp_path,
        period={"start": "2019-06-01", "end": "2019-08-31", "lead": 92},
        imagery=[{"dataset": "my-camera", "place": str(tmp_path)}],
        weather={"dataset": "my-station", "place": str(tmp_path / "logger.csv")},
    )
    shutil.copytree(folder / "satellite", tmp_path / "catalog" / "satellite")
    shutil.copytree(folder / "meteo", tmp_path / "catalog" / "meteo")
    build_region(config, tmp_path / "r.zarr", catalog=tmp_path / "catalog")
    region = open_region(tmp_path / "r.zarr")
    np.testing.assert_allclose(region.group["par"][:, 0], 0.45 * logger["radiation"], atol=1e-3)
    line = region.group.attrs["lines"]["all"]
    wanted = np.clip(line["offset"] + line["slope"] * place.truth(days), 0, line["highest"])
    error = unpacked(region.group["fapar"][:])[:, 4:, :18] - wanted[:, 4:, :18]
    assert np.sqrt(np.mean(error**2)) < 0.05


def _renamed(path, names):
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as data:
        changed = data.load().rename(names)
    path.unlink()
    changed.to_netcdf(path, engine="h5netcdf")


def test_a_band_named_twice_and_a_name_that_is_taken_are_refused(folder, tmp_path):
    text = (folder / "satellite" / "my-camera.toml").read_text()
    repeated = text.replace('"nir"', '"B04"')
    for name, new, said in (("twice", repeated, "`B04` is there twice"), ("sentinel-2-l2a", text, "hybridflux has a dataset")):
        place = tmp_path / name / "satellite" / f"{name}.toml"
        place.parent.mkdir(parents=True)
        place.write_text(new.replace("my-camera", name))
        with pytest.raises(ValueError, match=said):
            hf.load_catalog(own=tmp_path / name)


def test_an_installed_package_offers_its_things(mine, folder):
    mine("my_reader")
    methods = "packed = my_method:Resampling\nlost = my_method:Nothing"
    _install(folder, "my_pack", {"methods": methods, "baselines": "packed = my_baseline:Month"})
    assert method_of("packed", ["draws=7"]).draws == 7 and baseline_of("packed").needs == ()
    with pytest.raises(ValueError, match="my-pack offers the posterior method `lost` as my_method:Nothing, which fails"):
        METHODS("lost")
    assert METHODS.names()[:6] == ["map", "ensemble", "laplace", "svi", "nuts", "randomised"] and "packed" in METHODS.names()


def test_a_data_file_never_names_code(folder, mine):
    mine("my_reader")
    assert reader("my-logger") and "my-logger" in reader.names()
    for format in ("my_reader:read", "os:system", "weather.my-logger"):
        with pytest.raises(ValueError, match="no reader of weather for the format"):
            reader(format)


def test_two_modules_do_not_share_a_name(mine):
    mine("my_method")
    with pytest.raises(ValueError, match="`resampling` was added by my_method, and again by"):
        register("methods", "resampling")(MAP)
    with pytest.raises(ValueError, match="no registry of `method`.*Did you mean `methods`"):
        register("method", "x")
    assert set(KINDS) == {"readers", "methods", "processes", "outputs", "baselines"}


def _install(folder, name, groups):
    """What an installer leaves of a package: the folder that names its entry points."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(f"[hybridflux.{kind}]\n{lines}\n" for kind, lines in groups.items()))
