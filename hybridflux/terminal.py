"""Output of the command line: progress, results and errors."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from hybridflux.files import OF_THE_DISK


@contextmanager
def progress_of(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with rate and time left on a terminal, a line for each step elsewhere; yields the function to call with (done, all, message).

    Ctrl-C, and a signal that means the same, ends with a message and exit code 130.
    """
    from rich.console import Console

    from hybridflux.region.progress import bar, lines

    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system stops a task with it
    try:
        with bar(title, console) if console.is_terminal else lines(title, console) as notify:
            yield notify
    except KeyboardInterrupt as stop:
        typer.echo(stop.args[0] if stop.args else f"stopped while {title}", err=True)
        raise typer.Exit(130) from None


def message_of(error: Exception) -> str:
    """The message of an error that is for the user."""
    if isinstance(error, KeyError):
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror:  # from the system, which names no cure
        return f"{error.filename or 'the disk'}: {error.strerror}; mend this, or name another place"
    return str(error)


def scores_text(overview) -> str:
    """The table of `evaluate.scores.overview` as text, with what its columns mean."""
    from hybridflux.evaluate.steps import MEANING

    scored = overview[overview["sites"] > 0].rename(columns={"coverage90": "90 % coverage"})
    decimals = {"NSE": 2, "nNSE": 2}
    form = {name: (lambda value, digits=digits: f"{value:.{digits}f}") for name, digits in decimals.items()}
    form |= {name: lambda value: f"{value:.3g}" for name in ("RMSE", "bias")}
    form["90 % coverage"] = lambda value: "-" if value != value else f"{100 * value:.0f} %"
    lines = [scored.to_string(index=False, formatters=form)] if len(scored) else []
    lines.append(
        "medians over sites of NSE, RMSE and bias (predicted - observed); nNSE: mean of 1 / (2 - NSE); 90 % coverage: share of all "
        "observations inside the 90 % interval.\nNEE is measured, positive to the atmosphere; GPP and RECO are compared with the "
        "partitioned products of the tower files."
    )
    without = overview[overview["sites"] == 0].groupby("step", sort=False)["flux"].agg(lambda fluxes: ", ".join(dict.fromkeys(fluxes)))
    lines += [f"{step}: no tower has enough observations of {fluxes} ({MEANING[step]})" for step, fluxes in without.items()]
    return "\n".join(lines)


def wrote(path: Path) -> None:
    """Report a written file on stderr."""
    typer.echo(f"wrote {path}", err=True)


def is_for_user(error: Exception) -> bool:
    """Whether the user can mend it: our own code refused something, a package of an extra is missing, or the system refused a file.

    A library that fails inside hybridflux is a fault of hybridflux: mistakes of the user are caught where the input is read.
    """
    if isinstance(error, OSError) and (error.filename is not None or error.errno in OF_THE_DISK):
        return True
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("hybridflux.")
