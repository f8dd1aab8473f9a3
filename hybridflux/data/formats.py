"""Readers by the `format` of a dataset, imported when they are asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import wraps
from zipfile import BadZipFile

from hybridflux.addresses import redacted
from hybridflux.limits import shown
from hybridflux.ours import raised_by_us
from hybridflux.registry import Registry


class Readers(Registry):
    """The readers of a room: `readers(dataset.format)` gives the function, whose errors name the place and no secrets."""

    def __call__(self, name: str | None) -> Callable:
        """The reader of a format; raises as `Registry` does."""
        return _discreet(super().__call__(name))


def _discreet(read: Callable) -> Callable:
    """A reader whose errors name its place without passwords and signatures, also where a library fails over a damaged file."""

    @wraps(read)
    def discreet(*args, **options):
        try:
            return read(*args, **options)
        except (ValueError, OSError) as error:
            text = str(error)
            if redacted(text) == text:
                raise
            raise type(error)(redacted(text)) from None
        except (LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, AssertionError, BadZipFile, zlib.error) as error:
            if raised_by_us(error):
                raise
            place = shown(redacted(str(args[1] if len(args) > 1 else options.get("place", "the place"))))
            what = shown(redacted(str(error))) or type(error).__name__
            cure = "a file there is damaged, or not what its name says; download it again"
            raise ValueError(f"{place} cannot be read ({what}): {cure}") from error

    return discreet
