"""E22 - What took the carbon in the dry summers of Europe: soil water, dry air, heat, light or leaves?

At each tower with a record of 2003, 2015 or 2018 and of three other summers, June to August of the event against the usual year of the same
place (`hybridflux drought`), split by cause in every draw, beside the observed departure of GPP and NEE from the other summers. Then how
exact it is: the usual year against the mean of the reference summers as the model has them, the ledger's parts against the full Shapley
sum over all subsets of the causes. Changes are event minus usual: GPP negative = uptake lost; NEE = RECO - GPP positive = lost to the
atmosphere; gC m-2 in 92 days.

    python experiments/e22_drought_ledger.py --data ../shared/data/towers --posterior FILE --out runs/e22
    python experiments/e22_drought_ledger.py --data ../shared/data/towers --posterior FILE --out runs/e22_smoke --smoke

`--posterior` is a file of `hybridflux fit`, or a fit of E04 without the days of drought; --smoke takes three towers.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from summers import DAYS_OF_SUMMER, SUMMER

from hybridflux.causes import CAUSES, change_name
from hybridflux.data.towers import open_towers
from hybridflux.evaluate.seasons import month_of
from hybridflux.inference.posterior import Posterior
from hybridflux.model.sequences import Sequences
from hybridflux.products.drought import separable
from hybridflux.products.drought_towers import drought_at_towers
from hybridflux.provenance import provenance
from hybridflux.report.drought_bars import COLOURS

EVENTS = (2003, 2015, 2018)
FRENCH, FRENCH_EVENTS = ("FR-Fon", "FR-Gri", "FR-Hes", "FR-LGt", "FR-Pue", "FR-Tou"), (2003, 2015, 2018, 2019, 2020)
LAST = 2018  # year in which the reflectance of the towers ends
SMOKE_SITES = ("FR-Pue", "FR-Fon", "DE-Geb")
LEAST_DAYS, FEWEST = 45, 3  # measured days of a summer; reference summers
FLUXES = ("GPP", "RECO", "NEE")
SEED = 20


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--posterior", type=Path, required=True, help="file of `hybridflux fit`, or of E04")
    parser.add_argument("--out", type=Path, default=Path("runs/e22"))
    parser.add_argument("--smoke", action="store_true", help="three towers, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.posterior, arguments.out, SMOKE_SITES if arguments.smoke else None)


def run(data: Path, file: Path, out: Path, sites: tuple[str, ...] | None) -> None:
    """The ledger of every tower and event, the checks, the page and its figure."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    posterior = Posterior.load(file)
    needs = posterior.model.needs_at_towers()
    towers = open_towers(data, sites=sites, years=(2000, LAST), needs=needs, screen=None)
    sequences = towers.sequences(needs)
    simulated = posterior.simulate(sequences, key=jax.random.key(SEED), variables=("gpp", "nee"))
    modelled = {flux: np.asarray(values).mean(axis=0) for flux, values in simulated.items()}
    print(f"{len(sequences.places)} towers, fluxes of all days: {time.perf_counter() - began:.0f} s", flush=True)
    rows, checks = [], []
    for event in EVENTS:
        found = of_event(posterior, sequences, modelled, event)
        rows += [{"igbp": towers.sites.igbp[row["site"]], "known": row["site"] in posterior.places, **row} for row in found]
        print(f"{event}: {len(found)} towers ({time.perf_counter() - began:.0f} s)", flush=True)
        if event == EVENTS[-1]:
            checks = accuracy(posterior, sequences, modelled, event)
    table, checked = pd.DataFrame(rows), pd.DataFrame(checks)
    table.to_csv(out / "ledger.csv", index=False, float_format="%.6g")
    checked.to_csv(out / "accuracy.csv", index=False, float_format="%.6g")
    draw_figure(table, out / "ledger.png")
    seen = french(data, table)
    seen.to_csv(out / "french.csv", index=False, float_format="%.6g")
    text = page(table, checked, posterior, seen)
    (out / "results.md").write_text(text)
    run_of = provenance({"sites": sorted(table.site.unique()), "posterior": file.name}, SEED)
    (out / "run.json").write_text(json.dumps(run_of | {"seconds": time.perf_counter() - began}, indent=1))
    print(text)


def reference(sequences: Sequences, event: int) -> dict[int, frozenset[int]]:
    """Place -> its other summers with enough days of GPP or NEE, where it has the event and `FEWEST` others."""
    year = sequences.days.astype("datetime64[Y]").astype(int) + 1970
    summer, found = np.isin(month_of(sequences.days), SUMMER), {}
    for place in range(len(sequences.places)):
        measured = np.any([np.isfinite(sequences.targets[flux][:, place]) for flux in ("gpp", "nee")], axis=0)
        seen = {one for one in np.unique(year).tolist() if (summer & (year == one) & measured).sum() >= LEAST_DAYS}
        if event in seen and len(seen) > FEWEST:
            found[place] = frozenset(seen - {event})
    return found


