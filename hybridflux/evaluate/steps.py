"""The time steps at which scores are given, by name."""

from __future__ import annotations

from collections.abc import Mapping

from hybridflux.evaluate.aggregation import DAY, MONTH, WEEK, YEAR, Anomaly, TimeStep
from hybridflux.evaluate.extremes import DRIEST, HOTTEST, DroughtAnomaly, Tail
from hybridflux.vocabulary import suggestion

STEPS: Mapping[str, TimeStep] = {
    "day": DAY,
    "week": WEEK,
    "month": MONTH,
    "year": YEAR,
    "anomaly": Anomaly(MONTH, 12),
    "iav": Anomaly(YEAR, 1),
    "driest": Tail(DRIEST),
    "hottest": Tail(HOTTEST),
    "drought": DroughtAnomaly(),
}

MEANING: Mapping[str, str] = {
    "day": "days",
    "week": "weeks with at least 4 observed days",
    "month": "months with at least 15 observed days",
    "year": "annual sums (mean of more than 250 observed days of a calendar year x 365)",
    "anomaly": "monthly anomalies from the mean seasonal cycle of the site, observed and predicted each from its own (3 years or more)",
    "iav": "annual sums minus the mean of the site (3 years or more)",
    "driest": "days with the driest tenth of the soils of the warm season (May to September in the north, November to March in the south)",
    "hottest": "the hottest tenth of the days of the warm season",
    "drought": "weekly departures of drought days from the usual course of the year (3 years without drought or more)",
}


def steps_named(names: str, known: Mapping[str, object] = STEPS) -> tuple[str, ...]:
    """Names of steps in a text such as `month,year,drought`, each once.

    Args:
        names: the text.
        known: steps by name.

    Raises:
        ValueError: an unknown name, or none.

    >>> steps_named("month, year,month")
    ('month', 'year')
    """
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not chosen:
        raise ValueError(f"no step is named; there are {', '.join(known)}")
    for name in chosen:
        _check(name, known)
    return chosen


def step_named(name: str) -> TimeStep:
    """The step of a name.

    Raises:
        ValueError: unknown name, with the known ones.
    """
    _check(name, STEPS)
    return STEPS[name]


def _check(name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise ValueError(f"`{name}` is not a step; there are {', '.join(known)}.{suggestion(name, known)}")
