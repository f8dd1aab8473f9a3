"""One more tower on a pixel of the region: it measures the truth of that pixel, and the other towers stay as they are."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.data.towers import open_towers
from hybridflux.region.drivers.open import open_region
from hybridflux.twin.tower_in_region import add_tower


def test_a_tower_in_the_region_measures_the_truth_of_its_pixel(world, tmp_path):
    with xr.open_dataset(world.truth, engine="h5netcdf") as data:
        truth, cover = data["NEE_map"].values / data["days"].values[:, None, None], data["cover"].values[data["parcel"].values]
    row, column = np.argwhere(cover == "CRO")[40]
    shutil.copytree(world.towers, tmp_path / "towers")
    name = add_tower(world, tmp_path / "towers", row, column, (2021, 2022), np.random.default_rng(0))
    towers, grid = open_towers(tmp_path / "towers"), open_region(world.region).grid
    before = open_towers(world.towers)
    assert list(towers.sites.index) == [*before.sites.index, name] and towers.sites.loc[name, "igbp"] == "CRO"
    xr.testing.assert_equal(towers.select(before.sites.index).daily, before.daily)
    x, y = grid.lonlat(float(grid.x[column]), float(grid.y[row]))
    assert towers.sites.loc[name, ["lon", "lat"]].to_numpy(float) == pytest.approx([float(x), float(y)], abs=1e-5)
    measured = towers.daily["nee"].sel(site=name).to_series().loc["2022"]
    monthly = measured.groupby(measured.index.month).agg(["mean", "count"])
    full = (monthly["count"] > 15).to_numpy()
    assert full.sum() >= 8
    assert np.abs(monthly["mean"][full].to_numpy() - truth[:, row, column][full]).mean() < 0.5  # gC m-2 d-1, of some 20 noisy days
    other = np.argwhere(cover == "DBF")[0]
    assert np.abs(monthly["mean"][full].to_numpy() - truth[:, other[0], other[1]][full]).mean() > 0.5
    assert str(pd.Timestamp(towers.sites.loc[name, "first"]).year) == "2021"


@pytest.mark.parametrize(("cover", "years", "says"), [("URB", (2021, 2022), "without"), ("CRO", (2020, 2022), "not 2020 to 2022")])
def test_a_tower_needs_vegetation_and_years_of_the_world(world, tmp_path, cover, years, says):
    with xr.open_dataset(world.truth, engine="h5netcdf") as data:
        row, column = np.argwhere(data["cover"].values[data["parcel"].values] == cover)[0]
    with pytest.raises(ValueError, match=says):
        add_tower(world, tmp_path, row, column, years, np.random.default_rng(0))
