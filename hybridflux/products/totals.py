"""Totals of a run per flux, cell (a zone and plant type), month and draw. Carbon is read when it is summed, some cells at a time."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.provenance import canonical_json
from hybridflux.records import run_record
from hybridflux.region.draws.flux_errors import part_of_gpp
from hybridflux.region.draws.spread import Spread
from hybridflux.region.outputs import Output, ZoneTotals
from hybridflux.region.outputs.merge_totals import OUTSIDE
from hybridflux.region.outputs.zone_totals import ERRORS
from hybridflux.region.store.checksums import check_file
from hybridflux.vocabulary import FLUXES, PLANT_TYPES, UNVEGETATED

STRUCTURAL = "+structural_error"
"""Suffix of the spread of totals that include the structural error of the model."""

AT_TOWERS = "plant_types_at_towers"
"""Attribute of `totals.nc`: plant types that the posterior has towers of."""

REGION = "region"
ALL = "all"
NO_ZONE = "no zone"
RESERVED = (REGION, ALL, NO_ZONE)
"""Words of the columns `zone` and `land_cover` that cannot name a zone."""
AT_ONCE = 16 << 20  # bytes of carbon of one flux in memory
SAME_DRAWS = ("posterior_fingerprint", "draws", "seed", "spread", "effect_length", "effect_nugget", "towers")
"""Entries of `spec` in run.json that decide the draws."""
GAP = 4  # unwanted cells that are read along instead of skipped


@dataclass(frozen=True)
class Lazy:
    """Carbon `[cell, month, draw]` that is read, or computed, on demand: `lazy[cells]` is an array.

    Attributes:
        shape: shape of the whole array.
        rows: function of cell numbers that returns their carbon.
    """

    shape: tuple[int, ...]
    rows: Callable[[np.ndarray], np.ndarray]

    def __getitem__(self, cells) -> np.ndarray:
        return self.rows(np.arange(self.shape[0])[cells])


@dataclass(frozen=True)
class RunTotals:
    """Monthly carbon totals of a run.

    Attributes:
        total: flux -> gC `[cell, month, draw]`, an array or `Lazy`; NEE is positive to the atmosphere.
        zone: name of the zone of each cell `[cell]`.
        land_cover: plant type code of each cell `[cell]`.
        area: true area of each cell `[cell]`, m2.
        months: first day of each month `[month]`.
        days: number of days that the run covers in each month `[month]`.
        spread: sources of error that the draws contain, one of `Spread`.
        meaning: the spread in words.
        first: first mapped day of each month `[month]`; None where it is not recorded.
        at_towers: plant types of the towers the model was fitted to; None where they are not recorded.
        structural: flux -> structural error of NEE and of GPP `[cell, month, draw]`, gC; that of RECO is their sum. Of earlier versions of
            NEE alone; empty where it is not known.
        outside: area outside the area of applicability of each cell `[cell]`, m2; None where it is not known.
    """

    total: dict[str, np.ndarray | Lazy]
    zone: np.ndarray
    land_cover: np.ndarray
    area: np.ndarray
    months: pd.DatetimeIndex
    days: np.ndarray
    spread: str
    meaning: str = ""
    first: pd.DatetimeIndex | None = None
    at_towers: frozenset[str] | None = None
    structural: Mapping[str, np.ndarray | Lazy] = field(default_factory=dict)
    outside: np.ndarray | None = None

    @property
    def draws(self) -> int:
        """Number of posterior draws."""
        return next(iter(self.total.values())).shape[-1]

    def sum(self, flux: str, cells: np.ndarray, months: np.ndarray) -> np.ndarray:
        """Carbon of some cells over some months per draw `[draw]`, gC."""
        return self.sums(flux, [np.arange(len(self.area))[cells]], months)[0]

    def sums(self, flux: str, groups: Sequence[np.ndarray], months: np.ndarray) -> np.ndarray:
        """Carbon of groups of cells over some months per draw `[group, draw]`, gC; all totals are made here, so that errors correlate.

        Cells are added one after the other, so that the result does not depend on how many are in memory at once.

        Args:
            flux: NEE, GPP or RECO.
            groups: cell numbers of each group; a cell may be in several.
            months: positions, or a mask.
        """
        out = np.zeros((len(groups), self.draws))
        cells = np.concatenate([np.asarray(group, int) for group in groups] or [np.empty(0, int)])
        order = np.argsort(cells, kind="stable")
        cells, group = cells[order], np.repeat(np.arange(len(groups)), [len(members) for members in groups])[order]
        step = max(AT_ONCE // (8 * len(self.months) * self.draws), 1)
        for start in range(0, len(cells), step):
            here, place = np.unique(cells[start : start + step], return_inverse=True)
            np.add.at(out, group[start : start + step], self.total[flux][here][:, months].sum(axis=1)[place])
        return out

    def with_structural_error(self) -> RunTotals:
        """Totals whose draws include the structural error, as far as it is known.

        NEE = RECO - GPP in every draw. Of a run of earlier versions, which does not know what GPP and RECO have wrong in common, the
        error of NEE is shared out to them by their sizes. The mean over the draws is zero without towers, so that a budget agrees with
        the maps, though draws with more GPP have larger errors; with towers in or near the region what these measured moves the budget
        from the maps.
        """
        if not self.structural:
            return self
        total = {flux: Lazy(values.shape, partial(self._with_error, flux)) for flux, values in self.total.items()}
        error = "the structural error of the model, alike between neighbours of a plant type and known where a tower measured it"
        meaning = f"{self.meaning}; and {error}"
        return replace(self, total=total, structural={}, spread=self.spread + STRUCTURAL, meaning=meaning)

    def in_memory(self) -> RunTotals:
        """Totals that no longer need their file."""
        total = {flux: values[:] for flux, values in self.total.items()}
        return replace(self, total=total, structural={flux: values[:] for flux, values in self.structural.items()})

    def _with_error(self, flux: str, cells: np.ndarray) -> np.ndarray:
        of_net = self.structural["NEE"][cells]
        if flux == "NEE":
            return self.total[flux][cells] + of_net
        if "GPP" in self.structural:
            of_gpp = self.structural["GPP"][cells]
        else:
            of_gpp = part_of_gpp(self.total["GPP"][cells], self.total["RECO"][cells], of_net)
        return self.total[flux][cells] + (of_gpp if flux == "GPP" else of_net + of_gpp)

    def area_without_tower(self, cells: np.ndarray) -> float:
        """Area of some cells whose plant type no tower of the posterior has, m2; NaN where the run does not record it."""
        if self.at_towers is None:
            return np.nan
        return float(self.area[cells][~np.isin(self.land_cover[cells].astype(str), [*self.at_towers])].sum())

    def area_outside(self, cells: np.ndarray) -> float:
        """Area of some cells outside the area of applicability, m2; NaN where the run does not know it."""
        return np.nan if self.outside is None else float(self.outside[cells].sum())

    def groups(self) -> list[tuple[str, str, np.ndarray]]:
        """(zone, land cover, cells) of the rows of a budget: the region, its land covers, each zone, its land covers."""
        if not len(self.zone):
            return []
        places = {code: place for place, code in enumerate(PLANT_TYPES)}
        cover = np.array([places[code] for code in self.land_cover])
        names, zone = np.unique(self.zone.astype(str), return_inverse=True)
        everywhere = np.zeros_like(zone)
        return [*_grouped((REGION,), everywhere, cover), *_grouped(names.tolist(), zone, cover)]

    def complete_years(self) -> list[int]:
        """Calendar years the run covers from the first to the last day."""
        covered = pd.Series(self.days, self.months.year).groupby(level=0).sum()
        return [int(year) for year, days in covered.items() if days == 366 - (not pd.Timestamp(year, 1, 1).is_leap_year)]

    def years_from_first_day(self) -> int:
        """Years that the run covers from its first day to the day before the same date; 0 where it ends on another day."""
        first = self.months[0] if self.first is None else self.first[0]
        after = first + pd.Timedelta(days=int(self.days.sum()))
        years = after.year - first.year
        return years if first + pd.DateOffset(years=years) == after else 0

    def part_of(self, months: np.ndarray) -> str:
        """Name of consecutive months: `2018-03..2018-09`, `2018-03`, or `2022-07-01..2022-07-03` where months are not whole."""
        at = np.arange(len(self.months))[months][[0, -1]]
        if (self.days[at] == self.months[at].days_in_month).all() or self.first is None:
            names = [f"{month:%Y-%m}" for month in self.months[at]]
        else:
            last = self.first[at[1]] + pd.Timedelta(days=int(self.days[at[1]]) - 1)
            names = [f"{day:%Y-%m-%d}" for day in (self.first[at[0]], last)]
        return "..".join(dict.fromkeys(names))

    def regroup(self, groups: Mapping[str, str]) -> RunTotals:
        """The same totals with zones aggregated; zones that are not named become `other`."""
        return replace(self, zone=np.array([groups.get(name, "other") for name in self.zone], dtype=object))


def check_spread(spread: str | None, source: str) -> str:
    """Check the named spread of a budget.

    Raises:
        ValueError: there is none, it is unknown, or it holds measurement noise.
    """
    if spread in [*Spread]:
        return spread
    known = ", ".join(f"`{name}`" for name in Spread)
    if not spread:
        raise ValueError(f"{source} does not name its spread, and an interval without a name means nothing; a budget needs one of {known}")
    if spread == "predictive":
        raise ValueError(f"{source} has the spread `predictive`: it holds measurement noise, which a regional budget must not; use {known}")
    raise ValueError(f"{source} has the spread `{spread}`; a budget needs one of {known}")


def file_of(run: str | Path, output: Output) -> Path:
    """The file of an output in a run folder, as the run wrote it.

    Raises:
        FileNotFoundError: it is not a run folder, the run keeps no such output, or it is not finished.
        ValueError: the file is damaged, or another one.
    """
    record, path = run_record(run), Path(run) / output.file
    if not path.exists():
        kept = record.get("keep")  # runs of earlier versions do not say
        if kept is not None and canonical_json(output.to_json()) not in map(canonical_json, kept):
            cure = f"map again into another folder, with `{type(output).__name__}()` in `keep`"
            raise FileNotFoundError(f"{path} is missing: the run keeps no `{type(output).__name__}` of {', '.join(FLUXES)}; {cure}")
        state = f"the run is not finished (state `{record.get('state')}`)"
        raise FileNotFoundError(f"{path} is missing: {state}; go on with `hybridflux map --run {run}`")
    check_file(Path(run), path.name, record)
    return path


def draws_of(record: Mapping) -> tuple[str, ...]:
    """What two runs have in common whose draws are the same, from their `run.json`."""
    return tuple(str(record.get("spec", {}).get(name)) for name in SAME_DRAWS)


def open_totals(run: str | Path) -> RunTotals:
    """Totals of a finished run folder, cells without vegetation left out; carbon is read when it is summed.

    Raises:
        FileNotFoundError: as `file_of`.
        ValueError: as `file_of`, or its spread is not named or not fit for a budget.
    """
    return read_totals(file_of(run, ZoneTotals()))


def read_totals(path: Path) -> RunTotals:
    """Totals in a file that `ZoneTotals` wrote.

    Raises:
        ValueError: it is damaged, or its spread is not named or not fit for a budget.
    """
    from hybridflux.data.hdf5 import open_netcdf

    try:
        opened = open_netcdf(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read as netCDF; remove it, and go on with `hybridflux map --run {path.parent}`") from error
    with opened as data:
        spread = check_spread(data.attrs.get("spread"), str(path))
        cells = np.flatnonzero(_kept(data))
        shape = (len(cells), data.sizes["month"], data.sizes["draw"])
        names = [str(flux).upper() for flux in data["flux"].values]
        read = partial(_stored, path, data["total"].dims.index("month") > data["total"].dims.index("draw"))
        total = {flux: Lazy(shape, partial(read, "total", (number,), cells)) for number, flux in enumerate(names)}
        structural = {flux: Lazy(shape, partial(read, name, (), cells)) for flux, name in ERRORS.items() if name in data}
        return _described(data, cells, spread, total, structural)


def totals_of(data, spread: str) -> RunTotals:
    """Totals as arrays, from a dataset `total` of flux, cell, month and draw, in any order."""
    cells = np.flatnonzero(_kept(data))
    values = data["total"].transpose("flux", "cell", "month", "draw").values.astype(float)
    total = {str(flux).upper(): values[number][cells] for number, flux in enumerate(data["flux"].values)}
    return _described(data, cells, spread, total, {})


def _kept(data) -> np.ndarray:
    """Whether a cell has vegetation `[cell]`."""
    bare = [PLANT_TYPES.index(code) for code in UNVEGETATED]
    return ~np.isin(data["plant_type"].values, bare) & (data["area"].values > 0)


def _described(data, cells: np.ndarray, spread: str, total: dict, structural) -> RunTotals:
    """Totals of some cells of a dataset, with their coordinates."""
    return RunTotals(
        total=total,
        zone=zone_names(data)[cells],
        land_cover=np.array(PLANT_TYPES, dtype=object)[data["plant_type"].values[cells].astype(int)],
        area=data["area"].values.astype(float)[cells],
        months=pd.DatetimeIndex(data["month"].values.astype("datetime64[M]").astype("datetime64[s]")),
        days=data["days"].values.astype(int),
        spread=spread,
        meaning=data.attrs.get("spread_meaning", ""),
        first=pd.DatetimeIndex(data["month"].values.astype("datetime64[s]")) if "month_bnds" in data else None,
        at_towers=frozenset(data.attrs[AT_TOWERS].split()) if AT_TOWERS in data.attrs else None,
        structural=structural,
        outside=data[OUTSIDE].values.astype(float)[cells] if OUTSIDE in data else None,
    )


def _stored(path: Path, month_last: bool, name: str, at: tuple[int, ...], kept: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Carbon of some of the vegetated cells from a file `[cell, month, draw]`, read in runs of neighbours."""
    from hybridflux.data.hdf5 import open_hdf5

    places, position = np.unique(kept[cells], return_inverse=True)
    runs = np.split(places, np.flatnonzero(np.diff(places) > GAP) + 1)
    with open_hdf5(path) as file:
        read = [file[name][(*at, slice(run[0], run[-1] + 1))][run - run[0]] for run in runs if len(run)]
        carbon = np.concatenate([*read, np.empty((0, *file[name].shape[-2:]))])[position]
        return carbon.swapaxes(1, 2) if month_last else carbon


