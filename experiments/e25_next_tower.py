"""E25 - Does a tower narrow a region's year by as much as `hybridflux next-tower` expects, once the model is fitted with it?

In each of some synthetic worlds (`hybridflux.twin`): fit the twelve towers, map the region, ask `next_tower` for candidates, and take the
best, the middle and the worst of its table. Then a tower measures each of these pixels: the twin's truth there with the errors and gaps of
its instruments, over two years, of which the second is mapped. The whole model is fitted anew with it (population, effects, structural
error, amplitudes), the region is mapped anew, and the sd of NEE of the mapped year before and after is compared with what was expected, for
the region, for all pixels of the tower's plant type, and for its own pixel. The same with a tower that measured the year before the mapped
one alone, which `next_tower` does not promise; and a fit to the same twelve towers with other random numbers says what chance does.

    python experiments/e25_next_tower.py --out runs/e25

NEE = RECO - GPP, positive to the atmosphere, gC m-2 yr-1. Seven to nine minutes of a processor for each world; --smoke takes one world,
short chains and the best candidate alone.
"""

from __future__ import annotations

import argparse
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student

from hybridflux.data.towers import open_towers
from hybridflux.inference import NUTS
from hybridflux.inference.methods.base import InferenceWarning
from hybridflux.inference.posterior import Posterior
from hybridflux.model import compositions
from hybridflux.products.next_tower import expected, next_tower
from hybridflux.products.pixels_again import pixels_again
from hybridflux.products.totals import RunTotals, open_totals
from hybridflux.region.draws.spread import Draws
from hybridflux.region.map import job_of_run, map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.store.grid import Grid
from hybridflux.twin.tower_in_region import add_tower
from hybridflux.twin.world import YEAR, World, make_world

MODEL = "static"
WORLDS, SIZE, CANDIDATES = 6, 64, 60
CHAIN = {"warmup": 200, "draws": 200, "chains": 2}
SMOKE_CHAIN = {"warmup": 30, "draws": 20, "chains": 2}
RANKS = "best", "middle", "worst"
BEFORE, AGAIN, EARLIER = "twelve towers", "twelve towers again", "best, the year before alone"
WITHOUT = BEFORE, AGAIN
TARGETS = "region", "plant type", "pixel"
PARTS = "with the structural error", "without it"
DAYS = 365


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/e25"))
    parser.add_argument("--worlds", type=int, nargs="+", default=list(range(WORLDS)), help="seeds of the worlds")
    parser.add_argument("--smoke", action="store_true", help="one world, short chains, the best candidate alone")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    for seed in arguments.worlds[:1] if arguments.smoke else arguments.worlds:
        path = arguments.out / f"world{seed}.npz"
        if not path.exists():  # what is there is gone on with
            began = time.perf_counter()
            of_world(arguments.out, seed, arguments.smoke)
            print(f"world {seed}: {time.perf_counter() - began:.0f} s", flush=True)
        with np.load(path) as draws:
            rows += list(compared(seed, draws))
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out / "reductions.csv", index=False, float_format="%.6g")
    text = report(table)
    (arguments.out / "results.md").write_text(text)
    print(text)


def of_world(out: Path, seed: int, smoke: bool) -> None:
    """Fit and map one world with and without new towers, and keep the draws of all targets in one file."""
    folder, size, chain = out / f"world{seed}", 24 if smoke else SIZE, SMOKE_CHAIN if smoke else CHAIN
    shutil.rmtree(folder, ignore_errors=True)
    world = make_world(folder / "world", size=size, seed=seed)
    mapped(world, world.towers, folder / BEFORE, chain, seed)
    candidates = next_tower(folder / BEFORE, candidates=8 if smoke else CANDIDATES, seed=seed)
    picked = candidates.iloc[np.linspace(0, len(candidates) - 1, 3).astype(int)]  # best, middle, worst: before any tower is there
    places = [place_of(job_of_run(folder / BEFORE).region.grid, row.x, row.y) for row in picked.itertuples()]
    found = sums_of(BEFORE, folder / BEFORE, places)
    fits = [(name, number, (YEAR - 1, YEAR)) for number, name in enumerate(RANKS)] + [(EARLIER, 0, (YEAR - 1, YEAR - 1))]
    for name, number, years in [(AGAIN, None, None), *(fits[:1] if smoke else fits)]:
        towers = folder / f"towers, {name}"
        shutil.copytree(world.towers, towers)
        if number is not None:
            add_tower(world, towers, *places[number], years, np.random.default_rng([seed, number]))
        mapped(world, towers, folder / name, chain, seed + 1000)
        found |= sums_of(name, folder / name, places)
        shutil.rmtree(folder / name)
    truth = {f"truth;{RANKS[at]};{target}": truth_of(world, target, place) for at, place in enumerate(places) for target in TARGETS}
    np.savez_compressed(out / f"world{seed}.npz", plant_types=picked["plant_type"].to_numpy(str), **found, **truth)
    shutil.rmtree(folder)


def mapped(world: World, towers: Path, out: Path, chain: dict, seed: int) -> None:
    """Fit towers and map the region of the world."""
    model = compositions.get(MODEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)
        posterior: Posterior = NUTS(**chain).fit(model, open_towers(towers, screen=None).sequences(model.needs_at_towers()), seed=seed)
    map_region(posterior, world.region, out, draws=Draws(posterior.draws, seed=seed), keep=(ZoneTotals(),))


def place_of(grid: Grid, x: float, y: float) -> tuple[int, int]:
    """Row and column of a pixel with a centre."""
    return int(np.abs(grid.y - y).argmin()), int(np.abs(grid.x - x).argmin())


