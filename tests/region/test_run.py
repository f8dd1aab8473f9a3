"""The whole engine against the whole-series model, and against itself under other tilings, interruptions and masks."""

import json
import shutil
from functools import partial

import jax
import numpy as np
import pytest
import xarray as xr
import zarr

from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.learned import learned, pooled_effects, with_learned
from hybridflux.region.draws import random_effects
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region, plan_map
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.region.run.executors import Serial
from hybridflux.region.store import layout
from hybridflux.region.store.checksums import accept, damaged_tiles

pytestmark = pytest.mark.long

START = "2018-01-01"
DAILY = (*KEEP, DailyMaps(quantiles=(0.05, 0.95)))


def one_draw(model, number):
    """The model of one draw."""
    return with_learned(model, {name: np.asarray(leaf)[number] for name, leaf in learned(model).items()})


@pytest.fixture(scope="module")
def posterior(make_posterior):
    return make_posterior(years=True)


@pytest.fixture(scope="module")
def run(region_path, posterior, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    report = map_region(posterior, region_path, out, draws=6, period=Period(START), keep=DAILY)
    assert report.state == "done" and report.pixels == 466 and report.masked["outside"] == 8 and report.masked["no vegetation"] == 6
    return out


def opened(out, group):
    return xr.open_zarr(out / "fluxes.zarr", group=group).load()


def arrays_of(out):
    root = zarr.open_group(out / "fluxes.zarr", mode="r")
    return {f"{group}/{name}": array[...] for group, one in root.groups() for name, array in one.arrays()}


def place_of(region, needs, tile_id, row, column):
    """Drivers of one pixel as a place of the whole-series model, and its coordinates."""
    tile = region.grid.tile_of(tile_id)
    drivers = read_tile(region, tile, needs, region.window(region.days[0], region.days[-1]))
    at = list(drivers.pixel).index(row * tile.shape[1] + column)
    named = {name: values[:, drivers.cell[at]][:, None] for name, values in drivers.weather.items()}
    named |= {name: unpacked(values)[:, drivers.pixel[[at]]] for name, values in drivers.daily.items()}
    named |= {name: values[[at]] for name, values in drivers.static.items()}
    year = (region.days.astype("datetime64[Y]").astype(int) - 47)[:, None]
    named |= {"plant_type": drivers.plant_type[[at]], "site": np.zeros(1, int), "site_year": year}
    return named, region.grid.x[tile.x][column], region.grid.y[tile.y][row], int(drivers.plant_type[at])


def fields_at(x, y, kind, name, by, draws, seed=0):
    """Effects at one point, in float64: `[draw, year]`."""
    years = np.array([2017, 2018]) if by == "site_year" else None
    weights = random_effects.weights(seed, name, draws, years)[:, kind].astype(float)
    angle = random_effects.frequencies(EffectCorrelation()) @ [x, y]
    return weights @ np.concatenate([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("where", [("r000_c000", 5, 5), ("r001_c001", 3, 8), ("r002_c000", 1, 2)])
def test_a_pixel_equals_the_whole_series_model(region_path, posterior, run, where):
    region = open_region(region_path)
    names, x, y, kind = place_of(region, posterior.model.needs(), *where)
    tables = {name: fields_at(x, y, kind, name, by, 6) for name, by in pooled_effects(posterior.model).items()}
    draws = []
    for number in range(6):
        model = one_draw(posterior.model, number)
        model = with_learned(model, {name: np.asarray(table[number], np.float32) for name, table in tables.items()})
        draws.append({name: np.asarray(flux)[365:, 0] for name, flux in jax.jit(lambda m: m.fluxes(names))(model).items()})
    tile = region.grid.tile_of(where[0])
    found = opened(run, "daily").isel(y=tile.y.start + where[1], x=tile.x.start + where[2])
    monthly, annual = (opened(run, group).isel(y=tile.y.start + where[1], x=tile.x.start + where[2]) for group in ("monthly", "annual"))
    month = region.days[365:].astype("datetime64[M]")
    for flux in ("NEE", "GPP", "RECO"):
        expected = np.array([draw[flux.lower()] for draw in draws], float)
        np.testing.assert_allclose(found[flux], expected.mean(0), atol=0.0011)  # half a step of the packed integers
        np.testing.assert_allclose(found[f"{flux}_sd"], expected.std(0, ddof=1), atol=0.0011)
        np.testing.assert_allclose(found[f"{flux}_q05"], np.quantile(expected, 0.05, 0), atol=0.0011)
        of_months = np.array([expected[:, month == one].mean(1) for one in np.unique(month)])
        np.testing.assert_allclose(monthly[flux], of_months.mean(1), atol=0.0011)
        np.testing.assert_allclose(monthly[f"{flux}_q95"], np.quantile(of_months, 0.95, 1), atol=0.0011)
        np.testing.assert_allclose(annual[flux], expected.sum(1).mean(), atol=0.11)
        np.testing.assert_allclose(annual[f"{flux}_sd"], expected.sum(1).std(ddof=1), atol=0.11)


def test_maps_times_area_are_the_totals(region_path, run):
    region = open_region(region_path)
    totals = xr.open_dataset(run / "totals.nc", engine="h5netcdf").load()
    area = np.zeros(region.grid.shape)
    for tile in region.tiles():
        area[tile.y, tile.x] = region.grid.area(tile)
    monthly = opened(run, "monthly")
    assert totals.attrs["spread"] == "parameter+random_effects" and json.loads(totals.attrs["zone_names"])["1"] == "north"
    np.testing.assert_array_equal(totals["days"], monthly["days"])
    mapped = np.isfinite(monthly["NEE"].values[0])
    np.testing.assert_allclose(totals["area"].sum(), area[mapped].sum(), rtol=1e-12)
    kind, zone = region.group["plant_type"][:], region.group["zone"][:]
    for cell in range(totals.sizes["cell"]):
        here = mapped & (kind == int(totals["plant_type"][cell])) & (zone == int(totals["zone"][cell]))
        np.testing.assert_allclose(totals["area"][cell], area[here].sum(), rtol=1e-12)
        for flux in ("NEE", "GPP", "RECO"):
            of_map = (monthly[flux].values[:, here] * area[here]).sum(1) * monthly["days"].values
            np.testing.assert_allclose(totals["total"].sel(flux=flux)[cell].mean("draw"), of_map, atol=1e-3 * area[here].sum() * 31)


def test_nee_is_reco_minus_gpp(run):
    total = xr.open_dataset(run / "totals.nc", engine="h5netcdf")["total"].load()
    np.testing.assert_array_equal(total.sel(flux="NEE"), total.sel(flux="RECO") - total.sel(flux="GPP"))
    assert (total.sel(flux="GPP") >= 0).all() and (total.sel(flux="RECO") > 0).all()


def test_series_add_up_to_the_totals(run):
    totals = xr.open_dataset(run / "totals.nc", engine="h5netcdf").load()
    series = xr.open_dataset(run / "series.nc", engine="h5netcdf").load()
    summed = (series["series"] * series["area"]).sum(["plant_type", "time"])
    np.testing.assert_allclose(summed, totals["total"].sum(["cell", "month"]), rtol=1e-5, atol=1e-3 * float(totals["area"].sum()))


@pytest.mark.parametrize("tile", [24, 7])
def test_any_tiling_gives_the_same(tmp_path, make_region, posterior, run, tile):
    path = make_region(tmp_path / "other.zarr", tile=tile).path
    map_region(posterior, path, tmp_path / "run", draws=6, period=Period(START), keep=DAILY)
    one, other = arrays_of(run), arrays_of(tmp_path / "run")
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)
    a, b = (xr.open_dataset(folder / "totals.nc", engine="h5netcdf").load() for folder in (run, tmp_path / "run"))
    np.testing.assert_allclose(a["total"], b["total"], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(a["area"], b["area"], rtol=1e-12)


class Interrupted(Exception):
    pass


class StopsAfter(Serial):
    """Runs a few tiles, begins one more, and dies."""

    def run(self, work, job, units, *, at_once=0):
        tiles = list(units)
        for tile in tiles[:2]:
            yield work(job, tile)
        work(job, tiles[2])
        job.marker(tiles[2].id).unlink()  # data written, not marked
        root = zarr.open_group(job.store, mode="r+")
        root["monthly"]["NEE"][:, tiles[2].y, tiles[2].x] = 7  # half of a chunk of another life
        raise Interrupted


def test_quantiles_of_one_draw_are_its_mean_and_its_standard_deviations_zero(tmp_path, region_path, posterior, run):
    one = tmp_path / "one"
    map_region(posterior, region_path, one, draws=1, period=Period(START), keep=DAILY)
    found, of_several = arrays_of(one), arrays_of(run)
    assert found.keys() == of_several.keys() and not damaged_tiles(one)
    for group in ("daily", "monthly", "annual"):
        for flux in ("NEE", "GPP", "RECO"):
            mean = found[f"{group}/{flux}"]
            assert np.unique(mean).size > 50
            np.testing.assert_array_equal(mean == layout.NODATA, of_several[f"{group}/{flux}"] == layout.NODATA)
            for level in ("q05", "q95"):
                np.testing.assert_array_equal(found[f"{group}/{flux}_{level}"], mean)
            np.testing.assert_array_equal(found[f"{group}/{flux}_sd"], np.where(mean == layout.NODATA, layout.NODATA, 0))


def test_resumed_run_is_identical(tmp_path, region_path, posterior, run):
    out = tmp_path / "run"
    settings = dict(draws=6, period=Period(START), keep=DAILY)
    with pytest.raises(Interrupted):
        map_region(posterior, region_path, out, **settings, executor=StopsAfter())
    with pytest.raises(FileExistsError, match="state `running`.*hybridflux map --run"):
        map_region(posterior, region_path, out, **settings)
    report = map_region(posterior, region_path, out, **settings, resume=True)
    assert report.skipped == 2
    resumed = arrays_of(out)
    for name, values in arrays_of(run).items():
        np.testing.assert_array_equal(values, resumed[name], err_msg=name)
    a, b = (xr.open_dataset(folder / "totals.nc", engine="h5netcdf")["total"].values for folder in (run, out))
    np.testing.assert_array_equal(a, b)


def test_resuming_something_else_is_refused(tmp_path, region_path, posterior):
    out = tmp_path / "run"
    map_region(posterior, region_path, out, draws=3, period=Period("2018-12-01"))
    with pytest.raises(ValueError, match=r"number of draws: 3 there, 4 now\n- posterior .*\n- seed of the draws: 0 there, 1 now"):
        map_region(posterior, region_path, out, draws=Draws(4, seed=1), period=Period("2018-12-01"), resume=True)
    with pytest.raises(ValueError, match=r"changes of drivers: \[\] there, \['rain=\*0.5'\] now"):
        dry = open_region(region_path).with_changes({"rain": "*0.5"})
        map_region(posterior, dry, out, draws=3, period=Period("2018-12-01"), resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("important")
    with pytest.raises(FileExistsError, match="not empty and not a run folder"):
        map_region(posterior, region_path, tmp_path / "mine", draws=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(draws=partial(Draws, 3, "predictive")), "measurement noise"),
        (dict(draws=partial(Draws, 3, "none")), "the spread of a map is one of"),
        (dict(period=Period("2016-01-01")), "is not inside the days"),
    ],
)
def test_refused(tmp_path, region_path, posterior, settings, message):
    with pytest.raises(ValueError, match=message):
        made = {name: value() if callable(value) else value for name, value in settings.items()}
        map_region(posterior, region_path, tmp_path / "run", **made)
    assert not (tmp_path / "run").exists()


def test_a_missing_map_is_named(tmp_path, region_path, posterior):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    del zarr.open_group(path, mode="r+")["soil_capacity"]
    with pytest.raises(ValueError, match="the map `soil_capacity` is missing"):
        map_region(posterior, path, tmp_path / "run")


def test_a_hole_stays_a_hole(tmp_path, region_path, posterior, run):
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    group = zarr.open_group(path, mode="r+")
    group["fapar"][500, 12, 9] = -32768
    group["soil_capacity"][20, 3] = np.nan
    accept(path)
    report = map_region(posterior, path, tmp_path / "run", draws=6, period=Period(START))
    assert report.masked["no vegetation series"] == 1 and report.masked["no covariate"] == 1
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["masked"]["no vegetation series"] == 1 and record["state"] == "done"
    before, after = (opened(folder, "annual")["NEE"].values[0] for folder in (run, tmp_path / "run"))
    holes = np.isfinite(before) & ~np.isfinite(after)
    assert np.argwhere(holes).tolist() == [[12, 9], [20, 3]]
    np.testing.assert_array_equal(before[~holes], after[~holes])


def test_parameter_spread_has_no_effects_and_is_paired(tmp_path, region_path, make_posterior):
    posterior = make_posterior(size=0.3)
    for name, change in (("a", {}), ("b", {"rain": "*0.3"})):
        region, period = open_region(region_path).with_changes(change), Period("2018-06-01", "2018-08-31")
        map_region(posterior, region, tmp_path / name, draws=Draws(6, "parameter"), period=period)
    a, b = (
        xr.open_dataset(tmp_path / name / "totals.nc", engine="h5netcdf")["total"].sel(flux="GPP").sum(["cell", "month"]) for name in "ab"
    )
    loss = (a - b) / a
    assert (loss > 0).all() and loss.std() < 0.5 * (a.std() / a.mean())
    kinds = opened(tmp_path / "a", "annual")["GPP_sd"].values
    assert np.nanmin(kinds) > 0


def test_effects_widen_the_spread_and_share_their_draws(tmp_path, region_path, make_posterior):
    posterior = make_posterior(draws=3, size=0.01)
    names = sorted(learned(posterior.model))
    assert any(name.endswith("effect") for name in names)
    for spread in ("parameter", "parameter+random_effects"):
        map_region(posterior, region_path, tmp_path / spread, draws=Draws(12, spread), period=Period("2018-06-01", "2018-06-30"))
    narrow, wide = (opened(tmp_path / spread, "monthly")["GPP_sd"].mean() for spread in ("parameter", "parameter+random_effects"))
    assert wide > 5 * narrow


def test_effects_of_years_in_a_run_within_one_year(tmp_path, make_region, make_posterior):
    """Nothing before the run: its only year is the first and the last one."""
    path = make_region(tmp_path / "r.zarr", days=("2018-01-01", "2018-03-31")).path
    report = map_region(make_posterior(years=True), path, tmp_path / "run", draws=4, period=Period("2018-01-01", "2018-03-31"))
    assert report.pixels == 466 and (opened(tmp_path / "run", "annual")["GPP_sd"] > 0).sum() == 466


def test_network_on_daily_inputs(tmp_path, region_path, make_posterior):
    posterior = make_posterior(network=True)
    report = map_region(posterior, region_path, tmp_path / "run", draws=4, period=Period("2018-03-01", "2018-04-30"))
    monthly = opened(tmp_path / "run", "monthly")
    assert report.pixels == 466 and np.isfinite(monthly["GPP"].values).sum() == 2 * 466


def test_dry_run_writes_nothing(tmp_path, region_path, posterior):
    planned = plan_map(posterior, region_path, draws=6, period=Period(START))
    assert planned.tiles == 6 and planned.pixels == 466 and planned.seconds > 0 and "6 tiles, 466 pixels" in str(planned)
    assert not list(tmp_path.iterdir())


def test_cog(run):
    import rasterio

    with rasterio.open(run / "cog" / "NEE_monthly_2018.tif") as file:
        assert file.crs.to_epsg() == 2154 and file.count == 12 and file.descriptions[0] == "2018-01"
        assert file.tags()["spread"] == "parameter+random_effects" and "positive to the atmosphere" in file.tags()["sign"]
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        np.testing.assert_allclose(file.read(3), opened(run, "monthly")["NEE"].values[2], rtol=1e-6)


def test_cf_attributes(run):
    monthly, annual, daily = (opened(run, group) for group in ("monthly", "annual", "daily"))
    gpp = monthly["GPP"]
    assert gpp.attrs["units"] == "g m-2 day-1" and gpp.attrs["comment"] == "grams of carbon"
    assert gpp.attrs["standard_name"] == "gross_primary_productivity_of_biomass_expressed_as_carbon"
    assert "standard_name" not in monthly["RECO"].attrs and monthly["NEE"].attrs["positive"] == "up"
    assert annual["NEE"].attrs["units"] == "g m-2 year-1" and "sum over the mapped days" in annual["NEE"].attrs["long_name"]
    assert monthly.attrs["spread"] == "parameter+random_effects" and "config_hash" in monthly.attrs
    assert daily.sizes["time"] == 365 and monthly["time"].values[1] == np.datetime64("2018-02-01")
    assert (monthly["days"].values == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]).all()
    import rasterio.crs

    assert rasterio.crs.CRS.from_wkt(monthly["spatial_ref"].attrs["crs_wkt"]).to_epsg() == 2154
