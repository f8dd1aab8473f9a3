"""Changes of drivers for counterfactual runs: `rain=*0.6`, `tair=+2`, `vpd=climatology`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybridflux.vocabulary import VARIABLES, suggestion

TEMPERATURES = ("tair", "tmin", "tmax", "tair_night", "tair_day")
_HELP = "write `*0.6`, `+2`, `-1.5` or `climatology`, and `@2018-05-01:2018-09-30` behind it for a part of the time"


@dataclass(frozen=True)
class Change:
    """What happens to one driver.

    A shift of `tair` also shifts the other temperatures of a day. VPD is not touched unless it is changed itself: warmer air that
    keeps its VPD is moister air. Running means and the spin-up see the changed driver.

    Attributes:
        name: driver.
        operation: `*`, `+` or `climatology`.
        value: factor or difference, in the units of the driver.
        first: first day it holds, or None.
        last: last day it holds, or None.
    """

    name: str
    operation: str
    value: float = 0.0
    first: str | None = None
    last: str | None = None

    @classmethod
    def parse(cls, name: str, text: str) -> Change:
        """Read `*0.6`, `+2`, `-1.5` or `climatology`, perhaps with `@2018-05-01:2018-09-30`.

        Raises:
            ValueError: not a driver, or not a change.

        >>> Change.parse("rain", "*0.6@2018-05-01:2018-09-30")
        Change(name='rain', operation='*', value=0.6, first='2018-05-01', last='2018-09-30')
        """
        drivers = [known for known, row in VARIABLES.items() if row.kind == "driver"]
        if name not in drivers:
            raise ValueError(f"`{name}` is not a driver that can be changed.{suggestion(name, drivers)}")
        what, _, when = text.strip().partition("@")
        first, _, last = when.partition(":")
        try:
            between = [str(np.datetime64(day, "D")) if day else None for day in (first, last)]
            if what == "climatology":
                return cls(name, what, 0.0, *between)
            operation, value = ("*", float(what[1:])) if what[:1] == "*" else ("+", float(what))
            if what[:1] not in "*+-":
                raise ValueError
        except ValueError:
            raise ValueError(f"`{name}={text}` is not a change; {_HELP}") from None
        if operation == "*" and name in TEMPERATURES:
            raise ValueError(f"`{name}={text}`: a factor of a temperature in degC means nothing; shift it, for instance {name}=+2")
        return cls(name, operation, value, *between)

    @property
    def names(self) -> tuple[str, ...]:
        """The drivers it changes."""
        return TEMPERATURES if self.name == "tair" and self.operation == "+" else (self.name,)

    def apply(self, values: np.ndarray, days: np.ndarray, climatology: np.ndarray | None = None) -> np.ndarray:
        """Changed values, kept inside the bounds of the driver.

        Args:
            values: `[time, ...]`.
            days: `datetime64[D]`, `[time]`.
            climatology: `[366, ...]`, where it is asked for.
        """
        if self.operation == "climatology":
            changed = climatology[days_of_year(days) - 1]
        else:
            changed = values * self.value if self.operation == "*" else values + self.value
        first, last = np.datetime64(self.first or days[0]), np.datetime64(self.last or days[-1])
        inside = ((days >= first) & (days <= last)).reshape(-1, *(1,) * (values.ndim - 1))
        return np.where(inside, np.clip(changed, *VARIABLES[self.name].bounds), values).astype(values.dtype)

    def __str__(self) -> str:
        value = np.format_float_positional(self.value, trim="-", sign=self.operation == "+")
        what = {"climatology": "climatology", "*": f"*{value}", "+": value}[self.operation]
        return f"{self.name}={what}" + (f"@{self.first or ''}:{self.last or ''}" if self.first or self.last else "")


def read_changes(change: Mapping[str, str | Change]) -> tuple[Change, ...]:
    """Driver -> change, as objects.

    >>> [str(one) for one in read_changes({"rain": "*0.6", "tair": "+2"})]
    ['rain=*0.6', 'tair=+2']
    """
    return tuple(what if isinstance(what, Change) else Change.parse(name, what) for name, what in change.items())


def days_of_year(days: np.ndarray) -> np.ndarray:
    """Day of the year of each day, from 1.

    >>> days_of_year(np.array(["2018-01-01", "2018-12-31"], "datetime64[D]")).tolist()
    [1, 365]
    """
    return (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
