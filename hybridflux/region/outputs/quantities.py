"""The quantities of a day that an output may name: what they are called in files, their units as rates, amounts and totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hybridflux.process.declare import DECLARED
from hybridflux.vocabulary import CARBON, PARAMETERS, VARIABLES, Parameter, variable

QUANTILES = (0.05, 0.5, 0.95)
SD = "_sd"  # ending of the name of a standard deviation over the draws
SEASONAL = 0.29
"""Largest mean over a year of a flux of carbon or water, in largest daily ones: 60 gC m-2 d-1 give 6400 gC m-2; no forest comes near."""


@dataclass(frozen=True)
class Quantity:
    """What the vocabulary says of a variable or a parameter.

    Attributes:
        name: in the model.
        units: of a day.
        long_name: meaning.
        largest: absolute value that it does not exceed.
        largest_mean: the same of its mean over a year: less for carbon and water, which have a season; light, parameters and what the
            vocabulary does not have may be as large on all days.
        standard_name: of CF, only where it is exactly true.
        positive: `up` for what leaves to the atmosphere.
    """

    name: str
    units: str
    long_name: str
    largest: float
    largest_mean: float
    standard_name: str | None = None
    positive: str | None = None

    @classmethod
    def of(cls, name: str) -> Quantity:
        """The quantity of a name.

        Raises:
            KeyError: it is in no row of the vocabulary; gives the nearest name.

        >>> Quantity.of("evapotranspiration").amount, Quantity.of("gpp").amount, Quantity.of("rew").is_rate
        ('mm', 'g m-2', False)
        """
        row = PARAMETERS.get(name) or DECLARED.get(name) or variable(name)
        if isinstance(row, Parameter):
            largest = max(abs(row.lower), abs(row.upper))
            return cls(name, row.units, row.meaning, largest, largest)
        largest = max(abs(bound) for bound in row.bounds)
        seasonal = row.units.endswith(" d-1") and row.name in VARIABLES and not row.units.startswith("MJ")
        mean = SEASONAL * largest if seasonal else largest
        return cls(name, row.units, row.long_name, largest, mean, row.cf_name, row.positive)

    @property
    def label(self) -> str:
        """Name in files: that of FLUXNET for the carbon fluxes."""
        return self.name.upper() if self.name in CARBON else self.name

    @property
    def is_rate(self) -> bool:
        """Whether days add up, as those of a flux do and those of a state do not."""
        return self.units.endswith(" d-1")

    @property
    def amount(self) -> str:
        """Units of the sum over some days; those of a day for what does not add up."""
        return self.units.removesuffix(" d-1").replace("gC", "g")

    @property
    def comment(self) -> str:
        """What the units do not say."""
        return "grams of carbon" if self.units.startswith("gC") else ""

    def units_of(self, group: str, whole: bool) -> str:
        """Units of a map: a sum over a part of a year is not an amount per year.

        Args:
            group: `daily`, `monthly` or `annual`.
            whole: whether every period of the map is a whole calendar year.

        >>> gpp = Quantity.of("gpp")
        >>> gpp.units_of("annual", True), gpp.units_of("annual", False), gpp.units_of("monthly", False)
        ('g m-2 year-1', 'g m-2', 'g m-2 day-1')
        """
        if not self.is_rate:
            return self.units
        return f"{self.amount} day-1" if group != "annual" else f"{self.amount} year-1" if whole else self.amount

    @property
    def total(self) -> str:
        """Units of the sum over an area in m2; a mm of water is a kg on a m2.

        >>> Quantity.of("gpp").total, Quantity.of("evapotranspiration").total
        ('g', 'kg')
        """
        return "kg" if self.amount == "mm" else self.amount.removesuffix(" m-2") if self.amount.endswith(" m-2") else f"{self.amount} m2"


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Names in their order, each once; a single one may stand alone."""
    return tuple(dict.fromkeys([names] if isinstance(names, str) else names))


def carried(names: Sequence[str]) -> tuple[str, ...]:
    """What is summed day by day for some quantities: NEE is RECO - GPP of the sums, so that it is so in every product.

    >>> carried(CARBON), carried(("rew", "nee"))
    (('gpp', 'reco'), ('rew', 'gpp', 'reco'))
    """
    return names_of([part for name in names for part in (("gpp", "reco") if name == "nee" else (name,))])


def value_of(name: str, values: Mapping):
    """A quantity, from those that are carried."""
    return values["reco"] - values["gpp"] if name == "nee" else values[name]


def checked(levels: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of maps, each once.

    Raises:
        ValueError: one is outside its range, or would get the name of another one.
    """
    for level in levels:
        if not 0 < level < 1 or abs(100 * level - round(100 * level)) > 1e-6:
            raise ValueError(f"quantile `{level}`: maps are named by whole per cents, so a quantile is one of 0.01, 0.02 ... 0.99")
    return tuple(dict.fromkeys(levels))


def endings(levels: Sequence[float]) -> tuple[str, ...]:
    """Endings of the names of mean, sd and quantiles.

    >>> endings((0.05, 0.5))
    ('', '_sd', '_q05', '_q50')
    """
    return ("", SD, *(f"_q{round(100 * level):02d}" for level in levels))
