"""Call a process by the names in its signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from inspect import signature
from operator import mul
from typing import Literal

from hybridflux.vocabulary import suggestion

SPIN_UP_DAYS = 365
"""Days of a spin-up: the first year of drivers, walked through once before the first day (all of it where there is less)."""


def _nothing() -> dict:
    return {}


@dataclass(frozen=True)
class Memory:
    """Something that lasts from one day to the next: functions, each resolved by `call`, each returning a dict.

    A day has one order in all loops: `step`, the fluxes of the day, which see the state after `step`, then `after`.

    Attributes:
        start: state before the first day; its keys are the names of the state.
        step: state before the fluxes of a day from the state of the day before and the drivers of the day; a state that it does not
            name stays as it is. Other keys are diagnostics, for instance `evapotranspiration`, which factors may read and which
            may be observed, predicted and mapped.
        read: names derived from the state for the factors, beside the names of the state itself.
        after: state at the end of the day from all that the factors saw and `gpp`, `reco`, `nee` of the day; may name states of
            its own memory only. None: the fluxes of a day do not change the state.
        spin_up: "year": the state walks through the first year of drivers once before the first day; None: it begins at `start`,
            as a stock does that a map gives.
    """

    start: Callable[..., dict]
    step: Callable[..., dict] = _nothing
    read: Callable[..., dict] = _nothing
    after: Callable[..., dict] | None = None
    spin_up: Literal["year"] | None = "year"

    def __post_init__(self):
        if self.spin_up not in ("year", None):
            raise ValueError(f"spin_up = {self.spin_up!r} is neither 'year' nor None")

    @property
    def functions(self) -> tuple[Callable[..., dict], ...]:
        """Its functions, in the order of a day."""
        return (self.start, self.step, self.read, *(() if self.after is None else (self.after,)))


@cache
def arguments(fn: Callable) -> tuple[str, ...]:
    """Names in the signature of a process.

    >>> arguments(lambda *, vpd, vpd_sensitivity: vpd)
    ('vpd', 'vpd_sensitivity')
    """
    return tuple(signature(fn).parameters)


def call(fn: Callable, names: Mapping):
    """Call `fn` with those of `names` its signature asks for.

    Args:
        fn: keyword-only function.
        names: arrays by name; may hold more than `fn` needs.

    Raises:
        ValueError: a name is missing; the message gives the nearest name there is.

    >>> def double(*, vpd): return 2 * vpd
    >>> call(double, {"vpd": 3.0, "tair": 1.0})
    6.0
    >>> call(double, {"vpds": 3.0})
    Traceback (most recent call last):
    ...
    ValueError: `double` needs `vpd`, which is not given. Did you mean `vpds`?
    """
    for name in arguments(fn):
        if name not in names:
            raise ValueError(f"`{fn.__name__}` needs `{name}`, which is not given.{suggestion(name, names)}")
    return fn(**{name: names[name] for name in arguments(fn)})


def product(fns: Iterable[Callable], names: Mapping):
    """Product of factors, each called by its names, in order.

    >>> product((lambda *, vpd: vpd, lambda *, tair: tair + 1.0), {"vpd": 3.0, "tair": 1.0})
    6.0
    """
    return reduce(mul, (call(fn, names) for fn in fns))
