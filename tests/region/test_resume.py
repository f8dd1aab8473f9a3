"""A run goes on from its folder alone: every setting that decides its results comes back from `run.json`."""

import dataclasses
import json

import pytest

from hybridflux.data.origin import read_origin
from hybridflux.products.totals import run_record
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.driver_change import Change, read_changes
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import job_of_run, make_job, resume_run
from hybridflux.region.outputs import KEEP, DailyMaps, PeriodMaps, ZoneTotals
from hybridflux.region.run.keep import outputs_of
from hybridflux.region.run.lifecycle import begin
from hybridflux.region.spec import RunSpec

pytestmark = pytest.mark.long

DEFAULTS = {"draws": Draws(6, "parameter"), "period": Period(), "keep": KEEP}
CHANGES = {"rain": "*0.123456789@2018-05-01:2018-09-30", "tair": "-1.5", "vpd": "+2", "par": "*1e-7"}
OTHER = {  # every field of the specification of a run -> settings that change it
    "region": {},
    "region_fingerprint": {},
    "posterior_fingerprint": {},
    "draws": {"draws": Draws(9, "parameter")},
    "start": {"period": Period("2018-06-01")},
    "end": {"period": Period(end="2018-07-15")},
    "spread": {"draws": Draws(6)},
    "keep": {"keep": (PeriodMaps("evapotranspiration", (0.9, 0.1)), ZoneTotals(), DailyMaps(quantiles=(0.25,)))},
    "changes": {"changes": CHANGES},
    "seed": {"draws": Draws(6, "parameter", seed=11)},
    "effect_length": {"draws": Draws(6, "parameter", effect_length=12_345.678)},
    "within": {"within": ("soil_capacity", "plant_type")},
}


@pytest.fixture
def job_with(region_path, make_posterior, tmp_path):
    """Function that gives the job of a run in `tmp_path / "run"`."""
    info = {"ranges": {"soil_capacity": [60.123456789, 140.0]}, "plant_types": {"ENF": 1, "GRA": 1, "CRO": 2, "DBF": 1}}
    (tmp_path / "run").mkdir()
    posterior = dataclasses.replace(make_posterior(), info=info)

    def make(*, changes=None, within=(), **settings):
        region = open_region(region_path).with_changes(changes or {}).within(*within)
        return dataclasses.replace(make_job(posterior, region, **DEFAULTS | settings), out=tmp_path / "run")

    return make


@pytest.mark.parametrize("field", OTHER)
def test_every_field_of_the_specification_comes_back(job_with, field):
    job = job_with(**OTHER[field])
    assert set(job.spec.to_json()) == set(OTHER), "a new field of the specification needs a row here, and `job_of_run` must restore it"
    assert not OTHER[field] or job.spec.to_json()[field] != job_with().spec.to_json()[field]
    assert RunSpec.from_json(json.loads(json.dumps(job.spec.to_json())), outputs_of) == job.spec
    begin(job, False)
    again = job_of_run(job.out)
    assert again.spec == job.spec and again.hash == job.hash
    assert again.region.changes == job.region.changes and set(again.region.limits) == set(job.region.limits)


def test_a_run_of_an_earlier_version_is_read_but_does_not_go_on(job_with):
    job = job_with()
    record = begin(job, False)
    spec = record.pop("spec")
    (job.out / "run.json").write_text(json.dumps(without(record) | {"config": spec, "spread": "parameter", "changes": []}))
    with pytest.raises(ValueError, match="run of an earlier version of hybridflux: its maps and totals can be used.*into another folder"):
        resume_run(job.out)
    assert run_record(job.out)["spread"] == "parameter" and read_origin(job.out)["config"]["draws"] == 6


def test_an_output_that_there_is_not_is_named(job_with):
    spec = job_with().spec.to_json()
    with pytest.raises(ValueError, match="no output of a map `Sunshine`"):
        RunSpec.from_json(spec | {"keep": [{"output": "Sunshine"}]}, outputs_of)


def test_a_run_that_was_stopped_goes_on_from_its_folder_alone(job_with, region_path, tmp_path):
    job = job_with(period=Period("2018-06-01", "2018-06-30"))
    begin(job, False)
    report = resume_run(job.out)
    assert report.state == "done" and report.pixels == 466 and not list(job.out.glob("*.part*"))


def without(record):
    """A record that is changed on purpose."""
    return {name: value for name, value in record.items() if name != "checksum"}


def test_what_is_not_there_is_named(job_with, region_path, make_region, tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder: it has no run.json"):
        resume_run(tmp_path / "none")
    job = job_with(period=Period("2018-06-01"))
    begin(job, False)
    record = json.loads((job.out / "run.json").read_text())
    (job.out / "run.json").write_text(json.dumps(without(record) | {"region": str(tmp_path / "gone.zarr")}))
    with pytest.raises(FileNotFoundError, match=r"gone.zarr is not there; give --region"):
        job_of_run(job.out)
    assert job_of_run(job.out, region_path).hash == job.hash
    other = make_region(tmp_path / "x" / region_path.name, seed=5).path
    with pytest.raises(ValueError, match="content of the region store .*: .* there, .* now"):
        job_of_run(job.out, other)
    (job.out / "posterior.nc").unlink()
    with pytest.raises(FileNotFoundError, match=r"posterior.nc is not there; give --posterior and --region"):
        job_of_run(job.out, region_path)


@pytest.mark.parametrize("text", ["tair=-1.5", "rain=*0.123456789", "vpd=climatology", "par=*1.25@2018-05-01:", "tair=+2@:2018-09-30"])
def test_a_change_as_text_is_the_change(text):
    (change,) = read_changes(dict([text.split("=", 1)]))
    assert str(change) == text and Change.parse(*str(change).split("=", 1)) == change
