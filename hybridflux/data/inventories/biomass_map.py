"""Biomass maps with a standard deviation of each pixel -> carbon of zones, whose errors do not vanish by averaging."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from hybridflux.data.inventories.plots import COLUMNS
from hybridflux.data.inventories.tree_carbon import CARBON_FRACTION
from hybridflux.data.land.warp import files_at, numbers

AGB_FILES, SD_FILES = "*AGB-MERGED*.tif", "*AGB_SD-MERGED*.tif"  # ESA CCI biomass
MOST_BIOMASS = 5000.0  # t ha-1, above that of any forest: values outside 0 to this are an undeclared missing value
CORRELATION_LENGTH = 50_000.0
"""Distance at which the correlation of the errors of two pixels has fallen to 1/e [m]. An assumption: producers publish the sd of
single pixels only; comparisons with plots find biases common to whole regions (Araza et al. 2022, 10.1016/j.rse.2022.112917)."""


def mean_error(sd: np.ndarray, pixel: float, correlation: float) -> float:
    """Standard error of the mean of pixels whose errors correlate as `exp(-distance / correlation)`.

    variance = sum_ij sd_i sd_j exp(-d_ij / correlation) / n^2, summed over all lags by a Fourier transform, exactly. For
    independent pixels it is `sqrt(sum sd^2) / n`, for fully dependent ones the mean sd.

    Args:
        sd: `[y, x]`, NaN outside the zone.
        pixel: size of a pixel [m].
        correlation: correlation length [m]; 0 for independent errors.
    """
    from scipy.signal import correlate

    inside = np.isfinite(sd)
    weighted = np.where(inside, sd, 0.0) / inside.sum()
    if correlation == 0:
        return float(np.sqrt((weighted**2).sum()))
    lags = correlate(weighted, weighted, mode="full", method="fft")
    height, width = weighted.shape
    down, right = np.ogrid[1 - height : height, 1 - width : width]
    alike = np.exp(-np.hypot(down, right) * pixel / correlation)
    return float(np.sqrt(max((lags * alike).sum(), 0.0)))


def stocks(
    biomass: str | Path,
    deviation: str | Path,
    geobox: GeoBox,
    zone: np.ndarray,
    names: dict[int, str],
    *,
    campaign: str,
    correlation: float = CORRELATION_LENGTH,
) -> pd.DataFrame:
    """Carbon above ground of zones from a biomass map: a stock, not a change.

    The difference of two such maps is not a change either, unless the producer states the error of the difference.

    Args:
        biomass: raster of above-ground biomass [t ha-1]: a file, or a folder of tiles named `AGB_FILES`.
        deviation: raster of its standard deviation [t ha-1], likewise `SD_FILES`.
        geobox: a projected grid, best with pixels as large as those of the map.
        zone: `[y, x]` integers, 0 for none.
        names: number of a zone -> its name.
        campaign: year of the map.
        correlation: correlation length of the errors [m].

    Returns:
        Columns of `plots.COLUMNS`; `n_plots` counts pixels, which are not independent samples.

    Raises:
        ValueError: no value on the grid, or an impossible biomass or standard deviation.
    """
    places = ((biomass, AGB_FILES), (deviation, SD_FILES))
    mean, sd = (numbers(files_at(place, (pattern,)), geobox, possible=(0.0, MOST_BIOMASS)) for place, pattern in places)
    known = np.isfinite(mean) & np.isfinite(sd)
    if not known.any():
        raise ValueError(f"{biomass} and {deviation} have no common value on the grid; name the tiles that cover it")
    rows = []
    for number, name in names.items():
        inside = known & (zone == number)
        if inside.any():
            error = mean_error(_cut(np.where(inside, sd, np.nan)), abs(geobox.resolution.x), correlation)
            rows.append((name, "biomass", CARBON_FRACTION * mean[inside].mean(), CARBON_FRACTION * error, int(inside.sum()), campaign))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _cut(values: np.ndarray) -> np.ndarray:
    """The smallest window that holds all values."""
    rows, columns = (np.flatnonzero(np.isfinite(values).any(axis=axis)) for axis in (1, 0))
    return values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
