"""An extension of Griffe: examples of docstrings, which stand there as they are tested, become blocks of code."""

from __future__ import annotations

import re

import griffe

EXAMPLE = re.compile(r"^([ ]*)>>> .*(?:\n(?![ ]*\n)\1.*)*", re.M)


def fenced(text: str) -> str:
    r"""A docstring with a fence around each example.

    >>> fenced("One.\n\n>>> 1 + 1\n2\n\nEnd.")
    'One.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nEnd.'
    """
    return EXAMPLE.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)


class Doctests(griffe.Extension):
    """Fences the examples of every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **_) -> None:  # noqa: D102
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
