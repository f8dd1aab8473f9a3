"""What a dry run tells: by hand from what a trial found, beside a real run, and of regions with nothing in them."""

import numpy as np
import pytest

from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import make_job, map_region, plan_map
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.region.run import estimate
from hybridflux.region.run.trial import Trial

pytestmark = pytest.mark.long

SETTINGS = dict(draws=6, period=Period("2018-01-01"), keep=(*KEEP, DailyMaps()))


@pytest.fixture(scope="module")
def posterior(make_posterior):
    return make_posterior()


@pytest.fixture
def region(make_region, tmp_path):
    """36 tiles, some of them half masked."""
    return make_region(tmp_path / "region.zarr", size=(60, 60), tile=10).path


def test_bytes_are_those_of_a_real_run(region, posterior, tmp_path):
    estimated = plan_map(posterior, region, **SETTINGS)
    assert not (tmp_path / "run").exists() and not list(tmp_path.glob("hybridflux-*"))
    report = map_region(posterior, region, tmp_path / "run", **SETTINGS)
    written = sum(file.stat().st_size for name in ("fluxes.zarr", "totals", "cog") for file in (tmp_path / "run" / name).rglob("*"))
    assert estimated.tiles == report.tiles == 36 and estimated.pixels == report.pixels
    assert estimated.bytes_out == pytest.approx(written, rel=0.3)
    assert estimated.bytes_in == sum(file.stat().st_size for file in region.rglob("*") if file.is_file())
    assert 2e8 < estimated.memory < 2e10 and 0.1 < estimated.seconds < 600


def test_seconds_and_bytes_by_hand(region, posterior, tmp_path, monkeypatch):
    seen = {}

    def of(job, tiles, pixels, threads):
        seen.update(out=job.out, tiles=[tile.id for tile in tiles], pixels=pixels, threads=threads)
        return Trial(begin=3.0, pace=0.01, maps_begin=0.5, maps=0.001, stored=200.0, totals=3e8, memory=1e9)

    monkeypatch.setattr(estimate.Trial, "of", of)
    job = make_job(posterior, region, draws=Draws(6, "parameter"), period=Period("2018-01-01"), keep=KEEP)
    found = estimate.estimate(job, 2)
    pixels = found.pixels
    assert seen["threads"] == 2 and seen["out"] != job.out and len(seen["tiles"]) == 6 == len(seen["pixels"])
    assert {seen["tiles"][0], seen["tiles"][-1]} == {"r000_c000", "r005_c005"}
    assert found.bytes_out == pytest.approx(200.0 * pixels + 36 * 3e8)
    assert found.memory == pytest.approx(1.1e9)
    assert found.seconds == pytest.approx(3.0 + 0.01 * pixels + 36 * 1.0 + 0.5 + 0.001 * 3600, abs=1.0)


def test_nothing_to_map_costs_nothing(make_region, posterior, tmp_path):
    path = make_region(tmp_path / "region.zarr", plant_type=np.full((24, 20), 255)).path
    estimated = plan_map(posterior, path, **SETTINGS)
    assert (estimated.tiles, estimated.pixels, estimated.bytes_out) == (6, 0, 0.0) and estimated.seconds < 5.0


def test_a_tile_that_cannot_be_read_is_told(region, posterior, tmp_path):
    chunk = region / "fapar" / "c" / "0" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:16] + b"\0" * (len(whole) - 16))
    with pytest.raises(ValueError, match="tile r000_c000 .* cannot be read"):
        plan_map(posterior, region, **SETTINGS)
