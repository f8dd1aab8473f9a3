r"""E02 - What does the towers' posterior say of a real patch of Flanders, every day at 10 m, in the dry year 2018?

Builds the region `flanders-demo` of the catalog from real Sentinel-2 L2A and AgERA5 files, runs the posterior over its 64 x 64 pixels from
December 2017 to November 2018 with the errors of the vegetation among the draws: maps, budgets by crop, one report. Then two questions
of June to August 2018, by land cover and paired by draw: what two fifths less rain from April on would have done to it, with leaves that
follow the water (E23) and with leaves held, and what the drought did: the summer as it was against the same summer with the usual rain,
the usual weather, and the usual weather and vegetation, of the towers around (`drought2018.py`). NEE = RECO - GPP, positive to the
atmosphere, gC m-2.

    python experiments/e02_flanders_map.py --data ../shared/data --model hybrid_nirv --out runs/e02

Three minutes on one core, of which the fit takes one and a half; `--posterior FILE` takes a fit of `hybridflux fit`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from drought2018 import COVERS, PUBLISHED, YEAR, measured_losses, usual_vegetation, usual_weather, vegetation_departures
from fitted import arguments_of, built, posterior_of

from hybridflux.inference import Posterior
from hybridflux.ingest.region_report import check
from hybridflux.model.leaf_response import FOLLOWED, LEAF_RESPONSE, LeafResponse
from hybridflux.products.budget import budget_table
from hybridflux.products.scenario import run_scenario
from hybridflux.products.totals import RunTotals, open_totals
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import KEEP, DailyMaps, ZoneTotals
from hybridflux.region.store.layout import LIKE
from hybridflux.report.page import write_report

SPREAD = "parameter+random_effects+vegetation"
DRY = {"rain": "*0.6@2018-04-01:2018-08-31"}
MAPPED = ("GRA", "CRO")
FLUXES = ("GPP", "RECO", "NEE")


def main() -> None:
    """Read the arguments and run."""
    arguments = arguments_of(__doc__, "runs/e02")
    draws, out = arguments.draws, arguments.out
    posterior, region = posterior_of(arguments), built("flanders-demo", arguments.data, arguments.out)
    print(check(region).text)
    print(map_region(posterior, region, out / "run", draws=Draws(draws, SPREAD, seed=1), keep=(*KEEP, DailyMaps())))
    run_scenario(posterior, region, DRY, out / "dry", draws=Draws(draws, "parameter", seed=1))
    losses = drought(posterior, region, arguments.data, out, draws)
    losses.to_csv(out / "drought.csv", index=False, float_format="%.6g")
    budget = budget_table(out / "run")
    budget.to_csv(out / "budget.csv", index=False, float_format="%.6g")
    results = "\n".join([table(budget), drought_table(losses, arguments.data)])
    (out / "results.md").write_text(results)
    print(results)
    write_report(out / "run", out / "report.html", scenario=out / "dry", budget=budget)
    print(f"wrote {out}/report.html, budget.csv, drought.csv, run/ and dry/")


def drought(posterior: Posterior, region: Path, data: Path, out: Path, draws: int) -> pd.DataFrame:
    """June to August 2018 by land cover and flux: less rain, and the summer as it was against a usual one, draw by draw.

    The departure of the vegetation is known from few towers: its standard error is among the draws, as a factor of what it changes.
    """
    read, store = posterior.model.needs(), open_region(region)

    def mapped(name: str, changes: dict[str, str], leaves: LeafResponse | None = None) -> RunTotals:
        changed = store.with_changes({driver: change for driver, change in changes.items() if driver in read}).with_leaves(leaves)
        map_region(posterior, changed, out / name, draws=Draws(draws, "parameter", seed=1), keep=(ZoneTotals(),))
        return open_totals(out / name)

    actual, dry, weather = open_totals(out / "dry" / "control"), open_totals(out / "dry" / "changed"), usual_weather(data)
    of_weather, found = mapped("usual-weather", weather), []
    follow = bool(set(FOLLOWED) & set(read))  # else `dry` is a run whose leaves are held
    pairs = {
        "two fifths less rain, leaves held": (mapped("dry-held", DRY) if follow else dry, actual),
        "weather of 2018 for the usual one, leaves held": (actual, of_weather),
    }
    if follow:
        usual_rain = mapped("usual-rain", {"rain": weather["rain"]}, LEAF_RESPONSE)
        pairs |= {
            "two fifths less rain, leaves follow": (dry, actual),
            "rain of 2018 for the usual one, leaves follow": (actual, usual_rain),
            "weather of 2018 for the usual one, leaves follow": (actual, mapped("usual-weather-leaves", weather, LEAF_RESPONSE)),
        }
    departures = vegetation_departures(data).set_index(["land_cover", "index"])
    index = "nirv" if "nirv" in read else "ndvi"
    for number, cover in enumerate(MAPPED):
        for name, (one, other) in pairs.items():
            found += effects(summer(one, cover), summer(other, cover), name, cover)
        usual = usual_vegetation(departures, cover, line=LIKE in store.group["nirv"].attrs)
        whole, part = summer(mapped(f"usual-{cover}", weather | usual), cover), summer(of_weather, cover)
        error = abs(departures.error[cover, index] / departures["mean"][cover, index])
        factor = 1.0 + error * np.random.default_rng(number).standard_normal(draws)
        usually = {flux: part[flux] + factor * (whole[flux] - part[flux]) for flux in FLUXES}
        found += effects(summer(actual, cover), usually, "weather and vegetation of 2018 for the usual ones", cover)
    return pd.DataFrame(found)


def summer(totals: RunTotals, cover: str) -> dict[str, np.ndarray]:
    """Fluxes of a land cover in June to August by draw [gC m-2]."""
    months = np.flatnonzero((totals.months.year == YEAR) & totals.months.month.isin((6, 7, 8)))
    cells = np.flatnonzero(totals.land_cover.astype(str) == cover)
    return {flux: totals.sum(flux, cells, months) / totals.area[cells].sum() for flux in FLUXES}


def effects(with_it: dict[str, np.ndarray], without: dict[str, np.ndarray], name: str, cover: str) -> list[dict]:
    """Change of each flux, in gC m-2 and, of GPP and RECO, in per cent."""
    rows = []
    for flux in FLUXES:
        change = with_it[flux] - without[flux]
        percent = 100 * change / without[flux] if flux != "NEE" else np.full(len(change), np.nan)  # NEE may be near zero
        values = {"change": change.mean(), "change_low": np.quantile(change, 0.05), "change_high": np.quantile(change, 0.95)}
        values |= {"percent": np.median(percent), "percent_low": np.quantile(percent, 0.05), "percent_high": np.quantile(percent, 0.95)}
        rows.append({"scenario": name, "land_cover": cover, "flux": flux, "without": without[flux].mean(), **values})
    return rows


def drought_table(losses: pd.DataFrame, data: Path) -> str:
    """The scenarios as Markdown, beside what towers measured."""
    lines = ["| June to August 2018 | land cover | flux | gC m-2 without | change | 90 % interval | % | 90 % interval |", "|" + "---|" * 8]
    for row in losses.itertuples():
        percent = "" if np.isnan(row.percent) else f"{row.percent:+.1f} | {row.percent_low:+.1f} to {row.percent_high:+.1f}"
        lines.append(
            f"| {row.scenario} | {row.land_cover} | {row.flux} | {row.without:.0f} | {row.change:+.0f} | {row.change_low:+.0f} to "
            f"{row.change_high:+.0f} | {percent or '| '} |"
        )
    measured, departures = measured_losses(data), vegetation_departures(data)
    seen = ["| land cover | measured GPP, % (towers) | NDVI at 10 m | NIRv at 10 m | LSWI at 1 km |", "|---|---|---|---|---|"]
    for cover in COVERS:
        of = measured[measured.land_cover == cover]
        cells = [f"{of.percent.mean():+.0f} ({', '.join(f'{row.site} {row.percent:+.0f}' for row in of.itertuples())})"]
        for index in ("ndvi", "nirv", "lswi"):
            row = departures[(departures.land_cover == cover) & (departures["index"] == index)].iloc[0]
            cells.append(f"{row['mean']:+.3f} +- {row['error']:.3f} ({row['towers']} towers)")
        seen.append(f"| {cover} | " + " | ".join(cells) + " |")
    weather = ", ".join(f"{name} {change.partition('@')[0]}" for name, change in usual_weather(data).items())
    return "\n".join([
        "## The dry summer", "",
        "Draws of the parameters, and of the departure of the vegetation by its standard error at towers (below); that of the weather is "
        "taken as it is.", "", *lines, "",
        f"Usual weather: {weather} (BE-Lon, BE-Bra). Beside it: {PUBLISHED}.", "",
        "Summer of 2018 against other summers at towers around (46 to 56 N, 1 W to 16 E):", "", *seen, "",
    ])  # fmt: skip


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
