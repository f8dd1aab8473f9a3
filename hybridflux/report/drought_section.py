"""The drought ledger on the page: what a season has lost by cause, where, and when, as figures and a table."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.causes import CAUSES, LEAF_DRIVERS, change_name, greenness_by
from hybridflux.products.drought import ALL, NOT_SEPARABLE, PER, RUN, drought_record, drought_table
from hybridflux.products.drought_outputs import DroughtSeries
from hybridflux.products.totals import REGION, file_of
from hybridflux.report.budget_tables import place_name, shown_places, when
from hybridflux.report.drought_bars import BY_WATER, COLOURS, UNIT, stacked, word
from hybridflux.report.drought_classes_section import classes_sections
from hybridflux.report.markup import grid, paragraph, table
from hybridflux.report.style import FAINT, INK, figure, interval, number, plain_units, to_svg, units

STEP = 10  # days in a bar of the course, at least
BARS = 40  # of the course, at most: a ledger of many years has longer ones, so that the page does not grow with them
SIDE = 400  # pixels of a map, at most
LEAST = 1.0  # gC m-2: a pixel that lost less has no largest cause
GREENNESS_NOTE = (
    "What greenness changed of GPP, by what leaves followed: the response of NIRv to rain missing over some 90 days, and to warmth, light "
    "and dry air of the last month, fitted at towers to satellite views alone. The rest is harvest, mowing, sowing, late spring, legacies, "
    "and what these responses do not explain. Intervals hold the difference between places, so that they often cross 0."
)


def drought_section(folder: str | Path) -> str:
    """The section of a ledger: a sentence, losses by land cover, map, course, table, and what the ledger does not hold.

    Args:
        folder: written by `run_drought`.
    """
    record, rows = drought_record(folder), drought_table(Path(folder) / RUN)
    parts = [paragraph(headline(rows), "lead"), paragraph(_note(rows), "note")]
    parts.append(grid([losses(rows, "GPP"), losses(rows, "NEE")], "large"))
    parts.append(grid([largest_cause(Path(folder) / RUN), course(Path(folder) / RUN)], "large"))
    parts.append(f"<h3>GPP by cause, and NEE, {units(UNIT)} of the season</h3>{_table(rows)}")
    if record.get("greenness"):
        parts.append(f"<h3>GPP by greenness: what leaves followed, {units(UNIT)}</h3>{paragraph(GREENNESS_NOTE, 'note')}{_greenness(rows)}")
    parts.append(f"<h3>In relation to soil water</h3>{_water(rows)}")
    parts += classes_sections(folder)
    held = f" Taken as it was, because its usual year is not known: {escape(', '.join(record['held']))}." if record["held"] else ""
    parts.append(paragraph(f"Not in this ledger: {escape('; '.join(record['not_held']))}.{held}", "note"))
    parts.append(paragraph(_method(record), "note"))
    return "\n".join(parts)


def headline(rows: pd.DataFrame) -> str:
    """What happened, in two sentences of HTML."""
    gpp, nee = (_of(rows, flux) for flux in ("GPP", "NEE"))
    whole, causes = gpp[ALL], {cause: gpp[cause] for cause in CAUSES}
    first = min(causes, key=lambda cause: causes[cause]["mean"])
    verb = "took" if whole["mean"] < 0 else "added"
    text = (
        f"{when(whole['period'])}: against the usual season, this one {verb} <b>{number(abs(whole['mean']))} {units(UNIT)} of GPP</b> "
        f"({_span(whole, flip=whole['mean'] < 0)}), {number(abs(whole['percent']))} % of the usual, and NEE changed by "
        f"{signed(nee[ALL]['mean'])} ({interval(nee[ALL]['q05'], nee[ALL]['q95'])}; positive = lost to the atmosphere). "
    )
    if causes[first]["mean"] < 0:
        text += (
            f"<b>{CAUSES[first].words.capitalize()}</b> took most of it: {number(-causes[first]['mean'])} "
            f"({_span(causes[first], flip=True)}), the largest in {100 * causes[first]['largest']:.0f} % of the draws."
        )
    if BY_WATER in gpp and causes["greenness"]["mean"] < 0:
        part = gpp[BY_WATER]
        text += f" Of what greenness took, {number(-part['mean'])} ({_span(part, flip=True)}) went with leaves that followed missing rain."
    if causes["soil_water"]["separable"] == NOT_SEPARABLE:
        text += " The draws do not distinguish soil water from VPD: read both together."
    return text


def _note(rows: pd.DataFrame) -> str:
    return (
        f"Changes are this season minus the usual season of the same place, {units(UNIT)} over {int(rows['days'].iloc[0])} days. "
        "GPP: negative = uptake lost. NEE = RECO − GPP: positive = lost to the atmosphere. Bars are means over the draws and add up to "
        "the black mark, with the 90 % interval of the draws."
    )


def _method(record: dict) -> str:
    return (
        f"Usual: <code>{escape(' '.join(record['usual']))}</code>. A cause has the mean of what its switch from the usual to the actual "
        "day changes over all orders of the causes (Shapley value), soil water with its state of both runs. Spread "
        f"<code>{escape(record['spread'])}</code>." + (" Mapped by the process members alone." if record["members"] == "process" else "")
    )


def losses(rows: pd.DataFrame, flux: str) -> str:
    """Changes of a flux by cause, stacked, for the region and its land covers."""
    region = rows[(rows["zone"] == REGION) & (rows["variable"] == flux)]
    of_covers = (region[region["land_cover"] == cover] for cover in dict.fromkeys(region["land_cover"]))
    return stacked([(place_name(of.iloc[0]), of.set_index("cause")) for of in of_covers], flux)


def largest_cause(run: Path) -> str:
    """A map of the cause that took most GPP from each pixel."""
    import xarray as xr
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    data = xr.open_zarr(run / "fluxes.zarr", group="annual", consolidated=False)
    step = max(1, -(-max(data.sizes["y"], data.sizes["x"]) // SIDE))
    data = data[[change_name("gpp", cause) for cause in CAUSES]].isel(y=slice(None, None, step), x=slice(None, None, step)).sum(
        "time", min_count=1
    )  # fmt: skip
    loss = -np.stack([data[change_name("gpp", cause)].values for cause in CAUSES])
    known = np.isfinite(loss).all(axis=0)
    first = np.where(known & (np.nan_to_num(loss).max(0) >= LEAST), np.nan_to_num(loss).argmax(0).astype(float), np.nan)
    with figure(6.4, 0.9 + 5.4 * min(first.shape[0] / first.shape[1], 0.6)) as (drawn, ax):
        colours = ListedColormap(list(COLOURS.values()))
        ax.imshow(first, cmap=colours, vmin=-0.5, vmax=len(CAUSES) - 0.5, interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("largest cause of lost GPP, mean of the draws; white: nothing lost, or no vegetation")
        shares = {cause: float((first == number).sum() / max(known.sum(), 1)) for number, cause in enumerate(CAUSES)}
        handles = [
            Patch(color=COLOURS[cause], label=f"{word(cause)} {100 * share:.0f} %") for cause, share in shares.items() if share >= 0.005
        ]
        ax.legend(handles=handles, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2, handlelength=1.0)
        return to_svg(drawn, "Map of the cause that took most GPP from each pixel, share of the pixels")


def course(run: Path) -> str:
    """The season's course: changes of GPP by cause, means of ten days (of more in a ledger of years) over the region."""
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(file_of(run, DroughtSeries())) as data:
        data = data.load()
    weight = data["area"] / data["area"].sum()
    names = [str(name).lower() for name in data["flux"].values]
    mean = (data["series"] * weight).sum("plant_type").transpose("flux", "draw", "time").values
    days = data["time"].values.astype("datetime64[D]")
    starts = starts_of(len(days))
    width = np.diff([*starts, len(days)])
    binned = {name: np.add.reduceat(mean[number], starts, axis=-1) / width for number, name in enumerate(names)}
    middle = days[starts] + width // 2
    with figure(6.4, 3.4) as (drawn, ax):
        ends = {-1: np.zeros(len(starts)), 1: np.zeros(len(starts))}
        for cause, colour in COLOURS.items():
            value = binned[change_name("gpp", cause)].mean(0)
            for side in ends:
                part = np.where(np.sign(value) == side, value, 0.0)
                ax.bar(middle, part, bottom=ends[side], width=0.86 * width, color=colour, linewidth=0)
                ends[side] = ends[side] + part
        whole = np.sum([binned[change_name("gpp", cause)] for cause in CAUSES], axis=0)
        ax.plot(middle, whole.mean(0), "o-", color=INK, markersize=3.5, linewidth=1.2)
        if len(whole) > 1:
            ax.vlines(middle, *np.quantile(whole, (0.05, 0.95), axis=0), color=INK, linewidth=1.2)
        ax.axhline(0, color=FAINT, linewidth=0.8)
        ax.set_ylabel(f"change of GPP, {plain_units('gC m-2 d-1')}\n(negative = uptake lost)")
        ax.xaxis.set_major_formatter(_dates())
        return to_svg(drawn, f"Course of the season: change of GPP by cause, means of {width[0]} days over the region")


