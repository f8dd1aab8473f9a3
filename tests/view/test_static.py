"""A folder that opens offline: its tiles are those of the pyramid; the finest levels are left out where they are too many."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.view.pyramid import SIDE, BlockMemory
from hybridflux.view.run_maps import RunMaps
from hybridflux.view.static_viewer import write_static
from tests.view.conftest import EVIL, made_up_run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "run"
    made_up_run(path, shape=(300, 280))
    return path


def tile_of(file):
    """Name and values of a file of tiles."""
    name, text = json.loads("[" + re.fullmatch(r"hybridfluxTiles\((.*)\);\n", file.read_text()).group(1) + "]")
    return name, np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i2").reshape(-1, SIDE, SIDE)


def test_tiles_are_those_of_the_pyramid(small, tmp_path):
    write_static([small], tmp_path / "static")
    files = sorted((tmp_path / "static" / "tiles").glob("*.js"))
    assert len(files) == (2 * 5 + 4) * (4 + 1)  # arrays of years, months and the trend, tiles of two levels
    run = RunMaps.open(small, BlockMemory())
    for file in files[::7]:
        name, values = tile_of(file)
        assert name == file.stem
        group, array, level, row, column = re.fullmatch(r"0_(annual|monthly|record)_(\w+?)_(\d)_(\d)_(\d)_0", name).groups()
        pyramid = run.pyramid(group, array)
        np.testing.assert_array_equal(values[-1], pyramid.tile(len(values) - 1, int(level), int(row), int(column)))


def test_the_page_holds_all_else_and_runs_no_name(small, tmp_path):
    said = CliRunner().invoke(app, ["view", str(small), "--export", str(tmp_path / "static")])
    assert said.exit_code == 0 and "pixels of 10 m and coarser" in said.output
    page = (tmp_path / "static" / "index.html").read_text("utf-8")
    assert not re.search(r"<script[^>]+src|<link[^>]+stylesheet|https?://(?!www\.w3\.org/2000/svg)", page) and EVIL not in page


def test_the_finest_levels_are_left_out_where_they_are_too_many(small, tmp_path):
    said = write_static([small], tmp_path / "static", most=20_000_000)
    assert "pixels of 20 m and coarser" in said
    assert {tile_of(file)[0].split("_")[-4] for file in (tmp_path / "static" / "tiles").glob("*_annual_GPP_*.js")} == {"1"}


def test_other_files_are_not_replaced(small, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="holds other files"):
        write_static([small], tmp_path / "mine")
    write_static([small], tmp_path / "static", most=1)
    write_static([small], tmp_path / "static", most=1)  # its own pages are
    assert sorted(one.name for one in (tmp_path / "static").iterdir()) == ["index.html", "tiles"]
