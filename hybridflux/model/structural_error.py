"""Structural error: what the model itself gets wrong, for weeks, for years and for good, beside the error of measuring.

    observed = model + b (s_t u_t + a_t (v_t + w)) + e_t,   s_t = structural_floor + structural_slope a_t,   a_t = (GPP + RECO) / 2

The amplitude `b` is of a place: log-normal, with the standard deviation `structural_amplitude` of its logarithm between places of a plant
type, and a level of the type (`LEVEL`), which its towers decide and which varies between types as much as the amplitude within them, so
that E b^2 = 1 where a type has no tower (`prior_level`). It makes the error of a place that nobody measured heavy-tailed, and what a tower
measured says how large its own errors are (E12). `u` has variance one; a share of it comes again in the same season of every year, with a
pattern that changes over `structural_recurring_days`, and forgets in `structural_days`; the rest forgets in `structural_transient_days`
(Ornstein-Uhlenbeck, AR(1)). That share (`RECURRING`, around `structural_recurring`) and how much of `s` does not grow with activity
(`FLOOR_SHARE`) differ between plant types: a conifer forest errs in the same way every year, in winter nearly as much as in summer; a field
carries another crop every year, and its error rests with it. `v` is such a process of about a year times `structural_year`, `w` is
`structural_place`, the same in all years of a place, `e` the measuring error of a day. Independent errors of days average out in a year;
these do not: they decide how wide an annual sum is (Chevallier et al. 2012, 10.1029/2010GB003974).
A model that is wrong about a place or a season is wrong there next year too: in the difference of two years only v and what does not recur
of u are left.

A few towers say little of it, so it has a prior: the size and memory found at 45 European towers, which agree with those of other models
(the rows `structural_*` of the vocabulary), worth `PRIOR_TOWERS` towers. A model whose centre was fitted to few towers is wrong by more
at the next one: the error of that centre comes on top (`growth`).
"""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hybridflux.model.sources import to_raw, to_value
from hybridflux.model.student_t import student_t
from hybridflux.vocabulary import PARAMETERS

LASTING = ("structural_recurring", "structural_recurring_days", "structural_year", "structural_place", "structural_amplitude")
NAMES = ("structural_floor", "structural_slope", "structural_days", "structural_transient_days", *LASTING, "noise_floor", "noise_slope")
LEVEL = "structural_level"
"""Logarithm of the root mean square of the amplitudes of the places of each plant type."""
RECURRING, FLOOR_SHARE = "structural_recurring.of_type", "structural_floor_share.of_type"
"""Share of the error of weeks that comes again every year, and share of the size s at `ACTIVITY` that is the same at every activity, of
each plant type, unconstrained (logit)."""
ACTIVITY = 4.0  # gC m-2 d-1, about the mean of towers: there `FLOOR_SHARE` leaves s as it is
BETWEEN_TYPES = 1.0
"""Standard deviation between plant types of the logits of both shares. (Marginal likelihood of all months of 48 left-out towers: with one
share that comes again for all -1227.6, with 0.6, 1.0 and 2.0 between types -1198.4, -1197.0 and -1198.9; of the other share on top of that
-1132.0, and with 0.5, 1.0 and 2.0 -990.9, -968.8 and -963.5; E12.)"""
OF_TYPES = (LEVEL, RECURRING, FLOOR_SHARE)
SEASONS = 365  # d, after which the recurring part comes again
RECURRING_DAYS = 10.0 * SEASONS  # d, `structural_recurring_days` of files of earlier versions, which do not have it
YEAR_DAYS = 400.0  # d, e-folding time of the part that lasts: correlated within a year, hardly with the next but one
TAIL = 5.0  # degrees of freedom of the measuring error
PRIOR_TOWERS = 10.0
"""Towers that the prior of the structural error, and of the spread of a population, is worth.

The logarithm of a standard deviation estimated from n towers has a standard error of 1 / sqrt(2 n): ten towers are known to 22 %, about
as well as the size carries over from one model to another (2.1 gC m-2 d-1 at summer fluxes in E03, 2.5 in Chevallier et al. 2012).
"""
CENTRE_VALUES = 2.0  # of the population, estimated from its towers; see `growth`
PRIOR_SIZE_TOWERS = 45  # towers whose left-out residuals gave the prior (E03)


