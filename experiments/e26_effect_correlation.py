"""E26 - Are the effects of a place on different responses correlated, and would it matter where no tower stands?

`hybrid_water` has eight responses with effects of places, independent a priori. Four readings of them at the towers of a fit:

1. r over towers of effects averaged over the members that were fitted to the tower, beside the range of r when towers are permuted.
2. What the data of one tower leave open, which makes effects look correlated that are not: the posterior correlation within a tower, from
   the curvature of its likelihood at its mode (Gauss-Newton), all else of a member as it is. Modes of independent effects are then
   correlated too, because a tower speaks of some directions alone: the r that is expected of them stands beside.
3. The same curvature gives the likelihood of the effects of a tower as a normal one, and with it the evidence of a population N(0, R)
   with the noise of 2. integrated out: R diagonal, with one pair, with a factor (that of I + w w'), or full with an LKJ prior. Each is
   learned without a tower in turn, and the evidence of that tower compared. Once for members that were fitted to it, once for the member
   that left it out (its centre then knows nothing of the tower, as at an unseen place; effects were learned afterwards).
4. The sd of annual NEE of the towers treated as unseen, effects drawn with and without the correlation, variances the same.

    python experiments/e26_effect_correlation.py --data ../shared/data --posterior posterior.nc --out runs/e26

NEE = RECO - GPP, positive to the atmosphere. Three minutes of a core with a posterior, more where it is fitted first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from fitted import posterior_of

from hybridflux.data.towers import open_towers
from hybridflux.inference import Posterior
from hybridflux.inference.batch import Batch, batch, names_of
from hybridflux.inference.joint import predicted, quasi_likelihood
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, over_draws, populations, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.structural_error import PRIOR_TOWERS

MODEL, SEED = "hybrid_water", 26
NEWTON, LONGEST = 20, 1.0  # steps, and the longest of one, in prior median sds
PAIR = ("light_use_efficiency", "respiration_ref")  # places that assimilate much respire much
INDEPENDENT, ONE_PAIR, FACTOR = "independent", f"`{PAIR[0]}` with `{PAIR[1]}` alone", "one factor"
LKJ = {"full, LKJ(2)": 2.0, "full, LKJ(10)": 10.0}  # concentration: sd of a correlation a priori 0.30 and 0.19
KINDS = (INDEPENDENT, ONE_PAIR, FACTOR, *LKJ)
SHOWN = "full, LKJ(10)"
LOADING_SD = 0.5  # a priori, of a loading over what is left of its effect
YEAR = 2010
FULL = {"updates": 500, "shuffles": 2000, "draws": 40}
SMOKE = {"updates": 60, "shuffles": 200, "draws": 4}


@dataclass(frozen=True)
class Effects:
    """Likelihoods of the effects of towers, normal ones around their modes; effects in prior median sds.

    Attributes:
        names: responses.
        mode: posterior modes `[member, tower, response]`.
        precision: of the likelihood `[member, tower, response, response]`.
        information: precision times the centre of the likelihood `[member, tower, response]`.
        variance: of the population in the fit `[member, response]`.
        unseen: whether a member left the tower out `[member, tower]`.
    """

    names: tuple[str, ...]
    mode: np.ndarray
    precision: np.ndarray
    information: np.ndarray
    variance: np.ndarray
    unseen: np.ndarray


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds towers/")
    parser.add_argument("--posterior", type=Path, help=f"an ensemble of {MODEL} of `hybridflux fit`, in place of a fit")
    parser.add_argument("--out", type=Path, default=Path("runs/e26"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args(namespace=argparse.Namespace(model=MODEL))
    arguments.out.mkdir(parents=True, exist_ok=True)
    size, posterior = SMOKE if arguments.smoke else FULL, posterior_of(arguments)
    needs = posterior.model.needs_at_towers()
    towers = open_towers(arguments.data / "towers", sites=posterior.places, needs=needs, targets=posterior.model.targets(), screen=None)
    sequences = towers.sequences(needs)
    if sequences.places != posterior.places:
        raise ValueError("the towers are not those of the posterior, in its order; give the folder that it was fitted to")
    effects = effects_of(posterior, sequences)
    gains, found = {}, {}
    for which, chosen in (("members that were fitted to the tower", ~effects.unseen), ("the member that left it out", effects.unseen)):
        if chosen.any(0).all():
            found[which], gains[which] = compared(effects, chosen, size["updates"])
            print(f"{which}: done", flush=True)
    last = list(found)[-1]
    text = report(effects, found, gains, annual_sd(posterior, sequences, effects, scaled(found[last][SHOWN]), size["draws"]), size)
    (arguments.out / "results.md").write_text(text)
    print(text)


def effects_of(posterior: Posterior, sequences: Sequences) -> Effects:
    """Normal likelihoods of the effects of all towers, for each member with all else of it as it is."""
    tables = [(one.effect, one.sd) for one in populations(posterior.model)]
    members = range(posterior.draws)
    without = posterior.info.get("draws_without") or {}
    unseen = np.array([[member in without.get(place, ()) for place in posterior.places] for member in members])
    models = [with_learned(posterior.model, {name: leaf[member] for name, leaf in learned(posterior.model).items()}) for member in members]
    data = batch(models[0], sequences)
    parts = [normal_likelihoods(model, data, tables) for model in models]
    names = tuple(effect.split(".")[1] for effect, _ in tables)
    return Effects(names, *(np.stack(part) for part in zip(*parts, strict=True)), unseen=unseen)


def normal_likelihoods(model: HybridFlux, data: Batch, tables: list[tuple[str, str]]) -> tuple[np.ndarray, ...]:
    """Modes, precision, information and variance of the population of one member, as in `Effects`: Newton steps of all towers."""
    leaves = learned(model)
    log_variance = np.array([leaves[sd] for _, sd in tables])
    scale = jnp.exp(-0.5 * jnp.asarray(log_variance))[:, None]
    current = np.stack([leaves[effect] for effect, _ in tables]) / np.asarray(scale)
    prior = np.diag(np.exp(-log_variance))
    slope_and_precision = partial(_slope_and_precision, model, data, tuple(effect for effect, _ in tables), scale)
    for _ in range(NEWTON + 1):  # the last time for what belongs to the mode
        slope, precision = (np.asarray(part, float) for part in slope_and_precision(jnp.asarray(current, jnp.float32)))
        here = current.T
        step = np.linalg.solve(precision + prior, (slope.T - here @ prior)[..., None])[..., 0]
        information = np.einsum("pij,pj->pi", precision, here) + slope.T
        current = (here + step * np.minimum(1.0, LONGEST / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))).T
    return here, precision, information, np.exp(log_variance)


@partial(jax.jit, static_argnums=2)
def _slope_and_precision(model, data, tables, scale, effects):
    """Of the log likelihood `[response, tower]`, and its Gauss-Newton precision `[tower, response, response]`."""
    of = lambda raw: with_learned(model, dict(zip(tables, raw * scale, strict=True)))  # noqa: E731
    slope = jax.grad(lambda raw: quasi_likelihood(of(raw), data))(effects)
    fluxes = lambda raw: {name: values for name, values in predicted(of(raw), data).items() if name in data.targets}  # noqa: E731
    along = jnp.eye(len(tables))[:, :, None] * jnp.ones_like(effects)
    at = fluxes(effects)
    slopes = jax.lax.map(lambda one: jax.jvp(fluxes, (effects,), (one,))[1], along)  # target -> [response, day]
    precision = jnp.zeros((effects.shape[1], len(tables), len(tables)))
    for name in data.targets:
        one = model.observed[name]
        share = one.weight * data.measured[name] / one.error.scale(at[name], data.known[name]) ** 2
        outer = jnp.einsum("d,id,jd->dij", share, slopes[name], slopes[name])
        precision += jax.ops.segment_sum(outer, data.names["site"], effects.shape[1])
    return slope, precision


def log_evidence(covariance, precision, information):
    """Log of the integral of N(z; 0, covariance) exp(-z' precision z / 2 + information' z) over z."""
    both = jnp.eye(len(covariance)) + covariance @ precision
    explained = information @ jnp.linalg.solve(both, covariance @ information)
    return 0.5 * explained - 0.5 * jnp.linalg.slogdet(both)[1]


def population(kind: str, names: tuple[str, ...]) -> tuple[int, Callable, Callable]:
    """How many numbers a kind of covariance has (logarithms of the variances first), the covariance of them, and their log prior."""
    count, lower = len(names), np.tril_indices(len(names), -1)
    pair = tuple(names.index(name) for name in PAIR)

    def correlation(numbers):
        if kind == ONE_PAIR:
            return jnp.eye(count).at[pair, pair[::-1]].set(jnp.tanh(numbers[count]))
        if kind == FACTOR:
            loadings = numbers[count:]
            return scaled(jnp.eye(count) + jnp.outer(loadings, loadings))
        root = jnp.eye(count).at[lower].set(numbers[count:])
        return scaled(root @ root.T)

    def covariance(numbers):
        sd = jnp.exp(0.5 * numbers[:count])
        return jnp.outer(sd, sd) * (jnp.eye(count) if kind == INDEPENDENT else correlation(numbers))

    def log_prior(numbers):
        of_variances = -0.5 * PRIOR_TOWERS * jnp.sum(numbers[:count] + jnp.exp(-numbers[:count]))  # as in a fit
        if kind == INDEPENDENT:
            return of_variances
        if kind == FACTOR:
            return of_variances - 0.5 * jnp.sum((numbers[count:] / LOADING_SD) ** 2)
        return of_variances + (LKJ.get(kind, 2.0) - 1.0) * jnp.linalg.slogdet(correlation(numbers))[1]

    return count + {INDEPENDENT: 0, ONE_PAIR: 1, FACTOR: count}.get(kind, len(lower[0])), covariance, log_prior


def scaled(covariance):
    """The correlations of a covariance, of numpy or of JAX."""
    sd = covariance.diagonal() ** 0.5
    return covariance / sd[:, None] / sd


def compared(effects: Effects, chosen: np.ndarray, updates: int) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Covariances learned from all towers, and the log evidence of each tower with those learned from the others `[tower, kind]`.

    Args:
        effects: of the towers.
        chosen: members that speak for a tower `[member, tower]`; the mean of their log likelihoods counts.
        updates: of Adam, of the fit to all; a fourth of that without each tower, from there.
    """
    weight = chosen / chosen.sum(0)
    precision = jnp.asarray(np.einsum("mp,mpij->pij", weight, effects.precision), jnp.float32)
    information = jnp.asarray(np.einsum("mp,mpi->pi", weight, effects.information), jnp.float32)
    towers, count = chosen.shape[1], len(effects.names)
    found, evidence = {}, {}
    for kind in KINDS:
        size, covariance, log_prior = population(kind, effects.names)

        def of_towers(numbers, covariance=covariance):
            return jax.vmap(partial(log_evidence, covariance(numbers)))(precision, information)

        def loss(numbers, counted, of_towers=of_towers, log_prior=log_prior):
            return -jnp.sum(counted * of_towers(numbers)) - log_prior(numbers)

        first = jnp.asarray(np.concatenate([np.zeros(count), np.random.default_rng(SEED).normal(0.0, 0.1, size - count)]), jnp.float32)
        of_all = jax.jit(partial(descended, loss, updates))(first, jnp.ones(towers))
        without = jax.jit(jax.vmap(partial(descended, loss, updates // 4, of_all)))(1.0 - jnp.eye(towers))
        found[kind] = np.asarray(covariance(of_all))
        evidence[kind] = np.asarray(jax.jit(jax.vmap(of_towers))(without)).diagonal()
    return found, pd.DataFrame(evidence)


def descended(loss, updates, numbers, counted):
    """Where Adam ends, its rate falling to nothing."""
    optimiser = optax.adam(optax.cosine_decay_schedule(0.05, updates))

    def update(carry, _):
        values, state = carry
        change, state = optimiser.update(jax.grad(loss)(values, counted), state)
        return (optax.apply_updates(values, change), state), None

    return jax.lax.scan(update, (numbers, optimiser.init(numbers)), length=updates)[0][0]


def annual_sd(posterior: Posterior, sequences: Sequences, effects: Effects, correlation: np.ndarray, draws: int) -> pd.DataFrame:
    """Sd of annual NEE [gC m-2] of each tower treated as unseen, with and without the correlations: effects alone, and with the members."""
    year = of_year(sequences)
    names = {name: jnp.asarray(values) for name, values in names_of(posterior.model, year).items()}
    tables, leaves = [one.effect for one in populations(posterior.model)], learned(posterior.model)
    normal = np.random.default_rng(SEED).normal(size=(draws, len(year.places), len(effects.names)))
    sums = {}
    for kind, matrix in (("with", correlation), ("without", np.eye(len(correlation)))):
        every = []
        for one in normal @ np.linalg.cholesky(matrix).T:  # standard normal: a member has the sd of its effects
            z = {effect: jnp.broadcast_to(jnp.asarray(one[:, at], jnp.float32), leaves[effect].shape) for at, effect in enumerate(tables)}
            every.append(np.asarray(_annual(with_learned(posterior.model, z), names)))
        sums[kind] = np.stack(every)  # [draw, member, place]
    columns = {kind: values.std(0).mean(0) for kind, values in sums.items()}
    columns |= {f"{kind}, members too": values.reshape(-1, values.shape[-1]).std(0) for kind, values in sums.items()}
    return pd.DataFrame(columns, index=list(year.places))


def of_year(sequences: Sequences) -> Sequences:
    """The days of the year alone, with which a memory spins up."""
    here = sequences.days.astype("datetime64[Y]") == np.datetime64(str(YEAR))
    cut = lambda values: {name: one[here] if one.ndim == 2 else one for name, one in values.items()}  # noqa: E731
    series = {name: cut(getattr(sequences, name)) for name in ("drivers", "targets", "uncertainty")}
    return replace(sequences, days=sequences.days[here], **series)


@jax.jit
def _annual(model, names):
    return over_draws(model, lambda one: one.fluxes(names)["nee"].sum(0))


def report(effects: Effects, found: dict, gains: dict, annual: pd.DataFrame, size: dict) -> str:
    """The results as a Markdown page."""
    members, towers = effects.unseen.shape
    parts = (["# E26: are effects of a place correlated across responses?", "",
              f"`{MODEL}`, {members} members, {towers} towers. Made by `experiments/e26_effect_correlation.py`, see its head."],
             of_evidence(gains, size), of_responses(effects, found, size), of_year_sums(annual))  # fmt: skip
    return "\n".join(line for part in parts for line in part) + "\n"


def of_evidence(gains: dict, size: dict) -> list[str]:
    """The evidence of correlated populations."""
    lines = ["", "## Evidence of a correlated population", "",
             "Gain of log evidence over independent effects at a tower that the covariance was not learned from, nats a tower, 90 %",
             "interval over resampled towers. A variance counts as 10 towers at its prior median, as in a fit; loadings have an sd of "
             f"{LOADING_SD:g} a priori.", "",
             "| effects of | covariance | gain | 90 % interval | towers that gain |", "|---|---|---|---|---|"]  # fmt: skip
    for which, table in gains.items():
        for kind in KINDS[1:]:
            gain = (table[kind] - table[INDEPENDENT]).to_numpy()
            means = np.random.default_rng(SEED).choice(gain, (size["shuffles"], len(gain))).mean(1)
            low, high = np.quantile(means, (0.05, 0.95))
            lines.append(f"| {which} | {kind} | {gain.mean():+.3f} | {low:+.3f} to {high:+.3f} | {(gain > 0).mean():.0%} |")
    return lines


def of_responses(effects: Effects, found: dict, size: dict) -> list[str]:
    """Pairs of responses, and how much of each a tower says."""
    pairs, chance, largest = of_pairs(effects, found, size["shuffles"])
    outside = (pairs.r < pairs.low) | (pairs.r > pairs.high)
    lines = ["", "## Pairs of responses", "",
             f"{outside.sum()} of {len(pairs)} pairs have an r outside the 95 % range of permuted towers ({0.05 * len(pairs):.1f} by",
             f"chance); {chance:.1%} of the permutations have an |r| as large as the largest, {largest:.2f}. Those pairs, and the four",
             f"with the largest r within a tower; the last columns are {SHOWN}.",
             "", "| pair | r over towers | permuted, 95 % | within a tower | expected of independent effects | " + " | ".join(found) + " |",
             "|" + "---|" * (5 + len(found))]  # fmt: skip
    shown = pairs[outside | (pairs.within.abs() >= pairs.within.abs().nlargest(4).min())]
    for row in shown.sort_values("r", key=abs, ascending=False).itertuples():
        numbers = " | ".join(f"{value:+.2f}" for value in (row.within, row.expected, *row.fitted))
        lines.append(f"| {row.pair} | {row.r:+.2f} | {row.low:+.2f} to {row.high:+.2f} | {numbers} |")
    left = np.sqrt(np.einsum("mpii->mpi", covariances(effects)) / effects.variance[:, None]).mean((0, 1))
    cells = ", ".join(f"`{name}` {value:.2f}" for name, value in zip(effects.names, left, strict=True))
    return [*lines, "", "Posterior sd of an effect over that of its population, mean of towers (1: a tower says nothing):", f"{cells}."]


def of_year_sums(annual: pd.DataFrame) -> list[str]:
    """What the correlation would change where no tower stands."""
    lines = ["", "## Annual NEE of an unseen place", "",
             f"Sd of NEE of {YEAR}, gC m-2, effects of a place drawn from the population of the fit with the correlation {SHOWN} of the",
             f"last column, and without. Median of {len(annual)} towers treated as unseen:", "",
             "| | with | without | ratio, median of towers (10 to 90 %) |", "|---|---|---|---|"]  # fmt: skip
    for label, end in (("effects of a place", ""), ("and members", ", members too")):
        low, middle, high = (annual[f"with{end}"] / annual[f"without{end}"]).quantile([0.1, 0.5, 0.9])
        sds = " | ".join(f"{annual[kind + end].median():.0f}" for kind in ("with", "without"))
        lines.append(f"| {label} | {sds} | {middle:.2f} ({low:.2f} to {high:.2f}) |")
    return lines


def covariances(effects: Effects) -> np.ndarray:
    """Posterior covariance of the effects of a tower in the fit `[member, tower, response, response]`."""
    prior = np.stack([np.diag(1.0 / one) for one in effects.variance])[:, None]
    return np.linalg.inv(effects.precision + prior)


def of_pairs(effects: Effects, found: dict, shuffles: int) -> tuple[pd.DataFrame, float, float]:
    """Correlations of all pairs, the chance of the largest among permutations of towers, and that largest."""
    weight = ~effects.unseen / np.maximum((~effects.unseen).sum(0), 1)
    means, noise = np.einsum("mp,mpi->pi", weight, effects.mode), np.einsum("mp,mpij->pij", weight, covariances(effects))
    rows = np.triu_indices(len(effects.names), 1)
    r = np.corrcoef(means.T)[rows]
    random = np.random.default_rng(SEED)
    permuted = np.stack([np.corrcoef(random.permuted(means, axis=0).T)[rows] for _ in range(shuffles)])
    low, high = np.quantile(permuted, (0.025, 0.975), axis=0)
    within = scaled(noise.mean(0))[rows]
    independent = np.diag(np.einsum("mp,mi->i", weight, effects.variance) / len(means)) - noise.mean(0)
    fitted = np.stack([scaled(one[SHOWN])[rows] for one in found.values()], 1)
    pairs = [f"`{effects.names[one]}`, `{effects.names[other]}`" for one, other in zip(*rows, strict=True)]
    columns = {"pair": pairs, "r": r, "low": low, "high": high, "within": within, "expected": scaled(independent)[rows]}
    table = pd.DataFrame({**columns, "fitted": list(fitted)})
    return table, float((np.abs(permuted).max(1) >= np.abs(r).max()).mean()), float(np.abs(r).max())


if __name__ == "__main__":
    main()
