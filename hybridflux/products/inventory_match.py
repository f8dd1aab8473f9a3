"""Whether an inventory and a run are of the same years, and whether it has the pools that close a budget: said before any work."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np

from hybridflux.products.inventory import Entry
from hybridflux.products.totals import RunTotals

NEEDED = ("biomass", "soil", "export")
"""Pools without which nothing can be decided (`closure.judge`)."""


def check_match(totals: RunTotals, entries: list[Entry], source: str) -> None:
    """Refuse an inventory of years of which the run has no day; warn of entries that cannot be decided.

    Args:
        totals: of the run.
        entries: of the inventory.
        source: its name, for messages.

    Raises:
        ValueError: no entry shares a year with the run.
    """
    mapped = set(totals.complete_years())
    everything = totals.part_of(np.arange(len(totals.months)))
    has = f"the whole years {min(mapped)} to {max(mapped)}" if mapped else f"no whole calendar year ({everything})"
    shared = [len(mapped & set(range(entry.years[0], entry.years[1] + 1))) for entry in entries]
    touched = set(totals.months.year)
    if entries and not any(touched & set(range(entry.years[0], entry.years[1] + 1)) for entry in entries):
        years = f"{min(entry.years[0] for entry in entries)} to {max(entry.years[1] for entry in entries)}"
        raise ValueError(f"{source} is of {years}, and the run has {has}; map these years, or give an inventory of those of the run")
    few = [one for one, years in zip(entries, shared, strict=True) if 2 * years <= one.years[1] - one.years[0]]
    if few:
        warnings.warn(f"{source}: the run has {has}, less than half of the years of {_listed(few)}: undecidable", stacklevel=3)
    lacking = [one for one in entries if not set(NEEDED) <= set(one.pools)]
    if entries and len(lacking) == len(entries):
        cure = f"a budget closes with {', '.join(NEEDED)}; give 0 and its sd where a pool does not exist"
        warnings.warn(f"{source}: pools are missing of all of {_listed(lacking)}: nothing can be decided; {cure}", stacklevel=3)


def _listed(entries: Iterable[Entry]) -> str:
    """Some entries by place and years, with the pools that they lack."""
    texts = []
    for one in entries:
        lacks = [pool for pool in NEEDED if pool not in one.pools]
        texts.append(f"{one.zone}/{one.land_cover} {one.years[0]}-{one.years[1]}" + (f" (no {' and '.join(lacks)})" if lacks else ""))
    return ", ".join(texts[:8]) + (" ..." if len(texts) > 8 else "")
