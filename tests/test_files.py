"""Outputs are refused before the work, and are complete or absent after it."""

import errno
import json
import resource
import threading

import h5netcdf
import numpy as np
import pytest

from hybridflux.files import check_folder, check_output, whole, whole_stream, write_json


@pytest.mark.parametrize(
    ("name", "ours", "foreign"),
    [
        ("page.html", '<!doctype html><meta charset="utf-8"><meta name="generator" content="hybridflux">', "<p>my notes on hybridflux"),
        ("card.json", '{"format": "hybridflux-card-1"}', '{"hybridflux": 1}'),
        ("posterior.nc", "HDF hybridflux_format 1", "HDF my own fluxes"),
        ("figure.png", "PNG Software hybridflux", "PNG Software GIMP"),
        ("scores.csv", "site,RMSE", "site,RMSE"),
        ("thesis.docx", "", "chapter 1"),
    ],
)
def test_a_file_is_replaced_only_when_asked_and_only_if_it_is_ours(tmp_path, name, ours, foreign):
    path = tmp_path / name
    path.write_text(foreign)
    for overwrite, said in ((False, "--overwrite"), (True, "not written by hybridflux.*name another file")):
        with pytest.raises(ValueError, match=said):
            check_output(path, overwrite=overwrite)
    path.write_text(ours)
    if name == "scores.csv":
        described = tmp_path / "scores.csv-metadata.json"
        described.write_text(json.dumps({"url": name, "provenance": {"hybridflux": "0.1.0"}}))
    with pytest.raises(ValueError, match="--overwrite"):
        check_output(path)
    assert check_output(path, overwrite=True) == path
    assert path.read_text() == ours


def test_the_description_of_a_table_replaces_no_file_of_the_user(tmp_path):
    (tmp_path / "budget.csv-metadata.json").write_text('{"mine": 1}')
    with pytest.raises(ValueError, match="budget.csv-metadata.json, where the description"):
        check_output(tmp_path / "budget.csv", overwrite=True)


@pytest.mark.parametrize("check", [check_output, check_folder])
@pytest.mark.parametrize("name", ["run\n#SBATCH --uid=0", "a\tb", "nul\0", "\x1b[2J"])
def test_a_name_that_would_end_a_line_is_refused(tmp_path, check, name):
    with pytest.raises(ValueError, match="cannot be printed; name another place"):
        check(tmp_path / name)


def test_a_new_file_in_a_new_folder_is_fine_and_leaves_nothing(tmp_path):
    path = tmp_path / "new" / "deep" / "scores.csv"
    assert check_output(path) == path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "notes.txt/scores.csv", "notes.txt/deep/scores.csv"])
def test_a_place_that_cannot_hold_the_file_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="folder"):
        check_output(tmp_path / name, overwrite=True)


def test_a_folder_that_refuses_files_is_refused():
    with pytest.raises(ValueError, match="cannot be written"):
        check_output("/proc/scores.csv")


def test_a_file_is_new_or_old_never_half(tmp_path):
    path = tmp_path / "deep" / "scores.csv"
    with whole(path) as partial:
        partial.write_text("first")
        assert not path.exists()
    with pytest.raises(RuntimeError), whole(path) as partial:
        partial.write_text("sec")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_whole_too_and_what_a_killed_process_left_is_in_no_way(tmp_path):
    (tmp_path / "store.zarr.abc.part").mkdir()
    for text in ("first", "second"):
        with whole(tmp_path / "store.zarr") as partial:
            partial.mkdir()
            (partial / "zarr.json").write_text(text)
    assert (tmp_path / "store.zarr" / "zarr.json").read_text() == "second"
    assert {path.name for path in tmp_path.iterdir()} == {"store.zarr", "store.zarr.abc.part"}


def test_two_that_write_the_same_file_never_mix(tmp_path):
    started = threading.Barrier(2)

    def write(letter):
        with whole(tmp_path / "budget.csv") as partial, open(partial, "w") as file:
            started.wait(10)
            for _ in range(200):
                file.write(letter * 1000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (tmp_path / "budget.csv").read_text() in ("a" * 200_000, "b" * 200_000)


@pytest.fixture
def small_files():
    """A limit of 8 kB on the size of a file, as `ulimit -f` sets it: what a full disk or a quota does, at a place that is known."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _netcdf(path):
    with whole_stream(path) as stream, h5netcdf.File(stream, "w") as file:
        file.dimensions = {"x": 100_000}
        file.create_variable("a", ("x",), "f8")[:] = np.ones(100_000)
        assert file["a"].shape == (100_000,)


@pytest.mark.parametrize("write", [_netcdf, lambda path: write_json(path, {"a": "b" * 100_000})], ids=["netCDF", "JSON"])
def test_a_file_that_cannot_grow_leaves_the_old_one(tmp_path, small_files, write):
    """HDF5 would end the process: written to a path, the same netCDF is a segmentation fault."""
    path = tmp_path / "totals"
    path.write_text("old")
    with pytest.raises(OSError, match="File too large") as caught:
        write(path)
    assert caught.value.errno == errno.EFBIG and caught.value.filename == str(path)
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_netcdf_through_a_stream_is_read_back(tmp_path):
    _netcdf(tmp_path / "a.nc")
    with h5netcdf.File(tmp_path / "a.nc") as file:
        assert (file["a"][:] == 1).all()
