"""What a run has to show: groups of frames, layers with their units and colour scales, and the pyramid of each array."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from hybridflux.limits import Refused
from hybridflux.records import run_record
from hybridflux.region.store import layout
from hybridflux.region.store.blocks import READ_ERRORS
from hybridflux.region.store.checksums import check_template
from hybridflux.region.store.grid import Grid
from hybridflux.report.map_viewer import ON_PAGE, RANGE, colours_of, labels, nice, unit_of
from hybridflux.view.pyramid import BlockMemory, MapSource, Pyramid
from hybridflux.view.ready_overviews import ReadyOverviews
from hybridflux.vocabulary import FLUXES

CACHE = "view.cache"
"""Folder of overviews in a run folder; it may be removed at any time."""
OTHER_COLOURS = "viridis"  # of a quantity that is no carbon flux
RISING = "_rising"  # ending of the share of the draws whose trend is above zero; it has no other
ENDING = re.compile(r"(?<=.)_(?:sd|q\d\d)$")
LOOKED_AT, OF_DAYS = 8, 3  # tiles of the store from which a colour scale is made; of daily maps, whose chunks hold a year


@dataclass(frozen=True)
class GroupMaps:
    """Frames of one kind: years, months, days, or the trend over the record.

    Attributes:
        frames: label of each, `2018-06`.
        units: of the carbon fluxes.
        arrays: name -> array of the store `[time, y, x]`.
    """

    frames: tuple[str, ...]
    units: str
    arrays: dict[str, zarr.Array]

    @property
    def layers(self) -> dict[str, list[str]]:
        """Quantity -> endings of its arrays, the mean first; carbon fluxes first, then their anomalies and trends."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.arrays):
            found.setdefault(ENDING.sub("", name), []).append(name[len(ENDING.sub("", name)) :])
        place = {flux: number for number, flux in enumerate(FLUXES)}
        order = sorted(found, key=lambda name: (name not in place, place.get(name.partition("_")[0], len(place)), name))
        return {name: found[name] for name in order if "" in found[name]}

    def units_of(self, layer: str) -> str:
        """Units of a layer; anomalies and trends have those of their group, as the fluxes have."""
        of_group = layer.partition("_")[0] in FLUXES and not layer.endswith(RISING)
        return self.units if of_group else str(self.arrays[layer].attrs.get("units", ""))


