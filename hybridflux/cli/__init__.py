"""The command line: each command is a few lines over the public API; heavy imports stand inside the commands."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from hybridflux.addresses import redacted
from hybridflux.cli import accounts, design, export, look, maps, regions, reproduce, towers
from hybridflux.cli.grouped import ACCOUNTS, BEGIN, LOOK, MAPS, REGIONS, TOWERS, Grouped
from hybridflux.limits import brief
from hybridflux.machine import prepare
from hybridflux.terminal import is_for_user, message_of, redact_what_python_prints

app = typer.Typer(
    name="hybridflux",
    cls=Grouped,
    help="Hybrid carbon-flux model: fitted to eddy-covariance towers, mapped at 10 m. NEE = RECO - GPP, positive to the atmosphere.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # the rich help page doubles the start-up time
    pretty_exceptions_enable=False,
)

app.command(rich_help_panel=BEGIN)(look.demo)

app.command(rich_help_panel=TOWERS)(towers.fit)
app.command(rich_help_panel=TOWERS)(towers.predict)
app.command(rich_help_panel=TOWERS)(towers.evaluate)
app.command(rich_help_panel=TOWERS)(towers.responses)
app.command(rich_help_panel=TOWERS)(design.next_tower)

region_app = typer.Typer(name="region", help="Build and check the store of a region's drivers.", no_args_is_help=True)
region_app.command()(regions.build)
region_app.command()(regions.check)
region_app.command()(regions.irrigate)
app.add_typer(region_app, rich_help_panel=REGIONS)
app.command(rich_help_panel=REGIONS)(look.catalog)

app.command("map", rich_help_panel=MAPS)(maps.map_)
app.command(rich_help_panel=MAPS)(maps.scenario)
app.command(rich_help_panel=MAPS)(maps.drought)

app.command(rich_help_panel=ACCOUNTS)(accounts.budget)
app.command(rich_help_panel=ACCOUNTS)(accounts.assimilate)
app.command(rich_help_panel=ACCOUNTS)(accounts.events)
app.command(rich_help_panel=ACCOUNTS)(accounts.ledger)

app.command(rich_help_panel=LOOK)(accounts.report)
app.command(rich_help_panel=LOOK)(look.view)
export_app = typer.Typer(name="export", help="Write a run for other programs.", no_args_is_help=True)
export_app.command()(export.prior)
app.add_typer(export_app, rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(look.info)
app.command(rich_help_panel=LOOK)(reproduce.reproduce)


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
