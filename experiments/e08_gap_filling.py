"""E08 - How well is a daily vegetation series filled between clear views, and does it know how well?

Real Sentinel-2 NDVI of four places: Flanders (crops, Sen2Cor), Meuse (conifers and broadleaves with a clear-cut in winter 2018-19, MAJA),
Slovenia (forest and farmland, 2015-2017, few views), a Slovenian meadow (2021, mown several times, Sen2Cor). Clear views are held out:
one in ten at random, and all within 30 or 60 days of each pixel at dates of its own. Numbers of the process are learned without them.
`hybridflux.series.fill` stands beside a straight line, Savitzky-Golay (31 days, second order, on that line) and the Whittaker smoother
(second differences, one lambda a place by cross-validation), each on all clear views and on those that `fill` believed.

A drop is a fall of more than 0.2 between two clear views at most 12 days apart: the lower of the two views before lies above the highest
of the three from then on. Where does the filled series, all views given, cross the middle, and how much of the fall does it keep?

    python experiments/e08_gap_filling.py --data ../shared/data/eo --out runs/e08
    python experiments/e08_gap_filling.py --data ../shared/data/eo --out runs/e08_smoke --smoke

About four minutes on one busy core; `--smoke` half of one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hybridflux.machine import prepare

prepare()

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import rasterio  # noqa: E402
import xarray as xr  # noqa: E402
from scipy.linalg import solveh_banded  # noqa: E402
from scipy.ndimage import binary_dilation  # noqa: E402
from scipy.signal import savgol_filter  # noqa: E402

from hybridflux.provenance import provenance  # noqa: E402
from hybridflux.series import Daily, fill, learn  # noqa: E402

SEED = 8
CLEAR = (4, 5, 6)  # Sen2Cor scene classes: vegetation, bare soil, water
RIM = 2  # pixels a mask grows by
WINDOW = 31  # days of Savitzky-Golay
LAMBDAS = 10.0 ** np.arange(0, 7)
GAPS = (30, 60)
SHARE = 0.1  # of the views, held out at random
DROP, CLOSE = 0.2, 12  # NDVI; days between the views on both sides
Z50, Z90 = 0.6745, 1.6449
FULL = {"pixels": 1200}
SMOKE = {"pixels": 50}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with flanders_s2, meuse_theia and gapfill")
    parser.add_argument("--out", type=Path, default=Path("runs/e08"))
    parser.add_argument("--smoke", action="store_true", help="few pixels, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, SMOKE if arguments.smoke else FULL)


def run(data: Path, out: Path, size: dict) -> None:
    """All places, the tables and the figure."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    scores, drops, priors, shown, felled = [], [], {}, {}, pd.DataFrame()
    for name, read in PLACES.items():
        dates, values = read(data)
        everywhere = values
        chosen = np.random.default_rng(SEED).permutation(values.shape[1])[: size["pixels"]]
        when, values = (dates - dates[0]).astype(int), values[:, chosen]
        days = int(when[-1]) + 1
        process = learn(values, when, days)
        full = fill(values, when, days, process=process)
        priors[name] = asdict(process) | {
            "left_out": 1 - float(full.used.sum() / np.isfinite(values).sum()),
            "shared": shared_error(values, when, days, full),
        }
        smoothness = cross_validated(values, when, days)
        scores += [{"place": name, **row} for row in held_out(values, when, days, full, smoothness)]
        kept = sharpness(values, when, days, full, smoothness)
        drops += [{"place": name, **row} for row in kept]
        if name == "Meuse":
            felled = felling(everywhere, dates, process, smoothness)
        shown[name] = dates[0], values, when, full, smoothness
        print(f"{name}: {values.shape[1]} pixels, {len(when)} dates, {time.perf_counter() - began:.0f} s", flush=True)
    scores, drops = pd.DataFrame(scores), pd.DataFrame(drops)
    scores.to_csv(out / "scores.csv", index=False)
    drops.to_csv(out / "drops.csv", index=False)
    draw_figure(shown, out / "series.png")
    (out / "priors.json").write_text(json.dumps(priors, indent=1))
    text = report(scores, drops, felled, priors, size)
    (out / "results.md").write_text(text)
    (out / "run.json").write_text(json.dumps({**provenance({"size": size}, SEED), "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def index(red: np.ndarray, near: np.ndarray, unclear: np.ndarray) -> np.ndarray:
    """NDVI `[view, pixel]`, NaN where the grown mask, or a surface too dark to tell, hides it."""
    hidden = np.stack([binary_dilation(one, iterations=RIM) for one in unclear]) | (red + near < 0.02)
    red = np.maximum(red, 0.0)
    return np.where(hidden, np.nan, (near - red) / np.maximum(red + near, 1e-3)).astype(np.float32).reshape(len(red), -1)


def flanders(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dates and NDVI of the patch in Flanders."""
    fine, coarse = (
        xr.open_dataset(next((data / "flanders_s2").glob(f"S2_L2A_{size}m*.nc")), engine="h5netcdf", mask_and_scale=False)
        for size in (10, 20)
    )
    label = np.kron(coarse["SCL"].values, np.ones((1, 2, 2), np.uint8))
    red, near = (fine[band].values * np.float32(1e-4) for band in ("B04", "B08"))
    return fine["timestamp"].values.astype("datetime64[D]"), index(red, near, ~np.isin(label, CLEAR))


def meuse(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dates and NDVI of the forest at the Meuse; near infrared and clouds are those of 20 m pixels."""
    folders = sorted((data / "meuse_theia").glob("SENTINEL2*"), key=lambda folder: folder.name.split("_")[1])

    def stack(path: str, times: int) -> np.ndarray:
        layers = [rasterio.open(folder / path.format(folder.name)).read(1) for folder in folders]
        return np.kron(np.stack(layers), np.ones((1, times, times), layers[0].dtype))

    red, near = stack("{}_FRE_B4.tif", 1), stack("{}_FRE_B8A.tif", 2)
    unclear = (stack("MASKS/{}_CLM_R2.tif", 2) != 0) | (red == -10000) | (near == -10000)
    days = [folder.name[11:19] for folder in folders]
    dates = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in days], "datetime64[D]")
    return dates, index(red * np.float32(1e-4), near * np.float32(1e-4), unclear)


def slovenia(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dates and NDVI of the patch in Slovenia, as computed by its producer."""
    with np.load(data / "gapfill" / "slovenia_ndvi_cloud_2015_2017.npz") as file:
        dates, ndvi = file["time"].astype("datetime64[D]"), file["ndvi"] * np.float32(1e-4)
        unclear = (file["cloud_mask"] == 1) | (file["is_valid"] == 0) | (ndvi < -1)
    return dates, index((1 - ndvi) / 2, (1 + ndvi) / 2, unclear)


def meadow(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dates and NDVI of a Slovenian meadow and its surroundings in 2021."""
    with xr.open_dataset(data / "gapfill" / "slovenia_meadow_s2_2021.nc", engine="h5netcdf") as file:
        red, near = (np.nan_to_num(file[band].values.astype(np.float32) * np.float32(1e-4)) for band in ("B04", "B08"))
        return file["t"].values.astype("datetime64[D]"), index(red, near, ~np.isin(file["SCL"].values, CLEAR))


PLACES = {"Flanders": flanders, "Meuse": meuse, "Slovenia": slovenia, "meadow": meadow}


def line(values: np.ndarray, when: np.ndarray, days: int) -> np.ndarray:
    """Straight lines between views `[time, pixel]`, constant at the ends."""
    every, clear = np.arange(days), np.isfinite(values)
    columns = [np.interp(every, when[seen], pixel[seen]) if seen.any() else np.full(days, np.nan)
               for pixel, seen in zip(values.T, clear.T, strict=True)]  # fmt: skip
    return np.stack(columns, axis=1)


def savitzky_golay(values: np.ndarray, when: np.ndarray, days: int) -> np.ndarray:
    """A parabola over `WINDOW` days of the straight lines `[time, pixel]`."""
    return savgol_filter(line(values, when, days), WINDOW, 2, axis=0)


def whittaker(smoothness: float) -> Callable:
    """The smoother of Eilers 2003 (10.1021/ac034173t) with second differences, of the views on daily steps."""

    def smooth(values: np.ndarray, when: np.ndarray, days: int) -> np.ndarray:
        second = np.diff(np.eye(days), 2, axis=0)
        penalty = smoothness * (second.T @ second)
        bands = np.stack([np.pad(np.diagonal(penalty, k), (k, 0)) for k in (2, 1, 0)])
        out = np.full((days, values.shape[1]), np.nan)
        for pixel, seen in enumerate(np.isfinite(values).T):
            if seen.sum() > 1:
                system, right = bands.copy(), np.zeros(days)
                np.add.at(system[2], when[seen], 1.0)
                np.add.at(right, when[seen], values[seen, pixel])
                out[:, pixel] = solveh_banded(system, right, check_finite=False)
        return out

    return smooth


def cross_validated(values: np.ndarray, when: np.ndarray, days: int) -> float:
    """The lambda that best predicts one view in ten of up to 200 pixels."""
    few = values[:, :200]
    held = np.isfinite(few) & (np.random.default_rng(SEED + 1).random(few.shape) < SHARE)
    given = np.where(held, np.nan, few)
    view, pixel = np.nonzero(held)
    errors = [np.nanmean((whittaker(one)(given, when, days)[when[view], pixel] - few[held]) ** 2) for one in LAMBDAS]
    return float(LAMBDAS[int(np.argmin(errors))])


def competitors(smoothness: float) -> dict[str, Callable]:
    """The other ways to fill, by name."""
    return {"straight line": line, "Savitzky-Golay": savitzky_golay, "Whittaker": whittaker(smoothness)}


def held_out(values, when, days, full: Daily, smoothness) -> list[dict]:
    """Errors at views that were kept from every method, learning of the numbers included."""
    rng, clear = np.random.default_rng(SEED + 2), np.isfinite(values)
    masks = {"random": rng.random(values.shape) < SHARE}
    for length in GAPS:
        first = rng.integers(length // 2, days - 3 * length // 2, values.shape[1])
        masks[f"{length} days"] = (when[:, None] >= first) & (when[:, None] < first + length)
    rows = []
    for what, mask in masks.items():
        held, given = mask & clear, np.where(mask, np.nan, values)
        filled = fill(given, when, days, process=learn(given, when, days))
        series = {"hybridflux": filled.mean}
        for name, method in competitors(smoothness).items():
            series[name] = method(given, when, days)
            series[f"{name}, cleaned"] = method(np.where(filled.used, given, np.nan), when, days)
        for name, daily in series.items():
            sd = np.hypot(filled.sd[when], filled.view_sd) if name == "hybridflux" else None
            rows.append({"held_out": what, "method": name, **errors(values, daily[when], held, full.used, sd)})
    return rows


def errors(values, predicted, held, used, sd) -> dict:
    """Scores of held-out views; `clean` are those that look like no cloud when all views are given."""
    held = held & np.isfinite(predicted)
    miss = values[held] - predicted[held]
    clean = miss[used[held]]
    row = {"views": len(miss), "rmse": np.sqrt(np.mean(miss**2)), "rmse_clean": np.sqrt(np.mean(clean**2)), "bias_clean": clean.mean()}
    if sd is None:
        return row
    z, z_clean = np.abs(miss / sd[held]), np.abs(clean / sd[held][used[held]])
    return row | {"cover50": (z < Z50).mean(), "cover90": (z < Z90).mean(), "cover50_clean": (z_clean < Z50).mean(),
                  "cover90_clean": (z_clean < Z90).mean(), "mean_sd": sd[held].mean()}  # fmt: skip


def find_falls(values: np.ndarray, when: np.ndarray) -> list[tuple[int, int, int]]:
    """Drops as the head of this file defines them: pixel, last high view, first low view."""
    found = []
    for pixel, seen in enumerate(np.isfinite(values).T):
        views = np.flatnonzero(seen)
        series = values[views, pixel]
        for i in range(2, len(views) - 2):
            fall = series[i - 2 : i].min() - series[i : i + 3].max()
            if fall > DROP and 0 < when[views[i]] - when[views[i - 1]] <= CLOSE:
                found.append((pixel, views[i - 1], views[i]))
    return found


def sharpness(values, when, days, full: Daily, smoothness) -> list[dict]:
    """For every drop and method: days from the middle between the views to the crossing, and the share of the fall kept."""
    falls = find_falls(values, when)
    pixels = sorted({pixel for pixel, _, _ in falls})
    column = {pixel: i for i, pixel in enumerate(pixels)}
    series = {"hybridflux": full.mean[:, pixels]}
    for name, method in competitors(smoothness).items():
        series[name] = method(values[:, pixels], when, days)
    rows = []
    for pixel, high, low in falls:
        before, after = when[high], when[low]
        top, bottom = values[high, pixel], values[low, pixel]
        for name, daily in series.items():
            one = daily[:, column[pixel]]
            rows.append({"pixel": pixel, "method": name, "from": before, "to": after,
                         "late": crossing(one, 0.5 * (top + bottom), 0.5 * (before + after)), "half_gap": 0.5 * (after - before),
                         "kept": (one[before] - one[after]) / (top - bottom)})  # fmt: skip
    return rows


def crossing(series: np.ndarray, level: float, expected: float) -> float:
    """Days from `expected` to the nearest day at which a series falls through a level; NaN beyond 30 days."""
    at = np.flatnonzero((series[:-1] >= level) & (series[1:] < level))
    days = at + (series[at] - level) / (series[at] - series[at + 1]) - expected
    nearest = days[np.argmin(np.abs(days))] if len(days) else np.nan
    return nearest if abs(nearest) <= 30 else np.nan


def shared_error(values, when, days, full: Daily) -> float:
    """Share of the variance of errors in gaps of 30 days that all pixels have in common: that of the means of the dates."""
    gap = np.isin(when // GAPS[0] % 3, 1)  # a month of every three is hidden from all pixels
    given = np.where(gap[:, None], np.nan, values)
    filled = fill(given, when, days, process=learn(given, when, days))
    miss = np.where(full.used, values - filled.mean[when], np.nan)[gap]
    many = np.isfinite(miss).mean(1) > 0.2
    return float(np.nanvar(np.nanmean(miss[many], axis=1)) / np.nanvar(miss[many])) if many.sum() > 1 else float("nan")


def felling(values: np.ndarray, dates: np.ndarray, process, smoothness: float) -> pd.DataFrame:
    """When the series of the felled stand fall through the middle of the summers before and after, and the level they reach.

    Felled are pixels whose median of May to September fell by more than 0.25 from 2018 to 2019; views around the felling tell that it lies
    between November 2018 and April 2019.
    """
    years, months = dates.astype("datetime64[Y]").astype(int) + 1970, dates.astype("datetime64[M]").astype(int) % 12 + 1
    before, after = (np.nanmedian(values[(years == year) & (months >= 5) & (months <= 9)], axis=0) for year in (2018, 2019))
    stand = values[:, before - after > 0.25]
    middle, depth = (0.5 * (before + after))[before - after > 0.25], (before - after)[before - after > 0.25]
    when = (dates - dates[0]).astype(int)
    days = int(when[-1]) + 1
    axis = dates[0] + np.arange(days)
    summers = [(axis >= np.datetime64(f"{year}-05")) & (axis < np.datetime64(f"{year}-10")) for year in (2018, 2019)]
    window = (axis >= np.datetime64("2018-08-01")) & (axis < np.datetime64("2019-08-01"))
    series = {"hybridflux": fill(stand, when, days, process=process).mean}
    series |= {name: method(stand, when, days) for name, method in competitors(smoothness).items()}
    rows = []
    for name, daily in series.items():
        low = daily[window] < middle
        last_high = axis[window][len(low) - 1 - np.argmax(~low[::-1], axis=0)]
        kept = (np.median(daily[summers[0]], axis=0) - np.median(daily[summers[1]], axis=0)) / depth
        early, usual, late = np.sort(last_high)[[len(last_high) // 10, len(last_high) // 2, 9 * len(last_high) // 10]]
        inside = np.mean((last_high >= np.datetime64("2018-11-04")) & (last_high <= np.datetime64("2019-04-18")))
        days_told = {"p10": str(early)[:10], "median": str(usual)[:10], "p90": str(late)[:10]}
        rows.append({"method": name, "pixels": stand.shape[1], **days_told, "inside": inside, "kept": np.median(kept)})
    return pd.DataFrame(rows)


def report(scores: pd.DataFrame, drops: pd.DataFrame, felled: pd.DataFrame, priors: dict, size: dict) -> str:
    """The results as a Markdown page."""
    lines = [
        "# E08: daily NDVI between clear views", "",
        f"{size['pixels']} pixels of each place, drawn at random; seed {SEED}. Errors in NDVI, at held-out clear views; `clean`: without",
        "the views that `fill` rejects when it sees all (clouds that the mask missed, which no method can foresee). Coverage is of a view:",
        "the sd of the signal and that of a view together. `cleaned`: the method was given only the views that `fill` believed.",
        "Command: `python experiments/e08_gap_filling.py --data EO --out runs/e08`.", "",
        "| place | held out | method | views | RMSE | RMSE clean | bias clean | cover 50 | cover 90 | clean 50 | clean 90 | mean sd |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in scores.itertuples():
        columns = [row.cover50, row.cover90, row.cover50_clean, row.cover90_clean, row.mean_sd]
        columns = " | ".join("-" if np.isnan(one) else f"{one:.3f}" for one in columns)
        lines.append(f"| {row.place} | {row.held_out} | {row.method} | {row.views} | {row.rmse:.4f} | {row.rmse_clean:.4f} "
                     f"| {row.bias_clean:+.4f} | {columns} |")  # fmt: skip
    lines += [
        "", "## Drops", "",
        "`inside`: the series crosses the middle of the fall between the two views that hold it; `late`: days from the middle between",
        "these views to the crossing, median and mean of the absolute values; `kept`: median share of the fall that the series shows from",
        "the one view to the other.", "",
        "| place | method | drops | no crossing | inside | median late | mean absolute | kept |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (place, method), part in drops.groupby(["place", "method"], sort=False):
        inside = (part.late.abs() <= part.half_gap).mean()
        lines.append(f"| {place} | {method} | {len(part)} | {part.late.isna().sum()} | {inside:.2f} | {part.late.median():+.1f} "
                     f"| {part.late.abs().mean():.1f} | {part.kept.median():.2f} |")  # fmt: skip
    lines += [
        "", "## The felled stand at the Meuse", "",
        "Last day above the middle of the summers 2018 and 2019; `inside`: between 2018-11-04 and 2019-04-18, which the views leave open;",
        "`kept`: fall of the median of summer in the series, over that of the views.", "",
        "| method | pixels | 10 % | median | 90 % | inside | kept |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in felled.itertuples():
        lines.append(f"| {row.method} | {row.pixels} | {row.p10} | {row.median} | {row.p90} | {row.inside:.2f} | {row.kept:.2f} |")
    lines += [
        "", "## Numbers of the process", "",
        "`shared`: the part of the variance of errors in gaps of 30 days, hidden from all pixels at once, that lies between dates.", "",
        "| place | fast sd | fast days | slow sd | slow days | view sd | freedom | widening | views left out | shared |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for place, one in priors.items():
        lines.append(f"| {place} | {one['fast_sd']:.3f} | {one['fast_days']:.0f} | {one['slow_sd']:.3f} | {one['slow_days']:.0f} "
                     f"| {one['view_sd']:.3f} | {one['freedom']:.0f} | {one['widening']:.2f} | {one['left_out']:.3f} "
                     f"| {one['shared']:.2f} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def draw_figure(shown: dict, path: Path) -> None:
    """Three pixels of each place, those with the largest fall, the middle one and the least: views, filled series, 90 % interval."""
    figure, axes = plt.subplots(len(shown), 3, figsize=(15, 2.8 * len(shown)), squeeze=False, layout="constrained")
    for row, (name, (first, values, when, full, smoothness)) in zip(axes, shown.items(), strict=True):
        days = first + np.arange(len(full.mean))
        steepest = np.argsort(np.diff(full.mean, axis=0).min(0))
        for axis, pixel in zip(row, steepest[[0, len(steepest) // 2, -1]], strict=True):
            mean, sd, used = full.mean[:, pixel], full.sd[:, pixel], full.used[:, pixel]
            axis.fill_between(days, mean - Z90 * sd, mean + Z90 * sd, color="tab:green", alpha=0.25, lw=0)
            axis.plot(days, mean, color="tab:green", lw=1.2, label="hybridflux, 90 %")
            other = whittaker(smoothness)(values[:, [pixel]], when, len(days))
            axis.plot(days, other, color="tab:gray", lw=0.8, ls="--", label="Whittaker")
            axis.plot(days[when[used]], values[used, pixel], "k.", ms=4, label="clear view")
            axis.plot(days[when[~used]], values[~used, pixel], "rx", ms=5, label="rejected")
            axis.set(title=f"{name}, pixel {pixel}", ylim=(-0.1, 1.05), ylabel="NDVI [1]")
            axis.tick_params(axis="x", rotation=30, labelsize=8)
    axes[0, 0].legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