class StructuralError(eqx.Module):
    """Draws of the hyperparameters, unconstrained.

    Attributes:
        raw: name -> draws `[draw]` (or one number), in the unconstrained space of the parameters; files of earlier versions have no
            `structural_recurring`, `structural_place` and `structural_amplitude`, which are zero then: all places have the amplitude one;
            nor `structural_transient_days`, which is `structural_days` then, nor `structural_recurring_days`, which is `RECURRING_DAYS`
            then. `LEVEL`, `RECURRING` and `FLOOR_SHARE` have `[draw, plant type]`; where they are missing all types have the same error.
    """

    raw: Mapping[str, ArrayLike]

    def values(self) -> dict[str, Array]:
        """Name -> values in the units of the parameters."""
        nothing = jnp.zeros_like(jnp.asarray(self.raw[NAMES[0]]))
        found = {name: to_value(self.raw[name], PARAMETERS[name]) if name in self.raw else nothing for name in NAMES}
        before = {"structural_transient_days": found["structural_days"], "structural_recurring_days": nothing + RECURRING_DAYS}
        return found | {name: value for name, value in before.items() if name not in self.raw}

    def level(self, plant_type: ArrayLike) -> Array:
        """`LEVEL` of some plant types, indices into PLANT_TYPES; of draws `[draw, ...]`."""
        if LEVEL not in self.raw:
            return jnp.zeros((*jnp.shape(self.raw[NAMES[0]]), *jnp.shape(plant_type)))
        return jnp.take(jnp.asarray(self.raw[LEVEL]), jnp.asarray(plant_type), axis=-1)

    def differing(self, plant_type: ArrayLike) -> dict[str, Array]:
        """Name -> values of the hyperparameters that differ between plant types, at some of them, indices into PLANT_TYPES.

        Of one draw `[...]` as the plant types, or of draws at one plant type `[draw]`.
        """
        shares = {name: jax.nn.sigmoid(jnp.take(jnp.asarray(self.raw[name]), jnp.asarray(plant_type), axis=-1))
                  for name in (RECURRING, FLOOR_SHARE) if name in self.raw}  # fmt: skip
        found = {"structural_recurring": shares[RECURRING]} if RECURRING in shares else {}
        return found | (of_floor_share(self.values(), shares[FLOOR_SHARE]) if FLOOR_SHARE in shares else {})

    def of_type(self, plant_type: int) -> dict[str, np.ndarray]:
        """Name -> values `[draw]` at a plant type, and its `LEVEL`."""
        here = self.differing(plant_type) | {LEVEL: self.level(plant_type)}
        return {name: np.asarray(one) for name, one in (self.values() | here).items()}

    def of_one_kind(self) -> StructuralError:
        """The error of the first plant type for all of them: that of a fit to towers of unknown plant type."""
        raw = {name: jnp.asarray(values) for name, values in self.raw.items()}
        return StructuralError(raw | {name: jnp.broadcast_to(raw[name][..., :1], raw[name].shape) for name in OF_TYPES if name in raw})

    def of_draws(self, draws: int) -> StructuralError:
        """As many draws as asked for, in turn."""
        turn = jnp.arange(draws)
        return StructuralError({name: jnp.take(values, turn % jnp.shape(values)[0], axis=0) for name, values in self.raw.items()})

    def sample(self, key: PRNGKeyArray, flux: Array, activity: Array, known: Array, plant_type: ArrayLike | None = None) -> Array:
        """What a tower could have measured, for one draw of the hyperparameters.

        Args:
            key: random key.
            flux: modelled flux `[time, ...]`, gC m-2 d-1, every day once.
            activity: (GPP + RECO) / 2 `[time, ...]`, gC m-2 d-1.
            known: known random error, broadcasting, 0 where unknown.
            plant_type: of the places, indices into PLANT_TYPES; None where it is not known: what all types have in common, of level zero.
        """
        return flux + self.drawn(key, activity, plant_type) + self.noise(key, flux, known)

    def drawn(self, key: PRNGKeyArray, activity: Array, plant_type: ArrayLike | None = None) -> Array:
        """The structural error alone, of places that nobody measured, for one draw of the hyperparameters; arguments as of `sample`."""
        normal = jax.random.normal(jax.random.fold_in(key, 4), activity.shape[1:])
        level = 0.0 if plant_type is None else self.level(plant_type)
        of_place = amplitude(self.values()["structural_amplitude"], normal, level=level)
        return of_place * self.of_unit_amplitude(key, activity, plant_type)

    def sample_of_amplitude(
        self, key: PRNGKeyArray, flux: Array, activity: Array, known: Array, of_place: Array, plant_type: ArrayLike | None = None
    ) -> Array:
        """`sample` at places whose amplitudes are known, `of_place` `[...]`; other arguments as of it."""
        return flux + of_place * self.of_unit_amplitude(key, activity, plant_type) + self.noise(key, flux, known)

    def of_unit_amplitude(self, key: PRNGKeyArray, activity: Array, plant_type: ArrayLike | None = None) -> Array:
        """The structural error of places of amplitude one `[time, ...]`, for one draw of the hyperparameters; arguments as of `sample`."""
        p = self.values() | ({} if plant_type is None else self.differing(plant_type))
        weeks, years, _ = jax.random.split(key, 3)
        drift = p["structural_floor"] + p["structural_slope"] * activity
        drift *= of_weeks(weeks, activity.shape, *memory_of(p))
        drift += p["structural_year"] * activity * ornstein_uhlenbeck(years, activity.shape, YEAR_DAYS)
        return drift + p["structural_place"] * activity * jax.random.normal(jax.random.fold_in(key, 3), activity.shape[1:])

    def noise(self, key: PRNGKeyArray, flux: Array, known: Array) -> Array:
        """The measuring error alone, for one draw of the hyperparameters; arguments as for `sample`."""
        p = self.values()
        sd = jnp.sqrt(known**2 + (p["noise_floor"] + p["noise_slope"] * jnp.abs(flux)) ** 2)
        return sd * ((TAIL - 2.0) / TAIL) ** 0.5 * student_t(jax.random.split(key, 3)[2], TAIL, flux.shape, flux.dtype)

    def variance_of_mean(self, activity: Array, flux: Array, flux_sq: Array, known_sq: Array, count: Array, span: Array):
        """Variance of the mean error over a period, (gC m-2 d-1)^2, at a place not known, for one draw; elementwise over periods.

        Args:
            activity: mean over the observed days of a period of (GPP + RECO) / 2.
            flux: of |flux|.
            flux_sq: of its square.
            known_sq: of the square of the known random error.
            count: observed days.
            span: days from the first to the last of them.
        """
        p = self.values()
        floor, slope, year = p["structural_floor"], p["structural_slope"], p["structural_year"]
        memory, again, transient, changing = memory_of(p)
        recurring = persistence_of_season(span, memory) * persistence(span - SEASONS, changing)
        weeks = again * recurring + (1.0 - again) * persistence(span, transient)
        weeks *= floor**2 + 2.0 * floor * slope * activity + slope**2 * activity**2
        own = p["noise_floor"] ** 2 + 2.0 * p["noise_floor"] * p["noise_slope"] * flux + p["noise_slope"] ** 2 * flux_sq
        lasting = year**2 * persistence(span, YEAR_DAYS) + p["structural_place"] ** 2
        return weeks + activity**2 * lasting + (known_sq + own) / count

    def covariance_of_means(self, activity: Array, other: Array, span: Array, apart: Array) -> Array:
        """Covariance of the mean errors over the same part of two years of a place, (gC m-2 d-1)^2, for one draw; elementwise over pairs.

        Args:
            activity: mean over one period of (GPP + RECO) / 2.
            other: over the other one.
            span: days of a period.
            apart: days between their middles, no less than `span`.
        """
        p, half = self.values(), 0.5 * span / YEAR_DAYS
        of_years = p["structural_year"] ** 2 * jnp.exp(-apart / YEAR_DAYS) * (jnp.sinh(half) / half) ** 2
        size, size_of_other = (p["structural_floor"] + p["structural_slope"] * one for one in (activity, other))
        of_weeks = p["structural_recurring"] * size * size_of_other * persistence_of_season(span, p["structural_days"])
        of_weeks *= jnp.exp(-apart / p["structural_recurring_days"])
        return of_weeks + activity * other * (of_years + p["structural_place"] ** 2)


