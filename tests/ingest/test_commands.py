"""The commands a user types: plan, build, check; and the plan of the live regions, without any network."""

import json
import socket
import subprocess
import sys
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.ingest.build import plan_region
from hybridflux.ingest.build_trial import BuildTrial

pytestmark = pytest.mark.long

MAIN = "import sys; from hybridflux.cli import main; main()"


def run(*arguments):
    """The command line in a process of its own."""
    return subprocess.run([sys.executable, "-c", MAIN, *map(str, arguments)], capture_output=True, text=True, check=False)


def here(*arguments) -> str:
    """A command in this process; gives what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def write(path, config):
    """A configuration as a user writes it."""
    lines = []
    for part, value in config.model_dump(mode="json", exclude_none=True).items():
        if isinstance(value, dict):
            lines += [f"[{part}]", *(f"{name} = {json.dumps(inner)}" for name, inner in value.items())]
        elif value and isinstance(value[0], dict) if isinstance(value, list) else False:
            for one in value:
                lines += [f"[[{part}]]", *(f"{name} = {json.dumps(inner)}" for name, inner in one.items())]
        elif not isinstance(value, list):
            lines.insert(0, f"{part} = {json.dumps(value)}")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(("name", "scenes", "gigabytes"), [("ile-de-france", 639, (150, 300)), ("toulouse", 639, (20, 100))])
def test_plans_of_live_regions(name, scenes, gigabytes, monkeypatch, tmp_path):
    def refused(*_):
        raise AssertionError("a plan asks nothing of the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    plan = plan_region(name, tmp_path / "r.zarr")
    text = plan.every_request()
    for said in (
        f"{scenes} scenes", "earth-search", "sentinel-2-c1-l2a", "reanalysis-era5-land", "2018-07", "ESA_WorldCover", "Copernicus_DSM",
        "soc_0-5cm_mean", "NOT THERE YET", "MB/s",
    ):  # fmt: skip
        assert said in text
    assert gigabytes[0] < plan.bytes / 1e9 < gigabytes[1]
    assert plan.seconds > 1800  # the download alone
    assert text.count("reanalysis-era5-land") == 85  # one a month, and the day before
    short = str(plan)
    assert len(short.splitlines()) < 16 and "85 requests" in short and f"{scenes} scenes" in short and "NOT THERE YET" in short
    assert "{data}" not in text + short and "name it with --data" in short
    asked = sum(request.count for request in plan.requests)
    assert asked > 10_000 and f"to download {asked} requests" in short


def test_build_and_check_on_the_command_line(place, make, tmp_path, monkeypatch):
    monkeypatch.setattr(BuildTrial, "of", lambda *_, **__: BuildTrial(*[60.0] * len(fields(BuildTrial))))  # tried in test_build.py
    config, out, figure = write(tmp_path / "made-up.toml", make.configuration(place)), tmp_path / "region.zarr", tmp_path / "region.png"
    planned = here("region", "build", config, "--out", out, "--dry-run")
    assert "73 scenes" in planned and "on this machine as busy as it is now" in planned and not out.exists()
    assert "73 scenes" in here("region", "build", config, "--out", out)
    again = run("region", "build", config, "--out", out)
    assert again.returncode == 2 and "--resume" in again.stderr
    assert "GRA grassland" in here("region", "check", out, "--figure", figure)
    assert figure.stat().st_size > 2e4
    assert '"made-up"' in here("info", out)


def test_a_slip_of_the_pen_is_one_line(tmp_path):
    done = run("region", "build", "touluse", "--out", tmp_path / "r.zarr")
    assert done.returncode == 2 and "Did you mean `toulouse`" in done.stderr and "Traceback" not in done.stderr
