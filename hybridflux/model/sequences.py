"""What a fit needs of the towers: gap-free drivers, targets with gaps, side by side for all places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Sequences:
    """Daily series of several places on one time axis.

    Attributes:
        places: name of each place.
        days: `datetime64[D]`, `[time]`, every day once.
        drivers: `[time, place]` drivers without gaps, or `[place]` covariates, in vocabulary units.
        targets: `[time, place]`, NaN where nothing was measured: `nee`, `nee_day`, `nee_night`, `swc` to fit; `gpp`, `reco` to
            evaluate.
        uncertainty: `[time, place]` known random error of a target of the same name, NaN where unknown.
        latitude: `[place]` degrees north, None where nobody said; seasons follow it.
        longitude: `[place]` degrees east, None where nobody said.
        left_out: places that were asked for and are not here -> why.
        sensors: driver that satellites give -> dataset it is of; what nobody said is not in it.
    """

    places: tuple[str, ...]
    days: np.ndarray
    drivers: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]
    uncertainty: dict[str, np.ndarray]
    latitude: np.ndarray | None = None
    longitude: np.ndarray | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    sensors: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_plant_types(self) -> bool:
        """Whether the plant types of the places are known."""
        return "plant_type" in self.drivers

    @property
    def plant_types(self) -> np.ndarray:
        """Index of each place into PLANT_TYPES `[place]`; all the first one, which makes them one kind, where they are unknown.

        What is learned of that kind belongs to no particular type (`StructuralError.of_one_kind`), and a posterior that knows types
        predicts other places of unknown type by `inference.unknown_plant_type`.
        """
        return np.asarray(self.drivers.get("plant_type", np.zeros(len(self.places))), int)

    def __post_init__(self):
        shape = (len(self.days), len(self.places))
        for name, values in self.drivers.items():
            if values.shape not in (shape, shape[1:]):
                raise ValueError(f"driver `{name}` has shape {values.shape}; [time, place] is {shape}, [place] is {shape[1:]}")
            if not np.all(np.isfinite(values)):
                place = self.places[int(np.argwhere(~np.isfinite(values))[0][-1])]
                raise ValueError(f"driver `{name}` has missing values at {place}; fill them before a fit or a prediction")
        for name, values in {**self.targets, **self.uncertainty}.items():
            if values.shape != shape:
                raise ValueError(f"target `{name}` has shape {values.shape}; [time, place] is {shape}")
        for name in ("latitude", "longitude"):
            where = getattr(self, name)
            if where is not None and (np.shape(where) != shape[1:] or not np.isfinite(where).all()):
                raise ValueError(f"`{name}` of {', '.join(self.places)[:200]} is {np.asarray(where)}; give one number of degrees a place")

    def select(self, places: Iterable[str]) -> Sequences:
        """Only some places, in the order asked for.

        Raises:
            KeyError: a place is not there.
        """
        places = tuple(places)
        missing = [place for place in places if place not in self.places]
        if missing:
            raise KeyError(f"no sequence for {', '.join(missing)}; there are {', '.join(self.places)}")
        at = [self.places.index(place) for place in places]
        pick: dict[str, Any] = {
            field: {name: values[..., at] for name, values in getattr(self, field).items()}
            for field in ("drivers", "targets", "uncertainty")
        }
        where = {name: getattr(self, name) for name in ("latitude", "longitude")}
        located: dict[str, Any] = {name: np.asarray(of)[at] for name, of in where.items() if of is not None}
        return replace(self, places=places, **pick, **located)


@runtime_checkable
class HasSequences(Protocol):
    """What gives the sequences of its places once the drivers are named: `Towers`."""

    def sequences(self, names: Iterable[str], /) -> Sequences: ...


def sequences_of(towers: Sequences | HasSequences, names: Iterable[str]) -> Sequences:
    """The sequences themselves, or those of towers with the named drivers."""
    return towers if isinstance(towers, Sequences) else towers.sequences(names)
