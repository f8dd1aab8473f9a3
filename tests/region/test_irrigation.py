"""Plants that stay green on a soil without water had other water, and nothing else looks so."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.process import water
from hybridflux.products.irrigation import FORTNIGHT, Soils, beyond_rain, seasons_of
from hybridflux.products.region_irrigation import region_irrigation
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import read_tile
from hybridflux.vocabulary import PLANT_TYPES

DAYS = np.arange(np.datetime64("2017-09-01"), np.datetime64("2018-12-31"))
SEASON, YEARS = seasons_of(DAYS)
SUMMER = SEASON >= 0


def drivers(**series):
    """A warm, bright summer without rain over green plants, `[time, 1]` with other series in place of these."""
    usual = dict(
        tair=np.where(SUMMER, 20.0, 6.0), par=np.where(SUMMER, 9.0, 3.0), rain=np.where(SUMMER, 0.0, 3.0), fapar=np.where(SUMMER, 0.9, 0.3)
    )
    return {name: np.asarray(values)[:, None] for name, values in (usual | series).items()}


def test_green_plants_of_a_summer_without_rain_had_other_water():
    soils = Soils.drawn(64)
    days, missing = beyond_rain(drivers(), SEASON, soils)
    assert days.shape == missing.shape == (1, 64, 1) and (days >= FORTNIGHT).all()
    potential = float(water.potential_evaporation(tair=20.0, par=9.0, evaporation_scalar=0.65))
    demand = potential * (0.25 + 0.75 * 0.9) * SUMMER.sum()  # 512 mm
    assert demand - 300 < missing.mean() < demand - 100  # less what the soil gave, and what was missing before it was dry
    order = np.argsort(soils.capacity)
    assert np.corrcoef(soils.capacity[order], missing[0, order, 0])[0, 1] < -0.5  # the more the soil holds, the less is missing


NONE = np.zeros(len(DAYS))
OTHERS = {"bare ground": dict(fapar=NONE + 0.2), "enough rain": dict(rain=NONE + 5.0), "no demand": dict(tair=NONE + 3.0, par=NONE + 1.0)}


@pytest.mark.parametrize("series", OTHERS.values(), ids=OTHERS)
def test_others_had_what_they_needed(series):
    days, missing = beyond_rain(drivers(**series), SEASON, Soils.drawn(64))
    assert (days < FORTNIGHT).mean() > 0.97 and missing.mean() < 1.0


def test_the_water_that_is_missing_ends_the_lack():
    """Given back as rain day by day, what plants lacked leaves them nothing to lack: no water is counted twice."""
    one = Soils(np.array([200.0], np.float32), np.array([0.65], np.float32), np.ones(1, np.float32))
    _, missing = beyond_rain(drivers(), SEASON, one)
    given = np.where(SUMMER, 1.05 * float(missing.sum()) / SUMMER.sum() + 1.5, 3.0)
    days, left = beyond_rain(drivers(rain=given), SEASON, one)
    assert left.sum() < 0.05 * missing.sum() and days.sum() < FORTNIGHT


def test_a_southern_season_counts_to_the_year_in_which_it_ends():
    days = np.arange(np.datetime64("2017-07-01"), np.datetime64("2018-07-01"))
    season, years = seasons_of(days, south=True)
    assert years == (2018,) and days[season == 0][0] == np.datetime64("2017-11-01") and days[season == 0][-1] == np.datetime64("2018-03-31")


def test_a_region_by_zone_and_land_cover(make_region, tmp_path):
    dry = make_region(tmp_path / "r.zarr", size=(12, 10), days=("2016-12-01", "2018-10-31"))
    table = region_irrigation(dry.path, draws=8)
    assert set(table["land_cover"]) <= {"CRO", "GRA"} and set(table["year"]) == {2017, 2018}
    assert table["probability"].between(0, 1).all() and (table["water_q05"] <= table["water_q95"]).all()
    assert (table["probability"] < 0.5).all()  # 2 mm of rain a day
    arid = open_region(dry.path).with_changes({"rain": "*0.1"})
    drier, one_zone = region_irrigation(arid, draws=8), []
    assert (drier["water_mm"] >= table["water_mm"]).all() and drier["probability"].max() > 0.5
    season, years = seasons_of(arid.days)
    for tile in arid.tiles():  # the same from all pixels of one zone and cover at once
        read = read_tile(arid, tile, ("tair", "par", "rain", "fapar"), slice(0, len(arid.days)))
        here = (read.zone == 1) & (read.plant_type == PLANT_TYPES.index("CRO"))
        series = {name: values[:, read.cell[here]] for name, values in read.weather.items()}
        days, lacking = beyond_rain(series | {"fapar": 1e-4 * read.daily["fapar"][:, read.pixel[here]]}, season, Soils.drawn(8))
        one_zone.append((np.where(days >= FORTNIGHT, lacking, 0.0), read.area[here]))
    mean = np.average(np.concatenate([one for one, _ in one_zone], 2), axis=2, weights=np.concatenate([size for _, size in one_zone]))
    rows = drier[(drier["zone"] == "north") & (drier["land_cover"] == "CRO")]
    assert rows["year"].tolist() == list(years)
    np.testing.assert_allclose(rows["water_mm"], mean.mean(1), rtol=1e-4)
    np.testing.assert_allclose(rows["water_q95"], np.quantile(mean, 0.95, axis=1), rtol=1e-4)
    short = make_region(tmp_path / "s.zarr", size=(12, 10), days=("2018-03-01", "2018-12-31"))
    with pytest.raises(ValueError, match="from the autumn before"):
        region_irrigation(short.path, draws=2)
    pd.testing.assert_frame_equal(table, region_irrigation(dry.path, draws=8))
