r"""E10 - What do the three sample regions say, built from real files, and does the error of their vegetation matter?

Builds `flanders-demo`, `meuse-forest` and `bouconne` of the catalog, maps each with the towers' posterior, with and without the errors of
the vegetation among the draws, and draws a quicklook of each. In the Meuse the pixels whose summer fapar fell by more than 0.25 from 2018
to 2019 become a zone of their own, felled, so that its fluxes before and after have an interval. NEE = RECO - GPP, positive to the
atmosphere.

    python experiments/e10_regions.py --data ../shared/data --model hybrid_water --out runs/e10

Ten minutes on one core; `--posterior FILE` takes a fit of `hybridflux fit`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from fitted import arguments_of, built, posterior_of

from hybridflux.ingest.region_report import check
from hybridflux.products.totals import RunTotals, open_totals
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.map import map_region
from hybridflux.region.store import layout
from hybridflux.report.region_figure import draw_region

REGIONS = ("flanders-demo", "meuse-forest", "bouconne")
SPREADS = {"given": "parameter+random_effects", "drawn": "parameter+random_effects+vegetation"}
"""What is done with the daily maps of vegetation: taken as given, or drawn with their errors."""
FELLED = 0.25  # fall of the mean fapar of June to August
SUMMERS = (2018, 2019)
FLUXES = ("GPP", "RECO", "NEE")


def main() -> None:
    """Read the arguments and run."""
    arguments = arguments_of(__doc__, "runs/e10")
    posterior, draws = posterior_of(arguments), arguments.draws
    rows = []
    for name in REGIONS[-1:] if arguments.smoke else REGIONS:
        region = checked(name, arguments.data, arguments.out)
        for vegetation, spread in SPREADS.items():
            run = arguments.out / f"{name}-{vegetation}"
            shutil.rmtree(run, ignore_errors=True)
            print(map_region(posterior, region, run, draws=Draws(draws, spread, seed=1)))
            rows += budgets(name, vegetation, open_totals(run))
        shown = "fapar" if "fapar" in posterior.model.needs() else "nirv"
        draw_region(region, arguments.out / f"{name}.png", arguments.out / f"{name}-drawn", shown)
    results = table(pd.DataFrame(rows), f"{draws} draws")
    (arguments.out / "results.md").write_text(results)
    print(results)


def checked(name: str, data: Path, out: Path) -> Path:
    """A region with its check beside it. In the Meuse, what was felled becomes a zone."""
    path = built(name, data, out)
    if name == "meuse-forest":
        path = with_felled(path, out / "meuse-forest-felled.zarr")
    (out / f"{name}.txt").write_text(check(path).text)
    return path


def with_felled(path: Path, copy: Path) -> Path:
    """A copy of a region in which the pixels that lost their summer fapar are a zone."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    region = open_region(copy)
    before, after = (summer(region, year) for year in SUMMERS)
    group = zarr.open_group(copy, mode="r+")
    group["zone"][:] = np.where(before - after > FELLED, 1, 2).astype(np.int32)
    group["zone"].attrs["zone_names"] = {"1": "felled or dying", "2": "standing"}
    return copy


def summer(region, year: int) -> np.ndarray:
    """Mean fapar of June to August `[y, x]`."""
    days = region.days
    inside = (days >= np.datetime64(f"{year}-06-01")) & (days <= np.datetime64(f"{year}-08-31"))
    stored = region.group["fapar"][np.flatnonzero(inside)[0] : np.flatnonzero(inside)[-1] + 1]
    return np.where((stored == layout.NODATA).any(axis=0), np.nan, unpacked(stored).mean(axis=0))


def budgets(region: str, vegetation: str, totals: RunTotals) -> list[dict]:
    """Mean and spread of each zone, year and flux, and of the change from one year to the next, paired by draw; gC m-2."""
    found = []
    for zone in [*np.unique(totals.zone), "all"]:
        cells = np.ones(len(totals.zone), bool) if zone == "all" else totals.zone == zone
        area = totals.area[cells].sum()
        for flux in FLUXES:
            of_year = {
                year: totals.sum(flux, cells, totals.months.year == year) / area
                for year in np.unique(totals.months.year)
                if totals.days[totals.months.year == year].sum() >= 330
            }
            columns = {str(year): draws for year, draws in of_year.items()}
            columns |= {f"{year} - {year - 1}": of_year[year] - of_year[year - 1] for year in of_year if year - 1 in of_year}
            found += [
                {"region": region, "zone": zone, "flux": flux, "period": period, "vegetation": vegetation, "hectares": area / 1e4,
                 "mean": draws.mean(), "sd": draws.std(), "low": np.quantile(draws, 0.05), "high": np.quantile(draws, 0.95)}
                for period, draws in columns.items()
            ]  # fmt: skip
    return found


def table(rows: pd.DataFrame, size: str) -> str:
    """The budgets as a Markdown page: vegetation drawn with its errors, beside the sd where it is taken as given; `size` of the runs."""
    keys = ["region", "zone", "flux", "period"]
    given = rows[rows.vegetation == "given"].set_index(keys)["sd"]
    lines = [
        "# E10: the sample regions", "",
        "NEE = RECO - GPP, positive to the atmosphere. gC m-2 in the mapped days of a year, mean and 90 % interval of draws that hold the",
        "parameters, the effects of places and years and the errors of the vegetation; without the error of the model itself;",
        f"{size}. Command: see the head of `experiments/e10_regions.py`.", "",
        "| region | zone | ha | period | flux | gC m-2 | 90 % interval | sd | sd, vegetation as given |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows[rows.vegetation == "drawn"].itertuples():
        same = given.loc[(row.region, row.zone, row.flux, row.period)]
        lines.append(
            f"| {row.region} | {row.zone} | {row.hectares:.1f} | {row.period} | {row.flux} | {row.mean:.0f} "
            f"| {row.low:.0f} to {row.high:.0f} | {row.sd:.0f} | {same:.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
