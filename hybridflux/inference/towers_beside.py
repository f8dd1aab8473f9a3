"""Towers of other regions beside those of a fit, which only the networks of a stacked model learn from.

A network of weather and vegetation gains from towers anywhere: they widen the conditions it has seen. Process members lose by them: their
responses by plant type and the spreads of their populations would follow other continents (E17). So networks are fitted to both, and what
is kept of the towers beside is what they did to the network: its effects of places, residuals and shares are of the towers of the fit, in
periods that are numbered from the first day of the fit.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from hybridflux.inference.batch import Indices
from hybridflux.inference.fit_structural_error import Learned, learn
from hybridflux.inference.posterior import Posterior
from hybridflux.model.sequences import Sequences


def joined(sequences: Sequences, beside: Sequences) -> Sequences:
    """Towers of the fit, then those beside, on the days of either, for a model without memory.

    A day that only the other record holds has no target here, and repeats the drivers of the nearest day.

    Args:
        sequences: of the fit.
        beside: other towers, with the drivers that the model reads.

    Returns:
        Drivers, targets and known errors that both have.

    Raises:
        ValueError: a place is in both.
    """
    if both := sorted({*sequences.places} & {*beside.places}):
        raise ValueError(f"{', '.join(both)[:80]} would be fitted to twice: as a tower of the fit and as one beside; leave it out of one")
    days = np.arange(min(sequences.days[0], beside.days[0]), max(sequences.days[-1], beside.days[-1]) + 1)
    drivers, targets, uncertainty = (
        {
            name: np.concatenate([_on(days, one, getattr(one, part)[name], part == "drivers") for one in (sequences, beside)], axis=-1)
            for name in getattr(sequences, part)
            if name in getattr(beside, part)
        }
        for part in ("drivers", "targets", "uncertainty")
    )
    places = (*sequences.places, *beside.places)
    latitude, longitude = (_of_both(getattr(sequences, name), getattr(beside, name)) for name in ("latitude", "longitude"))
    return replace(
        sequences, places=places, days=days, drivers=drivers, targets=targets, uncertainty=uncertainty, latitude=latitude,
        longitude=longitude,
    )  # fmt: skip


def _of_both(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Coordinates, None where nobody said those of either."""
    return None if one is None or other is None else np.concatenate([one, other])


def _on(days: np.ndarray, one: Sequences, values: np.ndarray, repeat: bool) -> np.ndarray:
    """Series on other days: the nearest day repeated, or NaN; covariates as they are."""
    if values.ndim == 1:
        return values
    at = (days - one.days[0]).astype(int)
    found = values[np.clip(at, 0, len(values) - 1)]
    return found if repeat else np.where(((at >= 0) & (at < len(values)))[:, None], found, np.float32(np.nan))


def without_beside(found: tuple[Posterior, Learned], sequences: Sequences) -> tuple[Posterior, Learned]:
    """What a fit to `joined` says of the towers of the fit alone.

    Where draws left towers out, residuals at the towers of the fit are taken anew: records of both together may begin on another day, so
    that their periods are others than those at which the process members are judged.

    Args:
        found: of the fit to both.
        sequences: of the fit, the first places of both.
    """
    posterior, about = found
    whole = dict(posterior.info)
    here = {place: whole["places"][place] for place in sequences.places}
    info = {
        **whole,
        "places": here,
        "observed_days": {target: sum(place["days"][target] for place in here.values()) for target in whole["observed_days"]},
        "draws_without": {place: numbers for place, numbers in whole["draws_without"].items() if place in here},
        "towers_beside": [place for place in whole["places"] if place not in here],
    }
    days = sequences.days.astype("datetime64[ns]")
    observed = {name: values.sel(place=list(sequences.places), day=days) for name, values in posterior.observed.items()}
    model = posterior.at(sequences, key=jax.random.key(0))  # all places and years of the fit are known: nothing is drawn
    trimmed = replace(posterior, model=model, indices=Indices.of(sequences), info=info, observed=observed)
    if trimmed.left_out is None:
        return trimmed, about
    return trimmed, learn(model, sequences, trimmed.left_out, info["seed"])
