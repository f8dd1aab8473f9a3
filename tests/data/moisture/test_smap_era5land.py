"""SMAP on the EASE grid and the layers of ERA5-Land."""

import h5py
import numpy as np
import pytest
import xarray as xr

from hybridflux.data.catalog import load_catalog
from hybridflux.data.moisture import reader

EXTENT = (1.0, 43.0, 1.5, 43.5)


@pytest.fixture
def read():
    catalog = load_catalog()

    def call(dataset, place, extent=EXTENT, start="2017-08-01", end="2017-08-10", utc_offset=1.0):
        days = np.datetime64(start), np.datetime64(end)
        return reader(catalog[dataset].format)(catalog[dataset], place, extent, *days, utc_offset)

    return call


def composite(path, morning, evening, flag=0):
    """A daily composite of two by two cells, one of which lies elsewhere and one without data."""
    latitude = np.array([[43.2, 43.2], [10.0, -9999.0]], np.float32)
    longitude = np.array([[1.2, 1.55], [1.2, -9999.0]], np.float32)
    with h5py.File(path, "w") as file:
        for group, suffix, value in (("AM", "", morning), ("PM", "_pm", evening)):
            part = file.create_group(f"Soil_Moisture_Retrieval_Data_{group}")
            part["latitude" + suffix], part["longitude" + suffix] = latitude, longitude
            part["soil_moisture" + suffix] = np.array([[value, 0.3], [0.2, -9999.0]], np.float32)
            part["retrieval_qual_flag" + suffix] = np.array([[flag, 0], [0, 65534]], np.uint16)


def test_composites(read, tmp_path):
    composite(tmp_path / "SMAP_L3_SM_P_20170803_R18290_001.h5", 0.10, 0.20)
    composite(tmp_path / "SMAP_L3_SM_P_20170805_R18290_001.h5", 0.12, -9999.0)
    moisture = read("smap-l3", tmp_path)
    assert moisture.days.astype(str).tolist() == ["2017-08-03", "2017-08-05"] and moisture.units == {"ssm": "m3 m-3"}
    assert moisture.longitude == pytest.approx([1.2, 1.55]) and moisture.values["ssm"][:, 0] == pytest.approx([0.15, 0.12])
    composite(tmp_path / "SMAP_L3_SM_P_20170803_R18290_001.h5", 0.10, 0.20, flag=1)
    moisture = read("smap-l3", tmp_path)
    assert np.isnan(moisture.values["ssm"][0, 0]) and moisture.origin["left_out_uncertain"] == 3


def test_analyses_are_put_on_local_days(read, tmp_path):
    for stamp, value in (("20170803T193000", 0.2), ("20170803T223000", 0.3), ("20170803T233000", 0.4)):
        with h5py.File(tmp_path / f"SMAP_L4_SM_gph_{stamp}_Vv7030_001.h5", "w") as file:
            file["cell_lat"], file["cell_lon"] = np.full((1, 1), 43.2, np.float32), np.full((1, 1), 1.2, np.float32)
            for name in ("sm_surface", "sm_rootzone"):
                file[f"Geophysical_Data/{name}"] = np.full((1, 1), value, np.float32)
    moisture = read("smap-l4", tmp_path)
    assert moisture.days.astype(str).tolist() == ["2017-08-03", "2017-08-04"]
    assert moisture.values["ssm"][:, 0] == pytest.approx([0.25, 0.4]) and moisture.values["root_zone"][1, 0] == pytest.approx(0.4)


