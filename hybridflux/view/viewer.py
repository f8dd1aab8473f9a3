"""Runs side by side: all that the server and the static pages show of them.

The engine and the budgets are imported when somebody asks for them, so that a map opens at once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from hybridflux.region.store.check_region import open_store
from hybridflux.report.map_viewer import COLOURS, luts
from hybridflux.view.pixel import series
from hybridflux.view.pyramid import SIDE, BlockMemory, Pyramid
from hybridflux.view.run_maps import OTHER_COLOURS, RunMaps
from hybridflux.vocabulary import FLUXES

if TYPE_CHECKING:
    from hybridflux.region.spec import Job
    from hybridflux.view.drawn import DrawnBudget
    from hybridflux.view.zones import Zones

ZONE = "zone"
"""Group and array of the codes of the zones."""
MOST_POLYGONS = 200  # of a session
OF_ZONES = {**{flux: COLOURS[flux] for flux in FLUXES}, "NBP": "BrBG"}
"""Colours of zones by variable; a gain of the land is green in NEE, where it is negative, and in NBP, where it is positive."""
CENTRED = ("NEE", "NBP")


@dataclass(frozen=True)
class Viewer:
    """What is looked at.

    Attributes:
        runs: their maps, all on one grid.
        regions: the region store of each.
        ledger: table of `hybridflux ledger` of the first run; None for none.
        drawn: polygons of this session.
    """

    runs: tuple[RunMaps, ...]
    regions: tuple[Path, ...]
    ledger: Path | None = None
    drawn: list[DrawnBudget] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, runs: Sequence[str | Path], region: Path | None = None, ledger: Path | None = None) -> Viewer:
        """Open run folders.

        Args:
            runs: written by `map_region`; a folder of `run_scenario` stands for its two runs.
            region: where their region store is now, if not where it was.
            ledger: table of `hybridflux ledger` of the first run, shown by zone.

        Raises:
            FileNotFoundError: as `RunMaps.open`, or `region` is not a region store.
            ValueError: as `RunMaps.open`, or the runs are not on one grid, or as `LedgerLayer.read`.
        """
        memory, folders = BlockMemory(), [Path(run) for run in runs]
        halves = [[run / "control", run / "changed"] if (run / "control" / "run.json").exists() else [run] for run in folders]
        opened = tuple(RunMaps.open(run, memory) for pair in halves for run in pair)
        if region:
            open_store(region)  # a wrong folder is refused at once
        first = opened[0].grid
        for run in opened[1:]:
            if (run.grid.shape, run.grid.west, run.grid.north, run.grid.pixel) != (first.shape, first.west, first.north, first.pixel):
                raise ValueError(f"{run.path} and {opened[0].path} are not on the same grid; view each of them alone")
        viewer = cls(opened, tuple(Path(region or run.record["region"]) for run in opened), ledger)
        if ledger:
            viewer.zones[0].booked  # noqa: B018 - a wrong table is refused at once
        return viewer

    @cached_property
    def zones(self) -> tuple[Zones, ...]:
        """Of each run."""
        from hybridflux.view.zones import Zones

        booked = [self.ledger, *[None] * (len(self.runs) - 1)]
        return tuple(Zones(run, region, table) for run, region, table in zip(self.runs, self.regions, booked, strict=True))

    @cached_property
    def _jobs(self) -> dict[int, Job]:
        return {}

    def pyramid(self, run: int, group: str, array: str) -> Pyramid:
        """Of a map.

        Raises:
            KeyError: there is none of that name.
            IndexError: there is no such run.
        """
        if (group, array) != (ZONE, ZONE):
            return self.runs[run].pyramid(group, array)
        found = self.zones[run].pyramid
        if found is None:
            raise KeyError("the region store is not there, or of another grid")
        return found

    def describe(self) -> dict:
        """All that a page needs to know, JSON-ready."""
        runs, grid = [run.describe() for run in self.runs], self.runs[0].grid
        colours = {layer["colours"] for run in runs for group in run["groups"].values() for layer in group["layers"].values()}
        alike = len({run["name"] for run in runs}) < len(runs)
        for number, (run, maps, region) in enumerate(zip(runs, self.runs, self.regions, strict=True)):
            whole_path = maps.path.resolve()
            run["name"] = f"{whole_path.parent.name}/{whole_path.name}" if alike else run["name"]
            run["draw"] = region.is_dir()
            known = region.is_dir() and (maps.path / "totals.nc").exists() and bool(maps.groups.keys() - {"record"})
            names = self.zones[0].variables if self.ledger and number == 0 else FLUXES
            run["zones"] = [
                {"name": name, "colours": OF_ZONES.get(name, OTHER_COLOURS), "centred": name in CENTRED} for name in names if known
            ]
        colours |= {"BuPu", *OF_ZONES.values(), OTHER_COLOURS}
        return {
            "runs": runs, "side": SIDE, "levels": self.runs[0].levels, "luts": luts(sorted(colours)),
            "grid": {"height": grid.shape[0], "width": grid.shape[1], "west": grid.west, "north": grid.north, "pixel": grid.pixel},
        }  # fmt: skip

    def tile(self, run: int, group: str, array: str, frame: int, level: int, row: int, column: int) -> bytes:
        """Values of a tile, little-endian: int16 of a map, int32 of zones."""
        found = self.pyramid(run, group, array).tile(frame, level, row, column)
        return np.ascontiguousarray(found, found.dtype.newbyteorder("<")).tobytes()

    def pixel(self, run: int, row: int, column: int) -> dict:
        """Series of a pixel and the budget of its zone."""
        found = {"series": series(self.runs[run], row, column), "zone": None}
        if (self.runs[run].path / "totals.nc").exists():
            found["zone"] = self.zones[run].of_pixel(row, column)
        return found

    def draw(self, run: int, corners: Sequence, other: int | None = None) -> int:
        """Begin to make the budget of a polygon; returns its number.

        Args:
            run: number of the run.
            corners: (x, y) of the ring [m].
            other: number of a run that it is compared with, draw by draw.

        Raises:
            IndexError: there is no such run.
            ValueError: as `DrawnPolygon.of`, or there are too many polygons.
        """
        from hybridflux.view.drawn import DrawnBudget, DrawnPolygon

        if not all(0 <= number < len(self.runs) for number in (run, other or 0)):
            raise IndexError(f"there is no run {run}, or no run {other}")
        with self._lock:
            if len(self.drawn) >= MOST_POLYGONS:
                raise ValueError(f"there are {MOST_POLYGONS} polygons; start the viewer again")
            one = DrawnBudget(DrawnPolygon.of(f"polygon {len(self.drawn) + 1}", corners), run, other)
            self.drawn.append(one)
            number = len(self.drawn) - 1
        threading.Thread(target=one.work, args=(self._job,), daemon=True).start()
        return number

    def _job(self, run: int) -> Job:
        """Of a run: its posterior and its region are looked through once."""
        from hybridflux.region.map import job_of_run

        with self._lock:
            if run not in self._jobs:
                self._jobs[run] = job_of_run(self.runs[run].path, self.regions[run])
            return self._jobs[run]

    def geopackage(self) -> bytes:
        """The polygons of this session.

        Raises:
            ValueError: there are none.
            ImportError: as `write_geopackage`.
        """
        from hybridflux.view.drawn import write_geopackage

        if not self.drawn:
            raise ValueError("no polygon is drawn")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "polygons.gpkg"
            write_geopackage(path, self.drawn, self.runs[0].grid.crs)
            return path.read_bytes()