def _grouped(names: Sequence[str], place: np.ndarray, cover: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Rows of each place and its land covers; `place` is the number of a name, `cover` of a plant type `[cell]`."""
    order = np.lexsort((cover, place))
    parts = np.split(order, np.flatnonzero((np.diff(place[order]) != 0) | (np.diff(cover[order]) != 0)) + 1)
    of_place: dict[int, list[np.ndarray]] = {}
    for part in parts:
        of_place.setdefault(int(place[part[0]]), []).append(part)
    for number, covers in of_place.items():
        yield names[number], ALL, np.sort(np.concatenate(covers))
        yield from ((names[number], PLANT_TYPES[cover[part[0]]], part) for part in covers)


def zone_names(data) -> np.ndarray:
    """Names of the zones of a totals dataset `[cell]`, as `names_of_zones`."""
    numbers = data["zone"].values.astype(int)
    names = names_of_zones({int(number): name for number, name in json.loads(data.attrs.get("zone_names", "{}")).items()}, set(numbers))
    return np.array([names[number] for number in numbers.tolist()], dtype=object)


def names_of_zones(given: Mapping[int, str], numbers: Iterable[int]) -> dict[int, str]:
    """Number of a zone -> its name in every table, each zone with its own; zone 0 is outside all zones.

    A zone whose name repeats, or is a reserved word (`RESERVED`), gets its number behind its name.

    Args:
        given: number -> name of the region store.
        numbers: that are asked for.
    """
    names = {number: str(name).strip() for number, name in given.items()}
    count = Counter(names.values())
    distinguished = {number: f"{name} (zone {number})" for number, name in names.items() if count[name] > 1 or name in RESERVED or not name}
    if distinguished:
        listed = ", ".join(list(distinguished.values())[:8]) + (" ..." if len(distinguished) > 8 else "")
        warnings.warn(
            f"zones whose names repeat, are empty or mean something else ({', '.join(RESERVED)}) get their numbers: {listed[:300]}",
            stacklevel=5,
        )
    names |= distinguished
    return {int(one): names.get(int(one), f"zone {int(one)}" if one else NO_ZONE) for one in numbers}