def looked_at(sequences: Sequences, event: int) -> tuple[Sequences, list[frozenset[int]], np.ndarray, np.ndarray]:
    """Towers of an event, the reference years of each, the days of the summer, and the number of each tower."""
    others = reference(sequences, event)
    year = sequences.days.astype("datetime64[Y]").astype(int) + 1970
    here = sequences.select(sequences.places[place] for place in others)
    return here, list(others.values()), np.isin(month_of(sequences.days), SUMMER) & (year == event), np.array(list(others), int)


def of_event(posterior: Posterior, sequences: Sequences, modelled: dict[str, np.ndarray], event: int) -> list[dict]:
    """Changes by cause of each tower, with intervals, beside the observed and the modelled departure over the observed days."""
    here, years, season, places = looked_at(sequences, event)
    sums = {name: values.sum(axis=1) for name, values in drought_at_towers(posterior, here, season, years, seed=SEED).items()}
    rows = []
    for number, place in enumerate(places):
        of = {name: values[:, number] for name, values in sums.items()}
        found: dict = {"site": here.places[number], "event": event, "references": len(years[number])}
        found["water_missing"] = float(of["water_missing"].mean()) / DAYS_OF_SUMMER
        parts = {(flux, cause): part(of, flux, cause) for flux in FLUXES for cause in CAUSES}
        usual = {"GPP": of["usual_gpp"], "RECO": of["usual_reco"], "NEE": of["usual_reco"] - of["usual_gpp"]}
        for flux in FLUXES:
            whole = np.sum([parts[flux, cause] for cause in CAUSES], axis=0)
            low, high = np.quantile(whole, (0.05, 0.95))
            found |= {flux: whole.mean(), f"{flux} low": low, f"{flux} high": high, f"{flux} usual": usual[flux].mean()}
            found |= {f"{flux} by {cause}": parts[flux, cause].mean() for cause in CAUSES}
        found["separable"] = separable(-parts["GPP", "soil_water"], -parts["GPP", "vpd"])
        for flux in ("gpp", "nee"):
            observed = sequences.targets[flux][:, place]
            for name, values in (("observed", observed), ("modelled", modelled[flux][:, place])):
                found[f"{flux.upper()} {name}"] = departure(values, np.isfinite(observed), sequences.days, event, years[number])
        rows.append(found)
    return rows


def departure(values: np.ndarray, measured: np.ndarray, days: np.ndarray, event: int, years: frozenset[int]) -> float:
    """Mean of the measured days of a summer minus that of the other summers, times 92 days; NaN where too few are measured."""
    year, summer = days.astype("datetime64[Y]").astype(int) + 1970, np.isin(month_of(days), SUMMER) & measured
    means = {one: values[summer & (year == one)].mean() for one in (event, *years) if (summer & (year == one)).sum() >= LEAST_DAYS}
    others = [mean for one, mean in means.items() if one != event]
    return DAYS_OF_SUMMER * float(means[event] - np.mean(others)) if event in means and len(others) >= FEWEST else np.nan


def part(sums: dict[str, np.ndarray], flux: str, cause: str) -> np.ndarray:
    """The change of a flux by a cause `[draw]`."""
    gpp, reco = (sums[change_name(name, cause)] for name in ("gpp", "reco"))
    return {"GPP": gpp, "RECO": reco, "NEE": reco - gpp}[flux]


def accuracy(posterior: Posterior, sequences: Sequences, modelled: dict[str, np.ndarray], event: int) -> list[dict]:
    """How far the usual year, the quadrature and the value are from what they stand for, of each tower, gC m-2."""
    here, years, season, places = looked_at(sequences, event)
    parts, usual = {}, np.zeros(0)
    for full in (False, True):
        found = drought_at_towers(posterior, here, season, years, seed=SEED, full=full)
        parts[full] = np.array([found[change_name("gpp", cause)].sum(axis=1) for cause in CAUSES])  # cause, draw, place
        usual = found["usual_gpp"].sum(axis=1).mean(axis=0)
    gross, off = np.abs(parts[True]).sum(axis=0), np.abs(parts[False] - parts[True]).max(axis=0)
    year, summer = sequences.days.astype("datetime64[Y]").astype(int) + 1970, np.isin(month_of(sequences.days), SUMMER)
    rows = []
    for number, place in enumerate(places):
        mean = modelled["gpp"][summer & np.isin(year, sorted(years[number])), place].sum() / len(years[number])
        rows.append({
            "site": here.places[number], "event": event, "change": parts[True][..., number].sum(axis=0).mean(),
            "gross": gross[:, number].mean(), "usual": usual[number], "mean of references": mean,
            "off": 100 * (usual[number] - mean) / mean,
            "from Shapley": np.abs((parts[False] - parts[True])[..., number].mean(axis=1)).max(),
            "in a draw, %": 100 * (off / gross)[:, number].max(),
        })  # fmt: skip
    return rows


