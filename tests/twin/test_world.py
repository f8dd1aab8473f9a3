"""A world: the region opens, its truth adds up, the drought and the harvests are there, the ledger balances."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.products.inventory import read_inventory
from hybridflux.region.drivers.open import open_region
from hybridflux.twin.world import make_world
from hybridflux.vocabulary import FLUXES, PLANT_TYPES


@pytest.fixture(scope="module")
def truth(world):
    with xr.open_dataset(world.truth, engine="h5netcdf") as found:
        return found.load()


@pytest.fixture(scope="module")
def region(world):
    return open_region(world.region)


def of(truth, cover):
    return truth["cover"].values == cover


def test_the_region_opens_with_a_year_of_lead(world, region):
    assert region.grid.shape == (48, 48) and region.warm_up == 365
    assert region.days[region.warm_up] == world.start == np.datetime64("2022-01-01")
    assert region.days[-1] == world.end == np.datetime64("2022-12-31")
    assert region.zone_names and "vpd_climatology" in region.names


def test_the_region_sees_another_vegetation_than_the_true_one(region, truth):
    parcel = truth["parcel"].values
    fapar = region.group["fapar"][:] * 1e-4
    assert fapar.min() >= 0 and fapar.max() <= 1
    wheat = np.isin(parcel, np.flatnonzero(truth["crop"].values[:, 1] == "wheat"))
    may, august = (int((np.datetime64(day) - region.days[0]).astype(int)) for day in ("2022-05-10", "2022-08-15"))
    assert fapar[may][wheat].mean() > 0.7 and fapar[august][wheat].mean() < 0.3


def test_totals_are_pixels_times_area(world, region, truth):
    area = np.empty(region.grid.shape)
    for tile in region.tiles():
        area[tile.y, tile.x] = region.grid.area(tile)
    for number, flux in enumerate(FLUXES):
        pixels = np.nansum(truth[f"{flux}_map"].values.astype(float) * area, axis=(1, 2))
        assert np.allclose(truth["total"].values[number].sum(0), pixels, rtol=1e-9)
    assert truth["area"].sum() == pytest.approx(area.sum())
    assert 0.98 < area.sum() / (48 * 48 * 100) < 1.02
    nee, gpp, reco = (truth[f"{flux}_map"].values for flux in FLUXES)
    assert np.allclose(nee, reco - gpp, atol=2e-3, equal_nan=True)


def test_towns_and_ponds_have_no_flux(truth):
    bare = np.isin(truth["cover"].values, ("URB", "WAT"))[truth["parcel"].values]
    assert np.array_equal(np.isnan(truth["NEE_map"].values[0]), bare)
    no_vegetation = np.isin(truth["plant_type"].values, [PLANT_TYPES.index(code) for code in ("URB", "WAT")])
    assert (truth["total"].values[:, no_vegetation] == 0).all()


@pytest.mark.parametrize(
    ("cover", "year", "low", "high"),
    [("DBF", 2021, -800, -100), ("ENF", 2021, -900, -100), ("GRA", 2021, -500, 150), ("CRO", 2021, -750, 0), ("CRO", 2022, -700, 200)],
)
def test_annual_nee_is_plausible(truth, cover, year, low, high):
    nee = truth["NEE_parcel"].sel(time=str(year)).values.sum(0)[of(truth, cover)]
    assert low < nee.mean() < high


def test_summer_gpp_and_winter_nee_are_plausible(truth):
    gpp = truth["GPP_parcel"].sel(time="2021").values[:, of(truth, "DBF") | of(truth, "CRO")]
    assert 7 < np.quantile(gpp, 0.98) < 18
    january = truth["NEE_parcel"].sel(time="2022-01").values[:, of(truth, "DBF") | of(truth, "GRA")].mean()
    assert 0.3 < january < 2.2


def test_the_drought_is_visible(truth):
    wet, dry = (truth.sel(time=slice(f"{year}-07-01", f"{year}-08-31")) for year in (2021, 2022))
    vegetated = ~np.isnan(truth["rew_parcel"].values[0])
    assert dry["rew_parcel"].values[:, vegetated].mean() < 0.7 * wet["rew_parcel"].values[:, vegetated].mean()
    for cover in ("DBF", "GRA"):
        change = dry["NEE_parcel"].values[:, of(truth, cover)].mean() - wet["NEE_parcel"].values[:, of(truth, cover)].mean()
        assert 0.3 < change < 6


def test_the_ledger_balances_within_its_errors(world, truth):
    entries = {(e.zone, e.land_cover): e for e in read_inventory(world.inventory)}
    area, kind = truth["area"].values, truth["plant_type"].values
    for cover in ("DBF", "GRA", "CRO"):
        cells = kind == PLANT_TYPES.index(cover)
        nee = truth["total"].values[0, cells].sum() / area[cells].sum()
        pools = entries["region", cover].pools
        gap = -nee - pools["export"][0] - pools["biomass"][0] - pools["soil"][0]
        assert abs(gap) < 3.5 * np.sqrt(sum(sd**2 for _, sd in pools.values())), cover
    assert 100 < entries["region", "CRO"].pools["export"][0] < 550
    assert 80 < entries["region", "GRA"].pools["export"][0] < 450
    assert entries["region", "DBF"].years == (2022, 2022)


def test_true_parameters_are_written(world, truth):
    record = json.loads(world.parameters.read_text())
    assert set(record["towers"]["respiration_ref"]) == set(pd.read_csv(world.towers / "sites.csv")["site_id"])
    assert json.loads(truth.attrs["parameters"])["rew_critical"] == record["shared"]["rew_critical"]


def test_the_same_seed_gives_the_same_region_whatever_the_towers(world, tmp_path):
    again = make_world(tmp_path / "again", size=48, towers=1, seed=1)
    for name in ("inventory.csv",):
        assert (again.folder / name).read_bytes() == (world.folder / name).read_bytes()
    first, second = (open_region(one.region).group["fapar"][:] for one in (world, again))
    assert np.array_equal(first, second)


def test_short_worlds_keep_the_drought_and_long_ones_are_refused(tmp_path):
    short = make_world(tmp_path / "short", size=16, days=40, towers=1)
    assert short.start < np.datetime64("2022-07-10") < short.end
    region = open_region(short.region)
    assert region.warm_up == 365 and len(region.days) == 405
    with pytest.raises(ValueError, match="two years"):
        make_world(tmp_path / "long", days=900)
