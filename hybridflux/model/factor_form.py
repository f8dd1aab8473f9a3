"""How a factor depends on one of its arguments, read from its trace: in proportion, as a line, or in another way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter as SignatureParameter
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
def slope_of(fn: Callable, name: str) -> Callable:
    """The slope of a factor that `is_line` in an argument, as a function of those others that it depends on.

    >>> from hybridflux.process import respiration
    >>> arguments(slope_of(respiration.lin_gpp, "gpp"))
    ('respiration_gpp_share',)
    """

    def slope(**others):
        one = jnp.ones(())
        return jax.jvp(lambda at: fn(**{name: at}, **others), (0.0 * one,), (one,))[1]

    others = [other for other in arguments(fn) if other != name]
    traced = _trace(lambda values: slope(**dict(zip(others, values, strict=True))), len(others))
    wanted = set(traced.outvars)
    for step in reversed(traced.eqns):
        if wanted & set(step.outvars):
            wanted |= {one for one in step.invars if not hasattr(one, "val")}
    depends = [other for other, variable in zip(others, traced.invars, strict=True) if variable in wanted]

    def of(**given):
        return slope(**(dict.fromkeys(others, jnp.ones(())) | given))

    of.__signature__ = Signature(  # type: ignore[attr-defined]
        [SignatureParameter(other, SignatureParameter.KEYWORD_ONLY) for other in depends]
    )
    return of


def _form(fn: Callable, name: str) -> str | None:
    """`proportional`, `line`, None for any other, by what each step of the trace makes of it."""
    names = arguments(fn)
    traced = _trace(lambda values: fn(**dict(zip(names, values, strict=True))), len(names))
    forms: dict = {traced.invars[names.index(name)]: "proportional"}
    for step in traced.eqns:
        of = [None if hasattr(one, "val") else forms.get(one) for one in step.invars]
        moved = [form for form in of if form]
        if not moved:
            continue
        operation = step.primitive.name
        if operation in SHAPE_ONLY or (operation == "mul" and len(moved) == 1) or (operation == "div" and moved == of[:1]):
            form = moved[0]
        elif operation in ("add", "sub"):
            form = "proportional" if moved == ["proportional"] * 2 else "line"
        else:
            form = "other"
        if "other" in moved:
            form = "other"
        forms |= dict.fromkeys(step.outvars, form)
    form = forms.get(traced.outvars[0])
    return None if form == "other" else form


def _trace(fn: Callable, number: int):
    return jax.make_jaxpr(fn)([jnp.ones(())] * number).jaxpr
