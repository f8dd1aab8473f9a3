"""Differences between the errors of models in droughts, with what resampled sites say of them, for E04 and E16."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

SEED = 4
FLUXES = ("NEE", "GPP", "RECO")
KINDS = {"crops": True, "all other towers": False}


def bootstrap(here: pd.DataFrame, there: pd.DataFrame, resamples: int) -> tuple[float, float, float]:
    """Pooled RMSE of one table minus that of another of the same sites, with its 90 % interval over resampled sites."""
    both = here.merge(there, on="site", suffixes=("", "_other"))
    both = both[both.n > 0]
    weights = np.random.default_rng(SEED).multinomial(len(both), np.full(len(both), 1 / len(both)), resamples)
    weights = np.concatenate([np.ones((1, len(both))), weights])
    rmse = [np.sqrt(weights @ (both.n * both[name] ** 2) / (weights @ both.n)) for name in ("rmse", "rmse_other")]
    difference = rmse[0] - rmse[1]
    low, high = np.quantile(difference[1:], (0.05, 0.95))
    return float(difference[0]), float(low), float(high)


def compared(scores: pd.DataFrame, models: Sequence[str], size: dict, against: str) -> list[str]:
    """Differences of the RMSE of anomalies, one line a model."""
    of = scores[scores.step == "drought"]
    lines = [f"| model | NEE: RMSE minus that of {against} | GPP | RECO |", "|---|---|---|---|"]
    for model in models:
        cells = (difference(of[of.variable == flux], model, against, size) for flux in FLUXES)
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return lines


def difference(scores: pd.DataFrame, model: str, against: str, size: dict) -> str:
    """RMSE of a model minus that of another, and its 90 % interval."""
    one, other = (scores[scores.model == name] for name in (model, against))
    return "{:+.3f} ({:+.3f}, {:+.3f})".format(*bootstrap(one, other, size["resamples"]))


def at_crops(scores: pd.DataFrame, models: Sequence[str], against: str, size: dict) -> list[str]:
    """RMSE of anomalies at crops and at all other towers, and how far each model lies from another."""
    of = scores[(scores.step == "drought") & (scores.n > 0)]
    lines = ["", f"At crops and elsewhere; in brackets RMSE minus that of {against}, and its 90 % interval:", "",
             "| towers | model | sites | weeks | NEE | GPP |", "|---|---|---|---|---|---|"]  # fmt: skip
    for kind, crops in KINDS.items():
        here = of[(of.igbp == "CRO") == crops]
        for model in models:
            own = here[here.model == model]
            cells = []
            for flux in FLUXES[:2]:
                part = own[own.variable == flux]
                rmse = np.sqrt(np.average(part.rmse**2, weights=part.n))
                cells.append(f"{rmse:.3f} [{difference(here[here.variable == flux], model, against, size)}]" if len(part) else "-")
            nee = own[own.variable == "NEE"]
            lines.append(f"| {kind} | {model} | {len(nee)} | {nee.n.sum()} | {' | '.join(cells)} |")
    return lines
