"""Summers of drought: how far a summer departs from the others, observed and predicted, for the experiments E04 and E07."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridflux.data.towers import Towers
from hybridflux.evaluate.metrics import coverage, interval
from hybridflux.evaluate.seasons import month_of
from hybridflux.inference.posterior import Posterior
from hybridflux.model.sequences import Sequences

SUMMER = (6, 7, 8)
LEAST_DAYS, LEAST_YEARS = 45, 3  # observed days a summer needs; other summers it is compared with
DAYS_OF_SUMMER = 92


def seen_without_vegetation(towers: Towers, names: Iterable[str]) -> Sequences:
    """Sequences whose targets count on all days with known weather, also where FPAR has ended and its mean course stands in."""
    wanted = {*names} - {"day_of_year"}
    weather = towers.sequences({name for name in wanted if not name.startswith("fapar")})
    return replace(towers.sequences(wanted), targets=weather.targets)


def summer_anomalies(
    posterior: Posterior, sequences: Sequences, years: Sequence[int] | None, draws: int, seed: int, discrepancy: bool = False
) -> pd.DataFrame:
    """Summer sums minus the mean of the other summers of the site, observed and predicted over the same days.

    Args:
        posterior: predicts; its predictive draws give the intervals, those without noise the point.
        sequences: hold the observations.
        years: of the summers; all by default.
        draws: predictive draws.
        seed: of effects and noise.
        discrepancy: with what the draws get wrong at known places.

    Returns:
        Columns `site variable year observed predicted low high inside sd` (gC m-2 in 92 days; 90 % interval; whether it
        holds the observation, as 0 or 1; standard deviation of the other summers observed).
    """
    year = sequences.days.astype("datetime64[Y]").astype(int) + 1970
    summer = np.isin(month_of(sequences.days), SUMMER)
    thinned = posterior.thin(draws)
    rows = []
    for number, place in enumerate(sequences.places):
        here = sequences.select([place])
        observed = {name: here.targets[name][:, 0] for name in ("nee", "gpp")}
        if not any(len(full_summers(values, year, summer)) > LEAST_YEARS for values in observed.values()):
            continue
        key = jax.random.fold_in(jax.random.key(seed), number)
        exact, noisy = (
            thinned.simulate(here, key=key, noise=noise, variables=("nee", "gpp"), discrepancy=discrepancy) for noise in (False, True)
        )
        for name, values in observed.items():
            seen = full_summers(values, year, summer)
            if len(seen) <= LEAST_YEARS:
                continue
            point, spread = (np.asarray(each[name], float)[:, :, 0] for each in (exact, noisy))
            of_year = {y: [each[..., days].mean(axis=-1) for each in (values, point.mean(axis=0), spread)] for y, days in seen.items()}
            for one in seen if years is None else set(seen) & set(years):
                o, p, d = (
                    (of_year[one][part] - np.mean([of_year[other][part] for other in seen if other != one], axis=0)) * DAYS_OF_SUMMER
                    for part in range(3)
                )
                low, high = interval(np.sort(d), 0.9)
                sd = np.std([of_year[other][0] for other in seen if other != one], ddof=1) * DAYS_OF_SUMMER
                rows.append({"site": place, "variable": name.upper(), "year": one, "observed": o, "predicted": p, "low": low, "high": high,
                             "inside": coverage(np.array([o]), d[:, None], 0.9), "sd": sd})  # fmt: skip
    return pd.DataFrame(rows, columns=["site", "variable", "year", "observed", "predicted", "low", "high", "inside", "sd"])


def full_summers(observed: np.ndarray, year: np.ndarray, summer: np.ndarray) -> dict[int, np.ndarray]:
    """Year -> its observed days of summer, where there are enough of them."""
    days = {int(one): np.flatnonzero(summer & (year == one) & np.isfinite(observed)) for one in np.unique(year)}
    return {one: found for one, found in days.items() if len(found) >= LEAST_DAYS}


def summers_of_drought(summers: pd.DataFrame, drawn: str) -> list[str]:
    """A table of summers of drought, and how often the sign of large anomalies is right.

    Args:
        summers: as `summer_anomalies` gives them, with a column `model`.
        drawn: model of the figure.
    """
    lines = ["", "## Summers", "",
             "June to August, sum over 92 days minus the mean of the other summers of the site (gC m-2), observed days alone, at least "
             f"{LEAST_DAYS} in a summer and {LEAST_YEARS} other summers;",
             "fitted without the drought days. NIRv and LSWI are those of the satellite. `sign right`: of sites whose anomaly is larger "
             f"than one standard deviation of their other summers. Figure `summers.png`: {drawn}.", "",
             "| year | flux | model | sites | observed mean | predicted mean | correlation over sites | RMSE | inside 90 % | sign right |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    together = summers.assign(year="both")
    for (year, flux, model), part in pd.concat([summers, together]).groupby(["year", "variable", "model"], sort=False):
        r = f"{np.corrcoef(part.observed, part.predicted)[0, 1]:.2f}" if len(part) > 2 else "-"
        rmse = np.sqrt(np.mean((part.predicted - part.observed) ** 2))
        large = part[part.observed.abs() > part.sd]
        right = int((np.sign(large.observed) == np.sign(large.predicted)).sum())
        lines.append(
            f"| {year} | {flux} | {model} | {len(part)} | {part.observed.mean():+.0f} | {part.predicted.mean():+.0f} "
            f"| {r} | {rmse:.0f} | {part.inside.mean():.2f} | {right} of {len(large)} |"
        )
    return lines


def draw_figure(summers: pd.DataFrame, events: Sequence[int], path: Path) -> None:
    """Observed and predicted anomaly of each site with its 90 % interval, a panel an event and flux."""
    figure, axes = plt.subplots(2, len(events), figsize=(6.5 * len(events), 8), squeeze=False, layout="constrained")
    for column, year in enumerate(events):
        for row, (flux, sign) in enumerate((("NEE", "positive to the atmosphere"), ("GPP", "uptake positive"))):
            axis = axes[row, column]
            part = summers[(summers.year == year) & (summers.variable == flux)].sort_values("observed").reset_index(drop=True)
            axis.axhline(0, color="0.7", lw=0.8)
            axis.vlines(part.index, part.low, part.high, color="tab:blue", alpha=0.35, lw=5, label="90 % interval")
            axis.plot(part.index, part.predicted, "_", color="tab:blue", ms=9, mew=2, label="predicted")
            axis.plot(part.index, part.observed, "o", color="black", ms=4, label="observed")
            axis.set_xticks(part.index, part.site, rotation=90, fontsize=8)
            axis.set(title=f"{flux}, {sign}, summer {year}{'' if len(part) else ': no site'}", ylabel="anomaly [gC m-2 in 92 days]")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
