"""Output of the command line: progress, results and errors."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hybridflux.addresses import redacted
from hybridflux.files import OF_THE_DISK
from hybridflux.ours import raised_by_us
from hybridflux.progress import Pace, Progress

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def progress_of(title: str) -> Iterator[Progress]:
    """A bar with rate and time left on a terminal, a line for each step elsewhere; yields the function to call with (done, all, message).

    Ctrl-C, and a signal that means the same, ends with a message and exit code 130.
    """
    from rich.console import Console

    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system stops a task with it
    try:
        with _bar(title, console) if sys.stderr.isatty() else _lines(title, console) as notify:  # rich takes a notebook for a terminal
            yield notify
    except KeyboardInterrupt as stop:
        typer.echo(stop.args[0] if stop.args else f"stopped while {title}", err=True)
        raise typer.Exit(130) from None


@contextmanager
def _bar(title: str, console: Console) -> Iterator[Progress]:
    """A bar with the rate of this call and the time left; removed at the end."""
    from rich import progress as rich

    columns = (
        rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn(), rich.TextColumn("{task.fields[pace]}"),
    )  # fmt: skip
    with rich.Progress(*columns, console=console, transient=True) as bars:
        task, pace = bars.add_task(title, total=None, pace=""), Pace()

        def notify(done: int, total: int, message: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{title}: {message}", pace=pace.of(done, total))

        yield notify


@contextmanager
def _lines(title: str, console: Console) -> Iterator[Progress]:
    """One line for each step: progress, message, rate and time left."""
    pace = Pace()

    def notify(done: int, total: int, message: str) -> None:
        rate = pace.of(done, total)
        console.file.write(f"{title} {done}/{total}: {message}{'; ' if rate else ''}{rate}\n")
        console.file.flush()

    yield notify


class _Record(logging.LogRecord):
    """A line of a log without the secrets of addresses."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self.exc_info and self.exc_info[0]:
            self.exc_text = _traceback_of(*self.exc_info).rstrip()

    def getMessage(self) -> str:
        return redacted(super().getMessage())


def redact_what_python_prints() -> None:
    """Tracebacks, chains of exceptions and logs of libraries show no password and no signature of an address from now on."""
    logging.setLogRecordFactory(_Record)
    sys.excepthook = lambda *error: sys.stderr.write(_traceback_of(*error))
    threading.excepthook = lambda error: sys.stderr.write(_traceback_of(error.exc_type, error.exc_value, error.exc_traceback))


def _traceback_of(*error) -> str:
    return redacted("".join(traceback.format_exception(*error)))


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
    form: dict[str, Callable] = {name: f"{{:.{digits}f}}".format for name, digits in decimals.items()}
    form |= dict.fromkeys(("RMSE", "bias"), "{:.3g}".format)
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


def prediction_text(table) -> str:
    """What a table of `evaluate.predicted_periods` holds, and where drivers were missing."""
    if not len(table):
        return "no site has a whole period; shorter ones, --step day, have rows"
    of_sites = table.groupby("site", sort=False)
    unseen = [site for site, known in of_sites["known"].first().items() if not known]
    named = f": {', '.join(unseen[:10])}{' ...' if len(unseen) > 10 else ''}" if unseen else ""
    lines = [
        f"{of_sites.ngroups} sites, {of_sites.ngroups - len(unseen)} in the fit, {len(unseen)} unseen{named}; {len(table)} rows. "
        "NEE = RECO - GPP, positive to the atmosphere; quantiles are of predictive draws, with the errors of the model and of measuring."
    ]
    missing = of_sites["climatology"].mean()
    missing = missing[missing > 0.1].sort_values(ascending=False)
    if len(missing):
        drivers = of_sites["filled"].agg(lambda names: ", ".join(sorted(set(" ".join(names).split()))))
        sites = "; ".join(f"{site}, {share:.0%} of the days ({drivers[site]})" for site, share in missing[:10].items())
        lines.append(f"a driver was missing for weeks, and its seasonal mean was taken: {sites}{' ...' if len(missing) > 10 else ''}")
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
    return raised_by_us(error)
