"""What the response to soil water earns in droughts, for E04: over seeds, and on the days alone on which it says that water is short."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from hybridflux.evaluate.aggregation import DAY, WEEK
from hybridflux.evaluate.extremes import DroughtAnomaly
from hybridflux.inference.batch import names_of
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import over_draws
from hybridflux.model.sequences import Sequences
from hybridflux.process import stress
from hybridflux.process.call import arguments
from hybridflux.vocabulary import CARBON

Fluxes = dict[str, np.ndarray]
SHORT = 0.9  # water is short on days on which the response to soil water leaves less of GPP, in the mean of the draws
ALL, SHORT_DAYS = "all days of drought", "water is short"


def water_factor(posterior: Posterior, sequences: Sequences) -> np.ndarray:
    """What the response to soil water leaves of GPP at known towers, mean of the draws [1] `[time, place]`."""
    asked = arguments(stress.water_ramp_to_floor)

    def of_one(model: HybridFlux, names: dict):
        seen = model.fluxes(names, also=asked)
        return stress.water_ramp_to_floor(**{name: seen[name] for name in asked})

    factors = []
    for place in sequences.places:
        here = sequences.select([place])
        model = posterior.at(here, key=jax.random.key(0))
        names = {name: jnp.asarray(values) for name, values in names_of(model, here).items()}
        factors.append(np.asarray(over_draws(model, lambda one, names=names: of_one(one, names))).mean(axis=0))
    return np.concatenate(factors, axis=1)


def means(posterior: Posterior, sequences: Sequences) -> Fluxes:
    """Mean of the draws at known towers, without the discrepancy of the place, `[time, place]`."""
    here = [posterior.predict(sequences.select([place]), discrepancy=False).mean("draw") for place in sequences.places]
    return {flux: np.concatenate([one[flux].to_numpy() for one in here], axis=1) for flux in CARBON}


def weeks_of_drought(point: Fluxes, sequences: Sequences, short: np.ndarray) -> pd.DataFrame:
    """Errors of weekly departures, one row a site and flux: of all days of drought, and of those alone on which water is short.

    Args:
        point: predictions `[time, place]`.
        sequences: observations of all days.
        short: days on which water is short `[time, place]`.
    """
    departures, rows = DroughtAnomaly(of=DAY), []
    for at, place in enumerate(sequences.places):
        here = sequences.select([place])
        for flux in CARBON:
            when, *both = departures(here, here.targets[flux][:, 0], point[flux][None, :, at])
            row = np.searchsorted(here.days, when)
            for which, chosen in ((ALL, np.ones(len(row), bool)), (SHORT_DAYS, short[row, at])):
                values = np.full((2, len(here.days)), np.nan)
                values[:, row[chosen]] = np.concatenate([both[0][None], both[1]])[:, chosen]
                _, observed, predicted = WEEK(here, values[0], values[1:])
                if len(observed):
                    rows.append({"site": place, "variable": flux.upper(), "days of": which, "n": len(observed), "days": int(chosen.sum()),
                                 "rmse": np.sqrt(np.mean((predicted[0] - observed) ** 2)),
                                 "observed": observed.mean(), "predicted": predicted[0].mean()})  # fmt: skip
    return pd.DataFrame(rows)


def over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Root of the mean square error over the seeds, one row a site, flux, model and kind of days."""
    squares = scores.assign(rmse=scores.rmse**2).groupby(["model", "days of", "variable", "site"], sort=False)
    mean = squares[["n", "days", "rmse", "observed", "predicted"]].mean().reset_index()
    return mean.assign(rmse=np.sqrt(mean.rmse), seed="all")


def by_seed(scores: pd.DataFrame, with_it: str, without_it: str, difference: Callable[[pd.DataFrame], str]) -> list[str]:
    """Lines of the page.

    Args:
        scores: of `weeks_of_drought`, with columns `model` and `seed`.
        with_it: name of the model with the response.
        without_it: of that without.
        difference: rows of a flux -> what the model without the response is worse by.
    """
    lines = ["", f"RMSE without the response minus with it, by seed: {ALL}, and those alone on which it leaves less than {SHORT} of GPP in "
             "the mean of the draws of the first seed. Means of the draws; `all`: the mean square error over the seeds.", "",
             "| days | seed | NEE | GPP | RECO |", "|---|---|---|---|---|"]  # fmt: skip
    every = pd.concat([scores, over_seeds(scores)], ignore_index=True)
    for which, days in every.groupby("days of", sort=False):
        for seed, part in days.groupby("seed", sort=False):
            cells = (difference(part[part.variable == flux]) for flux in ("NEE", "GPP", "RECO"))
            lines.append(f"| {which} | {seed} | {' | '.join(cells)} |")
    lines += ["", "Mean departure of these weeks, all seeds (gC m-2 d-1):", "",
              f"| days of | flux | sites | days | weeks | observed | {with_it} | {without_it} |",
              "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for (which, flux), part in every[every.seed == "all"].groupby(["days of", "variable"], sort=False):
        here, bare = (part[part.model == name] for name in (with_it, without_it))
        departures = [np.average(values, weights=here.n) for values in (here.observed, here.predicted, bare.predicted)]
        sums = f"{len(here)} | {here.days.sum():.0f} | {here.n.sum():.0f}"
        lines.append(f"| {which} | {flux} | {sums} | {' | '.join(f'{value:+.2f}' for value in departures)} |")
    return lines
