"""A map killed with -9 anywhere, again and again, then resumed: the same bytes as a run that nothing happened to."""


import pytest
import xarray as xr

from tests.killing import killed_until_done, leftovers, to_the_end, until_fifty

pytestmark = pytest.mark.long

CALLS = {"replace": (330, 150), "chunk": (404, 140)}  # which a whole run makes, and which are left without the empty store


def command(inputs, out):
    posterior, region = inputs
    days = ["--start", "2018-02-01", "--end", "2018-02-28"]
    return ["map", "--posterior", posterior, "--region", region, "--out", out, "--draws", 4, *days, "--daily", "--resume"]


def contents(out):
    """Name -> bytes of all that stays of a run, but for its record and totals, which hold times of writing."""
    files = (path for part in ("fluxes.zarr", "totals", "cog") for path in (out / part).rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != "zarr.json" and path.suffix != ".tif"}


def stage(out):
    """How far a run was, by what lies in its folder."""
    if not (out / "run.json").exists():
        return "before its record"
    done = len(list((out / "tiles").glob("*.json")))
    return "before the first tile" if not done else "totals and GeoTIFFs" if (out / "totals.nc").exists() else f"after {done} tiles"


@pytest.fixture(scope="module")
def inputs(make_region, make_posterior, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    make_posterior().save(folder / "posterior.nc")
    return folder / "posterior.nc", make_region(folder / "r.zarr", days=("2018-01-01", "2018-02-28")).path


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """A run that nothing happens to, and its seconds where all programs are compiled, as for those that are killed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    to_the_end(command(inputs, out.with_name("first")))
    return out, to_the_end(command(inputs, out))


def kill(inputs, out, kills, seconds, seed):
    return killed_until_done(command(inputs, out), kills, seconds, seed, CALLS, lambda: stage(out), lambda: (out / "tiles").glob("*.json"))


def compare(whole, out):
    one, other = contents(whole), contents(out)
    assert sorted(one) == sorted(other)
    assert [name for name, values in one.items() if values != other[name]] == []
    assert not leftovers(out)
    for file in ("totals.nc", "series.nc"):
        xr.testing.assert_identical(*(xr.open_dataset(run / file, engine="h5netcdf").load().drop_attrs() for run in (whole, out)))


def test_killed_a_few_times(tmp_path, inputs, whole):
    deaths = kill(inputs, tmp_path / "run", 4, whole[1], seed=1)
    assert deaths.places["replace"] and deaths.places["chunk"]
    compare(whole[0], tmp_path / "run")


@pytest.mark.slow
def test_killed_fifty_times(tmp_path, inputs, whole, capsys):
    """Several runs, so that there is always something left to be killed at; the counts are printed."""
    def one(number):
        deaths = kill(inputs, tmp_path / f"run{number}", 6, whole[1], seed=number)
        compare(whole[0], tmp_path / f"run{number}")
        return deaths

    deaths, line = until_fifty(one, "maps")
    with capsys.disabled():
        print(f"\n{line}")
    assert min(deaths.places.values()) >= 8
