"""A limit on the size of a file, or a disk that becomes full, at the end of a run and of a fit: one line, nothing half, a way to go on."""

import errno
import resource
import sys
import tempfile

import numpy as np
import pytest

from hybridflux.cli import towers
from hybridflux.files import check_output
from hybridflux.inference.posterior import Posterior
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.region.outputs import DailySeries
from hybridflux.region.run import run_job
from hybridflux.region.run.errors import RunStopped
from hybridflux.terminal import is_for_user, message_of

pytestmark = pytest.mark.long
DAYS = dict(draws=4, period=Period("2018-06-01", "2018-07-31"))


def limited(work, size):
    """The work under a limit of so many bytes a file."""

    def call(*arguments):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            return work(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return call


def test_the_end_of_a_run(tmp_path, region_path, make_posterior, monkeypatch):
    """HDF5 ended the process while it wrote `totals.nc`, GDAL said nothing where its last block was lost; then the run goes on."""
    out, begun = tmp_path / "run", False
    totals, cogs = (run_job, "write_totals", 4096, "totals.nc"), (run_job, "write_cogs", 400, "cog")
    steps = (totals, (DailySeries, "merge", 4096, "series.nc"), cogs)
    for module, step, size, file in steps:
        with monkeypatch.context() as patch:
            patch.setattr(module, step, limited(getattr(module, step), size))
            with pytest.raises(RunStopped) as stop:
                map_region(make_posterior(), region_path, out, **DAYS, resume=begun)
        assert f"File too large ({out / file}" in str(stop.value) and "6 of 6 tiles are done and kept" in str(stop.value)
        assert str(stop.value).endswith(f"make room and go on with `hybridflux map --run {out}`") and "\n" not in str(stop.value)
        assert not [path for path in out.rglob("*") if path.suffix in (".part", ".partial")]
        begun = True
    assert map_region(make_posterior(), region_path, out, **DAYS, resume=True).state == "done"


def test_a_fit_is_not_lost_with_the_disk(tmp_path, make_posterior, monkeypatch):
    fitted, spare, save = make_posterior(), tmp_path / "spare", Posterior.save
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))

    def full(self, path):
        if tmp_path / "full" in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(self, path)

    monkeypatch.setattr(Posterior, "save", full)
    with pytest.raises(OSError) as stop:
        towers._save(fitted, tmp_path / "full" / "posterior.nc")
    (kept,) = spare.glob("posterior-*.nc")
    assert str(kept) in message_of(stop.value) and "No space left" in message_of(stop.value) and is_for_user(stop.value)
    np.testing.assert_array_equal(*(one.parameter_draws()["vpd_sensitivity"] for one in (fitted, Posterior.load(kept))))


def test_what_cannot_hold_a_posterior_is_refused_before_the_fit(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"may need 16 MB, and files of this session may have 64 kB; raise this \(ulimit -f\)"):
        limited(lambda: check_output(tmp_path / "p.nc", room=towers.ROOM), 65536)()
    with pytest.raises(ValueError, match="make room, or name another place"):
        check_output(tmp_path / "p.nc", room=sys.maxsize)
