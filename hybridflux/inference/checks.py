"""What is checked before the first step of a fit, and what is looked at after its last."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import class_raw, to_raw
from hybridflux.model.spec import to_spec
from hybridflux.vocabulary import PLANT_TYPES

HIGHEST_SEED = 2**32 - 1
EDGE = 0.01  # share of the range of a parameter next to a bound
FAR = 3.0  # prior standard deviations from the prior median
SHOWN = 6  # names listed in a message


def few(names: Sequence[str]) -> str:
    """Names in a row, the first six of many.

    >>> few([f"S{number}" for number in range(9)])
    'S0, S1, S2, S3, S4, S5 and 3 more'
    """
    more = len(names) - SHOWN
    return ", ".join(islice(names, SHOWN)) + (f" and {more} more" if more > 0 else "")


def warn_of_sensors(fitted: Mapping[str, str], here: Mapping[str, str | None], where: str, cure: str) -> None:
    """Warn where indices of satellites are of another instrument than at the towers of the fit.

    Args:
        fitted: driver -> dataset, `info["sensors"]` of a posterior.
        here: driver -> dataset; None: as the imagery shows it.
        where: what is predicted.
        cure: what to do.
    """
    other = {name: here[name] for name in fitted if name in here and here[name] != fitted[name]}
    if other:
        found = ", ".join(f"{name} ({dataset or 'as the imagery shows it'})" for name, dataset in other.items())
        warnings.warn(f"{where}: {found} is not of the instrument of the fit, {', '.join({*fitted.values()})}; {cure}", stacklevel=4)


def check_fit(model: HybridFlux, sequences: Sequences, seed: int) -> tuple[dict[str, int], list[str]]:
    """Refuse what would be lost at the end of a fit.

    Args:
        model: a composed model.
        sequences: of the towers.
        seed: of all randomness.

    Returns:
        Measured days of each target the model is compared with, and sentences about those that were never measured.

    Raises:
        ValueError: the model cannot be saved, the seed cannot seed, a place is there twice, or nothing was measured.
    """
    to_spec(model)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= HIGHEST_SEED:
        raise ValueError(f"seed {str(seed)[:30]} is not a whole number from 0 to {HIGHEST_SEED}")
    twice = sorted({place for place in sequences.places if sequences.places.count(place) > 1})
    if twice:
        raise ValueError(f"{few(twice)} is there twice among the places; each needs a name of its own")
    targets = {name: sequences.targets[name] for name in model.observed if name in sequences.targets}
    counts = {name: int(np.isfinite(values).sum()) for name, values in targets.items()}
    if not targets:
        raise ValueError(f"the model is compared with {', '.join(model.observed)}, which these sequences do not have")
    if not sum(counts.values()):
        raise ValueError(f"none of {', '.join(counts)} was measured at {few(sequences.places)}; check years, sites and quality limit")
    never = [name for name in model.observed if not counts.get(name)]
    if not never:
        return counts, []
    kept = ", ".join(name for name in model.observed if counts.get(name))
    return counts, [f"{', '.join(never)} was never measured at these towers: the model is fitted to {kept} alone"]


def at_bounds(posterior: Posterior, plant_types: np.ndarray) -> list[str]:
    """Sentences about parameters of the physics that ended at a bound, far from their prior: the data ask for what the model cannot give.

    An error that does not grow with the flux is no fault, so the parameters of errors are not looked at.

    Args:
        posterior: of the fit.
        plant_types: indices of the plant types of its places.
    """
    found = []
    of_physics = {name: draws for name, draws in posterior.parameter_draws().items() if name in posterior.model.sources}
    for name, draws in of_physics.items():
        row = posterior.model.row_of(name)
        middle = np.atleast_1d(np.median(draws, axis=0))
        share = np.clip((middle - row.lower) / (row.upper - row.lower), 1e-6, 1.0 - 1e-6)
        prior = class_raw(row) if middle.size == len(PLANT_TYPES) else to_raw(row.typical, row)
        far = np.abs(to_raw(row.lower + share * (row.upper - row.lower), row) - prior) > FAR * row.prior_sd
        for at in np.flatnonzero(far & (np.minimum(share, 1.0 - share) < EDGE)):
            if middle.size == 1 or at in plant_types:
                of = f" of {PLANT_TYPES[at]}" if middle.size > 1 else ""
                found.append(
                    f"`{name}`{of} ended at {middle[at]:.3g} {row.units}, a bound of ({row.lower:g}, {row.upper:g}): "
                    "the towers ask for what this model cannot give; look at its residuals, or free another parameter"
                )
    return found
