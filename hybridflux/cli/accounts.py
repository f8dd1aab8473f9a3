"""Commands over a finished run: budget, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.terminal import wrote


def budget(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    zones: Annotated[Path | None, typer.Option(exists=True, help="CSV with columns zone,group: zones of the region put together.")] = None,
    inventory: Annotated[Path | None, typer.Option(exists=True, help="CSV of measured stock changes and exports to compare with.")] = None,
) -> None:
    """Totals per zone and land cover, with intervals.

    With --inventory, compared with independently measured stock changes.
    """
    from hybridflux.products.budget import budget_table
    from hybridflux.products.sheet import write_table
    from hybridflux.products.totals import run_record

    write_table(budget_table(run, zones=zones, inventory=inventory), out, run_record(run))
    wrote(out)


def report(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="HTML page to write.")],
    posterior: Annotated[Path | None, typer.Option(exists=True, help="Of the run: its parameters, prior and posterior.")] = None,
    towers: Annotated[Path | None, typer.Option(exists=True, help="Towers folder: fits at towers, with --posterior.")] = None,
    scenario: Annotated[Path | None, typer.Option(exists=True, help="Folder of `hybridflux scenario`: the effect of the change.")] = None,
    inventory: Annotated[Path | None, typer.Option(exists=True, help="CSV of measured stock changes: the closure.")] = None,
) -> None:
    """One HTML page of a run, readable offline.

    Maps, seasons, budget and origin of the run; what else is named adds its section.
    """
    from hybridflux.data.towers import open_towers
    from hybridflux.inference.posterior import Posterior
    from hybridflux.report.page import write_report

    write_report(
        run,
        out,
        posterior=Posterior.load(posterior) if posterior else None,
        towers=open_towers(towers) if towers else None,
        scenario=scenario,
        inventory=inventory,
    )
    wrote(out)
