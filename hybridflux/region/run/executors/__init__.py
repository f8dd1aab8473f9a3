"""Who runs the tiles: `run_tile` is the same everywhere, an executor only hands it out.

Nothing heavy is imported here: a worker must set up its machine (`hybridflux.machine`) before JAX is there.
"""

from hybridflux.region.run.executors.base import Executor
from hybridflux.region.run.executors.cluster import Dask
from hybridflux.region.run.executors.serial import Serial, Share, tiles_at_once
from hybridflux.region.run.executors.slurm import Slurm

__all__ = ["Dask", "Executor", "Serial", "Share", "Slurm", "choose", "tiles_at_once"]


def choose(
    kind: str,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    insecure_scheduler: bool = False,
    task: int | None = None,
    tasks: int | None = None,
    sbatch: str = "",
) -> Executor | Slurm:
    """The executor that options of a command line ask for.

    Args:
        kind: `serial`, `dask` or `slurm`.
        workers: processes of a local dask cluster, or tasks of a SLURM array.
        scheduler: address of a dask cluster that runs.
        insecure_scheduler: take one that does not authenticate.
        task: number of a share, from 0.
        tasks: how many shares there are.
        sbatch: options of `sbatch`.

    Raises:
        ValueError: options that do not go together, or the address of a scheduler that anybody may command.
    """
    if (task is None) != (tasks is None):
        raise ValueError("--task K and --tasks N belong together: task K of N, the first one is 0")
    if task is not None:
        if kind != "serial" or workers or scheduler:
            raise ValueError("a --task runs its share on this machine; --executor, --workers and --scheduler do not go with it")
        return Share(task, tasks)
    if scheduler and (kind != "dask" or workers):
        raise ValueError("--scheduler is the address of a dask cluster with workers of its own; use it with --executor dask alone")
    if insecure_scheduler and not scheduler:
        raise ValueError("--insecure-scheduler goes with --scheduler; a cluster that is started here always authenticates")
    if sbatch and kind != "slurm":
        raise ValueError("--sbatch holds options of sbatch; use it with --executor slurm")
    if workers and kind == "serial":
        raise ValueError("--workers is for --executor dask (processes) or slurm (tasks); one process already uses all cores")
    match kind:
        case "dask":
            return Dask(scheduler or workers or 1, insecure=insecure_scheduler)
        case "slurm":
            return Slurm(workers or 4, sbatch)
        case _:
            return Serial()
