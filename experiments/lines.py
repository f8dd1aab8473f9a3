"""Lines from an index to MODIS FPAR by plant type, through bare soil: their fit, and their worth where they were not fitted. For E09."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pairs
import pandas as pd
from numpyro.infer import MCMC, NUTS

from hybridflux.data.harmonisation import ALL, CalibrationLine

# red 0.12, near infrared 0.17; Flemish fields with NDVI of 0.1 to 0.2 have 0.166, 0.089, 0.032, 0.028
SOIL = {"ndvi": 0.172, "evi2": 0.086, "nirv": 0.029, "kndvi": 0.030}
SOIL_SD = 0.05  # what bare soil may seem to absorb [1]
USUAL = {"ndvi": 1.24, "evi2": 1.5, "nirv": 2.3, "kndvi": 1.3}  # FPAR a unit of the index: middle of a wide prior
WIDE, KINDS, PLACES = 0.3, 0.2, 0.1  # prior sd of the logarithm of the slope; of what plant types, and places, differ by
SOURCE = "experiments/results/e09_harmonisation.md"


@dataclass(frozen=True)
class Pairs:
    """Patches beside their towers, as arrays.

    Attributes:
        names: of the patches.
        kinds: plant types.
        index: `[patch, half-month]` in ascending order, zero where not used.
        fpar: mean of the towers in ascending order `[patch, half-month]`.
        used: `[patch, half-month]`.
        shared: covariance of the mean of the towers of two patches, one tower having variance 1 `[patch, patch]`.
        years: of each patch `[patch]`.
    """

    names: list[str]
    kinds: np.ndarray
    index: np.ndarray
    fpar: np.ndarray
    used: np.ndarray
    shared: np.ndarray
    years: np.ndarray

    def without(self, names: list[str]) -> Pairs:
        """The pairs without some patches."""
        keep = np.array([name not in names for name in self.names])
        return Pairs(
            [name for name in self.names if name not in names], self.kinds[keep], self.index[keep], self.fpar[keep], self.used[keep],
            self.shared[np.ix_(keep, keep)], self.years[keep],
        )  # fmt: skip

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean index and FPAR of each patch over its half-months."""
        count = self.used.sum(axis=1)
        return (self.index * self.used).sum(axis=1) / count, (self.fpar * self.used).sum(axis=1) / count


@dataclass(frozen=True)
class Spread:
    """How towers of one kind, and years of one tower, differ: variances of the level [1] and of the relative amplitude of the cycle."""

    tower: np.ndarray
    year: np.ndarray
    towers: int
    tower_years: int

    def covariance(self, given: Pairs) -> np.ndarray:
        """Of the mean FPAR of the towers as that of the patch: other towers, shared between patches, and other years `[patch, patch]`."""
        return self.tower[0] * given.shared + np.diag(self.year[0] / given.years)


def model(above_soil, fpar, kind, kinds, covariance, usual) -> None:
    """A slope for each plant type, similar in all; each place has its own, and the towers are others than the place would have."""
    middle = numpyro.sample("middle", dist.Normal(jnp.log(usual), WIDE))
    between = numpyro.sample("between", dist.HalfNormal(KINDS))
    place = numpyro.sample("place", dist.HalfNormal(PLACES))
    of_kind = numpyro.sample("of_kind", dist.Normal(0.0, 1.0).expand([kinds]))
    expected = jnp.exp(middle + between * of_kind)[kind] * above_soil
    own = (place * usual * above_soil) ** 2 + (SOIL_SD / 3) ** 2  # not `expected`: an error that grows with the line draws it down
    numpyro.sample("fpar", dist.MultivariateNormal(expected, covariance + jnp.diag(own)), obs=fpar)