def growth(towers: int) -> float:
    """Structural error at a place that was not fitted, over the prior, for a model whose centre was fitted to some towers.

    The variance at the next member of a population is 1 + c / n of that of the population where c values of its centre were estimated
    from n members: here two, the levels of GPP and of RECO. (Mean squares of monthly residuals at 14 unseen European towers, fits of
    1, 2, 3, 5 and 9 others over those of 20, three draws: 1.35 1.24 1.16 1.13 1.05. That alone asks for c of about a half; intervals with
    two held 85 to 98 % of these months where 90 were meant.)

    >>> [round(growth(towers), 2) for towers in (1, 3, 9, 45)]
    [1.69, 1.26, 1.08, 1.0]
    """
    return float(((1.0 + CENTRE_VALUES / max(towers, 1)) / (1.0 + CENTRE_VALUES / PRIOR_SIZE_TOWERS)) ** 0.5)


def prior_of(towers: int) -> tuple[np.ndarray, np.ndarray]:
    """Prior median and standard deviation of the hyperparameters, unconstrained, in the order of `NAMES`.

    Args:
        towers: to which the centre of the model was fitted.
    """
    rows = [PARAMETERS[name] for name in NAMES]
    grown = ("structural_floor", "structural_slope", "structural_year", "structural_place")
    values = [min(row.typical * (growth(towers) if row.name in grown else 1.0), 0.9 * row.upper) for row in rows]
    return np.array([to_raw(value, row) for value, row in zip(values, rows, strict=True)]), np.array([row.prior_sd for row in rows])


