"""How fast series are filled, beside loops over pixels with statsmodels, a sparse Whittaker smoother and Savitzky-Golay.

All take turns in one process, so that what else runs on the machine slows all of them. They do not do the same: `fill` also looks for
clouds and drops (five more passes over the views) and gives a standard deviation; statsmodels smooths one local linear trend with given
variances and gives one too; the other two give a line. Every method is given as many pixels as it does in about a second.

    python benchmarks/bench_series.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time

import numpy as np
import present

from hybridflux.machine import prepare

DAYS, VIEWS, CLEAR = 730, 146, 0.45
WINDOW, SMOOTHNESS = 31, 1e3


def main() -> None:
    """Run everything and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    prepare()
    when, values = views(20_000)
    competitors = {
        "hybridflux.series.fill": (filled(), values[:, :16_384]),
        "statsmodels UnobservedComponents": (statsmodels_loop, values[:, :10]),
        "Whittaker, scipy.sparse": (whittaker_loop, values[:, :300]),
        "Savitzky-Golay, scipy": (savitzky_golay_loop, values[:, :2000]),
    }
    if not present.package("statsmodels", "statsmodels UnobservedComponents"):
        del competitors["statsmodels UnobservedComponents"]
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for run, given in competitors.values():
        run(given, when)  # compiles, warms up
    for _ in range(rounds):
        for name, (run, given) in competitors.items():
            began = time.perf_counter()
            run(given, when)
            seconds[name].append((time.perf_counter() - began) / given.shape[1])
    processor = platform.processor() or platform.machine()
    print(f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds}; {DAYS} days, {VIEWS} dates")
    print(f"{'':34s} {'M pixel-days / s':>17s} {'M pixel-dates / s':>18s} {'times slower':>13s}")
    fastest = statistics.median(seconds["hybridflux.series.fill"])
    for name, each in seconds.items():
        middle = statistics.median(each)
        print(f"{name:34s} {DAYS / middle / 1e6:17.4f} {VIEWS / middle / 1e6:18.4f} {middle / fastest:13.1f}")


def views(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up views every fifth day, some hidden by clouds: a season, pixels that differ, noise."""
    rng = np.random.default_rng(0)
    when = np.arange(0, DAYS, DAYS // VIEWS)[:VIEWS]
    season = 0.5 - 0.2 * np.cos(2 * np.pi * when / 365.25)[:, None]
    values = season + 0.1 * rng.standard_normal(pixels) + 0.03 * rng.standard_normal((VIEWS, pixels))
    return when, np.where(rng.random(values.shape) < CLEAR, values, np.nan).astype(np.float32)


def filled():
    """`fill` with typical numbers."""
    from hybridflux.series import SeriesProcess, fill

    process = SeriesProcess((0.5, -0.2, 0.0), fast_sd=0.1, fast_days=30.0, slow_sd=0.1, slow_days=1000.0, view_sd=0.03)
    return lambda values, when: fill(values, when, DAYS, process=process)


def statsmodels_loop(values: np.ndarray, when: np.ndarray) -> None:
    """Local linear trend of each pixel on daily steps, its variances given, mean and variance of the level."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    for pixel in values.T.astype(float):
        daily = np.full(DAYS, np.nan)
        daily[when] = pixel
        said = UnobservedComponents(daily, "local linear trend").smooth([9e-4, 1e-5, 1e-7])
        _ = said.smoothed_state[0], said.smoothed_state_cov[0, 0]


def whittaker_loop(values: np.ndarray, when: np.ndarray) -> None:
    """Penalised second differences of each pixel, one sparse solve each."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import spsolve

    second = diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(DAYS - 2, DAYS))
    penalty = SMOOTHNESS * (second.T @ second)
    for pixel in values.T:
        seen = np.isfinite(pixel)
        weight, right = np.zeros(DAYS), np.zeros(DAYS)
        weight[when[seen]], right[when[seen]] = 1.0, pixel[seen]
        spsolve((diags(weight) + penalty).tocsc(), right)


def savitzky_golay_loop(values: np.ndarray, when: np.ndarray) -> None:
    """A parabola over a month along straight lines between the views of each pixel."""
    from scipy.signal import savgol_filter

    every = np.arange(DAYS)
    for pixel in values.T:
        seen = np.isfinite(pixel)
        savgol_filter(np.interp(every, when[seen], pixel[seen]), WINDOW, 2)


if __name__ == "__main__":
    main()
