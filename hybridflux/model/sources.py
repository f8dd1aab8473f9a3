"""Where the value of a parameter comes from: one rule for bounds and prior, the kinds of source.

Every source works in an unconstrained space: `raw = logit(typical) + spread * (something standard normal a priori)`, and
`value = lower + (upper - lower) * sigmoid(raw)`, with typical, bounds and spread from the parameter's row of the
vocabulary. What is learned lives in fields called `z` (an array or a dict of arrays) and is standard normal a priori, so
the prior of a whole model is one line and a posterior variance reads as a contraction.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from hybridflux.model.inputs import DERIVED, Names, check_positions, checked_codes, declared, standardised
from hybridflux.process.call import arguments
from hybridflux.vocabulary import HISTORY_DAYS, PLANT_TYPES, VARIABLES, Covariate, Parameter

POPULATIONS = ("site", "site_year")
EXACT = "highest"  # precision of products of matrices: a GPU would round their factors to ten bits (3e-5 of a region's total on an H200)


def to_raw(value: ArrayLike | Sequence[float], row: Parameter) -> np.ndarray | np.floating:
    """The unconstrained number behind a parameter value [same shape].

    Raises:
        ValueError: the value is not strictly inside the bounds of the parameter.
    """
    value = np.asarray(value, float)
    if not np.all((value > row.lower) & (value < row.upper)):
        raise ValueError(
            f"`{row.name}` = {value} {row.units} is not inside its bounds ({row.lower}, {row.upper}); change the value or the row"
        )
    share = (value - row.lower) / (row.upper - row.lower)
    return np.log(share) - np.log1p(-share)


def to_value(raw: ArrayLike, row: Parameter) -> Array:
    """The bounded parameter value behind an unconstrained number [units of the parameter]."""
    return row.lower + (row.upper - row.lower) * jax.nn.sigmoid(raw)


def class_raw(row: Parameter) -> np.ndarray:
    """Unconstrained prior medians per plant type `[plant_type]`."""
    return np.asarray(to_raw([row.by_class.get(code, row.typical) for code in PLANT_TYPES], row), np.float32)


class Population(NamedTuple):
    """Effects of the members of a population, as names of learned leaves.

    Attributes:
        effect: table of the effects.
        sd: logarithm of their variance over its prior median.
        by: index that the table is looked up by, `site` or `site_year`.
    """

    effect: str
    sd: str
    by: str


class AbstractSource(eqx.Module):
    """Gives a parameter its value, from nothing, a class, covariates or a map.

    Attributes:
        START_SD: standard deviation of what a search for the mode starts at, of the standard normal prior: single values and effects near
            their centre, weights of networks as drawn.
    """

    START_SD: ClassVar[float] = 0.1

    @abstractmethod
    def reads(self) -> tuple[str, ...]:
        """Names of the covariates and drivers it needs."""

    @abstractmethod
    def value(self, row: Parameter, names: Names) -> Array:
        """The parameter [units of the row], broadcasting like the names it reads."""

    def spec(self) -> dict:
        """What a file keeps of it, JSON types, without what it learned; `from_spec` of its class takes the same.

        Raises:
            ValueError: a kind of source that cannot be saved.
        """
        raise ValueError(f"a {type(self).__name__} source cannot be saved; give it the methods `spec` and `from_spec`")

    @classmethod
    def from_spec(cls, spec: dict) -> AbstractSource:
        """The source of a spec, with everything learned at the prior median."""
        return cls(**spec)

    def parts(self) -> dict[str, AbstractSource]:
        """Sources inside it, by the name of their field."""
        return {}

    def populations(self) -> tuple[Population, ...]:
        """Populations of its own, with the names of its leaves."""
        return ()

    def network(self) -> Neural | None:
        """The network that it is, or that lies under its population effects."""
        return None


def checked(name: str) -> str | Covariate:
    """A name of a spec, which was checked when the model was composed."""
    try:
        declared(name)
    except KeyError:
        return Covariate(name)
    return name


class AbstractFree(AbstractSource):
    """A source that is learned, in the unconstrained space."""

    @abstractmethod
    def raw(self, row: Parameter, names: Names) -> Array:
        """The unconstrained parameter."""

    def value(self, row: Parameter, names: Names) -> Array:
        """The bounded parameter [units of the row]."""
        return to_value(self.raw(row, names), row)


class Fixed(AbstractSource):
    """Not learned: a given value, one for each plant type, or the typical one of the vocabulary."""

    constant: Array | None = None
    codes: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(self, value: ArrayLike | Sequence[float] | Mapping[str, float] | None = None):
        """A value in the units of the parameter.

        Args:
            value: one number; or plant type code -> number, `{"CRO": 2.0, "GRA": 1.5}`, where other types have the typical value. A list
                goes by position, a number for each place in their order: it is for these places alone, and most fits, which look at single
                days, refuse it.

        Raises:
            ValueError: a code that is no plant type, no code at all, or a value that is no number.
        """
        self.codes = tuple(checked_codes(value)) if isinstance(value, Mapping) else ()
        given = list(value.values()) if isinstance(value, Mapping) else value
        self.constant = None if given is None else jnp.asarray(given, jnp.float32)

    def reads(self):
        return ("plant_type",) if self.codes else ()

    def spec(self):
        if self.codes and self.constant is not None:
            return {"value": dict(zip(self.codes, self.constant.tolist(), strict=True))}
        return {"value": None if self.constant is None else self.constant.tolist()}

    def value(self, row, names):
        if self.codes:
            every = jnp.full(len(PLANT_TYPES), row.typical, jnp.float32)
            return every.at[np.array([PLANT_TYPES.index(code) for code in self.codes])].set(self.constant)[names["plant_type"]]
        if self.constant is not None and self.constant.ndim:
            check_positions(row.name, self.constant.shape[-1], names)
        return jnp.asarray(row.typical if self.constant is None else self.constant, jnp.float32)


class Given(AbstractSource):
    """Not learned: read from a driver, a map or a column of sites.csv, clipped to the bounds of the parameter."""

    name: str = eqx.field(static=True)

    def __init__(self, name: str | Covariate):
        """`name` of the variable, or of the covariate of one's own, that holds the value in the units of the parameter.

        Raises:
            KeyError: a slip of a name of the vocabulary.
        """
        declared(name)
        self.name = name.name if isinstance(name, Covariate) else name

    def reads(self):
        return (self.name,)

    def spec(self):
        return {"name": self.name}

    @classmethod
    def from_spec(cls, spec):
        return cls(checked(spec["name"]))

    def value(self, row, names):
        return jnp.clip(names[self.name], row.lower, row.upper)


class Shared(AbstractFree):
    """One learned value for all places and days."""

    z: Float[Array, ""] = eqx.field(default_factory=lambda: jnp.zeros((), jnp.float32))

    def reads(self):
        return ()

    def spec(self):
        return {}

    def raw(self, row, names):
        return float(to_raw(row.typical, row)) + row.prior_sd * self.z


class PerClass(AbstractFree):
    """One learned value per plant type; half of the prior variance is common to all types."""

    z: dict[str, Array]

    def __init__(self):
        """All types start at their prior medians."""
        self.z = {"common": jnp.zeros((), jnp.float32), "plant_type": jnp.zeros(len(PLANT_TYPES), jnp.float32)}

    def reads(self):
        return ("plant_type",)

    def spec(self):
        return {}

    def raw(self, row, names):
        of_class = jnp.asarray(class_raw(row)) + row.prior_sd * np.float32(0.5**0.5) * (self.z["common"] + self.z["plant_type"])
        return of_class[names["plant_type"]]


class Neural(AbstractFree):
    """A small network on named inputs, pulled towards the typical value of the plant type.

    `raw = prior median + reach * spread * w2 . tanh(w1 x / sqrt(n) + b1) / sqrt(width)`, inputs standardised by the vocabulary and
    clipped, weights standard normal a priori. `plant_type` among the inputs enters as indicator variables and sets the prior median;
    a name of `DERIVED` is computed from what it is made of.

    Where the sign of a response is known, inputs are declared `rising` or `falling` and the parameter never moves the other way, whatever
    the weights: those of these inputs take their absolute value and that sign, those of the output their absolute value (positive weights:
    Sill 1998, "Monotonic networks", NIPS 10; Runje & Shankaranarayana 2023, arXiv 2205.11775). tanh is odd, so the prior of a response to
    inputs without a sign stays what it is.
    """

    START_SD: ClassVar[float] = 1.0
    z: dict[str, Array]
    inputs: tuple[str, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)
    reach: float = eqx.field(static=True)
    own: tuple[Covariate, ...] = eqx.field(static=True)
    rising: tuple[str, ...] = eqx.field(static=True)
    falling: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self, *inputs: str | Covariate, width: int = 8, reach: float = 1.0, seed: int = 0, rising: Sequence[str] = (),
        falling: Sequence[str] = (),
    ):  # fmt: skip
        """A network on `inputs` with one hidden layer of `width` tanh units.

        An input that is not in the vocabulary is a column of sites.csv, see `Covariate`. The parameter never falls with an input that is
        named in `rising`, and never rises with one in `falling`.

        Raises:
            ValueError: no input was named, or a sign is declared twice, for `plant_type`, or for what is no input.
            KeyError: an input is a slip of a name of the vocabulary.
        """
        if not inputs:
            raise ValueError("a Neural source needs at least one input, for instance Neural('plant_type', 'tair_30d')")
        self.own = tuple(covariate for name in inputs if (covariate := declared(name)) is not None)
        self.inputs = tuple(name.name if isinstance(name, Covariate) else name for name in inputs)
        self.width, self.reach, self.rising, self.falling = width, reach, tuple(rising), tuple(falling)
        signed, free = (*self.rising, *self.falling), set(self.inputs) - {"plant_type"}
        if wrong := [name for name in signed if name not in free or signed.count(name) > 1]:
            raise ValueError(f"`{wrong[0]}` has two signs, or is no input that has one; inputs with a sign are {', '.join(sorted(free))}")
        features = sum(len(PLANT_TYPES) if name == "plant_type" else 1 for name in self.inputs)
        hidden, out = jax.random.split(jax.random.key(seed))
        self.z = {
            "w1": jax.random.normal(hidden, (features, width)),
            "b1": jnp.zeros(width, jnp.float32),
            "w2": 0.1 * jax.random.normal(out, (width,)),
        }

    def reads(self):
        return tuple(dict.fromkeys(base for name in self.inputs for base in (arguments(DERIVED[name]) if name in DERIVED else (name,))))

    def spec(self):
        spec = {"inputs": list(self.inputs), "width": int(self.width), "reach": float(self.reach)}
        signs = {name: list(of) for name, of in (("rising", self.rising), ("falling", self.falling)) if of}
        return spec | signs | ({"own": [asdict(covariate) for covariate in self.own]} if self.own else {})

    @classmethod
    def from_spec(cls, spec):
        own = {row["name"]: Covariate(**row) for row in spec.get("own", ())}
        signs = {name: spec.get(name, ()) for name in ("rising", "falling")}
        return cls(*(own.get(name, name) for name in spec["inputs"]), width=spec["width"], reach=spec["reach"], **signs)

    def network(self):
        return self

    @property
    def weights(self) -> tuple[Array | np.ndarray, Array | np.ndarray, Array | np.ndarray]:
        """Weights of the inputs `[..., feature, unit]`, biases `[..., unit]` and weights of the units, as the signs have them."""
        first, bias, second = self.z["w1"], self.z["b1"], self.z["w2"]
        if not (self.rising or self.falling):
            return first, bias, second
        columns = [(name, len(PLANT_TYPES) if name == "plant_type" else 1) for name in self.inputs]
        sign = np.concatenate([np.full((n, 1), (name in self.rising) - (name in self.falling), np.float32) for name, n in columns])
        return jnp.where(sign == 0, first, sign * jnp.abs(first)), bias, jnp.abs(second)

    def columns(self, names: Names) -> list[Float[Array, "... feature"]]:
        """Standardised inputs, each with the shape it has: one feature, or the indicators of the plant types."""
        columns = []
        for name in self.inputs:
            if name == "plant_type":
                columns.append(jax.nn.one_hot(names[name], len(PLANT_TYPES), dtype=jnp.float32))
            else:
                columns.append(standardised(name, names, self.own)[..., None])
        return columns

    def features(self, names: Names) -> Float[Array, "... feature"]:
        """Standardised inputs, stacked on a last axis."""
        columns = self.columns(names)
        shape = jnp.broadcast_shapes(*(column.shape[:-1] for column in columns))
        return jnp.concatenate([jnp.broadcast_to(column, (*shape, column.shape[-1])) for column in columns], -1)

    def centre(self, row: Parameter, names: Names) -> ArrayLike:
        """Prior median of the unconstrained parameter, of the plant type where that is an input."""
        return jnp.asarray(class_raw(row))[names["plant_type"]] if "plant_type" in self.inputs else float(to_raw(row.typical, row))

    def raw(self, row, names):
        first, bias, second = self.weights
        hidden = jnp.tanh(jnp.matmul(self.features(names), first / len(self.inputs) ** 0.5, precision=EXACT) + bias)
        return self.centre(row, names) + self.reach * row.prior_sd * jnp.matmul(hidden, second, precision=EXACT) / self.width**0.5


class Pooled(AbstractFree):
    """Population effects of places (or places and years) on top of another source: partial pooling.

    `raw = source.raw + sd * z[index]`, `sd = spread * exp(z_spread / 2)`. An index of -1 is the centre of the population. A
    place that was not in the fit draws its `z` from the standard normal population.
    """

    source: AbstractFree
    z: dict[str, Array]
    by: str = eqx.field(static=True)
    spread: float = eqx.field(static=True)

    def __init__(self, source: AbstractSource, by: str = "site", spread: float = 0.4):
        """`spread`: prior median of the population standard deviation in the unconstrained space.

        Raises:
            ValueError: the source is not a learned one, or `by` is not a population.
        """
        if not isinstance(source, AbstractFree):
            raise ValueError(f"Pooled adds effects to a learned source, not to {type(source).__name__}; use Shared, PerClass or Neural")
        if by not in POPULATIONS:
            raise ValueError(f"Pooled knows the populations {', '.join(POPULATIONS)}, not `{by}`; for plant types use PerClass")
        self.source, self.by, self.spread = source, by, spread
        self.z = {"effect": jnp.zeros(1, jnp.float32), "spread": jnp.zeros((), jnp.float32)}

    def reads(self):
        return (*self.source.reads(), self.by)

    def spec(self):
        return {"source": self.source, "by": self.by, "spread": float(self.spread)}

    def parts(self):
        return {"source": self.source}

    def populations(self):
        return (Population("z.effect", "z.spread", self.by),)

    def network(self):
        return self.source.network()

    def population_sd(self) -> Array:
        """Standard deviation of the effects in the unconstrained space."""
        return self.spread * jnp.exp(0.5 * self.z["spread"])

    def raw(self, row, names):
        index = jnp.asarray(names[self.by])
        effect = jnp.where(index >= 0, self.z["effect"][index], 0.0)
        return self.source.raw(row, names) + self.population_sd() * effect


def is_daily(name: str) -> bool:
    """Whether a name varies from day to day (drivers, their histories, effects of a year).

    >>> is_daily("tair_30d"), is_daily("plant_type"), is_daily("site_year")
    (True, False, True)
    """
    histories = {f"{v}_{d}d" for v in VARIABLES for d in HISTORY_DAYS}
    return name == "site_year" or name in histories or (name in VARIABLES and VARIABLES[name].kind == "driver")