@dataclass(frozen=True)
class RunMaps:
    """The maps of a run.

    Attributes:
        path: run folder.
        record: its `run.json`.
        memory: of blocks.
        writable: whether overviews may be kept in the run folder.
    """

    path: Path
    record: dict
    memory: BlockMemory
    writable: bool = True

    @classmethod
    def open(cls, path: str | Path, memory: BlockMemory) -> RunMaps:
        """Open a run folder.

        Raises:
            FileNotFoundError: it is not one, or has no maps.
            ValueError: its metadata are damaged.
            Refused: a part of it lies outside of the folder.
        """
        path = Path(path)
        run = cls(path, run_record(path), memory, os.access(path, os.W_OK))
        if not (path / "fluxes.zarr").is_dir():
            raise FileNotFoundError(f"{path} has no maps (fluxes.zarr is missing); go on with `hybridflux map --run {path}`")
        for file in (path / "fluxes.zarr").glob("*/*/zarr.json"):
            run.inside(file)
        check_template(path, run.record)
        if not run.groups:
            raise FileNotFoundError(f"{path} has no maps of months, years or days; map again with PeriodMaps or DailyMaps in `keep`")
        return run

    def inside(self, path: Path) -> Path:
        """The path, which leads nowhere outside of the run folder.

        Raises:
            Refused: a link leads out.
        """
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path)):
            raise Refused(f"{path} is a link out of the run folder, and is not read; name the folder that holds the files themselves")
        return path

    @cached_property
    def groups(self) -> dict[str, GroupMaps]:
        """Years, months, days and the record, as far as they are there."""
        store, found = zarr.open_group(self.path / "fluxes.zarr", mode="r", use_consolidated=False), {}
        for name in (one for one in ON_PAGE if one in store):
            group = store[name]
            three = {key: one for key, one in sorted(group.arrays()) if one.metadata.dimension_names == ("time", "y", "x") and one.shape[0]}
            days = {"days": group["days"][:]}
            if three:
                found[name] = GroupMaps(tuple(labels(layout.days_of(group["time"]), days["days"], name)), unit_of(days, name), three)
        return found

    @cached_property
    def grid(self) -> Grid:
        """Of the maps."""
        name, group = next(iter(self.groups.items()))
        axes = zarr.open_group(self.path / "fluxes.zarr" / name, mode="r", use_consolidated=False)
        x, y = axes["x"][:], axes["y"][:]
        about = axes["spatial_ref"].attrs
        pixel = float(str(about["GeoTransform"]).split()[1])
        array = next(iter(group.arrays.values()))
        return Grid(about["crs_wkt"], float(x[0]) - pixel / 2, float(y[0]) + pixel / 2, pixel, (len(y), len(x)), array.chunks[-1])

    @cached_property
    def _pyramids(self) -> dict[str, Pyramid]:
        folder = self.cache
        found = {}
        for name, group in self.groups.items():
            for key, array in group.arrays.items():
                years, scale = [frame[:4] for frame in group.frames], float(array.attrs["scale_factor"])
                made = ReadyOverviews(self.path / "cog", f"{key}_{name}", years, array.shape[1:], scale, self.inside)
                linear = not key.endswith("_sd")
                source = MapSource(f"{name}/{key}", array.shape, layout.NODATA, self._reader(array), linear, made)
                found[source.name] = Pyramid(source, self.memory, folder)
        return found

    @property
    def levels(self) -> int:
        """Of every pyramid."""
        return next(iter(self._pyramids.values())).source.levels

    def pyramid(self, group: str, array: str) -> Pyramid:
        """Of an array.

        Raises:
            KeyError: there is none of that name.
        """
        return self._pyramids[f"{group}/{array}"]

    @cached_property
    def cache(self) -> Path | None:
        """The folder of overviews of these maps; those of maps that have changed since are removed."""
        if not self.writable:
            return None
        state = [self.record["config_hash"], *(str(one.stat().st_mtime_ns) for one in sorted((self.path / "tiles").glob("*.json")))]
        folder = self.path / CACHE / hashlib.sha256("".join(state).encode()).hexdigest()[:16]
        for old in (self.path / CACHE).glob("*"):
            if old != folder and not old.is_symlink():
                shutil.rmtree(old, ignore_errors=True)
        return folder

    def _reader(self, array: zarr.Array):
        folder = Path(str(array.store_path).removeprefix("file://"))
        rows, columns = array.chunks[-2:]

        def read(frames: slice, y: slice, x: slice) -> np.ndarray:
            for row in range(y.start // rows, -(-y.stop // rows)):
                for column in range(x.start // columns, -(-x.stop // columns)):
                    self.inside(folder / array.metadata.encode_chunk_key((frames.start // array.chunks[0], row, column)))
            try:
                return array[frames, y, x]
            except READ_ERRORS as error:
                raise ValueError(f"{folder} is damaged ({error}); `hybridflux map --run {self.path}` maps these tiles again") from error

        return read

    def highest(self, group: str, array: str) -> float:
        """The rounded end of the colour scale of an array, from tiles spread over what was mapped, one for all frames; 1 of a share."""
        if array.endswith(RISING):
            return 1.0
        marked = sorted(path.stem for path in (self.path / "tiles").glob("*.json"))
        stored, side = self.groups[group].arrays[array], self.grid.tile
        found, read, number = [], self._reader(stored), OF_DAYS if group == "daily" else LOOKED_AT
        for tile in dict.fromkeys(marked[int(at)] for at in np.linspace(0, len(marked) - 1, number)) if marked else ():
            row, column = (int(part[1:]) * side for part in tile.split("_"))
            for first in range(0, stored.shape[0], stored.chunks[0]):
                last = min(first + stored.chunks[0], stored.shape[0])
                y, x = (slice(at, min(at + side, size)) for at, size in zip((row, column), stored.shape[1:], strict=True))
                part = read(slice(first, last), y, x)[:: max((last - first) // 12, 1), ::4, ::4]
                found.append(np.abs(part[part != layout.NODATA].astype(np.float32)))
        known = np.concatenate(found) if found else np.empty(0)
        return nice(float(np.quantile(known, RANGE)) * float(stored.attrs["scale_factor"])) if known.size else 1.0

    def describe(self) -> dict:
        """All that a page needs to know, JSON-ready; no values of maps."""
        groups = {}
        for name, group in self.groups.items():
            layers = {}
            for layer, endings in group.layers.items():
                scales = {ending: float(group.arrays[layer + ending].attrs["scale_factor"]) for ending in endings}
                ready = {ending: self.pyramid(name, layer + ending).source.made.levels for ending in endings}
                ends = {ending: self.highest(name, layer + ending) for ending in ("", "_sd") if ending in endings}
                flux, _, compared = layer.partition("_")
                centred = flux in FLUXES and (layer == "NEE" or compared in ("anomaly", "trend"))
                layers[layer] = {
                    "units": group.units_of(layer), "scales": scales, "ends": ends, "ready": ready,
                    "colours": colours_of(layer) or OTHER_COLOURS, "centred": centred,
                }  # fmt: skip
            groups[name] = {"frames": group.frames, "layers": layers}
        return {
            "name": self.path.resolve().name, "title": self.record.get("title", ""), "groups": groups,
            "spread": self.record.get("spread", ""), "meaning": self.record.get("spread_meaning", ""), "draws": self.record.get("draws"),
            "credit": "; ".join(self.record.get("attribution") or ()), "changes": list(self.record.get("changes", ())),
            "state": self.record.get("state", ""),
        }  # fmt: skip

