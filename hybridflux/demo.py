"""The whole chain on a synthetic world: towers, posterior, maps, drought, budget, report. Offline, in minutes."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from hybridflux.files import read_json, write_json
from hybridflux.inference import NUTS
from hybridflux.inference.methods.base import InferenceWarning
from hybridflux.inference.posterior import Posterior
from hybridflux.progress import Progress
from hybridflux.provenance import config_hash

MODEL = "static"
TOWERS = 12
YEAR_DAYS = 365
CHAIN = {"warmup": 300, "draws": 300, "chains": 2}  # variational fits are faster and overconfident about the mean of a plant type
DROUGHT = {"rain": "*0.5", "tair": "+2", "vpd": "*1.3"}
"""The scenario, in addition to the drought of the last mapped year: drier and warmer."""


def run_demo(
    out: str | Path = "demo", *, size: int = 100, years: int = 6, days: int | None = None, draws: int = 64, seed: int = 0
) -> Path:
    """Fit synthetic towers, map their region over some years, dry the last one out, let an inventory inform the budget, write a report.

    Steps that are done with the same settings are skipped, so an interrupted demo goes on where it stopped.

    Args:
        out: folder for everything.
        size: pixels along one side of the region, 10 m each.
        years: whole mapped years, of which the last has a drought.
        days: mapped days of the drought year alone, in place of `years`.
        draws: posterior draws carried through every pixel.
        seed: seed of all random numbers.

    Returns:
        The report.

    Raises:
        FileExistsError: the folder holds something that the demo did not write.
    """
    demo = _Demo(Path(out), size, 1 if days else years, days or YEAR_DAYS, draws, seed)
    demo.check()
    console = Console(highlight=False, soft_wrap=True)
    period = f"{demo.years} years" if demo.years > 1 else f"{demo.settings['days']} days"
    console.print(f"[bold]hybridflux demo[/]: {size} x {size} pixels of 10 m, {period}, {draws} posterior draws -> {demo.out}")
    began = time.perf_counter()
    for step in demo.steps():
        if demo.is_done(step):
            console.print(f"[green]✓[/] {step.title:<38} done before")
            continue
        start = time.perf_counter()
        with Bars(
            SpinnerColumn(), TextColumn(f"{step.title:<38}"), TimeElapsedColumn(), BarColumn(bar_width=12),
            TextColumn("[dim]{task.description}"), console=console, transient=True, disable=not console.is_terminal,
        ) as progress:  # fmt: skip
            remark = demo.run(step, partial(_notify, progress, progress.add_task("", total=None)))
        console.print(f"[green]✓[/] {step.title:<38} {time.perf_counter() - start:5.0f} s   [dim]{remark}[/]")
    console.print(_closing(demo.out, (time.perf_counter() - began) / 60))
    return demo.out / "report.html"


def _notify(progress: Bars, task, done: int, total: int, message: str) -> None:
    progress.update(task, total=total, completed=done, description=message)


@dataclass(frozen=True)
class _DemoStep:
    """One step: its name, the files it writes (relative to the folder of the demo), and its function, which returns a remark."""

    name: str
    title: str
    writes: tuple[str, ...]
    work: Callable[[bool, Progress], str]


class _Demo:
    """The steps of one demo and which of them are done."""

    def __init__(self, out: Path, size: int, years: int, days: int, draws: int, seed: int):
        self.out, self.years, self.draws, self.seed = out, years, draws, seed
        self.tables = ("budget.csv", "assimilated.csv") if days >= YEAR_DAYS else ("budget.csv",)
        self.settings = {
            "size": size,
            "years": years,
            "days": days,
            "draws": draws,
            "seed": seed,
            "model": MODEL,
            "towers": TOWERS,
            "drought": DROUGHT,
            "chain": CHAIN,
        }
        self.journal = out / "steps.json"

    def steps(self) -> tuple[_DemoStep, ...]:
        """In order; each needs those before it."""
        return (
            _DemoStep("world", "make a synthetic world", ("world",), self._world),
            _DemoStep("fit", f"fit {TOWERS} towers", ("posterior.nc",), self._fit),
            _DemoStep("map", "map the region every day", ("run",), self._map),
            _DemoStep("scenario", "a drier, warmer year", ("scenario",), self._scenario),
            _DemoStep("budget", "budget, years and inventory", self.tables, self._budget),
            _DemoStep("report", "report", ("report.html",), self._report),
        )

    def check(self) -> None:
        """Refuse a folder in which something would be replaced that the demo did not write.

        Raises:
            FileExistsError: it is not empty and has no journal of a demo, or holds a file of a step that the demo has not reached.
        """
        existing = {path.name for path in self.out.iterdir()} if self.out.is_dir() else set()
        if existing and not self._is_ours():
            raise FileExistsError(f"{self.out} is not empty and not the folder of a demo; files could be replaced, name another with --out")
        begun = self._read()
        others = sorted(existing & {name for step in self.steps() if step.name not in begun for name in step.writes})
        if others:
            raise FileExistsError(
                f"{self.out} holds {', '.join(others)}, not written by the demo; move it, or name another folder with --out"
            )

    def _is_ours(self) -> bool:
        """Whether the journal is one of a demo: steps with a state and a hash."""
        try:
            journal = self._read()
        except ValueError:
            return False
        written = all(isinstance(entry, dict) and {"state", "hash"} <= set(entry) for entry in journal.values())
        return bool(journal) and written and set(journal) <= {step.name for step in self.steps()}

    def is_done(self, step: _DemoStep) -> bool:
        """Whether a step was finished with these settings and its files are there."""
        entry = self._read().get(step.name, {})
        written = all((self.out / name).exists() for name in step.writes)
        return written and entry == {**entry, "state": "done", "hash": self._hash(step)}

    def run(self, step: _DemoStep, notify: Progress) -> str:
        """Run a step; files of an interrupted one with the same settings are used, others are removed."""
        journal = self._read()
        go_on = journal.get(step.name, {}) == {"state": "started", "hash": self._hash(step)}
        if not go_on:
            for name in step.writes:
                _remove(self.out / name)
        self._write(journal | {step.name: {"state": "started", "hash": self._hash(step)}})
        began = time.perf_counter()
        remark = step.work(go_on, notify)
        order = [step.name for step in self.steps()]
        earlier = order[: order.index(step.name)]
        kept = {name: entry if name in earlier else entry | {"state": "outdated"} for name, entry in self._read().items()}
        seconds = round(time.perf_counter() - began, 1)
        self._write(kept | {step.name: {"state": "done", "hash": self._hash(step), "seconds": seconds}})
        return remark

    def _hash(self, step: _DemoStep) -> str:
        return config_hash({**self.settings, "step": step.name})

    def _read(self) -> dict:
        return read_json(self.journal, "the journal of a demo; name another folder") if self.journal.exists() else {}

    def _write(self, journal: dict) -> None:
        write_json(self.journal, journal)

    def _world(self, go_on: bool, notify: Progress) -> str:
        from hybridflux.twin.world import make_world

        settings = {name: self.settings[name] for name in ("size", "years", "days", "towers", "seed")}
        _remove(self.out / "world")
        make_world(self.out / "world", **settings)
        return ""

    def _fit(self, go_on: bool, notify: Progress) -> str:
        from hybridflux.data.towers import open_towers
        from hybridflux.model import compositions

        model = compositions.get(MODEL)
        sequences = open_towers(self.out / "world" / "towers").sequences(model.needs_at_towers())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InferenceWarning)  # reported in the remark
            posterior = NUTS(**CHAIN).fit(model, sequences, seed=self.seed, progress=notify)
        posterior.save(self.out / "posterior.nc")
        return "; ".join(posterior.info["concerns"]) or f"R-hat below {posterior.info['diagnostics']['r_hat_max']:.2f}"

    def _map(self, go_on: bool, notify: Progress) -> str:
        from hybridflux.region.draws.spread import Draws
        from hybridflux.region.map import map_region
        from hybridflux.region.outputs import KEEP, AnomalyMaps, DailyMaps

        keep = (*KEEP, DailyMaps(), *([AnomalyMaps()] if self.years > 1 else []))
        options = {"draws": Draws(self.draws, seed=self.seed), "keep": keep, "resume": go_on, "progress": notify}
        done = map_region(self._posterior(), self._region(), self.out / "run", **options)
        return f"{done.pixels * done.days * done.draws / 1e6:.0f} million pixels x days x draws"

    def _scenario(self, go_on: bool, notify: Progress) -> str:
        from hybridflux.products.scenario import run_scenario
        from hybridflux.region.draws.spread import Draws, Spread
        from hybridflux.region.drivers.calendar import Period
        from hybridflux.twin.world import YEAR

        options = {"draws": Draws(self.draws, Spread.parameter, self.seed), "resume": go_on, "progress": notify}
        if self.years > 1:
            options["period"] = Period(f"{YEAR}-01-01", f"{YEAR}-12-31")
        run_scenario(self._posterior(), self._region(), DROUGHT, self.out / "scenario", **options)
        return " ".join(f"{name}{change}" for name, change in DROUGHT.items())

    def _budget(self, go_on: bool, notify: Progress) -> str:
        from hybridflux.products.assimilation_table import assimilated_table
        from hybridflux.products.budget import budget_table
        from hybridflux.products.sheet import write_table
        from hybridflux.products.stock_agreement import in_words
        from hybridflux.products.totals import run_record

        run, inventory = self.out / "run", self.out / "world" / "inventory.csv"
        table = budget_table(run, inventory=inventory)
        write_table(table, self.out / "budget.csv", run_record(run), float_format="%.6g")
        if "assimilated.csv" in self.tables:  # an inventory is of whole years
            informed = assimilated_table(run, inventory, seed=self.seed)
            write_table(informed, self.out / "assimilated.csv", run_record(run), float_format="%.6g")
            return f"fluxes and stocks: {in_words(informed['verdict'].tolist())}"
        return ", ".join(f"{count} {word}" for word, count in table["verdict"].value_counts().items())

    def _report(self, go_on: bool, notify: Progress) -> str:
        from hybridflux.data.towers import open_towers
        from hybridflux.report.page import write_report

        write_report(
            self.out / "run", self.out / "report.html", posterior=self._posterior(), towers=open_towers(self.out / "world" / "towers"),
            scenario=self.out / "scenario", inventory=self.out / "world" / "inventory.csv", truth=self.out / "world" / "truth.nc",
            title="A synthetic plateau and its known truth",
        )  # fmt: skip
        return ""

    def _posterior(self) -> Posterior:
        return Posterior.load(self.out / "posterior.nc")

    def _region(self) -> Path:
        return self.out / "world" / "region.zarr"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _closing(out: Path, minutes: float) -> str:
    made = {
        "report.html": "everything on one page, estimates beside the truth",
        "budget.csv": "totals per zone and land cover with intervals",
        "run/cog": f"GeoTIFFs; {out / 'run' / 'fluxes.zarr'} for xarray; hybridflux view {out / 'run'} for a browser",
        "world": "the made-up towers, region, inventory and truth, in the layout your own data need",
    }
    listed = "\n".join(f"  {str(out / name):<{len(str(out / 'report.html'))}}  {what}" for name, what in made.items())
    return f"""
Done in {minutes:.1f} min. Look at
{listed}

On your own data:
  hybridflux fit      --towers TOWERS --out posterior.nc       sites.csv, fluxnet_dd/ as downloaded, satellite/
  hybridflux evaluate --posterior posterior.nc --towers TOWERS --out scores.csv
  hybridflux map      --posterior posterior.nc --region REGION.zarr --out run
  hybridflux scenario --posterior posterior.nc --region REGION.zarr --change rain=*0.6 --out drought
  hybridflux budget   --run run --out budget.csv
  hybridflux report   --run run --out report.html"""
