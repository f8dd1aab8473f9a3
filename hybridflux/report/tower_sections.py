"""Sections of the page of towers: fits, residuals over the year, responses, calibration, with and without a site."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from hybridflux.evaluate.card import make_card, row_of
from hybridflux.evaluate.corners import DRY_HOT, GROWING, GROWTH, HIGH, LOW, WET_COOL
from hybridflux.evaluate.responses import BEYOND, Response, responses
from hybridflux.evaluate.signs import FLAGGED, SLACK, contradictions
from hybridflux.report.card_figures import coverage_by_step, pit_bars
from hybridflux.report.markup import grid, legend, paragraph, table
from hybridflux.report.style import number, units
from hybridflux.report.tower_figures import DRIVER_NAMES, corner_curves, factor_curves, residual_season, response_curve, with_and_without
from hybridflux.report.tower_fits import choose_sites
from hybridflux.vocabulary import FLUXES, PLANT_TYPE_NAMES

STEPS = ("day", "week", "month", "year")
FIGURES = 60  # sites with figures; all are in the tables
MODEL = "model"


def shown_sites(sequences) -> list[str]:
    """Sites with figures: the best measured of each plant type first."""
    first = list(choose_sites(sequences))
    rest = np.argsort(-np.isfinite(sequences.targets["nee"]).sum(axis=0), kind="stable")
    rest = [sequences.places[at] for at in rest if sequences.places[at] not in first and np.isfinite(sequences.targets["nee"][:, at]).any()]
    return [*first, *rest][:FIGURES]


def fits_section(sequences, scores: pd.DataFrame, figures: dict[str, list[str]]) -> str:
    """Figures of sites, then a table of all."""
    order = [site for site in shown_sites(sequences) if site in figures]
    first = order[: len(choose_sites(sequences))]
    note = (
        "Left: daily NEE of the best covered year; right: monthly means of the whole record (months with at least 15 measured days). "
        "Bands hold 50 % and 90 % (days) and 90 % (months) of the predictive draws; dots are measurements. Negative NEE = uptake."
    )
    fluxes = [(flux, f"--{flux.lower()}", "") for flux in FLUXES]
    marks = legend(("measured", "--ink", "dot"), *fluxes, ("predictive band", "--muted", "band"))
    parts = [paragraph(note, "note"), marks, grid([figure for site in first for figure in figures[site]], "large")]
    further = [figure for site in order[len(first) :] for figure in figures[site]]
    if further:
        left = len(sequences.places) - len(order)
        more = f" ({left} further sites only in the table)" if left > 0 else ""
        parts.append(f"<details><summary>{len(order) - len(first)} more sites{more}</summary>{grid(further, 'large')}</details>")
    daily = scores[(scores["step"] == "day") & (scores["variable"] == "NEE")]
    annual = scores[(scores["step"] == "year") & (scores["variable"] == "NEE")].set_index("site")
    head = ["Site", "Plant type", "In the fit", "Days", "NSE", "RMSE", "Bias", "90 % coverage", "Years", "RMSE of years", "Bias of years"]
    lines = []
    for _, row in daily.sort_values(["igbp", "site"]).iterrows():
        year = annual.loc[row["site"]]
        lines.append([
            escape(row["site"]), escape(row["igbp"]), "yes" if row["known"] else "no", number(row["n"]), _or_dash(row["nse"], 2),
            _or_dash(row["rmse"], 2), _or_dash(row["bias"], 2), _percent(row["coverage90"]), number(year["n"]), _or_dash(year["rmse"]),
            _or_dash(year["bias"]),
        ])  # fmt: skip
    note = f"Daily scores in {units('gC m-2 d-1')}; annual sums in {units('gC m-2 yr-1')}, of years with more than 250 measured days."
    return "".join([*parts, "<h3>NEE of every site</h3>", paragraph(note, "note"), table(head, lines)])


def residual_section(residuals: pd.DataFrame) -> str:
    """Residuals by month of the year: NEE of each plant type, then GPP and RECO of all."""
    note = (
        "Observed − modelled (mean of the draws), averaged over the measured days of each calendar month of all years: a thin line for "
        "each site, the thick one for their mean. A season in the residuals is an error of the model that all sites share. A positive "
        "residual of NEE means that the model takes up too much carbon or respires too little."
    )
    figures = []
    for (code, south), group in residuals[residuals["flux"] == "NEE"].groupby(["igbp", "south"]):
        place = PLANT_TYPE_NAMES.get(code, code) + (", southern hemisphere" if south else "")
        figures.append(residual_season(place[:1].upper() + place[1:], "NEE", group))
    others = [residual_season(f"{flux}, all plant types", flux, group) for flux, group in residuals.groupby("flux") if flux != "NEE"]
    return paragraph(note, "note") + grid(figures) + "<h3>GPP and RECO, against the partitioned products</h3>" + grid(others)


def response_section(posterior, sequences, seed: int) -> str:
    """Response curves of each plant type of the towers, at the corners of their data, and the signs that contradict physics."""
    curves = list(responses(posterior, sequences, seed=seed))
    growth = [one for one in curves if one.corner == GROWTH.name]
    note = (
        f"Mean GPP and RECO of measured days of the growing season (warmer than {GROWING:g} °C, fapar or NIRv above its median at the "
        "site) with one driver set to each value and all others as observed (partial dependence), at the centre of the population of "
        "sites; bands hold 90 % of the draws. All temperatures of a day move together, a vegetation index moves with its running means; "
        "networks that read the driver follow it. Marks below: the driver on these days. Grey: "
        f"beyond the 1 % to 99 % range of the measured days, by up to {BEYOND:.0%} of it: there the curve is an assumption."
    )
    bands = (("90 % of draws", "--muted", "band"), ("not seen at the towers", "--faint", "band"))
    marks = legend(("GPP", "--gpp", ""), ("RECO", "--reco", ""), *bands)
    counts = {one.plant_type: f"{one.plant_type}: {one.towers} tower{'s' if one.towers > 1 else ''}, {one.days} days" for one in growth}
    listed = paragraph("; ".join(counts.values()) + ".", "note")
    parts = [paragraph(note, "note"), marks, grid([response_curve(one) for one in growth], "small"), listed, _corners(curves)]
    factors = [factor_curves(one) for one in growth if one.factors]
    if factors:
        words = "Factors of GPP and RECO along the drivers that move them, growing season"
        parts.append(f"<details><summary>{words}</summary>{grid(factors, 'small')}</details>")
    return "".join([*parts, _signs(curves)])


def _corners(curves: list[Response]) -> str:
    """GPP on dry and hot days beside wet and cool ones."""
    at: dict[tuple[str, str], list[Response]] = {}
    for corner in (DRY_HOT, WET_COOL):
        for one in curves:
            if one.corner == corner.name:
                at.setdefault((one.plant_type, one.driver), []).append(one)
    note = (
        f"GPP on the {DRY_HOT.days} days of the growing season that are nearest to the {HIGH:.0%} quantile of temperature and VPD and the "
        f"{LOW:.0%} quantile of soil water and LSWI of all towers of the plant type (dry and hot), and on those nearest to the opposite "
        "quantiles (wet and cool). Marks below: the driver on these days; where there are none the curve leaves the data."
    )
    marks = legend((DRY_HOT.name, "--accent", ""), (WET_COOL.name, "--ink", "dash"), ("90 % of draws", "--muted", "band"))
    figures = grid([corner_curves(one) for one in at.values()], "small")
    return f"<h3>At the corners of the data</h3>{paragraph(note, 'note')}{marks}{figures}"


def _signs(curves: list[Response]) -> str:
    """Contradictions of physics, or that there are none."""
    found = contradictions(curves)
    note = (
        f"A draw contradicts physics where its curve goes the other way than is known by more than {SLACK:.0%} of its mean, inside the "
        f"range of the towers. Listed are probabilities of {FLAGGED:.0%} and more."
    )
    flagged = found[found["probability"] >= FLAGGED].sort_values("probability", ascending=False, kind="stable")
    if not len(flagged):
        body = paragraph(f"None of {len(found)} responses whose sign is known contradicts it.")
    else:
        head = ["Plant type", "Days", "Flux", "Driver", "Physics: it", "Probability", "Other way, median draw", "What is known"]
        body = table(head, [[
            row.plant_type, row.corner, row.flux, DRIVER_NAMES[row.driver], row.expected, number(row.probability, 2),
            _percent(row.wrong_way), escape(row.words),
        ] for row in flagged.itertuples()])  # fmt: skip
    return f"<h3>Signs that contradict physics</h3>{paragraph(note, 'note')}{body}"


def calibration_section(scores: pd.DataFrame) -> str:
    """Coverage and PIT; sites of the fit apart from unseen ones."""
    note = (
        "Left: the share of observations inside central intervals of 50, 80 and 90 %; on the dashed line they are calibrated, below it too "
        "narrow. Right: in which tenth of their predictive distribution observations fall (PIT): flat if calibrated, a U if the intervals"
        " are too narrow, a hump if too wide, a slope if biased."
    )
    parts = [paragraph(note, "note")]
    for known, words in ((True, "Sites of the fit"), (False, "Sites that are not in the fit")):
        rows = scores[scores["known"] == known]
        if not (rows["n"] > 0).any():
            continue
        made = make_card(rows.assign(model=MODEL), title=words)
        figures = []
        for flux in FLUXES:
            of = {step: row_of(made, MODEL, flux, step) for step in STEPS}
            if any(row and row["coverage90"] is not None for row in of.values()):
                counts = {step: (row_of(made, MODEL, flux, step, table="pit") or {}).get("counts") for step in STEPS}
                figures += [coverage_by_step(flux, of, words), pit_bars(flux, counts, words)]
        parts.append(f"<h3>{words}</h3>{grid(figures, 'large')}")
    return "".join(parts)


def unseen_section(scores: pd.DataFrame, left_out: pd.DataFrame | None) -> str:
    """Each site in the fit beside the same site left out of it, or how to get that."""
    if left_out is None:
        return paragraph(
            "This posterior holds no draws that left a tower out (members of an ensemble of at least 4, fitted to at least 5 towers, do). "
            "Predict towers it was not fitted to, or refit without each: <code>hybridflux evaluate --leave-site-out 10</code>.", "note",
        )  # fmt: skip
    daily = scores[(scores["step"] == "day") & (scores["variable"] == "NEE") & scores["known"] & (scores["n"] > 1)].set_index("site")
    away = left_out[(left_out["variable"] == "NEE") & (left_out["n"] > 1)].set_index("site")
    inside = [_percent(np.average(rows["coverage90"], weights=rows["n"])) for rows in (daily, away)]
    both = pd.DataFrame({"igbp": daily["igbp"], "known": daily["nse"], "left_out": away["nse"]}).dropna()
    note = (
        "Each tower predicted by all members with its own effects, and as an unseen place by those members that were not fitted to it. The "
        "distance is the value of a tower at the site; the open circles are the skill to expect of a map. Medians over "
        f"{len(both)} sites: NSE {number(both['known'].median(), 2)} and {number(both['left_out'].median(), 2)}; the 90 % interval holds "
        f"{inside[0]} and {inside[1]} of the days."
    )
    poor = int((both["left_out"] < -1).sum())
    below = paragraph(f"{poor} sites have an NSE below −1 when left out and are drawn at the edge.", "note") if poor else ""
    edge = both.assign(left_out=both["left_out"].clip(lower=-1), known=both["known"].clip(lower=-1))
    return paragraph(note, "note") + grid([with_and_without(edge)], "large") + below


def _or_dash(value: float, digits: int = 0) -> str:
    return number(value, digits) if np.isfinite(value) else "–"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}\u202f%" if np.isfinite(value) else "–"
