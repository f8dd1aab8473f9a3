"""How the errors of coarse fluxes go together in space and time, estimated from the draws: what the covariance of a prior is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_CELLS = 300  # whose pairs are looked at, evenly spread over the cells
DISTANCES = 20  # classes
MOST_LAG = 15  # days
EARTH = 6371.0  # mean radius [km]
LIMIT = 100.0  # a length beyond so many times the largest distance or lag is given as that


def summary(anomalies: tuple[Callable[[np.ndarray], np.ndarray], int], latitude: np.ndarray, longitude: np.ndarray) -> dict:
    """Correlations of the errors of NEE by distance and by lag, and their e-folding lengths, as variables of xarray.

    Args:
        anomalies: function of cells that gives the departures of the draws from their mean `[draw, day, cell]`, and the number of cells.
        latitude: of the cells [degrees].
        longitude: of the cells [degrees].
    """
    of, count = anomalies
    cells = np.unique(np.linspace(0, count - 1, min(count, MOST_CELLS)).astype(int))
    z = _scaled(of(cells))
    lag, by_lag = correlation_by_lag(z)
    what = "correlation over the draws of the errors of NEE"
    found = {}
    if len(lag):
        found |= {
            "NEE_error_lag": ("lag", lag, {"units": "day", "long_name": "lag"}),
            "NEE_error_correlation_in_time": ("lag", by_lag, {"units": "1", "long_name": f"{what} of one cell on two days of the month"}),
            "NEE_error_correlation_time": ((), e_folding(lag, by_lag), _length("day", "time", float(lag.max()))),
        }
    if len(cells) > 1:
        distance, by_distance = correlation_by_distance(z, latitude[cells], longitude[cells])
        found |= {
            "NEE_error_distance": ("distance", distance, {"units": "km", "long_name": "mean distance of the pairs of cells of a class"}),
            "NEE_error_correlation_in_space": ("distance", by_distance, {"units": "1", "long_name": f"{what} of two cells on one day"}),
            "NEE_error_correlation_length": ((), e_folding(distance, by_distance), _length("km", "length", float(distance.max()))),
        }
    return found


def correlation_by_lag(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean correlation over cells and pairs of days of each lag [days]; `z` are scaled anomalies `[draw, day, cell]`."""
    lags = np.arange(1, min(MOST_LAG, z.shape[1] - 1) + 1)
    return lags, np.array([float((z[:, lag:] * z[:, :-lag]).mean()) for lag in lags])


def correlation_by_distance(z: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean correlation over days and pairs of cells of each class of distance [km]; `z` are scaled anomalies `[draw, day, cell]`."""
    flat = z.reshape(-1, z.shape[2])
    matrix = flat.T @ flat / len(flat)
    one, other = np.triu_indices(z.shape[2], 1)
    between = great_circle(latitude[one], longitude[one], latitude[other], longitude[other])
    classes = np.minimum((DISTANCES * between / between.max()).astype(int), DISTANCES - 1)
    pairs = np.bincount(classes, minlength=DISTANCES)
    kept = pairs > 0
    mean = [np.bincount(classes, values, DISTANCES)[kept] / pairs[kept] for values in (between, matrix[one, other])]
    return mean[0], mean[1]


def great_circle(lat1: np.ndarray, lon1: np.ndarray, lat2: np.ndarray, lon2: np.ndarray) -> np.ndarray:
    """Distance on the sphere [km] by the haversine formula."""
    lat1, lon1, lat2, lon2 = (np.radians(one) for one in (lat1, lon1, lat2, lon2))
    half = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH * np.arcsin(np.sqrt(half))


def e_folding(distance: np.ndarray, correlation: np.ndarray) -> float:
    """Length of the exponential correlation exp(-distance / length) that is nearest by least squares."""
    lengths = np.geomspace(0.01 * distance.min(), LIMIT * distance.max(), 4001)
    misfit = ((correlation - np.exp(-distance / lengths[:, None])) ** 2).sum(1)
    return float(lengths[np.argmin(misfit)])


def _scaled(anomaly: np.ndarray) -> np.ndarray:
    """Anomalies over their standard deviation over the draws; 0 where all draws are equal."""
    sd = np.sqrt((anomaly**2).mean(0))
    return np.divide(anomaly, sd, out=np.zeros_like(anomaly), where=sd > 0)


def _length(units: str, what: str, largest: float) -> dict[str, str]:
    beyond = f"{LIMIT * largest:.4g} {units} where they do not fall within {largest:.4g} {units}"
    comment = f"of the exponential that is nearest to the correlations; {beyond}"
    return {"units": units, "long_name": f"e-folding {what} of the errors of NEE", "comment": comment}
