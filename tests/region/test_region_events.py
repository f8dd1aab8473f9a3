"""Cuts of a region become the rows that the ledger reads."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.data.origin import read_origin
from hybridflux.products.management import Event, read_events
from hybridflux.products.region_cover import NORTH, SOUTH, region_cover, winters_of
from hybridflux.products.region_events import region_events
from hybridflux.products.sheet import write_table
from hybridflux.region.drivers.open import open_region
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.series import SeriesProcess, fill, seen_days
from hybridflux.vocabulary import PLANT_TYPES

PROCESS = SeriesProcess(season=(0.8,), fast_sd=0.1, fast_days=20.0, slow_sd=0.05, slow_days=500.0, view_sd=0.02)
CUTS = {0: (150, 230), 1: (190,)}  # zone - 1 -> days of the year of 2018
DAYS = np.arange(np.datetime64("2018-01-01"), np.datetime64("2019-01-01"))


def filled():
    """Filled series of 8 x 6 pixels, the upper half cut on other days than the lower, seen about every six days."""
    rng = np.random.default_rng(0)
    when = np.arange(3, 363, 6)
    truth = np.full((len(when), 8, 6), 0.9)
    for half, cuts in CUTS.items():
        for cut in cuts:
            since = np.maximum(when - cut, 0)[:, None, None]
            truth[:, 4 * half : 4 * half + 4] -= np.where(since > 0, np.maximum(0.35 - 0.01 * since, 0.0), 0.0)
    views = truth + 0.02 * rng.standard_normal(truth.shape)
    views[rng.random(views.shape) < 0.3] = np.nan
    return when, fill(views.reshape(len(when), -1), when, 365, process=PROCESS)


def test_minima_of_the_sd_are_days_with_a_view():
    when, daily = filled()
    values, days = seen_days(daily.mean, daily.sd)
    for pixel in range(5):
        found = days[np.isfinite(values[:, pixel]), pixel]
        used = when[daily.used[:, pixel]]
        assert np.abs(found[:, None] - used).min(1).max() <= 2 and len(found) > 0.85 * len(used)
        np.testing.assert_array_equal(values[np.isfinite(values[:, pixel]), pixel], daily.mean[found.astype(int), pixel])


@pytest.fixture
def mown(tmp_path):
    _, daily = filled()
    size = (8, 6)
    maps = RegionMaps(
        plant_type=np.full(size, PLANT_TYPES.index("GRA")), soil_capacity=np.full(size, 100.0), cell=np.zeros(size, np.int32),
        zone=1 + (np.indices(size)[0] >= 4), zone_names={1: "north", 2: "south"}, daily={"fapar_sd": {}},
    )  # fmt: skip
    names = ("tair", "tmin", "par", "vpd", "rain", "par_potential", "day_fraction", "co2")
    level = dict(zip(names, (12.0, 7.0, 7.0, 6.0, 2.0, 10.0, 0.5, 410.0), strict=True))
    weather = {name: np.full((365, 1), value, np.float32) for name, value in level.items()}
    grid = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, size, 5)
    writer = create_region(tmp_path / "r.zarr", grid, maps, RegionWeather(DAYS, weather))
    mean, sd = (values.reshape(365, *size) for values in (daily.mean, daily.sd))
    writer.write_all(mean, fapar_sd=sd)
    return writer.path


def test_events_of_a_region_are_those_of_its_zones(mown, tmp_path):
    table = region_events(mown)
    assert set(table["event"]) == {"mowing"} and set(table["land_cover"]) == {"GRA"}
    for zone, half in (("north", 0), ("south", 1)):
        rows = table[table["zone"] == zone]
        sure = rows["share"] * rows["probability"]
        day = (rows["date"].to_numpy("datetime64[D]") - DAYS[0]).astype(int) + 1
        for cut in CUTS[half]:
            near = np.abs(day - cut) < 12
            assert sure[near].sum() > 0.6 and np.average(day[near], weights=sure[near]) == pytest.approx(cut, abs=6)
        assert sure.sum() < len(CUTS[half]) + 0.3
    second = table[(table["zone"] == "north") & (table["date"] > "2018-08-05") & (table["date"] < "2018-08-30")].iloc[0]
    assert "2018-03-15" < second["since"] < "2018-06-05"  # the cut before, or the beginning of the series as far as that is not sure
    write_table(table, tmp_path / "events.csv", {"title": "events"})
    events = read_events(tmp_path / "events.csv")
    assert len(events) == len(table) and isinstance(events[0], Event) and events[0].since is not None


def test_cover_and_crops_of_its_zones(mown):
    table = region_cover(mown)
    assert table["year"].tolist() == [2018, 2018] and table["winter_days"].tolist() == [59, 59]
    assert (table["winter_green"] > 0.99).all() and (table["crops"] == 0).all()  # a meadow is green and never bare
    assert table["area_ha"].sum() == pytest.approx(8 * 6 * 0.01, rel=0.01)


def test_a_winter_counts_to_the_year_in_which_it_ends():
    days = np.arange(np.datetime64("2017-10-01"), np.datetime64("2018-12-01"))
    year = winters_of(days, NORTH)
    assert (year[(days >= np.datetime64("2017-11-01")) & (days < np.datetime64("2018-03-01"))] == 2018).all() and year[0] == 0
    assert (year == 2018).sum() == 120 and (year == 2019).sum() == 30
    assert (winters_of(days, SOUTH) == 2018).sum() == 123


def test_a_region_without_the_sd_of_its_series_is_refused(region_path):
    with pytest.raises(ValueError, match="no `fapar_sd`.*region build"):
        region_events(region_path)


def test_the_command_replaces_its_own_tables_and_zones_have_the_names_of_the_ledger(mown, tmp_path, monkeypatch):
    region = dataclasses.replace(open_region(mown), zone_names={1: "parish", 2: "parish"})
    monkeypatch.setattr("hybridflux.region.drivers.open.open_region", lambda path: region)
    table, cover, irrigation = (tmp_path / f"{name}.csv" for name in ("events", "cover", "irrigation"))
    files = ["--out", str(table), "--cover", str(cover), "--irrigation", str(irrigation)]
    for more in ([], ["--overwrite"]):
        with pytest.warns(UserWarning, match="zones whose names repeat"):
            done = CliRunner().invoke(app, ["events", "--region", str(mown), *files, *more])
        assert done.exit_code == 0, done.output
    for path in (table, cover, irrigation):
        assert set(pd.read_csv(path)["zone"]) == {"parish (zone 1)", "parish (zone 2)"}
        assert read_origin(path)["provenance"]["config"] == {"region": str(mown)}