def sums_of(fit: str, run: Path, places: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    """Draws of the mapped year, gC m-2 `[draw]`: `fit;rank;part;target;flux`, the part with or without the structural error."""
    job, totals = job_of_run(run), open_totals(run)
    tile = next(iter(job.region.grid.tiles()))
    number = np.zeros(job.region.grid.shape, np.int32)
    for at, (row, column) in enumerate(places):
        number[row, column] = at + 1
    names = {at + 1: f"candidate {at + 1}" for at in range(len(places))}
    pixels = pixels_again(job, [(tile, number[tile.y, tile.x].reshape(-1))], names)
    found = {}
    for at, rank in enumerate(RANKS):
        cell = np.flatnonzero(pixels.zone == names[at + 1])
        kind = np.flatnonzero(totals.land_cover == pixels.land_cover[cell[0]])
        for target, one, cells in zip(TARGETS, (totals, totals, pixels), (np.arange(len(totals.area)), kind, cell), strict=True):
            for part, these in zip(PARTS, (one.with_structural_error(), one), strict=True):
                found |= {f"{fit};{rank};{part};{target};{flux}": mean_over(these, cells, flux) for flux in ("NEE", "GPP")}
    return found


def mean_over(totals: RunTotals, cells: np.ndarray, flux: str) -> np.ndarray:
    """Draws of the sum over the mapped period, gC m-2."""
    return totals.sum(flux, cells, np.arange(len(totals.months))) / totals.area[cells].sum()


def truth_of(world: World, target: str, place: tuple[int, int]) -> float:
    """True NEE of a target in the mapped year, gC m-2."""
    with xr.open_dataset(world.truth) as truth:
        year = truth["NEE_map"].sum("month", skipna=False).values
        cover = truth["cover"].values[truth["parcel"].values]
    if target == "pixel":
        return float(year[place])
    return float(np.nanmean(year[cover == cover[place]] if target == "plant type" else year))


def compared(seed: int, draws: Mapping[str, np.ndarray]) -> Iterator[dict]:
    """Expected and found reduction of the sd of NEE of each target: rows of one world.

    The sd without the tower is that of both fits without it, and so is what is expected.
    """
    for fit in (*RANKS, EARLIER):
        rank = RANKS[0] if fit == EARLIER else fit
        for part in PARTS:
            for target in TARGETS:
                if (after := draws.get(f"{fit};{rank};{part};{target};NEE")) is None:
                    continue
                of = lambda one, what, flux, r=rank, p=part: draws[f"{one};{r};{p};{what};{flux}"].astype(float)  # noqa: E731
                shares = [expected(of(one, target, "NEE"), of(one, "pixel", "NEE"), of(one, "pixel", "GPP"), DAYS)[0] for one in WITHOUT]
                sds = [of(one, target, "NEE").std(ddof=1) for one in WITHOUT]
                before, truth = float(np.mean(np.square(sds)) ** 0.5), float(draws[f"truth;{rank};{target}"])
                yield {
                    "world": seed, "fit": fit, "plant_type": str(draws["plant_types"][RANKS.index(rank)]), "part": part, "target": target,
                    "before": before, "after": after.std(ddof=1), "expected": np.mean(shares), "found": 1.0 - after.std(ddof=1) / before,
                    "chance": np.log(sds[1] / sds[0]), "z after": (truth - after.mean()) / after.std(ddof=1),
                    "z before": np.mean([(truth - of(one, target, "NEE").mean()) / before for one in WITHOUT]),
                }  # fmt: skip


def report(table: pd.DataFrame) -> str:
    """The tables of the note."""
    lines = ["| refit with a tower at the | target | worlds | sd before | after | expected reduction | found | found - expected (90 %) |"]
    lines += ["|" + "---|" * 8]
    for part in PARTS:
        lines += [f"| **{part}** |" + " |" * 7]
        for (fit, target), rows in table[table.part == part].groupby(["fit", "target"], sort=False):
            lines.append(
                f"| {fit} | {target} | {len(rows)} | {rows.before.mean():.0f} | {rows.after.mean():.0f} "
                f"| {100 * rows.expected.mean():.0f} % | {100 * rows.found.mean():.0f} % | {interval(rows.found - rows.expected)} |"
            )
    whole = table[table.part == PARTS[0]]
    lines += ["", "| NEE off the truth, in sd | target | root mean square before | after |", "|---|---|---|---|"]
    for (fit, target), rows in whole.groupby(["fit", "target"], sort=False):
        before, after = ((rows[f"z {name}"] ** 2).mean() ** 0.5 for name in ("before", "after"))
        lines.append(f"| {fit} | {target} | {before:.2f} | {after:.2f} |")
    lines += ["", "| world | plant types at the best, middle, worst | expected of the region | found |", "|---|---|---|---|"]
    for seed, rows in whole[(whole.target == TARGETS[0]) & (whole.fit != EARLIER)].groupby("world"):
        shares = (", ".join(f"{100 * one:.0f}" for one in rows[name]) for name in ("expected", "found"))
        lines.append(f"| {seed} | {', '.join(rows.plant_type)} | {' % | '.join(shares)} % |")
    chance = 100 * (whole.groupby(["world", "target"]).chance.mean() ** 2).mean() ** 0.5
    lines += ["", f"The sds of two fits to the same twelve towers, with other random numbers: {chance:.0f} % apart."]
    return "\n".join(lines) + "\n"


def interval(difference: pd.Series) -> str:
    """Mean over worlds and its 90 % interval, in percentage points."""
    mean, number = 100 * difference.mean(), len(difference)
    if number < 2:
        return f"{mean:+.0f}"
    half = 100 * difference.std(ddof=1) / number**0.5 * student.ppf(0.95, number - 1)
    return f"{mean:+.0f} ({mean - half:+.0f} to {mean + half:+.0f})"


if __name__ == "__main__":
    main()
