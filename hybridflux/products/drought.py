"""The drought ledger: what a season has lost against the usual year of the same place, by cause, per zone and land cover, in every draw.

Changes are those of this season minus the usual one. GPP below its usual is negative; NEE = RECO - GPP, positive to the atmosphere, so that
uptake lost is positive. `model.attribution` says how a change is split, `region.drivers.usual_weather` what is usual.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hybridflux.causes import CAUSES, SOIL_WATER, change_name
from hybridflux.products.drought_leaves import GREENNESS, RESPONSES, LeafTotals, can_be_split, greenness_rows, parts_of_totals
from hybridflux.products.drought_outputs import KEEP, PER, WATER, DroughtPixels, DroughtTotals
from hybridflux.products.rows import SIGN, summary
from hybridflux.products.sheet import write_table
from hybridflux.products.totals import RunTotals, file_of, read_totals, run_record
from hybridflux.progress import Progress
from hybridflux.records import read_record, write_record
from hybridflux.region.draws.spread import Draws, Spread
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.driver_change import ALONG, AMOUNTS, Change, read_changes
from hybridflux.region.drivers.open import Region, open_region
from hybridflux.region.run.keep import quantities_of
from hybridflux.region.store import layout
from hybridflux.region.store.checksums import of_files
from hybridflux.vocabulary import FLUXES, split_history

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

RECORD, TABLE, RUN = "drought.json", "drought.csv", "run"
ALL = "all"
LEAST_YEARS = 3
TRADED = -0.7
"""Correlation over the draws of what soil water and VPD did, below which one may stand for the other."""
WIDE = 0.5
"""Width of the 90 % interval of the share of soil water in what both did, above which the draws do not say which of them it was."""
LEAST = 1.0  # gC m-2: less than this of both is not worth a verdict
MOST_BYTES = 1e9  # of the sums of pixels, which are kept up to that without being asked for
NOT_SEPARABLE, SEPARABLE = "not separable", "separable"
NOT_HELD = (
    "legacy of the drought in the years after it", "mortality of trees", "groundwater and lateral flow",
    "crop rotation, harvest and mowing, which are part of greenness where the series shows them",
)  # fmt: skip
"""What no ledger holds."""
UNKNOWN_IRRIGATION, FURTHER_IRRIGATION = "irrigation, which is not known", "irrigation beyond what the region declares"
"""What else it does not hold, of a region without and with declared irrigation (`ingest.irrigate`)."""


def usual_of(region: Region, needs: Sequence[str], years: tuple[int, int] | None = None) -> dict[str, Change]:
    """What makes the usual year of a region: typical weather and the mean course of vegetation, where there are years to say.

    Args:
        region: whose record, or whose climatology, says what is usual.
        needs: names that the model reads.
        years: first and last reference year.
    """
    read = {split_history(name)[0] for name in needs}
    wanted = [name for name in ("tair", *AMOUNTS) if read & {name, *ALONG.get(name, ())}]
    wanted += [name for name in CAUSES["greenness"].inputs if name in read]
    return {
        name: Change(name, "typical" if region.is_coarse(name) else "climatology", years=years) for name in wanted if name in region.names
    }


def run_drought(
    posterior: Posterior,
    region: str | Path | Region,
    out: str | Path,
    *,
    period: Period,
    usual: Mapping[str, str | Change] | None = None,
    years: tuple[int, int] | None = None,
    draws: int | Draws = 64,
    pixels: bool | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Map a season against the usual year of the region, and write the ledger of it.

    Where the model reads NIRv and its usual course is known, greenness is split too (`products.drought_leaves`).

    Written into `out`: the run folder `run` (maps, daily series and totals per zone and draw of every change by cause), `drought.csv`,
    `drought.json`. Of a stacked posterior only the process members are mapped.

    Args:
        posterior: fitted `Posterior`.
        region: region store, or an open region, perhaps without pixels unlike the towers (`within`).
        out: folder.
        period: the season, its first and last day.
        usual: driver -> what is usual: `typical`, `climatology`, `*1.3`, `+0.02`; of others it is made of the record (`usual_of`).
        years: first and last reference year of the record; None: a climatology that came with the region, else all its years.
        draws: number, or `Draws`: of which spread, by which seed.
        pixels: keep the sums of every pixel and draw, of which losses by any classes are made later; None: where they take at most 1 GB.
        progress: called with (tiles done, all, message).
        options: further arguments of `map_region`: `resume`, `executor`.

    Returns:
        The table of `drought_table`.

    Raises:
        ValueError: nothing is known of what is usual; the region is under changed drivers (`check_unchanged`); or as `map_region`.
    """
    from hybridflux.region.map import map_region

    out, region = Path(out), region if isinstance(region, Region) else open_region(region)
    check_unchanged(region)
    given, posterior = posterior, posterior.of_causes()
    needs = posterior.model.needs()
    wanted = usual_of(region, needs, years) | {change.name: change for change in read_changes(usual or {})}
    held = {}
    for name, change in list(wanted.items()):
        try:
            region.check_years(change) if change.is_usual else None
        except ValueError as error:
            if usual and name in usual:
                raise
            held[name] = str(error)
            del wanted[name]
    if not wanted:
        raise ValueError(f"nothing is known of the usual year of {region.path}: {'; '.join(held.values())}")
    if held:
        warnings.warn(f"held as it was, so that it changes nothing: {', '.join(held)}; {next(iter(held.values()))}", stacklevel=2)
    draws = Draws.of(draws, Spread.random_effects)
    of_pixels = DroughtPixels(SOIL_WATER in quantities_of(posterior.model))
    if pixels is None:
        pixels = 4 * len(of_pixels.sums) * draws.number * region.grid.shape[0] * region.grid.shape[1] <= MOST_BYTES
    split = can_be_split(region, needs, [*wanted])
    keep = (*KEEP, *((LeafTotals(),) if split else ()), *((of_pixels,) if pixels else ()))
    map_region(posterior, region.against(wanted), out / RUN, draws=draws, period=period, keep=keep, progress=progress, **options)
    table, run = drought_table(out / RUN), run_record(out / RUN)
    record = {
        "usual": [str(change) for change in wanted.values()], "held": held, "spread": str(draws.spread), "not_held": _not_held(region),
        "members": "all" if posterior.model is given.model else "process",
        "greenness": {driver: of.source for driver, of in RESPONSES.items()} if split else {},
        **{name: run[name] for name in ("sign", "start", "end", "days", "attribution", "provenance")},
    }  # fmt: skip
    write_table(table, out / TABLE, record, float_format="%.6g")
    write_record(out / RECORD, record | {"checksums": of_files(out, (TABLE,))})  # last: it marks the ledger as complete
    return table


