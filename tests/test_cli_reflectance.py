"""Fit, evaluate and map with reflectance of satellites on the command line, from a towers folder to fluxes at pixels."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.inference.posterior import Posterior
from hybridflux.model.learned import learned, with_learned
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.region.store.checksums import accept
from hybridflux.twin.world import make_world

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]


def hybridflux(*arguments) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    here = tmp_path_factory.mktemp("chain")
    world = make_world(here / "world", size=16, days=20, towers=4, seed=3, reflectance=True)
    (world.towers / "satellite" / "sentinel2_fapar.csv.gz").unlink()  # no fapar is needed
    settings = ("--method", "map", "--set", "steps=30", "--years", "2021:2022", "--seed", 1)  # of the model for reflectance
    said = hybridflux("fit", "--towers", world.towers, *settings, "--out", here / "posterior.nc")
    hybridflux("evaluate", "--posterior", here / "posterior.nc", "--towers", world.towers, "--out", here / "scores.csv")
    mapped = ("--posterior", here / "posterior.nc", "--region", world.region, "--draws", 2)
    hybridflux("map", *mapped, "--daily", "--out", here / "run")
    hybridflux("scenario", *mapped, "--change", "rain=*0.2", "--out", here / "dry")
    hybridflux("budget", "--run", here / "run", "--out", here / "budget.csv")
    hybridflux("report", "--run", here / "run", "--scenario", here / "dry", "--out", here / "run.html")
    hybridflux("report", "--posterior", here / "posterior.nc", "--towers", world.towers, "--out", here / "towers.html")
    return here, world, said


def test_the_commands_go_through(chain):
    here, _, said = chain
    assert "model: hybrid_water" in said and "vpd_sensitivity ENF" in said and "nirv_30d, lswi_30d" in said
    dataset = dict.fromkeys(("lswi", "lswi_30d", "nirv", "nirv_30d", "nirv_base", "nirv_top"), "reflectance-points")
    assert Posterior.load(here / "posterior.nc").info["sensors"] == dataset
    budget, effect = (pd.read_csv(here / name).query("land_cover == 'all'") for name in ("budget.csv", "dry/effect.csv"))
    budget, effect = (one.groupby("variable")["mean"].first() for one in (budget, effect))
    assert budget["NEE"] == pytest.approx(budget["RECO"] - budget["GPP"], rel=1e-4)
    assert effect["GPP"] < 0, "less rain, less uptake"
    assert "Response curves" in (here / "towers.html").read_text() and "What if: precipitation × 0.2" in (here / "run.html").read_text()
    assert "NIRv and LSWI follow the rain deficit, memory 90 d" in (here / "run.html").read_text()
    scores = pd.read_csv(here / "scores.csv")
    assert scores.site.nunique() == 4 and (scores[scores.variable == "GPP"].r2 > 0.4).all()


def test_a_pixel_of_the_map_is_the_model_on_its_reflectance(chain):
    """The engine reads NIRv, LSWI and the quantiles of NIRv as the whole-series model does."""
    here, world, _ = chain
    posterior, region = Posterior.load(here / "posterior.nc"), open_region(world.region)
    leaves = {name: np.asarray(leaf)[0] for name, leaf in learned(posterior.model).items()}
    model = with_learned(posterior.model, leaves)
    tile = next(region.tiles())
    read = read_tile(region, tile, model.needs(), region.window(region.days[0], region.days[-1]))
    at = len(read.pixel) // 2
    names = {name: values[:, read.cell[[at]]] for name, values in read.weather.items()}
    names |= {name: unpacked(values)[:, read.pixel[[at]]] for name, values in read.daily.items()}
    names |= {name: values[[at]] for name, values in read.static.items()} | {"plant_type": read.plant_type[[at]], "site": np.full(1, -1)}
    nirv = region.group["nirv"][:].reshape(len(region.days), -1)[:, read.pixel[at]] * 1e-4
    assert names["nirv_top"][0] == pytest.approx(np.quantile(nirv, 0.95), abs=2e-4)
    out = here / "parameter"
    map_region(posterior, world.region, out, draws=Draws(2, "parameter"), keep=(*KEEP, DailyMaps()))
    with xr.open_zarr(out / "fluxes.zarr", group="daily") as daily:
        row, column = divmod(int(read.pixel[at]), tile.shape[1])
        found = {flux: daily[flux].values[:, row, column] for flux in ("GPP", "RECO")}
    for flux, values in found.items():
        expected = np.asarray(model.fluxes(names)[flux.lower()])[-len(values) :, 0]
        np.testing.assert_allclose(values, expected, atol=0.002)


def test_a_region_without_reflectance_is_refused_and_so_are_errors_that_it_does_not_hold(chain, tmp_path):
    here, world, _ = chain
    posterior = Posterior.load(here / "posterior.nc")
    plain = make_world(tmp_path / "plain", size=16, days=5, towers=1, seed=3).region
    with pytest.raises(ValueError, match=r'needs lswi, nirv, which .* add lswi \(1\), nirv \(1\) to .* also = \["lswi", "nirv"\]'):
        map_region(posterior, plain, tmp_path / "run", draws=2)
    other = shutil.copytree(world.region, tmp_path / "other.zarr")
    zarr.open_array(other / "nirv", mode="r+").attrs["like"] = "modis-1km-points"
    accept(other)
    with pytest.warns(UserWarning, match=r"nirv .modis-1km-points. is not of the instrument of the fit, reflectance-points; `.vegetation"):
        map_region(posterior, other, tmp_path / "run", draws=2)
    with pytest.raises(ValueError, match="draws the errors of lswi and nirv, and .* does not hold lswi_sd and nirv_sd; build"):
        map_region(posterior, world.region, tmp_path / "run", draws=Draws(2, "parameter+random_effects+vegetation"))
