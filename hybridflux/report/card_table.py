"""The card as Markdown tables, for the documentation and for tables of results that are kept as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridflux.evaluate.card import row_of
from hybridflux.vocabulary import FLUXES

STEPS = ("week", "month", "year", "anomaly", "iav", "driest", "hottest", "drought")
NONE = "-"  # not available


def markdown(made: Mapping) -> str:
    """Tables of daily skill, plant types, other time steps and calibration; `-` where something is not available.

    Args:
        made: from `evaluate.card.make_card` or `load_card`.
    """
    blocks = [_daily(made, split) + _types(made, split) + _other_steps(made, split) for split in made["splits"]]
    lines = [f"# {made['title']}", "", *made["notes"], *([""] if made["notes"] else [])]
    for split, block in zip(made["splits"], blocks, strict=True):
        lines += [f"## {split[:1].upper()}{split[1:]}", "", *block]
    return "\n".join(lines).rstrip() + "\n"


def _daily(made: Mapping, split: str) -> list[str]:
    head = ["model", "flux", "sites", "NSE (quartiles)", "R2", "RMSE", "bias", "CRPS", "cover 50", "cover 80", "cover 90"]
    rows = []
    for model in made["models"]:
        for flux in FLUXES:
            row = row_of(made, model, flux, split=split)
            if row is not None:
                nse = f"{_text(row, 'nse', 3)} ({_text(row, 'nse_q25')}, {_text(row, 'nse_q75')})"
                cover = [_text(row, f"coverage{level}") for level in (50, 80, 90)]
                error = [_text(row, name) for name in ("rmse", "bias", "crps")]
                rows.append([model, flux, str(row["sites"]), nse, _text(row, "r2", 3), *error, *cover])
    return ["Days: medians over sites, gC m-2 d-1; `cover` is the share of all days inside the interval.", "", *_table(head, rows)]


def _types(made: Mapping, split: str) -> list[str]:
    types = made["plant_types"]
    rows = [
        [model, flux, *(_text(row_of(made, model, flux, igbp=kind, split=split), "nse") for kind in types)]
        for model in made["models"]
        for flux in FLUXES
        if row_of(made, model, flux, split=split)
    ]
    return ["Median daily NSE by plant type:", "", *_table(["model", "flux", *types], rows)]


def _other_steps(made: Mapping, split: str) -> list[str]:
    head = ["model", "flux", "step", "periods", "median NSE", "RMSE of all", "CRPS of all", "cover 50", "cover 80", "cover 90"]
    rows = []
    for flux in FLUXES:
        for step in STEPS:
            for model in made["models"]:
                row = row_of(made, model, flux, step, split=split)
                if row is not None:
                    digits = 0 if step in ("year", "iav") else 2
                    error = [_text(row, "rmse_pooled", digits), _text(row, "crps_pooled", digits)]
                    cover = [_text(row, f"coverage{level}") for level in (50, 80, 90)]
                    rows.append([model, flux, step, str(row["n"]), _text(row, "nse"), *error, *cover])
    text = "Other steps, over all periods of all sites (year and iav gC m-2 yr-1, others gC m-2 d-1):"
    return [text, "", *_table(head, rows)] if rows else []


def _text(row: Mapping | None, name: str, digits: int = 2) -> str:
    value = None if row is None else row.get(name)
    return NONE if value is None else f"{value:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)] + [""]