def test_real_half_orbit(read, shared):
    place = shared / "data" / "eo" / "soil_moisture"
    with h5py.File(next(place.glob("SMAP_L2*.h5"))) as file:
        part = file["Soil_Moisture_Retrieval_Data"]
        water, flag, latitude, longitude = (part[n][()] for n in ("soil_moisture", "retrieval_qual_flag", "latitude", "longitude"))
    good = (flag & 1 == 0) & (water > 0)
    i = int(np.flatnonzero(good)[len(np.flatnonzero(good)) // 2])
    near = (longitude[i] - 1.0, latitude[i] - 1.0, longitude[i] + 1.0, latitude[i] + 1.0)
    moisture = read("smap-l3", place, near, "2015-08-10", "2015-08-12")
    cell = int(np.argmin((moisture.latitude - latitude[i]) ** 2 + (moisture.longitude - longitude[i]) ** 2))
    assert moisture.values["ssm"][0, cell] == pytest.approx(water[i], rel=1e-6) and moisture.days.astype(str).tolist() == ["2015-08-11"]
    inside = good & (np.abs(latitude - latitude[i]) <= 1.37) & (np.abs(longitude - longitude[i]) <= 1.37)
    assert np.isfinite(moisture.values["ssm"]).sum() == inside.sum()
    with pytest.raises(ValueError, match="1 SMAP files, none with a recommended retrieval"):
        read("smap-l3", place, EXTENT, "2015-08-10", "2015-08-12")


def test_damaged_and_foreign_files(read, tmp_path):
    path = tmp_path / "SMAP_L3_SM_P_20170803_R18290_001.h5"
    composite(path, 0.1, 0.2)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match="R18290_001.h5 is damaged, cut short or not a SMAP product"):
        read("smap-l3", tmp_path)


def layers(folder, name="a.nc", start="2017-08-01T00", n=72, factor=1.0, **changed):
    stamps = np.datetime64(start, "ns") + np.arange(n) * np.timedelta64(1, "h")
    water = {"swvl1": 0.10, "swvl2": 0.20, "swvl3": 0.30, "swvl4": 0.40} | changed
    hour = np.arange(n)[:, None, None] * 1e-3
    variables = {layer: (("valid_time", "latitude", "longitude"), (value + hour * np.ones((1, 2, 2))) * factor, {"units": "m**3 m**-3"})
                 for layer, value in water.items()}  # fmt: skip
    data = xr.Dataset(variables, coords={"valid_time": stamps, "latitude": [43.3, 43.2], "longitude": [1.2, 1.3]})
    data.where(data.longitude < 1.25).to_netcdf(folder / name, engine="h5netcdf")


def test_layers_and_first_metre(read, tmp_path):
    layers(tmp_path)
    moisture = read("era5-land-soil", tmp_path)
    assert set(moisture.longitude) == {1.2}, "the sea is left out"
    assert moisture.days.astype(str).tolist() == ["2017-08-01", "2017-08-02", "2017-08-03", "2017-08-04"]
    assert moisture.values["swvl1"][1, 0] == pytest.approx(0.10 + 1e-3 * np.mean(np.arange(23, 47))), "23 UTC to 22 UTC"
    weighted = (7 * moisture.values["swvl1"] + 21 * moisture.values["swvl2"] + 72 * moisture.values["swvl3"]) / 100
    assert moisture.values["root_zone"] == pytest.approx(weighted, rel=1e-5)


def test_layers_refused(read, tmp_path):
    layers(tmp_path, factor=100.0)
    with pytest.raises(ValueError, match="soil water is 0 to 0.9 m3 m-3: is it in percent"):
        read("era5-land-soil", tmp_path)
    layers(tmp_path)
    layers(tmp_path, "b.nc", start="2017-08-03T00")
    with pytest.raises(ValueError, match="the hour 2017-08-03T00:00:00 UTC comes twice"):
        read("era5-land-soil", tmp_path)
    with pytest.raises(ValueError, match="no hour on land between 2018-01-01"):
        (tmp_path / "b.nc").unlink()
        read("era5-land-soil", tmp_path, start="2018-01-01", end="2018-01-31")


def test_what_no_soil_holds_and_what_is_there_twice(read, tmp_path):
    composite(tmp_path / "SMAP_L3_SM_P_20170803_R18290_001.h5", 0.10, 0.20)
    composite(tmp_path / "SMAP_L3_SM_P_20170803_R19240_001.h5", 0.30, 0.40)
    with pytest.raises(ValueError, match="R18290_001.h5 and SMAP_L3_SM_P_20170803_R19240_001.h5 are two releases"):
        read("smap-l3", tmp_path)
    (tmp_path / "SMAP_L3_SM_P_20170803_R19240_001.h5").unlink()
    composite(tmp_path / "SMAP_L3_SM_P_20170804_R18290_001.h5", 10.0, 20.0)
    with pytest.raises(ValueError, match="20170804_R18290_001.h5: `ssm` runs up to 10; soil water is 0 to 0.9 m3 m-3: is it in per cent"):
        read("smap-l3", tmp_path)


def test_degree_of_saturation_is_warned_of(read, tmp_path):
    layers(tmp_path, swvl1=0.75)
    with pytest.warns(UserWarning, match="`swvl1`: the median is 0.79 m3 m-3, .* degree of saturation"):
        read("era5-land-soil", tmp_path)
