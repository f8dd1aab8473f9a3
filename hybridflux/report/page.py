"""One self-contained HTML page of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hybridflux.files import write_text
from hybridflux.model.sequences import HasSequences, Sequences, sequences_of
from hybridflux.products.assimilation import NothingToLearn
from hybridflux.products.assimilation_table import assimilated_table
from hybridflux.products.budget import budget_table
from hybridflux.products.scenario import open_scenario
from hybridflux.products.totals import NO_ZONE, RunTotals, open_totals, run_record
from hybridflux.region.run.training_range import APPLICABILITY
from hybridflux.report.assimilation_section import assimilation_section
from hybridflux.report.budget_tables import area_ha, budget_section, closure_section, with_truth
from hybridflux.report.droughts_section import droughts_section
from hybridflux.report.effect import describe, effect_card, effect_section
from hybridflux.report.ledger_section import ledger_section
from hybridflux.report.map_viewer import open_group, run_viewer, viewer_data
from hybridflux.report.markup import Section, definitions, document, paragraph
from hybridflux.report.overview import headline_section, independence_factor
from hybridflux.report.seasonal_fluxes import seasons_section
from hybridflux.report.style import number, units
from hybridflux.report.tower_fits import parameter_section, tower_section
from hybridflux.report.truth import Truth, read_truth
from hybridflux.report.years_section import years_section
from hybridflux.vocabulary import PLANT_TYPE_NAMES, SIGN

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

LEAST = 0.001  # share of pixels outside the range of the towers from which it is reported


def write_report(
    run_dir: str | Path,
    out: str | Path,
    *,
    posterior: Posterior | None = None,
    towers: Sequences | HasSequences | None = None,
    scenario: str | Path | None = None,
    droughts: Sequence[str | Path] = (),
    budget: pd.DataFrame | None = None,
    inventory: str | Path | None = None,
    ledger: pd.DataFrame | None = None,
    reference: tuple[int, int] | None = None,
    truth: str | Path | Truth | None = None,
    title: str | None = None,
) -> Path:
    """Write the page of a run: everything is inside the file, nothing is loaded from elsewhere.

    A bare run folder gives maps, seasons, the budget and its origin; the other arguments add sections.

    Args:
        run_dir: folder written by `map_region`.
        out: HTML file.
        posterior: fitted `Posterior`: adds prior and posterior of the parameters.
        towers: `Sequences`, or `Towers` they come from: with `posterior`, adds fits at towers.
        scenario: folder written by `run_scenario`: adds the effect of the change.
        droughts: folders written by `run_drought`: adds what each season has lost by cause.
        budget: table of `budget_table`; made from the run by default.
        inventory: CSV of measured stock changes: adds the closure, and what they say of the run where they can inform it.
        ledger: table of `carbon_ledger.ledger_table`: adds what management takes away and brings in, and NBP.
        reference: first and last year of the period that anomalies refer to; all whole years by default.
        truth: truth of a synthetic region (`report.truth`), shown beside the estimates.
        title: heading; by default from the region's name.

    Returns:
        The file.
    """
    run, out = Path(run_dir), Path(out)
    record, totals = run_record(run), open_totals(run)
    known = truth if truth is None or isinstance(truth, Truth) else read_truth(truth)
    if budget is None:
        budget = budget_table(run, inventory=inventory, reference=reference)
    true = known.rows(reference) if known else None
    budget = with_truth(budget, true)
    effect = open_scenario(scenario) if scenario else None
    independence = independence_factor(open_group(run, "annual"), totals)
    maps = {"map-run": run_viewer(run)}
    updated, why_not = _updated(run, inventory, reference, true)
    headline = headline_section(budget, independence, effect and effect_card(effect), updated)
    sections = [
        Section("numbers", "In short", "In short", headline + _towers(record)),
        _maps_section(maps["map-run"]),
        Section("seasons", "Seasons", "The course of each land cover", seasons_section(run, totals.spread, known and known.totals)),
        Section("budget", "Budget", "Carbon budget", budget_section(budget)),
    ]
    if years := years_section(budget):
        sections.append(Section("years", "Years", "Year by year", years))
    if effect:
        body, maps["map-effect"] = effect_section(effect, scenario)
        sections.append(Section("scenario", "What if", f"What if: {describe(effect)}", body))
    if droughts:
        sections.append(Section("drought", "Drought", "What the season has lost, by cause", droughts_section(droughts)))
    if ledger is not None:
        sections.append(Section("ledger", "Ledger", "Carbon ledger, with management", ledger_section(ledger)))
    if "verdict" in budget:
        sections.append(Section("inventory", "Inventory", "Against measured stock changes", closure_section(budget)))
    if inventory is not None:
        body = paragraph(escape(why_not), "note") if updated is None else assimilation_section(updated)
        sections.append(Section("assimilated", "Assimilated", "What the inventory says of the run", body))
    if posterior is not None and towers is not None:
        towers = sequences_of(towers, posterior.model.needs_at_towers())
        sections.append(Section("towers", "Towers", "Fit at the towers", tower_section(posterior, towers)))
    if posterior is not None:
        body = parameter_section(posterior, towers, known.parameters if known else {})
        sections.append(Section("parameters", "Parameters", "Prior and posterior", body))
    sections.append(Section("origin", "Origin", "Provenance", _origin(record, totals)))
    heading = title or record.get("title") or "Carbon fluxes"
    page = document("run report", heading, _lead(record, totals), [part for part in sections if part], viewer_data(maps))
    write_text(out, page)
    return out


def _updated(
    run: Path, inventory: str | Path | None, reference: tuple[int, int] | None, true: pd.DataFrame | None
) -> tuple[pd.DataFrame | None, str]:
    """The table of the draws updated by an inventory, beside the truth where it is known, or why there is none."""
    if inventory is None:
        return None, ""
    try:
        return with_truth(assimilated_table(run, inventory, reference=reference), true), ""
    except NothingToLearn as error:
        return None, str(error)


def _lead(record: dict, totals: RunTotals) -> str:
    """The page in two sentences."""
    zones = len(set(totals.zone) - {NO_ZONE})
    inside = f" in {zones} zones" if zones > 1 else ""
    days = f"{number(int(totals.days.sum()))} days, every day"
    draws = f"{totals.draws} posterior draws carried through every pixel" if totals.draws > 1 else "a single draw, so without intervals"
    text = (
        f"{area_ha(totals.area.sum() / 1e4)} ha of vegetation{inside}, {record['start']} to {record['end']}, {days}, with {draws}. "
        f"Spread: <code>{totals.spread}</code>, {escape(totals.meaning)}."
    )
    return paragraph(text, "lead")


def _maps_section(viewer: dict | None) -> Section | None:
    """Mean and sd side by side with a date slider."""
    if viewer is None:
        return None
    shown = next(group for group in viewer["groups"] if group["id"] == viewer["first"])
    thinned = [
        f"{_thinned(group)} of the {group['label'].lower()}" for group in viewer["groups"] if group["stride"] * group["step"] > 1
    ]
    note = (
        f"Mean of the draws and their standard deviation; of days and months the mean in {units('gC m-2 d-1')}, of a year the sum over its "
        f"mapped days ({units('gC m-2 yr-1')} where these are all). "
        "NEE: blue-green = uptake (negative), brown = release (positive). Hatched: |mean| below 2 sd, the sign is uncertain. "
        f"A pixel of the maps is {shown['metres']:g} m." + (f" To keep this page small it shows {', '.join(thinned)}." if thinned else "")
    )
    fallback = "<noscript>The maps need JavaScript; every number is also in the tables.</noscript>"
    return Section("maps", "Maps", "Maps and their uncertainty", paragraph(note, "note") + f'<div data-source="map-run">{fallback}</div>')


def _thinned(group: dict) -> str:
    """Pixels and dates that a group shows.

    >>> _thinned({"stride": 1, "step": 2}), _thinned({"stride": 3, "step": 2})
    ('every 2nd date', 'every 3rd pixel each way and every 2nd date')
    """
    words = [(group["stride"], "pixel each way"), (group["step"], "date")]
    return " and ".join(f"every {number_th(step)} {unit}" for step, unit in words if step > 1)


def number_th(value: int) -> str:
    """An ordinal number.

    >>> [number_th(value) for value in (2, 3, 11, 21, 40)]
    ['2nd', '3rd', '11th', '21st', '40th']
    """
    last = 0 if value % 100 in (11, 12, 13) else value % 10
    return str(value) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")


def _towers(record: dict) -> str:
    """Towers that inform the region, plant types without one, covariates outside the range of all; HTML, empty where there are none."""
    pixels = max(record.get("pixels", 0), 1)
    kinds = (record.get("plant_types") or {}).get("without_tower") or {}
    shares = [f"{PLANT_TYPE_NAMES.get(code, code)} ({share_of(count / pixels)} of the pixels)" for code, count in kinds.items()]
    beyond = {name: count / pixels for name, count in (record.get("outside") or {}).items() if count / pixels >= LEAST}
    unlike = beyond.pop(APPLICABILITY, 0.0)
    ranges = [f"{name} ({share_of(share)})" for name, share in beyond.items()]
    towers = [f"{tower['name']} ({tower['plant_type']})" for tower in record.get("towers") or ()]
    parts = []
    if towers:
        parts.append(
            f"Informed by the tower{'s' * (len(towers) > 1)} {escape(', '.join(towers))}: in every draw the effects of places pass "
            f"through those of the towers of the same plant type (correlation length {record['effect_length'] / 1e3:.0f} km; "
            f"{share_of(record.get('effect_nugget', 0))} of the variance is of each ecosystem alone)."
        )
    error = record.get("structural_error") or {}
    if error.get("towers"):
        known = escape(", ".join(error["towers"]))
        parts.append(
            f"In budgets the structural error passes through the monthly residuals of {known} (correlation length "
            f"{error['length'] / 1e3:.0f} km; {share_of(error['nugget'])} of the variance is of each ecosystem alone), so that the mean "
            "of a budget near them differs from that of the maps by what they measured."
        )
    if shares:
        parts.append(
            f"<b>No tower of the posterior has this plant type:</b> {escape(', '.join(shares))}. The map there rests on its prior and on "
            "what all plant types share; <code>hybridflux map --within plant_type</code> leaves it out."
        )
    if unlike:
        parts.append(
            f"<b>{share_of(unlike)} outside the area of applicability</b>, of pixels and days: there, weather and vegetation are less like "
            "the days of the towers than those of one tower are like those of others (Meyer &amp; Pebesma 2021), and it is not known how "
            "wrong the model is."
        )
    if ranges:
        parts.append(f"Outside the range of the towers, share of pixels and days: {escape(', '.join(ranges))}.")
    return "".join(paragraph(part, "note") for part in parts)


def share_of(value: float) -> str:
    """A share in per cent; a small one is not rounded to 0.

    >>> share_of(0.25), share_of(0.0004), share_of(1.0)
    ('25 %', '0.04 %', '100 %')
    """
    return f"{100 * value:.0f} %" if value >= 0.1 or value == 0 else f"{100 * value:.2g} %"


def _origin(record: dict, totals: RunTotals) -> str:
    """Versions, seed, hash and configuration."""
    origin = record.get("provenance", {})
    git = origin.get("git") or {}
    commit = f", commit {git['commit'][:12]}{' with changes' if git.get('dirty') else ''}" if git else ""
    entries = {
        "hybridflux": f"{origin.get('hybridflux', '?')}{commit}",
        "run at": origin.get("time", "?"),
        "command": origin.get("command", "?"),
        "configuration": record.get("config_hash", "?"),
        "seed": record.get("seed", "?"),
        "draws": totals.draws,
        "period": f"{record['start']} to {record['end']}, {int(totals.days.sum())} days",
        "sign": SIGN,
        "credit": "; ".join(record.get("attribution") or ()) or "not recorded in the region store",
        "spread": f"{totals.spread}: {totals.meaning}",
        "packages": ", ".join(f"{name} {version}" for name, version in (origin.get("packages") or {}).items() if version),
        "python": f"{origin.get('python', '?')} on {origin.get('platform', '?')}",
    }
    full = escape(json.dumps(record, indent=2, default=str))
    return definitions(entries) + f'<details><summary>everything recorded</summary><pre class="wide">{full}</pre></details>'
