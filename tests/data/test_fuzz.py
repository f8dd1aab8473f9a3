"""Every reader against damaged files: one line for the user with the name of the file, no hang, and never other values from half a file."""

import os
import shutil
import signal
import time
import traceback
import warnings
from collections import Counter

import h5py
import numpy as np
import pyogrio.raw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridflux.data.delimited import read_cells
from hybridflux.data.site_table import read_sites
from hybridflux.terminal import is_for_user
from tests.data.damage import DAMAGES, DD, FORMATS, cut, damaged_copy

LIMIT = 20  # s, of one file of some kilobytes
SEED = int(os.environ.get("HYBRIDFLUX_FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("HYBRIDFLUX_FUZZ_SECONDS", "600"))


class Hang(BaseException):
    """A reader that does not come back."""


def _late(*_):
    raise Hang


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other


def attempt(form, path, whole):
    """What is wrong about reading a damaged file; None where nothing is."""
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(LIMIT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = form.read(path)
    except Hang:
        return f"hangs for more than {LIMIT} s"
    except (ValueError, OSError) as error:
        if not is_for_user(error):
            return "an error of a library: " + "".join(traceback.format_exception(error)[-3:])
        named = any(name in str(error) for name in (path.name.partition(".")[0], "DE-Tst", "B04", "item"))
        return None if named else f"the error does not name the file: {error}"
    except Exception as error:
        return "a traceback: " + "".join(traceback.format_exception(error)[-3:])
    finally:
        signal.alarm(0)
    return None if whole is None or same(found, whole) else "other values from half a file"


def fuzz(names, folder, seed, seconds=None, each=1):
    """Damaged copies of files of some formats, `each` per damage or until the time is over; number tried, and faults by kind."""
    tried, faults, made = Counter(), {}, {}
    rng, end, round_ = np.random.default_rng(seed), time.monotonic() + (seconds or 0), 0
    for name in names:
        (folder / "whole" / name).mkdir(parents=True)
        path = FORMATS[name].make(folder / "whole" / name / name)
        made[name] = path, FORMATS[name].read(path)
    while time.monotonic() < end if seconds else round_ < each:
        round_ += 1
        for name, (path, whole) in made.items():
            for damage in DAMAGES:
                state = rng.bit_generator.state["state"]["state"]
                copy = damaged_copy(path, folder / "copy", damage, rng)
                wrong = attempt(FORMATS[name], copy, whole if damage is cut and FORMATS[name].known else None)
                shutil.rmtree(folder / "copy")
                tried[name] += 1
                if wrong:
                    faults.setdefault(f"{name}, {damage.__name__}: {wrong[-700:]}", state)
    return tried, faults


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_give_one_line(tmp_path, name):
    tried, faults = fuzz([name], tmp_path, seed=11, each=2)
    assert tried[name] == 2 * len(DAMAGES) and not faults, "\n\n".join(faults)


@pytest.mark.slow
def test_many_damaged_files_give_one_line(tmp_path):
    """Seed and seconds come from `HYBRIDFLUX_FUZZ_SEED` and `HYBRIDFLUX_FUZZ_SECONDS`; `-s` shows what was tried."""
    tried, faults = fuzz(list(FORMATS), tmp_path, seed=SEED, seconds=SECONDS)
    print(f"\nseed {SEED}, {SECONDS:.0f} s: {sum(tried.values())} damaged files of {len(tried)} formats, {len(faults)} kinds of faults")
    print("\n".join(f"{count:6d} {name}" for name, count in tried.items()))
    assert not faults, "\n\n".join(faults)


FOUND = {
    "dem.tif, a name of the coordinate system that is no text": ("dem.tif", b"WGS 84", b"\xb3\xb3S 84"),
    "parcels.parquet, a coordinate system without authority": ("parcels.parquet", b'"authority"', b'"authorism"'),
    "plots.parquet, an index without a start": ("plots.parquet", b'"start"', b'"statt"'),
    "plots.parquet, an unknown type": ("plots.parquet", b'"int64"', b'"int:4"'),
    "sim2.csv, a superscript digit": ("sim2.csv", b";20180601;", b";\xb20180601;"),
}
"""What fuzzing found, each mended: format, bytes, and what stood in their place."""


@pytest.mark.parametrize(("name", "old", "new"), FOUND.values(), ids=FOUND)
def test_what_fuzzing_found_stays_mended(tmp_path, name, old, new):
    path = FORMATS[name].make(tmp_path / name)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    assert attempt(FORMATS[name], path, None) is None


@pytest.mark.parametrize("column", ["latitude", "soil_moisture", "retrieval_qual_flag"])
def test_a_smap_file_whose_columns_differ_in_length_is_one_line(tmp_path, column):
    name = "SMAP_L3_SM_P_20180603_R18290_001.h5"
    path = FORMATS[name].make(tmp_path / name)
    with h5py.File(path, "r+") as file:
        group = file["Soil_Moisture_Retrieval_Data_AM"]
        values = group[column][:1, :1]
        del group[column]
        group[column] = values
    with pytest.raises(ValueError, match=f"{name}.* is damaged: its columns in .*_AM have different lengths; download it again"):
        FORMATS[name].read(path)


def test_vectors_without_geometries_are_one_line(tmp_path):
    """A layer of attributes alone, as it is left of a damaged map."""
    path = tmp_path / "parcels.gpkg"
    columns = {"ID_PARCEL": ["1", "2"], "CODE_CULTU": ["BTH", "MIS"]}
    pyogrio.raw.write(path, None, [np.array(one, object) for one in columns.values()], list(columns), layer="parcels", driver="GPKG")
    with pytest.raises(ValueError, match="parcels.gpkg is damaged or holds no geometries; download it again"):
        FORMATS["parcels.gpkg"].read(path)


@pytest.mark.parametrize("name", ["sites.csv", "series.csv", "plots.csv", "sim2.csv", DD])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0" * 4096, bytes(range(256)) * 16, b"PK\3\4" + b"\xff" * 512], ids=len)
def test_empty_and_binary_tables_are_one_line(tmp_path, name, content):
    """No value comes of them, whatever the reader."""
    path = tmp_path / name
    path.write_bytes(content)
    assert attempt(FORMATS[name], path, None) is None
    with warnings.catch_warnings(), pytest.raises(ValueError) as caught:
        warnings.simplefilter("ignore")
        FORMATS[name].read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


CELL = st.one_of(
    st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.dates().map(str),
    st.sampled_from(["", "-9999", "NaN", '"', "1,5", "1.5", "=1+1", "DE-Tst", "ENF", "\0", "1e999", "2018-01-01", "\u2212" + "3"]),
)  # fmt: skip
TABLE = st.tuples(
    st.lists(st.lists(CELL, max_size=6), max_size=6), st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(),
)  # fmt: skip
HEADER = ["site_id", "latitude", "longitude", "elevation", "igbp", "utc_offset"]


@pytest.mark.parametrize("read", [lambda path: read_cells(path).text, lambda path: read_sites(path.parent)], ids=["cells", "sites"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=TABLE)
def test_tables_that_people_could_write_are_read_or_refused(tmp_path_factory, read, table):
    rows, delimiter, encoding, end, with_header = table
    path = tmp_path_factory.mktemp("t") / "sites.csv"
    text = end.join(delimiter.join(row) for row in ([HEADER] if with_header else []) + rows)
    path.write_bytes(text.encode(encoding, errors="replace"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except ValueError as error:
        assert is_for_user(error) and "sites.csv" in str(error), "".join(traceback.format_exception(error)[-3:])
        assert len(str(error)) < 3000
