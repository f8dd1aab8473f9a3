"""Commands that are killed with -9 again and again, and then let to their end.

Each is a process of its own, forked from one that has imported the package: importing takes as long as the small runs of the tests.
"""

import multiprocessing
import random
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.dying import run

PLACES = ("replace", "chunk", "any time")
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tests.dying", "tests.warm"])


@dataclass
class Deaths:
    """What processes died at.

    Attributes:
        places: place of death -> how many processes died there.
        stages: what was done when they died -> how many processes.
        kept: units of work that were done when a process died, which none after it did again.
    """

    places: Counter = field(default_factory=lambda: Counter(dict.fromkeys(PLACES, 0)))
    stages: Counter = field(default_factory=Counter)
    kept: int = 0

    def __add__(self, other):
        places = Counter({place: self.places[place] + other.places[place] for place in PLACES})
        return Deaths(places, self.stages + other.stages, self.kept + other.kept)

    @property
    def number(self):
        return sum(self.places.values())


def start(words, where="nowhere", number=0):
    """A command in a process of its own, which dies at a place (see `dying.py`), and the file of what it prints."""
    output = Path(tempfile.mkstemp(prefix="hybridflux-", suffix=".txt")[1])
    process = FORKED.Process(target=run, args=([str(word) for word in words], str(output), where, number))
    process.start()
    return process, output


def ended(process, output, seconds=None):
    """What a process printed; it is killed where it has not ended after so many seconds."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    text = output.read_text()
    output.unlink()
    return text


def to_the_end(words):
    """Run a command that must succeed; its seconds, without those of the imports."""
    ready = FORKED.Process(target=int)
    ready.start()
    ready.join()
    began, (process, output) = time.monotonic(), start(words)
    said = ended(process, output)
    assert process.exitcode == 0, said
    return time.monotonic() - began


def killed_until_done(words, kills, seconds, seed, calls, stage, markers):
    """Kill a command so many times, by turns at a renaming, in a chunk and at any time, then let it end.

    Args:
        words: of the command, which goes on with what is there.
        kills: to try; a process that was to die may have ended before, and only those that died are counted.
        seconds: of a run that nothing happens to.
        seed: of chance.
        calls: of renamings and of chunks before which it may die at the most, from the beginning and once units are done.
        stage: tells what was done when it died.
        markers: gives the files that mark a unit of work as done; whoever goes on leaves them as they are.
    """
    chance, deaths, done = random.Random(seed), Deaths(), {}
    for number in range(kills + 1):
        where = PLACES[number % len(PLACES)] if number < kills else "nowhere"
        limit = chance.uniform(0.1, 1.0) * seconds if where == "any time" else None
        last = chance.randint(1, calls[where][bool(done)]) if where in calls else 0
        process, output = start(words, where, last)
        said = ended(process, output, limit)
        now = {path: path.stat().st_mtime_ns for path in markers()}
        assert done.items() <= now.items(), "what was done is done again"
        if process.exitcode == -signal.SIGKILL:
            deaths.places[where] += 1
            deaths.stages[stage()] += 1
            deaths.kept, done = deaths.kept + len(now), now
        else:
            assert process.exitcode == 0, said
    return deaths


def until_fifty(one, what):
    """Repeat `one(number)`, which kills, resumes and compares, until fifty died; gives the deaths and a line that counts them."""
    total, number, began = Deaths(), 0, time.monotonic()
    while total.number < 50:
        number += 1
        total += one(number)
    at = ", ".join(f"{count} {stage}" for stage, count in total.stages.most_common())
    seconds = time.monotonic() - began
    return total, (
        f"{total.number} kills of {number} {what} in {seconds:.0f} s ({dict(total.places)}; {at}); {total.kept} finished units were found "
        "by those that went on, none was done again; nothing differs from a run left in peace"
    )


def leftovers(folder):
    """Files of a write that was cut off and that stayed."""
    return [path for path in folder.rglob("*.part*") if path.suffix in (".part", ".partial")]
