"""Drought and management: losses by class of pixels, and the probability that two classes differ, in every draw of a finished ledger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.causes import CAUSES
from hybridflux.products.drought import ALL, RECORD, RUN, changes_of, drought_record, rows_of_place
from hybridflux.products.drought_pixels import ClassSums, kept_in, ledger_job, sums_of
from hybridflux.products.drought_response import response_table
from hybridflux.products.pixel_classes import classes_of
from hybridflux.products.rows import SIGN, summary
from hybridflux.products.sheet import write_table
from hybridflux.region.run.lifecycle import spec_of

BY, DIFFERENCES, RESPONSE = "drought_by_", "_differences", "_response"
"""How the names of the tables of classes begin, and how those of their differences and of their responses to water end."""
SURE = 0.95
"""Probability from which on one of two classes is said to have lost more."""
LEAST_DRAWS = 20
"""Draws below which nothing is decided: a share of a few draws is no probability."""
FIRST, SECOND, OPEN = "first lost more", "second lost more", "not decided"
NOT_IN = "errors of the classes themselves, and what the model gets wrong of one class and not of another (its structural error)"
"""What the probability that two classes differ does not hold."""


def write_classes(ledger: str | Path, by: str) -> tuple[Path, ...]:
    """Write losses by class, their differences, and their responses to missing water and soil moisture into a finished ledger.

    Args:
        ledger: folder of `run_drought` that kept its pixels.
        by: classes (`pixel_classes.classes_of`).

    Returns:
        The tables `drought_by_NAME.csv`, `drought_by_NAME_differences.csv` and `drought_by_NAME_response.csv`.

    Raises:
        FileNotFoundError: no such ledger, or no such file of classes.
        ValueError: as `ledger_job`, `classes_of` and `sums_of`.
    """
    ledger = Path(ledger)
    record, job = drought_record(ledger), ledger_job(ledger / RUN)
    classes = classes_of(by, job.region, int(str(record["end"])[:4]))
    found, stem = sums_of(job, classes), BY + slug(classes.name)
    tables = {
        "": (class_table(classes.name, found), f"losses by {classes.name}"),
        DIFFERENCES: (difference_table(classes.name, found), f"differences of losses by {classes.name}; not in it: {NOT_IN}"),
        RESPONSE: (response_table(job, classes), f"losses by {classes.name} in relation to water"),
    }
    paths = []
    for ending, (table, title) in tables.items():
        paths.append(ledger / f"{stem}{ending}.csv")
        write_table(table, paths[-1], record | {"title": title, "classes": by, "of": RECORD}, float_format="%.6g")
    return tuple(paths)


def keeps_pixels(ledger: str | Path) -> bool:
    """Whether classes can be made of a ledger."""
    return kept_in(spec_of(Path(ledger) / RUN).keep) is not None


def slug(name: str) -> str:
    """A name as a part of the name of a file.

    >>> slug("land_cover, soil_capacity")
    'land_cover_soil_capacity'
    """
    return re.sub(r"\W+", "_", name).strip("_")


def class_table(name: str, found: ClassSums) -> pd.DataFrame:
    """The ledger of each class: the rows of `drought.drought_table` with the columns `by` and `class` in place of zone and land cover."""
    rows = []
    for number, label in enumerate(found.labels):
        place = {"by": name, "class": label, "area_ha": found.area[number] / 1e4, "pixels": int(found.pixels[number]), "days": found.days}
        rows += [place | row for row in rows_of_place({one: values[number] for one, values in found.sums.items()}, found.days)]
    draws = next(iter(found.sums.values())).shape[-1]
    return pd.DataFrame(rows).assign(spread=found.spread, draws=draws)


def difference_table(name: str, found: ClassSums) -> pd.DataFrame:
    """A row for each two classes, flux and cause, and for the change of GPP in per cent of its usual.

    `mean sd q05 q50 q95` are of the first minus the second, in `units`; `probability` is the share of draws in which the first lost more
    (GPP lower, NEE higher), those that are equal counting by half; `verdict` names the one that did with a probability of 0.95, where
    there are 20 draws at least.
    """
    changes = changes_of(found.sums)
    usual = found.sums["gpp"] - changes["GPP", ALL]
    wanted = [("GPP", cause, "gC m-2", changes["GPP", cause]) for cause in (ALL, *CAUSES)]
    wanted += [("GPP", ALL, "%", 100 * changes["GPP", ALL] / np.where(usual > 0, usual, np.nan))]
    wanted += [("NEE", ALL, "gC m-2", changes["NEE", ALL])]
    rows = [row for variable, cause, units, values in wanted for row in _pairs(found, variable, cause, units, values)]
    columns = ["by", "first", "second", "variable", "cause", "units", "mean", "sd", "q05", "q50", "q95", "probability", "verdict", "sign"]
    return pd.DataFrame([{"by": name} | row for row in rows], columns=columns).assign(spread=found.spread, draws=usual.shape[-1])


def _pairs(found: ClassSums, variable: str, cause: str, units: str, values: np.ndarray) -> Iterator[dict]:
    for one, other in combinations(range(len(found.labels)), 2):
        difference = values[one] - values[other]
        chance = more_probable(-difference if variable == "GPP" else difference)
        enough = len(difference) >= LEAST_DRAWS
        yield {
            "first": found.labels[one], "second": found.labels[other], "variable": variable, "cause": cause, "units": units,
            **summary(difference), "probability": chance,
            "verdict": FIRST if enough and chance >= SURE else SECOND if enough and chance <= 1.0 - SURE else OPEN, "sign": SIGN[variable],
        }  # fmt: skip


def more_probable(difference: np.ndarray) -> float:
    """Share of the draws in which a difference is positive `[draw]`, zeros by half; NaN where there is none.

    >>> more_probable(np.array([2.0, 1.0, 0.0, -1.0])), more_probable(np.zeros(8))
    (0.625, 0.5)
    """
    known = difference[np.isfinite(difference)]
    return float(np.mean((known > 0) + 0.5 * (known == 0))) if len(known) else np.nan
