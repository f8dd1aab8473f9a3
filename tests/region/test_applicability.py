"""The area of applicability: distances of days and of pixels to the days of a fit, and where a map says them."""

from dataclasses import replace

import numpy as np
import pytest
import zarr

from hybridflux.inference.posterior import Posterior
from hybridflux.inference.training_days import TrainingDays, nearest, outlier_removed_maximum
from hybridflux.products.budget import budget_table
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers import dissimilarity as rooms
from hybridflux.region.drivers.calendar import Calendar, Period
from hybridflux.region.drivers.dissimilarity import dissimilarity
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.outputs.period_maps import Applicability

NAMES = ("tair", "fapar", "soil_capacity")


def of_values(values, place=None, weight=(1.0, 0.7, 0.1)):
    """Days of a fit with these values `[day, predictor]`."""
    mean, sd = (statistic(values, axis=0).astype(np.float32) for statistic in (np.mean, np.std))
    place = np.zeros(len(values), np.int32) if place is None else place
    made = TrainingDays(NAMES, values.astype(np.float32), place, mean, sd, np.array(weight, np.float32), 1.0, 0.3)
    scaled = made.scaled(values).astype(float)
    between = np.sqrt(((scaled[:, None] - scaled) ** 2).sum(-1))
    return replace(made, mean_distance=float(between[np.triu_indices(len(between), 1)].mean()))


def test_a_day_of_the_fit_is_at_zero_and_dissimilarity_grows_with_distance():
    values = np.random.default_rng(0).normal(size=(60, 3)) * [8.0, 0.2, 40.0] + [10.0, 0.5, 100.0]
    training = of_values(values)
    np.testing.assert_allclose(training.dissimilarity(values), 0.0, atol=2e-3)
    away = values[values[:, 0].argmax()] + np.array([[1.0, 0, 0]]) * np.array([0.0, 1.0, 4.0, 12.0, 40.0])[:, None]
    found = training.dissimilarity(away)
    assert (np.diff(found) > 0).all() and found[-1] > 1.0
    np.testing.assert_allclose(np.diff(found[-2:]), 28.0 / training.sd[0] / training.mean_distance, rtol=0.1)
    little = training.dissimilarity(values[:1] + [[0.0, 0.0, 40.0]])[0]  # of a predictor that does little
    assert little < 0.3 * training.dissimilarity(values[:1] + [[8.0, 0.0, 0.0]])[0] + 0.2
    assert outlier_removed_maximum(np.r_[np.linspace(0, 1, 50), 9.0]) == 1.0


@pytest.fixture(scope="module")
def fitted(region_path, make_posterior):
    """A posterior that was fitted to days of the region itself."""
    region, random = open_region(region_path), np.random.default_rng(0)
    weather = region.group["tair"][:]
    values = np.stack([random.choice(weather.ravel(), 300), random.uniform(0.05, 0.95, 300), random.uniform(50, 150, 300)], 1)
    return replace(make_posterior(), training=of_values(values))


def test_pixels_of_a_tile_have_the_distance_of_every_day_of_the_sample(region_path, fitted, monkeypatch):
    """Only some days of the sample are compared; the nearest is always among them."""
    region = open_region(region_path)
    calendar = Calendar.of_region(region, Period("2017-11-01", "2018-03-31"))
    tile = next(iter(region.tiles()))
    drivers = read_tile(region, tile, fitted.model.needs(), region.window(calendar.days[0], calendar.days[-1]))
    found = dissimilarity(drivers, fitted.training, calendar)
    for year, first, end in ((0, calendar.warm_up, calendar.warm_up + 61), (1, calendar.warm_up + 61, len(calendar.days))):
        days, expected = np.arange(first, end)[rooms.EVERY // 2 :: rooms.EVERY], []
        for day in days:
            columns = {
                "tair": drivers.weather["tair"][day][drivers.cell], "fapar": drivers.daily["fapar"][day][drivers.pixel] * np.float32(1e-4),
                "soil_capacity": drivers.static["soil_capacity"],
            }  # fmt: skip
            training = fitted.training
            rows = training.scaled(np.stack([columns[name] for name in NAMES], 1))
            expected.append(nearest(rows, training.scaled(training.values)) / training.mean_distance)
        np.testing.assert_allclose(found.mean[year], np.mean(expected, 0), atol=1e-3)
        np.testing.assert_allclose(found.outside[year], np.mean(np.array(expected) > training.threshold, 0), atol=0.11)
    assert found.days.tolist() == [61, 90] and found.mean.max() > found.mean.min() > 0


@pytest.mark.long
def test_a_region_of_another_climate_is_outside_and_map_budget_and_run_say_so(region_path, fitted, tmp_path):
    settings = {"draws": Draws(6), "period": Period("2018-06-01", "2018-07-31"), "keep": (ZoneTotals(), Applicability())}
    shares = {}
    for name, changes in (("same", {}), ("foreign", {"tair": "+25"})):
        report = map_region(fitted, open_region(region_path).with_changes(changes), tmp_path / name, **settings)
        maps = zarr.open_group(tmp_path / name / "fluxes.zarr", mode="r")["annual"]
        values = {one: maps[one][0] * maps[one].attrs["scale_factor"] for one in ("dissimilarity", "outside_applicability")}
        inside = maps["dissimilarity"][0] != -32768
        row = budget_table(tmp_path / name).query("zone == 'region' and land_cover == 'all'").iloc[0]
        shares[name] = row["area_outside_applicability_ha"] / row["area_ha"]
        assert values["outside_applicability"][inside].mean() == pytest.approx(shares[name], abs=2e-3)
        assert (f"{100 * shares[name]:.1f} % outside the area of applicability" in str(report)) == (shares[name] > 0)
    assert shares["same"] < 0.05 and shares["foreign"] == pytest.approx(1.0)
    zones = budget_table(tmp_path / "foreign").query("land_cover == 'all' and variable == 'NEE'").set_index("zone")
    assert zones.loc[["north", "south"], "area_outside_applicability_ha"].sum() == pytest.approx(zones.loc["region", "area_ha"])


def test_an_older_posterior_says_what_to_do(region_path, make_posterior, tmp_path):
    with pytest.raises(ValueError, match="does not remember the days that it was fitted to.*fit again with `hybridflux fit`"):
        map_region(make_posterior(), region_path, tmp_path / "run", keep=(ZoneTotals(), Applicability()))


def test_the_days_of_a_fit_survive_saving(fitted, tmp_path):
    fitted.save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc").training
    assert (again.names, again.threshold, again.mean_distance) == (NAMES, fitted.training.threshold, fitted.training.mean_distance)
    for name in ("values", "place", "mean", "sd", "weight"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fitted.training, name))
