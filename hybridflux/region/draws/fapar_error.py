"""Draws of the vegetation of a region: fapar is an estimate, and its error goes into the fluxes.

Two errors, each drawn once for the whole region and each draw of the posterior: that of the filled series, `fapar_sd` times a process
that forgets in `memory_days`, and that of the line which makes fapar of a vegetation index, lasting. All pixels err together: that is
right for the line, and for the series an upper bound of what is left of its error in the total of a parcel or a region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.model.structural_error import ornstein_uhlenbeck
from hybridflux.vocabulary import PLANT_TYPES

SD = "fapar_sd"
"""Array of a region store with the standard deviation of `fapar`; its attributes hold a `VegetationError`."""

ALL = "all"
"""Stands for every plant type that has no line of its own."""


@dataclass(frozen=True)
class LineError:
    """Error of the line that makes fapar of an index, as one of fapar: `(1 + slope) fapar + offset`.

    Attributes:
        offset_sd: of fapar at fapar 0 [1].
        slope_sd: relative, of the slope [1].
        correlation: between the two [1].
    """

    offset_sd: float = 0.0
    slope_sd: float = 0.0
    correlation: float = 0.0


@dataclass(frozen=True)
class VegetationError:
    """What is known of the error of `fapar` beside its standard deviation.

    Attributes:
        memory_days: e-folding time of the error of the filled series [d].
        lines: plant type, or `ALL` for those that are not named -> error of its line; none where fapar is the index itself.
    """

    memory_days: float
    lines: Mapping[str, LineError] = field(default_factory=dict)

    def attributes(self) -> dict:
        """As attributes of `fapar_sd`."""
        return asdict(self)

    @classmethod
    def of(cls, attributes: Mapping) -> VegetationError:
        """From the attributes of `fapar_sd`."""
        return cls(float(attributes["memory_days"]), {kind: LineError(**line) for kind, line in attributes.get("lines", {}).items()})

    def of_types(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offset sd, slope sd and correlation by plant type, `[kind]` each."""
        rest = self.lines.get(ALL, LineError())
        rows = [self.lines.get(kind, rest) for kind in PLANT_TYPES]
        return tuple(np.array([getattr(row, name) for row in rows]) for name in ("offset_sd", "slope_sd", "correlation"))


class VegetationDraws(NamedTuple):
    """Errors of `fapar`, one set a draw.

    Attributes:
        path: of the filled series, in standard deviations `[time, draw]`.
        offset: by plant type `[kind, draw]`.
        slope: relative, by plant type `[kind, draw]`.
    """

    path: Array
    offset: Array
    slope: Array

    def drawn(self, fapar: Array, sd: Array, day: Array, kind: Array) -> Array:
        """`fapar` `[draw, n]` of a day, between 0 and 1.

        Args:
            fapar: estimate `[n]`.
            sd: its standard deviation `[n]`.
            day: position in `path`.
            kind: plant type of the pixels, one for all.
        """
        factor, shift = self.slope[kind][:, None], self.offset[kind][:, None]
        return with_errors(fapar, sd, factor, shift, self.path[day][:, None])


def with_errors(fapar: Array, sd: Array, slope: Array, offset: Array, path: Array) -> Array:
    """`fapar` with an error of its line and one of its filled series, between 0 and 1 [1]; elementwise.

    Args:
        fapar: estimate.
        sd: its standard deviation.
        slope: relative error of the line.
        offset: of the line.
        path: error of the series in standard deviations.
    """
    return jnp.clip((1.0 + slope) * fapar + offset + path * sd, 0.0, 1.0)


def vegetation_draws(error: VegetationError, days: int, draws: int, seed: int) -> VegetationDraws:
    """Draw the errors of a run; the first draws are the same for any number of them.

    The lines of all plant types err together: they rest on the same instruments and the same way of matching them.

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
    offset_sd, slope_sd, correlation = (values[:, None] for values in error.of_types())
    offset = (offset_sd * normal[None, :, 0]).astype(jnp.float32)
    slope = slope_sd * (correlation * normal[None, :, 0] + np.sqrt(1.0 - correlation**2) * normal[None, :, 1])
    return VegetationDraws(path.T, offset, slope.astype(jnp.float32))