def prior_level(spread, normal):
    """Level of the amplitude of a plant type that nobody measured, for a standard normal score; numpy or jax.

    Its standard deviation is that of the logarithm of the amplitude within a type: of the variance of 49 towers half lies between their
    types (.33 within, .40 between; E12).

    >>> scores = np.random.default_rng(0).normal(size=400_000)
    >>> round(float((np.exp(prior_level(0.3, scores)) ** 2).mean()), 2)
    1.0
    """
    return spread * normal - spread**2


def of_floor_share(values, share):
    """`structural_floor` and `structural_slope` of a plant type whose share of the size at `ACTIVITY` does not grow with it; numpy or jax.

    >>> found = of_floor_share({"structural_floor": 0.4, "structural_slope": 0.3}, 0.5)
    >>> {name: round(value, 3) for name, value in found.items()}
    {'structural_floor': 0.8, 'structural_slope': 0.2}
    """
    size = values["structural_floor"] + ACTIVITY * values["structural_slope"]
    return {"structural_floor": share * size, "structural_slope": (1.0 - share) * size / ACTIVITY}


def floor_share(values):
    """Share of the size at `ACTIVITY` that does not grow with it; the inverse of `of_floor_share`."""
    return values["structural_floor"] / (values["structural_floor"] + ACTIVITY * values["structural_slope"])


