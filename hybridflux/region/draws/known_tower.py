"""A tower that a run knows: a place of the posterior with its coordinates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownTower:
    """A tower of the posterior, where it stands and what it stands on.

    Attributes:
        name: among the places of the posterior.
        latitude: [degrees_north].
        longitude: [degrees_east].
        plant_type: code.
    """

    name: str
    latitude: float
    longitude: float
    plant_type: str

    def __str__(self) -> str:
        return f"{self.name} ({self.plant_type})"
