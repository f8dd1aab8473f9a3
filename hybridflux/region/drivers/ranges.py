"""What a region usually looks like: the ranges that `region check` and `map` hold a store against, declared once, with their sources.

Vegetation: monthly means of the sites of a land cover, 8 to 92 % of the eddy-covariance sites of Europe, North America and East Asia that
have a series (MODIS FPAR of collection 5 and MODIS reflectance at 1 km, fapar of the Sentinel-2 Toolbox at 50 m and of HR-VPP at 10 m, 2000
to 2020): 42 sites of evergreen needleleaf forest, 21 of deciduous broadleaf forest, 22 of grassland, 16 of cropland. Widened where there
are few: evergreen broadleaf forest 2, larches none, mixed forest 6, wetlands 10; and for cropland, which lies bare after a harvest whenever
that is. Dense spruce stays green over the snow: the high of needleleaf forest is that of the year. Two poplar coppices (July 0.39, just
cut) lie outside. Months are those of the north; in the south they are half a year later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridflux.time import TROPIC

ODD, WRONG = 0.03, 0.12
"""How far beyond its band a monthly mean of fapar or NDVI is odd, and how far it is wrong [1]. Images that hold an offset of +0.1 lower the
NDVI of a forest in July from 0.75 to 0.51 and its fapar from 0.63 to 0.38."""
FEW = 100  # pixels of a land cover below which nothing is called wrong: one stand, or a few edges
FORESTS = ("ENF", "EBF", "DNF", "DBF", "MF")


@dataclass(frozen=True)
class MonthlyRange:
    """Usual monthly means of a land cover in the north.

    Attributes:
        low: January to December `[12]`.
        high: `[12]`.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, latitude: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high of each calendar month `[12]` at a latitude; between the tropics the year has no seasons of this kind."""
        low, high = np.array(self.low), np.array(self.high)
        if abs(latitude) <= TROPIC:
            return np.full(12, low.min()), np.full(12, high.max())
        return (low, high) if latitude > 0 else (np.roll(low, 6), np.roll(high, 6))


def _all_year(low: float, high: float) -> MonthlyRange:
    return MonthlyRange((low,) * 12, (high,) * 12)


def _either(*bands: MonthlyRange) -> MonthlyRange:
    """What fits one of several: a mixed forest, and every tree of a map that does not distinguish trees."""
    low, high = (np.array([getattr(band, name) for band in bands]) for name in ("low", "high"))
    return MonthlyRange(tuple(low.min(axis=0)), tuple(high.max(axis=0)))


def _bands(needle: MonthlyRange, broad: MonthlyRange, evergreen: MonthlyRange, **others: MonthlyRange) -> dict[str, MonthlyRange]:
    return {"ENF": needle, "DBF": broad, "DNF": _either(needle, broad), "EBF": evergreen, "MF": _either(needle, broad, evergreen)} | others


VEGETATION: dict[str, dict[str, MonthlyRange]] = {
    "fapar": _bands(
        MonthlyRange((0.08, 0.05, 0.07, 0.16, 0.35, 0.45, 0.51, 0.50, 0.48, 0.35, 0.17, 0.10),
             (0.86, 0.86, 0.86, 0.88, 0.90, 0.92, 0.92, 0.92, 0.92, 0.90, 0.88, 0.86)),
        MonthlyRange((0.12, 0.12, 0.15, 0.28, 0.50, 0.57, 0.57, 0.53, 0.50, 0.40, 0.20, 0.12),
             (0.57, 0.57, 0.62, 0.76, 0.90, 0.92, 0.92, 0.91, 0.90, 0.82, 0.65, 0.57)),
        MonthlyRange((0.40, 0.38, 0.36, 0.36, 0.40, 0.43, 0.50, 0.50, 0.50, 0.50, 0.48, 0.44), (0.92,) * 12),
        CRO=MonthlyRange((0.00, 0.00, 0.05, 0.12, 0.16, 0.16, 0.08, 0.04, 0.04, 0.03, 0.03, 0.02),
                 (0.65, 0.65, 0.72, 0.80, 0.84, 0.86, 0.86, 0.82, 0.75, 0.70, 0.68, 0.65)),
        GRA=MonthlyRange((0.03, 0.03, 0.05, 0.08, 0.12, 0.14, 0.14, 0.14, 0.14, 0.10, 0.06, 0.04), (0.90,) * 12),
        WET=MonthlyRange((0.02, 0.02, 0.02, 0.03, 0.14, 0.28, 0.38, 0.38, 0.32, 0.16, 0.05, 0.02), (0.90,) * 12),
        CSH=_all_year(0.05, 0.92), OSH=_all_year(0.02, 0.85), WSA=_all_year(0.05, 0.88), SAV=_all_year(0.05, 0.85), BSV=_all_year(0.0, 0.4),
    ),
    "ndvi": _bands(
        MonthlyRange((0.14, 0.14, 0.22, 0.35, 0.42, 0.58, 0.64, 0.64, 0.60, 0.50, 0.35, 0.20),
             (0.88, 0.85, 0.85, 0.85, 0.86, 0.88, 0.90, 0.90, 0.88, 0.88, 0.88, 0.88)),
        MonthlyRange((0.30, 0.25, 0.35, 0.40, 0.58, 0.62, 0.62, 0.60, 0.55, 0.48, 0.40, 0.32),
             (0.68, 0.66, 0.72, 0.84, 0.92, 0.94, 0.93, 0.92, 0.91, 0.87, 0.80, 0.70)),
        MonthlyRange((0.60,) * 12, (0.93,) * 12),
        CRO=MonthlyRange((0.12, 0.12, 0.18, 0.25, 0.28, 0.30, 0.22, 0.18, 0.18, 0.18, 0.18, 0.15),
                 (0.72, 0.72, 0.78, 0.84, 0.86, 0.88, 0.88, 0.85, 0.80, 0.76, 0.74, 0.72)),
        GRA=MonthlyRange((0.12, 0.12, 0.13, 0.15, 0.18, 0.20, 0.22, 0.22, 0.22, 0.20, 0.16, 0.14), (0.90,) * 12),
        WET=MonthlyRange((0.10, 0.10, 0.15, 0.25, 0.36, 0.45, 0.52, 0.52, 0.48, 0.40, 0.22, 0.12), (0.90,) * 12),
        CSH=_all_year(0.2, 0.92), OSH=_all_year(0.05, 0.85), WSA=_all_year(0.15, 0.88), SAV=_all_year(0.15, 0.85), BSV=_all_year(-0.1, 0.4),
    ),
}  # fmt: skip
"""Index -> land cover -> usual monthly means [1]. NDVI of level 2A; MODIS at 1 km mixes a stand with its surroundings, so highs are
raised to those of Sentinel-2."""


@dataclass(frozen=True)
class Range:
    """One number of a region, what is usual and what cannot be.

    Attributes:
        what: in words.
        units: of it.
        low: usual from.
        high: usual to.
        wrong_low: wrong below; `-inf` where nothing is.
        wrong_high: wrong above; `inf` where nothing is.
        source: of the range.
    """

    what: str
    units: str
    low: float
    high: float
    wrong_low: float
    wrong_high: float
    source: str

    def level(self, seen: float) -> str:
        """`ok`, `odd` or `wrong`."""
        if not self.wrong_low <= seen <= self.wrong_high:
            return "wrong"
        return "ok" if self.low <= seen <= self.high else "odd"


_SITES = "the 146 sites: daily FLUXNET files, widened"
_INF = float("inf")
NUMBERS: dict[str, Range] = {
    "tair": Range("air temperature, mean of all days", "degC", -8, 26, -20, 33, f"{_SITES}; -12.6 to 21.8 seen"),
    "tmin": Range("days whose lowest temperature is above their mean", "%", 0, 0.1, 0, 5, "definition"),
    "light": Range("PAR over PAR at the top of the atmosphere", "1", 0.28, 0.75, 0.15, 0.95, f"{_SITES}; 0.33 to 0.69 seen"),
    "vpd": Range("VPD, mean of all days", "hPa", 1, 20, 0.6, 50, f"{_SITES}; 1.1 to 17.2 seen, a tenth of it where it is in kPa"),
    "rain": Range("rain of a year", "mm", 150, 3500, 10, 12000, f"{_SITES}; 97 to 2000 seen; record of Cherrapunji as limit"),
    "wet": Range("days with more than 1 mm of rain", "%", 4, 80, -_INF, _INF, f"{_SITES}; 4 to 81 seen; more: sums spread evenly"),
    "co2": Range("CO2 above the global mean of its years", "ppm", -12, 25, -40, 60, "NOAA GML, global annual means"),
    "season": Range("warm half of the year minus the cold one, air temperature", "K", 0.5, 45, -1, _INF, "latitude, outside the tropics"),
    "daylight": Range("warm half of the year minus the cold one, share of the day with sun", "1", 0.005, 1, -0.005, _INF, "latitude"),
    "soil": Range("plant-available water capacity, mean", "mm", 40, 350, 15, 700, "European soils 50 to 300 mm, vocabulary"),
    "missing": Range("pixels with vegetation that lack a day", "%", 0, 1, 0, 60, "they are not mapped"),
    "at_bound": Range("fapar at 0 or 1 on days of the warm season", "%", 0, 5, 0, 50, "clipped when it was written: it was outside"),
    "impossible": Range("NDVI below -0.2 or above 0.98 where there is vegetation", "%", 0, 1, 0, 10, "MODIS and Sentinel-2 at the sites"),
}
"""Number of a region -> its range."""


def usual_co2(year: float) -> float:
    """Global mean CO2 of a year [ppm], 1980 to 2030: a parabola through 338.8 (1980), 369.0 (2000) and 422.8 (2024) of NOAA GML.

    >>> round(usual_co2(2010)), round(usual_co2(2020))
    (389, 412)
    """
    t = year - 2000
    return 369.0 + 1.843 * t + 0.0166 * t * t
