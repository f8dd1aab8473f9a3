"""Small files that unpack to large ones, lines without end: refused with the amount and the way to raise the limit."""

import gzip
import zipfile

import pytest

from hybridflux.data.archives import Archive
from hybridflux.data.delimited import read_cells
from hybridflux.data.fluxnet_table import read_table
from hybridflux.data.imagery.packages import Package
from hybridflux.data.weather.netcdf import parts
from hybridflux.limits import Refused

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
