"""Figures of towers: whole records, residuals over the year, response curves, with and without a site. Units and sign on every axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hybridflux.evaluate.responses import Response
from hybridflux.report.figures import DAILY, MONTHS, date_axis
from hybridflux.report.style import ACCENT, FAINT, FLUX_COLOURS, INK, MUTED, NEE, figure, plain_units, to_svg
from hybridflux.vocabulary import PLANT_TYPE_NAMES, VARIABLES

DRIVER_NAMES = {
    "par": "light, PAR", "tair": "air temperature", "vpd": "VPD", "rew": "relative soil water", "lswi": "LSWI", "nirv": "greenness, NIRv",
    "fapar": "greenness, fapar",
}  # fmt: skip
CORNER_STYLES = ((ACCENT, "-"), (INK, "--"))  # of dry and hot days, of wet and cool ones
FACTOR_STYLES = ("-", "--", "-.", ":")
BAND = 0.16  # opacity of a 90 % band
RUG = 40  # most marks of days below a curve


def record(site: str, cover: str, months: np.ndarray, observed: dict[str, np.ndarray], draws: dict[str, np.ndarray]) -> str:
    """Monthly means of the whole record, observed and modelled, with 90 % predictive bands.

    Args:
        site: its name.
        cover: its plant type code.
        months: first day of each scored month `[month]`, `datetime64[D]`.
        observed: flux -> monthly means `[month]` of the measured days, gC m-2 d-1.
        draws: flux -> predictive draws `[draw, month]` of the same days.
    """
    whole = np.arange(months[0].astype("datetime64[M]"), months[-1].astype("datetime64[M]") + 1)
    at = np.searchsorted(whole, months.astype("datetime64[M]"))
    middle = whole.astype("datetime64[D]") + 14

    def with_gaps(values):  # a gap of the record is a gap of the line
        out = np.full((*values.shape[:-1], len(whole)), np.nan)
        out[..., at] = values
        return out

    with figure(4.8, 2.3) as (drawn, ax):
        ax.axhline(0, color=FAINT, linewidth=0.8)
        for flux, values in draws.items():
            low, centre, high = with_gaps(np.quantile(values, [0.05, 0.5, 0.95], axis=0))
            colour = FLUX_COLOURS[flux]
            ax.fill_between(middle, low, high, color=colour, alpha=BAND, linewidth=0)
            ax.plot(middle, centre, color=colour, linewidth=1.1)
            ax.plot(middle, with_gaps(observed[flux]), "o", color=colour, markersize=2.2, markeredgewidth=0)
        date_axis(ax, middle)
        ax.set_ylabel(DAILY)
        ax.set_title(f"{site}, {PLANT_TYPE_NAMES.get(cover, cover)}: monthly means", fontweight="bold")
        return to_svg(drawn, f"Monthly means of GPP, RECO and NEE at {site}, observed and modelled")


def residual_season(title: str, flux: str, rows: pd.DataFrame) -> str:
    """Mean residual of each month of the year: a thin line for each site, a thick one for their mean.

    Args:
        title: common property of the sites.
        flux: NEE, GPP or RECO.
        rows: columns `site`, `month` (1 to 12), `residual` (observed - modelled, gC m-2 d-1).
    """
    wide = rows.pivot(index="month", columns="site", values="residual").reindex(range(1, 13))
    colour = FLUX_COLOURS[flux]
    with figure(3.2, 2.2) as (drawn, ax):
        ax.axhline(0, color=MUTED, linewidth=0.9, linestyle="--")
        ax.plot(wide.index, wide.to_numpy(), color=colour, linewidth=0.7, alpha=0.4)
        ax.plot(wide.index, wide.mean(axis=1), color=colour, linewidth=2.0, marker="o", markersize=2.6)
        ax.set_xticks(range(1, 13), MONTHS)
        ax.tick_params(axis="x", length=0)
        ax.set_ylabel(f"{flux} obs. − model,\n{DAILY}")
        ax.set_title(f"{title}\n{wide.shape[1]} site{'s' if wide.shape[1] > 1 else ''}", fontsize=9, fontweight="bold")
        return to_svg(drawn, f"Residuals of {flux} by month, {title}")


def response_curve(response: Response) -> str:
    """GPP and RECO along a driver with 90 % bands over draws; shaded outside the range of the towers of the plant type."""
    lines = [(flux, response.flux[flux.lower()], FLUX_COLOURS[flux], "-") for flux in ("GPP", "RECO")]
    title = PLANT_TYPE_NAMES[response.plant_type]
    return _along(response, lines, title, DAILY, [(response.rug, MUTED, 0.02)], f"Response of GPP and RECO to {_driver(response)}")


def corner_curves(corners: Sequence[Response]) -> str:
    """GPP along a driver at two corners of the data, with 90 % bands and the days of each below: the first solid, the second dashed."""
    lines, rugs = [], []
    for number, (one, (colour, dash)) in enumerate(zip(corners, CORNER_STYLES, strict=False)):
        lines.append((one.corner, one.flux["gpp"], colour, dash))
        rugs.append((one.rug, colour, 0.02 + 0.06 * number))
    words = " and ".join(one.corner for one in corners)
    return _along(corners[0], lines, PLANT_TYPE_NAMES[corners[0].plant_type], f"GPP, {DAILY}", rugs, f"GPP, {words}, {_driver(corners[0])}")


def factor_curves(response: Response) -> str:
    """The factors of GPP and RECO that move with a driver, with 90 % bands over draws."""
    lines = [
        (name.replace("_", " "), drawn, INK, FACTOR_STYLES[number % len(FACTOR_STYLES)])
        for number, (name, drawn) in enumerate(response.factors.items())
    ]
    rugs, title = [(response.rug, MUTED, 0.02)], PLANT_TYPE_NAMES[response.plant_type]
    return _along(response, lines, title, "factor", rugs, f"Factors along {_driver(response)}", named=True)


def _driver(response: Response) -> str:
    return f"{DRIVER_NAMES[response.driver]}, {response.plant_type}"


def _along(response: Response, lines, title: str, label: str, rugs, words: str, *, named: bool = False) -> str:
    """Lines (name, draws `[draw, point]`, colour, dash) along a driver with bands, and rugs (values, colour, height) of the days."""
    row, grid = VARIABLES[response.driver], response.grid
    with figure(2.9, 2.1) as (drawn, ax):
        for name, values, colour, dash in lines:
            low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
            ax.fill_between(grid, low, high, color=colour, alpha=0.25 if len(lines) < 3 else BAND, linewidth=0)
            ax.plot(grid, middle, color=colour, linewidth=1.5, linestyle=dash, label=name)
        for edges in ((grid[0], response.seen[0]), (response.seen[1], grid[-1])):
            if edges[1] > edges[0]:
                ax.axvspan(*edges, color=FAINT, alpha=0.45, linewidth=0)
        for values, colour, height in rugs:
            some = np.quantile(values, np.linspace(0, 1, min(len(values), RUG)))
            marks = {"color": colour, "markersize": 4, "markeredgewidth": 0.6, "transform": ax.get_xaxis_transform()}
            ax.plot(some, np.full(len(some), height), "|", **marks)
        ax.set_xlim(grid[0], grid[-1])
        ax.set_ylim(0)
        ax.set_xlabel(f"{DRIVER_NAMES[response.driver]}{'' if row.units == '1' else ', ' + plain_units(row.units).replace('degC', '°C')}")
        ax.set_ylabel(label)
        ax.set_title(title, fontsize=9, fontweight="bold")
        if named:
            ax.legend(fontsize=7)
        return to_svg(drawn, words)


def with_and_without(rows: pd.DataFrame) -> str:
    """NSE of daily NEE of each site, in the fit and left out of it.

    Args:
        rows: index site, columns `igbp`, `known`, `left_out`.
    """
    rows = rows.sort_values("left_out")
    with figure(5.6, 0.9 + 0.21 * len(rows)) as (drawn, ax):
        for line, (_, row) in enumerate(rows.iterrows()):
            ax.plot([row["left_out"], row["known"]], [line, line], color=FAINT, linewidth=1.6, zorder=1)
        ax.plot(rows["known"], range(len(rows)), "o", color=NEE, markersize=4.5, label="in the fit")
        ax.plot(rows["left_out"], range(len(rows)), "o", color=ACCENT, markersize=4.5, markerfacecolor="none", label="left out")
        ax.axvline(0, color=MUTED, linewidth=0.8, linestyle="--")
        ax.set_xlim(min(0.0, rows["left_out"].min(), rows["known"].min()) - 0.03, 1)
        ax.set_yticks(range(len(rows)), [f"{site} {igbp}" for site, igbp in zip(rows.index, rows["igbp"], strict=True)])
        ax.tick_params(axis="y", length=0, labelcolor=INK)
        ax.set_xlabel("NSE of daily NEE")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
        return to_svg(drawn, "NSE of daily NEE of each site, in the fit and left out of it")
