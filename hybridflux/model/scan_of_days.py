"""A scan over days in little time: its loop is left with what waits for the day before, and slopes are carried forward beside the states.

A loop of XLA takes longer to turn than to compute the few places of a fit, and the way back through it takes longer still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

MOST_FORWARD = 2
"""Numbers of a place up to which slopes are carried forward; with three a way back takes as long (`benchmarks/README.md`)."""


def scan_of_days(step: Callable, state: Any, daily: Any, static: Any) -> tuple[Any, Any]:
    """`lax.scan` of `step(state, today, static)`, of which what no state enters is computed for all days at once.

    Args:
        step: gives the next state and what is kept of the day, both trees of arrays.
        state: before the first day.
        daily: tree of arrays `[day, ...]`.
        static: tree of arrays that are the same on all days.

    Returns:
        The last state, and what is kept `[day, ...]`.
    """
    closed, shapes = jax.make_jaxpr(step, return_shape=True)(state, jax.tree.map(lambda values: values[0], daily), static)
    jaxpr, (states, days) = closed.jaxpr, (len(jax.tree.leaves(tree)) for tree in (state, daily))
    waits, changes = set(jaxpr.invars[:states]), set(jaxpr.invars[states : states + days])
    early: list[JaxprEqn] = []
    late: list[JaxprEqn] = []
    for equation in jaxpr.eqns:
        read = _variables(equation.invars)
        (early if waits.isdisjoint(read) else late).append(equation)
        for those in (waits, changes):
            if not those.isdisjoint(read):
                those.update(equation.outvars)
    asked = _variables([*(one for equation in late for one in equation.invars), *jaxpr.outvars]).keys() - waits
    of_day, lasting = ([one for one in asked if (one in changes) == wanted] for wanted in (True, False))

    before = jaxpr_as_fun(ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars[states:], [*of_day, *lasting], early), closed.consts))
    after = jaxpr_as_fun(ClosedJaxpr(Jaxpr((), [*jaxpr.invars[:states], *of_day, *lasting], jaxpr.outvars, late), ()))
    inputs = jax.tree.leaves((daily, static))
    axes = [0] * days + [None] * (len(inputs) - days), [0] * len(of_day) + [None] * len(lasting)
    known = jax.vmap(before, *axes)(*inputs)
    each, same = known[: len(of_day)], known[len(of_day) :]

    def day(state, today):
        return jax.tree.unflatten(jax.tree.structure(shapes), after(*jax.tree.leaves(state), *today, *same))

    # computed anew on a way back, which takes less than to read what would be kept of each day for it
    return lax.scan(jax.checkpoint(day, prevent_cse=False), state, each, length=len(inputs[0]))


def _variables(values: Iterable[Var | Literal]) -> dict[Var, None]:
    """Those that are no numbers, each once, in their order."""
    return {one: None for one in values if not isinstance(one, Literal)}


def slopes_forward(walk: Callable) -> Callable:
    """The same `walk(static, daily)`, whose slopes to few static values are computed on the way and not on a way back.

    What it gives for a place depends on the values of that place alone. So one slope for each name says all, and every derivative, forward
    or backward, is a product with it.

    Args:
        walk: from name -> `[...]` and a tree of arrays `[day, ...]` to a tree of arrays `[day, ...]`.
    """

    def derivative(primals, tangents):
        (static, daily), (moves, daily_moves) = primals, tangents
        moves = {name: move for name, move in moves.items() if not isinstance(move, SymbolicZero)}
        drivers_move = any(not isinstance(move, SymbolicZero) for move in jax.tree.leaves(daily_moves))
        if drivers_move or len(moves) > MOST_FORWARD:
            return _along(walk, primals, tangents)
        at = {name: static[name] for name in moves}
        units = {name: jnp.stack([jnp.full_like(at[name], name == other) for other in moves]) for name in moves}
        slopes_of = lambda unit: jax.jvp(lambda values: walk({**static, **values}, daily), (at,), (unit,))  # noqa: E731
        found, slopes = jax.vmap(slopes_of, out_axes=(None, 0))(units)
        return found, jax.tree.map(lambda slope: sum(one * move for one, move in zip(slope, moves.values(), strict=True)), slopes)

    with_slopes = jax.custom_jvp(walk)
    with_slopes.defjvp(derivative, symbolic_zeros=True)
    return with_slopes


def _along(walk: Callable, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """`jax.jvp` of a function, of whose tangents some are known to be zero."""
    leaves, structure = jax.tree.flatten(primals)
    moves = {at: move for at, move in enumerate(jax.tree.leaves(tangents)) if not isinstance(move, SymbolicZero)}
    of = lambda moved: walk(*jax.tree.unflatten(structure, [moved.get(at, leaf) for at, leaf in enumerate(leaves)]))  # noqa: E731
    return jax.jvp(of, ({at: leaves[at] for at in moves},), (moves,))
