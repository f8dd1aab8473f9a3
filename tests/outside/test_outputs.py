"""A user's own output of a map, and maps and totals of what the model knows besides its fluxes: mapped, stopped, resumed, GeoTIFFs."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import rasterio
import xarray as xr
from typer.testing import CliRunner

import hybridflux as hf
from hybridflux.cli import app
from hybridflux.inference.batch import Indices
from hybridflux.model.learned import learned, with_learned
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.map import resume_run
from hybridflux.region.outputs import quantities
from hybridflux.region.outputs.flux_store import packed
from hybridflux.region.run.executors import Dask, Serial
from hybridflux.region.run.executors.slurm import _own_files
from hybridflux.region.run.keep import outputs_of, read
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

DAYS = np.arange(np.datetime64("2017-05-01"), np.datetime64("2018-08-06"))
JULY = dict(draws=hf.Draws(3, "parameter"), period=hf.Period("2018-06-20", "2018-08-05"))
ET = (hf.PeriodMaps("evapotranspiration", (0.5,)), hf.ZoneTotals("evapotranspiration"), hf.PeriodMaps("rew", ()))


@pytest.fixture(scope="module")
def posterior():
    """Three draws of the prior."""
    sources = {name: hf.Shared() for name in ("light_use_efficiency", "drainage_rate", "bare_evaporation")}
    model = hf.HybridFlux(
        gpp=(hf.light.absorbed, hf.stress.water_ramp), reco=(hf.respiration.basal,), memory=(hf.water.BUCKET,),
        sources=sources | {"root_zone_capacity": hf.Given("soil_capacity")},
    )  # fmt: skip
    random = np.random.default_rng(0)
    draws = {name: random.normal(size=(3, *z.shape)).astype("f") for name, z in learned(model).items()}
    return hf.Posterior(with_learned(model, draws), Indices(("tower",), (2018,)))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """A field of 8 x 6 pixels in tiles of 4, a dry summer, soils of 40 to 200 mm, two zones."""
    season = -np.cos(2 * np.pi * (np.arange(len(DAYS)) + 120) / 365)[:, None]
    air = {"tair": 12 + 10 * season, "tmin": 7 + 10 * season, "par": 6 + 5 * season, "vpd": 8 + 4 * season}
    air |= {"par_potential": 12 + 8 * season}
    air |= {"rain": np.random.default_rng(1).gamma(0.2, 9.0, season.shape), "day_fraction": 0.5 + 0 * season, "co2": 400 + 0 * season}
    maps = RegionMaps(
        np.full((8, 6), PLANT_TYPES.index("GRA")), np.linspace(40, 200, 48).reshape(8, 6), zone=np.repeat([1, 2], 24).reshape(8, 6),
        zone_names={1: "up", 2: "down"},
    )  # fmt: skip
    days = RegionWeather(DAYS, {name: values.astype("f") for name, values in air.items()}, utc_offset=1)
    path = tmp_path_factory.mktemp("field") / "field.zarr"
    writer = create_region(path, Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (8, 6), 4), maps, days)
    writer.write_all(np.full((len(DAYS), 8, 6), 0.6, np.float32))
    return writer.path


@pytest.fixture(scope="module")
def expected(posterior, region):
    """The whole-series model of each draw at each pixel: `rew` and `evapotranspiration` of the mapped days `[draw, day, pixel]`."""
    opened = open_region(region)
    names = {name: np.asarray(values)[:, [0] * 48] for name, values in opened.weather(("tair", "par", "rain"), slice(None)).items()}
    names |= {"fapar": unpacked(opened.group["fapar"][:]).reshape(len(DAYS), 48), "soil_capacity": opened.group["soil_capacity"][:].ravel()}
    names |= {"plant_type": opened.group["plant_type"][:].ravel().astype(int), "site": np.zeros(48, int)}
    run, found = jax.jit(lambda model: model.fluxes(names, also=("evapotranspiration",))), []
    for draw in range(3):
        of_draw = run(with_learned(posterior.model, {name: leaf[draw] for name, leaf in learned(posterior.model).items()}))
        found.append([of_draw["soil_water"] / names["soil_capacity"], of_draw["evapotranspiration"]])
    rew, water = np.asarray(found, float).swapaxes(0, 1)[:, :, -47:]
    return {"rew": rew, "evapotranspiration": water}


class Killed(Exception):
    """What stops a run in the test."""


class AfterOneTile(Serial):
    """Dies behind its first tile."""

    def run(self, work, job, units, *, at_once=0):
        yield next(super().run(work, job, units[:1]))
        raise Killed


def test_dry_days_from_a_file_of_ones_own_are_mapped_stopped_resumed_and_a_geotiff(mine, posterior, region, expected, tmp_path):
    keep = (mine("my_dry_days").DryDays(below=0.45),)
    with pytest.raises(Killed):
        hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=keep, executor=AfterOneTile())
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["spec"]["keep"]
    assert kept == [{"output": "my_dry_days:DryDays", "below": 0.45}] and outputs_of(kept) == keep
    with pytest.raises(ValueError, match=r"outputs: .*0.45.* there, .*0.3.* now"):
        hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=(replace(keep[0], below=0.3),), resume=True)
    report = hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=keep, resume=True)
    assert report.state == "done" and report.skipped == 1 and report.tiles == 4
    days = (expected["rew"] < 0.45)[:, 11:42].sum(1)  # July
    assert 0 < days.min() + 0.5 and days.std() > 1, "the test says something"
    with rasterio.open(tmp_path / "run" / "cog" / "dry_days_monthly_2018.tif") as file:
        np.testing.assert_allclose(file.read(2).ravel(), days.mean(0), atol=0.001)
        assert file.units[1] == "d" and "than 0.45" in file.tags()["long_name"]
    assert {path.name for path in (tmp_path / "run" / "cog").iterdir()} == {"dry_days_monthly_2018.tif", "dry_days_sd_monthly_2018.tif"}
    assert not (tmp_path / "run" / "totals.nc").exists() and [*json.loads((tmp_path / "run" / "item.json").read_text())["assets"]][-2:] == [
        "dry_days_monthly_2018", "dry_days_sd_monthly_2018"]  # fmt: skip


def test_evapotranspiration_is_one_line(posterior, region, expected, tmp_path):
    """Maps equal the monthly means of the whole-series model to half a step of storage, totals of zones are its sums, draw by draw."""
    hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=(*hf.KEEP, *ET))
    monthly = xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="monthly").load()
    july, water = slice(11, 42), expected["evapotranspiration"]
    assert monthly["evapotranspiration"].attrs["units"] == "mm day-1" and monthly["evapotranspiration"].attrs["positive"] == "up"
    np.testing.assert_allclose(monthly["evapotranspiration"][1].values.ravel(), water[:, july].mean((0, 1)), atol=0.00051)
    np.testing.assert_allclose(monthly["evapotranspiration_sd"][1].values.ravel(), water[:, july].mean(1).std(0, ddof=1), atol=0.00051)
    np.testing.assert_allclose(monthly["rew"][1].values.ravel(), expected["rew"][:, july].mean((0, 1)), atol=0.000026)
    annual = xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="annual").load()
    assert annual["evapotranspiration"].attrs["units"] == "mm" and annual["rew"].attrs["units"] == "1"
    np.testing.assert_allclose(annual["evapotranspiration"][0].values.ravel(), water.sum(1).mean(0), atol=0.051)
    np.testing.assert_allclose(annual["rew"][0].values.ravel(), expected["rew"].mean((0, 1)), atol=0.000026)
    totals = xr.open_dataset(tmp_path / "run" / "totals_evapotranspiration.nc", engine="h5netcdf").load()
    area = open_region(region).grid.area(next(open_region(region).tiles())).mean()
    assert totals["total"].attrs["units"] == "kg" and totals["zone"].values.tolist() == [1, 2]
    of_zones = water[:, july].sum(1).reshape(3, 2, 24).sum(2) * area  # one mm on one m2 is one kg
    np.testing.assert_allclose(totals["total"].values[0, :, :, 1], of_zones.T, rtol=1e-5)
    assert hf.budget_table(tmp_path / "run").query("variable == 'NEE'").size and totals.attrs["spread"] == "parameter"


@pytest.mark.parametrize(("name", "year"), [("par", 4500.0), ("par_potential", 6500.0), ("canopy_storage", 1830.0), ("par_30d", 4500.0)])
def test_a_sum_over_a_year_of_what_has_no_season_fits_into_its_map(name, year):
    """Light of a desert, and a parameter that is as large as it may be on every day."""
    first, last = np.datetime64("2020-01-01"), np.datetime64("2020-12-31")
    calendar = Calendar.of(np.arange(first, last + 1), first, last)
    spec = next(spec for spec in hf.PeriodMaps(name, ()).arrays(calendar) if spec.key == f"annual/{name}")
    assert packed(np.array([year]), spec.scale)[0] * spec.scale == pytest.approx(year, abs=spec.scale)


def test_values_that_a_map_cannot_hold_are_reported(posterior, region, tmp_path, monkeypatch):
    monkeypatch.setattr(quantities, "SEASONAL", 0.001)  # an annual map of evapotranspiration then holds 16.383 mm
    said = "values larger than their map can hold are stored as the largest: 48 of annual/evapotranspiration .16.3835 mm.; `ZoneTotals` and"
    with pytest.warns(UserWarning, match=said):
        hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=(hf.PeriodMaps("evapotranspiration", ()),))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["clipped"] == {"annual/evapotranspiration": 48}
    annual = xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="annual").load()
    np.testing.assert_allclose(annual["evapotranspiration"].values.ravel(), 16.3835, rtol=1e-6)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ((), "`keep` is empty"),
        ((hf.PeriodMaps("evapotranspirations"),), "does not have. Did you mean `evapotranspiration`"),
        ((hf.PeriodMaps(), hf.PeriodMaps(quantiles=())), "two outputs are called `period_maps`"),
        ((hf.PeriodMaps(), hf.PeriodMaps(("nee", "rew"))), "the array `monthly/NEE` .* is there twice"),
        (("GPP",), "'GPP' is no output: it is a frozen dataclass"),
    ],
)
def test_a_slip_is_refused_before_any_work(posterior, region, tmp_path, keep, said):
    with pytest.raises(ValueError, match=said):
        hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=keep)
    assert not (tmp_path / "run").exists()


def test_slips_in_settings_and_in_a_file_of_ones_own(mine, posterior, region, tmp_path):
    for level in (5, 0.975):
        with pytest.raises(ValueError, match=f"quantile `{level}`: maps are named by whole per cents"):
            hf.PeriodMaps(quantiles=(level,))
    with pytest.raises(ValueError, match=r"`rew` \[1\] is no rate: its days do not add up"):
        hf.ZoneTotals("rew")
    with pytest.raises(ValueError, match="`dry:DryDays` is from outside hybridflux; if you trust it, give `--with dry.py`"):
        read("dry:DryDays")
    with pytest.raises(ValueError, match="no output of a map `PeriodMap`. Did you mean `PeriodMaps`"):
        read("PeriodMap=rew")

    of_mine = mine("my_dry_days").DryDays
    assert read("my_dry_days:DryDays") == of_mine() == read(hf.register("outputs", "dry-days")(of_mine) and "dry-days")

    class Longer(mine("my_dry_days").DryDays):
        def month(self, carry, sums):
            return carry[:1], {"monthly/dry_days": carry.mean(0)}

    mine("my_dry_days").Longer = Longer
    Longer.__qualname__, Longer.__module__ = "Longer", "my_dry_days"
    with pytest.raises(ValueError, match="`longer` cannot be computed: .*`month` carries on .* not of the shape and type"):
        hf.map_region(posterior, region, tmp_path / "run", **JULY, keep=(Longer(),))


def test_other_processes_are_given_the_file(folder, posterior, region, tmp_path, monkeypatch):
    """A task of the command line, and a worker of dask that goes on: neither finds the module by itself."""
    posterior.save(tmp_path / "posterior.nc")
    own = shutil.copy(folder / "my_dry_days.py", tmp_path / "dry_days_of_mine.py")
    words = ["--posterior", tmp_path / "posterior.nc", "--region", region, "--draws", 3, "--start", "2018-07-20", "--keep", "rew"]
    words += ["--keep", "dry_days_of_mine:DryDays", "--with", own, "--task", 0, "--tasks", 2]
    done = CliRunner().invoke(app, ["map", "--out", str(tmp_path / "run"), *map(str, words)])
    assert done.exit_code == 0, done.output
    assert resume_run(tmp_path / "run", executor=Dask(1)).state == "done"
    assert (tmp_path / "run" / "cog" / "dry_days_monthly_2018.tif").exists()
    assert f" --with {Path(own).resolve()}" in _own_files()  # of a task of SLURM
    monkeypatch.delitem(sys.modules, "dry_days_of_mine")  # as in a process that was not given it
    with pytest.raises(ValueError, match="is from outside hybridflux; if you trust it, give `--with dry_days_of_mine.py`"):
        resume_run(tmp_path / "run")
