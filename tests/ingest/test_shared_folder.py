"""A build beside others: two never share a work folder, nor work in one at the same time, nor write into a folder that is not theirs."""

from pathlib import Path

import pytest

from hybridflux.ingest import build_job
from hybridflux.ingest.build import build_region
from hybridflux.ingest.work import Work
from hybridflux.region.run.lock import hold

NAMES = ("a.zarr", "a", "a.zarr2", "a.v1.zarr", "a.v2.zarr", "a.2018", "a.2019", "b.zarr")


def test_stores_that_differ_in_a_suffix_have_work_folders_of_their_own():
    folders = [Work.beside(Path(name)).folder.name for name in NAMES]
    assert len(set(folders)) == len(NAMES) and folders[0] == "a.build"


@pytest.fixture
def stopped(place, make, tmp_path, monkeypatch):
    """Builds stop where the images are looked for; gives the configuration and the store to build."""

    def stop(*_):
        raise RuntimeError("looked for images")

    monkeypatch.setattr(build_job, "find_scenes", stop)
    return make.configuration(place), tmp_path / "r.zarr"


def test_the_second_build_is_refused_while_the_first_one_lives(stopped):
    config, out = stopped
    with hold(Work.beside(out).folder), pytest.raises(FileExistsError, match="r.build is being written by process"):
        build_region(config, out)
    assert not (out.with_suffix(".build") / "build.json").exists() and not out.exists()
    for resume in (False, True):
        with pytest.raises(RuntimeError, match="looked for images"):
            build_region(config, out, resume=resume)
    assert not list((out.with_suffix(".build") / "locks").iterdir())


def test_a_work_folder_of_another_store_or_of_nobody_is_left_alone(stopped):
    config, out = stopped
    folder = out.with_suffix(".build")
    folder.mkdir()
    (folder / "views").write_text("mine")
    with pytest.raises(FileExistsError, match="r.build is not empty and holds no build"):
        build_region(config, out)
    (folder / "views").unlink()
    with pytest.raises(RuntimeError):
        build_region(config, out)
    with pytest.raises(FileExistsError, match="holds a build of r.zarr, not of r; take another name"):
        Work(folder).start({}, True, out.with_suffix(""))
