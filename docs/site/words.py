"""Small pieces of Markdown that generated pages share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"'`,;\]]*[^\s\"'`,;.:)\]}>]")
"""A DOI in a text. One that ends in a bracket of its own, such as 10.1016/S0304-3800(98)00205-1, is taken whole."""


def cell(text: object) -> str:
    """A text inside of a table."""
    return " ".join(str(text).replace("|", "\\|").split())


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A table of Markdown.

    >>> print(table(["a", "b"], [(1, "x|y")]))
    | a | b |
    | --- | --- |
    | 1 | x\|y |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell(one) for one in line) + " |" for line in lines)


def linked(text: str) -> str:
    """A text whose DOIs are links.

    >>> linked("Monteith 1972, 10.2307/2401901.")
    'Monteith 1972, [10.2307/2401901](https://doi.org/10.2307/2401901).'
    """
    return DOI.sub(lambda found: f"[{found[0]}](https://doi.org/{found[0].replace('(', '%28').replace(')', '%29')})", text)


def plain(text: str) -> str:
    r"""A text in which Markdown and HTML find nothing of theirs, outside of its `code`.

    >>> plain("a_b < c * d, `x < y`")
    'a\\_b &lt; c \\* d, `x < y`'
    """
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"([_*\[\]{}#\\])", r"\\\1", part).replace("<", "&lt;").replace(">", "&gt;") for part in parts[::2]]
    return "".join(parts)


def brief_number(value: float) -> str:
    """A number as a table shows it.

    >>> brief_number(0.0005), brief_number(2000.0), brief_number(-8.0)
    ('0.0005', '2000', '-8')
    """
    return f"{float(f'{value:.3g}'):g}"
