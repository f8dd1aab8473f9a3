"""Changes of drivers for counterfactual runs: `rain=*0.6`, `tair=+2`, `vpd=climatology`, for a part of the time `rain=*0.6@2018-05-01:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybridflux.causes import SOIL_WATER
from hybridflux.vocabulary import VARIABLES, suggestion

ALONG = {"tair": ("tmin", "tmax", "tair_night", "tair_day"), "vpd": ("vpd_day",)}
"""Driver -> what describes another part of the same day and moves with it."""
TEMPERATURES = ("tair", *ALONG["tair"])
AMOUNTS = ("par", "vpd", "rain")
"""Weather that is scaled to its usual mean; temperatures are shifted."""
USUAL_FORMS = ("climatology", "typical")
_HELP = (
    "write `*0.6`, `+2`, `-1.5`, `climatology` or `typical` (of some years: `typical:2001-2010`), and `@2018-05-01:2018-09-30` behind it "
    "for a part of the time "
    "(`@2018-05-01:` from then on, `@:2018-09-30` until then); soil water is held at a value, rew=0.8, or moved, rew=*0.6, on all days"
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Change:
    """What happens to one driver.

    A change of `tair` moves the other temperatures of a day by the same difference, one of `vpd` acts on `vpd_day` too. `typical` gives
    each of them days and a mean of its own; one without a climatology moves as far as the climatology of `tair` or `vpd`. What is held: VPD
    under a change of temperature (warmer air that keeps its VPD is moister air), PAR under a change of rain, and what a place is
    (`fapar_top`, `fapar_base`) under a change of fapar. Running means and the spin-up see the changed driver.

    Attributes:
        name: driver.
        operation: `*`, `+`, `=` (held; soil water alone), `climatology` (the mean course of the year) or `typical` (days of real weather,
            moved to the usual mean).
        value: factor or difference, in the units of the driver.
        first: first day it holds, or None.
        last: last day it holds, or None.
        years: first and last year of the record that a climatology is made of; None: all.
    """

    name: str
    operation: str
    value: float = 0.0
    first: str | None = None
    last: str | None = None
    years: tuple[int, int] | None = None

    @property
    def is_usual(self) -> bool:
        """Whether it puts what is usual in place of what was."""
        return self.operation in USUAL_FORMS

    @classmethod
    def parse(cls, name: str, text: str) -> Change:
        """Read `*0.6`, `+2`, `-1.5`, `climatology` or `typical`, perhaps with `@2018-05-01:2018-09-30`.

        Raises:
            ValueError: not a driver, not a change, one that changes nothing, or a period that ends before it begins.

        >>> Change.parse("rain", "*0.6@2018-05-01:2018-09-30")
        Change(name='rain', operation='*', value=0.6, first='2018-05-01', last='2018-09-30', years=None)
        >>> str(Change.parse("tair", "typical:2001-2010"))
        'tair=typical:2001-2010'
        """
        drivers = [known for known, row in VARIABLES.items() if row.kind == "driver" or known == SOIL_WATER]
        if name not in drivers:
            raise ValueError(f"`{name[:40]}` is not a driver that can be changed.{suggestion(name, drivers)}")
        said = f"`{name}={text[:60]}`"
        what, at, when = text.strip().partition("@")
        first, colon, last = when.partition(":")
        try:
            if at and (not colon or not (first or last) or any(day and not _DAY.fullmatch(day) for day in (first, last))):
                raise ValueError
            between = [str(np.datetime64(day, "D")) if day else None for day in (first, last)]
            form, of, span = what.partition(":")
            years = None
            if form in USUAL_FORMS and bool(of) == bool(span):
                operation, value = form, 0.0
                years = None if not of else (int(span.partition("-")[0]), int(span.partition("-")[2] or span))
            elif name == SOIL_WATER and what[:1] not in "*+-":
                operation, value = "=", float(what)
            else:
                operation, value = ("*", float(what[1:])) if what[:1] == "*" else ("+", float(what))
                if what[:1] not in "*+-" or not np.isfinite(value):
                    raise ValueError
            if name == SOIL_WATER and (operation in USUAL_FORMS or at or (operation == "=" and not 0 <= value <= 1)):
                raise ValueError
        except ValueError:
            raise ValueError(f"{said} is not a change; {_HELP}") from None
        if first and last and last < first:
            raise ValueError(f"{said} ends before it begins; swap the two days")
        if years and years[1] < years[0]:
            raise ValueError(f"{said} ends its years before they begin; swap them")
        if operation == "typical" and name not in (*TEMPERATURES, *AMOUNTS):
            raise ValueError(f"{said}: weather has typical days, {', '.join(('tair', *AMOUNTS))}; for the rest write `climatology`")
        if (operation, value) in (("*", 1.0), ("+", 0.0)):
            raise ValueError(f"{said} changes nothing; {_HELP}")
        if operation == "*" and name in TEMPERATURES:
            raise ValueError(f"{said}: a factor of a temperature in degC means nothing; shift it, for instance {name}=+2")
        if operation == "*" and value < 0 and VARIABLES[name].bounds[0] >= 0:
            raise ValueError(f"{said}: `{name}` is not negative and has no negative factor; {name}=*0 takes it away")
        return cls(name, operation, value, *between, years)

    def of_soil_water(self, rew):
        """Relative extractable water as factors see it, which is held (`rew=0.8`) or moved (`rew=*0.6`, `rew=+0.1`), on all days."""
        return {"=": lambda: 0.0 * rew + self.value, "*": lambda: rew * self.value, "+": lambda: rew + self.value}[self.operation]()

    @property
    def names(self) -> tuple[str, ...]:
        """The drivers it changes."""
        return (self.name, *ALONG.get(self.name, ()))

    def unbounded(self, values: np.ndarray, days: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
        """Changed values, wherever they fall.

        Args:
            values: `[time, ...]`.
            days: `datetime64[D]`, `[time]`.
            usual: values of the climatology `[time, ...]`, where it is asked for.
        """
        if self.is_usual:
            changed = usual
        else:
            changed = values * self.value if self.operation == "*" else values + self.value
        return self._where_it_acts(changed, values, days)

    def apply(self, values: np.ndarray, days: np.ndarray, usual: np.ndarray | None = None, name: str | None = None) -> np.ndarray:
        """Changed values, kept inside the bounds of the driver; arguments as `unbounded`, `name` of one that moves along."""
        changed = np.clip(self.unbounded(values, days, usual), *VARIABLES[name or self.name].bounds)
        return self._where_it_acts(changed, values, days)

    def _where_it_acts(self, changed: np.ndarray, values: np.ndarray, days: np.ndarray) -> np.ndarray:
        acts = self.holds(days)
        if not acts.all():
            changed = np.where(acts.reshape(-1, *(1,) * (values.ndim - 1)), changed, values)
        return changed.astype(values.dtype, copy=False)

    def holds(self, days: np.ndarray) -> np.ndarray:
        """Whether it acts on a day `[time]`."""
        first, last = np.datetime64(self.first or days[0]), np.datetime64(self.last or days[-1])
        return (days >= first) & (days <= last)

    def __str__(self) -> str:
        value = np.format_float_positional(self.value, trim="-", sign=self.operation == "+")
        years = f":{self.years[0]}-{self.years[1]}" if self.years else ""
        what = f"{self.operation}{years}" if self.is_usual else {"*": f"*{value}", "+": value, "=": value}[self.operation]
        return f"{self.name}={what}" + (f"@{self.first or ''}:{self.last or ''}" if self.first or self.last else "")


def read_changes(change: Mapping[str, str | Change]) -> tuple[Change, ...]:
    """Driver -> change, as objects.

    Raises:
        ValueError: as `Change.parse`; or one driver is changed twice, for instance `tmin` by itself and along with `tair`.

    >>> [str(one) for one in read_changes({"rain": "*0.6", "tair": "+2"})]
    ['rain=*0.6', 'tair=+2']
    """
    found = tuple(what if isinstance(what, Change) else Change.parse(name, what) for name, what in change.items())
    for one in found:
        along = [other for other in found if other is not one and other.name in one.names]
        if along:
            raise ValueError(f"`{along[0]}`: `{along[0].name}` is already changed by `{one}`, which moves it along; leave one of them out")
    return found
