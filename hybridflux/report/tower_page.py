"""One self-contained HTML page of a posterior at towers, without a region."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.evaluate.aggregation import MONTH
from hybridflux.evaluate.predictions import Prediction, predictions
from hybridflux.evaluate.scores import overview, score_prediction
from hybridflux.files import write_text
from hybridflux.model.sequences import sequences_of
from hybridflux.report.figures import tower_fit
from hybridflux.report.markup import Section, card, cards, definitions, document, paragraph
from hybridflux.report.style import number, units
from hybridflux.report.tower_figures import record
from hybridflux.report.tower_fits import best_year, parameter_section
from hybridflux.report.tower_sections import (
    STEPS,
    calibration_section,
    fits_section,
    residual_section,
    response_section,
    shown_sites,
    unseen_section,
)
from hybridflux.vocabulary import CARBON, FLUXES, PLANT_TYPES

DRAWS = 100
FEWEST_DAYS = 5  # of a month of the year, for a mean residual


def write_tower_report(posterior, towers, out: str | Path, *, title: str | None = None, seed: int = 0) -> Path:
    """Write the page of a posterior at towers: fits, residuals over the year, response curves, parameters, calibration.

    Sites of the fit are shown apart from others; where members of an ensemble left towers out, each tower is also predicted by the members
    that left it out.

    Args:
        posterior: fitted `Posterior`.
        towers: `Towers`, or their `Sequences`.
        out: HTML file.
        title: heading.
        seed: seed of effects of unseen places and of errors.

    Returns:
        The file.

    Raises:
        ValueError: no NEE was measured, or the towers lack a driver.
    """
    out = Path(out)
    sequences = sequences_of(towers, posterior.model.needs_at_towers())
    latitude = dict(towers.sites["lat"]) if hasattr(towers, "sites") else {}
    measured = np.isfinite(sequences.targets["nee"]).sum(axis=0)
    if not measured.any():
        raise ValueError(f"no NEE was measured at {', '.join(sequences.places)[:200]}; check sites and years")
    scores, residuals, figures = [], [], {}
    options = {"variables": CARBON, "draws": DRAWS, "seed": seed}
    shown = set(shown_sites(sequences))
    for prediction in predictions(posterior, sequences, **options):
        site = prediction.tower.places[0]
        scores.append(score_prediction(prediction, step=STEPS))
        residuals.append(_residuals(prediction, latitude.get(site)))
        if site in shown:
            figures[site] = _figures(prediction)
    away = [score_prediction(prediction, step=("day",)) for prediction in predictions(posterior, sequences, **options, left_out=True)]
    scores, residuals = pd.concat(scores, ignore_index=True), pd.concat(residuals, ignore_index=True)
    left_out = pd.concat(away, ignore_index=True) if away else None
    sections = [
        Section("numbers", "In short", "In short", _headline(scores, left_out, posterior)),
        Section("fits", "Fits", "Observed and modelled", fits_section(sequences, scores, figures)),
        Section("residuals", "Residuals", "Residuals over the year", residual_section(residuals)),
        Section("responses", "Responses", "Response curves", response_section(posterior, sequences, seed)),
        Section("parameters", "Parameters", "Prior and posterior", parameter_section(posterior, sequences, {})),
        Section("calibration", "Calibration", "Calibration of the intervals", calibration_section(scores)),
        Section("unseen", "Unseen sites", "With and without a site", unseen_section(scores, left_out)),
        Section("origin", "Origin", "Provenance", _origin(posterior)),
    ]
    heading = title or "A posterior at its towers"
    write_text(out, document("tower report", heading, _lead(sequences, posterior), sections))
    return out


def _code(prediction: Prediction) -> str:
    return PLANT_TYPES[int(prediction.tower.drivers["plant_type"][0])]


def _figures(prediction: Prediction) -> list[str]:
    """The best covered year by the day, and the whole record by the month."""
    here, site, code = prediction.tower, prediction.tower.places[0], _code(prediction)
    observed = here.targets["nee"][:, 0]
    days = np.flatnonzero(here.days.astype("datetime64[Y]") == best_year(here.days, observed))
    figures = [tower_fit(site, code, here.days[days], observed[days], prediction.draws["nee"][:, days, 0])]
    months, observed_months, modelled_months = None, {}, {}
    for flux in FLUXES:
        starts, y, x = MONTH(here, here.targets[flux.lower()][:, 0], prediction.draws[flux.lower()][..., 0])
        if flux == "NEE":
            months = starts
        if len(starts) and months is not None and np.array_equal(starts, months):
            observed_months[flux], modelled_months[flux] = y, x
    return figures + ([record(site, code, months, observed_months, modelled_months)] if observed_months else [])


def _residuals(prediction: Prediction, latitude: float | None) -> pd.DataFrame:
    """Mean of observed - modelled by month of the year: columns `site igbp south flux month residual days`."""
    month = prediction.tower.days.astype("datetime64[M]").astype(int) % 12 + 1
    rows = []
    for flux in FLUXES:
        difference = prediction.tower.targets[flux.lower()][:, 0] - prediction.point[flux.lower()][:, 0]
        seen = np.isfinite(difference)
        count = np.bincount(month[seen], minlength=13)
        total = np.bincount(month[seen], difference[seen], minlength=13)
        rows += [(flux, at, total[at] / count[at], int(count[at])) for at in range(1, 13) if count[at] >= FEWEST_DAYS]
    place = {"site": prediction.tower.places[0], "igbp": _code(prediction), "south": latitude is not None and latitude < 0}
    return pd.DataFrame(rows, columns=["flux", "month", "residual", "days"]).assign(**place)


def _lead(sequences, posterior) -> str:
    measured = np.isfinite(sequences.targets["nee"]).any(axis=1)
    days = sequences.days[measured]
    known = sum(place in posterior.places for place in sequences.places)
    count = number(int(np.isfinite(sequences.targets["nee"]).sum()))
    text = (
        f"{len(sequences.places)} towers, {known} of them in the fit; {count} days of measured "
        f"NEE from {days[0]} to {days[-1]}; {posterior.draws} draws by {posterior.info.get('method', 'an unknown method')}. Bands are "
        "predictive: parameters, site effects, structural and measurement errors."
    )
    return paragraph(text, "lead")


def _headline(scores: pd.DataFrame, left_out: pd.DataFrame | None, posterior) -> str:
    """Cards: skill of daily fluxes at sites of the fit and unseen ones, coverage; and the warnings of the fit."""
    tables = {"in the fit": scores[scores["known"]], "not in the fit": scores[~scores["known"]], "left out": left_out}
    items = []
    for where, rows in tables.items():
        if rows is None or not len(rows):
            continue
        daily = overview(rows[rows["step"] == "day"])
        for _, row in daily[daily["sites"] > 0].iterrows():
            if row["flux"] != "NEE" and where != "in the fit":
                continue
            more = (
                f"median of {row['sites']} sites; RMSE {number(row['RMSE'], 2)}, bias {number(row['bias'], 2)} "
                f"{units('gC m-2 d-1')}; the 90 % interval holds {100 * row['coverage90']:.0f}\u202f%"
            )
            items.append(card(f"NSE of daily {row['flux']}, {where}", number(row["NSE"], 2), "", more, f"--{row['flux'].lower()}"))
    concerns = posterior.info.get("concerns") or []
    warned = "".join(f"<li>{escape(str(concern))}</li>" for concern in concerns)
    converged = paragraph("The fit reported no concern about its convergence.", "note")
    warnings = f"<h3>Warnings of the fit</h3><ul>{warned}</ul>" if concerns else converged
    note = (
        "NSE is 1 for a perfect model and 0 for one that only knows the mean of a site. Bias is modelled − observed. GPP and RECO are "
        "compared with the partitioned products of the tower files; NEE was measured."
    )
    return cards(items) + paragraph(note, "note") + warnings


def _origin(posterior) -> str:
    info = dict(posterior.info)
    origin = info.get("provenance", {})
    git = origin.get("git") or {}
    error = info.get("structural_error") or {}
    entries = {
        "hybridflux": f"{origin.get('hybridflux', '?')}" + (f", commit {git['commit'][:12]}" if git.get("commit") else ""),
        "fitted at": origin.get("time", "?"),
        "command": origin.get("command", "?"),
        "method": info.get("method", "?"),
        "seed": info.get("seed", "?"),
        "days of the fit": ", ".join(f"{name} {count}" for name, count in info.get("observed_days", {}).items()) or "?",
        "structural error": f"learned from residuals {error['residuals']}" if "residuals" in error else "none",
        "sign": "NEE = RECO − GPP, positive to the atmosphere",
        "spread": "predictive: parameters, site effects, structural and measurement errors",
        "credit": "tower data belong to the principal investigators of the sites: cite each site's DOI and the network's data paper",
    }
    full = escape(json.dumps({name: value for name, value in info.items() if not name.startswith("draws_without")}, indent=2, default=str))
    return definitions(entries) + f'<details><summary>everything recorded</summary><pre class="wide">{full}</pre></details>'
