"""Identifiability: which parameters the data determine, and which keep their prior or have no effect at all.

A parameter is called `estimated` only if the data narrowed it, it acts on NEE, there are enough draws to judge, and no network that reads
the driver of its response can imitate it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import numpy as np
import pandas as pd

from hybridflux.evaluate.alive import effect_of_leaves, effect_of_parameters, raw_of
from hybridflux.evaluate.confounding import Confounded, confounded, sentence, slope_correlation
from hybridflux.inference.batch import names_of
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, parameters_over_draws, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Names
from hybridflux.vocabulary import VARIABLES, Parameter

ESTIMATED = 0.5  # contraction from which a parameter may be called estimated
WEAK = 0.1  # contraction below which a parameter keeps its prior
CORRELATED = 0.8
LEAST_DRAWS = 20  # below, variances and correlations are too uncertain
ALIVE = 1e-3  # gC m-2 d-1: effect of one prior standard deviation below which a parameter is dead
PRIOR_DRAWS = 1000
EVERY = 15  # days between those on which parameters are evaluated


@dataclass(frozen=True)
class Identifiability:
    """The result of `identify`.

    Attributes:
        parameters: one row per parameter of the physics: `parameter`, `source`, `units`, `prior`, `posterior` (medians, or the given
            value), `contraction` (1 - posterior / prior variance, unconstrained, mean over places and days), `effect` (largest change of
            NEE by one prior standard deviation, gC m-2 d-1), `verdict` (`estimated`, `weak`, `prior`, `dead`, `fixed`, `undecided`, or
            `imitated`: narrowed, but only together with a network that reads the driver of the response).
        leaves: one row per learned leaf: `leaf`, `size`, `contraction` (1 - var(z), mean over elements), `contraction_low`,
            `contraction_high`, `effect`. Weights of networks have symmetries: judge a network by its parameter, not by its leaves.
        pairs: parameters whose posterior draws correlate: `first`, `second`, `correlation`.
        confounded: responses a network can imitate: `parameter`, `network`, `driver`, `reads`, `direct` (see `confounding.Confounded`) and
            `correlation` over draws of the parameter with the slope of the network along the first of `reads` (NaN from few draws).
        warnings: sentences to print.
    """

    parameters: pd.DataFrame
    leaves: pd.DataFrame
    pairs: pd.DataFrame
    confounded: pd.DataFrame
    warnings: tuple[str, ...]


def identify(posterior: Posterior, sequences: Sequences, *, places: int = 8, days: int = 730, seed: int = 0) -> Identifiability:
    """Judge the identifiability of parameters at a few towers; of a stacked posterior, those of its process members.

    Args:
        posterior: the posterior to judge.
        sequences: towers, with `plant_type`; places of different types are used, and the days with most observations.
        places: number of places.
        days: number of days.
        seed: seed of prior draws and of the effects of places that were not in the fit.
    """
    posterior, few = posterior.of_kind("process"), excerpt(sequences, places, days)
    here = posterior.at(few, key=jax.random.key(seed))
    single = with_learned(here, {name: leaf[0] for name, leaf in learned(here).items()})  # the mean of networks is no network
    names, centre = names_of(here, few), at_centre(here, few)
    after, before = raw_draws(here, centre), raw_draws(prior_of(here, PRIOR_DRAWS, seed), centre)
    effects = effect_of_parameters(single, centre)
    draws = different_draws(posterior)
    enough = draws >= LEAST_DRAWS
    sources = here.sources.items()
    values = {name: float(np.mean(value)) for name, value in single.parameters(centre).items()}
    drawn = {name: (values[name], before.get(name), after.get(name), effects[name]) for name, _ in sources}
    rows = [_parameter(here.rows[name], source, *drawn[name], enough) for name, source in sources]
    parameters = pd.DataFrame(rows)
    leaf_effects = effect_of_leaves(single, names)
    leaves = pd.DataFrame([_leaf(name, leaf, leaf_effects[name], enough) for name, leaf in learned(posterior.model).items()])
    pairs = correlated(after if enough else {})
    imitated = imitations(here, centre, enough)
    by_network = parameters["parameter"].isin(imitated.loc[imitated["direct"].astype(bool), "parameter"])
    parameters.loc[by_network & parameters["verdict"].isin(["estimated", "weak"]), "verdict"] = "imitated"
    return Identifiability(parameters, leaves, pairs, imitated, tuple(_warnings(parameters, leaves, pairs, imitated, draws)))


def at_centre(model: HybridFlux, sequences: Sequences) -> dict[str, np.ndarray]:
    """Names that a model needs, from sequences, with all places and years at the centre of their population."""
    names = names_of(model, sequences)
    return {name: np.full_like(values, -1) if name in ("site", "site_year") else values for name, values in names.items()}


def excerpt(sequences: Sequences, places: int, days: int) -> Sequences:
    """A few places, of as many plant types as there are, in the run of days with most observations."""
    types = np.asarray(sequences.drivers["plant_type"])
    turn = [int(np.sum(types[:at] == code)) for at, code in enumerate(types)]  # the first of each type, then the second of each
    chosen = np.argsort(turn, kind="stable")[:places]
    few = sequences.select([sequences.places[at] for at in sorted(chosen)])
    fluxes = [values for name, values in few.targets.items() if name in VARIABLES and VARIABLES[name].kind == "flux"]
    seen = np.cumsum(np.r_[0, sum(np.isfinite(values).sum(axis=1) for values in fluxes)])
    days = min(days, len(few.days))
    start = int(np.argmax(seen[days:] - seen[:-days]))
    at = slice(start, start + days)
    cut = {
        part: {name: values[at] if values.ndim == 2 else values for name, values in getattr(few, part).items()}
        for part in ("drivers", "targets", "uncertainty")
    }
    return replace(few, days=few.days[at], **cut)


def different_draws(posterior: Posterior) -> int:
    """Number of draws; those that `thin` has repeated count once."""
    flat = np.concatenate([np.asarray(leaf).reshape(posterior.draws, -1) for leaf in learned(posterior.model).values()], axis=1)
    return len(np.unique(flat, axis=0))


def prior_of(model: HybridFlux, draws: int, seed: int) -> HybridFlux:
    """The same stacked model with draws of the prior: every learned leaf is standard normal."""
    key = jax.random.key(seed)
    shapes = {name: (draws, *leaf.shape[1:]) for name, leaf in learned(model).items()}
    return with_learned(
        model, {name: jax.random.normal(jax.random.fold_in(key, at), shape) for at, (name, shape) in enumerate(shapes.items())}
    )


def raw_values(model: HybridFlux, names: Names) -> dict[str, np.ndarray]:
    """Unconstrained value of each learned parameter of a stacked model on every `EVERY`-th day: `[draw, 1]` to `[draw, time, place]`."""
    only = [name for name, source in model.sources.items() if learned(source)]
    values = parameters_over_draws(model, thinned(names), only=only)
    return {name: raw_of(value, model.rows[name]) for name, value in values.items()}


def raw_draws(model: HybridFlux, names: Names) -> dict[str, np.ndarray]:
    """`raw_values`, mean over places and days: `[draw]`."""
    return {name: values.reshape(len(values), -1).mean(axis=1) for name, values in raw_values(model, names).items()}


def thinned(names: Names) -> dict[str, np.ndarray]:
    """Drivers `[time, place]` on every `EVERY`-th day, covariates `[place]` as they are."""
    return {name: values[::EVERY] if np.ndim(values) == 2 else values for name, values in names.items()}


def imitations(model: HybridFlux, names: Names, enough: bool) -> pd.DataFrame:
    """The table `Identifiability.confounded` of a stacked model; without correlations where draws are not `enough`."""
    pairs = confounded(model)
    values = raw_values(model, names) if pairs and enough else {}
    rows = []
    for row in pairs:
        correlation = np.nan
        if values:
            middle = values[row.parameter].reshape(len(values[row.parameter]), -1).mean(axis=1)
            correlation = slope_correlation(middle, values[row.network], np.asarray(thinned(names)[row.reads[0]]))
        rows.append({**row._asdict(), "correlation": correlation})
    return pd.DataFrame(rows, columns=["parameter", "network", "driver", "reads", "direct", "correlation"])


def correlated(draws: dict[str, np.ndarray], limit: float = CORRELATED) -> pd.DataFrame:
    """Pairs of `[draw]` arrays whose absolute correlation exceeds `limit`, strongest first."""
    names = [name for name, values in draws.items() if np.ptp(values) > 0]
    matrix = np.atleast_2d(np.corrcoef([draws[name] for name in names])) if names else np.zeros((0, 0))
    pairs = [(names[i], names[j], float(matrix[i, j])) for i, j in zip(*np.triu_indices(len(names), 1), strict=True)]
    strong = sorted((row for row in pairs if abs(row[2]) > limit), key=lambda row: -abs(row[2]))
    return pd.DataFrame(strong, columns=["first", "second", "correlation"])


def _parameter(row: Parameter, source, value: float, before, after, effect: float, enough: bool) -> dict:
    contraction = 1.0 - np.var(after) / np.var(before) if after is not None and enough else np.nan
    if effect < ALIVE:
        verdict = "dead"
    elif after is None:
        verdict = "fixed"
    elif not enough:
        verdict = "undecided"
    else:
        verdict = "estimated" if contraction >= ESTIMATED else "weak" if contraction >= WEAK else "prior"
    middle = {
        when: value if raw is None else row.lower + (row.upper - row.lower) / (1.0 + np.exp(-np.median(raw)))
        for when, raw in (("prior", before), ("posterior", after))
    }
    return {
        "parameter": row.name, "source": type(source).__name__, "units": row.units, **middle, "contraction": contraction, "effect": effect,
        "verdict": verdict,
    }  # fmt: skip


def _leaf(name: str, leaf, effect: float, enough: bool) -> dict:
    contraction = 1.0 - np.var(np.asarray(leaf, float), axis=0) if enough else np.full(leaf.shape[1:], np.nan)
    return {
        "leaf": name, "size": int(np.prod(leaf.shape[1:])), "contraction": float(np.mean(contraction)),
        "contraction_low": float(np.min(contraction)), "contraction_high": float(np.max(contraction)), "effect": effect,
    }  # fmt: skip


def _warnings(parameters: pd.DataFrame, leaves: pd.DataFrame, pairs: pd.DataFrame, imitated: pd.DataFrame, draws: int) -> Iterator[str]:
    if draws < LEAST_DRAWS:
        yield f"{draws} draws are too few for a verdict; {LEAST_DRAWS} or more are needed: fit with SVI, NUTS or a larger ensemble"
    for row in parameters.itertuples():
        if row.verdict == "dead":
            yield f"`{row.parameter}` is dead: one prior standard deviation moves NEE by {row.effect:.1e} gC m-2 d-1 at most"
        elif row.verdict == "prior":
            yield f"`{row.parameter}` is not estimated: contraction {row.contraction:.2f}, the posterior is the prior"
        elif row.verdict == "weak":
            yield f"`{row.parameter}` is weakly informed: contraction {row.contraction:.2f}; do not report it as estimated"
    for row in leaves[leaves.effect == 0].itertuples():
        yield f"learned leaf `{row.leaf}` changes nothing at these towers"
    for row in pairs.itertuples():
        yield f"`{row.first}` and `{row.second}` are confounded: posterior correlation {row.correlation:.2f}; interpret them together"
    for row in imitated.to_dict("records"):
        correlation = row.pop("correlation")
        yield sentence(Confounded(**row), correlation)