def check_unchanged(region: Region) -> None:
    """Refuse a region under changed drivers: a ledger compares the season that was with the usual one, and a scenario is neither.

    Raises:
        ValueError: names the changes and what to give in place of them.
    """
    if region.changes:
        raise ValueError(
            f"a ledger says what the season that was lost against the usual year, and this is a scenario, under "
            f"{', '.join(map(str, region.changes))}; give a run or a region without changes, such as the folder `control` of the scenario, "
            "and what is usual by --usual"
        )


def _not_held(region: Region) -> list[str]:
    """What the ledger of a region does not hold, in words."""
    return [*NOT_HELD, FURTHER_IRRIGATION if layout.IRRIGATION in region.group.attrs else UNKNOWN_IRRIGATION]


def drought_record(folder: str | Path) -> dict:
    """What `run_drought` wrote about a ledger.

    Raises:
        FileNotFoundError: it is not the folder of a ledger.
    """
    folder = Path(folder)
    if not (folder / RECORD).exists():
        raise FileNotFoundError(f"{folder} has no {RECORD}; write one with `hybridflux drought --out {folder}`")
    return read_record(folder / RECORD, "written by `hybridflux drought`; run it again")


def drought_table(run: str | Path) -> pd.DataFrame:
    """The ledger of a run against the usual year: a row for each zone (the region first), land cover, flux and cause.

    `cause` is `all` or one of `causes.CAUSES`; `mean sd q05 q50 q95` over the draws in `units`, `usual` the flux of the usual season,
    `percent` the change in per cent of it, `largest` the share of draws in which the cause takes most from the uptake (gives most to NEE).
    `separable` says of soil water and VPD whether the draws distinguish them (`separable`). Two more rows a place: `water missing` [mm],
    mean of the season, and `sensitivity` [gC m-2 per 10 mm], the change of GPP by soil water for 10 mm of that.
    """
    totals = read_totals(file_of(run, DroughtTotals()))
    groups = totals.groups()
    if not groups:
        raise ValueError("nothing was mapped, so there is no ledger; `masked` in run.json counts the pixels left out by reason")
    months = np.arange(len(totals.months))
    days, period = int(totals.days.sum()), totals.part_of(months)
    found = {name.lower(): totals.sums(name, [cells for *_, cells in groups], months) for name in totals.total}
    leaves = _leaves(run)
    parts_of = {name: leaves.sums(name, [cells for *_, cells in groups], months) for name in leaves.total} if leaves else {}
    rows = []
    for number, (zone, cover, cells) in enumerate(groups):
        area = totals.area[cells].sum()
        place = {"zone": zone, "land_cover": cover, "area_ha": area / 1e4, "period": period, "days": days}
        here = {name: values[number] / area for name, values in found.items()}
        of_place = list(rows_of_place(here, days))
        if parts_of:
            changes = changes_of(here)
            usual = {row["variable"]: row["usual"] for row in of_place if row["cause"] == ALL}
            parts = {name: of[number] / area for name, of in parts_of.items()}
            of_place += greenness_rows(parts, {flux: changes[flux, GREENNESS] for flux in FLUXES}, usual)
        rows += [place | row for row in of_place]
    return pd.DataFrame(rows).assign(spread=totals.spread, draws=totals.draws)


