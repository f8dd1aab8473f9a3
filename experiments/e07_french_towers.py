"""E07 - French towers: the course of the year, summers of drought and annual sums, known and unseen.

All towers with MODIS reflectance are fitted, once with all of them and once without each of FR-Pue, FR-Fon and FR-Gri, and NEE of these
three is predicted as that of known and of unseen sites; a known one has its discrepancy, as in `Posterior.predict`. FR-Hes, FR-LGt and
FR-Tou have no reflectance and FR-Aur and FR-Lam no daily files: they are a check that is never fitted (see `guests.py`). Years with known
faults of the data are flagged and not fitted. NEE = RECO - GPP, positive to the atmosphere.

    python experiments/e07_french_towers.py --data ../shared/data/towers --out runs/e07
    python experiments/e07_french_towers.py --data ../shared/data/towers --out runs/e07_smoke --smoke

Fits that are done are not computed again. `--smoke` takes about a minute.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from guests import MONTHLY, lenders, open_guests
from matplotlib.ticker import MaxNLocator
from summers import LEAST_YEARS, summer_anomalies

from hybridflux.data.towers import Towers, open_towers
from hybridflux.evaluate.aggregation import MONTH, YEAR
from hybridflux.evaluate.metrics import coverage, interval
from hybridflux.evaluate.scores import evaluate
from hybridflux.inference import Ensemble
from hybridflux.inference.posterior import Posterior
from hybridflux.model.compositions import get
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.provenance import config_hash, provenance

MODEL = "hybrid_water"
SEED = 7
SITES = ("FR-Pue", "FR-Fon", "FR-Gri")
FAULTY = {"FR-Gri": (2004,), "FR-Pue": (2013, 2014)}
"""Years whose data are known to be wrong: FR-Gri 2004 an artefact near -11 gC m-2 d-1; FR-Pue 2013-14 GPP of half its usual size."""
EVENTS = (2003, 2018, 2019, 2020)
FULL = {"members": 8, "steps": 700, "draws": 200}
SMOKE = {"members": 2, "steps": 40, "draws": 30}
SMOKE_SITES = ("FR-Pue", "FR-Fon", "FR-Gri", "BE-Lon", "CH-Cha", "DE-Spw")
SPANS = {"FR-Gri": (-924, 277), "FR-Aur": (-583, 35), "FR-Lam": (-411, 38)}  # of the annual sums of the monthly files, 2005-2020
LEVELS = (50, 80, 90)
SIGN = "NEE = RECO - GPP, positive to the atmosphere; points are observed, bands and bars hold 90 %"


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e07"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, *((SMOKE, SMOKE_SITES) if arguments.smoke else (FULL, None)))


def run(data: Path, out: Path, size: dict, sites: Sequence[str] | None) -> None:
    """All fits, the tables and the figures."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    names = get(MODEL).needs_at_towers()
    towers = open_towers(data, sites=sites, needs=names, screen=None)
    to_fit = without_faults(towers.sequences(names))
    french = towers.select(SITES).sequences(names)
    guests = open_guests(data, towers, out / "guests", names)
    method = Ensemble(members=size["members"], steps=size["steps"])

    known = fitted(out, method, to_fit)
    print(f"all sites fitted, {time.perf_counter() - began:.0f} s", flush=True)
    cycles, years, summers = [], [], []
    for site in SITES:
        unseen = fitted(out, method, to_fit.select([place for place in to_fit.places if place != site]))
        for case, posterior in (("known", known), ("unseen", unseen)):
            here = french.select([site])
            cycles.append(cycle(posterior, without_faults(here), size["draws"]).assign(case=case))
            years.append(annual(posterior, here, size["draws"]).assign(case=case))
            summers.append(summer_anomalies(posterior, without_faults(here), None, size["draws"], SEED, True).assign(case=case))
        print(f"{site} unseen, {time.perf_counter() - began:.0f} s", flush=True)
    foreign = guests.sequences(names)
    for site in foreign.places:
        here = foreign.select([site])
        cycles.append(cycle(known, here, size["draws"]).assign(case="guest"))
        years.append(annual(known, here, size["draws"]).assign(case="guest"))
    summers.append(summer_anomalies(known, foreign, None, size["draws"], SEED).assign(case="guest"))
    months = evaluate(known, foreign, variables=("nee",), draws=size["draws"], seed=SEED, step="month")

    cycles, years, summers = (pd.concat(parts, ignore_index=True) for parts in (cycles, years, summers))
    for name, table in (("cycles", cycles), ("years", years), ("summers", summers), ("months", months)):
        table.to_csv(out / f"{name}.csv", index=False)
    draw_cycles(cycles, out / "cycles.png")
    draw_years(years, out / "years.png")
    text = report(cycles, years, summers, months, lent(towers, guests), len(to_fit.places), size)
    (out / "results.md").write_text(text)
    run_of = provenance({"size": size, "sites": to_fit.places, "model": MODEL}, SEED)
    (out / "run.json").write_text(json.dumps({**run_of, "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def without_faults(sequences: Sequences) -> Sequences:
    """The same without the targets of the years that are known to be wrong."""
    year = sequences.days.astype("datetime64[Y]").astype(int) + 1970
    wrong = np.stack([np.isin(year, FAULTY.get(place, ())) for place in sequences.places], axis=1)
    return replace(sequences, targets={name: np.where(wrong, np.nan, values) for name, values in sequences.targets.items()})


def fitted(out: Path, method: Ensemble, sequences: Sequences) -> Posterior:
    """A fit of the hybrid model, or what is kept of it in the run folder."""
    model = get(MODEL)
    settings = {"model": to_spec(model), "method": repr(method), "places": sequences.places, "seed": SEED}
    file = out / f"posterior-{len(sequences.places)}_sites-{config_hash(settings)[:12]}.nc"
    if not file.exists():
        method.fit(model, sequences, seed=SEED).save(file)
    return Posterior.load(file)


def predicted(posterior: Posterior, here: Sequences, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """NEE at one place: mean of the draws without error `[time]`, and predictive draws `[draw, time]`."""
    thinned, key = posterior.thin(draws), jax.random.key(SEED)
    exact, noisy = (
        np.asarray(thinned.simulate(here, key=key, noise=noise, variables=("nee",), discrepancy=True)["nee"], float)[..., 0]
        for noise in (False, True)
    )
    return exact.mean(axis=0), noisy


def cycle(posterior: Posterior, here: Sequences, draws: int) -> pd.DataFrame:
    """Mean of each month of the year over the years with observations: `observed predicted low high`, gC m-2 d-1, 90 % interval."""
    point, noisy = predicted(posterior, here, draws)
    starts, y, x = MONTH(here, here.targets["nee"][:, 0], np.concatenate([noisy, point[None]]))
    month = starts.astype("datetime64[M]").astype(int) % 12 + 1
    rows = []
    for each in np.unique(month):
        mean = x[:, month == each].mean(axis=1)
        low, high = interval(np.sort(mean[:-1]), 0.9)
        rows.append({"site": here.places[0], "month": each, "years": int((month == each).sum()), "observed": y[month == each].mean(),
                     "predicted": mean[-1], "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(rows)


def annual(posterior: Posterior, here: Sequences, draws: int) -> pd.DataFrame:
    """Annual sums (more than 250 observed days, their mean x 365): `observed predicted low high inside`, gC m-2 yr-1, 90 % interval."""
    point, noisy = predicted(posterior, here, draws)
    starts, y, x = YEAR(here, here.targets["nee"][:, 0], np.concatenate([noisy, point[None]]))
    rows = []
    for at, start in enumerate(starts):
        low, high = interval(np.sort(x[:-1, at]), 0.9)
        year = int(str(start)[:4])
        rows.append({"site": here.places[0], "year": year, "observed": y[at], "predicted": x[-1, at], "low": low, "high": high,
                     "faulty": year in FAULTY.get(here.places[0], ()),
                     "inside": coverage(y[at : at + 1], x[:-1, at : at + 1], 0.9)})  # fmt: skip
    return pd.DataFrame(rows)


def lent(towers: Towers, guests: Towers) -> Mapping[str, int]:
    """Plant type -> number of towers that lend their course of reflectance."""
    return {igbp: len(lenders(towers, igbp)) for igbp in guests.sites["igbp"].unique()}


def report(cycles, years, summers, months, lending: Mapping[str, int], sites: int, size: dict) -> str:
    """The results as a Markdown page."""
    parts = (heading(lending, sites, size), cycle_table(cycles), summer_table(summers), year_table(years), month_table(months))
    return "\n".join(line for part in parts for line in part) + "\n"


def heading(lending: Mapping[str, int], sites: int, size: dict) -> list[str]:
    """What was done."""
    return [
        "# E07: French towers", "",
        f"`{MODEL}`: {sites} sites with MODIS reflectance, QC >= 0.75, fitted on NEE, all (`known`) or all but the site (`unseen`). "
        "`known` has the discrepancy of the site, with the error that it leaves in other years. "
        "NEE = RECO - GPP, positive to the atmosphere; intervals are 90 % predictive.",
        f"Command: `python experiments/e07_french_towers.py --data TOWERS --out runs/e07`, sizes {json.dumps(size)}, seed {SEED}.", "",
        "Data: FR-Gri 2004 (artefact near -11 gC m-2 d-1) and FR-Pue 2013-2014 (GPP of half its usual size) are flagged and not fitted. "
        "Reflectance ends in 2018: later days",
        "do not count. `guest`: never fitted and no reflectance of their own; FR-Hes, FR-LGt and FR-Tou borrow the mean course of their "
        "plant type (sites: " + ", ".join(f"{igbp} {n}" for igbp, n in lending.items()) + "); FR-Aur "
        "and FR-Lam likewise, and their drivers are monthly means on every day,",
        "tmin and night temperature estimated. No crop calendar or rotation is known to the model.",
    ]  # fmt: skip


def cycle_table(cycles: pd.DataFrame) -> list[str]:
    """Residual course of the year."""
    lines = ["", "## Residual course of the year", "",
             "Predicted - observed NEE of each month, gC m-2 d-1, mean of the years; `rms` over months.",
             "", "| site | case | " + " | ".join("JFMAMJJASOND") + " | mean | rms | outside 90 % |", "|---|---|" + "---|" * 15]  # fmt: skip
    for (site, case), part in cycles.groupby(["site", "case"], sort=False):
        residual = (part.predicted - part.observed).set_axis(part.month).reindex(range(1, 13))
        outside = int(((part.observed < part.low) | (part.observed > part.high)).sum())
        cells = " | ".join("-" if np.isnan(value) else f"{value:+.1f}" for value in residual)
        size = f"{residual.mean():+.2f} | {np.sqrt((residual**2).mean()):.2f}"
        lines.append(f"| {site} | {case} | {cells} | {size} | {outside} of {len(part)} |")
    return lines


def summer_table(summers: pd.DataFrame) -> list[str]:
    """Anomalies of the summers of drought."""
    lines = ["", "## Summers of drought", "",
             "June to August, sum over 92 days minus the mean of the other summers of the site, gC m-2; observed days alone. A site needs "
             f"{LEAST_YEARS} other summers: FR-Tou (2018-2020) has too few.", "",
             "| site | case | flux | year | observed | predicted | 90 % interval |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in summers[summers.year.isin(EVENTS)].sort_values(["year", "site", "variable", "case"]).itertuples():
        lines.append(
            f"| {row.site} | {row.case} | {row.variable} | {row.year} | {row.observed:+.0f} | {row.predicted:+.0f} "
            f"| {row.low:+.0f} to {row.high:+.0f} |"
        )
    lines += ["", "All summers:", "", "| case | flux | summers | r | RMSE | sd observed | inside 90 % |", "|---|---|---|---|---|---|---|"]
    for (case, flux), part in summers.groupby(["case", "variable"], sort=False):
        rmse = np.sqrt(np.mean((part.predicted - part.observed) ** 2))
        r = np.corrcoef(part.predicted, part.observed)[0, 1]
        lines.append(f"| {case} | {flux} | {len(part)} | {r:.2f} | {rmse:.0f} | {part.observed.std():.0f} | {part.inside.mean():.2f} |")
    return [*lines, "",
            "Published, for scale: 2018 over 1.6 M km2, July to September, NEE +33 to +52 gC m-2 (52 to 83 TgC, Smith et al. 2020, "
            "PMC7485100); GPP of 34 towers -38 % in grassland",
            "and -10 % in forest against summer 2016 (Fu et al. 2020, hal-02942642). Single towers may depart by far more than a region.",
    ]  # fmt: skip


def year_table(years: pd.DataFrame) -> list[str]:
    """Annual sums."""
    lines = ["", "## Annual NEE", "",
             "Mean of more than 250 observed days x 365, gC m-2 yr-1. `*`: faulty data, not fitted and not counted below.", "",
             "| site | year | observed | known or guest | 90 % interval | unseen | 90 % interval |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for (site, year), part in years.groupby(["site", "year"], sort=False):
        first = part[part.case != "unseen"].iloc[0]
        cells = [f"{row.predicted:+.0f} | {row.low:+.0f} to {row.high:+.0f}" for row in part.sort_values("case").itertuples()]
        cells += ["- | -"] * (2 - len(cells))
        lines.append(f"| {site} | {year}{'*' if first.faulty else ''} | {first.observed:+.0f} | {' | '.join(cells)} |")
    lines += ["", "| site | case | years | RMSE | bias | inside 90 % | mean width of the interval | observed span | published span |",
              "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for (site, case), part in years[~years.faulty].groupby(["site", "case"], sort=False):
        error = part.predicted - part.observed
        published = "{:+d} to {:+d}".format(*SPANS[site]) if site in SPANS else "-"
        lines.append(
            f"| {site} | {case} | {len(part)} | {np.sqrt((error**2).mean()):.0f} | {error.mean():+.0f} | {part.inside.mean():.2f} "
            f"| {(part.high - part.low).mean():.0f} | {part.observed.min():+.0f} to {part.observed.max():+.0f} | {published} |"
        )
    return [*lines, "", "Other numbers for these sites: FR-Gri, NEP of a rotation +440 +/- 70 gC m-2 yr-1 (NEE -440; Loubet et al. 2011); "
            "winter wheat at FR-Aur and FR-Lam, NEE -369 +/- 33 (Beziat et al. 2009)."]  # fmt: skip


def month_table(months: pd.DataFrame) -> list[str]:
    """Monthly NEE of towers that were never fitted."""
    lines = ["", "## Months of towers that were never fitted", "",
             f"Fitted to none of their data. {' and '.join(MONTHLY)}: monthly NEE with QC >= 0.75, from monthly drivers; the others: "
             "months with at least 15 good days.", "",
             "| site | months | NSE | R2 | RMSE | bias | CRPS | " + " | ".join(f"cover {level}" for level in LEVELS) + " |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in months.itertuples():
        cover = " | ".join(f"{getattr(row, f'coverage{level}'):.2f}" for level in LEVELS)
        skill = f"{row.nse:.2f} | {row.r2:.2f} | {row.rmse:.2f} | {row.bias:+.2f} | {row.crps:.2f}"
        lines.append(f"| {row.site} | {row.n} | {skill} | {cover} |")
    return lines


def draw_cycles(cycles: pd.DataFrame, path: Path) -> None:
    """Observed and predicted mean course of the year, a panel a site."""
    places = cycles.site.unique()
    figure, axes = plt.subplots(2, -(-len(places) // 2), figsize=(16, 7), squeeze=False, layout="constrained")
    for place, axis in zip(places, axes.ravel(), strict=False):
        axis.axhline(0, color="0.7", lw=0.8)
        for case, colour in (("unseen", "tab:orange"), ("known", "tab:blue"), ("guest", "tab:green")):
            part = cycles[(cycles.site == place) & (cycles.case == case)]
            if len(part):
                axis.fill_between(part.month, part.low, part.high, color=colour, alpha=0.2, lw=0)
                axis.plot(part.month, part.predicted, color=colour, label=case)
                axis.plot(part.month, part.observed, "o", color="black", ms=4)
        axis.set(title=place, xlabel="month", ylabel="NEE [gC m-2 d-1]")
        axis.legend(fontsize=8)
    figure.suptitle(f"Mean course of the year, {SIGN}")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_years(years: pd.DataFrame, path: Path) -> None:
    """Annual sums with their intervals, a panel a site; years of faulty data are hollow."""
    places = years.site.unique()
    figure, axes = plt.subplots(2, -(-len(places) // 2), figsize=(16, 7), squeeze=False, layout="constrained")
    for place, axis in zip(places, axes.ravel(), strict=False):
        axis.axhline(0, color="0.7", lw=0.8)
        for case, colour, shift in (("known", "tab:blue", -0.15), ("unseen", "tab:orange", 0.15), ("guest", "tab:green", 0.0)):
            part = years[(years.site == place) & (years.case == case)]
            if len(part):
                axis.vlines(part.year + shift, part.low, part.high, color=colour, alpha=0.35, lw=4)
                axis.plot(part.year + shift, part.predicted, "_", color=colour, ms=8, mew=2, label=case)
                for faulty, face in ((False, "black"), (True, "white")):
                    one = part[part.faulty == faulty]
                    axis.plot(one.year, one.observed, "o", color="black", mfc=face, ms=4)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set(title=place, xlabel="year", ylabel="NEE [gC m-2 yr-1]")
        axis.legend(fontsize=8, loc="upper right", framealpha=0.5)
    figure.suptitle(f"Annual sums, {SIGN}")
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