@dataclass(frozen=True)
class Fitted:
    """Draws of the parameters of `model`.

    Attributes:
        kinds: plant types, in the order of `of_kind`.
        draws: name -> draws.
        residual: plant type or `ALL` -> scatter of half-months about the line once the level is right [1].
        index: name of the index.
    """

    kinds: list[str]
    draws: dict[str, np.ndarray]
    residual: dict[str, float]
    index: str

    def line(self, kind: str, seed: int) -> CalibrationLine:
        """The line of a plant type, or `ALL` for one that was not seen, at a new place."""
        rng, draws = np.random.default_rng(seed), self.draws
        number = len(draws["middle"])
        of_kind = draws["of_kind"][:, self.kinds.index(kind)] if kind in self.kinds else rng.standard_normal(number)
        middle = np.exp(draws["middle"] + draws["between"] * of_kind)
        slope = middle * np.exp(draws["place"] * rng.standard_normal(number))
        offset = SOIL_SD * rng.standard_normal(number) - slope * SOIL[self.index]
        numbers = {
            "offset": -middle.mean() * SOIL[self.index], "slope": middle.mean(), "offset_sd": offset.std(), "slope_sd": slope.std(),
            "correlation": np.corrcoef(offset, slope)[0, 1], "residual_sd": self.residual.get(kind, self.residual[ALL]),
        }  # fmt: skip
        return CalibrationLine(**{name: round(float(value), 3) for name, value in numbers.items()}, source=SOURCE)


def fit(given: Pairs, spread: Spread, index: str, draws: int, seed: int) -> Fitted:
    """Fit the lines of an index by NUTS."""
    kinds = list(dict.fromkeys(given.kinds))
    mean, fpar = given.means()
    chain = MCMC(NUTS(model, target_accept_prob=0.95), num_warmup=draws, num_samples=draws, progress_bar=False)
    number = np.array([kinds.index(kind) for kind in given.kinds])
    arrays = (jnp.asarray(mean - SOIL[index]), jnp.asarray(fpar), jnp.asarray(number), len(kinds), jnp.asarray(spread.covariance(given)))
    chain.run(jax.random.key(seed), *arrays, USUAL[index])
    found = {name: np.asarray(values, float) for name, values in chain.get_samples().items()}
    slope = np.exp(found["middle"][:, None] + found["between"][:, None] * found["of_kind"]).mean(axis=0)
    about = [(given.index[row, used] - mean[row], given.fpar[row, used] - fpar[row]) for row, used in enumerate(given.used)]
    miss = [green - slope[number[row]] * index_off for row, (index_off, green) in enumerate(about)]
    of_kind = {kind: np.concatenate([miss[row] for row in np.flatnonzero(given.kinds == kind)]) for kind in kinds}
    residual = {kind: float(np.sqrt((values**2).mean())) for kind, values in (of_kind | {ALL: np.concatenate(miss)}).items()}
    return Fitted(kinds, found, residual, index)


def line_sd(line: CalibrationLine, index) -> np.ndarray:
    """Standard deviation of what a line tells, without its scatter [1]."""
    covariance = line.correlation * line.offset_sd * line.slope_sd
    return np.sqrt(line.offset_sd**2 + (line.slope_sd * index) ** 2 + 2 * covariance * index)


def left_out(given: Pairs, spread: Spread, draws: int, seed: int, number: int | None) -> pd.DataFrame:
    """Each patch, and each plant type, predicted by lines fitted without it, beside other lines; one row for each patch."""
    ways = [("patch", [name]) for name in given.names]
    ways += [("plant type", [n for n, k in zip(given.names, given.kinds, strict=True) if k == kind]) for kind in dict.fromkeys(given.kinds)]
    rows = []
    for way, names in ways[:number]:
        fitted = fit(given.without(names), spread, "ndvi", draws, seed)
        rows += [{"left_out": way, **row} for row in _errors(given, spread, names, fitted, seed)]
    return pd.DataFrame(rows)


def _errors(given: Pairs, spread: Spread, names: list[str], fitted: Fitted, seed: int) -> Iterator[dict]:
    mean, fpar = given.means()
    matching = np.sqrt(np.diag(spread.covariance(given)))
    for row in (given.names.index(name) for name in names):
        line = fitted.line(given.kinds[row], seed)
        used = given.used[row]
        lines = {"e09": line, **pairs.OTHER_LINES}
        miss = {name: one.applied(given.index[row, used], 0.0)[0] - given.fpar[row, used] for name, one in lines.items()}
        sd = np.hypot(line_sd(line, mean[row]), matching[row])
        yield {
            "patch": given.names[row], "plant_type": given.kinds[row], "NDVI": mean[row], "FPAR": fpar[row],
            "told": fpar[row] + miss["e09"].mean(), "line_sd": line_sd(line, mean[row]), "matching_sd": matching[row],
            "z": miss["e09"].mean() / sd,
            **{f"bias_{name}": values.mean() for name, values in miss.items()},
            **{f"rmse_{name}": np.sqrt((values**2).mean()) for name, values in miss.items()},
        }  # fmt: skip
