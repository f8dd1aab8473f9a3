"""Call a process by the names in its signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from inspect import signature
from operator import mul

from hybridflux.vocabulary import suggestion


@dataclass(frozen=True)
class Memory:
    """Something that lasts from one day to the next: three functions, each resolved by `call`, each returning a dict.

    Attributes:
        start: state before the first day; its keys are the names of the state.
        step: state at the end of a day from the state before it and the drivers of the day; other keys are diagnostics.
        read: names derived from the state for the factors, beside the names of the state itself.
    """

    start: Callable[..., dict]
    step: Callable[..., dict]
    read: Callable[..., dict]


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
