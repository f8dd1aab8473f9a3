"""What networks read: drivers, covariates of one's own and what is derived of them, standardised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from hybridflux.process import vegetation
from hybridflux.process.call import call
from hybridflux.vocabulary import PLANT_TYPES, Covariate, is_own, variable

Names = Mapping[str, ArrayLike]
INPUT_LIMIT = 3.0  # standardised network inputs are clipped here: no extrapolation far outside the training climate
DERIVED: Mapping[str, Callable[..., Any]] = {"fapar_phase": vegetation.phase, "nirv_phase": vegetation.nirv_phase}
"""What a network may read beside drivers, histories and covariates: processes of them, computed where they are read."""


def standardised(name: str, names: Names, own: Sequence[Covariate] = ()) -> Array:
    """An input of a network by centre and scale of the vocabulary or of a covariate of one's own, clipped; elementwise, of any shape.

    Args:
        name: of a driver or covariate, or of `DERIVED`.
        names: where it, or what it is made of, is found.
        own: covariates that are not in the vocabulary.

    Raises:
        ValueError: the covariate has no centre and scale yet.
    """
    row = next((covariate for covariate in own if covariate.name == name), None) or variable(name)
    if row.centre is None or row.scale is None:
        raise ValueError(f"`{name}` has no centre and scale before a fit; declare them: Covariate('{name}', centre=..., scale=...)")
    values = jnp.asarray(call(DERIVED[name], names) if name in DERIVED else names[name])
    return jnp.clip((values - row.centre) / row.scale, -INPUT_LIMIT, INPUT_LIMIT)


def declared(name: str | Covariate) -> Covariate | None:
    """The covariate of one's own that an input is, or None for a name of the vocabulary.

    Raises:
        KeyError: a slip of a name of the vocabulary; a covariate of one's own that is so close to it must be declared as `Covariate`.
    """
    if isinstance(name, Covariate):
        return name
    if is_own(name):
        return Covariate(name)
    try:
        variable(name)
    except KeyError as error:
        raise KeyError(f"{error.args[0]} A column of sites.csv of your own that is so called is Covariate('{name}')") from None
    return None


def checked_codes(values: Mapping[str, float]) -> Mapping[str, float]:
    """Plant type code -> number, as it was given.

    Raises:
        ValueError: a code that is no plant type, no code at all, or a value that is not one finite number.
    """
    unknown = [str(code) for code in values if code not in PLANT_TYPES]
    if unknown or not values:
        named = f"`{', '.join(unknown)[:100]}`, which is no plant type" if unknown else "no plant type at all"
        raise ValueError(f"Fixed by plant type names {named}; name some of {', '.join(PLANT_TYPES)}")
    wrong = [code for code, value in values.items() if np.ndim(value) or not np.isfinite(value)]
    if wrong:
        raise ValueError(f"Fixed by plant type: {wrong[0]} = {str(values[wrong[0]])[:40]} is not one number; give one for each code")
    return values


def check_positions(name: str, given: int, names: Names) -> None:
    """Refuse a list of values, which go by the position of places, where there are not as many places, or days stand side by side.

    Most fits look at single days, or windows of days, of all places: they refuse a list of any length.

    Args:
        name: of the parameter.
        given: number of its values.
        names: of the places.

    Raises:
        ValueError: says both numbers, and what to give in place of the list.
    """
    shape = next((np.shape(names[one]) for one in ("plant_type", "site") if one in names), ())
    if given > 1 and shape and shape[-1] not in (1, given):
        raise ValueError(
            f"`{name}` is Fixed to a list of {given} values, which go by the position of the places, and here are {shape[-1]} places or, "
            "in a fit, days or windows of days of all places side by side; "
            'give one number, or values by plant type code, such as Fixed({"CRO": 2.0, "GRA": 1.5})'
        )
