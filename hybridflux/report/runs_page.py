"""One page of several runs of one region: years and scenarios side by side, anomalies, and what adds up over the years."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from hybridflux.files import write_text
from hybridflux.products.inventory import Entry, read_inventory
from hybridflux.products.totals import ALL, REGION, RunTotals, draws_of, open_totals, run_record
from hybridflux.region.store.checksums import check_maps
from hybridflux.report.budget_tables import TONES
from hybridflux.report.droughts_section import droughts_section
from hybridflux.report.fitted_maps import fitted
from hybridflux.report.map_viewer import COLOURS, ENDS, RANGE, SIDES, grid_of, luts, nice, open_group, panel, sample, unit_of, viewer_data
from hybridflux.report.markup import Section, definitions, document, grid, interval_bar, paragraph, table
from hybridflux.report.style import FAINT, GPP, INK, NEE, figure, interval, number, plain_units, to_svg, units
from hybridflux.vocabulary import FLUXES, SIGN

MAPS = 2_500_000  # characters of all maps of the page
MOST_PANELS = 12
NORMAL_90 = 1.645  # standard deviations on each side that hold 90 % of a normal distribution
UNIT, PART = "gC m-2 yr-1", "gC m-2"


@dataclass(frozen=True)
class Column:
    """One year of one run, or a run that is less than a year.

    Attributes:
        label: of the run and the period.
        drivers: changes of the drivers of the run; none where they are as they were.
        period: a whole calendar year, `2018`, or what is mapped, `2018-06..2018-08`.
        flux: flux -> mean of the region `[draw]`, gC m-2 yr-1, or gC m-2 where it is no whole year.
    """

    label: str
    drivers: tuple[str, ...]
    period: str
    flux: Mapping[str, np.ndarray]

    @property
    def year(self) -> int | None:
        """The whole calendar year, or None."""
        return int(self.period) if self.period.isdigit() else None

    @property
    def season(self) -> str:
        """Months (or days) of the period without the year, `+1` where it ends in the following year; empty for a whole year.

        >>> [Column("run", (), period, {}).season for period in ("2018", "2018-06..2018-08", "2018-11..2019-02", "2018-06")]
        ['', '06..08', '11..02+1', '06']
        """
        first, *last = self.period.split("..")
        later_years = int(last[0][:4]) - int(first[:4]) if last else 0
        return "..".join(day[5:] for day in (first, *last)) + (f"+{later_years}" if later_years else "")


def write_runs_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    droughts: Sequence[str | Path] = (),
    inventory: str | Path | None = None,
    title: str | None = None,
) -> Path:
    """Write the page of several runs of one region, of other years, other drivers or both.

    Args:
        runs: folders written by `map_region`; the first is what runs of the same period are compared with.
        out: HTML file.
        droughts: folders written by `run_drought`, of these years and scenarios or others: adds what each has lost by cause.
        inventory: CSV of measured stock changes and exports: adds NBP and the measured gain to the sums over years.
        title: heading; by default from the region's name.

    Returns:
        The file.

    Raises:
        ValueError: fewer than two runs, or runs on other grids.
    """
    paths, out = [Path(run) for run in runs], Path(out)
    if len(paths) < 2:
        raise ValueError("side by side means two runs or more; name each with --run")
    records, totals = [run_record(path) for path in paths], [open_totals(path) for path in paths]
    names = _names(paths, records)
    shared = len({draws_of(record) for record in records}) == 1
    drivers = [tuple(record.get("spec", {}).get("changes") or ()) for record in records]
    columns = [one for run in zip(names, drivers, totals, strict=True) for one in _columns(*run)]
    viewer = _viewer(paths, names)
    side_by_side = viewer and paragraph(_about_maps(viewer), "note") + '<div data-source="map-runs"></div>'
    sections = [
        Section("numbers", "In short", "The region in each run", _numbers(columns, totals[0])),
        side_by_side and Section("maps", "Maps", "Side by side", side_by_side),
        _differences(columns, shared),
        _sums(columns, shared, totals[0], read_inventory(inventory) if inventory else []),
        droughts and Section("drought", "Drought", "What each season has lost, by cause", droughts_section(droughts)),
        Section("origin", "Origin", "Provenance", _origin(paths, names, records)),
    ]
    lead = paragraph(
        f"{len(paths)} runs of one region, {number(totals[0].area.sum() / 1e4, 1)} ha of vegetation. "
        + ("All carry the same posterior draws, so that differences are made draw by draw." if shared else
           "Their draws are not the same, so that what they share does not cancel: differences are given without an interval."),
        "lead",
    )  # fmt: skip
    heading = title or records[0].get("title") or "Carbon fluxes"
    page = document("several runs", heading, lead, [part for part in sections if part], viewer_data({"map-runs": viewer}))
    write_text(out, page)
    return out


def _names(paths: Sequence[Path], records: Sequence[dict]) -> list[str]:
    """A short name of each run that no other has."""
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = ["/".join(path.parts[-2:]) for path in paths]
    if len(set(names)) < len(names):
        raise ValueError(f"a run is named twice: {', '.join(map(str, paths))}; name each once")
    changes = [", ".join(record.get("spec", {}).get("changes") or ()) for record in records]
    return [f"{name} ({change})" if change else name for name, change in zip(names, changes, strict=True)]


def _columns(name: str, drivers: tuple[str, ...], totals: RunTotals) -> list[Column]:
    """The whole years of a run, or all of it where none is whole."""
    cells, area, years = np.arange(len(totals.area)), totals.area.sum(), totals.complete_years()
    wanted = [(year, np.flatnonzero(totals.months.year == year)) for year in years] or [(None, np.arange(len(totals.months)))]
    found = []
    for year, months in wanted:
        period = str(year) if year else totals.part_of(months)
        flux = {one: totals.sum(one, cells, months) / area for one in FLUXES}
        found.append(Column(name if period in name else f"{name}, {period.replace('..', ' to ')}", drivers, period, flux))
    return found


def _unit(columns: Sequence[Column]) -> str:
    return UNIT if all(one.year for one in columns) else PART


def _numbers(columns: Sequence[Column], totals: RunTotals) -> str:
    """Means and intervals of each run and year."""
    note = (
        f"Means over the region in {units(_unit(columns))}, with the interval that holds 90 % of the draws; spread "
        f"<code>{totals.spread}</code>. The structural error of the model is not in them: the report of each run alone has it."
    )
    parts = [paragraph(note, "note")]
    for flux in FLUXES:
        lines = [_line(one.label, one.flux[flux], _scale([other.flux[flux] for other in columns]), TONES[flux]) for one in columns]
        name = "NEE = RECO − GPP, positive to the atmosphere; negative = uptake" if flux == "NEE" else flux
        parts.append(f"<h3>{name}</h3>" + table(["Run", "Mean", "90 % interval", ""], lines))
    return "\n".join(parts)


def _scale(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Ends of the bars of a table."""
    ends = np.quantile(np.array(values), [0.05, 0.95], axis=1)
    return min(float(ends.min()), 0.0), max(float(ends.max()), 0.0)


