"""Figures of the page as inline SVG: each takes arrays, draws one panel and returns its text. Units and sign on every axis."""

from __future__ import annotations

import numpy as np

from hybridflux.report.style import ACCENT, FAINT, FLUX_COLOURS, INK, MUTED, NEE, TRUTH, figure, plain_units, to_svg
from hybridflux.vocabulary import PLANT_TYPE_NAMES, PLANT_TYPES, Parameter

DAILY = plain_units("gC m-2 d-1")
MONTHS = "JFMAMJJASOND"
ONE_DRAW = "a single draw, no interval"
FEW = 30  # draws below which marks are drawn instead of a density


def seasonal_cycle(
    title: str, days: np.ndarray, bands: dict[str, np.ndarray], limits: tuple[float, float], true_days=None, truth: dict | None = None,
    width: float = 3.6,
) -> str:  # fmt: skip
    """Fluxes over time with 90 % bands.

    Args:
        title: land cover of the means.
        days: `datetime64[D]` `[step]`.
        bands: flux -> draws `[step, draw]`, gC m-2 d-1.
        limits: limits of the flux axis.
        true_days: `datetime64[D]` `[month]`.
        truth: flux -> known values `[month]`, gC m-2 d-1.
        width: of the panel, inches.
    """
    with figure(width, 2.3) as (drawn, ax):
        ax.axhline(0, color=FAINT, linewidth=0.8)
        for flux, draws in bands.items():
            low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=1)
            colour = FLUX_COLOURS[flux]
            ax.fill_between(days, low, high, color=colour, alpha=0.22, linewidth=0)
            ax.plot(days, middle, color=colour, linewidth=1.6)
            if truth:
                ax.plot(true_days, truth[flux], "o", color=TRUTH, markersize=2.6, markeredgewidth=0)
        date_axis(ax, days)
        margin = np.timedelta64(8, "D")
        ax.set_xlim(days[0] - margin, days[-1] + margin)
        ax.set_ylabel(DAILY)
        ax.set_ylim(limits)
        ax.set_title(title[0].upper() + title[1:], fontweight="bold")
        return to_svg(drawn, f"GPP, RECO and NEE over time, {title}")


