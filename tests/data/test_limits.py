"""Small files that unpack to large ones, lines without end: refused with the amount and the way to raise the limit."""

import gzip
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr

from hybridflux.data.archives import Archive
from hybridflux.data.delimited import read_cells
from hybridflux.data.fluxnet_table import read_table
from hybridflux.data.grid_axes import check_window
from hybridflux.data.imagery.packages import Package
from hybridflux.data.parquet import read_parquet
from hybridflux.data.weather.netcdf import parts
from hybridflux.limits import Refused, brief
from tests.data.damage import read_cube, read_smap, read_weather

HEADER = b"TIMESTAMP,NEE_VUT_REF\n"


@pytest.fixture(autouse=True)
def low(monkeypatch):
    for name in ("CELLS", "TABLE", "ZIP_MEMBER", "METADATA"):
        monkeypatch.setenv(f"HYBRIDFLUX_LIMIT_{name}", "200000")
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_LINE", "1000")


def zipped(path, member, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return path


def packed(path, content):
    path.write_bytes(gzip.compress(content))
    return path


ROWS = HEADER + b"20180101,1.0\n" * 50_000
NAME = "FLX_DE-Tst_FLUXNET2015_FULLSET_DD_2018-2018_1-3.csv"
STAMPS = frozenset(("TIMESTAMP",))
BOMBS = {
    "table by hand": (lambda folder: read_cells(packed(folder / "sites.csv.gz", b"site_id\n" + b"DE-Tst\n" * 50_000)), "LIMIT_CELLS"),
    "one line": (lambda folder: read_cells(packed(folder / "sites.csv.gz", b"site_id\n" + b"x" * 5000)), "LIMIT_LINE"),
    "gzipped table": (
        lambda folder: read_table(Archive("DE-Tst", packed(folder / f"{NAME}.gz", ROWS), "DD"), STAMPS), "LIMIT_TABLE",
    ),
    "zipped table": (
        lambda folder: read_table(Archive("DE-Tst", zipped(folder / "a.zip", NAME, ROWS), "DD", NAME), STAMPS), "LIMIT_TABLE",
    ),
    "zipped netCDF": (lambda folder: list(parts(zipped(folder / "a.zip", "a.nc", bytes(300_000)))), "LIMIT_ZIP_MEMBER"),
    "metadata": (lambda folder: Package("p", zipped(folder / "a.zip", "MTD.xml", bytes(300_000)), ()).text("MTD.xml"), "LIMIT_METADATA"),
}  # fmt: skip


@pytest.mark.parametrize(("read", "limit"), BOMBS.values(), ids=BOMBS)
def test_what_unpacks_beyond_a_limit_is_refused(tmp_path, read, limit):
    with pytest.raises(Refused, match=rf"at most .* set HYBRIDFLUX_{limit} in the environment to a larger number \(now"):
        read(tmp_path)


def test_the_limit_can_be_raised(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_TABLE", "1e6")
    assert len(read_table(Archive("DE-Tst", packed(tmp_path / f"{NAME}.gz", ROWS), "DD"), frozenset(("TIMESTAMP",)))) == 50_000


def test_a_table_of_one_endless_line_is_refused(tmp_path):
    (tmp_path / NAME).write_bytes(b"x" * 100_000)
    with pytest.raises(Refused, match="first line has more than 65536 bytes"):
        read_table(Archive("DE-Tst", tmp_path / NAME, "DD"), frozenset(("TIMESTAMP",)))


def test_more_pixels_than_a_region_can_need_are_refused_before_they_are_read():
    with pytest.raises(Refused, match=r"a.tif, of which 40000000 pixels lie on the 100 of the region.*HYBRIDFLUX_LIMIT_PER_PIXEL"):
        check_window(slice(0, 4000), slice(0, 10_000), "a.tif", pixels=100)
    check_window(slice(0, 4000), slice(0, 10_000), "a.tif", pixels=10_000)
    with pytest.raises(Refused, match="HYBRIDFLUX_LIMIT_PIXELS"):
        check_window(slice(0, 10**5), slice(0, 10**5), "a.tif", pixels=10**9)


def huge_cube(path):
    """A few kilobytes that claim 400 million pixels of 5 mm on the 48 x 48 of the region: no chunk is stored."""
    with h5py.File(path, "w") as file:
        for name, value in (("B04", 500), ("B08", 500), ("SCL", 4)):
            file.create_dataset(name, (1, 100_000, 100_000), "i2", chunks=(1, 500, 500), fillvalue=value, compression="gzip")
        axes = {"t": np.array([17687]), "y": 4899999 - 0.0048 * np.arange(100_000), "x": 600001 + 0.0048 * np.arange(100_000)}
        for number, (name, values) in enumerate(axes.items()):
            file[name] = values
            file[name].make_scale(name)
            for band in ("B04", "B08", "SCL"):
                file[band].dims[number].attach_scale(file[name])
        file["t"].attrs["units"] = "days since 1970-01-01"
        file.attrs["crs"] = "EPSG:32631"
    return read_cube(path)


def huge_store(path):
    store = zarr.open_group(path, mode="w", zarr_format=3)
    store.create_array("x", shape=(10**12,), chunks=(1000,), dtype="f8", dimension_names=["x"])
    return read_cube(path)


def fine_weather(path):
    """Half a thousandth of a degree: a million cells on the 2200 km2 of the region."""
    axes = {"time": np.array(["2018-06-01"], "M8[ns]"), "latitude": np.linspace(43, 43.5, 1000), "longitude": np.linspace(1, 1.5, 1000)}
    with h5py.File(path, "w") as file:
        file.create_dataset("t2m", (1, 1000, 1000), "f4", chunks=(1, 500, 500))
        for number, (name, values) in enumerate(axes.items()):
            file[name] = values.astype("M8[h]").astype(int) if name == "time" else values
            file[name].make_scale(name)
            file["t2m"].dims[number].attach_scale(file[name])
        file["time"].attrs["units"] = "hours since 1970-01-01"
    return read_weather(path)


def scattered(path):
    """Points along one axis, whose grid would have ten thousand million cells."""
    n = 100_000
    axes = {"time": np.array(["2018-06-01"], "M8[ns]"), "latitude": ("point", np.linspace(43, 43.5, n))}
    axes["longitude"] = ("point", np.linspace(1, 1.5, n))
    xr.Dataset({"t2m": (("time", "point"), np.zeros((1, n), "f4"))}, axes).to_netcdf(path, engine="h5netcdf")
    return read_weather(path)


def large_analysis(path):
    with h5py.File(path, "w") as file:
        for name in ("cell_lat", "cell_lon", "Geophysical_Data/sm_surface", "Geophysical_Data/sm_rootzone"):
            file.create_dataset(name, (90_000, 90_000), "f4", chunks=(100, 100))
    return read_smap(path)


def repeated_texts(path):
    """A text of 50 kB in each of 100 000 rows, by a dictionary: 5 GB of some kilobytes."""
    column = pa.array(["x" * 50_000]).dictionary_encode().take(pa.array(np.zeros(100_000, int)))
    pq.write_table(pa.table({"plot": column}), path)
    assert path.stat().st_size < 10**6
    return read_parquet(path)


CLAIMS = {
    "S2_L2A_cube.nc": (huge_cube, "LIMIT_P"), "S2_L2A_cube.zarr": (huge_store, "LIMIT_AXIS"), "fine.nc": (fine_weather, "LIMIT_PER_KM2"),
    "points.nc": (scattered, "LIMIT_PIXELS"), "SMAP_L4_SM_gph_20180603T193000_Vv7030_001.h5": (large_analysis, "LIMIT_GRID"),
    "plots.parquet": (repeated_texts, "LIMIT_TABLE"),
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_small_files_that_claim_more_than_a_region_needs_are_refused(tmp_path, name):
    """All but the weather would take 5 GB and more of memory."""
    read, limit = CLAIMS[name]
    with pytest.raises(Refused, match=rf"{name.partition('.')[0]}.* set HYBRIDFLUX_{limit}"):
        read(tmp_path / name)


def test_parquet_with_more_cells_than_the_limit_is_refused_by_its_metadata(tmp_path):
    pq.write_table(pa.table({"plot": np.zeros(30_000)}), tmp_path / "plots.parquet")
    with pytest.raises(Refused, match=r"plots.parquet, 30000 rows of 1 columns,: .*HYBRIDFLUX_LIMIT_TABLE"):
        read_parquet(tmp_path / "plots.parquet")


def test_a_message_has_a_length(monkeypatch):
    fault = "row 7: `x` is not a number; " * 500
    assert brief("short") == "short"
    assert len(brief(fault)) < 5000 and "14000 characters, HYBRIDFLUX_LIMIT_MESSAGE shows more" in brief(fault)
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_MESSAGE", "20000")
    assert brief(fault) == fault
