"""Readers by the `format` of a dataset, imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib import import_module

from hybridflux.addresses import redacted
from hybridflux.vocabulary import suggestion


@dataclass(frozen=True)
class Readers:
    """The readers of a room: `readers(dataset.format)` gives the function.

    Attributes:
        what: they read, for messages.
        of: format -> `module:function`.
    """

    what: str
    of: Mapping[str, str]

    def __call__(self, name: str | None) -> Callable:
        """The reader of a format.

        Raises:
            ValueError: no such format; names those there are.
        """
        if name not in self.of:
            known = ", ".join(self.of)
            raise ValueError(f"no reader of {self.what} for the format `{name}`.{suggestion(str(name), self.of)} There are {known}")
        module, function = self.of[name].split(":")
        return _discreet(getattr(import_module(module), function))


def _discreet(read: Callable) -> Callable:
    """A reader whose errors repeat its place, and addresses in its files, without their passwords and signatures."""

    @wraps(read)
    def discreet(*args, **options):
        try:
            return read(*args, **options)
        except (ValueError, OSError) as error:
            text = str(error)
            if redacted(text) == text:
                raise
            raise type(error)(redacted(text)) from None

    return discreet
