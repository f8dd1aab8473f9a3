"""Commands for the results of a run: budget, events and ledger, and report of a run or of towers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import NoScreen, Overwrite, Region, Seed, Sites, With, Years
from hybridflux.files import check_output
from hybridflux.terminal import progress_of, wrote

EventsFile = Annotated[
    Path | None,
    typer.Option("--events", exists=True, help="CSV zone,land_cover,date,event: mowing, harvest, felling; from `hybridflux events`."),
]
Reference = Annotated[str | None, typer.Option("--reference", help="Years that anomalies refer to: 2016:2020; all whole years by default.")]
YieldsFile = Annotated[
    Path | None,
    typer.Option("--yields", exists=True, help="CSV zone,land_cover,pool,start_year,end_year,value,sd: export, import, fire, leaching."),
]


def period_of(years: str | None) -> tuple[int, int] | None:
    """First and last year of an option; None where it is not given."""
    from hybridflux.data.site_table import parse_years

    return parse_years(years) if years else None


def budget(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    zones: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="CSV with columns zone,group: zones of the region to aggregate; or polygons (GeoPackage, GeoJSON, ...): zones of a run "
            "mapped with --keep PixelTotals.",
        ),
    ] = None,
    inventory: Annotated[Path | None, typer.Option(exists=True, help="CSV of measured stock changes and exports to compare with.")] = None,
    reference: Reference = None,
    overwrite: Overwrite = False,
) -> None:
    """Totals per zone and land cover, with intervals.

    With --inventory they are compared with independently measured stock changes. Of several whole years also anomalies, differences, sums,
    trend and variation.
    """
    check_output(out, overwrite=overwrite)

    from hybridflux.products.budget import budget_table, outside_of
    from hybridflux.products.closure import verdicts_of
    from hybridflux.products.sheet import write_table
    from hybridflux.products.totals import run_record

    table = budget_table(run, zones=zones, inventory=inventory, reference=period_of(reference))
    write_table(table, out, run_record(run))
    wrote(out)
    if said := outside_of(table):
        typer.echo(said)
    if inventory:
        typer.echo(verdicts_of(table))


def assimilate(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`; it is not changed.")],
    inventory: Annotated[Path, typer.Option(exists=True, help="CSV of measured stock changes and exports, with optional campaigns.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    method: Annotated[str, typer.Option(help="kalman, or weights, which are refused where few draws keep weight.")] = "kalman",
    reference: Reference = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """What measured stock changes say of a run: NBP, exported carbon, fluxes and the error of the model, before and after.

    The draws of the totals are updated, in every zone, land cover, month and flux; maps stay as they are. Rows say `assimilated`. Of each
    stock change a line says whether fluxes and stocks agree, or what would decide.
    """
    check_output(out, overwrite=overwrite)

    from hybridflux.products.assimilation_table import assimilated_table
    from hybridflux.products.sheet import write_table
    from hybridflux.products.stock_agreement import said_of
    from hybridflux.products.totals import run_record

    table = assimilated_table(run, inventory, method=method, seed=seed, reference=period_of(reference))
    write_table(table, out, run_record(run))
    wrote(out)
    typer.echo("\n".join(said_of(table)))


def ledger(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    events: EventsFile = None,
    yields: YieldsFile = None,
    zones: Annotated[Path | None, typer.Option(exists=True, help="CSV with columns zone,group: zones of the region to aggregate.")] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Carbon ledger: fluxes, export, import, fire, leaching and NBP per zone.

    NBP = -NEE - export + import - fire - leaching, positive when the land gains carbon, per zone, land cover and year, with intervals.
    A harvest takes a share of the GPP since the one before, by crop; what --yields gives for a place and year holds instead.
    """
    check_output(out, overwrite=overwrite)

    from hybridflux.products.carbon_ledger import ledger_table
    from hybridflux.products.sheet import write_table
    from hybridflux.products.totals import run_record

    write_table(ledger_table(run, events=events, flows=yields, zones=zones, seed=seed), out, run_record(run))
    wrote(out)


