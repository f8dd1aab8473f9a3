"""Tables as CSV with a description beside them: meaning of the columns, credit of the sources and provenance of the run.

The description follows CSV on the Web (W3C recommendation of 2015-12-17, Metadata Vocabulary for Tabular Data): `budget.csv` is
described by `budget.csv-metadata.json`, where programs that know the recommendation look for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from hybridflux.data.spreadsheet import write_csv
from hybridflux.files import write_json
from hybridflux.ours import DESCRIBED_BY
from hybridflux.provenance import provenance

COLUMNS = {
    "zone": "zone of the region, `region` for all of it",
    "land_cover": "IGBP plant type, `all` for all of them",
    "period": "calendar year, days or months of a part of one, or mean of whole years",
    "days": "number of days in the period that were mapped, or predicted at a tower",
    "variable": "NEE = RECO - GPP, GPP, RECO, NBP = -NEE - export + import - fire - leaching, and carbon that management moves",
    "quantity": "flux; of whole years, in every draw: anomaly: a year minus the mean of the reference years; difference: a year minus the "
    "one before; cumulative: sum of years; trend: slope of the least-squares line; variation: standard deviation between years over the "
    "absolute mean, with what the model may have missed in single years, empty where the sign of the mean is not known; effect: changed "
    "minus control",
    "reference": "years whose mean an anomaly refers to",
    "prior_mean": "mean before the inventory informed the draws",
    "prior_sd": "standard deviation before the inventory informed the draws",
    "shrinkage": "1 - sd / prior_sd",
    "stock_change": "measured gain of biomass and soil, gC m-2 yr-1",
    "stock_change_sd": "standard deviation of its error, gC m-2 yr-1",
    "prior_predictive_p": "probability of a stock change at least as far from the prior; small where run and inventory disagree",
    "posterior_predictive_p": "probability of a repeated measurement at least as far from the updated draws",
    "gap": "NBP of the run, its mean, minus NBP of the updated draws, gC m-2 yr-1: positive where the run gains too much carbon",
    "gap_q05": "5 % quantile of the gap, gC m-2 yr-1",
    "gap_q95": "95 % quantile of the gap, gC m-2 yr-1",
    "gap_that_matters": "half of the largest of |NEE|, |export|, |stock change|, at least 50 gC m-2 yr-1",
    "verdict": "of the budget closed, open or undecidable; of updated draws agree, disagree or undecidable; of two classes "
    "the one that lost more with a probability of 0.95, of 20 draws at least",
    "reason": "of the verdict, in words",
    "years_to_decide": "years of the stock change, those of today among them, that would decide; empty where more years alone cannot",
    "plots_to_decide": "times as many plots of the inventory that would; empty where more plots alone cannot",
    "towers_to_decide": "towers of the plant type in the zone that would; empty where they alone cannot",
    "effective_draws": "draws that would keep weight if they were weighed by the stock changes (Kish); below 30 weights are refused",
    "method": "kalman or weights: how the draws were updated",
    "stage": "prior: no inventory has informed the draws; assimilated: measured stock changes have",
    "units": "units of mean, sd and quantiles; per year only for whole years",
    "area_ha": "mapped area with vegetation",
    "area_outside_applicability_ha": "the part of area_ha outside the area of applicability of the posterior, pixels counting by days",
    "area_without_tower_ha": "the part of area_ha whose plant type no tower of the posterior has",
    "mean": "mean over the draws, per area",
    "sd": "standard deviation over the draws, per area",
    "q05": "5 % quantile of the draws, per area",
    "q50": "median of the draws, per area",
    "q95": "95 % quantile of the draws, per area",
    "total_units": "units of the columns total_tCO2*",
    "total_tCO2": "mean over the draws, of the whole area; 1 gC is 44/12 gCO2, as in greenhouse gas inventories (IPCC 2006 guidelines)",
    "sign": "meaning of a positive value",
    "spread": "sources of error that the draws contain",
    "draws": "number of posterior draws",
    "known": "whether the site took part in the fit",
    "observed": "measured value of a period, of which each day was measured",
    "climatology": "share of the days on which a driver was missing for more than a week, so that its seasonal mean was taken",
    "filled": "drivers of which that is so",
    "by": "what the classes of pixels are of",
    "class": "class of pixels",
    "pixels": "number of pixels",
    "first": "class whose loss is the first of a difference",
    "second": "class whose loss is taken from it",
    "cause": "what the change is by; all: of all causes together",
    "usual": "flux of the usual season, gC m-2",
    "percent": "change in per cent of the usual flux",
    "largest": "share of draws in which the cause takes most from the uptake, or gives most to NEE",
    "separable": "whether the draws distinguish soil water from vapour pressure deficit",
    "against": "water that a response is to: missing against the usual season by the ledger, or soil moisture against its usual",
    "over": "pixels: of the season; days: of means of ten days of a land cover",
    "water_units": "units of the water",
    "water_from": "least water of the part of a curve, or of all of it",
    "water_to": "most water of the part of a curve, or of all of it",
    "water": "mean water",
    "note": "what is not known of the ledger of this row",
    "share": "share of the area of the zone and land cover",
    "probability": "mean probability that the cut took place; of two classes, the share of draws in which the first lost more",
    "date": "expected day",
    "date_sd": "standard deviation of the day [d], among pixels and of each",
    "year": "calendar year; a winter counts to the year in which it ends",
    "winter_days": "days of winter within the series: November to February, south of the tropics May to August",
    "winter_green": "expected share of these days with green ground",
    "crops": "crops that grew up in the year, mean over the area",
    "crop": "of the harvest, where the name of the zone or parcel shows it; correct it here",
    "event": "mowing, harvest or felling",
    "since": "day from which the cut plants had grown",
}


def write_table(table: pd.DataFrame, out: str | Path, record: Mapping, **options) -> Path:
    """Write a table and its description, each complete or absent; the description is written first, so that a table always has one.

    No text of the table is taken for a formula by a spreadsheet (`data.spreadsheet`).

    Args:
        table: budget, effect or scores.
        out: CSV file.
        record: `run.json` or `scenario.json` of the run, or a mapping that holds the `provenance` of the table.
        options: options of `DataFrame.to_csv`.
    """
    out = Path(out)
    names = (
        "title", "spread", "spread_meaning", "sign", "start", "end", "days", "changes", "leaves", "attribution", "config_hash",
        "provenance",
    )  # fmt: skip
    described = {"@context": "http://www.w3.org/ns/csvw", "url": out.name} | {name: record[name] for name in names if name in record}
    described["made"] = provenance({"table": out.name, "of": record.get("config_hash", "")})
    columns = [{"titles": name, "dc:description": COLUMNS.get(name, COLUMNS.get(name.rpartition("_")[2], name))} for name in table]
    write_json(out.with_name(out.name + DESCRIBED_BY), described | {"tableSchema": {"columns": columns}})
    write_csv(table, out, **options)
    return out
