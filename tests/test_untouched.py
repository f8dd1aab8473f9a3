"""What hybridflux did not write is neither deleted nor replaced, whatever `--out` says."""

import json

import numpy as np
import pytest

from hybridflux.demo import run_demo
from hybridflux.products.scenario import _check_folder
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.twin.world import make_world

MINE = "years of work"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def mine(tmp_path):
    """Puts files of a user into a folder; gives the folder."""

    def put(*names, text=MINE):
        for name in names:
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "mine"

    return put


@pytest.mark.parametrize(
    "names",
    [("notes.txt",), ("budget.csv",), ("run/totals.nc", "posterior.nc"), ("world/region.zarr/zarr.json",), ("steps.json",), (".hidden",)],
)
def test_the_demo_refuses_a_folder_that_is_not_its_own(mine, names):
    folder = mine(*names)
    with pytest.raises(FileExistsError, match="not the folder of a demo.*name another with --out"):
        run_demo(folder, size=16, days=30, draws=2)
    assert contents(folder) == dict.fromkeys(names, MINE)


@pytest.mark.parametrize("journal", ['{"steps": 3}', '["fit"]', '{"fit": "done"}', "{}", '{"fit": {"state": "done"}}'])
def test_a_journal_of_another_program_is_none_of_a_demo(mine, journal):
    folder = mine("steps.json", text=journal)
    mine("report.html")
    with pytest.raises(FileExistsError, match="not the folder of a demo"):
        run_demo(folder, size=16, days=30, draws=2)
    assert contents(folder) == {"steps.json": journal, "report.html": MINE}


def test_a_file_in_the_way_of_a_step_that_was_not_begun_is_the_users(mine):
    folder = mine("budget.csv", "notes.txt")
    mine("steps.json", text=json.dumps({"world": {"state": "done", "hash": "of a demo"}}))
    with pytest.raises(FileExistsError, match="holds budget.csv, not written by the demo; move it"):
        run_demo(folder, size=16, days=30, draws=2)


@pytest.mark.parametrize("name", ["effect.csv", "cog/NEE_change_annual_2018.tif", "effect.zarr/zarr.json", "scenario.json", "notes.txt"])
def test_a_scenario_refuses_a_folder_that_is_not_its_own(mine, name):
    with pytest.raises(FileExistsError, match="give another folder"):
        _check_folder(mine(name))


def test_a_scenario_goes_on_in_its_own(mine, tmp_path):
    _check_folder(tmp_path / "new")
    _check_folder(mine("control/run.json"))
    with pytest.raises(FileExistsError, match="holds effect.csv, which no scenario wrote"):
        _check_folder(mine("effect.csv"))
    _check_folder(mine("changed/run.json"))


def test_a_world_replaces_a_world_only(mine):
    with pytest.raises(FileExistsError, match="holds no world"):
        make_world(mine("inventory.csv"), size=16, days=30, towers=2)


@pytest.mark.parametrize("names", [("notes.txt",), ("zarr.json",)])
def test_a_region_replaces_a_region_only(mine, names):
    folder = mine(*names)
    grid, days = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (4, 4), 4), np.array(["2018-01-01"], "datetime64[D]")
    given = grid, RegionMaps(np.zeros((4, 4)), np.ones((4, 4))), RegionWeather(days, {"tair": np.zeros((1, 1))})
    with pytest.raises(FileExistsError, match="is not a region store, and is not replaced"):
        create_region(folder, *given, overwrite=True)
    assert contents(folder) == dict.fromkeys(names, MINE)
    killed = folder.with_name("killed.zarr")  # while zarr wrote its first metadata
    killed.mkdir()
    (killed / "zarr.json.0123.partial").write_text("{")
    create_region(killed, *given, overwrite=True)
    for _ in range(2):
        create_region(folder.with_name("r.zarr"), *given, overwrite=True)
