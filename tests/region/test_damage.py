"""Small files of a run that are cut short, emptied, or hold another bit: the verb that reads them says which, with the cure."""

import shutil
import sys
import warnings

import numpy as np
import pytest

from hybridflux.cli import main
from hybridflux.data.origin import read_origin
from hybridflux.products.totals import open_totals
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region, resume_run
from hybridflux.region.store.checksums import check_maps
from hybridflux.report.seasonal_fluxes import open_cover_fluxes
from hybridflux.terminal import is_for_user

pytestmark = pytest.mark.long

SMALL = (
    "run.json", "posterior.nc", "totals.nc", "series.nc", "tiles/r000_c000.json", "totals/r000_c000.npz",
    "totals/r000_c000.totals.npy", "fluxes.zarr/zarr.json",
    "fluxes.zarr/monthly/zarr.json", "fluxes.zarr/monthly/NEE/zarr.json", "fluxes.zarr/annual/x/c/0", "item.json",
)  # fmt: skip
READERS = (resume_run, open_totals, open_cover_fluxes, check_maps, read_origin)


def cut(content, random):
    return content[: len(content) // 2]


def emptied(content, random):
    return b""


def another_bit(content, random):
    found = bytearray(content)
    found[int(random.integers(len(found)))] ^= 1 << int(random.integers(7))
    return bytes(found)


def binary(content, random):
    return random.bytes(len(content))


@pytest.fixture(scope="module")
def finished(region_path, make_posterior, tmp_path_factory):
    """A run of a month."""
    out = tmp_path_factory.mktemp("damage") / "run"
    map_region(make_posterior(draws=2), region_path, out, draws=2, period=Period("2018-12-01"))
    return out


@pytest.fixture(scope="module")
def truth(finished):
    """What the readers give of a run that is whole."""
    return open_totals(finished).sum("NEE", slice(None), slice(None))


@pytest.mark.parametrize("name", SMALL)
def test_a_damaged_file_of_a_run_is_one_line(finished, truth, tmp_path, name):
    random = np.random.default_rng(sum(name.encode()))
    out, whole = shutil.copytree(finished, tmp_path / "run"), (finished / name).read_bytes()
    for damage in (cut, emptied, binary, *[another_bit] * 6):
        (out / name).write_bytes(damage(whole, random))
        for reader in READERS[1:]:
            try:
                found = reader(out / name if reader is read_origin and name.endswith((".json", ".nc")) else out)
            except (ValueError, OSError) as error:
                assert is_for_user(error), (reader, damage, error)
                assert "\n" not in str(error) and len(str(error)) < 600 and str(out) in str(error)
            else:
                if reader is open_totals:
                    np.testing.assert_array_equal(found.sum("NEE", slice(None), slice(None)), truth)


@pytest.mark.parametrize("name", SMALL[:-1])
@pytest.mark.parametrize("damage", [cut, another_bit])
def test_a_run_with_a_damaged_file_goes_on_or_says_which(finished, truth, tmp_path, name, damage):
    out = shutil.copytree(finished, tmp_path / "run")
    (out / name).write_bytes(damage((finished / name).read_bytes(), np.random.default_rng(3)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            resume_run(out)
    except ValueError as error:
        assert is_for_user(error) and name.rpartition("/")[2] in str(error), error
    else:
        np.testing.assert_array_equal(open_totals(out).sum("NEE", slice(None), slice(None)), truth)
        check_maps(out)


def test_on_the_command_line(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hybridflux.cli.prepare", lambda: None)
    monkeypatch.setattr("warnings.formatwarning", warnings.formatwarning)
    out = shutil.copytree(finished, tmp_path / "run")
    text = (out / "run.json").read_text()
    assert '"draws": 2' in text
    (out / "run.json").write_text(text.replace('"draws": 2', '"draws": 3'))
    verbs = (["map", "--run", out], ["budget", "--run", out, "--out", tmp_path / "b.csv"], ["info", out])
    for arguments in verbs:
        monkeypatch.setattr(sys, "argv", ["hybridflux", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr().err
        assert stop.value.code == 2 and "run.json is damaged: its checksum" in said and "Traceback" not in said, said
