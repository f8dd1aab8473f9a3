"""The card of a model as one HTML page: skill beside the baselines, plant types, drought and tails, calibration, ceilings, origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

from hybridflux.evaluate.card import row_of
from hybridflux.evaluate.metrics import LEVELS
from hybridflux.evaluate.steps import MEANING, STEPS
from hybridflux.files import write_text
from hybridflux.report.card_figures import coverage_by_step, pit_bars
from hybridflux.report.markup import Section, card, cards, definitions, document, grid, paragraph, table
from hybridflux.report.style import number, units

NOTHING = "not available"
CELL = '<span class="note">not available</span>'
INTERVALS = ("day", "week", "month", "year")
TAILS = ("anomaly", "iav", "driest", "hottest", "drought")
TONES = {"NEE": "--nee", "GPP": "--gpp", "RECO": "--reco"}


def write_card(made: Mapping, out: str | Path) -> Path:
    """Write the page of a card: everything is inside the file, nothing is loaded from elsewhere.

    Args:
        made: card from `evaluate.card.make_card` or `load_card`.
        out: HTML file.

    Returns:
        The file.
    """
    out = Path(out)
    sections = [
        Section("short", "In short", "In short", _headline(made)),
        Section("skill", "Skill", "Skill, day by day", _daily(made)),
        Section("steps", "Time steps", "From days to years", _steps(made)),
        Section("drought", "Drought", "Drought, heat and anomalies", _tails(made)),
        Section("types", "Plant types", "Plant types", _types(made)),
        Section("calibration", "Calibration", "Calibration of the intervals", _calibration(made)),
        Section("ceilings", "Ceilings", "Ceilings and goals", _references(made)),
        Section("origin", "Origin", "Provenance", _origin(made)),
    ]
    page = document("evaluation card", made["title"], _lead(made), sections)
    write_text(out, page)
    return out


def of_row(row: Mapping | None, name: str, digits: int = 2) -> str:
    """A score of a row, or `not available`."""
    value = None if row is None else row.get(name)
    return CELL if value is None else number(value, digits)


def percent(row: Mapping | None, name: str) -> str:
    """A coverage of a row in per cent, or `not available`."""
    value = None if row is None else row.get(name)
    return CELL if value is None else f"{100 * value:.0f}\u202f%"


def best_other(made: Mapping, variable: str, step: str, score: str, highest: bool) -> tuple[str, float] | None:
    """The best of the other models: its name and score, or None."""
    rows = [(model, row_of(made, model, variable, step)) for model in made["models"] if model != made["main"]]
    scored = [(model, row[score]) for model, row in rows if row and row.get(score) is not None]
    return (max if highest else min)(scored, key=lambda each: each[1]) if scored else None


def _lead(made: Mapping) -> str:
    rows = [row for row in made["skill"] if row["igbp"] == "all" and row["step"] == "day"]
    sites = max((row["sites"] for row in rows), default=0)
    text = f"{escape(made['main'])} beside {len(made['models']) - 1} others, {sites} sites, {escape(', '.join(made['splits']))}."
    return paragraph(text + "".join(f" {escape(note)}" for note in made["notes"]), "lead")


def _headline(made: Mapping) -> str:
    """Headline numbers of the main model, each with the best of the others."""
    items = []
    for variable in made["variables"]:
        items.append(_number_card(made, variable, "day", "nse", f"NSE of daily {variable}", "", True))
    items.append(_number_card(made, "NEE", "year", "rmse_pooled", "Error of annual NEE", units("gC m-2 yr-1"), False))
    items.append(_number_card(made, "NEE", "drought", "rmse_pooled", "Error of NEE anomalies in drought", units("gC m-2 d-1"), False))
    for step in ("day", "year"):
        row = row_of(made, made["main"], "NEE", step)
        items.append(card(f"90 % interval of NEE, {step}s", percent(row, "coverage90"), "", "of the observations inside", "--accent"))
    note = (
        "How to read: NSE is 1 for a perfect model and 0 for one that only knows the mean of each site; medians over sites. Errors are "
        "root mean squares over all periods of all sites. A calibrated 90 % interval holds 90 % of the observations, no less and no more."
    )
    return cards(items) + paragraph(note, "note")


def _number_card(made: Mapping, variable: str, step: str, score: str, name: str, unit: str, highest: bool) -> str:
    digits = 2 if step != "year" else 0
    other = best_other(made, variable, step, score, highest)
    more = f"best of the others: {escape(other[0])} <b>{number(other[1], digits)}</b>" if other else f"others {NOTHING}"
    return card(name, of_row(row_of(made, made["main"], variable, step), score, digits), unit, more, TONES.get(variable, "--faint"))


def _daily(made: Mapping) -> str:
    head = ["Model", "Sites", "Days", "NSE", "quartiles", "R²", "RMSE", "Bias", "CRPS", *(f"{level} % coverage" for level in LEVELS)]
    parts = [
        paragraph(
            "How to read: medians over sites, the main model in bold; RMSE, bias (predicted − observed) and CRPS in "
            f"{units('gC m-2 d-1')}. CRPS judges the whole predictive distribution, lower is better; of a deterministic model it is the "
            "mean absolute error. The last columns are the share of all days inside the central interval.",
            "note",
        )
    ]
    for split in made["splits"]:
        for variable in made["variables"]:
            rows = []
            for model in _in_order(made):
                row = row_of(made, model, variable, "day", split=split)
                quartiles = f"{of_row(row, 'nse_q25')} to {of_row(row, 'nse_q75')}" if row and row["nse_q25"] is not None else CELL
                line = [escape(model), of_row(row, "sites", 0), of_row(row, "n", 0), of_row(row, "nse"), quartiles]
                line += [of_row(row, name) for name in ("r2", "rmse", "bias", "crps")]
                rows.append(line + [percent(row, f"coverage{level}") for level in LEVELS])
            parts.append(f"<h3>{escape(variable)}, {escape(split)}</h3>{table(head, rows, whole=1)}")
    return "".join(parts)


def _steps(made: Mapping) -> str:
    note = "How to read: median NSE of each time step; root mean square error over all periods of all sites. " + _meanings(INTERVALS)
    head = ["Model", *(f"NSE, {step}" for step in INTERVALS), *(f"RMSE, {step}" for step in INTERVALS), "CRPS, month", "CRPS, year"]
    parts = [paragraph(note, "note")]
    for variable in made["variables"]:
        rows = []
        for model in _in_order(made):
            of = {step: row_of(made, model, variable, step) for step in INTERVALS}
            line = [escape(model), *(of_row(of[step], "nse") for step in INTERVALS)]
            line += [of_row(of[step], "rmse_pooled", 0 if step == "year" else 2) for step in INTERVALS]
            rows.append([*line, of_row(of["month"], "crps_pooled"), of_row(of["year"], "crps_pooled", 0)])
        parts.append(f"<h3>{escape(variable)}</h3>{table(head, rows, whole=1)}")
    return "".join(parts)


def _tails(made: Mapping) -> str:
    note = (
        "How to read: root mean square error over all periods of all sites, with the share inside the 90 % interval; anomalies do not hold "
        "constant errors of a site. " + _meanings(TAILS)
    )
    head = ["Model", *(f"{step}, {units(STEPS[step].units)}" for step in TAILS), *(f"90 % coverage, {step}" for step in TAILS)]
    parts = [paragraph(note, "note")]
    for variable in made["variables"]:
        rows = []
        for model in _in_order(made):
            of = {step: row_of(made, model, variable, step) for step in TAILS}
            line = [escape(model), *(of_row(of[step], "rmse_pooled", 0 if step == "iav" else 2) for step in TAILS)]
            rows.append(line + [percent(of[step], "coverage90") for step in TAILS])
        parts.append(f"<h3>{escape(variable)}</h3>{table(head, rows, whole=1)}")
    return "".join(parts)


def _types(made: Mapping) -> str:
    note = "How to read: median daily NSE over the sites of a plant type; with few sites (in the first line) it is uncertain."
    parts = [paragraph(note, "note")]
    for variable in made["variables"]:
        of = {kind: [row_of(made, model, variable, igbp=kind) for model in _in_order(made)] for kind in made["plant_types"]}
        counts = ["Sites", *(of_row(next((row for row in rows if row), None), "sites", 0) for rows in of.values())]
        rows = [[escape(model), *(of_row(of[kind][at], "nse") for kind in of)] for at, model in enumerate(_in_order(made))]
        parts.append(f"<h3>{escape(variable)}</h3>{table(['Model', *of], [counts, *rows])}")
    return "".join(parts)


def _calibration(made: Mapping) -> str:
    note = (
        "How to read: on the left the share of observations inside central intervals of 50, 80 and 90 %, all periods of all sites; on the "
        "dashed line they are calibrated, below it too narrow, above it too wide. On the right how often observations fall into each "
        "tenth of their predictive distribution (PIT): flat if calibrated, a U if intervals are too narrow, a hump if too wide, a slope if "
        "biased."
    )
    figures, rows = [], []
    for variable in made["variables"]:
        by_step = {step: row_of(made, made["main"], variable, step) for step in INTERVALS}
        if any(row and row["coverage90"] is not None for row in by_step.values()):
            figures.append(coverage_by_step(variable, by_step))
        counts = {step: (row_of(made, made["main"], variable, step, table="pit") or {}).get("counts") for step in INTERVALS}
        if any(counts.values()):
            figures.append(pit_bars(variable, counts))
        for model in _in_order(made):
            of = [row_of(made, model, variable, step) for step in INTERVALS]
            if any(row and row["coverage90"] is not None for row in of):
                rows.append([f"{escape(model)}, {escape(variable)}", *(percent(row, f"coverage{level}") for row in of for level in LEVELS)])
    head = ["Model", *(f"{level} % {step}" for step in INTERVALS for level in LEVELS)]
    if not figures and not rows:
        return paragraph(f"{note} No model of this card is probabilistic: {NOTHING}.", "note")
    return paragraph(note, "note") + grid(figures, "large") + table(head, rows)


def _references(made: Mapping) -> str:
    note = (
        "How to read: a ceiling is the best that the data allow (a model fitted to the site, or the noise between two official processings "
        "of the same measurements), a goal is the target that was set. The last column is the part of the way from the best other model to "
        "it that is covered: 100 % is reached, below 0 % the best other model is better."
    )
    if not made["references"]:
        return paragraph(f"{note} Ceilings and goals: {NOTHING}.", "note")
    rows = []
    for reference in made["references"]:
        own = row_of(made, made["main"], reference["variable"], reference["step"], igbp=reference["igbp"], split=reference["split"])
        value = None if own is None else own.get(reference["score"])
        digits = 0 if abs(reference["value"]) >= 20 else 2
        igbp = "" if reference["igbp"] == "all" else f", {reference['igbp']}"
        where = f"{reference['variable']}, {reference['step']}, {reference['score']}{igbp}"
        line = [escape(reference["kind"]), escape(reference["name"]), escape(where), number(reference["value"], digits)]
        source = f'<td class="text">{escape(reference["source"] or "")}</td>'
        rows.append([*line, of_row(own, reference["score"], digits), _covered(made, reference, value), source])
    return paragraph(note, "note") + table(["Kind", "Name", "Of", "Value", "Here", "Covered", "Source"], rows)


def _covered(made: Mapping, reference: Mapping, value: float | None) -> str:
    """Share of the way from the best other model to a reference."""
    if value is None or reference["igbp"] != "all" or reference["score"].startswith("coverage"):
        return CELL
    other = best_other(made, reference["variable"], reference["step"], reference["score"], reference["score"] in ("nse", "r2"))
    if other is None or abs(reference["value"] - other[1]) < 1e-12:
        return CELL
    return f"{100 * (value - other[1]) / (reference['value'] - other[1]):.0f}\u202f%".replace("-", "\u2212")


def _origin(made: Mapping) -> str:
    origin = made["origin"]
    if not origin:
        return paragraph(f"Provenance {NOTHING}.", "note")
    entries = {name: origin.get(name) or NOTHING for name in ("hybridflux", "time", "command", "config_hash", "seed", "python")}
    full = escape(json.dumps(origin, indent=2, default=str))
    return definitions(entries) + f'<details><summary>everything recorded</summary><pre class="wide">{full}</pre></details>'


def _in_order(made: Mapping) -> list[str]:
    """The main model first."""
    return [made["main"], *(model for model in made["models"] if model != made["main"])]


def _meanings(steps: tuple[str, ...]) -> str:
    return " ".join(f"<b>{step}</b>: {MEANING[step]}." for step in steps)
