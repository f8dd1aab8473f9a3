"""A run as a SLURM array: tasks that each run a share of the tiles, and a last job that finishes the run behind them.

The last job depends on the success of all tasks (`afterok`): whichever of them ends last, totals and GeoTIFFs are made once, by
one process, of a complete run. See the manual of sbatch for arrays and dependencies.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridflux.files import write_text
from hybridflux.region.run.executors.base import AllTiles

FOLDER = "slurm"
TASK = "$SLURM_ARRAY_TASK_ID"


@dataclass(frozen=True)
class Slurm(AllTiles):
    """Writes the scripts of a run into its folder and submits them; the tiles are run by the tasks, later.

    Attributes:
        tasks: of the array.
        options: of `sbatch`, as on its command line: `--time=2:00:00 --mem=4G --cpus-per-task=8`.
    """

    tasks: int = 4
    options: str = ""

    def submit(self, folder: Path, command: Sequence[str], stages: Sequence[Sequence[int]]) -> str:
        """Submit an array for each stage, each behind the one before it, and the last job.

        Args:
            folder: of the run or the build; its template is written.
            command: words behind `hybridflux` that go on with it; a task adds which one it is.
            stages: numbers of the tasks that have something left to do, stage by stage.

        Returns:
            What was submitted, how to look at it and how to go on.

        Raises:
            ValueError: `sbatch` refused.
            FileNotFoundError: there is no `sbatch`.
        """
        if not shutil.which("sbatch"):
            raise FileNotFoundError("there is no `sbatch` on this machine; submit from a login node of the cluster")
        logs, line = folder / FOLDER, _program(command) + _own_files()
        logs.mkdir(exist_ok=True)
        arrays: list[str] = []
        for number, shares in enumerate(stages, 1):
            if shares:
                lines = [f"#SBATCH --array={','.join(map(str, shares))}"]
                script = _script(logs / f"tasks{number if len(stages) > 1 else ''}.sh", lines, f"{line} --task {TASK} --tasks {self.tasks}")
                arrays.append(self._sbatch(script, _log(logs, "%A_%a.log"), *_behind(arrays)))
        last = self._sbatch(_script(logs / "finish.sh", [], line), _log(logs, "%j_finish.log"), *_behind(arrays))
        each = ", ".join(f"{len(shares)} tasks as SLURM job {array}" for shares, array in zip(filter(len, stages), arrays, strict=True))
        return (
            "submitted " + (f"{each}, and " if each else "") + f"job {last} that ends it behind them\n"
            f"look at it: squeue -j {','.join([*arrays, last])}; logs are in {logs}\n"
            "if a task fails or is cancelled the last job is not run; what is left is submitted by "
            f"`{shlex.join(['hybridflux', *command, '--executor', 'slurm'])}`"
        )

    def _sbatch(self, script: Path, *more: str) -> str:
        """Submit a script; gives the number of its job."""
        done = subprocess.run(["sbatch", "--parsable", *shlex.split(self.options), *more, str(script)], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"sbatch refused {script}: {done.stderr.strip()}")
        return done.stdout.strip().partition(";")[0]


def _program(command: Sequence[str]) -> str:
    """The command, ready for a shell, with the program that stands beside this Python."""
    program = Path(sys.executable).with_name("hybridflux")
    return shlex.join([str(program) if program.exists() else "hybridflux", *command])


def _behind(arrays: Sequence[str]) -> list[str]:
    """Options of a job that waits for the success of all tasks of the arrays before it."""
    return [f"--dependency=afterok:{arrays[-1]}", "--kill-on-invalid-dep=yes"] if arrays else []


def _own_files() -> str:
    """Options that name the user's own files, which a record of a run does not bring."""
    from hybridflux.model.outside import loaded

    return "".join(f" --with {shlex.quote(file)}" for file in loaded())


def _script(path: Path, lines: Sequence[str], command: str) -> Path:
    """Write a script; `exec` makes the command receive SLURM's signals itself."""
    write_text(path, "\n".join(["#!/bin/bash", f"#SBATCH --job-name=hybridflux-{path.stem}", *lines, f"exec {command}", ""]))
    return path


def _log(folder: Path, name: str) -> str:
    """The option that names the log; not a line of the script, whose quoting is SLURM's own, and `%` in the folder means itself."""
    return f"--output={str(folder.resolve()).replace('%', '%%')}/{name}"
