"""Several land covers on top of each other; the first one with a plant type decides a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hybridflux.data.land.landcover import OUTSIDE, shares_of_types
from hybridflux.vocabulary import PLANT_TYPES

ANY = "any"
"""Default of `Layer.over`: a layer holds wherever it has a plant type."""


@dataclass(frozen=True)
class Layer:
    """A land cover in a stack.

    Attributes:
        name: name for provenance, usually the id of its dataset.
        plant_type: `[y, x]` uint8, `OUTSIDE` where it has none.
        over: plant types below it that it may replace; `ANY` for all. A leaf-type map that refines WorldCover's
            tree cover has `over=("MF",)`: it decides the kind of trees, not their extent.
    """

    name: str
    plant_type: np.ndarray
    over: Sequence[str] | str = ANY


@dataclass(frozen=True)
class Stack:
    """Result of a stack of layers.

    Attributes:
        plant_type: `[y, x]` uint8, `OUTSIDE` where no layer has one.
        layer: `[y, x]` uint8, index of the layer of a pixel, in the given order; `OUTSIDE` where none.
        origin: share of each layer and plant type; JSON-ready.
    """

    plant_type: np.ndarray
    layer: np.ndarray
    origin: Mapping = field(default_factory=dict)


def stack(layers: Sequence[Layer]) -> Stack:
    """Lay land covers on top of each other, the topmost first.

    Args:
        layers: layers from top to bottom, all on one grid; for instance parcels, leaf types, OSO.

    Raises:
        ValueError: no layer, other shapes, or an unknown plant type in `over`.
    """
    if not layers:
        raise ValueError("no land cover: name at least one layer")
    shapes = {layer.name: layer.plant_type.shape for layer in layers}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"land covers on different grids: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")
    plant_type = np.full(layers[0].plant_type.shape, OUTSIDE, np.uint8)
    source = np.full(plant_type.shape, OUTSIDE, np.uint8)
    for index in reversed(range(len(layers))):
        take = (layers[index].plant_type != OUTSIDE) & _may_replace(layers[index], plant_type)
        plant_type = np.where(take, layers[index].plant_type, plant_type)
        source = np.where(take, np.uint8(index), source)
    counts = {layer.name: round(float((source == index).mean()), 6) for index, layer in enumerate(layers)}
    return Stack(plant_type, source, {"layers": counts, "plant_types": shares_of_types(plant_type)})


def _may_replace(layer: Layer, below: np.ndarray) -> np.ndarray:
    if layer.over == ANY:
        return np.ones(below.shape, bool)
    unknown = sorted(set(layer.over) - set(PLANT_TYPES))
    if unknown:
        raise ValueError(f"layer {layer.name}: {', '.join(unknown)} are not plant types; known are {', '.join(PLANT_TYPES)}")
    return np.isin(below, [PLANT_TYPES.index(name) for name in layer.over])
