"""How a run ended: what it did, or what is done, what is not and how to go on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.run.errors import RunInterrupted, RunStopped
from hybridflux.region.run.training_range import APPLICABILITY, of_unseen

SHOWN = 8  # tiles named in a message


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes:
        out: run folder.
        state: `done`, `submitted`, or `running` behind one task of several.
        tiles: in the region.
        skipped: tiles that were done before.
        pixels: mapped, all tiles.
        masked: reason -> pixels left out, all tiles.
        outside: covariate -> pixels outside the range of the towers, a pixel counting as much as the share of its days.
        without_tower: plant type that no tower of the fit has -> pixels mapped; None where the posterior does not record plant types.
        towers: those that the effects of places pass through.
        draws: of the posterior.
        days: mapped.
        seconds: of this call.
        note: what was submitted.
    """

    out: Path
    state: str
    tiles: int = 0
    skipped: int = 0
    pixels: int = 0
    masked: dict[str, int] = field(default_factory=dict)
    outside: dict[str, float] = field(default_factory=dict)
    without_tower: dict[str, int] | None = field(default_factory=dict)
    towers: tuple[KnownTower, ...] = ()
    draws: int = 0
    days: int = 0
    seconds: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            return f"{self.out}: {self.note}"
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.masked.items() if count) or "none"
        again = f" ({self.skipped} done before)" if self.skipped else ""
        size = f"{self.pixels:,} pixels x {self.days} days x {self.draws} draws"
        parts = {name: f"{100 * count / max(self.pixels, 1):.1f} %" for name, count in self.outside.items() if count}
        unlike = f"; {part} outside the area of applicability" if (part := parts.pop(APPLICABILITY, "")) else ""
        shares = [f"{name} {part}" for name, part in parts.items()]
        beyond = f"; outside the range of the towers: {', '.join(shares)}" if shares else ""
        unseen = f"; {of_unseen(self.without_tower, self.pixels)}" if self.without_tower else ""
        unseen = unseen if self.without_tower is not None else "; the posterior does not record the plant types of its towers"
        near = f"; informed by the towers {', '.join(map(str, self.towers))}" if self.towers else ""
        return f"{self.out}: {self.tiles} tiles{again}, {size} in {self.seconds:.0f} s; masked: {left_out}{beyond}{unlike}{unseen}{near}"


@dataclass
class DoneSoFar:
    """How far a run is, by its markers: what was in flight when it was stopped may have been brought to its end.

    Attributes:
        out: run folder.
        markers: of the tiles of the run, or of the task; None before they are known.
    """

    out: Path
    markers: tuple[Path, ...] | None = None

    @property
    def how_to_go_on(self) -> str:
        """What to do once the cause is mended."""
        return f"go on with `hybridflux map --run {self.out}`"

    def __str__(self) -> str:
        if self.markers is None:
            return f"no tile of {self.out} was run"
        done, every = sum(marker.exists() for marker in self.markers), len(self.markers)
        rest = "what is left is to merge totals and write GeoTIFFs" if done == every else f"{every - done} are not"
        return f"{done} of {every} tiles are done and kept, {rest}"


@contextmanager
def stopping(done: DoneSoFar) -> Iterator[None]:
    """Say how far a run came and how to go on, whatever stops it.

    Raises:
        RunStopped: an error of the machine.
        RunInterrupted: Ctrl-C, or a signal that means the same.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise RunInterrupted(f"stopped; {done}; {done.how_to_go_on}") from stop
    except (FileExistsError, FileNotFoundError, RunStopped):  # they name their cure themselves
        raise
    except OSError as error:
        raise RunStopped(f"{_what(error)}; {done}; {_cure(error)} and {done.how_to_go_on}") from error


def unreadable(refused: dict[str, str], done: DoneSoFar) -> str:
    """The message about tiles that could not be mapped."""
    lines = [f"- {reason}" for reason in list(refused.values())[:SHOWN]]
    lines += [f"- and {len(refused) - SHOWN} more, see {done.out / 'run.json'}"] if len(refused) > SHOWN else []
    return (
        f"{len(refused)} tiles cannot be mapped; {done}; neither totals nor GeoTIFFs were made. Mend these tiles and {done.how_to_go_on}:\n"
        + "\n".join(lines)
    )


def _what(error: OSError) -> str:
    """The error without its number."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _cure(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return "make room"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "make the run folder writable"
        case _:
            return "mend this"
