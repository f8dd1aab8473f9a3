"""A posterior in the groups of ArviZ, for its plots, diagnostics and comparisons: what a posterior file holds, and more on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import numpy as np
import xarray as xr

from hybridflux.inference.batch import series
from hybridflux.inference.convergence import arviz
from hybridflux.model.learned import over_draws
from hybridflux.model.sequences import HasSequences, Sequences, sequences_of
from hybridflux.vocabulary import PLANT_TYPES, Parameter

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior


def draws_dataset(draws: Mapping[str, np.ndarray], chains: int, rows: Mapping[str, Parameter]) -> xr.Dataset:
    """Draws `[draw, ...]` as variables `(chain, draw, ...)`.

    Args:
        draws: name -> draws, chains one after the other.
        chains: how many there are.
        rows: name -> row of the vocabulary, for units and meaning.
    """

    def variable(name: str, values: np.ndarray) -> xr.Variable:
        chained = np.asarray(values).reshape(chains, -1, *np.shape(values)[1:])
        row = rows.get(name)  # of a parameter; other axes of this length are places, or units of a network
        of_types = row is not None and chained.shape[2:] == (len(PLANT_TYPES),)
        extra = ("plant_type",) if of_types else tuple(f"{name}_dim_{axis}" for axis in range(chained.ndim - 2))
        return xr.Variable(("chain", "draw", *extra), chained, {"units": row.units, "long_name": row.meaning} if row else {})

    dataset = xr.Dataset({name: variable(name, values) for name, values in draws.items()})
    coords = {name: np.arange(dataset.sizes[name]) for name in ("chain", "draw") if name in dataset.sizes}
    return dataset.assign_coords(coords | ({"plant_type": list(PLANT_TYPES)} if "plant_type" in dataset.dims else {}))


def to_arviz(posterior: Posterior, towers: Sequences | HasSequences | None = None, seed: int = 0):
    """See `Posterior.to_arviz`."""
    physical = posterior.parameter_draws()
    rows = {name: posterior.model.row_of(name) for name in physical}
    groups = {
        "posterior": draws_dataset(physical, posterior.chains, rows),
        "prior": draws_dataset(posterior.prior_draws(seed=seed), 1, rows),
        "sample_stats": draws_dataset(posterior.stats, posterior.chains, {}),
        "observed_data": xr.Dataset(dict(posterior.observed)),
    }
    if towers is not None:
        groups |= dict(zip(("log_likelihood", "observed_data"), _pointwise(posterior, towers, seed), strict=True))
    groups = {name: group for name, group in groups.items() if group.data_vars}
    az = arviz()
    if int(az.__version__.partition(".")[0]) < 1:
        return az.InferenceData(**groups)
    return xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})


def _pointwise(posterior: Posterior, towers: Sequences | HasSequences, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Log density and value of each measured day: `(chain, draw, <target>_day)` and `(<target>_day)`, with its day and place."""
    from hybridflux.inference.joint import predicted, terms  # numpyro, which a map does not need

    sequences = sequences_of(towers, posterior.model.needs_at_towers())
    batch = series(posterior.model, sequences)
    stacked = posterior.at(sequences, key=jax.random.key(seed))

    def of_draw(draw):
        fluxes = predicted(draw, batch)
        return terms(draw, batch, fluxes, fluxes)

    densities, seen = {}, {}
    for name, values in over_draws(stacked, of_draw).items():
        day, place = np.nonzero(np.asarray(batch.measured[name]))
        values = np.broadcast_to(values, (posterior.draws, *batch.measured[name].shape))[:, day, place]
        of_day = {"day_of": sequences.days[day].astype("datetime64[ns]"), "place_of": np.array(sequences.places)[place]}
        at = {f"{name}_{what}": (f"{name}_day", where) for what, where in of_day.items()}
        chained = values.reshape(posterior.chains, -1, len(day))
        densities[name] = xr.DataArray(chained, at, ("chain", "draw", f"{name}_day"))
        seen[name] = xr.DataArray(np.asarray(batch.targets[name])[day, place], at, (f"{name}_day",))
    return xr.Dataset(densities), xr.Dataset(seen)
