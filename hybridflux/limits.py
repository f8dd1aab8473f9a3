"""How large what comes from outside may be, and what of it a message repeats: each limit once, with the variable that raises it.

A file of a few kilobytes can claim to hold terabytes, a service can answer without end, a table can be one line. What is read stays below
these limits, far above anything a tower, a scene or a region needs.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

PREFIX = "HYBRIDFLUX_LIMIT_"
_SHOWN = 200  # characters of a foreign value in a message
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Refused(ValueError):
    """What is not read although it is whole: it points elsewhere, or is larger than it may be."""


@dataclass(frozen=True)
class Limit:
    """The largest amount of something.

    Attributes:
        name: the variable of the environment without its prefix, in small letters.
        default: where the environment does not set another.
        what: in words, for messages.
        unit: of the amount.
    """

    name: str
    default: int
    what: str
    unit: str

    @property
    def variable(self) -> str:
        """Variable of the environment that sets another limit."""
        return PREFIX + self.name.upper()

    @property
    def value(self) -> int:
        """The limit that holds.

        Raises:
            ValueError: the environment sets something that is no positive number.
        """
        text = os.environ.get(self.variable)
        try:
            found = self.default if not text else int(float(text))
        except (ValueError, OverflowError):
            found = 0
        if found < 1:
            raise ValueError(f"{self.variable}={shown(text)} in the environment is no positive number; set one such as {self.default}")
        return found

    def check(self, amount: int, where: str) -> None:
        """Refuse an amount that passes the limit.

        Args:
            amount: in `unit`.
            where: file, member or address, for the message.

        Raises:
            Refused: it is larger; names the amount, the limit and the variable that raises it.
        """
        if amount > self.value:
            raise Refused(self.passed(where, amount))

    def passed(self, where: str, amount: int | None = None) -> str:
        """The message for something beyond the limit; without the amount where reading stopped at the limit."""
        much = "more than that" if amount is None else _rounded(amount, self.unit)
        return (
            f"{shown(where)}: {self.what} may be at most {_rounded(self.value, self.unit)}, and it has {much}. If the data "
            f"are really so large, set {self.variable} in the environment to a larger number (now {self.value})"
        )


MEMBER = Limit("zip_member", 8 * 10**9, "a file in a zip, unpacked,", "bytes")
METADATA = Limit("metadata", 64 * 10**6, "a file of metadata", "bytes")
LINE = Limit("line", 10**6, "a line of a table", "characters")
TABLE = Limit("table", 4 * 10**9, "a table of a data provider, unpacked,", "bytes")
CELLS = Limit("cells", 500 * 10**6, "a table written by hand, unpacked,", "bytes")
ANSWER = Limit("answer", 2 * 10**9, "an answer of a server", "bytes")
PAGES = Limit("pages", 5000, "a search", "pages")
AXIS = Limit("axis", 10**8, "an axis of a file", "entries")
PIXELS = Limit("pixels", 10**9, "what is read of a file at once", "pixels")
PER_PIXEL = Limit("per_pixel", 250_000, "what is read of a file for one pixel of the region", "pixels")  # 10 m onto pixels of 5 km
GRID = Limit("grid", 5 * 10**7, "a grid of weather or soil moisture", "cells")
PER_AREA = Limit("per_km2", 100, "weather or soil moisture of a region", "cells for each km2")
DRAWN = Limit("drawn", 50_000, "a polygon drawn on a map", "pixels")
MESSAGE = Limit("message", 5000, "a message", "characters")


class Limited(io.BufferedIOBase):
    """A file of bytes that may not give more than a limit; a small packed file can unpack to terabytes.

    Args:
        file: open for reading.
        limit: of what it gives from its beginning on.
        where: its name, for messages.
    """

    def __init__(self, file, limit: Limit, where: str):
        self._file, self._limit, self._where, self._given = file, limit.value, where, 0
        self._passed = limit.passed

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Bytes.

        Raises:
            Refused: more than the limit.
        """
        left = self._limit - self._given + 1
        part = self._file.read(left if size is None or size < 0 else min(size, left))
        self._given += len(part)
        if self._given > self._limit:
            raise Refused(self._passed(self._where))
        return part

    read1 = read

    def readinto(self, buffer) -> int:
        """As `read`, into a buffer."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    readinto1 = readinto


def shown(value: object) -> str:
    """A foreign value as a message repeats it: on one line, cut to 200 characters.

    >>> shown("a" * 500).lstrip("a")
    '... (500 characters long)'
    """
    text = " ".join(str(value).split()) if any(mark in str(value) for mark in "\n\r\t\x0b\x0c") else str(value)
    text = "".join(sign if sign.isprintable() else "?" for sign in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(str(value))} characters long)"


def brief(message: str) -> str:
    """A message as a terminal and a log can take it: no control characters, of a longer one the beginning and the end.

    >>> brief("a.csv: " + "x" * 6000).replace("x", "")
    'a.csv: ... (6007 characters, HYBRIDFLUX_LIMIT_MESSAGE shows more) ...'
    """
    longest = MESSAGE.value
    message = "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in message)
    if len(message) <= longest:
        return message
    return f"{message[: longest // 2]}... ({len(message)} characters, {MESSAGE.variable} shows more) ...{message[-longest // 4 :]}"


def _rounded(amount: int, unit: str) -> str:
    """An amount in words.

    >>> _rounded(8_000_000_000, "bytes"), _rounded(5000, "pages")
    ('8 Gbytes', '5000 pages')
    """
    if unit == "bytes":
        for size, prefix in _UNITS:
            if amount >= size:
                return f"{amount / size:.3g} {prefix}bytes"
    return f"{amount} {unit}"
