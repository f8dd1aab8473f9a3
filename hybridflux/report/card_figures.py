"""Figures of the card: coverage against the nominal probability, and rank histograms."""

from __future__ import annotations

from collections.abc import Mapping

from hybridflux.evaluate.metrics import LEVELS
from hybridflux.report.style import ACCENT, FAINT, FLUX_COLOURS, MUTED, figure, to_svg

MARKS = {"day": ("o", "-"), "week": ("s", "--"), "month": ("^", "-."), "year": ("D", ":")}


def coverage_by_step(variable: str, rows: Mapping[str, Mapping | None], where: str = "") -> str:
    """Share of the observations inside central intervals against their probability, one line for each time step.

    Args:
        variable: flux.
        rows: step -> row of the card's `skill`, or None.
        where: which sites, for screen readers.
    """
    colour = FLUX_COLOURS.get(variable, ACCENT)
    with figure(4.8, 3.0) as (drawn, ax):
        ax.plot([40, 100], [40, 100], color=FAINT, linestyle="--", linewidth=1)
        for step, row in rows.items():
            if row is None or row["coverage90"] is None:
                continue
            mark, line = MARKS[step]
            inside = [100 * row[f"coverage{level}"] for level in LEVELS]
            ax.plot(LEVELS, inside, mark, linestyle=line, color=colour, markersize=4.5, linewidth=1.3, label=step)
        ax.set_xlim(45, 95)
        ax.set_xticks(LEVELS)
        ax.set_ylim(min(40, ax.get_ylim()[0]), 101)
        ax.set_xlabel("probability of the interval, %")
        ax.set_ylabel("observations inside, %")
        ax.set_title(f"{variable}: coverage of the intervals", fontweight="bold")
        ax.legend(loc="lower right")
        return to_svg(drawn, f"Coverage of intervals of {variable} at each time step {where}".strip())


def pit_bars(variable: str, counts: Mapping[str, list[int] | None], where: str = "") -> str:
    """Rank histograms, one panel for each time step; 1 is a calibrated tenth.

    Args:
        variable: flux.
        counts: step -> observations in each tenth of their predictive distribution, or None.
        where: which sites, for screen readers.
    """
    colour = FLUX_COLOURS.get(variable, ACCENT)
    shown = {step: tenths for step, tenths in counts.items() if tenths and sum(tenths)}
    with figure(4.8, 3.0, nrows=2, ncols=2, sharex=True) as (drawn, axes):
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        for ax, (step, tenths) in zip(axes.flat, shown.items(), strict=False):
            density = [count * len(tenths) / sum(tenths) for count in tenths]
            ax.bar([(at + 0.5) / len(tenths) for at in range(len(tenths))], density, 0.92 / len(tenths), color=colour, alpha=0.55)
            ax.axhline(1, color=MUTED, linestyle="--", linewidth=1)
            ax.set_xlim(0, 1)
            ax.set_ylim(0, max(2.0, 1.1 * max(density)))
            ax.set_title(f"{step}, n = {sum(tenths)}", fontsize=9)
        drawn.supxlabel("rank of the observation among the draws", fontsize=9, color=MUTED)
        drawn.suptitle(f"{variable}: PIT", fontweight="bold", fontsize=10, x=0.02, ha="left")
        return to_svg(drawn, f"Rank histograms of {variable} at each time step {where}".strip())
