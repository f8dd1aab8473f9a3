"""The ledger of a run: what the land takes up, what management takes away and brings in, and what remains.

    NBP = -NEE - export + import - fire - leaching        gain of the land, gC m-2 yr-1

in every draw, so that intervals hold the errors of the fluxes, of harvest fractions, of detected events and of the tables of the user. A
harvest takes a share of the GPP since the harvest before it (`harvest.FRACTIONS`; of an event without a crop, that which the name of the
zone or parcel shows, `harvest.crop_of`), unless a table says what was exported in that place and year. Where no harvest before is known it
is the GPP of the year before it. What of this GPP was not mapped is not in the export, and `note` says that it is too low. A table of
events holds for the calendar years from its first event to its last. What is not known is empty, and said: without export there is no NBP;
import, fire and leaching that no table gives count as none. The wood of a felling is not a share of the GPP since the last one: it needs
a row `export`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hybridflux.products.budget import periods, read_groups
from hybridflux.products.harvest import crop_of, decay, fraction_of
from hybridflux.products.inventory import CARRIED
from hybridflux.products.management import Event, Flow, place_of, read_events, read_flows
from hybridflux.products.rows import COLUMNS, budget_row
from hybridflux.products.totals import ALL, REGION, RunTotals, open_totals
from hybridflux.vocabulary import FLUXES

VARIABLES = ("GPP", "RECO", "NEE", "export", "import", "fire", "leaching", "NBP", "residue", "residue respiration")
NOT_KNOWN = "export is not known of"
GROWN = 365.0  # days that plants have grown where no event before is known
AT_ONCE = 256  # cells whose GPP is in memory
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Carried:
    """Carbon that management moves, of each cell, year and draw, gC.

    Attributes:
        export: `[cell, year, draw]`, NaN where it is not known.
        brought: carbon of the pools `import`, `fire` and `leaching` `[cell, year, draw]`, NaN where no table gives it.
        residue: carbon of harvests that stays on the field `[cell, year, draw]`, NaN where the events say nothing.
        short: whether export and residue lack the GPP before the first mapped day of plants that grew then `[cell, year]`.
    """

    export: np.ndarray
    brought: dict[str, np.ndarray]
    residue: np.ndarray
    short: np.ndarray


def ledger_table(
    run: str | Path, *, events: str | Path | None = None, flows: str | Path | None = None, zones: str | Path | None = None, seed: int = 0
) -> pd.DataFrame:
    """The ledger of a run as one table, with the columns of a budget.

    One row per zone, land cover, period and variable: `GPP RECO NEE export import fire leaching NBP`, and `residue` with
    `residue respiration`, which is a part of RECO. `quantity` is `flux`, or `cumulative`: the sum from the first whole year on. `note` says
    what is not known, or known in part.

    Args:
        run: folder written by `map_region`.
        events: CSV of mowing, harvest and felling (`management.read_events`), for instance by `hybridflux events`.
        flows: CSV of yearly export, import, fire and leaching (`management.read_flows`); an export given here holds instead of that of
            events, and rows of a campaign share a part of their error.
        zones: CSV with columns `zone` and `group`, to aggregate zones.
        seed: of the random numbers of harvest fractions, events and tables.

    Raises:
        ValueError: the run does not name its spread, or a table is not valid, names a place that the run does not have, or has nothing of
            the mapped days.
    """
    totals = open_totals(run).with_structural_error()
    known_events, known_flows = read_events(events) if events else [], read_flows(flows) if flows else []
    check_places(totals, [*known_events, *known_flows])
    check_dates(totals, events, known_events, flows, known_flows)
    carried = carry(totals, known_events, known_flows, seed)
    grouped = totals.regroup(read_groups(zones, set(totals.zone))) if zones else totals
    table = ledger_of(grouped, carried)
    table = table.assign(spread=totals.spread, draws=totals.draws)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def check_places(totals: RunTotals, rows: Sequence[Event | Flow]) -> None:
    """Refuse rows of zones or land covers that the run does not have.

    Raises:
        ValueError: names them.
    """
    places = {(row.zone, row.land_cover) for row in rows}
    unknown = [f"{zone}/{cover}" for zone, cover in sorted(places) if not place_of(zone, cover, totals.zone, totals.land_cover).any()]
    if unknown:
        known = ", ".join(dict.fromkeys(f"{zone}/{cover}" for zone, cover, _ in totals.groups()))
        raise ValueError(f"the tables have {', '.join(unknown)[:300]}, the run has {known[:1000]}; zone `{REGION}` is all of it")


def check_dates(
    totals: RunTotals, events: str | Path | None, known_events: Sequence[Event], flows: str | Path | None, known_flows: Sequence[Flow]
) -> None:
    """Refuse a table with nothing of the mapped days, which would leave the ledger as it is without one.

    Raises:
        ValueError: names the table, its dates and those of the run.
    """
    months = Months.of(totals)
    last, whole = months.starts[-1] + months.days[-1], totals.complete_years()
    if known_events and not any(0 <= months.day(event.date) < last for event in known_events):
        mapped = f"{months.origin:%Y-%m-%d} to {months.origin + (last - 1) * DAY:%Y-%m-%d}"
        dates = f"{known_events[0].date:%Y-%m-%d} to {known_events[-1].date:%Y-%m-%d}"
        raise ValueError(f"{events} has events from {dates}, the run maps {mapped}; give events of the mapped days")
    if flows and not any(flow.years[0] <= year <= flow.years[1] for flow in known_flows for year in whole):
        of = ", ".join(map(str, whole)) or "no whole calendar year"
        raise ValueError(f"{flows} has no row {', '.join(CARRIED)} of a year of the run, which maps {of}; give rows of whole mapped years")


def years_of(totals: RunTotals) -> list[int]:
    """Calendar years with a mapped day."""
    return sorted(set(totals.months.year))


def carry(totals: RunTotals, events: Sequence[Event], flows: Sequence[Flow], seed: int) -> Carried:
    """Carbon that management moves in each cell, year and draw.

    Args:
        totals: of the run, with its own zones.
        events: in the order of their dates.
        flows: yearly carbon of tables, which holds instead of what events give.
        seed: of the random numbers.
    """
    years = years_of(totals)
    shape = len(totals.area), len(years), totals.draws
    export, residue, short = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape[:2], bool)
    places: dict[tuple[str, str], list[int]] = {}
    for number, event in enumerate(events):
        places.setdefault((event.zone, event.land_cover), []).append(number)
    looked_at = {cover for _, cover in places}  # without an event of its own, a cell of such a land cover was not harvested
    harvested, months = {}, Months.of(totals)
    for cell, (zone, cover) in enumerate(zip(totals.zone, totals.land_cover, strict=True)):
        if looked_at & {cover, ALL}:
            export[cell] = residue[cell] = 0.0
            numbers = sorted(number for place in product((zone, REGION), (cover, ALL)) for number in places.get(place, ()))
            if numbers:
                harvested[cell] = [events[number] for number in numbers]
    order = np.array(sorted(harvested), int)
    for cells in np.array_split(order, range(AT_ONCE, len(order), AT_ONCE)):
        gpp = np.maximum(totals.total["GPP"][cells], 0.0)
        for cell, grown in zip(cells.tolist(), gpp, strict=True):
            cover = str(totals.land_cover[cell])
            crop = crop_of(str(totals.zone[cell])) if cover == "CRO" else ""
            export[cell], residue[cell], short[cell] = _harvested(months, cover, crop, grown, harvested[cell], seed)
    spanned = [bool(events) and events[0].date.year <= year <= events[-1].date.year for year in years]
    export[:, np.invert(spanned)] = residue[:, np.invert(spanned)] = np.nan
    brought = {pool: _given(totals, flows, pool, years, seed) for pool in CARRIED}
    given = brought.pop("export")
    short &= np.isfinite(export).all(2) & np.isnan(given).all(2)
    return Carried(np.where(np.isnan(given), export, given), brought, residue, short)


def random_of(seed: int, key: str) -> np.random.Generator:
    """The random numbers of a name, whatever else is drawn."""
    return np.random.default_rng([seed, zlib.crc32(key.encode())])


class Months(NamedTuple):
    """The mapped months, in days from the first mapped day.

    Attributes:
        origin: first mapped day.
        starts: first mapped day of each month `[month]`.
        days: mapped days of each month `[month]`.
        years: first day of each year after the first `[year - 1]`.
    """

    origin: pd.Timestamp
    starts: np.ndarray
    days: np.ndarray
    years: np.ndarray

    @classmethod
    def of(cls, totals: RunTotals) -> Months:
        """Of a run."""
        first = totals.months if totals.first is None else totals.first
        later = [pd.Timestamp(year, 1, 1) for year in years_of(totals)[1:]]
        return cls(first[0], ((first - first[0]) / DAY).to_numpy(), totals.days, np.array([(one - first[0]) / DAY for one in later]))

    def day(self, date: pd.Timestamp) -> float:
        """Days from the first mapped day."""
        return (date - self.origin) / DAY

    def until(self, day: np.ndarray, grown: np.ndarray, gpp: np.ndarray) -> np.ndarray:
        """GPP from the first mapped day to a day of each draw `[draw]`, even within a month; `grown` is that before each month."""
        month = np.clip(np.searchsorted(self.starts, day, side="right") - 1, 0, len(self.starts) - 1)
        part = np.clip((day - self.starts[month]) / self.days[month], 0.0, 1.0)
        every = np.arange(len(day))
        return grown[month, every] + part * gpp[month, every]


def _harvested(
    months: Months, cover: str, crop: str, gpp: np.ndarray, events: Sequence[Event], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exported and residual carbon of a cell `[year, draw]`, gC, and whether GPP before the first mapped day is missing of it `[year]`.

    Export is NaN where a felling took wood of which no table says how much.

    Args:
        months: of the run.
        cover: plant type code of the cell.
        crop: that its zone shows, for events that name none.
        gpp: of the cell `[month, draw]`, gC.
        events: of the cell, in the order of their dates.
        seed: of the random numbers.
    """
    draws = gpp.shape[1]
    every, last, end = np.arange(draws), np.full(draws, np.nan), months.starts[-1] + months.days[-1]
    export, residue = np.zeros((len(months.years) + 1, draws)), np.zeros((len(months.years) + 1, draws))
    short = np.zeros(len(months.years) + 1, bool)
    grown = np.concatenate([np.zeros((1, draws)), np.cumsum(gpp, 0)])
    for event in events:
        random = random_of(seed, event.key)
        happens = random.random(draws) < event.probability
        at = months.day(event.date) + event.date_sd * random.standard_normal(draws)
        inside = happens & (at >= 0.0) & (at < end)
        year = np.searchsorted(months.years, at, side="right")
        grows = event.crop or crop
        fraction = fraction_of(grows, cover)
        if event.event == "felling" or fraction is None:
            export[year[inside], every[inside]] = np.nan
            continue
        begin = np.where(np.isnan(last), at - GROWN, last) if event.since is None else np.full(draws, months.day(event.since))
        short[year[inside & (begin < 0.0)]] = True
        taken = np.maximum(months.until(at, grown, gpp) - months.until(np.minimum(begin, at), grown, gpp), 0.0)
        taken = np.where(inside, event.share * taken, 0.0)
        exported, stays = fraction.draw(draws, random_of(seed, f"fraction {grows or cover}"))
        np.add.at(export, (year, every), taken * exported)
        np.add.at(residue, (year, every), taken * stays)
        last = np.where(happens & (at < end), at, last)
    return export, residue, short


