"""Copernicus SSM and SWI: counts to shares, flags never to numbers."""

import h5py
import numpy as np
import pytest
import xarray as xr

from hybridflux.data.catalog import load_catalog
from hybridflux.data.moisture import reader

BOUCONNE = (1.20, 43.62, 1.28, 43.68)


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture
def read(catalog):
    def call(dataset, place, extent=BOUCONNE, start="2017-06-01", end="2017-06-03"):
        return reader(catalog[dataset].format)(catalog[dataset], place, extent, np.datetime64(start), np.datetime64(end), 1.0)

    return call


def write(folder, day, counts, *, packed=True, name="ssm", **others):
    """A file of three cells; `packed` is with the scale in the file, as the product has it."""
    attributes = {"scale_factor": np.float32(0.5)} if packed else {}
    variables = {name: (("time", "lat", "lon"), np.array(counts, np.uint8).reshape(1, 1, 3), attributes)}
    variables |= {other: (("time", "lat", "lon"), np.array(values, np.uint8).reshape(1, 1, 3), attributes if other != "SSF" else {})
                  for other, values in others.items()}  # fmt: skip
    axes = {"time": [np.datetime64(day, "ns")], "lat": [43.65], "lon": [1.23, 1.24, 1.25]}
    path = folder / f"c_gls_{name}_{day}.nc"
    xr.Dataset(variables, coords=axes).to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_counts_and_flags(read, tmp_path, packed):
    write(tmp_path, "2017-06-02", [0, 200, 77], packed=packed)
    write(tmp_path, "2017-06-01", [241, 253, 255], packed=packed)
    moisture = read("cgls-ssm-1km", tmp_path)
    assert moisture.days.astype(str).tolist() == ["2017-06-01", "2017-06-02"]
    assert moisture.values["ssm"][1] == pytest.approx([0.0, 1.0, 0.385]) and np.isnan(moisture.values["ssm"][0]).all()
    assert moisture.units == {"ssm": "1"} and moisture.mean("ssm") == pytest.approx([np.nan, 0.46166667], nan_ok=True)


def test_frozen_ground_and_quality(read, tmp_path):
    write(tmp_path, "2017-06-01", [100, 100, 254], name="SWI_005", QFLAG_005=[200, 150, 252], SSF=[1, 2, 1])
    moisture = read("cgls-swi-1km", tmp_path)
    assert moisture.values["swi_005"][0] == pytest.approx([0.5, np.nan, np.nan], nan_ok=True)
    assert moisture.quality["swi_005"][0] == pytest.approx([1.0, 0.75, np.nan], nan_ok=True)


def test_real_files_against_the_stored_counts(read, shared):
    place = shared / "data" / "eo" / "soil_moisture"
    crop = (-0.99, 41.01, 2.99, 44.99)
    moisture = read("cgls-ssm-1km", place, crop)
    with h5py.File(next(place.glob("c_gls_SSM1km_20170601*"))) as file:
        counts = file["ssm"][0].astype(float).ravel()
    data = counts <= 200
    assert np.isfinite(moisture.values["ssm"][0]).sum() == data.sum() and data.mean() == pytest.approx(0.137, abs=1e-3)
    assert moisture.values["ssm"][0][data] == pytest.approx(counts[data] / 200)
    assert moisture.origin["share_seen"]["ssm"] == pytest.approx((data.mean() + 0.0 + 0.017) / 3, abs=0.003)


def test_real_swi_of_bouconne(read, shared):
    moisture = read("cgls-swi-1km", shared / "data" / "eo" / "soil_moisture")
    assert set(moisture.values) == {"swi_005", "swi_040"} and len(moisture.days) == 3 and moisture.latitude.size > 50
    assert np.abs(moisture.latitude - 43.65).max() < 0.05
    known = np.isfinite(moisture.values["swi_005"])
    assert known.mean() > 0.5 and 0 <= np.nanmin(moisture.values["swi_005"]) and np.nanmax(moisture.values["swi_005"]) <= 1
    steps = [np.nanmean(np.abs(np.diff(moisture.values[name], axis=0))) for name in ("swi_005", "swi_040")]
    assert steps[1] < steps[0], "the slower filter moves less from day to day"


def test_refused(read, tmp_path):
    path = write(tmp_path, "2017-06-01", [1, 2, 3])
    with pytest.raises(ValueError, match="lies outside it"):
        read("cgls-ssm-1km", tmp_path, (10.0, 50.0, 10.1, 50.1))
    with pytest.raises(ValueError, match="no file of cgls-ssm-1km between 2018-01-01"):
        read("cgls-ssm-1km", tmp_path, start="2018-01-01", end="2018-01-31")
    (tmp_path / "c_gls_ssm_v2.nc").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="c_gls_ssm_2017-06-01.nc, c_gls_ssm_v2.nc are both of 2017-06-01"):
        read("cgls-ssm-1km", tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="c_gls_ssm_2017-06-01.nc is damaged"):
        read("cgls-ssm-1km", tmp_path)


def test_a_file_of_several_days_is_refused(read, tmp_path):
    """The first rows of each file were taken for the days of all."""
    days = [xr.open_dataset(write(tmp_path, day, counts), engine="h5netcdf", mask_and_scale=False).load()
            for day, counts in (("2017-06-01", [0, 20, 40]), ("2017-06-02", [100, 120, 140]))]  # fmt: skip
    (tmp_path / "merged").mkdir()
    xr.concat(days, "time").to_netcdf(tmp_path / "merged" / "c_gls_ssm.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="c_gls_ssm.nc holds 2 days; the product has a file a day"):
        read("cgls-ssm-1km", tmp_path / "merged")


def test_every_format_of_the_catalog_has_a_reader(catalog):
    assert {dataset.format for dataset in catalog.values() if dataset.format in reader.own} == set(reader.own)
    assert all(callable(reader(name)) for name in reader.own)
    with pytest.raises(ValueError, match="no reader of soil moisture for the format `smapp`. Did you mean `smap`"):
        reader("smapp")


def test_fractions_for_per_cent_are_refused(read, tmp_path):
    """A map that somebody wrote in 0 to 1; a dry map in counts of half a per cent stays."""
    for name, water in (("fractions", np.linspace(0.05, 0.6, 100)), ("dry", np.repeat([0.0, 0.5, 1.0, 0.5], 25))):
        folder = tmp_path / name
        folder.mkdir()
        axes = {"time": [np.datetime64("2017-06-01", "ns")], "lat": 43.65 + np.arange(10) / 500, "lon": 1.23 + np.arange(10) / 500}
        data = xr.Dataset({"ssm": (("time", "lat", "lon"), water.reshape(1, 10, 10))}, coords=axes)
        data.to_netcdf(folder / "c_gls_ssm.nc", engine="h5netcdf", encoding={"ssm": {"scale_factor": 1.0, "dtype": "float64"}})
    with pytest.raises(ValueError, match="`ssm`: the wettest of 100 values is 0.60% of saturation; the file is perhaps in fractions"):
        read("cgls-ssm-1km", tmp_path / "fractions")
    assert read("cgls-ssm-1km", tmp_path / "dry").values["ssm"].max() == pytest.approx(0.01)