def _leaves(run: str | Path) -> RunTotals | None:
    """Parts of greenness of a ledger, by the names of `parts_of_totals`; None where it does not split greenness."""
    record = run_record(run)
    if not any(one["output"] == LeafTotals.__name__ for one in record.get("keep", ())):
        return None
    return parts_of_totals(read_totals(file_of(run, LeafTotals())), int(record["seed"]))


def rows_of_place(here: Mapping[str, np.ndarray], days: int) -> Iterator[dict]:
    """Rows of one place from sums of a season `[draw]`, g m-2, and of the water missing, mm d."""
    parts = changes_of(here)
    verdict = separable(-parts["GPP", "soil_water"], -parts["GPP", "vpd"])
    fluxes = {"GPP": here["gpp"], "RECO": here["reco"], "NEE": here["reco"] - here["gpp"]}
    for flux in FLUXES:
        usual = fluxes[flux] - parts[flux, ALL]
        loss = np.stack([parts[flux, cause] * (-1.0 if flux == "GPP" else 1.0) for cause in CAUSES])
        first = np.bincount(loss.argmax(0), minlength=len(CAUSES)) / loss.shape[1]
        for number, cause in enumerate((ALL, *CAUSES)):
            change = parts[flux, cause]
            yield {
                "variable": flux, "cause": cause, "units": "gC m-2", **summary(change), "usual": usual.mean(),
                "percent": 100 * change.mean() / usual.mean() if flux != "NEE" else np.nan,  # NEE may be near zero
                "largest": np.nan if cause == ALL else first[number - 1],
                "separable": verdict if cause in ("soil_water", "vpd") and flux == "GPP" else "", "sign": SIGN[flux],
            }  # fmt: skip
    missing = here[WATER] / days
    yield {"variable": "water missing", "cause": "", "units": "mm", **summary(missing), "sign": "positive: less than usual"}
    enough = abs(missing.mean()) > LEAST
    per = summary(PER * parts["GPP", "soil_water"] / np.where(np.abs(missing) > 1e-6, missing, np.nan)) if enough else {"mean": np.nan}
    yield {
        "variable": "sensitivity",
        "cause": "soil_water",
        "units": f"gC m-2 per {PER:g} mm",
        **per,
        "sign": "negative: dry soil takes GPP",
    }


def changes_of(here: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """(flux, cause) -> change `[..., draw]`, with those of NEE = RECO - GPP and of all causes together."""
    parts = {(flux.upper(), cause): here[change_name(flux, cause)] for flux in ("gpp", "reco") for cause in CAUSES}
    parts |= {("NEE", cause): parts["RECO", cause] - parts["GPP", cause] for cause in CAUSES}
    return parts | {(flux, ALL): np.sum([parts[flux, cause] for cause in CAUSES], axis=0) for flux in FLUXES}


def separable(water: np.ndarray, vpd: np.ndarray) -> str:
    """Whether the draws distinguish what soil water and what VPD took `[draw]`, gC m-2, positive where they took something.

    They do not where one stands for the other, which is declared: their correlation over the draws is below -0.7, or the share of soil
    water in what both took has a 90 % interval wider than 0.5. Empty where both together took less than 1 gC m-2, or for one draw.

    >>> share = np.linspace(0.1, 0.9, 20)
    >>> separable(50 * share, 50 - 50 * share), separable(40 + share, 10 + share)
    ('not separable', 'separable')
    """
    both = np.maximum(water, 0.0) + np.maximum(vpd, 0.0)
    if len(water) < 3 or both.mean() < LEAST:
        return ""
    share = np.maximum(water, 0.0) / np.maximum(both, 1e-9)
    low, high = np.quantile(share, (0.05, 0.95))
    varied = water.std() > 1e-6 and vpd.std() > 1e-6
    traded = varied and float(np.corrcoef(water, vpd)[0, 1]) < TRADED and high - low > 0.2
    return NOT_SEPARABLE if traded or high - low > WIDE else SEPARABLE
