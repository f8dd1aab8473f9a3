"""The command line: each command is a few lines over the public API; heavy imports stand inside the commands."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from hybridflux.addresses import redacted
from hybridflux.cli import accounts, design, export, look, maps, regions, reproduce, towers
from hybridflux.limits import brief
from hybridflux.machine import prepare
from hybridflux.terminal import is_for_user, message_of, redact_what_python_prints

app = typer.Typer(
    name="hybridflux",
    help="Hybrid carbon-flux model: fitted to eddy-covariance towers, mapped at 10 m. NEE = RECO - GPP, positive to the atmosphere.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # the rich help page doubles the start-up time
    pretty_exceptions_enable=False,
)

region_app = typer.Typer(name="region", help="Build and check the store of a region's drivers.", no_args_is_help=True)
app.add_typer(region_app)

export_app = typer.Typer(name="export", help="Write a run for other programs.", no_args_is_help=True)
app.add_typer(export_app)

app.command()(look.demo)
app.command()(towers.fit)
app.command()(towers.evaluate)
app.command()(towers.responses)
app.command("map")(maps.map_)
app.command()(maps.scenario)
app.command()(maps.drought)
app.command()(accounts.budget)
app.command()(accounts.assimilate)
app.command()(accounts.events)
app.command()(accounts.ledger)
app.command()(accounts.report)
app.command()(design.next_tower)
app.command()(look.view)
app.command()(look.catalog)
region_app.command()(regions.build)
region_app.command()(regions.check)
region_app.command()(regions.irrigate)
export_app.command()(export.prior)
app.command()(look.info)
app.command()(reproduce.reproduce)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"hybridflux {metadata.version('hybridflux')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


def main() -> None:
    """Entry point; exit code 0: done, 1: a fault of hybridflux (traceback), 2: a mistake that the user can mend (one line)."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    warnings.formatwarning = lambda message, *_, **__: f"warning: {brief(redacted(str(message)))}\n"
    redact_what_python_prints()
    prepare()
    try:
        app(arguments)
    except (ValueError, KeyError, OSError, ImportError) as error:
        if debug or not is_for_user(error):
            raise
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {brief(redacted(message_of(error)))}", err=True)
        sys.exit(2)
    finally:
        redact_what_python_prints()  # again: typer has put its own hook in place
