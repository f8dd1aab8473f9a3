"""Gaps of a terrain model: sea, lakes and seams between tiles are filled, others are refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REACH = 50.0
"""Distance to the nearest known height within which a gap is filled from its neighbours [m], so a gap of up to 100 m between two known
sides. On a slope of 45 degrees that errs by 50 m at most, half of the 100 m of a band of elevation of the weather, or 0.3 K. It closes
the seams of one to three pixels of 30 m that tiles of the Copernicus DEM have in some copies north of 50 N
(microsoft/PlanetaryComputer issue 319), and no missing tile."""
SHORE = 10.0
"""Height of the lowest shore up to which water is the sea [m]: above it, it is a lake at the level of that shore."""
SEA_LEVEL = 0.0
CLIFF = 50.0
"""Zeros whose neighbours are all higher than this are a gap that was filled with 0, not the sea or a polder [m]."""


@dataclass(frozen=True)
class Filled:
    """Heights after filling, and the source of each, all `[y, x]`.

    Attributes:
        values: height [m], NaN where `unresolved`.
        sea: whether a pixel counts as sea.
        lake: whether it has the level of the lowest shore of a lake.
        narrow: whether it was filled from neighbours within `REACH`.
        unmapped: whether it has no plant type, so no fluxes, and the nearest height.
        unresolved: whether it is on land and further than `REACH` from any known height.
    """

    values: np.ndarray
    sea: np.ndarray
    lake: np.ndarray
    narrow: np.ndarray
    unmapped: np.ndarray
    unresolved: np.ndarray


def filled(values: np.ndarray, pixel: float, water: np.ndarray, mapped: np.ndarray) -> Filled:
    """Fill gaps that are water or narrow, and leave the others.

    Args:
        values: heights `[y, x]` [m], NaN where missing, at least one known.
        pixel: size of a pixel [m].
        water: whether the land cover is water `[y, x]`.
        mapped: whether there is a plant type `[y, x]`.
    """
    from scipy.ndimage import distance_transform_edt

    gap = np.isnan(values)
    if not gap.any():
        return Filled(values, gap, gap, gap, gap, gap)
    distance, nearest = distance_transform_edt(gap, return_indices=True)
    out, level = values.copy(), np.full(values.shape, np.nan)
    _to_shore(out, level, gap & water)
    narrow = np.isnan(out) & (distance * pixel <= REACH)
    out[narrow] = _between(values, int(np.ceil(REACH / pixel)))[narrow]
    out[narrow & np.isnan(out)] = values[tuple(nearest)][narrow & np.isnan(out)]
    _to_shore(out, level, np.isnan(out) & water)  # water that lies in a gap that is closed now
    unmapped = np.isnan(out) & ~mapped
    if unmapped.any():
        nearest = distance_transform_edt(np.isnan(out), return_distances=False, return_indices=True)
        out[unmapped] = out[tuple(nearest)][unmapped]
    sea = level == SEA_LEVEL
    return Filled(out, sea, np.isfinite(level) & ~sea, narrow, unmapped, np.isnan(out))


def zero_voids(values: np.ndarray) -> np.ndarray:
    """Connected pixels of exactly 0 m that only heights above `CLIFF` surround `[y, x]`: a void that was filled with 0.

    The sea has a low shore somewhere, and polders have low neighbours; a void on a mountain has neither.
    """
    from scipy.ndimage import label, minimum, minimum_filter

    zero = values == 0.0
    if not zero.any():
        return zero
    part, count = label(zero, np.ones((3, 3)))
    beside = minimum_filter(np.where(zero | np.isnan(values), np.inf, values), size=3, mode="nearest")
    lowest = np.concatenate([[-np.inf], np.atleast_1d(minimum(beside, part, np.arange(1, count + 1)))])
    return zero & np.isfinite(lowest[part]) & (lowest[part] > CLIFF)


def _to_shore(out: np.ndarray, level: np.ndarray, water: np.ndarray) -> None:
    """Set connected water to the height of the lowest known pixel beside it, or to sea level, in `out` and in `level`."""
    from scipy.ndimage import label, minimum, minimum_filter

    if not water.any():
        return
    part, count = label(water, np.ones((3, 3)))
    beside = minimum_filter(np.where(np.isnan(out), np.inf, out), size=3, mode="nearest")
    lowest = np.concatenate([[np.inf], np.atleast_1d(minimum(beside, part, np.arange(1, count + 1)))])
    lowest[np.abs(lowest) <= SHORE] = SEA_LEVEL
    known = water & np.isfinite(lowest[part])
    out[known] = level[known] = lowest[part][known]


def _between(values: np.ndarray, reach: int) -> np.ndarray:
    """Gaps interpolated between the known pixels around them, NaN further than `reach` pixels from any."""
    from rasterio.fill import fillnodata

    known = np.isfinite(values)
    image = np.where(known, values, 0.0).astype(np.float32)
    out = fillnodata(image, mask=known.astype(np.uint8), max_search_distance=reach + 1, smoothing_iterations=0)
    near = fillnodata(known.astype(np.float32), mask=known.astype(np.uint8), max_search_distance=reach + 1, smoothing_iterations=0)
    return np.where(near > 0, out, np.nan)
