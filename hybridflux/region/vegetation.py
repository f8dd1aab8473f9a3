"""Draws of the vegetation of a region: fapar is an estimate, and its error goes into the fluxes.

Two errors, each drawn once for the whole region and each draw of the posterior: that of the filled series, `fapar_sd` times a process
that forgets in `memory_days`, and that of the line which makes fapar of a vegetation index, lasting. All pixels err together: that is
right for the line, and for the series an upper bound of what is left of its error in the total of a parcel or a region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.model.structure import ornstein_uhlenbeck

SD = "fapar_sd"
"""Array of a region store with the standard deviation of `fapar`; its attributes hold a `VegetationError`."""


@dataclass(frozen=True)
class VegetationError:
    """What is known of the error of `fapar` beside its standard deviation.

    Attributes:
        memory_days: e-folding time of the error of the filled series [d].
        offset_sd: of fapar at fapar 0, from the line that makes it of an index [1].
        slope_sd: relative, of the slope of that line [1].
        correlation: between the two [1].
    """

    memory_days: float
    offset_sd: float = 0.0
    slope_sd: float = 0.0
    correlation: float = 0.0

    def attributes(self) -> dict[str, float]:
        """As attributes of `fapar_sd`."""
        return asdict(self)

    @classmethod
    def of(cls, attributes: Mapping) -> VegetationError:
        """From the attributes of `fapar_sd`."""
        return cls(**{name: float(attributes[name]) for name in cls.__dataclass_fields__ if name in attributes})


class VegetationDraws(NamedTuple):
    """Errors of `fapar`, one set a draw.

    Attributes:
        path: of the filled series, in standard deviations `[time, draw]`.
        offset: `[draw]`.
        slope: relative `[draw]`.
    """

    path: Array
    offset: Array
    slope: Array

    def drawn(self, fapar: Array, sd: Array, day: Array) -> Array:
        """`fapar` `[draw, n]` of a day, between 0 and 1.

        Args:
            fapar: estimate `[n]`.
            sd: its standard deviation `[n]`.
            day: position in `path`.
        """
        return jnp.clip((1.0 + self.slope[:, None]) * fapar + self.offset[:, None] + self.path[day][:, None] * sd, 0.0, 1.0)


def vegetation_draws(error: VegetationError, days: int, draws: int, seed: int) -> VegetationDraws:
    """Draw the errors of a run; the first draws are the same for any number of them.

    Args:
        error: of the region.
        days: that the run reads.
        draws: of the posterior.
        seed: of the run.
    """
    keys = jax.vmap(lambda draw: jax.random.split(jax.random.fold_in(jax.random.key(seed), draw)))(jnp.arange(draws))
    memory = jnp.float32(error.memory_days)
    path = jax.vmap(lambda key: ornstein_uhlenbeck(key, (days,), memory))(keys[:, 0])
    normal = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys[:, 1])
    rest = np.sqrt(1.0 - error.correlation**2)
    slope = error.slope_sd * (error.correlation * normal[:, 0] + rest * normal[:, 1])
    return VegetationDraws(path.T, error.offset_sd * normal[:, 0], slope)