def _given(totals: RunTotals, flows: Sequence[Flow], pool: str, years: list[int], seed: int) -> np.ndarray:
    """Carbon of a pool from the tables `[cell, year, draw]`, gC: the sum of its rows for the narrowest place."""
    out = np.full((len(totals.area), len(years), totals.draws), np.nan)
    whole = set(totals.complete_years())
    narrowness: dict[int, list[Flow]] = {}
    for flow in flows:
        if flow.pool == pool:
            narrowness.setdefault(2 * (flow.zone != REGION) + (flow.land_cover != ALL), []).append(flow)
    for level in sorted(narrowness):
        found = np.full_like(out, np.nan)
        for flow in narrowness[level]:
            error = _error_of(flow, totals.draws, seed)
            cells = np.flatnonzero(place_of(flow.zone, flow.land_cover, totals.zone, totals.land_cover))
            for number, year in enumerate(years):
                if year in whole and flow.years[0] <= year <= flow.years[1]:
                    more = (flow.value + flow.sd * error) * totals.area[cells, None]
                    found[cells, number] = np.nan_to_num(found[cells, number]) + more
        out = np.where(np.isnan(found), out, found)
    return out


def _error_of(flow: Flow, draws: int, seed: int) -> np.ndarray:
    """Standard normal error of a row of the tables `[draw]`, of which the rows of a pool and campaign share a part."""
    own = random_of(seed, f"{flow.pool}/{flow.zone}/{flow.land_cover}/{flow.years}/{flow.value}").standard_normal(draws)
    if not flow.campaign:
        return own
    common = random_of(seed, f"{flow.pool}/campaign {flow.campaign}").standard_normal(draws)
    return np.sqrt(1.0 - flow.correlation) * own + np.sqrt(flow.correlation) * common


