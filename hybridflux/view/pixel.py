"""What a run holds of one pixel: its series as stored."""

from __future__ import annotations

import numpy as np

from hybridflux.region.store import layout
from hybridflux.view.run_maps import RunMaps


def series(run: RunMaps, row: int, column: int) -> dict:
    """Group -> layer -> ending of the array -> values of all frames as stored, None where missing.

    Raises:
        IndexError: the pixel is outside of the map.
    """
    if not (0 <= row < run.grid.shape[0] and 0 <= column < run.grid.shape[1]):
        raise IndexError(f"pixel {row}, {column} is outside of the map")
    found: dict = {}
    at = slice(row, row + 1), slice(column, column + 1)
    for name, group in run.groups.items():
        found[name] = {}
        for layer, endings in group.layers.items():
            found[name][layer] = {}
            for ending in endings:
                source = run.pyramid(name, layer + ending).source
                step, scale = group.arrays[layer + ending].chunks[0], float(group.arrays[layer + ending].attrs["scale_factor"])
                parts = [source.read(slice(first, min(first + step, source.shape[0])), *at) for first in range(0, source.shape[0], step)]
                values = np.concatenate(parts)[:, 0, 0]
                found[name][layer][ending] = [None if one == layout.NODATA else round(int(one) * scale, 9) for one in values]
    return found
