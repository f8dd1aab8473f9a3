"""Which pixels are a clear view of the land, from the labels a product carries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from odc.geo.geobox import GeoBox
from scipy.ndimage import maximum_filter1d

from hybridflux.data.catalog import Mask

NO_LABEL = -1
"""Label of a pixel of which the product says nothing: outside the image, or its missing value."""


def clear(mask: Mask, labels: np.ndarray, pixel: float) -> np.ndarray:
    """Whether a pixel is a clear view of the land `[y, x]`.

    What is cloudy grows by `mask.grow`: a pixel is not clear if its centre lies that near to the centre of a cloudy one. A pixel without
    label is not clear, but does not grow: beyond the edge of an image there is not more cloud than elsewhere.

    Args:
        mask: the rule of the dataset.
        labels: `[y, x]` integers, classes or bits; below zero where there is no label.
        pixel: size of a pixel [m].

    >>> clear(Mask(band="SCL", clear=(4, 5), grow=10), np.array([[4, 4, 9, 4, 4, -1]]), 10.0)
    array([[ True, False, False, False,  True, False]])
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels of {mask.band} are classes or bits, not {labels.dtype}; read them with `window.labels`")
    known = labels >= 0
    if mask.clear:
        cloudy = known & ~np.isin(labels, mask.clear)
    else:
        cloudy = known & ((labels & sum(1 << bit for bit in mask.cloudy_bits)) != 0)
    if mask.grow >= pixel and cloudy.any():
        cloudy = _grown(cloudy, mask.grow / pixel)
    return known & ~cloudy


def _grown(cloudy: np.ndarray, reach: float) -> np.ndarray:
    """What lies within `reach` pixels of a cloudy one: row by row of a disc, ten times faster at two pixels than a distance transform."""
    out, rows = cloudy.copy(), len(cloudy)
    for away in range(min(int(reach), rows - 1) + 1):
        half = int(np.sqrt(reach**2 - away**2) + 1e-9)
        wide = maximum_filter1d(cloudy.view(np.uint8), 2 * half + 1, axis=1, mode="constant").view(bool)
        out[away:] |= wide[: rows - away]
        out[: rows - away] |= wide[away:]
    return out


def clear_on(mask: Mask, geobox: GeoBox, labels: Callable[[GeoBox], np.ndarray], size: float) -> np.ndarray:
    """Where a product shows the land clearly on a grid `[y, x]`, alike whatever window of a grid is asked for.

    A pixel larger than those of the labels is clear if all labels in it are; cloud beyond the edge of the grid reaches into it.

    Args:
        mask: the rule of the dataset.
        geobox: the grid.
        labels: `labels(grid)` gives the labels on any grid, see `clear`.
        size: of a pixel of the labels [m].
    """
    pixel = abs(geobox.resolution.x)
    finer = max(1, round(pixel / size))
    rim = int(mask.grow // pixel) + 1 if mask.grow else 0
    padded = geobox.pad(rim)
    height, width = padded.shape.yx
    fine = padded.zoom_to((height * finer, width * finer))
    seen = clear(mask, labels(fine), pixel / finer).reshape(height, finer, width, finer).all(axis=(1, 3))
    return seen[rim : height - rim, rim : width - rim]