def tower_fit(site: str, cover: str, days, observed: np.ndarray, draws: np.ndarray) -> str:
    """Measured daily NEE of a tower with 50 % and 90 % predictive bands.

    Args:
        site: name of the site.
        cover: plant type code of the site.
        days: `datetime64[D]`, `[time]`.
        observed: NEE `[time]`, NaN where nothing was measured, gC m-2 d-1.
        draws: predictive draws `[draw, time]`, gC m-2 d-1.
    """
    with figure(4.8, 2.3) as (drawn, ax):
        low, lower, middle, upper, high = np.quantile(draws, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        ax.axhline(0, color=FAINT, linewidth=0.8)
        ax.fill_between(days, low, high, color=NEE, alpha=0.16, linewidth=0)
        ax.fill_between(days, lower, upper, color=NEE, alpha=0.28, linewidth=0)
        ax.plot(days, middle, color=NEE, linewidth=0.9)
        ax.plot(days, observed, "o", color=INK, markersize=1.9, markeredgewidth=0)
        seen = np.isfinite(observed)
        inside = np.mean((observed[seen] >= low[seen]) & (observed[seen] <= high[seen])) if seen.any() else np.nan
        date_axis(ax, days)
        ax.set_ylabel(f"NEE, {DAILY}")
        ax.set_title(f"{site}, {PLANT_TYPE_NAMES.get(cover, cover)}: {inside:.0%} inside", fontweight="bold")
        return to_svg(drawn, f"Measured and predicted NEE at {site}")


def prior_posterior(name: str, row: Parameter, prior: np.ndarray, posterior: np.ndarray, truth: float | None = None) -> str:
    """Densities of one parameter before and after the fit; `[draw]` each, in the units of the parameter."""
    with figure(2.9, 1.9) as (drawn, ax):
        low, high = np.quantile(np.concatenate([prior, posterior]), [0.005, 0.995])
        grid = np.linspace(max(low, row.lower), min(high, row.upper), 160)
        for draws, colour, alpha in ((prior, MUTED, 0.18), (posterior, ACCENT, 0.4)):
            if len(draws) < FEW:
                ax.plot(np.repeat(draws, 3), np.tile([0.0, 0.25 * ax.get_ylim()[1], np.nan], len(draws)), color=colour, linewidth=1.4)
                continue
            height = density(draws, grid)
            ax.fill_between(grid, height, color=colour, alpha=alpha, linewidth=0)
            ax.plot(grid, height, color=colour, linewidth=1.2)
        if truth is not None:
            ax.axvline(truth, color=TRUTH, linewidth=1.3, linestyle=(0, (3, 2)))
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_ylim(0)
        _parameter_labels(ax, name, row.units, f"contraction {contraction(prior, posterior):.0%}" if len(posterior) > 1 else ONE_DRAW)
        return to_svg(drawn, f"Prior and posterior of {name}")


def class_intervals(
    name: str, row: Parameter, classes: list[int], prior: np.ndarray, posterior: np.ndarray, truth: dict[int, float] | None = None
) -> str:
    """50 % and 90 % intervals of a parameter per plant type, prior behind posterior; draws `[draw, plant_type]`."""
    with figure(2.9, 0.95 + 0.24 * len(classes)) as (drawn, ax):
        for line, index in enumerate(reversed(classes)):
            for draws, colour, lift, alpha in ((prior, MUTED, 0.14, 0.6), (posterior, ACCENT, -0.14, 1.0)):
                low, lower, middle, upper, high = np.quantile(draws[:, index], [0.05, 0.25, 0.5, 0.75, 0.95])
                ax.plot([low, high], [line + lift] * 2, color=colour, linewidth=1.0, alpha=alpha)
                ax.plot([lower, upper], [line + lift] * 2, color=colour, linewidth=3.2, alpha=alpha, solid_capstyle="butt")
                ax.plot([middle], [line + lift], "o", color=colour, markersize=3.4)
            if truth and index in truth:
                ax.plot([truth[index]] * 2, [line - 0.4, line + 0.4], color=TRUTH, linewidth=1.4)
        ax.set_yticks(range(len(classes)), [PLANT_TYPES[index] for index in reversed(classes)])
        ax.set_ylim(-0.6, len(classes) - 0.4)
        contractions = [contraction(prior[:, index], posterior[:, index]) for index in classes]
        note = f"contraction {min(contractions):.0%} to {max(contractions):.0%}" if len(posterior) > 1 else ONE_DRAW
        _parameter_labels(ax, name, row.units, note)
        return to_svg(drawn, f"Prior and posterior of {name} per plant type")


def contraction(prior: np.ndarray, posterior: np.ndarray) -> float:
    """Share of the prior variance that the towers removed, 0 to 1.

    >>> contraction(np.array([-2.0, 2.0]), np.array([-1.0, 1.0]))
    0.75
    """
    return float(np.clip(1.0 - posterior.var() / max(prior.var(), 1e-30), 0.0, 1.0))


def density(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Gaussian kernel density of draws `[draw]` on a grid `[point]`, bandwidth by Silverman's rule."""
    robust_sd = min(draws.std(), np.subtract(*np.quantile(draws, [0.75, 0.25])) / 1.349) or draws.std()
    width = max(0.9 * robust_sd * len(draws) ** -0.2, 1e-3 * np.ptp(grid), 1e-12)
    return np.exp(-0.5 * ((grid[:, None] - draws) / width) ** 2).mean(1) / (width * np.sqrt(2 * np.pi))


def _parameter_labels(ax, name: str, units: str, note: str) -> None:
    """Title of `light_use_efficiency` or `noise_floor.nee_night` in words, and the units."""
    parameter, _, of = name.partition(".")
    ax.set_xlabel("no unit" if units == "1" else plain_units(units))
    words = parameter.replace("_", " ") + (f" of {of.replace('_', ' ')}" if of else "")
    ax.set_title(f"{words}\n{note}", fontsize=9)


def date_axis(ax, days: np.ndarray) -> None:
    """Initials of months, or years where there are more than two."""
    first, last = days[0].astype("datetime64[M]"), days[-1].astype("datetime64[M]")
    months = np.arange(first, last + np.timedelta64(1, "M"))
    number = months.astype(int) % 12
    if len(months) <= 26:
        shown = months[:: 1 if len(months) <= 13 else 2]
        ax.set_xticks(shown.astype("datetime64[D]") + np.timedelta64(14, "D"), [MONTHS[month] for month in shown.astype(int) % 12])
        ax.tick_params(axis="x", length=0)
        ax.set_xlabel(str(first)[:4] if str(first)[:4] == str(last)[:4] else f"{first} to {last}")
    else:
        ax.set_xticks(months[number == 0].astype("datetime64[D]"), [str(month)[:4] for month in months[number == 0]])
        ax.set_xlabel("year")
