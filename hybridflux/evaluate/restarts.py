"""Do fits from different seeds agree? Judged by the parameters of the physics, because weights of networks have symmetries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd

from hybridflux.evaluate.identify import LEAST_DRAWS, at_centre, different_draws, excerpt, raw_draws
from hybridflux.inference.posterior import Posterior
from hybridflux.model.learned import learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import to_value
from hybridflux.vocabulary import Parameter

APART = 1.0  # standard deviations of one posterior by which the means of two restarts may differ


@dataclass(frozen=True)
class Restarts:
    """The result of `restarts`.

    Attributes:
        parameters: one row per learned parameter: `parameter`, `units`, `lowest` and `highest` (medians of the restarts), `within`
            (posterior standard deviation, unconstrained, root mean square over restarts), `between` (standard deviation of the means of
            the restarts), `apart` (largest difference of two means over `within`), `verdict` (`agree`, `disagree`, `undecided`).
        warnings: sentences to print.
    """

    parameters: pd.DataFrame
    warnings: tuple[str, ...]


def restarts(posteriors: Sequence[Posterior], sequences: Sequences, *, places: int = 8, days: int = 730, seed: int = 0) -> Restarts:
    """Compare posteriors of one model and the same towers from different seeds.

    Restarts disagree about a parameter when two of their means are farther apart than one posterior standard deviation: each of
    them then understates its uncertainty. With `n` effective draws, means differ by some `sqrt(2 / n)` by chance: use 50 or more.
    That they agree proves little: starts of a confounded model can share one wrong answer (experiment e05).

    Args:
        posteriors: two or more.
        sequences: towers at which parameters with a network are evaluated (mean over places and days), with `plant_type`.
        places: number of places.
        days: number of days.
        seed: seed of the effects of places that were not in the fit.

    Raises:
        ValueError: there are fewer than two posteriors, two have the same draws, or they were fitted to different towers or learn
            different parameters.
    """
    if len(posteriors) < 2:
        raise ValueError(f"restarts compares two or more posteriors, not {len(posteriors)}; fit again with another seed")
    _check_apart(posteriors)
    few = excerpt(sequences, places, days)
    drawn = []
    for posterior in posteriors:
        here = posterior.at(few, key=jax.random.key(seed))
        drawn.append(raw_draws(here, at_centre(here, few)))
    learned_by = {tuple(draws) for draws in drawn}
    if len(learned_by) > 1:
        raise ValueError(f"the restarts learn different parameters ({' against '.join(map(str, learned_by))}); fit the same model")
    enough = min(different_draws(posterior) for posterior in posteriors) >= LEAST_DRAWS
    rows = posteriors[0].model.rows
    table = pd.DataFrame([_parameter(rows[name], [draws[name] for draws in drawn], enough) for name in drawn[0]])
    return Restarts(table, tuple(_sentence(row) for row in table.itertuples() if row.verdict == "disagree"))


def _check_apart(posteriors: Sequence[Posterior]) -> None:
    """Refuse posteriors that would agree or differ for another reason than the seed."""
    towers = {posterior.places for posterior in posteriors}
    if len(towers) > 1:
        differ = sorted(set().union(*towers) - set.intersection(*map(set, towers)))
        difference = f"{', '.join(differ[:6])} not in all" if differ else "in another order"
        raise ValueError(f"the restarts were fitted to different towers ({difference}); fit the same ones")
    for at, one in enumerate(posteriors):
        for before in posteriors[:at]:
            mine, other = learned(one.model), learned(before.model)
            if mine.keys() == other.keys() and all(np.array_equal(mine[name], other[name]) for name in mine):
                raise ValueError(f"two restarts have the same draws (seed {one.info.get('seed')}); fit again with another seed")


def _parameter(row: Parameter, drawn: list[np.ndarray], enough: bool) -> dict:
    means = np.array([draws.mean() for draws in drawn])
    within = float(np.sqrt(np.mean([draws.var() for draws in drawn])))
    middle = [float(to_value(np.median(draws), row)) for draws in drawn]
    apart = float(np.ptp(means)) / within if within > 0 else np.nan
    return {
        "parameter": row.name, "units": row.units, "lowest": min(middle), "highest": max(middle), "within": within,
        "between": float(means.std(ddof=1)), "apart": apart,
        "verdict": "undecided" if not enough else "agree" if apart <= APART else "disagree",
    }  # fmt: skip


def _sentence(row) -> str:
    return (
        f"restarts disagree about `{row.parameter}`: medians from {row.lowest:.3g} to {row.highest:.3g} {row.units}, {row.apart:.1f} "
        "posterior standard deviations apart; none of their intervals is reliable"
    )
