"""Drivers that cannot be are masked and counted, or refused with the cure; none is mapped."""

import base64
import json
import shutil
import struct

import numpy as np
import pytest
import zarr

from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import OUT_OF_RANGE, read_tile
from hybridflux.region.map import map_region

pytestmark = pytest.mark.long


@pytest.fixture
def path(region_path, tmp_path):
    return shutil.copytree(region_path, tmp_path / "r.zarr")


@pytest.mark.filterwarnings("ignore:.*changed after it was written")
@pytest.mark.parametrize("value", [-3.27, -0.001, 1.02, 3.27])
def test_fapar_out_of_range_is_masked_and_counted(path, tmp_path, make_posterior, value):
    """-3.3 was mapped to GPP -27."""
    array = zarr.open_array(path / "fapar", mode="r+")
    array[720, 4:6, 7] = round(value * 1e4)
    report = map_region(make_posterior(draws=2), path, tmp_path / "run", draws=2, period=Period("2018-12-01"))
    assert report.masked[OUT_OF_RANGE] == 2 and OUT_OF_RANGE in str(report)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["masked"][OUT_OF_RANGE] == 2
    gpp = zarr.open_array(tmp_path / "run" / "fluxes.zarr" / "monthly" / "GPP", mode="r")[0]
    assert (gpp[4:6, 7] == -32768).all() and gpp[gpp != -32768].min() >= 0


def test_a_value_before_the_days_of_a_run_does_not_matter(path):
    zarr.open_array(path / "fapar", mode="r+")[3, 4, 7] = -30000
    region = open_region(path)
    tile = next(region.tiles())
    window = region.window(np.datetime64("2018-06-01"), np.datetime64("2018-06-30"))
    assert OUT_OF_RANGE not in read_tile(region, tile, ("fapar",), window).masked
    assert read_tile(region, tile, ("fapar",), region.window(region.days[0], region.days[-1])).masked[OUT_OF_RANGE] == 1


@pytest.mark.parametrize(
    ("name", "attribute", "value", "said"),
    [
        ("", "lead", "thirty", "`lead` is 'thirty'; it is a whole number of days"),
        ("", "lead", -5, "`lead` is -5"),
        ("", "lead", 3.7, "`lead` is 3.7"),
        ("", "lead", None, "`lead` is None"),
        ("", "utc_offset", 99, "`utc_offset` is 99"),
        ("", "utc_offset", "x" * 500, "`utc_offset` is 'x{59}[.]{3};"),
        ("zone", "zone_names", "north", "`zone_names` of `zone` is 'north'"),
        ("zone", "zone_names", {"a": "north"}, "`zone_names` of `zone` is"),
        ("zone", "_FillValue", 1, "`zone` marks missing values by _FillValue 1, and here 0 does"),
        ("soil_capacity", "_FillValue", 100.0, "_FillValue 100.0, and here NaN does"),
        ("soil_capacity", "_FillValue", base64.b64encode(struct.pack("<d", 0.0)).decode(), "`soil_capacity` marks missing values"),
        ("tair", "missing_value", -9999, "`tair` marks missing values by missing_value -9999"),
        ("fapar", "missing_value", 0, "`fapar` marks missing days by 0"),
        ("fapar", "scale_factor", "a tenth", "`fapar` has the scale_factor 'a tenth'"),
        ("fapar", "add_offset", "x", "add_offset 'x'"),
    ],
)
def test_attributes_that_cannot_be(path, name, attribute, value, said):
    group = zarr.open_group(path, mode="r+")
    (group[name] if name else group).attrs[attribute] = value
    with pytest.raises(ValueError, match=said):
        open_region(path)


def test_missing_values_that_are_ours_are_accepted(path):
    group = zarr.open_group(path, mode="r+")
    group["zone"].attrs["_FillValue"], group["plant_type"].attrs["_FillValue"] = 0, 255
    group["soil_capacity"].attrs["_FillValue"] = base64.b64encode(struct.pack("<d", np.nan)).decode()
    assert open_region(path).zone_names


def test_a_zone_below_zero(path):
    zarr.open_array(path / "zone", mode="r+")[3, 3] = -3
    with pytest.raises(ValueError, match="`zone` holds -3"):
        open_region(path)