def events(
    region: Region,
    out: Annotated[Path, typer.Option(help="Table to write.")],
    cover: Annotated[Path | None, typer.Option(help="Table of green cover in winter and crops a year to write beside it.")] = None,
    irrigation: Annotated[Path | None, typer.Option(help="Table of water beyond rain and soil, by growing season.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Find mowing and harvest in the vegetation series of a region.

    Writes their dates, with probabilities and standard deviations, for `hybridflux ledger`.
    """
    for path in (out, cover, irrigation):
        if path:
            check_output(path, overwrite=overwrite)

    from hybridflux.products.region_cover import region_cover
    from hybridflux.products.region_events import region_events
    from hybridflux.products.sheet import write_table
    from hybridflux.provenance import provenance
    from hybridflux.region.drivers.open import open_region

    opened = open_region(region)
    with progress_of("searching") as progress:
        table = region_events(opened, progress=progress)
    record = {"attribution": opened.attribution, "provenance": provenance({"region": region})}
    write_table(table, out, record | {"title": f"{opened.title}: mowing and harvest from the vegetation series"})
    wrote(out)
    if cover:
        described = record | {"title": f"{opened.title}: green cover in winter and crops a year"}
        write_table(region_cover(opened), cover, described, float_format="%.6g")
        wrote(cover)
    if irrigation:
        from hybridflux.products.region_irrigation import region_irrigation

        described = record | {"title": f"{opened.title}: plants that stayed green on a soil without water: irrigation, or ground water"}
        with progress_of("water") as progress:
            found = region_irrigation(opened, progress=progress)
        write_table(found, irrigation, described, float_format="%.6g")
        wrote(irrigation)


def report(
    out: Annotated[Path, typer.Option(help="HTML page to write.")],
    run: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Run folder of `hybridflux map`; several side by side; without it, a page of the towers."),
    ] = None,
    posterior: Annotated[Path | None, typer.Option(exists=True, help="Its parameters, prior and posterior.")] = None,
    towers: Annotated[Path | None, typer.Option(exists=True, help="Towers folder: fits at towers, with --posterior.")] = None,
    sites: Sites = None,
    years: Years = None,
    no_screen: NoScreen = False,
    scenario: Annotated[Path | None, typer.Option(exists=True, help="Folder of `hybridflux scenario`: the effect of the change.")] = None,
    drought: Annotated[
        list[Path] | None, typer.Option(exists=True, help="Folder of `hybridflux drought`: losses by cause; several side by side.")
    ] = None,
    inventory: Annotated[Path | None, typer.Option(exists=True, help="CSV of measured stock changes: the closure.")] = None,
    events: EventsFile = None,
    yields: YieldsFile = None,
    png: Annotated[
        str | None, typer.Option(help="Instead of a page, a picture for a slide: NEE, GPP, RECO or another quantity with annual maps.")
    ] = None,
    year: Annotated[int | None, typer.Option(help="Year of --png; the last one by default.")] = None,
    overwrite: Overwrite = False,
    own: With = None,
) -> None:
    """One HTML page of a run, of several runs or of towers, readable offline.

    Of a run: maps, seasons, budget and origin; the other options add sections. Of several, named by --run each: years and scenarios side
    by side, anomalies, sums over years. Of --posterior and --towers alone: fits, residuals, response curves, parameters and calibration.
    """
    check_output(out, overwrite=overwrite)
    if png or year:
        if not run or len(run) > 1 or not png:
            raise ValueError("a picture is of one run: --run RUN --png NEE, and --year where it is not the last one")

        from hybridflux.report.slide import write_slide

        wrote(write_slide(run[0], out, variable=png, year=year))
        return
    if run and len(run) > 1:
        if posterior or towers or scenario or events or yields:
            raise ValueError("of several runs the page takes --inventory and --drought; the other options belong to the report of one run")

        from hybridflux.report.runs_page import write_runs_report

        wrote(write_runs_report(run, out, droughts=drought or (), inventory=inventory))
        return
    if not run and (posterior is None or towers is None):
        raise ValueError("a report is of a run (--run RUN) or of towers (--posterior FILE --towers FOLDER); name one of these")
    if not run and (scenario or drought or inventory or events or yields):
        raise ValueError("--scenario, --drought, --inventory, --events and --yields belong to the report of a run; name it with --run")

    from hybridflux.data.towers import SCREEN, open_towers
    from hybridflux.inference.posterior import Posterior
    from hybridflux.products.carbon_ledger import ledger_table
    from hybridflux.report.page import write_report
    from hybridflux.report.tower_page import write_tower_report

    fitted = Posterior.load(posterior) if posterior else None
    needs = fitted.model.needs_at_towers() if fitted else ()
    screen = None if no_screen else SCREEN
    measured = open_towers(towers, sites=sites, years=years, needs=needs, screen=screen) if towers else None
    if not run:
        write_tower_report(fitted, measured, out)
    else:
        ledger = ledger_table(run[0], events=events, flows=yields) if events or yields else None
        more = {"scenario": scenario, "droughts": drought or (), "inventory": inventory, "ledger": ledger}
        write_report(run[0], out, posterior=fitted, towers=measured, **more)
    wrote(out)
