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
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the method, repeatable: --set members=16; a wrong name lists them.")
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing posterior.")] = False,
) -> None:
    """Fit a model to towers, write its posterior and print what was found.

    The table says which sites and days were used, how far the towers moved each parameter from its prior, and what to doubt.
    """
    from hybridflux.files import check_output

    check_output(out, overwrite=overwrite)
    from hybridflux.data.towers import open_towers
    from hybridflux.inference import method_of
    from hybridflux.inference.summary import lines
    from hybridflux.model import compositions
    from hybridflux.model.store import to_spec

    chosen, fitted = method_of(method.value, settings or ()), compositions.get(model or compositions.DEFAULT[method])
    to_spec(fitted)  # a model that cannot be saved is refused here
    sequences = open_towers(towers, sites=sites, years=years).sequences(fitted.needs_at_towers())
    with progress_of("fitting") as progress:
        posterior = chosen.fit(fitted, sequences, seed=seed, progress=progress)
    posterior.save(out)
    typer.echo("\n".join(lines(posterior, file=out, towers=towers)))
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
