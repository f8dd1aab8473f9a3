"""Extremes: the driest and the hottest days of each place, and its summers of drought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridflux.evaluate.aggregation import DAY, WEEK, CalendarMean, Series
from hybridflux.evaluate.dryness import NEEDS, dryness
from hybridflux.evaluate.seasons import WINDOW, day_of_year, in_warm_season, month_of, seasonal_cycle, years_seen
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import VARIABLES

SHARE = 0.1
EUROPE = (-12.0, 35.0, 45.0, 72.0)
"""West, south, east, north [degrees]: Portugal to the Caspian, the Mediterranean to the North Cape."""


@dataclass(frozen=True)
class Extreme:
    """The days of the warm season of a place (`time.warm_season`) on which a measure is highest there.

    Attributes:
        measure: sequences -> `[time, place]`.
        needs: drivers it reads.
        share: share of the measured days of the season, all years together.
    """

    measure: Callable[[Sequences], np.ndarray]
    needs: tuple[str, ...]
    share: float = SHARE

    def days(self, sequences: Sequences) -> np.ndarray:
        """Whether a day is extreme, `[time, place]` of bool; only days on which a flux was measured are ranked.

        Raises:
            ValueError: a driver or the position of the places is missing.
        """
        missing = [name for name in self.needs if name not in sequences.drivers]
        if missing:
            raise ValueError(f"extreme days need {', '.join(missing)}, which these sequences lack; ask for them when opening the towers")
        values = np.asarray(self.measure(sequences), float)
        fluxes = [target for name, target in sequences.targets.items() if name in VARIABLES and VARIABLES[name].kind == "flux"]
        measured = np.any([np.isfinite(flux) for flux in fluxes], axis=0)
        counted = measured & in_warm_season(sequences)
        extreme = np.zeros(values.shape, bool)
        for at in np.flatnonzero(counted.any(axis=0)):
            extreme[:, at] = counted[:, at] & (values[:, at] > np.quantile(values[counted[:, at], at], 1.0 - self.share))
        return extreme


def air_temperature(sequences: Sequences) -> np.ndarray:
    """Mean air temperature of the day [degC], `[time, place]`."""
    return sequences.drivers["tair"]


DRIEST = Extreme(dryness, NEEDS)
HOTTEST = Extreme(air_temperature, ("tair",))


@dataclass(frozen=True)
class Tail:
    """Extreme days alone.

    Attributes:
        extreme: which days.
        of: how they are aggregated.
    """

    extreme: Extreme
    of: CalendarMean = DAY

    @property
    def units(self) -> str:
        """Units of the days."""
        return self.of.units

    @property
    def needs(self) -> tuple[str, ...]:
        """Drivers by which days are extreme."""
        return self.extreme.needs

    def __call__(self, place: Sequences, observed: np.ndarray, draws: np.ndarray) -> Series:
        return self.of(place, np.where(self.extreme.days(place)[:, 0], observed, np.nan), draws)


@dataclass(frozen=True)
class Drought:
    """Definition of drought: at places in Europe the summers of its great droughts, and everywhere the driest days of the place.

    2003: Ciais et al. 2005, 10.1038/nature03972; 2015: Ionita et al. 2017, 10.5194/hess-21-1397-2017; 2018 to 2020: Rakovec et al. 2022,
    10.1029/2021EF002394. These events do not apply to other continents.

    Attributes:
        years: years of the events.
        months: months of these years that are tested as a whole.
        extent: extent of the events: west, south, east, north [degrees].
        extreme: days of any year that are tested too.
    """

    years: tuple[int, ...] = (2003, 2015, 2018, 2019, 2020)
    months: tuple[int, ...] = (6, 7, 8, 9)
    extent: tuple[float, float, float, float] = EUROPE
    extreme: Extreme = DRIEST

    def days(self, sequences: Sequences) -> np.ndarray:
        """Whether a day is a drought day, `[time, place]` of bool.

        Raises:
            ValueError: a driver or the position of the places is missing.
        """
        year = sequences.days.astype("datetime64[Y]").astype(int) + 1970
        events = np.isin(year, self.years) & np.isin(month_of(sequences.days), self.months)
        return (events[:, None] & self._hit(sequences)) | self.extreme.days(sequences)

    def _hit(self, sequences: Sequences) -> np.ndarray:
        """Whether a place lies in the extent of the events `[place]`."""
        if sequences.latitude is None or sequences.longitude is None:
            names = ", ".join(sequences.places)[:200]
            raise ValueError(f"drought at {names} depends on their position; give `latitude` and `longitude` to Sequences")
        west, south, east, north = self.extent
        latitude, longitude = np.asarray(sequences.latitude), np.asarray(sequences.longitude)
        return (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)


@dataclass(frozen=True)
class DroughtAnomaly:
    """Effect of drought: departures of drought days from the mean seasonal cycle of the place.

    That cycle is the smoothed mean of each day of the year over the days without drought on which the flux was observed; observed
    and every draw depart from their own, so a constant error of a place cancels. Sequences hold all targets, drought included.

    Attributes:
        drought: which days.
        of: periods over which departures are averaged.
        window: days of the running mean of the seasonal cycle, odd.
        least_years: years without drought that a day of the year needs in its window.
    """

    drought: Drought = Drought()
    of: CalendarMean = WEEK
    window: int = WINDOW
    least_years: int = 3

    @property
    def units(self) -> str:
        """Those of the periods."""
        return self.of.units

    @property
    def needs(self) -> tuple[str, ...]:
        """Drivers by which days are driest."""
        return self.drought.extreme.needs

    def __call__(self, place: Sequences, observed: np.ndarray, draws: np.ndarray) -> Series:
        dry = self.drought.days(place)[:, 0]
        usual = np.isfinite(observed) & ~dry
        both = np.concatenate([np.asarray(observed, float)[None], draws])
        known = years_seen(place.days, usual, self.window) >= self.least_years
        cycle = np.where(known, seasonal_cycle(place.days, np.where(usual, both, np.nan), self.window), np.nan)
        departure = both - cycle[:, day_of_year(place.days) - 1]
        return self.of(place, np.where(dry, departure[0], np.nan), departure[1:])
