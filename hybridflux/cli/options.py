"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def _load(files: list[Path] | None) -> None:
    """Import the user's files before anything of a model is read."""
    if files:
        from hybridflux.model.outside import load

        load(files)


Towers = Annotated[Path, typer.Option("--towers", exists=True, help="Folder with sites.csv, fluxnet_dd/ and satellite/.")]
Sites = Annotated[str | None, typer.Option("--sites", help="Only these sites: FR-Pue,DE-Tha")]
NoScreen = Annotated[bool, typer.Option("--no-screen", help="Take records that are implausible too: next to no respiration.")]
Catalog = Annotated[
    Path | None,
    typer.Option("--catalog", exists=True, file_okay=False, help="Folder with datasets of your own: satellite/my-camera.toml."),
]
PosteriorFile = Annotated[Path, typer.Option("--posterior", exists=True, help="File written by `hybridflux fit`.")]
Region = Annotated[Path, typer.Option("--region", exists=True, help="Zarr store of the region's drivers on a 10 m grid.")]
Draws = Annotated[int, typer.Option("--draws", min=1, help="Posterior draws carried through every pixel.")]
Start = Annotated[str | None, typer.Option("--start", help="First day, YYYY-MM-DD.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
End = Annotated[str | None, typer.Option("--end", help="Last day, YYYY-MM-DD.")]


class ExecutorKind(StrEnum):
    """Who does the tiles of a map, or the scenes and tiles of a build."""

    serial = "serial"
    dask = "dask"
    slurm = "slurm"


Kind = Annotated[ExecutorKind, typer.Option("--executor", help="Who does the tiles, and the scenes of a build.")]
Task = Annotated[int | None, typer.Option("--task", min=0, help="Do one share of them, the first one is 0; with --tasks.")]
Tasks = Annotated[int | None, typer.Option("--tasks", min=1, help="How many shares there are.")]
Sbatch = Annotated[str, typer.Option("--sbatch", help="Options of sbatch: '--time=2:00:00 --mem=4G --cpus-per-task=8'")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes of a local dask cluster, or tasks of a SLURM array.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="Address of a dask cluster that runs: tls://host:8786, certificates as in dask's configuration."),
]
InsecureScheduler = Annotated[
    bool,
    typer.Option("--insecure-scheduler", help="Take a --scheduler without TLS: whoever reaches it can run code as you."),
]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", callback=_load, help="Python file of your own (processes, a method, a reader ...); it is run. May be repeated."),
]
Years = Annotated[str | None, typer.Option("--years", help="First and last year: 2001:2010")]
