"""A source that is not learned: what another fit found, one value per plant type."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp

from hybridflux.model.sources import AbstractSource, to_raw
from hybridflux.vocabulary import PLANT_TYPES


class Tabulated(AbstractSource):
    """Not learned: one value per plant type, from a table; other types have the prior median of the vocabulary."""

    values: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def __init__(self, values: Mapping[str, float]):
        """`values` by IGBP code, in the units of the parameter.

        Raises:
            ValueError: a code is none of `PLANT_TYPES`.
        """
        unknown = sorted(set(values) - set(PLANT_TYPES))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no plant type; write IGBP codes: {', '.join(PLANT_TYPES)}")
        self.values = tuple((code, float(value)) for code, value in values.items())

    def reads(self):
        return ("plant_type",)

    def spec(self):
        return {"values": dict(self.values)}

    def value(self, row, names):
        """The value of the plant type [units of the row].

        Raises:
            ValueError: a value is not strictly inside the bounds of the parameter.
        """
        of_class = {code: row.by_class.get(code, row.typical) for code in PLANT_TYPES} | dict(self.values)
        to_raw(list(of_class.values()), row)
        return jnp.asarray([of_class[code] for code in PLANT_TYPES], jnp.float32)[names["plant_type"]]