def draw_figure(table: pd.DataFrame, path: Path) -> None:
    """Changes of GPP by cause of every tower, a panel an event, beside observed and modelled departures."""
    events = [event for event in EVENTS if (table.event == event).any()]
    tallest = max((table.event == event).sum() for event in events)
    figure, axes = plt.subplots(1, len(events), figsize=(5.6 * len(events), 1.6 + 0.3 * tallest), squeeze=False, layout="constrained")
    for axis, event in zip(axes[0], events, strict=True):
        of = table[table.event == event].sort_values("GPP").reset_index(drop=True)
        ends = {-1.0: np.zeros(len(of)), 1.0: np.zeros(len(of))}
        for cause, colour in COLOURS.items():
            values = of[f"GPP by {cause}"].to_numpy()
            for side in ends:
                bar = np.where(np.sign(values) == side, values, 0.0)
                axis.barh(of.index, bar, left=ends[side], color=colour, height=0.66, label=CAUSES[cause].words if side < 0 else None)
                ends[side] = ends[side] + bar
        axis.hlines(of.index, of["GPP low"], of["GPP high"], color="black", lw=1.2)
        axis.plot(of.GPP, of.index, "o", color="black", ms=3.5, label="all causes, 90 %")
        if "GPP observed" in of:
            axis.plot(of["GPP observed"], of.index, "D", mfc="white", mec="black", ms=5, label="observed departure")
        axis.axvline(0, color="0.6", lw=0.8)
        axis.set_yticks(of.index, [f"{row.site} {row.igbp}" for row in of.itertuples()], fontsize=8)
        axis.set(title=f"June to August {event}", xlabel="change of GPP, gC m-2 (negative = uptake lost)")
    axes[0, 0].legend(fontsize=7, loc="best")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def french(data: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Every French tower and dry summer with enough days: what was observed, what the ledger says, or why it has none."""
    towers = open_towers(data, sites=FRENCH, years=(2000, 2020), needs=("tair",))
    sequences, rows = towers.sequences(("tair",)), []
    for event in FRENCH_EVENTS:
        for place, years in reference(sequences, event).items():
            site = sequences.places[place]
            row: dict = {"site": site, "igbp": towers.sites.igbp[site], "event": event, "references": len(years)}
            for flux in ("gpp", "nee"):
                observed = sequences.targets[flux][:, place]
                row[f"{flux.upper()} observed"] = departure(observed, np.isfinite(observed), sequences.days, event, years)
            found = table[(table.site == site) & (table.event == event)]
            row |= {name: float(found[name].iloc[0]) if len(found) else np.nan for name in ("GPP", "NEE")}
            late = f"reflectance ends in {LAST}" if event > LAST else "no reflectance of this tower"
            rows.append(row | {"note": "" if len(found) else late})
    return pd.DataFrame(rows)


def of_france(seen: pd.DataFrame) -> list[str]:
    """The French towers side by side."""
    without = [site for site in FRENCH if site not in set(seen.site)]
    said = (
        "Observed departures from the other summers of the record, and the ledger where there is reflectance. "
        f"{', '.join(without)}: no dry summer among {', '.join(map(str, FRENCH_EVENTS))} with {LEAST_DAYS} measured days beside {FEWEST} "
        "other summers."
    )
    names = ("GPP observed", "GPP", "NEE observed", "NEE")
    rows = [[row["site"], row["igbp"], row["event"], *(float(row[name]) for name in names), row["note"]] for row in seen.to_dict("records")]
    head = "tower | type | event | GPP observed | ledger | NEE observed | ledger | "
    return ["", "## French towers", "", said, "", *lines_of(head, rows)]


def page(table: pd.DataFrame, checked: pd.DataFrame, posterior: Posterior, seen: pd.DataFrame) -> str:
    """The results as a Markdown page."""
    parts = [heading(table, posterior), by_event(table), of_france(seen), by_cover(table), each(table), how_exact(checked)]
    return "\n".join(line for part in parts for line in part) + "\n"


def heading(table: pd.DataFrame, posterior: Posterior) -> list[str]:
    """What was done."""
    return [
        "# E22: the drought ledger of European summers", "",
        f"{table.site.nunique()} towers, {len(table)} summers; posterior with {posterior.draws} draws, fitted at {len(posterior.places)} "
        "towers. June to August of the event against the usual year of",
        "the other summers of the record. Changes are event minus usual, gC m-2 in 92 days: GPP negative = uptake lost, NEE = RECO - GPP "
        "positive = lost to the atmosphere.",
        "Observed and modelled departures: the observed days of the event against those of the other summers, scaled to 92 days.",
        "Command: `python experiments/e22_drought_ledger.py --data TOWERS --posterior FILE --out runs/e22`.",
    ]  # fmt: skip


NAMED = [cause for cause in CAUSES if cause != "rest"]
BY = " | ".join(CAUSES[cause].words for cause in NAMED)


def lines_of(head: str, rows: list[list]) -> list[str]:
    """A table of Markdown; numbers are signed and whole."""
    cells = [[("-" if np.isnan(cell) else f"{cell:+.0f}") if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return [f"| {head} |", "|" + "---|" * (head.count("|") + 1), *(f"| {' | '.join(row)} |" for row in cells)]


def by_event(table: pd.DataFrame) -> list[str]:
    """Means over towers of each event, and how the ledger follows what was observed."""
    rows = []
    for event, of in table.groupby("event"):
        for flux in ("GPP", "NEE"):
            seen = of.dropna(subset=[f"{flux} observed"])
            r = f"{np.corrcoef(seen[f'{flux} observed'], seen[flux])[0, 1]:.2f}" if len(seen) > 2 else "-"
            means = [float(seen[f"{flux}{name}"].mean()) for name in (" observed", " modelled", "", *(f" by {cause}" for cause in NAMED))]
            rows.append([event, len(seen), flux, *means, r])
    return ["", "## Events", "", *lines_of(f"event | towers | flux | observed | modelled | ledger | {BY} | r, observed and ledger", rows)]


def by_cover(table: pd.DataFrame) -> list[str]:
    """Change of GPP in per cent of the usual by plant type, all events."""
    rows = []
    for kind, of in table.groupby("igbp"):
        names = ("GPP observed", "GPP", *(f"GPP by {cause}" for cause in NAMED))
        rows.append([kind, len(of), *(float(100 * (of[name] / of["GPP usual"]).mean()) for name in names)])
    said = "Change of GPP in per cent of the usual season, mean over towers and events."
    return ["", "## Plant types", "", said, "", *lines_of(f"plant type | summers | observed | ledger | {BY}", rows)]


def each(table: pd.DataFrame) -> list[str]:
    """One line a tower and event."""
    rows = []
    for row in table.to_dict("records"):
        known = "" if row["known"] else " (unknown)"
        causes = [float(row[f"GPP by {cause}"]) for cause in NAMED]
        rows.append([
            f"{row['site']}{known}", row["igbp"], row["event"], float(row["GPP observed"]), float(row["GPP modelled"]), float(row["GPP"]),
            f"{row['GPP low']:+.0f} to {row['GPP high']:+.0f}", *causes, float(row["NEE observed"]), float(row["NEE modelled"]),
            float(row["NEE"]), f"{row['water_missing']:.0f}", row["separable"] or "-",
        ])  # fmt: skip
    head = f"tower | type | event | GPP observed | modelled | ledger | 90 % | {BY} | NEE observed | modelled | ledger | water missing, mm "
    said = "Last column: whether the draws distinguish soil water and VPD. Unknown towers take no part in the fit."
    return ["", "## Towers", "", said, "", *lines_of(head + "| soil water and VPD", rows)]


def how_exact(checked: pd.DataFrame) -> list[str]:
    """What the method costs in accuracy."""
    share = 100 * checked["from Shapley"].sum() / checked["gross"].sum()
    rows = [
        [row["site"], row["event"], row["change"], f"{row['gross']:.0f}", f"{row['usual']:.0f}", f"{row['mean of references']:.0f}",
         f"{row['off']:+.1f}", f"{row['from Shapley']:.2f}", f"{row['in a draw, %']:.2f}"]
        for row in checked.to_dict("records")
    ]  # fmt: skip
    return [
        "", "## How exact it is", "",
        "Usual GPP: of the usual summer, beside the mean of the reference summers as the model has them. From Shapley: the largest "
        "difference of a cause from the",
        "full Shapley sum over all subsets of the causes, of the mean over the draws [gC m-2], and in the draw where it is largest, in per "
        "cent of gross; gross: sum of the",
        f"sizes of all causes. Over all towers {share:.2f} % of gross; the usual summer is off by {checked.off.mean():+.1f} % on average, "
        f"{checked.off.abs().mean():.1f} % in size.", "",
        *lines_of("tower | event | change | gross | usual GPP | mean of references | off, % | from Shapley | in a draw, %", rows),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