def starts_of(days: int) -> np.ndarray:
    """First day of each bar of a course of so many days.

    >>> starts_of(31), len(starts_of(92)), len(starts_of(3650))
    (array([ 0, 10, 20, 30]), 10, 40)
    """
    return np.arange(0, days, max(STEP, -(-days // BARS)))


def _dates():
    import matplotlib.dates as mdates

    return mdates.ConciseDateFormatter(mdates.AutoDateLocator())


def _table(rows: pd.DataFrame) -> str:
    """Region, land covers and largest zones: GPP by cause, NEE as a whole; causes that changed nothing anywhere are left out.

    Whether soil water and VPD are separable is said where they are not, somewhere.
    """
    shown = shown_places(rows)
    gpp = shown[shown["variable"] == "GPP"]
    causes = [cause for cause in CAUSES if (gpp.loc[gpp["cause"] == cause, "mean"].abs() >= 0.5).any()]
    head = ["Place", "GPP usual", "GPP change, 90 %", "%", *(word(cause) for cause in causes), "NEE change, 90 %"]
    doubtful = (gpp["separable"] == NOT_SEPARABLE).any()
    head += ["soil water and VPD"] if doubtful else []
    lines: list[list[str] | str] = []
    for (_, _), of in shown.groupby(["zone", "land_cover"], sort=False):
        gpp, nee = (of[of["variable"] == flux].set_index("cause") for flux in ("GPP", "NEE"))
        whole = gpp.loc[ALL]
        lines.append([
            place_name(of.iloc[0]), number(whole["usual"]), _with_interval(whole), signed(whole["percent"]),
            *(signed(gpp.loc[cause, "mean"]) for cause in causes), _with_interval(nee.loc[ALL]),
            *([gpp.loc["soil_water", "separable"] or "–"] if doubtful else []),
        ])  # fmt: skip
    return table(head, lines, whole=1)


def _with_interval(row: pd.Series) -> str:
    """A change and, below it, its 90 % interval."""
    low_to_high = interval(row["q05"], row["q95"])
    return signed(row["mean"]) + (f'<br><span class="note">{low_to_high}</span>' if np.isfinite(row["q05"]) else "")


def _water(rows: pd.DataFrame) -> str:
    """Water missing and what 10 mm of it cost."""
    head = ["Place", "Water missing, mm", f"GPP by soil water, {units(UNIT)}", f"for {PER:g} mm missing, {units(UNIT)}", "sd"]
    lines: list[list[str] | str] = []
    for (_, _), of in shown_places(rows).groupby(["zone", "land_cover"], sort=False):
        part = of.set_index(["variable", "cause"])
        per = part.loc["sensitivity", "soil_water"]
        lines.append([
            place_name(of.iloc[0]), number(part.loc[("water missing", ""), "mean"], 1), signed(part.loc[("GPP", "soil_water"), "mean"]),
            signed(per["mean"], 1), number(per["sd"], 1),
        ])  # fmt: skip
    return table(head, lines, whole=1)


def _greenness(rows: pd.DataFrame) -> str:
    """Parts of what greenness changed of GPP, with intervals."""
    parts = [greenness_by(part) for part in (*LEAF_DRIVERS, "rest")]
    head = ["Place", "greenness, 90 %", *(words for words, _ in LEAF_DRIVERS.values()), "the rest"]
    lines: list[list[str] | str] = []
    for (_, _), of in shown_places(rows).groupby(["zone", "land_cover"], sort=False):
        gpp = of[of["variable"] == "GPP"].set_index("cause")
        cells = [_with_interval(gpp.loc[cause]) for cause in ("greenness", *parts)]
        lines.append([place_name(of.iloc[0]), *cells])
    return table(head, lines, whole=1)


def _of(rows: pd.DataFrame, flux: str) -> dict:
    region = rows[(rows["zone"] == REGION) & (rows["land_cover"] == ALL) & (rows["variable"] == flux)]
    return {row["cause"]: row for _, row in region.iterrows()}


def signed(value: float, digits: int = 0) -> str:
    """A change with its sign."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def _span(row, flip: bool) -> str:
    """The 90 % interval of a change, of its size where that is negative."""
    return interval(-row["q95"], -row["q05"]) if flip else interval(row["q05"], row["q95"])
