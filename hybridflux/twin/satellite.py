"""Simulated Sentinel-2 views of the true vegetation: two orbits, clouds, noise, undetected clouds; and a simple daily series of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from scipy.special import ndtri

REVISIT = 5  # days of one orbit with two satellites
SECOND_ORBIT = 3  # days after the first
NOISE = 0.025  # fapar, one pixel and date
SCENE_NOISE = 0.015  # fapar, all pixels of a date: the atmosphere
UNDETECTED = 0.12  # width of the rim of a cloud that its mask misses, standard deviations of the cloud field
PATCHINESS = 0.35  # share of the variance of cloud cover that differs within a few kilometres
CLOUD_WIDTH = 18  # pixels
ROWS = 50  # rows of the region filled at once
NEIGHBOURS = 2  # observations on each side by which a spike is judged
SPIKE = 0.10  # fapar
SMOOTHING = 9  # days of the running mean


@dataclass(frozen=True)
class Observations:
    """Clear views of the vegetation.

    Attributes:
        when: index of the day of each overpass `[date]`.
        fapar: NaN where cloudy or out of the swath `[date, y, x]`, float32.
        clear_share: share of the pixels in the swath that count as clear `[date]`.
    """

    when: np.ndarray
    fapar: np.ndarray
    clear_share: np.ndarray


def reflectance_of(fapar: np.ndarray) -> dict[str, np.ndarray]:
    """Red, near and shortwave infrared of a canopy [1], same shape: near infrared, NDVI and LSWI grow with fapar on straight lines.

    The lines run through the bare fields and closed canopies of MODIS at European towers: NDVI 0.15 and 0.9, LSWI -0.1 and 0.4.
    """
    nir, ndvi, lswi = 0.10 + 0.28 * fapar, 0.12 + 0.80 * fapar, -0.10 + 0.50 * fapar
    return {"B04": nir * (1 - ndvi) / (1 + ndvi), "B8A": nir, "B11": nir * (1 - lswi) / (1 + lswi)}


def overcast(clearness: np.ndarray) -> np.ndarray:
    """Mean cloud cover of an overpass [1], from the clearness of the day [1].

    The line through the monthly means of 900 m windows at French and Belgian towers, 2015-2018: 0.9 in December, 0.57 in July.

    >>> overcast(np.array([0.30, 0.50])).round(2).tolist()
    [0.92, 0.57]
    """
    return np.clip(1.455 - 1.77 * clearness, 0.03, 0.98)


def observe(truth: np.ndarray, clearness: np.ndarray, rng: np.random.Generator) -> Observations:
    """Overpasses of a region.

    Args:
        truth: fapar `[time, y, x]`.
        clearness: clearness of the sky, share of the potential radiation that arrives `[time]`.
        rng: source of random numbers.
    """
    days, height, width = truth.shape
    first = np.arange(int(rng.integers(REVISIT)), days, REVISIT)
    second = np.setdiff1d(np.arange((first[0] + SECOND_ORBIT) % REVISIT, days, REVISIT), first)
    when = np.sort(np.concatenate([first, second]))
    swath_edge = width * (0.55 + 0.2 * np.linspace(-1, 1, height))[:, None]  # the second orbit sees what lies east of it
    inside = np.arange(width)[None, :] >= swath_edge
    seen = np.full((len(when), height, width), np.nan, np.float32)
    share = np.zeros(len(when))
    for i, day in enumerate(when):
        view = inside if day in second else np.ones((height, width), bool)
        depth = _cloud_depth(rng, height, width, overcast(clearness[day]))
        fapar = truth[day] + SCENE_NOISE * rng.standard_normal() + NOISE * rng.standard_normal((height, width), np.float32)
        rim = np.clip(1 + depth / UNDETECTED, 0, 1)  # 1 at the edge of the masked cloud, 0 outside its rim
        fapar = fapar * (1 - 0.75 * rim)
        clear = view & (depth < 0)
        seen[i][clear] = np.clip(fapar, 0, 1)[clear]
        share[i] = clear.sum() / max(view.sum(), 1)
    return Observations(when, seen, share)


def _cloud_depth(rng, height, width, cover):
    """Field that is positive under the clouds of one date: some dates are all cloud, some all clear, some patchy."""
    coarse = rng.standard_normal((height // 8 + 3, width // 8 + 3))
    smooth = gaussian_filter(coarse, CLOUD_WIDTH / 8, mode="reflect")
    sd = 1 / (2 * np.sqrt(np.pi) * (CLOUD_WIDTH / 8))  # of white noise after this filter
    smooth = zoom(smooth / sd, 8, order=1)[8 : height + 8, 8 : width + 8]
    field = np.sqrt(1 - PATCHINESS) * rng.standard_normal() + np.sqrt(PATCHINESS) * smooth
    return (field - ndtri(1 - cover)).astype(np.float32)


def fill_daily(seen: Observations, days: int) -> np.ndarray:
    """Daily fapar without gaps `[time, y, x]`, float32: spikes dropped, straight lines between clear views, a running mean.

    Args:
        seen: the clear views.
        days: length of the series.

    Raises:
        ValueError: a pixel has no clear view.
    """
    _, height, width = seen.fapar.shape
    out = np.empty((days, height, width), np.float32)
    for top in range(0, height, ROWS):
        block = seen.fapar[:, top : top + ROWS].reshape(len(seen.when), -1)
        values, dates, counts = _packed(block, seen.when)
        if not counts.all():
            raise ValueError(f"{int((counts == 0).sum())} pixels have no clear view in {days} days; make the series longer")
        values, dates, counts = _packed(_despiked(values, counts), dates)
        out[:, top : top + ROWS] = _running_mean(_lines(values, dates, counts, days)).reshape(days, -1, width)
    return out


def _packed(values, dates):
    """Clear views first, in order of time: values and dates `[rank, pixel]`, and how many there are `[pixel]`."""
    dates = np.broadcast_to(dates if dates.ndim == 2 else dates[:, None], values.shape)
    order = np.argsort(np.isnan(values), axis=0, kind="stable")
    return np.take_along_axis(values, order, 0), np.take_along_axis(dates, order, 0), np.isfinite(values).sum(axis=0)


def _despiked(values, counts):
    """NaN for a view far below both the best of the views just before and of those just after it: a cloud, not a harvest."""
    rank = np.arange(len(values))[:, None]
    before, after = (np.full_like(values, -np.inf) for _ in range(2))
    for step in range(1, NEIGHBOURS + 1):
        before = np.maximum(before, np.where(rank - step >= 0, np.roll(values, step, 0), -np.inf))
        after = np.maximum(after, np.where(rank + step < counts, np.roll(values, -step, 0), -np.inf))
    low = np.minimum(before, after)
    return np.where(np.isfinite(low) & (values < low - SPIKE), np.nan, values)


def _lines(values, dates, counts, days):
    """Straight lines between views, constant before the first and after the last `[time, pixel]`."""
    every = np.arange(days)
    values, dates = np.ascontiguousarray(values.T), np.ascontiguousarray(dates.T)
    lines = [np.interp(every, when[:count], seen[:count]) for when, seen, count in zip(dates, values, counts, strict=True)]
    return np.array(lines, np.float32).T


def _running_mean(series):
    """Centred mean over `SMOOTHING` days, the ends repeated."""
    half = SMOOTHING // 2
    padded = np.concatenate([np.repeat(series[:1], half + 1, 0), series, np.repeat(series[-1:], half, 0)])
    return sum(padded[step : step + len(series)] for step in range(1, SMOOTHING + 1)) / SMOOTHING
