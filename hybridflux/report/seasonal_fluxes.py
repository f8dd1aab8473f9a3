"""Fluxes of each land cover over the mapped period, from the daily series of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.products.totals import RunTotals, file_of
from hybridflux.region.outputs import DailySeries
from hybridflux.report.figures import seasonal_cycle
from hybridflux.report.markup import grid, legend, paragraph
from hybridflux.report.style import units
from hybridflux.vocabulary import FLUXES, PLANT_TYPE_NAMES

STEP = 10  # days in a mean, or a multiple of it where the run is so long that there would be more than
MOST_STEPS = 150  # means, which the page can hold
COVERS = 9
SMALLEST_SHARE = 0.003


@dataclass(frozen=True)
class CoverFluxes:
    """Fluxes of each land cover: means over its area.

    Attributes:
        days: middle of each step `[step]`, `datetime64[D]`.
        step: days in a mean.
        flux: land cover -> flux -> draws `[step, draw]`, gC m-2 d-1.
        share: land cover -> share of the area.
    """

    days: np.ndarray
    step: int
    flux: dict[str, dict[str, np.ndarray]]
    share: dict[str, float]

    @property
    def is_long(self) -> bool:
        """Whether more than two years are shown, which need wide panels."""
        return bool(np.ptp(self.days) > np.timedelta64(760, "D"))

    def minus(self, other: CoverFluxes) -> CoverFluxes:
        """Difference of two runs, draw by draw."""
        flux = {cover: {name: draws - other.flux[cover][name] for name, draws in draws_of.items()} for cover, draws_of in self.flux.items()}
        return CoverFluxes(self.days, self.step, flux, self.share)


def open_cover_fluxes(run: str | Path) -> CoverFluxes:
    """Means over ten days or more of the daily series of a run, largest land cover first.

    Raises:
        FileNotFoundError: as `file_of`.
        ValueError: as `file_of`.
    """
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(file_of(run, DailySeries())) as data:
        data = data.load()
    share = {str(cover): float(area) for cover, area in zip(data["plant_type"].values, data["area"].values, strict=True)}
    share = {cover: area / sum(share.values()) for cover, area in sorted(share.items(), key=lambda item: -item[1])}
    shown = [cover for cover in share if share[cover] >= SMALLEST_SHARE][:COVERS]
    step = step_of(data.sizes["time"])
    starts = np.arange(0, data.sizes["time"], step)
    count = np.diff([*starts, data.sizes["time"]])
    flux = {
        cover: {
            name: np.add.reduceat(data["series"].sel(flux=name, plant_type=cover).transpose("time", "draw").values, starts) / count[:, None]
            for name in FLUXES
        }
        for cover in shown
    }
    return CoverFluxes(data["time"].values.astype("datetime64[D]")[starts] + count // 2, step, flux, share)


def step_of(days: int) -> int:
    """Days in a mean.

    >>> step_of(365), step_of(1500), step_of(1501), step_of(20 * 365)
    (10, 10, 20, 50)
    """
    return STEP * max(-(-days // (STEP * MOST_STEPS)), 1)


def cycles(courses: CoverFluxes, truth: RunTotals | None = None) -> list[str]:
    """One figure per land cover, all on one scale, with true monthly means where they are known."""
    known = {cover: monthly_means(truth, cover) for cover in courses.flux} if truth is not None else {}
    values = [draws for fluxes in courses.flux.values() for draws in fluxes.values()]
    values += [means for fluxes in known.values() for means in fluxes.values()]
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    pad = 0.04 * (high - low)
    middle = truth.months.values.astype("datetime64[D]") + truth.days // 2 if truth is not None else None
    figures = []
    for cover, fluxes in courses.flux.items():
        title = f"{PLANT_TYPE_NAMES[cover]}, {courses.share[cover]:.0%}"
        limits = low - pad, high + pad
        figures.append(seasonal_cycle(title, courses.days, fluxes, limits, middle, known.get(cover), 5.4 if courses.is_long else 3.6))
    return figures


def monthly_means(totals: RunTotals, cover: str) -> dict[str, np.ndarray]:
    """Flux -> mean of a land cover, first draw `[month]`, gC m-2 d-1."""
    cells = totals.land_cover == cover
    return {flux: totals.total[flux][cells][..., 0].sum(0) / (totals.area[cells].sum() * totals.days) for flux in FLUXES}


def seasons_section(run: str | Path, spread: str, truth: RunTotals | None) -> str:
    """The section of the fluxes of each land cover over the mapped period."""
    entries = [("NEE = RECO − GPP, negative = uptake", "--nee", ""), ("GPP", "--gpp", ""), ("RECO", "--reco", "")]
    entries.append(("90 % of draws", "--muted", "band"))
    if truth is not None:
        entries.append(("known truth, months", "--truth", "dot"))
    courses = open_cover_fluxes(run)
    note = (
        f"Means over all pixels of a land cover and {courses.step} days, {units('gC m-2 d-1')}, same scale in every panel; with the share "
        f"of the area. Spread <code>{spread}</code>."
    )
    return paragraph(note, "note") + legend(*entries) + grid(cycles(courses, truth), "large" if courses.is_long else "")
