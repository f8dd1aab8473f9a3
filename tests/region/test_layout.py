"""Zarr stores of ours open in xarray without a warning: warnings are errors in these tests."""

import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from hybridflux.region.drivers.open import open_region
from hybridflux.region.store import layout


@pytest.fixture
def store(region_path, tmp_path):
    """A region with soil moisture on cells and days of its own, as `region build` leaves it."""
    path = shutil.copytree(region_path, tmp_path / "r.zarr")
    group = zarr.open_group(path, mode="r+").require_group("moisture").create_group("made-up")
    layout.put(group, "time", np.arange(3, dtype=np.int32), ("time",), fill=-1, units=layout.TIME_UNITS)
    layout.put(group, "ssm", np.ones((3, 2), np.float32), ("time", "cell"), fill=np.nan)
    layout.consolidate(path)
    return path


@pytest.mark.parametrize("group", ["", "moisture", "moisture/made-up"])
def test_every_group_opens_from_the_root_and_by_its_own_path(store, group):
    for found in (xr.open_zarr(store, group=group or None), xr.open_zarr(store / group)):
        assert set(found.data_vars) >= {"": {"fapar", "tair"}, "moisture": set(), "moisture/made-up": {"ssm"}}[group]


def test_what_is_changed_afterwards_is_seen_by_ours_at_once(store):
    group = zarr.open_group(store, mode="r+")
    group.attrs[layout.ATTRIBUTION] = ["Contains modified Copernicus Sentinel data 2018"]
    group["tair"].attrs["comment"] = "warmer"
    region = open_region(store)
    assert region.group["tair"].attrs["comment"] == "warmer" and region.attribution == ["Contains modified Copernicus Sentinel data 2018"]
    assert "comment" not in xr.open_zarr(store)["tair"].attrs  # of others, after `consolidate`
    layout.consolidate(store)
    assert xr.open_zarr(store)["tair"].attrs["comment"] == "warmer"