def ledger_of(totals: RunTotals, carried: Carried) -> pd.DataFrame:
    """Rows of all zones, land covers and periods."""
    years, whole = years_of(totals), totals.complete_years()
    wanted = [(name, months, count, "flux") for name, months, count in periods(totals)]
    for last in whole[1:]:
        months = np.flatnonzero(totals.months.year.isin([year for year in whole if year <= last]))
        wanted.append((f"{whole[0]}-{last}", months, 0, "cumulative"))
    zone, cover, cells = zip(*totals.groups(), strict=True)
    area = np.array([totals.area[members].sum() for members in cells])
    groups = Groups(np.concatenate(cells), np.cumsum([0, *map(len, cells)])[:-1])
    residue, listed = groups.sum(np.nan_to_num(carried.residue)), groups.sum(np.isfinite(carried.residue).any(2).astype(int)) > 0
    respired, since = decay(np.moveaxis(residue, 1, 0))[0], np.logical_or.accumulate(listed, 1)
    parts = []
    for number, (name, months, count, quantity) in enumerate(wanted):
        chosen = np.isin(years, np.unique(totals.months.year[months]))
        grams = {flux: totals.sums(flux, cells, months) for flux in FLUXES}
        grams |= {"export": groups.sum(carried.export[:, chosen]).sum(1)}
        grams["residue"] = np.where(listed[:, chosen].any(1)[:, None], residue[:, chosen].sum(1), np.nan)
        for pool, values in carried.brought.items():
            given = groups.sum(np.isfinite(values[:, chosen]).astype(int)).sum((1, 2)) > 0
            grams[pool] = np.where(given[:, None], groups.sum(np.nan_to_num(values[:, chosen])).sum(1), np.nan)
        grams["NBP"] = -grams["NEE"] - grams["export"] - sum(CARRIED[pool] * np.nan_to_num(grams[pool]) for pool in carried.brought)
        grams["residue respiration"] = np.where(since[:, chosen].any(1)[:, None], respired[chosen].sum(0), np.nan)
        described = {"period": name, "days": int(totals.days[months].sum()), "quantity": quantity}
        described["note"] = _notes(totals, carried, cells, chosen, grams)
        for variable in VARIABLES:
            row = budget_row(zone, cover, area, variable, grams[variable] / max(count, 1), yearly=count > 0)
            parts.append(pd.DataFrame(row | described, index=np.arange(len(cells)) * len(wanted) + number))
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


