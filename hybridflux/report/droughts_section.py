"""Several drought ledgers side by side: what each season or scenario has lost by cause, and how they differ draw by draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.causes import CAUSES
from hybridflux.products.drought import ALL, NOT_SEPARABLE, RUN, changes_of, drought_record, drought_table
from hybridflux.products.drought_outputs import DroughtTotals
from hybridflux.products.totals import REGION, draws_of, file_of, read_totals, run_record
from hybridflux.report.drought_bars import UNIT, stacked, word
from hybridflux.report.drought_section import drought_section, signed
from hybridflux.report.markup import grid, paragraph, table
from hybridflux.report.style import interval, units


@dataclass(frozen=True)
class Season:
    """A ledger of the whole region.

    Attributes:
        label: of its folder and season.
        rows: of `drought_table`, of the region.
        change: (flux, cause) -> change `[draw]`, gC m-2.
        draws: what another ledger has in common whose draws are the same.
        usual: what was usual.
        process: whether process members alone were mapped.
    """

    label: str
    rows: pd.DataFrame
    change: Mapping[tuple[str, str], np.ndarray]
    draws: tuple
    usual: str
    process: bool

    @classmethod
    def of(cls, folder: Path) -> Season:
        """The ledger of a folder of `run_drought`."""
        record, run = drought_record(folder), folder / RUN
        rows, totals = drought_table(run), read_totals(file_of(run, DroughtTotals()))
        cells, months = np.arange(len(totals.area)), np.arange(len(totals.months))
        sums = {name.lower(): totals.sum(name, cells, months) / totals.area.sum() for name in totals.total}
        region = rows[(rows["zone"] == REGION) & (rows["land_cover"] == ALL)]
        label = f"{folder.name}, {region['period'].iloc[0].replace('..', ' to ')}"
        return cls(label, region, changes_of(sums), draws_of(run_record(run)), " ".join(record["usual"]), record["members"] == "process")

    def row(self, flux: str, cause: str) -> pd.Series:
        """The row of a flux and cause."""
        return self.rows[(self.rows["variable"] == flux) & (self.rows["cause"] == cause)].iloc[0]


def droughts_section(folders: str | Path | Sequence[str | Path]) -> str:
    """The section of one ledger or of several side by side: losses by cause as figures and a table, and differences to the first.

    Args:
        folders: written by `run_drought`.

    Raises:
        FileNotFoundError: one of them is not the folder of a ledger.
        ValueError: a folder is named twice.
    """
    paths = [Path(one) for one in ([folders] if isinstance(folders, str | Path) else folders)]
    if len(paths) == 1:
        return drought_section(paths[0])
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError(f"a ledger is named twice: {', '.join(map(str, paths))}; name each once")
    seasons = [Season.of(path) for path in paths]
    shared = len({season.draws for season in seasons}) == 1
    bars = {flux: [(one.label, one.rows[one.rows["variable"] == flux].set_index("cause")) for one in seasons] for flux in ("GPP", "NEE")}
    parts = [paragraph(_note(seasons), "note"), grid([stacked(bars[flux], flux) for flux in bars], "large")]
    parts.append(f"<h3>By cause, {units(UNIT)} of the season</h3>{_table(seasons)}")
    parts.append(f"<h3>GPP, less that of {escape(seasons[0].label)}, {units(UNIT)}</h3>{_differences(seasons, shared)}")
    parts.append(paragraph(
        "Differences are made draw by draw: what the draws disagree about in both cancels." if shared else
        "The ledgers do not share draws, so that differences have no interval.", "note",
    ))  # fmt: skip
    return "\n".join(parts)


def _note(seasons: Sequence[Season]) -> str:
    usual = {season.label: season.usual for season in seasons}
    what = "; ".join(f"{escape(label)}: <code>{escape(text)}</code>" for label, text in usual.items())
    together = [season.label for season in seasons if season.row("GPP", "soil_water")["separable"] == NOT_SEPARABLE]
    return (
        "Changes of the region in each season against the usual season of the same place. GPP: negative = uptake lost. NEE = RECO − GPP: "
        f"positive = lost to the atmosphere. Bars add up to the black mark, with the 90 % interval of the draws. Usual: {what}."
        + (f" The draws do not distinguish soil water from VPD, so read both together: {escape(', '.join(together))}." if together else "")
        + (" Mapped by the process members alone." if any(season.process for season in seasons) else "")
    )


def _table(seasons: Sequence[Season]) -> str:
    """A line for each ledger: what each cause took from GPP, all of it, and the change of NEE."""
    head = ["Season", *(word(cause) for cause in CAUSES), "GPP", "90 %", "of the usual", "NEE", "90 %"]
    lines: list[list[str] | str] = []
    for season in seasons:
        gpp, nee = season.row("GPP", ALL), season.row("NEE", ALL)
        lines.append([
            escape(season.label).replace(", ", "<br>", 1), *(signed(season.row("GPP", cause)["mean"]) for cause in CAUSES),
            signed(gpp["mean"]), interval(gpp["q05"], gpp["q95"]), f"{signed(gpp['percent'])} %",
            signed(nee["mean"]), interval(nee["q05"], nee["q95"]),
        ])  # fmt: skip
    return table(head, lines)


def _differences(seasons: Sequence[Season], shared: bool) -> str:
    """A line for each other ledger and cause."""
    first = seasons[0]
    lines: list[list[str] | str] = []
    for season in seasons[1:]:
        lines.append(escape(season.label))
        for cause in (ALL, *CAUSES):
            one, other = season.change["GPP", cause], first.change["GPP", cause]
            low, high = np.quantile(one - other, [0.05, 0.95]) if shared and len(one) > 1 else (np.nan, np.nan)
            name = "all" if cause == ALL else word(cause)
            lines.append([name, signed(one.mean() - other.mean()), interval(low, high)])
    return table(["Cause", "Mean", "90 % interval"], lines)
