"""Tables of scores: one row per site and variable, and their medians and quartiles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hybridflux.evaluate.calibration import PIT, pit_counts
from hybridflux.evaluate.metrics import SCORES, score
from hybridflux.evaluate.predictions import Prediction, predictions
from hybridflux.evaluate.steps import step_named
from hybridflux.inference.conditioned_error import ALL, OTHER, UNUSED
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import CARBON, PLANT_TYPES

if TYPE_CHECKING:
    from hybridflux.data.towers import Towers
    from hybridflux.inference.posterior import Posterior
    from hybridflux.model.flux import HybridFlux

COLUMNS = ("site", "igbp", "variable", *SCORES, *PIT, "known")


def needed(model: HybridFlux, step: str | Sequence[str]) -> set[str]:
    """What to ask towers for where a model is scored at time steps (see `evaluate`)."""
    asked = (step,) if isinstance(step, str) else step
    return {*model.needs_at_towers(), *(name for one in asked for name in step_named(one).needs)}


def evaluate(
    posterior: Posterior,
    towers: Towers | Sequences,
    *,
    variables: Sequence[str] = CARBON,
    draws: int = 100,
    seed: int = 0,
    step: str | Sequence[str] = "day",
    residuals: str = UNUSED,
) -> pd.DataFrame:
    """Score a posterior at towers, one tower in memory at a time.

    A site of the fit keeps its own effects; any other draws them from the population. Intervals and CRPS are of the predictive draws
    (observation error included); NSE, R2, RMSE and bias are of the mean of the draws without it.

    Args:
        posterior: fitted posterior.
        towers: towers, or their sequences.
        variables: fluxes to score.
        draws: predictive draws per site.
        seed: seed of population effects and observation errors.
        step: a name of `steps.STEPS`; several of them add a column `step`.
        residuals: `unused`, or `other-months`: the structural error of a site of the fit passes through its residuals in the months of
            the fit that are not scored, as maps have it; what is scored is never used.

    Returns:
        Columns `COLUMNS`: one row per site and variable, also where nothing was observed (`n` = 0).

    Raises:
        ValueError: unknown step, or sequences without the drivers it reads; residuals of the months that are scored.
    """
    if residuals == ALL:
        raise ValueError(f"residuals `{ALL}` know the measured months that are scored; take `{OTHER}`, which leaves these out")
    sequences = towers if isinstance(towers, Sequences) else towers.sequences(needed(posterior.model, step))
    predicted = predictions(posterior, sequences, variables=variables, draws=draws, seed=seed, residuals=residuals)
    return pd.concat([score_prediction(prediction, variables=variables, step=step) for prediction in predicted], ignore_index=True)


def score_prediction(
    prediction: Prediction, *, variables: Sequence[str] = CARBON, step: str | Sequence[str] = "day"
) -> pd.DataFrame:
    """Scores of a prediction of one tower; see `score_table`."""
    known = prediction.tower.places if prediction.known else ()
    return score_table(prediction.tower, prediction.draws, prediction.point, variables=variables, step=step, known=known)


def score_table(
    sequences: Sequences,
    predicted: Mapping[str, np.ndarray],
    point: Mapping[str, np.ndarray] | None = None,
    *,
    variables: Sequence[str] | None = None,
    step: str | Sequence[str] = "day",
    known: Collection[str] = (),
) -> pd.DataFrame:
    """Score predictions of any origin.

    Args:
        sequences: the observations.
        predicted: variable -> predictive draws `[draw, time, place]`, or `[time, place]` of a deterministic prediction.
        point: variable -> `[time, place]` that NSE, R2, RMSE and bias judge; the mean of the draws by default.
        variables: fluxes to score; those of `CARBON` that are predicted by default.
        step: a name of `steps.STEPS`, which gives the units of RMSE, bias and CRPS; several of them add a column `step`.
        known: sites that took part in the fit.

    Returns:
        Columns `COLUMNS`.

    Raises:
        ValueError: unknown step, or sequences without the drivers it reads.
    """
    if not isinstance(step, str):
        each = (score_table(sequences, predicted, point, variables=variables, step=one, known=known).assign(step=one) for one in step)
        return pd.concat(each, ignore_index=True)
    of_step = step_named(step)
    variables = [name for name in CARBON if name in predicted] if variables is None else variables
    rows = []
    for at, site in enumerate(sequences.places):
        here = sequences.select([site])
        igbp = PLANT_TYPES[int(here.drivers["plant_type"][0])]
        for name in variables:
            values = np.asarray(predicted[name])[..., at]
            draws = values if values.ndim == 2 else values[None]
            judged = draws.mean(axis=0, dtype=float) if point is None else np.asarray(point[name])[:, at]
            _, y, x = of_step(here, here.targets[name][:, 0], np.concatenate([draws, judged[None]]))
            row = {"site": site, "igbp": igbp, "variable": name.upper(), "known": site in known}
            rows.append(row | score(y, x[:-1], x[-1]) | pit_counts(y, x[:-1]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def pooled_rmse(scores: pd.DataFrame) -> pd.Series:
    """Root mean square error over all periods of all sites, per variable: for yearly scores, over site-years.

    Args:
        scores: table of `evaluate` or `score_table`.
    """
    seen = scores[scores.n > 0]
    squares = (seen.n * seen.rmse**2).groupby(seen.variable, sort=False).sum()
    return np.sqrt(squares / seen.groupby("variable", sort=False).n.sum()).rename("rmse")


def overview(scores: pd.DataFrame) -> pd.DataFrame:
    """A table of scores in a few rows: per flux and step, sites of the fit apart from sites it has not seen.

    Args:
        scores: table of `evaluate` or `score_table` with a column `step`.

    Returns:
        Columns `model`, where the table has it; `flux step towers` (`unseen` or `in the fit`)
        `sites n NSE nNSE RMSE bias units coverage90`: medians over sites of NSE,
        RMSE and bias (predicted - observed); nNSE, the mean over sites of 1 / (2 - NSE) (Nossent and Bauwens 2012, EGU2012-237), which is
        1 for a perfect model, 0.5 for one that only knows the mean of the site, and not below 0 however poor; the share of all
        observations inside the 90 % interval.
        Rows of a flux and step for which no site has enough observations have `sites` = 0.
    """
    rows, whose = [], ["model"] if "model" in scores else []
    for (*model, variable, step, known), group in scores.groupby([*whose, "variable", "step", "known"], sort=False):
        seen = group[group.n > 0]
        of = seen[seen.coverage90.notna()]
        rows.append({
            **dict(zip(whose, model, strict=True)),
            "flux": variable, "step": step, "towers": "in the fit" if known else "unseen", "sites": len(seen), "n": int(seen.n.sum()),
            "NSE": seen.nse.median(), "nNSE": (1.0 / (2.0 - seen.nse)).mean(), "RMSE": seen.rmse.median(), "bias": seen.bias.median(),
            "units": step_named(step).units, "coverage90": np.average(of.coverage90, weights=of.n) if len(of) else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Medians and quartiles over sites, of all sites and per plant type.

    Args:
        scores: table of `evaluate` or `score_table`.

    Returns:
        Rows `(variable, igbp)`, `igbp` = `all` first; columns `sites`, `n`, then `<score>`, `<score>_q25`, `<score>_q75`.
    """
    seen = scores[scores.n > 0]
    rows = []
    for variable, of_variable in seen.groupby("variable", sort=False):
        for igbp, group in [("all", of_variable), *of_variable.groupby("igbp")]:
            row = {"variable": variable, "igbp": igbp, "sites": len(group), "n": int(group.n.sum())}
            for name in SCORES[1:]:
                row |= {name: group[name].median(), f"{name}_q25": group[name].quantile(0.25), f"{name}_q75": group[name].quantile(0.75)}
            rows.append(row)
    return pd.DataFrame(rows)
