"""The card of a model: its skill at unseen towers and in drought, the calibration of its intervals, and the baselines beside it.

One dictionary of plain values, so that it can be kept, compared and shown (`report.card_page`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.evaluate.calibration import PIT
from hybridflux.evaluate.metrics import LEVELS, SCORES
from hybridflux.evaluate.steps import STEPS
from hybridflux.files import read_json, write_json

FORMAT = "hybridflux-card-1"
UNSEEN_SITES = "unseen sites"
SPREAD = ("nse", "r2", "rmse", "bias", "crps")
COVERAGE = tuple(f"coverage{level}" for level in LEVELS)
REFERENCE = ("kind", "name", "variable", "step", "score", "value")
KINDS = ("ceiling", "goal", "published")


def make_card(
    scores: pd.DataFrame,
    *,
    title: str,
    main: str | None = None,
    references: Iterable[Mapping] = (),
    notes: Sequence[str] = (),
    origin: Mapping | None = None,
) -> dict:
    """Collect tables of scores into a card.

    Args:
        scores: rows of `evaluate.scores` with columns `model` and `step`; optionally `split` (else all rows are of unseen sites), `fold`.
            Models, splits and steps keep the order in which they come.
        title: heading.
        main: the model the card is about; the first one by default.
        references: values that scores are compared with: `kind` (`ceiling`, `goal` or `published`), `name`, `variable` (as in `scores`),
            `step`, `score` (a column of `skill`), `value`, optionally `igbp`, `split`, `source`.
        notes: sentences to print under the title.
        origin: `provenance(...)` of the run.

    Returns:
        `format`, `title`, `main`, `models`, `splits`, `steps`, `variables`, `plant_types`, `skill`, `pit`, `references`, `notes`, `origin`,
        all plain values. `skill` has a row per split, model, step, variable and `igbp` (`all` first): `sites`, `n`, `units`; median and
        quartiles over sites of NSE, R2, RMSE, bias and CRPS (`nse`, `nse_q25`, `nse_q75` ...); over all periods of all sites
        `rmse_pooled`, `crps_pooled` and `coverage50`, `coverage80`, `coverage90`. `pit` has `counts` per tenth. None: not available.

    Raises:
        ValueError: columns are missing, two rows are of the same site, model, step and flux, or a reference is incomplete.
    """
    missing = [name for name in ("site", "igbp", "variable", *SCORES, *PIT, "model", "step") if name not in scores]
    if missing:
        raise ValueError(f"the scores lack {', '.join(missing)}; make them with evaluate(...) or score_table(...) and name model and step")
    rows = scores if "split" in scores else scores.assign(split=UNSEEN_SITES)
    key = ["split", "model", "step", "variable", "site"]
    twice = rows[rows.duplicated(key)]
    if len(twice):
        raise ValueError(f"scored twice: {', '.join(map(str, twice.iloc[0][key]))}; a site is tested once, name further splits in `split`")
    models = list(rows.model.unique())
    main = models[0] if main is None else main
    if main not in models:
        raise ValueError(f"no scores of `{main}`; there are {', '.join(models)}")
    seen = rows[rows.n > 0]
    skill, pit = [], []
    for (split, model, step, variable), group in seen.groupby(["split", "model", "step", "variable"], sort=False):
        name = {"split": split, "model": model, "step": step, "variable": variable}
        pit.append(name | {"counts": _counts(group)})
        skill += [name | {"igbp": igbp} | _skill(part, step) for igbp, part in [("all", group), *group.groupby("igbp")]]
    card = {
        "format": FORMAT,
        "title": title,
        "main": main,
        "models": models,
        "splits": list(rows.split.unique()),
        "steps": list(rows.step.unique()),
        "variables": list(rows.variable.unique()),
        "plant_types": sorted(rows.igbp.unique()),
        "skill": skill,
        "pit": pit,
        "references": [_reference(reference) for reference in references],
        "notes": list(notes),
        "origin": dict(origin or {}),
    }
    return _plain(card)


def row_of(
    card: Mapping, model: str, variable: str, step: str = "day", *, igbp: str = "all", split: str | None = None, table: str = "skill"
) -> dict | None:
    """One row of the card's `skill` (or `pit`), or None where the card has none.

    Args:
        card: from `make_card`.
        model: name of the model.
        variable: `NEE`, `GPP` or `RECO`.
        step: a name of `steps.STEPS`.
        igbp: plant type; not for `pit`.
        split: the first of the card by default.
        table: `skill` or `pit`.
    """
    wanted = {"model": model, "variable": variable, "step": step, "split": split or card["splits"][0]}
    wanted |= {"igbp": igbp} if table == "skill" else {}
    return next((row for row in card[table] if all(row[name] == value for name, value in wanted.items())), None)


def save_card(card: Mapping, path: str | Path) -> Path:
    """Write a card as JSON."""
    write_json(path, card, allow_nan=False)
    return Path(path)


def load_card(path: str | Path) -> dict:
    """Read a card.

    Raises:
        ValueError: the file is not a card.
    """
    card = read_json(path, "a card; write one with save_card")
    if card.get("format") != FORMAT:
        raise ValueError(f"{path} is not a card of format {FORMAT}; write one with save_card")
    return card


def _skill(group: pd.DataFrame, step: str) -> dict:
    row: dict = {"sites": len(group), "n": int(group.n.sum()), "units": STEPS[step].units if step in STEPS else None}
    of = {name: group[name].to_numpy(float) for name in (*SPREAD, *COVERAGE, "n")}
    for name in SPREAD:
        known = of[name][~np.isnan(of[name])]
        quartiles = np.quantile(known, (0.25, 0.5, 0.75)) if len(known) else [np.nan] * 3
        row |= dict(zip((f"{name}_q25", name, f"{name}_q75"), quartiles, strict=True))
    row["rmse_pooled"] = math.sqrt(np.average(of["rmse"] ** 2, weights=of["n"]))
    row["crps_pooled"] = np.average(of["crps"], weights=of["n"])
    for name in COVERAGE:
        scored = ~np.isnan(of[name])
        row[name] = np.average(of[name][scored], weights=of["n"][scored]) if scored.any() else None
    return row


def _counts(group: pd.DataFrame) -> list[int] | None:
    counts = group[list(PIT)]
    return [int(count) for count in counts.sum()] if counts.notna().to_numpy().any() else None


def _reference(reference: Mapping) -> dict:
    missing = [name for name in REFERENCE if name not in reference]
    if missing or reference["kind"] not in KINDS:
        fault = f"lacks {', '.join(missing)}" if missing else f"is of kind `{reference['kind']}`, not one of {', '.join(KINDS)}"
        raise ValueError(f"reference {dict(reference)} {fault}")
    return {"igbp": "all", "split": None, "source": None, **reference}


def _plain(value):
    """A value as JSON holds it; a number that is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
