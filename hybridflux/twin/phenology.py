"""Calendars of crops, meadows and forests: absorbed radiation of each parcel on each day, and when it is cut.

Knots are (day, fapar); day 1 is 1 January of the harvest year for crops and of every year for perennials. The dates are those of
northern France. Fapar means green fapar: ripe wheat absorbs light and fixes no carbon.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator

BARE = 0.08
STUBBLE = 0.13  # fapar just after harvest
FADING = 25.0  # days


@dataclass(frozen=True)
class Crop:
    """One crop from emergence to harvest.

    Attributes:
        knots: (day, fapar) from sowing to the day before harvest.
        exported: share of the gross production between sowing and harvest that leaves with the harvest.
    """

    knots: tuple[tuple[float, float], ...]
    exported: float

    @property
    def harvest(self) -> float:
        """Day of harvest."""
        return self.knots[-1][0] + 1


CALENDAR = {
    "wheat": Crop(
        ((-70, 0.08), (-45, 0.14), (0, 0.30), (45, 0.40), (75, 0.62), (105, 0.87), (125, 0.94),
         (152, 0.90), (172, 0.62), (188, 0.30), (197, 0.22)), 0.30,
    ),
    "rapeseed": Crop(
        ((-125, 0.06), (-100, 0.36), (-60, 0.60), (-10, 0.50), (40, 0.52), (75, 0.76), (98, 0.91),
         (110, 0.82), (128, 0.90), (152, 0.80), (172, 0.45), (187, 0.25)), 0.20,
    ),
    "maize": Crop(((115, 0.07), (138, 0.18), (163, 0.58), (184, 0.88), (200, 0.93), (230, 0.91), (254, 0.76), (275, 0.46)), 0.38),
}  # fmt: skip
"""Winter wheat (grain and straw leave), rapeseed (seed), silage maize (all above ground)."""

COVER_CROP = ((220, 0.08), (250, 0.40), (285, 0.62), (320, 0.55), (340, 0.45), (350, 0.10))
"""Mustard sown after cereals where maize follows."""

PERENNIAL = {
    "DBF": ((1, 0.22), (92, 0.24), (104, 0.34), (118, 0.70), (138, 0.90), (200, 0.92), (252, 0.87), (282, 0.66), (306, 0.34), (326, 0.22),
            (365, 0.22)),
    "ENF": ((1, 0.77), (100, 0.80), (175, 0.86), (280, 0.83), (365, 0.77)),
    "MF": ((1, 0.48), (92, 0.50), (118, 0.74), (140, 0.88), (200, 0.90), (252, 0.86), (290, 0.66), (320, 0.50), (365, 0.48)),
    "EBF": ((1, 0.66), (100, 0.66), (150, 0.72), (200, 0.74), (300, 0.70), (365, 0.66)),
    "GRA": ((1, 0.48), (58, 0.54), (95, 0.78), (128, 0.93), (180, 0.88), (230, 0.80), (278, 0.78), (325, 0.60), (365, 0.48)),
    "URB": ((1, 0.14), (95, 0.18), (135, 0.27), (230, 0.25), (320, 0.17), (365, 0.14)),
    "WAT": ((1, 0.01), (365, 0.01)),
}  # fmt: skip
EARLY_OR_LATE = {"CRO": 7.0, "GRA": 6.0, "DBF": 4.0, "MF": 4.0}
"""Standard deviation of the calendar of a parcel [d]."""
LEFT_BY_MOWING = 0.40  # share of fapar
REGROWTH = 30.0  # days
MOWN_SHARE = 0.22  # share of the gross production since the last cut that leaves a meadow as hay


@dataclass(frozen=True)
class Greenness:
    """Fapar of parcels without drought, and their harvests.

    Attributes:
        fapar: `[time, parcel]`.
        cuts: days on which a parcel is harvested or mown, in order.
        export: for each cut the index of its first growing day and the share of the gross production since then that leaves.
    """

    fapar: np.ndarray
    cuts: list[list[int]] = field(default_factory=list)
    export: list[list[tuple[int, float]]] = field(default_factory=list)


def make_greenness(cover, crops, days: np.ndarray, first_year: int, rng: np.random.Generator) -> Greenness:
    """Fapar of each parcel.

    Args:
        cover: plant type code `[parcel]`.
        crops: crops harvested in `first_year` and the years after it; "" for other covers `[parcel, year]`.
        days: `datetime64[D]`, `[time]`.
        first_year: the year of the first column of `crops`.
        rng: source of random numbers.
    """
    fapar, cuts, export = np.empty((len(days), len(cover)), np.float32), [], []
    for i, code in enumerate(cover):
        shift = EARLY_OR_LATE.get(str(code), 0.0) * rng.standard_normal()
        vigour = np.clip(1 + 0.04 * rng.standard_normal(), 0.88, 1.06)
        if code == "CRO":
            series, parcel_cuts, parcel_export = _arable(crops[i], days, first_year, shift, rng)
        else:
            series, parcel_cuts, parcel_export = _season(PERENNIAL[str(code)], days, shift), [], []
        if code == "GRA":
            series, parcel_cuts, parcel_export = _mown(series, days, rng)
        fapar[:, i] = np.clip(series * vigour, 0.0, 0.97)
        cuts.append(parcel_cuts)
        export.append(parcel_export)
    return Greenness(fapar, cuts, export)


def _season(knots, days, shift):
    """A perennial: the same curve every year, moved by `shift` days."""
    when = (days - days.astype("datetime64[Y]")).astype(int) + 1 - shift
    return PchipInterpolator(*_wrapped(knots))(np.clip(when, -20, 390))


def _wrapped(knots):
    """Knots continued over the turn of the year, so that a shifted calendar has no step in it."""
    days, values = np.array(knots).T
    return np.concatenate([[days[-2] - 365], days, [days[1] + 365]]), np.concatenate([[values[-2]], values, [values[1]]])


def _arable(rotation, days, first_year, shift, rng):
    """A field: bare soil, its crops one after the other, stubble, a cover crop where maize follows."""
    series = np.full(len(days), BARE)
    cuts, export = [], []
    for offset, name in enumerate(rotation):
        crop = CALENDAR[str(name)]
        since = (days - np.datetime64(f"{first_year + offset}-01-01")).astype(int) + 1 - shift - rng.normal(0, 2)
        series = np.maximum(series, _between(crop.knots, since))
        fallen = since - crop.harvest
        stubble = BARE + (STUBBLE - BARE) * np.exp(-np.maximum(fallen, 0) / FADING)
        series = np.where(fallen >= 0, np.maximum(series, stubble), series)
        if offset + 1 < len(rotation) and rotation[offset + 1] == "maize" and name != "maize":
            series = np.maximum(series, _between(COVER_CROP, since + shift))
        cut = int(np.searchsorted(since, crop.harvest))
        if 0 < cut < len(days):
            cuts.append(cut)
            export.append((int(np.searchsorted(since, crop.knots[0][0])), crop.exported))
    return series, cuts, export


def _between(knots, when):
    """Curve inside its knots, zero outside."""
    inside = (when >= knots[0][0]) & (when <= knots[-1][0])
    return np.where(inside, PchipInterpolator(*np.array(knots).T)(np.clip(when, knots[0][0], knots[-1][0])), 0.0)


def _mown(series, days, rng):
    """A meadow: two to four cuts a year from mid-May on, each regrowing in a month."""
    cuts, export = [], []
    for year in np.unique(days.astype("datetime64[Y]")):
        day = rng.normal(140, 8)
        for _ in range(rng.integers(2, 5)):
            cut = int((year.astype("datetime64[D]") - days[0]).astype(int) + day)
            if 0 < cut < len(days) and day < 290:
                since = np.arange(len(days)) - cut
                regrown = np.clip(since / REGROWTH, 0, 1)
                series = np.where(since >= 0, series * (LEFT_BY_MOWING + (1 - LEFT_BY_MOWING) * regrown**2 * (3 - 2 * regrown)), series)
                january = int((year.astype("datetime64[D]") - days[0]).astype(int))
                export.append((max(cuts[-1] if cuts and cuts[-1] > january else january, 0), MOWN_SHARE))
                cuts.append(cut)
            day += rng.normal(46, 7)
    return series, cuts, export
