"""Values that XLA makes once, where it would make them anew for each that reads them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


@jax.jit
def evaluated(values: Any) -> Any:
    """The same values, made before anything is made of them, where each that reads them would make them anew.

    XLA fuses through an optimization barrier, but not through a loop. This one has no turn, which is not known when it is compiled, and
    would change nothing in one. It is a call of its own, so that a trace tells what makes values once by itself that nothing is to be done.
    """
    leaves, structure = jax.tree.flatten(values)
    if not leaves:
        return values
    leaves = [jnp.asarray(one, jnp.result_type(one)) for one in leaves]
    never = jnp.isnan(jnp.ravel(leaves[-1])[0])
    turn = lambda all: (False, *(jnp.where(all[0], one, 0) for one in all[1:]))  # noqa: E731
    _, *leaves = lax.while_loop(lambda all: all[0], turn, (never, *leaves))
    return jax.tree.unflatten(structure, leaves)
