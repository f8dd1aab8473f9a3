"""One self-contained HTML page of a run."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import pandas as pd

from hybridflux.products.budget import budget_of, budget_table
from hybridflux.products.scenario import open_scenario
from hybridflux.products.totals import Totals, open_totals, run_record
from hybridflux.report.effect import describe, effect_card, effect_section
from hybridflux.report.frames import open_group, run_viewer
from hybridflux.report.look import ASSETS, number, units
from hybridflux.report.markup import Section, definitions, document, paragraph
from hybridflux.report.overview import headline_section, independence_factor
from hybridflux.report.seasons import seasons_section
from hybridflux.report.tables import budget_section, closure_section, with_truth
from hybridflux.report.towers import parameter_section, tower_section
from hybridflux.report.truth import Truth, read_truth


def write_report(
    run_dir: str | Path,
    out: str | Path,
    *,
    posterior=None,
    towers=None,
    scenario: str | Path | None = None,
    budget: pd.DataFrame | None = None,
    inventory: str | Path | None = None,
    truth: str | Path | Truth | None = None,
    title: str | None = None,
) -> Path:
    """Write the page of a run: everything is inside the file, nothing is loaded from elsewhere.

    A bare run folder gives maps, seasons, the budget and its origin; the rest adds sections.

    Args:
        run_dir: folder written by `map_region`.
        out: HTML file.
        posterior: fitted `Posterior`: adds prior and posterior of the parameters.
        towers: `Sequences`, or `Towers` they come from: with `posterior`, adds fits at towers.
        scenario: folder written by `run_scenario`: adds the effect of the change.
        budget: table of `budget_table`; made from the run by default.
        inventory: CSV of measured stock changes: adds the closure.
        truth: what is known of a synthetic region (`report.truth`), set beside the estimates.
        title: heading; by default from the region's name.

    Returns:
        The file.
    """
    run, out = Path(run_dir), Path(out)
    record, totals = run_record(run), open_totals(run)
    known = truth if truth is None or isinstance(truth, Truth) else read_truth(truth)
    if budget is None:
        budget = budget_table(run, inventory=inventory)
    budget = with_truth(budget, budget_of(known.totals) if known and known.totals else None)
    effect = open_scenario(scenario) if scenario else None
    independence = independence_factor(open_group(run, "annual"), totals)
    maps = {"map-run": run_viewer(run)}
    sections = [
        Section("numbers", "In short", "In short", headline_section(budget, independence, effect and effect_card(effect))),
        _maps_section(maps["map-run"]),
        Section("seasons", "Seasons", "The course of each land cover", seasons_section(run, totals.spread, known and known.totals)),
        Section("budget", "Budget", "Carbon budget", budget_section(budget)),
    ]
    if effect:
        body, maps["map-effect"] = effect_section(effect, scenario)
        sections.append(Section("scenario", "What if", f"What if: {describe(effect)}", body))
    if "verdict" in budget:
        sections.append(Section("inventory", "Inventory", "Against measured stock changes", closure_section(budget)))
    if posterior is not None and towers is not None:
        towers = towers.sequences(posterior.model.needs_at_towers()) if hasattr(towers, "sequences") else towers
        sections.append(Section("towers", "Towers", "Fit at the towers", tower_section(posterior, towers)))
    if posterior is not None:
        body = parameter_section(posterior, towers, known.parameters if known else {})
        sections.append(Section("parameters", "Parameters", "What the towers taught", body))
    sections.append(Section("origin", "Origin", "Where this comes from", _origin(record, totals)))
    heading = title or record.get("title") or "Carbon fluxes"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(document("run report", heading, _lead(totals), [part for part in sections if part], _data_of(maps)), encoding="utf-8")
    return out


def _data_of(maps: dict[str, dict | None]) -> str:
    """Data and script of the map viewers."""
    data = "\n".join(_data(name, value) for name, value in maps.items() if value)
    return f'{data}\n<script>{(ASSETS / "maps.js").read_text(encoding="utf-8")}</script>'


def _data(name: str, value: dict) -> str:
    """Data of a map viewer; `</` is kept from ending the element."""
    text = json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _lead(totals: Totals) -> str:
    """What the page is about, in two sentences."""
    first, last = totals.months[0], totals.months[-1]
    when = str(first.year) if len(totals.complete_years()) == 1 == len(set(totals.months.year)) else f"{first:%B %Y} to {last:%B %Y}"
    zones = len(set(totals.zone))
    draws = f"{totals.draws} posterior draws carried through every pixel" if totals.draws > 1 else "a single draw, so without intervals"
    text = (
        f"{number(totals.area.sum() / 1e4)} ha of vegetation in {zones} zone{'s' if zones > 1 else ''}, {when}, every day, with {draws}. "
        f"Spread: <code>{totals.spread}</code>, {escape(totals.meaning)}."
    )
    return paragraph(text, "lead")


def _maps_section(viewer: dict | None) -> Section | None:
    """Mean and sd side by side with a date slider."""
    if viewer is None:
        return None
    shown = next(group for group in viewer["groups"] if group["id"] == viewer["first"])
    thinned = [
        f"one in {group['stride']} pixels each way and one in {group['step']} dates of the {group['label'].lower()}"
        for group in viewer["groups"]
        if group["stride"] * group["step"] > 1
    ]
    note = (
        f"Mean of the draws and their standard deviation; {units('gC m-2 d-1')} as mean of a month, {units('gC m-2 yr-1')} for a year. "
        "NEE: blue-green = uptake (negative), brown = release (positive). Hatched: |mean| below 2 sd, the sign is not sure. "
        f"A pixel of the maps is {shown['metres']:g} m." + (f" To keep this page small it shows {', '.join(thinned)}." if thinned else "")
    )
    fallback = "<noscript>The maps need JavaScript; every number is also in the tables.</noscript>"
    return Section("maps", "Maps", "Maps and their uncertainty", paragraph(note, "note") + f'<div data-source="map-run">{fallback}</div>')


def _origin(record: dict, totals: Totals) -> str:
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
        "spread": f"{totals.spread}: {totals.meaning}",
        "packages": ", ".join(f"{name} {version}" for name, version in (origin.get("packages") or {}).items() if version),
        "python": f"{origin.get('python', '?')} on {origin.get('platform', '?')}",
    }
    full = escape(json.dumps(record, indent=2, default=str))
    return definitions(entries) + f'<details><summary>everything recorded</summary><pre class="wide">{full}</pre></details>'