def _line(label: str, draws: np.ndarray, scale: tuple[float, float], tone: str, known: bool = True) -> list[str]:
    low, high = np.quantile(draws, [0.05, 0.95]) if known and len(draws) > 1 else (np.nan, np.nan)
    return [escape(label), number(draws.mean()), interval(low, high), interval_bar(low, float(draws.mean()), high, scale, tone)]


def _differences(columns: Sequence[Column], shared: bool) -> Section | None:
    """Each period less the mean of those of other years, under the same drivers, and each run less the first of its period."""
    wanted = []
    for comparable in _grouped(columns, lambda column: (column.drivers, column.season)):
        periods = _first_of_periods(comparable)
        others = "the other years" if comparable[0].year else "these months of other years"
        wanted += [
            (f"{column.label}, less {others}", {flux: _less_others(periods, column, flux) for flux in FLUXES})
            for column in periods if len(periods) > 1
        ]  # fmt: skip
    for first, *others in _grouped(columns, lambda one: one.period):
        wanted += [
            (f"{one.label}, less {first.label}", {flux: _less(one.flux[flux], first.flux[flux]) for flux in FLUXES}) for one in others
        ]
    if not wanted:
        return None
    parts = [paragraph(
        f"Differences of means over the region, {units(_unit(columns))}; of NEE positive = more carbon to the atmosphere. "
        + ("Made draw by draw: what the draws disagree about in both cancels." if shared else
           "Without an interval: the runs do not share draws."),
        "note",
    )]  # fmt: skip
    for flux in FLUXES:
        scale = _scale([draws[flux] for _, draws in wanted])
        parts.append(f"<h3>Change of {flux}</h3>")
        lines = [_line(name, draws[flux], scale, TONES[flux], shared) for name, draws in wanted]
        parts.append(table(["Run", "Mean", "90 % interval", ""], lines))
    return Section("differences", "Differences", "Anomalies and differences", "\n".join(parts))


