"""Parts of greenness for E23: the responses of leaves beside missing rain, and what the ledgers of E22 give to each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from e22_drought_ledger import EVENTS, LAST, looked_at
from e22_drought_ledger import SEED as E22_SEED

from hybridflux.causes import LEAF_DRIVERS, change_name
from hybridflux.data.towers import open_towers
from hybridflux.inference.fit_leaf_response import TowerSteps, fit_beside_water
from hybridflux.inference.posterior import Posterior
from hybridflux.model.leaf_response import LEAF_RESPONSE
from hybridflux.products.drought_leaves import PARTS, greenness_at_towers, leaves_without_the_deficit
from hybridflux.products.drought_towers import drought_at_towers, usual_drivers

Z90 = 1.645


def beside_water(towers: Sequence[TowerSteps], memory: float) -> list[str]:
    """Slopes of NIRv against the other drivers of leaves, of an unknown place."""
    fits = fit_beside_water(towers, memory)
    lines = [
        "", "## Beside the deficit", "",
        "Change of NIRv, % per unit of the mean of the last month (K, MJ m-2 d-1, hPa), of an unknown place with its 90 % interval, beside",
        "the deficit and one another. The ledger splits greenness by these.", "",
        "| plant type | " + " | ".join(f"{LEAF_DRIVERS[driver][0]}, {LEAF_DRIVERS[driver][1]}" for driver in fits) + " |", "|" + "---|" * 4,
    ]  # fmt: skip
    for kind in fits["vpd"].mean["nirv"]:
        cells = []
        for fit in fits.values():
            mean, sd = fit.of_type("nirv", kind)
            cells.append(f"{100 * mean:+.1f} ({100 * (mean - Z90 * sd):+.1f} to {100 * (mean + Z90 * sd):+.1f})")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return lines


def parts_of_greenness(data: Path, file: Path, draws: int = 16) -> pd.DataFrame:
    """A row for each tower and event of E22: parts of what greenness changed of GPP, and what moving the leaves says of that by water."""
    posterior = Posterior.load(file).thin(draws)
    needs = posterior.model.needs_at_towers()
    sequences = open_towers(data, years=(2000, LAST), needs=needs, screen=None).sequences(needs)
    rows = []
    for event in EVENTS:
        here, years, season, _ = looked_at(sequences, event)
        found, moved = (
            drought_at_towers(posterior, one, season, years, seed=E22_SEED)
            for one in (here, leaves_without_the_deficit(here, years, LEAF_RESPONSE))
        )
        parts = greenness_at_towers(found, here, season, usual_drivers(here, posterior.model.needs(), years), years, seed=E22_SEED)
        name = change_name("gpp", "greenness")
        for number, site in enumerate(here.places):
            row = {"event": event, "site": site, "greenness": found[name][:, :, number].sum(1).mean()}
            row["moved"] = row["greenness"] - moved[name][:, :, number].sum(1).mean()
            for part in PARTS:
                of = parts[f"gpp_{part}"][:, number]
                row |= {part: of.mean(), f"{part} low": np.quantile(of, 0.05), f"{part} high": np.quantile(of, 0.95)}
            rows.append(row)
    return pd.DataFrame(rows)


def parts_table(parts: pd.DataFrame) -> list[str]:
    """Means over the towers of an event; the interval is that of a single tower, on the mean."""
    names = [LEAF_DRIVERS[part][0] if part in LEAF_DRIVERS else "the rest" for part in PARTS]
    lines = [
        "", "## Parts of greenness in the ledger", "",
        "What greenness changed of GPP of June to August, gC m-2, by what leaves followed (`products.drought_leaves`), in every draw; in",
        "brackets the mean of the 90 % intervals of the towers, which hold the scatter of places. Leaves moved: the part by water where",
        "leaves are moved back by the mean response and the ledger is made again, which the parts stand in for.", "",
        "| event | towers | greenness | leaves moved | " + " | ".join(names) + " |", "|" + "---|" * 9,
    ]  # fmt: skip
    for event, of in parts.groupby("event"):
        mean = of.mean(numeric_only=True)
        cells = [f"{mean[part]:+.0f} ({mean[f'{part} low']:+.0f} to {mean[f'{part} high']:+.0f})" for part in PARTS]
        lines.append(f"| {event} | {len(of)} | {mean['greenness']:+.0f} | {mean['moved']:+.0f} | " + " | ".join(cells) + " |")
    return lines
