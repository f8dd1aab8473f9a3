"""The command line: what it refuses, what it says, and that it starts without the heavy libraries."""

import json
import os
import subprocess
import sys
import warnings

import pytest
from typer.main import get_command

from hybridflux import machine
from hybridflux.cli import app, main

HEAVY = ("jax", "numpyro", "xarray", "rasterio", "pandas", "numpy", "arviz", "matplotlib", "scipy", "dask", "zarr")
COMMANDS = ("demo", "fit", "predict", "evaluate", "responses", "map", "scenario", "budget", "report", "catalog", "region", "info")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; gives exit code, stdout, stderr."""
    monkeypatch.setattr("hybridflux.cli.prepare", lambda: None)
    monkeypatch.setattr("warnings.formatwarning", warnings.formatwarning)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hybridflux", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return call


def test_what_the_screen_leaves_out_can_be_asked_for_wherever_fluxes_of_chosen_sites_are_used():
    options = {name: {each for one in command.params for each in one.opts} for name, command in get_command(app).commands.items()}
    choosing = {name for name, found in options.items() if "--sites" in found}
    assert {"fit", "report"} <= choosing - {"predict"} == {name for name, found in options.items() if "--no-screen" in found}


@pytest.mark.parametrize("arguments", [["--help"], ["map", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    code = f"""
import sys, hybridflux.cli
sys.argv[1:] = {arguments!r}
try:
    hybridflux.cli.main()
finally:
    print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr.strip() == "[]"


def test_every_command_explains_itself(run):
    _, listing, _ = run("--help")
    for command in COMMANDS:
        assert f"  {command} " in listing
        code, text, _ = run(command, "--help")
        assert code == 0 and len(text) > 100


def test_commands_are_listed_by_what_a_user_does_each_under_one_heading(run):
    from docs.site.commands import commands

    _, listing, _ = run("--help")
    parts = dict(part.split(":\n", 1) for part in listing.split("\n\n")[2:])
    assert [*parts] == ["Options", "Begin", "Fit to towers", "Build a region", "Map", "Account", "Look and pass on"]
    under = [line[2:].split("  ")[0] for heading, text in parts.items() if heading != "Options" for line in text.splitlines()]
    assert sorted(under) == sorted(" ".join(path[1:]) for path, _ in commands()), "a command without a heading, or under two"
    assert "  region build " in parts["Build a region"] and max(map(len, listing.splitlines())) <= 80


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["rian=*0.6"], "Did you mean `rain`?"),
        (["rain"], "write a change as"),
        (["rain=0.6"], "is not a change"),
        (["rain=*0.6", "rain = *0.5"], "twice"),
    ],
    ids=str,
)
def test_a_wrong_change_is_told_first(run, tmp_path, changes, said):
    options = [option for change in changes for option in ("--change", change)]
    code, out, err = run("scenario", "--posterior", tmp_path, "--region", tmp_path, "--out", tmp_path / "out", *options)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and said in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [(("--step", "week"), "there are day, month, year"), (("--residuals", "all"), "there are unused, other-months, all-months")],
    ids=str,
)
def test_a_prediction_of_unknown_periods_or_residuals_is_refused_first(run, tmp_path, option, said):
    code, out, err = run("predict", "--posterior", tmp_path, "--towers", tmp_path, "--out", tmp_path / "p.csv", *option)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


def test_a_mistake_is_one_line_and_exit_2(run, tmp_path):
    code, out, err = run("info", tmp_path / "nothing.nc")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "does not exist" in err


def test_a_path_that_is_not_there_is_told_first(run, tmp_path):
    code, _, err = run("map", "--posterior", tmp_path / "p.nc", "--region", tmp_path, "--out", tmp_path / "out")
    assert code == 2 and "'--posterior'" in err and "does not exist" in err


def test_debug_shows_the_traceback(run, tmp_path):
    with pytest.raises(FileNotFoundError):
        run("info", tmp_path / "nothing.nc", "--debug")


def test_a_fault_of_ours_is_not_hidden(run, monkeypatch):
    def broken(_):
        return json.loads("{")  # a library fails under us

    monkeypatch.setattr("hybridflux.data.origin.read_origin", broken)
    with pytest.raises(ValueError, match="Expecting"):
        run("info", "x")


def test_catalog_lists_licences(run):
    code, text, _ = run("catalog")
    assert code == 0 and "towers/fluxnet2015" in text and "CC-BY-4.0" in text


def test_machine_settings_respect_the_user(monkeypatch, tmp_path):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=7")
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("model name: a\nflags: sse avx512f\n\nmodel name: a\nflags: sse avx512f\n")
    machine.prepare()
    wanted = "--xla_backend_extra_options=xla_cpu_disable_tiled_emitter", "--xla_cpu_prefer_vector_width=512"
    assert os.environ["XLA_FLAGS"].split() == ["--xla_force_host_platform_device_count=7", *wanted]
    one = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert one.startswith(str(tmp_path))

    (tmp_path / "cpuinfo").write_text("model name: b\nflags: sse\n\n")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XLA_FLAGS", "")
    machine.prepare()
    assert os.environ["XLA_FLAGS"].split() == [f"--xla_force_host_platform_device_count={machine.cores()}", wanted[0]]
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] != one
