"""Counterfactuals: the same region and the same draws, with and without a change of its drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hybridflux.model.leaf_response import LEAF_RESPONSE, LeafResponse
from hybridflux.products.budget import periods, rows_of
from hybridflux.products.effect_maps import write_effect_maps
from hybridflux.products.rows import COLUMNS
from hybridflux.products.sheet import write_table
from hybridflux.products.totals import RunTotals, open_totals, run_record
from hybridflux.progress import Progress
from hybridflux.records import read_record, write_record
from hybridflux.region.draws.spread import Draws, Spread
from hybridflux.region.drivers.calendar import Calendar, Period
from hybridflux.region.drivers.driver_change import Change, read_changes
from hybridflux.region.drivers.open import Region, open_region
from hybridflux.region.store.checksums import of_files

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

RECORD = "scenario.json"
LEAVES = ("auto", "follow", "held")
PRODUCTS = (RECORD, "effect.csv", "effect.zarr", "cog")
"""Products of the two runs, beside them."""


@dataclass(frozen=True)
class Effect:
    """Effect of a change on the totals, draw by draw.

    Attributes:
        control: totals as observed.
        changed: totals under the change, of the same draws.
        changes: changes of the drivers, as written by the user.
        leaves: what NIRv and LSWI did, as a sentence; empty in scenarios of earlier versions.
    """

    control: RunTotals
    changed: RunTotals
    changes: tuple[str, ...]
    leaves: str = ""


def run_scenario(
    posterior: Posterior,
    region: str | Path | Region,
    changes: Mapping[str, str | Change],
    out: str | Path,
    *,
    draws: int | Draws = 64,
    period: Period = Period(),  # noqa: B008
    control: str | Path | None = None,
    leaves: str | LeafResponse = "auto",
    progress: Progress | None = None,
    **options: Any,
) -> Effect:
    """Map a region twice with the same draws and write the effect of the change.

    Of a stacked posterior only the process members are mapped: an effect is a claim about causes, which networks of weather do not know;
    `scenario.json` and the header of `effect.csv` say so (`members`).

    Written into `out`: the run folders `control` and `changed`, `effect.csv` (totals per zone and land cover with paired
    intervals), `effect.zarr` and `cog/*.tif` (maps of the difference of the means), `scenario.json`.

    Args:
        posterior: fitted `Posterior`.
        region: region store, or an open region.
        changes: driver -> `*0.6`, `+2` or `climatology`, or `Change`.
        out: folder.
        draws: the same in both runs; a number takes the spread `parameter`, because an effect concerns the physics and not one place.
        period: days that are mapped.
        control: run folder of the same region, draws and period, `control` of another scenario: linked to instead of mapped again.
        leaves: `follow`: NIRv and LSWI follow the rain deficit of the changes, by `model.leaf_response.LEAF_RESPONSE` or the response given
            here, one draw for each of the posterior; `held`: both runs have the same; `auto`: they follow where they can.
        progress: called with (tiles done, all, message) over both runs.
        options: further arguments of `map_region`: `keep`, `resume`, `executor`.

    Raises:
        FileExistsError: the folder holds files that no scenario wrote.
        ValueError: no change, or one that cannot be made; leaves that shall follow and cannot.
    """
    from hybridflux.region.drivers.changeable import check_changes, check_leaves, why_leaves_are_held
    from hybridflux.region.map import map_region

    read = read_changes(changes)
    if not read:
        raise ValueError("a scenario needs a change, for instance rain=*0.6")
    out, region = Path(out), region if isinstance(region, Region) else open_region(region)
    _check_folder(out)
    draws, changed = Draws.of(draws, Spread.parameter), region.with_changes(changes)
    given, posterior = posterior, posterior.of_causes()
    members = "all" if posterior.model is given.model else "process"
    needs = posterior.model.needs()
    held = why_leaves_are_held(changed, needs)
    changed = changed.with_leaves(_response(leaves, held))
    check_leaves(changed, needs)  # and the changes before the control run
    check_changes(changed, needs, Calendar.of_region(region, period).days)
    if control is not None and not (out / "control").exists():
        out.mkdir(parents=True, exist_ok=True)
        (out / "control").symlink_to(Path(control).resolve(), target_is_directory=True)
    for half, (name, drivers) in enumerate((("control", region), ("changed", changed))):
        notify = partial(_notify_half, progress, half, name) if progress else None
        again = {"resume": True} if name == "control" and control is not None else {}  # compares the specification, maps what is missing
        map_region(posterior, drivers, out / name, draws=draws, period=period, progress=notify, **options | again)
    words = tuple(str(change) for change in read)
    run = run_record(out / "changed")
    record = {
        "changes": words,
        "spread": draws.spread.value,
        "members": members,
        "leaves": _said_of_leaves(changed.leaves, held),
        **{name: run[name] for name in ("sign", "start", "end", "days", "attribution", "provenance")},
    }
    effect = _effect(out, record)
    write_table(effect_table(effect), out / "effect.csv", record, float_format="%.6g")
    write_effect_maps(out, words)
    maps = sorted(path.relative_to(out).as_posix() for part in ("effect.zarr", "cog") for path in (out / part).rglob("*") if path.is_file())
    write_record(out / RECORD, record | {"checksums": of_files(out, ("effect.csv", *maps))})  # last: it marks the scenario as complete
    return effect


def _response(leaves: str | LeafResponse, held: str | None) -> LeafResponse | None:
    """The response of a scenario; None where leaves are held."""
    if isinstance(leaves, LeafResponse):
        return leaves
    if leaves not in LEAVES:
        raise ValueError(f"leaves=`{leaves}` is none of {', '.join(LEAVES)}")
    return None if leaves == "held" or (leaves == "auto" and held) else LEAF_RESPONSE


def _said_of_leaves(response: LeafResponse | None, held: str | None) -> str:
    """What a record says of the leaves."""
    if response is not None:
        return f"NIRv and LSWI follow the rain deficit, memory {response.memory_days:g} d ({response.source})"
    return f"NIRv and LSWI held{f': {held}' if held else ''}"


def open_scenario(folder: str | Path) -> Effect:
    """The effect written by `run_scenario`.

    Raises:
        FileNotFoundError: it is not the folder of a scenario.
        ValueError: the two runs are not of the same cells and draws.
    """
    folder = Path(folder)
    if not (folder / RECORD).exists():
        raise FileNotFoundError(f"{folder} has no {RECORD}; write one with `hybridflux scenario --out {folder}`")
    return _effect(folder, read_record(folder / RECORD, "written by `hybridflux scenario`; run it again"))


def _effect(folder: Path, record: Mapping[str, Any]) -> Effect:
    """The effect of two finished runs, with what the record of the scenario says."""
    control, changed = open_totals(folder / "control"), open_totals(folder / "changed")
    same = control.total["NEE"].shape == changed.total["NEE"].shape and np.array_equal(control.area, changed.area)
    if not same or control.spread != changed.spread:
        raise ValueError(f"{folder}: control and changed are not of the same region, period and draws; remove the folder and run it again")
    return Effect(control, changed, tuple(record["changes"]), f"{record['leaves']}." if "leaves" in record else "")


def _check_folder(folder: Path) -> None:
    """Refuse a folder with files that no scenario wrote and that could be replaced.

    Raises:
        FileExistsError: it is not empty, and holds no runs, or a product without them.
    """
    existing = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if existing and not (folder / "control" / "run.json").exists() and existing != {"control"}:
        raise FileExistsError(f"{folder} is not empty and not the folder of a scenario; its files could be replaced, give another folder")
    without = sorted(existing & set(PRODUCTS)) if not (folder / "changed" / "run.json").exists() else []
    if without:
        raise FileExistsError(f"{folder} holds {', '.join(without)}, which no scenario wrote: `changed` is missing; give another folder")


def effect_table(effect: Effect) -> pd.DataFrame:
    """Totals of the effect per zone, land cover and period, in the columns of a budget.

    Differences are taken draw by draw. `sd_unpaired` is the sd of the difference of two independent runs; `percent` is the change
    relative to the flux of the control, `percent_q05` and `percent_q95` its interval.
    """
    control, groups, parts = effect.control, effect.control.groups(), []
    for name, months, years in periods(control):

        def carbon(flux, cells, area, months=months, years=years):
            before, after = (run.sums(flux, cells, months) / max(years, 1) for run in (control, effect.changed))
            return after - before, _relative(before, after) | {"sd_unpaired": _unpaired(before, after) / area}

        days = int(control.days[months].sum())
        parts.append(rows_of(control, groups, carbon, yearly=years > 0).assign(period=name, days=days, quantity="effect"))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(changes=" ".join(effect.changes), spread=effect.control.spread, draws=effect.control.draws)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def _notify_half(progress, half: int, name: str, done: int, total: int, message: str) -> None:
    """Progress of one of two runs."""
    progress(half * total + done, 2 * total, f"{name}: {message}")


def _relative(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    """Change in per cent of the control `[group, draw]`, median and interval over draws."""
    size = np.abs(before)
    percent = 100 * np.divide(after - before, size, out=np.full(size.shape, np.nan), where=size > 0)
    low, middle, high = np.quantile(percent, [0.05, 0.5, 0.95], axis=-1)
    one = percent.shape[-1] < 2
    return {"percent": middle, "percent_q05": np.nan if one else low, "percent_q95": np.nan if one else high}


def _unpaired(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Sd of the difference of two independent runs `[group]`, gC."""
    several = before.shape[-1] > 1
    return np.hypot(before.std(-1, ddof=1), after.std(-1, ddof=1)) if several else np.full(len(before), np.nan)
