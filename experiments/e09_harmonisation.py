r"""E09 - Which line brings a Sentinel-2 index at 10 m to the MODIS FPAR that the towers' posterior was fitted with, and how sure is it?

The towers' fapar is MOD15A2 collection 5 at 1 km, 2000-2016, cleaned. No tower of the sample has a Sentinel-2 patch on it, so places of
like vegetation are matched: each patch with the towers of its kind at most 700 km away and 450 m higher or lower, by the mean of March to
October (89 % of the GPP of these towers).

    FPAR = slope[plant type] (index - SOIL)        SOIL: the index of bare ground, where fapar is 0 +- 0.05

The slopes of plant types are alike but not equal: MODIS retrieves FPAR by biome, and broadleaved forest gets less of it than fields of the
same NDVI. Each place has a slope of its own about that of its plant type, and the towers of a patch are others than it would have, known
from the spread of towers of one kind and of years of one tower, and shared by patches with a tower in common. The line of a plant type at a
new place has the uncertainty of all of these. Fields are sown and meadows cut on other days at a patch than at a tower 500 km away, so what
a line leaves is looked at with the half-months in order of their values, greenest with greenest.

    python experiments/e09_harmonisation.py --data ../shared/data --out runs/e09
    python experiments/e09_harmonisation.py --data ../shared/data --out runs/e09_smoke --smoke

Cycles that are done are not computed again. About five minutes on one core; `--smoke` half of one.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from hybridflux.machine import prepare

prepare()

import numpy as np  # noqa: E402
import pairs  # noqa: E402
import pandas as pd  # noqa: E402
from harmonised import draw_figure, effect_on_flanders, report  # noqa: E402
from lines import Pairs, Spread, fit, left_out  # noqa: E402

from hybridflux.data.harmonisation import ALL  # noqa: E402
from hybridflux.provenance import config_hash, provenance  # noqa: E402

SEED = 9
LIGHT = np.isin(np.arange(pairs.HALVES), np.arange(4, 20))  # March to October
TOP_OF_ATMOSPHERE = ("Slovenia forest", "Slovenia grassland")  # shown, not fitted
FULL = {"pixels": 300, "draws": 1000, "indices": ("ndvi", "evi2", "nirv", "kndvi"), "places": None, "left_out": None}
SMOKE = {"pixels": 16, "draws": 100, "indices": ("ndvi",), "places": ("Flanders", "parcels"), "left_out": 1}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with eo/ and towers/")
    parser.add_argument("--out", type=Path, default=Path("runs/e09"))
    parser.add_argument("--smoke", action="store_true", help="few patches and draws, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, SMOKE if arguments.smoke else FULL)


def run(data: Path, out: Path, size: dict) -> None:
    """Cycles, lines, their validation, their effect, the page and the figure."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    cycles, towers, listed = read(data, out, size)
    spread = spread_of(list(towers.values()))
    fitted = {index: fit(pair_up(cycles[index], towers, LIGHT), spread, index, size["draws"], SEED) for index in size["indices"]}
    lines = {index: {kind: one.line(kind, SEED) for kind in (*one.kinds, ALL)} for index, one in fitted.items()}
    ndvi = pair_up(cycles["ndvi"], towers, LIGHT)
    checks = left_out(ndvi, spread, size["draws"] // 2, SEED, size["left_out"])
    effect = effect_on_flanders(data, lines["ndvi"], SEED, size["pixels"])
    checks.to_csv(out / "left_out.csv", index=False)
    listed.to_csv(out / "matched.csv", index=False)
    draw_figure(ndvi, lines["ndvi"], effect, out / "lines.png")
    text = report(size, spread, listed, cycles["ndvi"], towers, lines, fitted["ndvi"].draws, checks, effect)
    (out / "results.md").write_text(text)
    record = {index: {kind: vars(line) for kind, line in of_kind.items()} for index, of_kind in lines.items()}
    (out / "lines.json").write_text(json.dumps(record, indent=1))
    (out / "run.json").write_text(json.dumps({**provenance({"size": size}, SEED), "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def read(data: Path, out: Path, size: dict) -> tuple[dict, dict, pd.DataFrame]:
    """Index -> patch -> (plant type, cycle); patch -> its towers; the table of who is matched with whom."""
    stored = out / f"cycles-{config_hash({'pixels': size['pixels'], 'places': size['places'], 'seed': SEED})[:12]}.json"
    record = json.loads(stored.read_text()) if stored.exists() else None
    found, towers, rows = {index: {} for index in size["indices"]}, {}, []
    if record is None:
        record = []
        for patch in pairs.patches(data, size["places"]):
            cycles = {index: pairs.cycle(patch, index, size["pixels"], SEED) for index in patch.views if index in size["indices"]}
            plain = {index: {"mean": one.mean.tolist(), "years": one.years} for index, one in cycles.items()}
            record.append(vars(replace(patch, day=patch.day.astype(str).tolist(), views=plain)))
            print(f"{patch.name}: {len(patch.day)} views", flush=True)
        stored.write_text(json.dumps(record))
    for one in record:
        patch = pairs.Patch(**one)
        towers[patch.name], table = pairs.matched(patch, data / "towers")
        near = ", ".join(f"{site} ({here.km:.0f} km, {here.above:+.0f} m)" for site, here in table.iterrows())
        rows.append({"patch": patch.name, "plant_type": patch.plant_type, "hectares": patch.hectares, "views": len(patch.day),
                     "first": patch.day[0], "last": patch.day[-1], "towers": near or "none"})  # fmt: skip
        for index, cycle in patch.views.items():
            if index in found:
                found[index][patch.name] = patch.plant_type, pairs.Cycle(np.array(cycle["mean"], float), cycle["years"])
    return found, towers, pd.DataFrame(rows)


def pair_up(cycles: dict, towers: dict, season: np.ndarray) -> Pairs:
    """The patches that have towers and surface reflectance, half-months of a season in order of their values."""
    names = [name for name in cycles if towers[name] and name not in TOP_OF_ATMOSPHERE]
    index, fpar, used = (np.zeros((len(names), pairs.HALVES)) for _ in range(3))
    for row, name in enumerate(names):
        seen = season & np.isfinite(cycles[name][1].mean)
        number = seen.sum()
        index[row, :number] = np.sort(cycles[name][1].mean[seen])
        fpar[row, :number] = np.sort(np.mean([tower.mean for tower in towers[name]], axis=0)[seen])
        used[row, :number] = 1
    longest = int(used.sum(axis=1).max())
    index, fpar, used = index[:, :longest], fpar[:, :longest], used[:, :longest]
    sites = [[tower.site for tower in towers[name]] for name in names]
    shared = np.array([[len(set(one) & set(other)) / (len(one) * len(other)) for other in sites] for one in sites])
    kinds = np.array([cycles[name][0] for name in names], object)
    years = np.array([cycles[name][1].years for name in names])
    return Pairs(names, kinds, index, fpar, used.astype(bool), shared, years)


def spread_of(groups: list[list[pairs.Tower]]) -> Spread:
    """Each tower against the mean of the others of its group, each year of a tower against its mean: level and relative amplitude."""
    between, within, labelled = [], {}, set()
    for group in groups:
        key = frozenset(tower.site for tower in group)
        if len(group) > 1 and key not in labelled:
            labelled.add(key)
            means = np.sort([tower.mean[LIGHT] for tower in group], axis=1)
            for row, mean in enumerate(means):
                other = np.delete(means, row, axis=0).mean(axis=0)
                between.append(_deviation(mean, other) / np.sqrt(1 + 1 / (len(group) - 1)))
        for tower in group:
            usual = np.sort(tower.mean[LIGHT])
            within[tower.site] = np.array([_deviation(np.sort(year[LIGHT]), usual) for year in tower.by_year])
    between, years = np.array(between), np.concatenate(list(within.values()))
    return Spread((between**2).mean(axis=0), (years**2).mean(axis=0), len(within), len(years))


def _deviation(cycle: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Level and relative amplitude by which a cycle differs from another one, both in order."""
    centred = reference - reference.mean()
    return np.array([(cycle - reference).mean(), centred @ (cycle - reference) / (centred @ centred)])


if __name__ == "__main__":
    main()
