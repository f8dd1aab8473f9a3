"""E24 - Do losses of dry summers follow measured soil moisture, and do they differ between crops, forests and managed land?

At every tower with soil water of at least four summers, June to August of each summer against the others: the change of GPP by the drought
ledger and the observed one, beside the anomaly of measured soil water (upper sensor, monthly means), and the slope of the one on the other
in every draw. Then the ledger of the summer of 2018 of Flanders by crop and mowing, and of a forest at the Meuse by what was felled in the
winter after, with the probability that two classes differ. Changes are this summer minus the usual one, GPP negative = uptake lost.

    python experiments/e24_soil_moisture_management.py --data ../shared/data --posterior FILE --maps FILE --out runs/e24

`--posterior` is a fit of E04 without the days of drought, for the towers; `--maps` one of `hybridflux fit`, for the regions; --smoke takes
three towers and no region.
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
from drought2018 import usual_vegetation, usual_weather, vegetation_departures
from e10_regions import with_felled
from e22_drought_ledger import FEWEST, SEED, departure
from fitted import built
from summers import DAYS_OF_SUMMER, SUMMER

from hybridflux.causes import CAUSES, change_name
from hybridflux.data.towers import open_towers
from hybridflux.evaluate.seasons import month_of
from hybridflux.inference.posterior import Posterior
from hybridflux.model.sequences import Sequences
from hybridflux.products.drought import run_drought
from hybridflux.products.drought_classes import write_classes
from hybridflux.products.drought_response import line
from hybridflux.products.drought_towers import drought_at_towers
from hybridflux.provenance import provenance
from hybridflux.region.drivers.calendar import Period

FIRST, LAST = 2001, 2018  # reflectance of the towers ends with 2018
SMOKE_SITES = ("DE-Geb", "IT-Ro1", "DK-Sor")
MONTHLY = ("FLUXNET2015_SUBSET_MM_all_sites.csv.gz", "FLX_FR-*_FULLSET_MM_*.csv.gz")
QUALITY = 0.5  # share of measured half-hours of a month
PERIOD = Period("2018-06-01", "2018-08-31")
FOREST_WEATHER = ("FR-Hes",)  # whose weather the region at the Meuse has
BEFORE = "2016-2017"  # summers of the Meuse before 2018; the stand was felled in the winter of 2018-19
GROUPS = {"forest": ("ENF", "DBF", "MF", "EBF"), "grassland": ("GRA",), "cropland": ("CRO",)}
RESAMPLED = 2000
DRYNESS = {(-99, -1): "below -1 sd", (-1, 0): "-1 to 0 sd", (0, 1): "0 to 1 sd", (1, 99): "above 1 sd"}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds eo/ and towers/")
    parser.add_argument("--posterior", type=Path, required=True, help="fit of E04 without the days of drought")
    parser.add_argument("--maps", type=Path, help="file of `hybridflux fit`, for the regions; by default the same")
    parser.add_argument("--draws", type=int, default=32, help="draws of the maps")
    parser.add_argument("--out", type=Path, default=Path("runs/e24"))
    parser.add_argument("--smoke", action="store_true", help="three towers and no region, to see that it runs")
    arguments = parser.parse_args()
    began, out = time.perf_counter(), arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "changes.npy").exists():  # what is there is gone on with
        summers, changes = of_towers(arguments.data / "towers", arguments.posterior, SMOKE_SITES if arguments.smoke else None)
        summers.to_csv(out / "summers.csv", index=False, float_format="%.6g")
        np.save(out / "changes.npy", changes)
    summers, changes = pd.read_csv(out / "summers.csv"), np.load(out / "changes.npy")
    slopes = slopes_of(summers, changes)
    slopes.to_csv(out / "slopes.csv", index=False, float_format="%.6g")
    draw_figure(summers, out / "summers.png")
    print(f"towers: {time.perf_counter() - began:.0f} s", flush=True)
    parts = [heading(summers), dryness_lines(summers), tower_lines(slopes)]
    if not arguments.smoke:
        posterior = Posterior.load(arguments.maps or arguments.posterior)
        for name, folder in of_regions(posterior, arguments.data, out, arguments.draws).items():
            parts.append(region_lines(name, folder))
    text = "\n".join(line for part in parts for line in part) + "\n"
    (out / "results.md").write_text(text)
    run_of = provenance({"sites": sorted(summers.site.unique()), "posterior": arguments.posterior.name}, SEED)
    (out / "run.json").write_text(json.dumps(run_of | {"seconds": time.perf_counter() - began}, indent=1))
    print(text)


def soil_water(data: Path) -> pd.Series:
    """Measured soil water of June to August, means of three months of good quality, (site, year) -> m3 m-3."""
    found = []
    for path in (path for pattern in MONTHLY for path in sorted((data / "monthly").glob(pattern))):
        table = pd.read_csv(path, na_values=[-9999])
        if "SWC_F_MDS_1" in table:
            site = table["site"] if "site" in table else path.name.split("_")[1]
            when = table["TIMESTAMP"].astype(str)
            good = table["SWC_F_MDS_1"].where(table.get("SWC_F_MDS_1_QC", 1.0) >= QUALITY)
            of = {"site": site, "year": when.str[:4].astype(int), "month": when.str[4:6].astype(int), "swc": good / 100}
            found.append(pd.DataFrame(of))
    table = pd.concat(found).dropna().query("month in @SUMMER").drop_duplicates(["site", "year", "month"])
    by = table.groupby(["site", "year"])["swc"]
    return by.mean()[by.count() == len(SUMMER)]


def of_towers(data: Path, file: Path, sites: tuple[str, ...] | None) -> tuple[pd.DataFrame, np.ndarray]:
    """A row for each tower and summer with soil water, and the changes of GPP of its ledger `[row, cause, draw]`, gC m-2."""
    posterior, water = Posterior.load(file), soil_water(data)
    water = water[water.groupby("site").transform("size") > FEWEST]
    needs = posterior.model.needs_at_towers()
    listed = pd.read_csv(data / "sites.csv").set_index("site_id")
    have = [site for site in water.index.get_level_values("site").unique() if site in (sites or listed.index)]
    towers = open_towers(data, sites=tuple(have), years=(FIRST - 1, LAST), needs=needs, screen=None)
    sequences = towers.sequences(needs)
    year = sequences.days.astype("datetime64[Y]").astype(int) + 1970
    simulated = posterior.simulate(sequences, key=jax.random.key(SEED), variables=("gpp",))["gpp"]
    modelled = np.asarray(simulated).mean(axis=0)
    seen = {site: frozenset(int(one) for one in water[site].index if FIRST <= one <= LAST) for site in sequences.places}
    rows, changes = [], []
    for event in range(FIRST, LAST + 1):
        mine = [number for number, site in enumerate(sequences.places) if event in seen[site] and len(seen[site]) > FEWEST]
        if not mine:
            continue
        season = np.isin(month_of(sequences.days), SUMMER) & (year == event)
        others = [seen[site] - {event} or frozenset(range(FIRST, LAST + 1)) for site in sequences.places]  # one shape, one program
        found = drought_at_towers(posterior, sequences, season, others, seed=SEED)
        for number in mine:
            site = sequences.places[number]
            parts = np.stack([found[change_name("gpp", cause)][:, :, number].sum(1) for cause in CAUSES])
            rows.append(row_of(sequences, modelled, water, site, number, event, others[number], parts) | {"igbp": listed.igbp[site]})
            changes.append(parts)
        print(f"{event}: {len(mine)} towers", flush=True)
    return pd.DataFrame(rows), np.array(changes)


def row_of(
    sequences: Sequences, modelled: np.ndarray, water: pd.Series, site: str, number: int, event: int, others: frozenset[int],
    parts: np.ndarray,
) -> dict:  # fmt: skip
    """A tower and summer: soil water, the ledger, and the observed departure."""
    observed = sequences.targets["gpp"][:, number]
    known = np.isfinite(observed)
    usual = water[site][sorted(others)]
    return {
        "site": site, "year": event, "references": len(others), "swc": water[site, event], "anomaly": water[site, event] - usual.mean(),
        "sd": usual.std(ddof=1), "GPP": parts.sum(0).mean(),
        **{f"GPP by {cause}": parts[place].mean() for place, cause in enumerate(CAUSES)},
        "GPP observed": departure(observed, known, sequences.days, event, others) if known.any() else np.nan,
        "GPP modelled": departure(modelled[:, number], known, sequences.days, event, others) if known.any() else np.nan,
    }  # fmt: skip


def slopes_of(summers: pd.DataFrame, changes: np.ndarray) -> pd.DataFrame:
    """Slope of GPP on the anomaly of soil water over the summers of a group of towers, gC m-2 in 92 days per 0.01 m3 m-3.

    Of the ledger in every draw; of what was observed, with the interval of towers drawn again.
    """
    random, rows = np.random.default_rng(SEED), []
    groups = {"all": tuple(summers.igbp.unique()), **GROUPS}
    for group, kinds in groups.items():
        inside = np.flatnonzero(summers.igbp.isin(kinds) & np.isfinite(summers.anomaly) & np.isfinite(summers["GPP observed"]))
        of = summers.iloc[inside]
        if of.site.nunique() < 2:
            continue
        at = 100 * of.anomaly.to_numpy()[:, None]
        places = {site: np.flatnonzero(of.site == site) for site in of.site.unique()}
        again = [np.concatenate([places[one] for one in random.choice([*places], len(places))]) for _ in range(RESAMPLED)]
        wanted = {"observed": of["GPP observed"].to_numpy()[:, None], "ledger": changes[inside].sum(1)}
        wanted |= {f"ledger, {CAUSES[cause].words}": changes[inside][:, place] for place, cause in enumerate(CAUSES) if cause != "rest"}
        for name, values in wanted.items():
            slope = line(at, values, np.ones(len(of)))
            mean = values.mean(1, keepdims=True)
            drawn = np.array([line(at[which], mean[which], np.ones(len(which)))[0] for which in again])
            rows.append({
                "group": group, "towers": of.site.nunique(), "summers": len(of), "what": name, "slope": slope.mean(),
                "low": np.quantile(drawn, 0.05), "high": np.quantile(drawn, 0.95), "draws low": np.quantile(slope, 0.05),
                "draws high": np.quantile(slope, 0.95), "r": np.corrcoef(at[:, 0], values.mean(1))[0, 1],
            })  # fmt: skip
    return pd.DataFrame(rows)


def of_regions(posterior: Posterior, data: Path, out: Path, draws: int) -> dict[str, Path]:
    """The ledgers of Flanders and of the Meuse, with their tables of classes."""
    seen = vegetation_departures(data).set_index(["land_cover", "index"]).unstack("land_cover")
    fields = [usual_vegetation(seen, cover, line=False) for cover in ("GRA", "CRO")]
    days = f"@{PERIOD.start}:{PERIOD.end}"
    green = {name: f"{np.mean([float(one[name].partition('@')[0]) for one in fields]):+.4f}{days}" for name in ("nirv", "lswi")}
    flanders = built("flanders-demo", data, out)
    meuse = with_felled(built("meuse-forest", data, out), out / "meuse-forest-felled.zarr")
    jobs = {
        "flanders-demo": (flanders, usual_weather(data) | green, ("zone", "land_cover", "mowing", "irrigation")),
        "meuse-forest": (meuse, usual_weather(data, FOREST_WEATHER) | dict.fromkeys(("nirv", "lswi"), f"climatology:{BEFORE}"),
                         ("zone", "land_cover", "land_cover,zone")),
    }  # fmt: skip
    folders = {}
    for name, (region, usual, classes) in jobs.items():
        folder = out / f"{name}-drought"
        if not (folder / "drought.json").exists():
            run_drought(posterior, region, folder, period=PERIOD, usual=usual, draws=draws, pixels=True)
        for by in classes:
            write_classes(folder, by)
        folders[name] = folder
    return folders


def draw_figure(summers: pd.DataFrame, path: Path) -> None:
    """Change of GPP along the anomaly of soil water, observed and by the ledger, a panel a group."""
    figure, axes = plt.subplots(1, len(GROUPS), figsize=(4.6 * len(GROUPS), 3.8), sharey=True, layout="constrained")
    for axis, (group, kinds) in zip(axes, GROUPS.items(), strict=True):
        of = summers[summers.igbp.isin(kinds)].dropna(subset=["GPP observed"])
        axis.plot(of.anomaly, of["GPP observed"], "D", mfc="white", mec="black", ms=4, label="observed")
        axis.plot(of.anomaly, of.GPP, "o", color="#dd8435", ms=4, label="ledger, all causes")
        axis.plot(of.anomaly, of["GPP by soil_water"], "o", color="#3574b5", ms=3, label="ledger, soil water")
        axis.axhline(0, color="0.7", lw=0.8)
        axis.axvline(0, color="0.7", lw=0.8)
        axis.set(title=f"{group}, {of.site.nunique()} towers", xlabel="soil water minus other summers, m3 m-3")
    axes[0].set_ylabel("change of GPP, gC m-2 in 92 days\n(negative = uptake lost)")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def heading(summers: pd.DataFrame) -> list[str]:
    """What was done."""
    return [
        "# E24: dry summers in relation to soil moisture and management", "",
        f"{summers.site.nunique()} towers, {len(summers)} summers with measured soil water. Changes are June to August against the other",
        f"summers with soil water, gC m-2 in {DAYS_OF_SUMMER} days, GPP negative = uptake lost. Command: see the head of",
        "`experiments/e24_soil_moisture_management.py`.",
    ]  # fmt: skip


def dryness_lines(summers: pd.DataFrame) -> list[str]:
    """Means of the summers by how dry their soil was among those of the tower."""
    names = ["GPP observed", "GPP", *(f"GPP by {cause}" for cause in CAUSES if cause != "rest")]
    head = " | ".join(["observed", "ledger", *(CAUSES[cause].words for cause in CAUSES if cause != "rest")])
    lines = ["", "## Dry and wet soils", "",
             "Change of GPP, mean of the summers by their soil water in standard deviations of the summers of their tower.", "",
             f"| soil water | summers (towers) | {head} |", "|" + "---|" * (len(names) + 2)]  # fmt: skip
    of = summers[np.isfinite(summers[names]).all(axis=1) & np.isfinite(summers.sd)]
    for (low, high), words in DRYNESS.items():
        inside = of[(of.anomaly / of.sd).between(low, high, inclusive="left")]
        means = " | ".join(f"{inside[name].mean():+.0f}" for name in names)
        lines.append(f"| {words} | {len(inside)} ({inside.site.nunique()}) | {means} |")
    return lines


def tower_lines(slopes: pd.DataFrame) -> list[str]:
    """Slopes by group of towers."""
    lines = ["", "## Towers", "",
             "Change of GPP for 0.01 m3 m-3 more soil water (upper sensor) than in other summers: positive = dry summers lose.",
             "90 % of towers drawn again; of the ledger also that of its draws.", "",
             "| towers | summers | change of GPP | per 0.01 m3 m-3 | 90 %, towers | 90 %, draws | r |", "|" + "---|" * 7]  # fmt: skip
    for row in slopes.to_dict("records"):
        draws = "" if row["what"] == "observed" else f"{row['draws low']:+.1f} to {row['draws high']:+.1f}"
        lines.append(
            f"| {row['group']} ({row['towers']}) | {row['summers']} | {row['what']} | {row['slope']:+.1f} "
            f"| {row['low']:+.1f} to {row['high']:+.1f} | {draws} | {row['r']:.2f} |"
        )
    return lines


def region_lines(name: str, folder: Path) -> list[str]:
    """Losses by class, and the pairs of classes, of a region."""
    head = "class | ha | GPP usual | GPP | 90 % | % | soil water | VPD | greenness | NEE | water missing, mm"
    lines = ["", f"## {name}, June to August 2018", "", f"| {head} |", "|" + "---|" * 11]
    differences = []
    for path in sorted(folder.glob("drought_by_*_response.csv")):
        stem = path.name.removesuffix("_response.csv")
        table = pd.read_csv(folder / f"{stem}.csv").fillna({"cause": ""})
        differences.append(pd.read_csv(folder / f"{stem}_differences.csv"))
        for label, of in table.groupby("class", sort=False):
            rows = of.set_index(["variable", "cause"]).sort_index()
            whole = rows.loc[("GPP", "all")]
            causes = " | ".join(f"{rows.loc[('GPP', cause), 'mean']:+.0f}" for cause in ("soil_water", "vpd", "greenness"))
            lines.append(
                f"| {of['by'].iloc[0]}: {label} | {whole['area_ha']:.1f} | {whole['usual']:.0f} | {whole['mean']:+.0f} "
                f"| {whole['q05']:+.0f} to {whole['q95']:+.0f} | {whole['percent']:+.0f} | {causes} "
                f"| {rows.loc[('NEE', 'all'), 'mean']:+.0f} | {rows.loc[('water missing', ''), 'mean']:.0f} |"
            )
    head = "first | second | GPP, first - second | 90 % | first lost more, % | in per cent of its usual, % | NEE, %"
    lines += ["", f"| {head} |", "|" + "---|" * 7]
    pairs = pd.concat(differences)
    pairs = pairs[pairs["cause"] == "all"]
    for (_, first, second), of in pairs.groupby(["by", "first", "second"], sort=False):
        rows = of.set_index(["variable", "units"])
        gpp = rows.loc[("GPP", "gC m-2")]
        more = [f"{100 * rows.loc[key, 'probability']:.0f}" for key in (("GPP", "gC m-2"), ("GPP", "%"), ("NEE", "gC m-2"))]
        lines.append(f"| {first} | {second} | {gpp['mean']:+.0f} | {gpp['q05']:+.0f} to {gpp['q95']:+.0f} | {' | '.join(more)} |")
    return lines


if __name__ == "__main__":
    main()
