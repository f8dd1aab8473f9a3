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
from typing import TYPE_CHECKING

from hybridflux.files import write_text
from hybridflux.region.run.executors.base import AllTiles
from hybridflux.region.run.executors.serial import Share

if TYPE_CHECKING:
    from hybridflux.region.spec import Job
    from hybridflux.region.store.grid import Tile

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

    def submit(self, job: Job, tiles: Sequence[Tile], waiting: Sequence[Tile]) -> str:
        """Submit the tasks that have something left to do, and the last job.

        Args:
            job: the run; its template is written.
            tiles: of the run.
            waiting: those that are not done.

        Returns:
            What was submitted, how to look at it and how to go on.

        Raises:
            ValueError: `sbatch` refused.
            FileNotFoundError: there is no `sbatch`.
        """
        if not shutil.which("sbatch"):
            raise FileNotFoundError("there is no `sbatch` on this machine; submit from a login node of the cluster")
        folder, left = job.out / FOLDER, {tile.id for tile in waiting}
        shares = [number for number in range(self.tasks) if left & {tile.id for tile in Share(number, self.tasks).mine(tiles)}]
        command = self._command(job) + _own_files()
        folder.mkdir(exist_ok=True)
        before = []
        if shares:
            lines = [f"#SBATCH --array={','.join(map(str, shares))}"]
            script = _script(folder / "tasks.sh", lines, f"{command} --task {TASK} --tasks {self.tasks}")
            array = self._sbatch(script, _log(folder, "%A_%a.log"))
            before = [f"--dependency=afterok:{array}", "--kill-on-invalid-dep=yes"]
        script = _script(folder / "finish.sh", [], command)
        last = self._sbatch(script, _log(folder, "%j_finish.log"), *before)
        jobs = f"{array},{last}" if shares else last
        return (
            f"submitted {len(shares)} tasks for {len(waiting)} of {len(tiles)} tiles" + (f" as SLURM job {array}" if shares else "")
            + f", and job {last} that finishes the run behind them\n"
            f"look at it: squeue -j {jobs}; logs are in {folder}\n"
            "if a task fails or is cancelled the last job is not run; what is left is submitted by "
            f"`hybridflux map --run {job.out} --executor slurm`"
        )  # fmt: skip

    def _command(self, job: Job) -> str:
        """The command of a task, ready for a shell: the run folder says the rest."""
        program = Path(sys.executable).with_name("hybridflux")
        return shlex.join([str(program) if program.exists() else "hybridflux", "map", "--run", str(job.out.resolve())])

    def _sbatch(self, script: Path, *more: str) -> str:
        """Submit a script; gives the number of its job."""
        done = subprocess.run(["sbatch", "--parsable", *shlex.split(self.options), *more, str(script)], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"sbatch refused {script}: {done.stderr.strip()}")
        return done.stdout.strip().partition(";")[0]


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
