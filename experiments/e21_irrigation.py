"""E21 - Can irrigated fields be distinguished from others by plants that stay green on a soil without water?

Cropland and grassland of the European towers with MODIS reflectance, rain and radiation, every growing season (May to September) of the
years with reflectance (2000 to 2018) that has 140 days or more of all series. The footprint is a pixel of 1 km, so that
a field is mixed with its neighbours.

    python experiments/e21_irrigation.py --data ../shared/data/towers --out runs/e21
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.towers import open_towers
from hybridflux.products.irrigation import FORTNIGHT, WEATHER, Soils, beyond_rain, seasons_of
from hybridflux.provenance import provenance

IRRIGATED = {"IT-BCi": "maize and alfalfa, irrigated (site description of i-amica.it)"}
"""Towers of the list whose fields are known to be irrigated; the others are rain-fed as far as is published."""
DRAWS, SEED, LEAST = 200, 1, 140
SEEN = range(2000, 2019)  # years with reflectance; in others the series is the usual course of the place


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e21"))
    arguments = parser.parse_args()
    table = of_towers(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / "seasons.csv", index=False)
    (arguments.out / "run.json").write_text(json.dumps(provenance({"draws": DRAWS}, SEED), indent=1))
    (arguments.out / "results.md").write_text(page(table))
    print(page(table))


def of_towers(data: Path) -> pd.DataFrame:
    """A row for each tower and season: probability, water missing where it is over a fortnight [mm], rain [mm]."""
    towers = open_towers(data, needs={*WEATHER, "nirv"}, screen=None)
    sequences = towers.sequences({*WEATHER, "nirv", "plant_type"})
    season, years = seasons_of(sequences.days)
    here = [place for place in sequences.places if towers.sites.loc[place, "igbp"] in ("CRO", "GRA")]
    columns = [sequences.places.index(place) for place in here]
    drivers = {name: np.asarray(sequences.drivers[name])[:, columns] for name in (*WEATHER, "nirv")}
    whole = np.all([np.isfinite(values) for values in drivers.values()], axis=0)
    filled = {name: np.where(np.isfinite(values), values, np.nanmedian(values, axis=0)) for name, values in drivers.items()}
    days, water = beyond_rain(filled, season, Soils.drawn(DRAWS, SEED))
    rows = []
    for number, year in enumerate(years):
        now = season == number
        for place, site in enumerate(here):
            if year in SEEN and whole[now, place].sum() >= LEAST:
                sure = days[number, :, place] >= FORTNIGHT
                lacking = np.where(sure, water[number, :, place], 0.0)
                rows.append((site, towers.sites.loc[site, "igbp"], year, sure.mean(), lacking.mean(), filled["rain"][now, place].sum()))
    return pd.DataFrame(rows, columns=["site", "igbp", "year", "probability", "water_mm", "rain_mm"])


def page(table: pd.DataFrame) -> str:
    """The results as Markdown."""
    lines = [
        "# E21: irrigated fields", "",
        f"{table.site.nunique()} European towers on cropland and grassland, {len(table)} growing seasons (May to September), {DRAWS} draws "
        f"of the soil, seed {SEED}. Probability: share of the draws in which plants were green for {FORTNIGHT} days or more on a soil that "
        "could not supply them; water: what they lacked on these days [mm], 0 in other draws.",
        "Command: `python experiments/e21_irrigation.py --data TOWERS --out runs/e21`.", "",
        "| tower | type | seasons | mean probability | highest (year) | seasons over .25 | water, mean of those [mm] | rain [mm] | field |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (site, kind), part in sorted(table.groupby(["site", "igbp"]), key=lambda one: -one[1].probability.mean()):
        top, over = part.loc[part.probability.idxmax()], part[part.probability > 0.25]
        mean = f"{over.water_mm.mean():.0f}" if len(over) else "-"
        of_site = f"{part.probability.mean():.2f} | {top.probability:.2f} ({top.year}) | {len(over)} | {mean} | {part.rain_mm.mean():.0f}"
        lines.append(f"| {site} | {kind} | {len(part)} | {of_site} | {IRRIGATED.get(site, 'rain-fed')} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
