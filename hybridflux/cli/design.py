"""Commands for the design of measurements: next-tower."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import Overwrite, Seed, With
from hybridflux.files import check_output
from hybridflux.terminal import progress_of, wrote


def next_tower(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    figure: Annotated[Path | None, typer.Option(help="Map of the candidates to write beside it, PNG.")] = None,
    candidates: Annotated[int, typer.Option(min=1, help="Pixels, at random, at which a tower is imagined.")] = 50,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    own: With = None,
) -> None:
    """Where one more tower would tell most of a region.

    The expected sd of the region's NEE with a tower at each of some pixels, from the draws of a run, without a new fit.
    """
    for path in (out, figure):
        if path:
            check_output(path, overwrite=overwrite)

    from hybridflux.products import next_tower as products
    from hybridflux.products.sheet import write_table
    from hybridflux.products.totals import run_record
    from hybridflux.report.next_tower_figure import write_figure

    with progress_of("mapping candidates") as progress:
        table = products.next_tower(run, candidates=candidates, seed=seed, progress=lambda done, total: progress(done, total, ""))
    write_table(table, out, run_record(run), float_format="%.8g")
    wrote(out)
    if figure:
        write_figure(table, run, figure)
        wrote(figure)
