"""Scores at towers that a fit has not seen: refitted by folds of whole sites, resumable fold by fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hybridflux.data.spreadsheet import write_csv
from hybridflux.evaluate.baselines.baseline import Baseline
from hybridflux.evaluate.scores import evaluate, needed, score_table
from hybridflux.evaluate.splits import leave_site_out
from hybridflux.files import read_json, whole
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.progress import Progress
from hybridflux.provenance import canonical_json, config_hash

if TYPE_CHECKING:
    from hybridflux.data.towers import Towers
    from hybridflux.inference.methods.base import AbstractMethod

SETTINGS = "settings.json"


def evaluate_unseen(
    model: HybridFlux,
    method: AbstractMethod,
    towers: Towers | Sequences,
    *,
    folds: int = 10,
    step: str | Sequence[str] = "day",
    baselines: Mapping[str, Baseline] | None = None,
    draws: int = 100,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score a model at each tower by a fit to the towers of all other folds.

    Args:
        model: a composed model.
        method: method of `hybridflux.inference`.
        towers: towers, or their sequences.
        folds: number of fits; sites are shuffled and whole sites are left out.
        step: as in `evaluate`.
        baselines: name -> baseline that is fitted to the same towers and scored at the same ones.
        draws: predictive draws per site.
        seed: seed of the folds, the fits and the predictions.
        folder: where the scores of finished folds are kept; nowhere by default.
        resume: go on with the folds in `folder`.
        progress: called with (done, all, message) over all fits.

    Returns:
        As `evaluate`, with a column `fold`; `known` is false throughout. With baselines a column `model` says whose scores they are, those
        of the posterior being of `hybridflux`.

    Raises:
        KeyboardInterrupt: Ctrl-C; names the folds that are kept.
        FileExistsError: the folder holds folds and `resume` is not set, or files that no evaluation wrote.
        ValueError: fewer sites than folds, or the folds in the folder are of other settings.
    """
    asked = (step,) if isinstance(step, str) else tuple(step)
    rivals = dict(baselines or {})
    needs = {*needed(model, asked), *(name for one in rivals.values() for name in one.needs)}
    sequences = towers if isinstance(towers, Sequences) else towers.sequences(needs)
    pairs = list(leave_site_out(sequences, folds, seed))
    if folder is not None:
        _begin(Path(folder), _settings(model, method, sequences, folds, asked, draws, seed, rivals), resume)
    tables = []
    for number, (train, test) in enumerate(pairs):
        file = None if folder is None else Path(folder) / f"fold_{number + 1:03d}.csv"
        if file is not None and file.exists():
            tables.append(pd.read_csv(file, dtype={"site": str}, keep_default_na=False, na_values=[""]))
            continue
        notify = partial(_of_fold, progress, number, len(pairs)) if progress else None
        try:
            posterior = method.fit(model, sequences.select(train), seed=seed, progress=notify)
        except KeyboardInterrupt:
            kept = f"; {number} of {len(pairs)} folds are kept in {folder}, go on with --resume" if folder is not None else ""
            raise KeyboardInterrupt(f"stopped in fold {number + 1}{kept}") from None
        there = sequences.select(test)
        table = evaluate(posterior, there, draws=draws, seed=seed, step=asked).assign(fold=number + 1)
        if rivals:
            theirs = [
                _scores_of(one.fit(sequences.select(train)), there, asked, draws, seed).assign(fold=number + 1, model=name)
                for name, one in rivals.items()
            ]
            table = pd.concat([table.assign(model="hybridflux"), *theirs], ignore_index=True)
        if file is not None:
            write_csv(table, file)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def clear_folds(folder: str | Path) -> None:
    """Remove the folds that `evaluate_unseen` kept, and nothing else."""
    folder = Path(folder)
    for path in (folder / SETTINGS, *folder.glob("fold_*.csv")):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _scores_of(fitted: Baseline, there: Sequences, step: Sequence[str], draws: int, seed: int) -> pd.DataFrame:
    """Scores of a fitted baseline at towers it has not seen; intervals where it has draws."""
    point = fitted.predict(there)
    if not hasattr(fitted, "draws"):
        return score_table(there, point, step=step)
    return score_table(there, fitted.draws(there, count=draws, seed=seed), point, step=step)


def _settings(model: HybridFlux, method: AbstractMethod, sequences: Sequences, folds, steps, draws: int, seed: int, rivals) -> dict:
    settings = {name: value for name, value in vars(method).items() if isinstance(value, int | float | str)}
    days = [str(sequences.days[0]), str(sequences.days[-1])]
    fitted = {"model": to_spec(model), "method": type(method).__name__, "settings": settings, "sites": sequences.places, "days": days}
    fitted |= {"baselines": {name: repr(one) for name, one in rivals.items()}} if rivals else {}
    return fitted | {"folds": folds, "steps": steps, "draws": draws, "seed": seed}


def _begin(folder: Path, settings: dict, resume: bool) -> None:
    file = folder / SETTINGS
    if file.exists() and not resume:
        raise FileExistsError(f"{folder} holds folds of an interrupted evaluation; go on with --resume (resume=True), or remove it")
    if file.exists():
        recorded = read_json(file, "written by `hybridflux evaluate --leave-site-out`; remove the folder")
        if config_hash(recorded) != config_hash(settings):
            plain = json.loads(canonical_json(settings))
            names = ", ".join(name for name in plain if recorded.get(name) != plain[name])
            raise ValueError(f"{folder} holds folds of another evaluation ({names} differ); remove it, or write to another file")
        return
    if foreign := sorted(path.name for path in folder.glob("fold_*.csv")):
        raise FileExistsError(f"{folder} holds {foreign[0]}, which no evaluation wrote ({SETTINGS} is not there); name another file")
    with whole(file) as part:
        part.write_text(canonical_json(settings), encoding="utf-8")


def _of_fold(progress, number: int, folds: int, done: int, total: int, message: str) -> None:
    progress(number * total + done, folds * total, f"fold {number + 1} of {folds}: {message}")
