"""Closure of a carbon budget against measured stock changes: closed, open or undecidable.

* **undecidable**: a pool is missing, the run covers less than half of the years, or the errors are so large that even a
  relevant gap would not be detected: `1.96 sd > max(50 gC m-2 yr-1, half of the largest of |NEE|, |export|, |stock change|)`,
  unless the gap exceeds them.
* **open**: `|z| > 1.96`, the two sides differ by more than their errors.
* **closed**: `|z| <= 1.96` where a relevant gap would have been detected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

LIMIT = 1.96
DETECTABLE_SHARE = 0.5  # of the largest term of the ledger
DETECTABLE_FLOOR = 50.0  # gC m-2 yr-1: the best resolution of repeated inventories over about a decade


@dataclass(frozen=True)
class Verdict:
    """The outcome of one comparison, gC m-2 yr-1.

    Attributes:
        difference: NBP minus stock change.
        difference_sd: sd of the difference, from the draws of the run and the sds of the inventory.
        z: difference over its sd.
        detectable: the smallest gap that these errors would detect, 1.96 sd.
        verdict: `closed`, `open` or `undecidable`.
        limiting_term: the term with most variance, or the one that is missing.
        note: reasons, in words.
    """

    difference: float
    difference_sd: float
    z: float
    detectable: float
    verdict: str
    limiting_term: str
    note: str

    def columns(self) -> dict:
        """As columns of a table."""
        return asdict(self)


def judge(nee: np.ndarray, pools: Mapping[str, tuple[float, float]], *, years: tuple[int, int], spread: str) -> Verdict:
    """Compare the net flux of a run with a ledger.

    Args:
        nee: NEE per draw `[draw]`, gC m-2 yr-1, positive to the atmosphere.
        pools: pool -> (value, sd) among `biomass`, `soil` (gains) and `export` (carbon leaving), gC m-2 yr-1.
        years: years of the period that the run covers, and years of the period.
        spread: spread of the draws.

    >>> forest = {"biomass": (250.0, 30.0), "soil": (20.0, 20.0), "export": (120.0, 15.0)}
    >>> judge(np.array([-420.0, -400.0, -380.0]), forest, years=(10, 10), spread="parameter+random_effects").verdict
    'closed'
    """
    missing = [pool for pool in ("biomass", "soil", "export") if pool not in pools]
    if missing:
        return _undecided(missing[0], f"no value of {' and '.join(missing)}; give 0 and its sd where the pool does not exist")
    if 2 * years[0] < years[1]:
        return _undecided("flux", f"the run covers {years[0]} of {years[1]} whole years")
    if len(nee) < 2:
        return _undecided("flux", "one draw has no interval")
    terms = {"flux": nee.std(ddof=1), **{pool: sd for pool, (_, sd) in pools.items()}}
    sd = float(np.sqrt(sum(value**2 for value in terms.values())))
    stock = pools["biomass"][0] + pools["soil"][0]
    difference = float(-nee.mean() - pools["export"][0] - stock)
    z = difference / sd if sd > 0 else np.inf * np.sign(difference) if difference else 0.0
    worth = worth_detecting(nee.mean(), pools["export"][0], stock)
    limiting = max(terms, key=terms.get)
    notes = [f"the run covers {years[0]} of {years[1]} whole years"] if years[0] < years[1] else []
    if abs(z) > LIMIT:
        verdict = "open"
        notes += ["the spread `parameter` leaves out site-to-site error, which may be the gap"] if spread == "parameter" else []
    elif LIMIT * sd > worth:
        verdict = "undecidable"
        notes.append(f"a gap of {worth:.0f} gC m-2 yr-1 would not be detected: these errors show gaps above {LIMIT * sd:.0f}")
    else:
        verdict = "closed"
    return Verdict(difference, sd, float(z), LIMIT * sd, verdict, limiting, "; ".join(notes))


def verdicts_of(table: pd.DataFrame) -> str:
    """A line for a terminal: how many comparisons of a budget have which verdict, and where an undecidable one is answered.

    >>> verdicts_of(pd.DataFrame({"verdict": ["closed", "undecidable", None]}))
    'run and inventory: 1 closed, 1 undecidable; what both together say, and what would decide: hybridflux assimilate'
    """
    counts = table["verdict"].dropna().value_counts()
    more = "; what both together say, and what would decide: hybridflux assimilate" if counts.get("undecidable", 0) else ""
    return "run and inventory: " + ", ".join(f"{count} {word}" for word, count in counts.items()) + more


def worth_detecting(nee: float, export: float, stock: float) -> float:
    """The smallest gap that matters, from the means of the three terms, gC m-2 yr-1."""
    return max(DETECTABLE_FLOOR, DETECTABLE_SHARE * max(abs(nee), abs(export), abs(stock)))


def _undecided(term: str, note: str) -> Verdict:
    return Verdict(np.nan, np.nan, np.nan, np.nan, "undecidable", term, note)