def amplitude(spread, normal, variance=1.0, level=0.0):
    """Amplitude of the structural error of a place, or mean of the amplitudes of the places of a cell; numpy or jax.

    b = exp(level + spread g - spread^2) has E b^2 = exp(2 level) where the score g has variance one. Where g is the mean of the scores of
    many places, of less variance, the mean of their amplitudes is exp(level + spread g - spread^2 (1 + variance) / 2).

    Args:
        spread: `structural_amplitude`.
        normal: score of the place.
        variance: of that score a priori.
        level: of the plant type.

    >>> [round(float(amplitude(0.5, score)), 3) for score in (-1.0, 0.5, 2.0)]
    [0.472, 1.0, 2.117]
    """
    xp = jnp if isinstance(normal, jax.Array) or isinstance(spread, jax.Array) else np
    return xp.exp(spread * normal - 0.5 * spread**2 * (1.0 + variance) + level)


def ornstein_uhlenbeck(key: PRNGKeyArray, shape: tuple[int, ...], days: Array | float) -> Array:
    """A stationary process of variance one, correlation exp(-lag / days), `[time, ...]`."""
    return of_shocks(jax.random.normal(key, shape), days)


def of_shocks(shock: Array, days: Array | float) -> Array:
    """The same from standard normal numbers of its days `[time, ...]`."""
    keep = jnp.exp(-1.0 / jnp.asarray(days))

    def step(state, fresh):
        state = keep * state + jnp.sqrt(1.0 - keep**2) * fresh
        return state, state

    return jnp.concatenate([shock[:1], jax.lax.scan(step, shock[0], shock[1:])[1]])


def persistence_of_season(span: Array, days: Array | float) -> Array:
    """`persistence` of a process that closes the circle of a year; up to some months it is that of an open one.

    The mean of a whole year has the variance (1 - exp(-y)) / y, with y half a year over `days`.
    """
    half = 0.5 * SEASONS / days
    return jnp.maximum(persistence(jnp.minimum(span, SEASONS), days), (1.0 - jnp.exp(-half)) / half)


def memory_of(values):
    """Hyperparameters that decide the correlation of the error of weeks, in the order of `of_weeks`."""
    names = "structural_days", "structural_recurring", "structural_transient_days", "structural_recurring_days"
    return tuple(values[name] for name in names)


def of_weeks(
    key: PRNGKeyArray, shape: tuple[int, ...], days: ArrayLike, recurring: ArrayLike, transient: ArrayLike, changing: ArrayLike
) -> Array:
    """What the model gets wrong for weeks, of variance one `[time, ...]`.

    Args:
        key: random key.
        shape: of the result, every day once.
        days: e-folding time of what comes again [d].
        recurring: share of the variance that comes again every `SEASONS` days, slowly changing.
        transient: e-folding time of the rest [d].
        changing: e-folding time over which the pattern that comes again changes [d].
    """
    around = jnp.minimum(jnp.arange(SEASONS), SEASONS - jnp.arange(SEASONS))
    spectrum = jnp.fft.fft(jnp.exp(-around / jnp.asarray(days))).real  # of a process on a circle: its correlation matrix is circulant
    years = -(-shape[0] // SEASONS)
    shock = ornstein_uhlenbeck(jax.random.fold_in(key, 1), (years, SEASONS, *shape[1:]), jnp.asarray(changing) / SEASONS)
    season = jnp.fft.ifft(jnp.fft.fft(shock, axis=1) * jnp.sqrt(spectrum).reshape(-1, *[1] * (len(shape) - 1)), axis=1).real
    again = season.reshape(years * SEASONS, *shape[1:])[: shape[0]]
    return jnp.sqrt(1.0 - recurring) * ornstein_uhlenbeck(key, shape, jnp.asarray(transient)) + jnp.sqrt(recurring) * again


def persistence(span: Array, days: Array | float) -> Array:
    """Variance of the mean of an Ornstein-Uhlenbeck process over `span` days, as a share of its variance.

    2 / x - 2 (1 - exp(-x)) / x^2 with x = span / days; 1 for a single day.

    >>> [round(float(persistence(jnp.float32(span), 30.0)), 3) for span in (1.0, 30.0, 365.0)]
    [1.0, 0.736, 0.151]
    """
    x = jnp.maximum(span, 1.5) / days
    return jnp.where(span < 1.5, 1.0, 2.0 / x - 2.0 * (1.0 - jnp.exp(-x)) / x**2)
