"""A parameter that follows a covariate of its place by a learned power law: the capacity of soil from a map of it, for one."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hybridflux.model.inputs import declared
from hybridflux.model.sources import AbstractFree, checked, to_raw, to_value
from hybridflux.vocabulary import Covariate, variable

INSIDE = 1e-3  # of the range of the parameter, from whose ends it keeps away
LEAST = 1e-3  # of the centre: what a covariate counts at least
FARTHEST = 10.0  # logarithm of what multiplies the value at the centre: a draw far off stays a number
POWER_SD = 0.5  # a priori, around 1: a covariate that says nothing (0) is two standard deviations off


class PowerOf(AbstractFree):
    """Proportional to a power of a covariate: a column of sites.csv at towers, a map of a region at pixels.

    `value = v (covariate / centre)^(1 + 0.5 z_power)`, kept inside the bounds of the parameter, where v is a learned value with the prior
    of the parameter's row, at the centre of the covariate. So at the prior median the parameter is proportional to the covariate, and a
    covariate that says nothing of it gets a power near 0. `Pooled(PowerOf("soil_capacity"))` has effects of towers around it.
    """

    z: dict[str, Float[Array, ""]]
    name: str = eqx.field(static=True)
    centre: float = eqx.field(static=True)

    def __init__(self, name: str | Covariate, centre: float | None = None):
        """`name` of a positive variable, or a covariate of one's own; `centre` in its units, by default the one that it was declared with.

        Raises:
            KeyError: a slip of a name of the vocabulary.
            ValueError: the covariate has no centre, or one that is not above 0.
        """
        own = declared(name)
        self.name = own.name if own else str(name)
        at = centre if centre is not None else (own or variable(self.name)).centre
        if at is None or not at > 0:
            raise ValueError(f"PowerOf('{self.name}') has the centre {at}; give one above 0: PowerOf('{self.name}', centre=...)")
        self.centre = float(at)
        self.z = {"factor": jnp.zeros((), jnp.float32), "power": jnp.zeros((), jnp.float32)}

    def reads(self):
        return (self.name,)

    def spec(self):
        return {"name": self.name, "centre": self.centre}

    @classmethod
    def from_spec(cls, spec):
        return cls(checked(spec["name"]), spec["centre"])

    @property
    def power(self) -> Array:
        """Of the covariate: 1 where the parameter is proportional to it, 0 where the covariate says nothing of it."""
        return 1.0 + POWER_SD * self.z["power"]

    def raw(self, row, names):
        at_centre = to_value(float(to_raw(row.typical, row)) + row.prior_sd * self.z["factor"], row)
        logarithm = jnp.log(jnp.maximum(jnp.asarray(names[self.name]) / self.centre, LEAST))
        value = at_centre * jnp.exp(jnp.clip(self.power * logarithm, -FARTHEST, FARTHEST))
        share = jnp.clip((value - row.lower) / (row.upper - row.lower), INSIDE, 1.0 - INSIDE)
        return jnp.log(share) - jnp.log1p(-share)
