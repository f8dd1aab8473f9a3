"""How a factor depends on one of its arguments, read from its trace: in proportion, as a line, or in another way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter as Of
from inspect import Signature

import jax
import jax.numpy as jnp

from hybridflux.process.call import arguments

SHAPE_ONLY = ("broadcast_in_dim", "convert_element_type", "copy", "neg", "reshape", "squeeze")


@cache
def is_proportional(fn: Callable, name: str) -> bool:
    """Whether a factor is an argument times what the others give, wherever they are; False where its trace does not show it.

    >>> from hybridflux.process import light
    >>> is_proportional(light.absorbed, "light_use_efficiency"), is_proportional(light.saturation, "par")
    (True, False)
    """
    return _form(fn, name) == "proportional"


@cache
def is_line(fn: Callable, name: str) -> bool:
    """Whether a factor is a line in an argument, whose slope and height the others give; False where its trace does not show it.

    >>> from hybridflux.process import respiration
    >>> is_line(respiration.lin_gpp, "gpp")
    True
    """
    return _form(fn, name) in ("proportional", "line")


@cache
def height_and_slope(fn: Callable, name: str) -> tuple[Callable, Callable]:
    """A factor that `is_line` in an argument, where that is 0, and its slope there, as functions of those others that each depends on.

    >>> from hybridflux.process import respiration
    >>> [arguments(part) for part in height_and_slope(respiration.lin_gpp, "gpp")]
    [('respiration_ref',), ('respiration_gpp_share',)]
    """

    def height(**others):
        return fn(**{name: 0.0}, **others)

    def slope(**others):
        one = jnp.ones(())
        return jax.jvp(lambda at: fn(**{name: at}, **others), (0.0 * one,), (one,))[1]

    others = tuple(other for other in arguments(fn) if other != name)
    return _of_what_counts(height, others), _of_what_counts(slope, others)


def _of_what_counts(fn: Callable, names: tuple[str, ...]) -> Callable:
    """A function as one of those arguments that its result depends on."""
    traced = _trace(fn, names)
    wanted = set(traced.outvars)
    for step in reversed(traced.eqns):
        if wanted & set(step.outvars) and not _is_zero(step, ()):
            wanted |= {one for one in step.invars if not hasattr(one, "val")}
    counting = [name for name, variable in zip(names, traced.invars, strict=True) if variable in wanted]

    def of(**given):
        return fn(**(dict.fromkeys(names, jnp.ones(())) | given))

    of.__signature__ = Signature([Of(name, Of.KEYWORD_ONLY) for name in counting])  # type: ignore[attr-defined]
    return of


def _is_zero(step, zeros) -> bool:
    """Whether a step of a trace multiplies with nothing."""
    return step.primitive.name == "mul" and any(one.val == 0 if hasattr(one, "val") else one in zeros for one in step.invars)


def _form(fn: Callable, name: str) -> str | None:
    """`proportional`, `line`, None for any other, by what each step of the trace makes of it."""
    names = arguments(fn)
    traced = _trace(fn, names)
    forms: dict = {traced.invars[names.index(name)]: "proportional"}
    zeros: set = set()
    for step in traced.eqns:
        if _is_zero(step, zeros):
            zeros |= set(step.outvars)
            continue
        of = [None if hasattr(one, "val") else forms.get(one) for one in step.invars]
        moved = [form for form in of if form]
        if not moved:
            continue
        operation = step.primitive.name
        if operation in SHAPE_ONLY or (operation == "mul" and len(moved) == 1) or (operation == "div" and moved == of[:1]):
            form = moved[0]
        elif operation in ("add", "sub"):
            nothing = [not hasattr(one, "val") and one in zeros for one in step.invars]
            form = "proportional" if all(a == "proportional" or b for a, b in zip(of, nothing, strict=True)) else "line"
        else:
            form = "other"
        forms |= dict.fromkeys(step.outvars, "other" if "other" in moved else form)
    form = forms.get(traced.outvars[0])
    return None if form == "other" else form


def _trace(fn: Callable, names: tuple[str, ...]):
    return jax.make_jaxpr(lambda values: fn(**dict(zip(names, values, strict=True))))([jnp.ones(())] * len(names)).jaxpr
