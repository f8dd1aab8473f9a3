"""E27 - Are years right that `predict --residuals all-months` fills at towers of a fit?

Of each year of a tower a quarter, another one each year, is hidden from the error of the model: its months do not count as known. The mean
NEE of the measured days of that quarter is compared with the interval of the draws, once with the months around it known and once with
none (the discrepancy of the place in their stead). The parameters were fitted to these days, so this is a test of the error, not of the
parameters; years that no fit has seen are in E03. Then annual sums with all months known beside those of the FLUXNET files, which fill
gaps by look-up tables. NEE = RECO - GPP, positive to the atmosphere.

    hybridflux fit --towers ../shared/data/towers --out europe.nc
    python experiments/e27_filled_years.py --data ../shared/data/towers --posterior europe.nc --out runs/e27

About six minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.archives import find_archives
from hybridflux.data.fluxnet_table import read_table
from hybridflux.data.towers import open_towers
from hybridflux.evaluate.predicted_periods import predicted_periods
from hybridflux.evaluate.predictions import predictions
from hybridflux.inference.conditioned_error import ALL, UNUSED
from hybridflux.inference.posterior import Posterior
from hybridflux.provenance import provenance

SEED, DRAWS = 1, 40
LEAST_DAYS = 45  # measured days of a hidden quarter
LEAST_YEAR = 365
SHARES = (-0.01, 0.5, 0.8, 0.95, 1.0)  # of the days of a year that count as measured
COLUMNS = ("TIMESTAMP", "NEE_VUT_REF", "NEE_VUT_REF_QC")
ENDS = {"q05": 0.05, "q10": 0.1, "q25": 0.25, "q75": 0.75, "q90": 0.9, "q95": 0.95}
ROWS = {ALL: "months around it known", UNUSED: "no month known, discrepancy of the place"}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--posterior", type=Path, required=True, help="of `hybridflux fit`")
    parser.add_argument("--out", type=Path, default=Path("runs/e27"))
    parser.add_argument("--sites", help="only these")
    arguments = parser.parse_args()
    run(arguments.data, arguments.posterior, arguments.out, arguments.sites)


def run(data: Path, file: Path, out: Path, sites: str | None) -> None:
    """Both comparisons, and the page."""
    out.mkdir(parents=True, exist_ok=True)
    posterior = Posterior.load(file)
    needs = posterior.model.needs_at_towers()
    towers = open_towers(data, sites=sites, needs=needs)
    towers = towers.select([site for site in towers.sites.index if site in posterior.places])
    quarters = hidden_quarters(posterior, towers.sequences(needs))
    quarters.to_csv(out / "quarters.csv", index=False)
    years = predicted_periods(posterior, towers, step=("year",), draws=DRAWS, seed=SEED, residuals=ALL)
    years = beside_fluxnet(years[years.variable == "NEE"], data)
    years.to_csv(out / "years.csv", index=False)
    (out / "results.md").write_text(page(quarters, years, len(towers)))
    (out / "run.json").write_text(json.dumps(provenance({"posterior": file, "draws": DRAWS}, SEED), indent=1))
    print((out / "results.md").read_text())


def hidden(place: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Whether days, numbers since 1970, of places, numbers too, lie in the quarter of their year that is hidden."""
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(int)
    return (month % 12) // 3 == (month // 12 + place) % 4


