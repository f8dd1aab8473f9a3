r"""E02 - What does the towers' posterior say of a real patch of Flanders, every day at 10 m, in the dry year 2018?

Builds the region `flanders-demo` of the catalog from real Sentinel-2 L2A and AgERA5 files, runs the posterior over its 64 x 64 pixels from
December 2017 to November 2018 with the error of the vegetation among the draws: maps, budgets by crop, a summer with half the rain and
two degrees more, one report. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1. How fapar is brought from Sentinel-2 to the
instrument of the towers: E09.

    hybridflux fit --towers ../shared/data/towers --out runs/towers/posterior.nc
    python experiments/e02_flanders_map.py --data ../shared/data --posterior runs/towers/posterior.nc --out runs/e02
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from hybridflux.inference import Posterior
from hybridflux.ingest.build import build_region
from hybridflux.ingest.region_report import check
from hybridflux.products.budget import budget_table
from hybridflux.products.scenario import run_scenario
from hybridflux.region.draws.spread import Draws
from hybridflux.region.map import map_region
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.report.page import write_report

SPREAD = "parameter+random_effects+vegetation"
DRY = {"rain": "*0.5@2018-05-01:2018-08-31", "tair": "+2@2018-05-01:2018-08-31"}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds eo/flanders_s2")
    parser.add_argument("--posterior", type=Path, default=Path("runs/towers/posterior.nc"))
    parser.add_argument("--out", type=Path, default=Path("runs/e02"))
    parser.add_argument("--smoke", action="store_true", help="few draws, to see that it runs")
    arguments = parser.parse_args()
    draws, out = 8 if arguments.smoke else 64, arguments.out
    posterior, region = Posterior.load(arguments.posterior), out / "region.zarr"
    print(build_region("flanders-demo", region, data=arguments.data, resume=region.with_suffix(".build").exists()))
    print(check(region).text)
    print(map_region(posterior, region, out / "run", draws=Draws(draws, SPREAD, seed=1), keep=(*KEEP, DailyMaps())))
    run_scenario(posterior, region, DRY, out / "dry", draws=Draws(draws, "parameter", seed=1))
    budget = budget_table(out / "run")
    budget.to_csv(out / "budget.csv", index=False, float_format="%.6g")
    results = table(budget)
    (out / "results.md").write_text(results)
    print(results)
    write_report(out / "run", out / "report.html", scenario=out / "dry", budget=budget)
    print(f"wrote {out}/report.html, budget.csv, run/ and dry/")


def table(budget: pd.DataFrame) -> str:
    """The year by crop as a Markdown page: the two calendar parts of each row are shown as they are, nothing is scaled up."""
    lines = ["| zone | land cover | period | days | flux | gC m-2 | 90 % interval | area ha |", "|---|---|---|---|---|---|---|---|"]
    for row in budget[(budget.quantity == "flux") & (budget.land_cover != "all")].itertuples():
        lines.append(
            f"| {row.zone} | {row.land_cover} | {row.period} | {row.days} | {row.variable} | {row.mean:.0f} "
            f"| {row.q05:.0f} to {row.q95:.0f} | {row.area_ha:.2f} |"
        )
    head = [
        "# E02: Flanders, December 2017 to November 2018",
        "",
        "NEE = RECO - GPP, positive to the atmosphere; spread: " + budget.spread.iloc[0],
    ]
    return "\n".join([*head, "", *lines, ""])


if __name__ == "__main__":
    main()
