"""Commands at towers: fit, evaluate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import PosteriorFile, Seed, Sites, Towers
from hybridflux.terminal import progress_of, wrote


class Method(StrEnum):
    """Inference methods."""

    map = "map"
    ensemble = "ensemble"
    laplace = "laplace"
    svi = "svi"
    nuts = "nuts"


def fit(
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Posterior file to write (netCDF).")],
    sites: Sites = None,
    years: Annotated[str | None, typer.Option(help="First and last year: 2001:2010")] = None,
    model: Annotated[
        str | None, typer.Option(help="hybrid (the default for map, ensemble), static (for laplace, svi, nuts), or a .py or .json file.")
    ] = None,
    method: Annotated[Method, typer.Option(help="How to fit.")] = Method.ensemble,
    seed: Seed = 0,
) -> None:
    """Fit a model to towers and write its posterior."""
    from hybridflux import inference
    from hybridflux.data.towers import open_towers
    from hybridflux.model import compositions

    fitted = compositions.get(model or compositions.DEFAULT[method])
    sequences = open_towers(towers, sites=sites, years=years).sequences(fitted.needs_at_towers())
    methods = {
        "map": inference.MAP,
        "ensemble": inference.Ensemble,
        "laplace": inference.LaplaceApproximation,
        "svi": inference.SVI,
        "nuts": inference.NUTS,
    }
    with progress_of("fitting") as progress:
        posterior = methods[method]().fit(fitted, sequences, seed=seed, progress=progress)
    posterior.save(out)
    wrote(out)


def evaluate(
    posterior: PosteriorFile,
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Table to write: one row per site and variable.")],
    sites: Sites = None,
) -> None:
    """Score a posterior at towers.

    A site that the fit has not seen is predicted as unseen. One row per site and variable.
    """
    from hybridflux.data.towers import open_towers
    from hybridflux.evaluate.scores import evaluate as score
    from hybridflux.inference.posterior import Posterior

    score(Posterior.load(posterior), open_towers(towers, sites=sites)).to_csv(out, index=False)
    wrote(out)