def hidden_quarters(posterior: Posterior, sequences) -> pd.DataFrame:
    """Measured and predicted mean NEE of each hidden quarter, with the ends of intervals, gC m-2 d-1."""
    assert posterior.residuals is not None
    known = posterior.residuals.only(~hidden(posterior.residuals.place, posterior.residuals.first))
    rows = []
    for residuals, one in ((ALL, replace(posterior, residuals=known)), (UNUSED, posterior)):
        for made in predictions(one, sequences, variables=("nee", "gpp", "reco"), draws=DRAWS, seed=SEED, residuals=residuals):
            (site,), observed = made.tower.places, made.tower.targets["nee"][:, 0]
            day = made.tower.days.astype(int)
            counts = hidden(np.full(len(day), posterior.places.index(site)), day) & np.isfinite(observed)
            year = made.tower.days.astype("datetime64[Y]").astype(int) + 1970
            for number in np.unique(year[counts]):
                days = counts & (year == number)
                if days.sum() < LEAST_DAYS:
                    continue
                drawn = made.draws["nee"][:, days, 0].mean(axis=1, dtype=float)
                ends = {name: np.quantile(drawn, level) for name, level in ENDS.items()}
                rows.append({"site": site, "year": number, "known": residuals, "observed": observed[days].mean(dtype=float),
                             "mean": made.point["nee"][days, 0].mean(dtype=float), **ends})  # fmt: skip
    return pd.DataFrame(rows)


def beside_fluxnet(years: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Years of which no driver was missing, with the annual NEE of the file and the share of its days that count as measured."""
    archives = find_archives(data, sites=list(years.site.unique()))
    rows = []
    for site, group in years[years.climatology == 0].groupby("site"):
        table = read_table(archives[site], frozenset(COLUMNS))
        of_year = dict(list(table.groupby(table.TIMESTAMP.str[:4].astype(int))))
        for row in group.itertuples():
            file = of_year.get(int(row.period))
            if file is not None and len(file) >= LEAST_YEAR and file.NEE_VUT_REF.notna().all() and "NEE_VUT_REF_QC" in file:
                share = (file.NEE_VUT_REF_QC >= 0.75).mean()
                rows.append((site, int(row.period), share, file.NEE_VUT_REF.sum(), row.mean, row.q05, row.q95))
    return pd.DataFrame(rows, columns=["site", "year", "share", "fluxnet", "mean", "q05", "q95"])


def page(quarters: pd.DataFrame, years: pd.DataFrame, towers: int) -> str:
    """The results as Markdown."""
    lines = [
        "# E27: filled years of towers", "",
        f"{towers} towers of a fit, {DRAWS} draws, seed {SEED}. NEE = RECO - GPP, positive to the atmosphere.",
        "Command: `python experiments/e27_filled_years.py --data TOWERS --posterior POSTERIOR --out runs/e27`.", "",
        "## A quarter of each year hidden", "", f"Mean NEE of its measured days ({LEAST_DAYS} at least), gC m-2 d-1.", "",
        "| prediction | quarters | RMSE | bias | width of 90 % | cover 50 | cover 80 | cover 90 |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for known, of in quarters.groupby("known", sort=False):
        error = of["mean"] - of.observed
        pairs = (("q25", "q75"), ("q10", "q90"), ("q05", "q95"))
        inside = [((of[low] <= of.observed) & (of.observed <= of[high])).mean() for low, high in pairs]
        width = (of.q95 - of.q05).median()
        lines.append(f"| {ROWS[str(known)]} | {len(of)} | {np.sqrt((error**2).mean()):.3f} | {error.mean():+.3f} | {width:.2f} | "
                     + " | ".join(f"{one:.2f}" for one in inside) + " |")  # fmt: skip
    lines += ["", "## Years beside those of FLUXNET", "",
              "Annual NEE [gC m-2 yr-1] with all measured months known, and the sum of the file, filled by look-up tables.", "",
              "| days measured | years | RMS difference | median difference, absolute | width of 90 %, median | FLUXNET inside |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for share, of in years.groupby(pd.cut(years.share, SHARES), observed=True):
        error, inside = of["mean"] - of.fluxnet, (of.q05 <= of.fluxnet) & (of.fluxnet <= of.q95)
        lines.append(f"| {max(share.left, 0):.0%} to {share.right:.0%} | {len(of)} | {np.sqrt((error**2).mean()):.0f} | "
                     f"{error.abs().median():.0f} | {(of.q95 - of.q05).median():.0f} | {inside.mean():.2f} |")  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
