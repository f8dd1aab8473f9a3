"""The structural error of places of unknown plant type, of a posterior whose structural error differs between plant types.

A place of the fit has the type that it had there. Of another one the type is drawn from the population of plant types, draw by draw, as
that of a type without towers is: its level and shares differ from those of all types as much as types do among themselves, so that its
intervals are wider than those of a known type on average. No type that has towers lends it its own error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from scipy.special import logit, ndtri

from hybridflux.inference.fit_months_together import SPREAD, TRAITS
from hybridflux.inference.plant_type_error import prior_share
from hybridflux.model.gross_error import GrossError
from hybridflux.model.sequences import Sequences
from hybridflux.model.structural_error import LEVEL, StructuralError, prior_level
from hybridflux.vocabulary import PLANT_TYPES

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

UNKNOWN = len(PLANT_TYPES)
"""Index of the unknown type, behind those of all known ones."""
SEED = 20


def kinds_and_errors(posterior: Posterior, sequences: Sequences) -> tuple[np.ndarray, StructuralError | None, GrossError | None]:
    """Plant type of each place `[place]`, index into PLANT_TYPES or `UNKNOWN`, and the errors of the posterior that have a row for each.

    Where the sequences say the types, or the fit did not know them, these are `sequences.plant_types` and the errors as they are.
    """
    rows, net, gross = posterior.info.get("places") or {}, posterior.structure, posterior.gross
    if sequences.has_plant_types or not posterior.info.get("plant_types"):
        return sequences.plant_types, net, gross
    codes = [rows.get(place, {}).get("plant_type") for place in sequences.places]
    kinds = np.array([PLANT_TYPES.index(code) if code in PLANT_TYPES else UNKNOWN for code in codes], int)
    gross = None if gross is None else GrossError(with_unknown(gross.error), gross.odds)
    return kinds, None if net is None else with_unknown(net), gross


def with_unknown(error: StructuralError) -> StructuralError:
    """The error with one more plant type, `UNKNOWN`, each draw of which is one of the population of plant types.

    As it is where all types have the same error: of files of earlier versions.
    """
    if LEVEL not in error.raw:
        return error
    values: dict[str, Any] = {name: np.asarray(one, float) for name, one in error.values().items()}
    draws, rng = len(values[SPREAD]), np.random.default_rng(SEED)
    score = {name: ndtri((rng.permutation(draws) + 0.5) / draws) for name in (LEVEL, *TRAITS)}
    drawn = {LEVEL: prior_level(values[SPREAD], score[LEVEL])}
    drawn |= {name: prior_share(logit(trait.share(values)), score[name]) for name, trait in TRAITS.items()}
    one_more = {
        name: jnp.concatenate([jnp.asarray(error.raw[name]), jnp.asarray(one[:, None], jnp.float32)], axis=-1)
        for name, one in drawn.items() if name in error.raw
    }  # fmt: skip
    return StructuralError({**error.raw, **one_more})
