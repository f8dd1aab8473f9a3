"""Commands that are killed with -9 again and again, and then let to their end."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SCRIPT = Path(__file__).with_name("dying.py")
PLACES = ("replace", "chunk", "any time")


def start(words, where="nowhere", number=0):
    """A command in a process of its own, which dies at a place (see `dying.py`)."""
    line = [sys.executable, SCRIPT, where, number, *words]
    return subprocess.Popen([str(word) for word in line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def to_the_end(words):
    """Run a command that must succeed; its seconds."""
    began, process = time.monotonic(), start(words)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return time.monotonic() - began


def killed_until_done(words, kills, seconds, seed, calls, stage):
    """Kill a command so many times, by turns at a renaming, in a chunk and at any time, then let it end.

    Args:
        words: of the command, which goes on with what is there.
        kills: to try; a process that was to die may have ended before, and only those that died are counted.
        seconds: of a run that nothing happens to.
        seed: of chance.
        calls: of renamings and of chunks before which it may die at the most.
        stage: tells what was done when it died.

    Returns:
        How many died at each place, and at each stage.
    """
    chance, hits, stages = random.Random(seed), Counter(dict.fromkeys(PLACES, 0)), Counter()
    for number in range(kills):
        where = PLACES[number % len(PLACES)]
        if where == "any time":
            process = start(words)
            try:
                process.communicate(timeout=chance.uniform(0.3, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        else:
            process = start(words, where, chance.randint(1, calls[PLACES.index(where)]))
            process.communicate()
        if process.returncode == -signal.SIGKILL:
            hits[where] += 1
            stages[stage()] += 1
    to_the_end(words)
    return hits, stages


def until_fifty(one, what):
    """Repeat `one(number)`, which kills, resumes, compares and gives deaths by place and by stage, until fifty died; deaths by place."""
    total, stages, number = Counter(), Counter(), 0
    while sum(total.values()) < 50:
        number += 1
        deaths, at = one(number)
        total, stages = total + deaths, stages + at
    print(f"\n{number} {what}, killed {dict(total)}, {dict(stages)}: no difference")
    return total


def leftovers(folder):
    """Files of a write that was cut off and that stayed."""
    return [path for path in folder.rglob("*.part*") if path.suffix in (".part", ".partial")]