@dataclass(frozen=True)
class Groups:
    """Groups of cells: `members` of the groups one after the other, of which each begins at one of `starts`."""

    members: np.ndarray
    starts: np.ndarray

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sums of `[cell, ...]` over the cells of each group `[group, ...]`."""
        return np.add.reduceat(values[self.members], self.starts, axis=0)


def _notes(totals: RunTotals, carried: Carried, cells, chosen: np.ndarray, grams: dict[str, np.ndarray]) -> list[str]:
    """What is not known of each group in a period."""
    unknown, short = np.isnan(carried.export[:, chosen]).any((1, 2)), carried.short[:, chosen].any(1)
    missing = {pool: np.isnan(grams[pool]).all(1) for pool in carried.brought}
    partly = f"counts GPP from the first mapped day {Months.of(totals).origin:%Y-%m-%d} on, and is too low by what grew before"
    found = []
    for number, members in enumerate(cells):
        notes = [f"{NOT_KNOWN} {_part(totals, members, unknown)}"] if unknown[members].any() else []
        if short[members].any():
            notes.append(f"export of {_part(totals, members, short)}, {partly}: map the days before, or give `since` or a row `export`")
        found.append("; ".join([*notes, *(f"no {pool} is given" for pool, without in missing.items() if without[number])]))
    return found


def _part(totals: RunTotals, members: np.ndarray, chosen: np.ndarray) -> str:
    """The chosen cells of a group in words: `CRO, GRA, 75% of the area`."""
    of = members[chosen[members]]
    covers = ", ".join(sorted(set(totals.land_cover[of].astype(str))))
    return f"{covers}, {totals.area[of].sum() / totals.area[members].sum():.0%} of the area"