def _grouped(columns: Sequence[Column], key: Callable[[Column], object]) -> list[list[Column]]:
    """Columns that have a key in common, in their order."""
    groups: dict[object, list[Column]] = {}
    for one in columns:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _first_of_periods(columns: Sequence[Column]) -> list[Column]:
    """The first column of each period, in the order of the periods."""
    return sorted((group[0] for group in _grouped(columns, lambda one: one.period)), key=lambda one: one.period)


def _less(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A difference draw by draw; of the means where the runs have different counts of draws."""
    return one - other if one.shape == other.shape else np.array([one.mean() - other.mean()])


def _less_others(usual: Sequence[Column], one: Column, flux: str) -> np.ndarray:
    others = [other.flux[flux] for other in usual if other is not one]
    return np.mean([_less(one.flux[flux], other) for other in others], axis=0)


def _sums(columns: Sequence[Column], shared: bool, totals: RunTotals, entries: Sequence[Entry]) -> Section | None:
    """What adds up over consecutive years of the drivers of the first: −NEE, and NBP beside the measured gain where an inventory says."""
    whole = [one for one in columns if one.year]
    usual = _first_of_periods([one for one in whole if one.drivers == whole[0].drivers])
    years = [int(one.period) for one in usual]
    if len(years) < 2 or years != list(range(years[0], years[-1] + 1)):
        return None
    gain = -np.array([np.broadcast_to(one.flux["NEE"], usual[0].flux["NEE"].shape) if shared else [one.flux["NEE"].mean()]
                      for one in usual])  # fmt: skip
    measured = [_measured(entries, totals, year) for year in years]
    under = f" under {escape(', '.join(usual[0].drivers))}" if usual[0].drivers else ""
    note = f"Sums over the region from {years[0]} on{under}, {units(PART)}, positive when the land gains carbon. "
    exported = np.array([pools["export"] for pools in measured])
    if np.isfinite(exported).all():
        note += "NBP = −NEE − export; the export and its error are those of the inventory."
    elif entries:
        note += "The inventory does not say what every land cover and year exported, so that there is no NBP."
    else:
        note += "Without an inventory nothing is known of export: this is not yet what the land keeps."
    body = paragraph(note, "note") + grid([_figure(years, gain, measured)], "large")
    return Section("sums", "Over the years", "What adds up over the years", body)


def _measured(entries: Sequence[Entry], totals: RunTotals, year: int) -> dict[str, tuple[float, float]]:
    """Export and stock change of the region in a year with their sd, gC m-2, from the entries of the region or of all its land covers."""
    of_year = {entry.land_cover: entry for entry in entries if entry.zone == REGION and entry.years[0] <= year <= entry.years[1]}
    covers = {str(cover): totals.area[totals.land_cover == cover].sum() for cover in np.unique(totals.land_cover.astype(str))}
    shares = {ALL: 1.0} if ALL in of_year else {cover: area / totals.area.sum() for cover, area in covers.items()}

    def summed(pools: Sequence[str]) -> tuple[float, float]:
        values = [(share, of_year[cover].pools.get(pool, (np.nan, np.nan)) if cover in of_year else (np.nan, np.nan))
                  for cover, share in shares.items() for pool in pools]  # fmt: skip
        return sum(share * value for share, (value, _) in values), float(np.sqrt(sum((share * sd) ** 2 for share, (_, sd) in values)))

    return {"export": summed(("export",)), "stock": summed(("biomass", "soil"))}


def _figure(years: Sequence[int], gain: np.ndarray, measured: Sequence[dict]) -> str:
    """The sums as a figure: −NEE, NBP and the measured gain."""
    export, stock = (np.array([pools[name] for pools in measured]) for name in ("export", "stock"))
    summed = gain.cumsum(axis=0)
    with figure(6.4, 3.0) as (drawn, ax):
        ax.axhline(0, color=FAINT, linewidth=0.8)
        _band(ax, years, summed, NEE, "−NEE")
        if np.isfinite(export).all():
            noise = export[:, 1].cumsum()  # the error of a statistic comes again every year
            _band(ax, years, summed - export[:, :1].cumsum(axis=0), GPP, "NBP = −NEE − export", noise)
        if np.isfinite(stock).all():
            error = NORMAL_90 * stock[:, 1].cumsum()
            ax.errorbar(years, stock[:, 0].cumsum(), error, fmt="o", color=INK, capsize=3, label="measured gain, 90 %")
        ax.set_xticks(years)
        ax.set_ylabel(f"sum since {years[0]}, {plain_units(PART)}")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        return to_svg(drawn, "Carbon that the land gained, summed over the years")


def _band(ax, years: Sequence[int], draws: np.ndarray, colour: str, label: str, noise: np.ndarray | float = 0.0) -> None:
    ax.plot(years, draws.mean(axis=1), color=colour, marker="o", markersize=3, label=label)
    if draws.shape[1] > 1:
        half = NORMAL_90 * np.hypot(draws.std(axis=1, ddof=1), noise)
        ax.fill_between(years, draws.mean(axis=1) - half, draws.mean(axis=1) + half, color=colour, alpha=0.2, linewidth=0)


def _viewer(paths: Sequence[Path], names: Sequence[str]) -> dict | None:
    """Annual maps of all runs on one colour scale for each flux."""
    frames = []
    for path, name in zip(paths, names, strict=True):
        check_maps(path)
        data = open_group(path, "annual")
        if data is None or not data.sizes.get("time"):
            return None
        if frames and not (np.array_equal(data["x"], frames[0][1]["x"]) and np.array_equal(data["y"], frames[0][1]["y"])):
            raise ValueError(f"{path} is on another grid than {paths[0]}; side by side are runs of one region")
        years = [str(one)[:4] for one in data["time"].values]
        frames += [(name if year in name else f"{name}, {year}", data.isel(time=[at])) for at, year in enumerate(years)]
    shown = frames[:MOST_PANELS]
    return fitted(lambda room: _maps(shown, room), MAPS)


def _maps(frames, room: int) -> dict:
    """The viewer of some frames whose bytes fit in a room."""
    first = frames[0][1]
    shown = sample(1, first.sizes["y"], first.sizes["x"], SIDES["annual"], len(FLUXES) * len(frames), room)
    thin = {"y": slice(None, None, shown.stride), "x": slice(None, None, shown.stride)}
    of_frames, layers = {label: unit_of(data, "annual") for label, data in frames}, []
    for flux in FLUXES:
        maps = {label: data[flux].isel(thin).values for label, data in frames}
        known = np.abs(np.concatenate([values[np.isfinite(values)] for values in maps.values()]))
        top = nice(float(np.quantile(known, RANGE))) if known.size else 1.0
        layers.append({"name": flux, "sd": False, "panels": [
            panel(values, label, f"{escape(label)} [{units(of_frames[label])}]", COLOURS[flux], centred=flux == "NEE",
                  ends=ENDS[flux], top=top)
            for label, values in maps.items()
        ]})  # fmt: skip
    unit = units(UNIT if set(of_frames.values()) == {UNIT} else PART)  # of what is mapped of each year, be it all of it
    group = {"id": "annual", "label": "Years", "units": unit, "frames": [""], "stride": shown.stride, "step": 1, "layers": layers}
    return {"groups": [group | grid_of(first.isel(thin))], "first": "annual", "frame": 0, "luts": luts(COLOURS.values())}


def _about_maps(viewer: dict) -> str:
    group = viewer["groups"][0]
    return (
        f"Means of the draws, all runs on one colour scale; a pixel of the maps is {group['metres']:g} m. NEE: blue-green = uptake, "
        "brown = release."
    )


def _origin(paths: Sequence[Path], names: Sequence[str], records: Sequence[dict]) -> str:
    """What each run is."""
    lines = []
    for path, name, record in zip(paths, names, records, strict=True):
        spec = record.get("spec", {})
        period = f"{record['start']} to {record['end']}"
        configuration = escape(str(record.get("config_hash"))[:12])
        lines.append([escape(name), escape(str(path)), period, str(spec.get("draws")), str(spec.get("seed")), configuration])
    credit = "; ".join(dict.fromkeys(one for record in records for one in record.get("attribution") or ())) or "not recorded"
    return table(["Run", "Folder", "Period", "Draws", "Seed", "Configuration"], lines) + definitions({"sign": SIGN, "credit": credit})
