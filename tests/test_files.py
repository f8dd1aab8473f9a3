"""Outputs are refused before the work, and are complete or absent after it."""

import pytest

from hybridflux.files import check_output, whole


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="--overwrite"):
        check_output(path)
    assert check_output(path, overwrite=True) == path
    assert path.read_text() == "old"


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
