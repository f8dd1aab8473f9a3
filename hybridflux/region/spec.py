"""A run, described: everything `run_tile` needs, picklable, with the configuration that decides its results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.model.spec import to_spec
from hybridflux.model.tree import learned
from hybridflux.provenance import config_hash
from hybridflux.region.draws.random_effects import LENGTH
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.open import Region

PLANT_TYPE = "plant_type"
__all__ = ["LENGTH", "Job", "differences", "posterior_fingerprint", "region_fingerprint"]


@dataclass(frozen=True)
class Job:
    """One run over a region.

    Attributes:
        region: with its changes.
        posterior: thinned to the draws of the run.
        out: run folder.
        calendar: days.
        spread: a key of `flux_store.SPREADS`.
        keep: outputs (`outputs.base.Output`).
        seed: of the effects.
        length: over which effects are alike [m].
        by_cell: blocks of one weather cell.
        within: covariates outside whose range at the towers pixels are left out.
        fingerprint: of the region (`region_fingerprint`), taken once: all maps are read for it.
        hash: of the configuration.
    """

    region: Region
    posterior: Posterior
    out: Path
    calendar: Calendar
    spread: str
    keep: tuple
    seed: int
    length: float
    by_cell: bool
    within: tuple[str, ...] = ()
    fingerprint: str = ""
    hash: str = ""

    @property
    def draws(self) -> int:
        """Draws carried through every pixel."""
        return self.posterior.draws

    @property
    def files(self) -> tuple[str, ...]:
        """Files that outputs make of the totals of all tiles."""
        return tuple(output.file for output in self.keep if output.file)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Covariate -> lowest and highest value at the towers of the fit; empty for posteriors that do not know them."""
        return {name: tuple(limits) for name, limits in self.posterior.info.get("ranges", {}).items()}

    @property
    def at_towers(self) -> dict[str, int] | None:
        """Plant type -> number of towers of the fit; None for posteriors that do not record them."""
        return self.posterior.info.get("plant_types")

    def config(self) -> dict:
        """All that decides the results, as plain values."""
        return {
            "region": self.region.path.name,
            "region_fingerprint": self.fingerprint,
            "posterior_fingerprint": posterior_fingerprint(self.posterior),
            "draws": self.draws,
            "start": str(self.calendar.mapped[0]),
            "end": str(self.calendar.mapped[-1]),
            "spread": self.spread,
            "keep": [output.to_json() for output in self.keep],
            "changes": [str(change) for change in self.region.changes],
            "seed": self.seed,
            "effect_length": self.length,
            "within": {name: sorted(self.at_towers) if name == PLANT_TYPE else self.ranges[name] for name in self.within},
        }

    def marker(self, tile_id: str) -> Path:
        """File that says a tile is done."""
        return self.out / "tiles" / f"{tile_id}.json"

    def totals(self, tile_id: str) -> Path:
        """File of the totals of a tile."""
        return self.out / "totals" / f"{tile_id}.npz"

    @property
    def store(self) -> Path:
        """The store of fluxes."""
        return self.out / "fluxes.zarr"


def differences(found: dict, wanted: dict) -> list[str]:
    """What differs between two configurations, one line each.

    >>> differences({"draws": 50, "seed": 0}, {"draws": 64, "seed": 0})
    ['draws: 50 there, 64 now']
    """
    return [
        f"{name}: {found.get(name)} there, {wanted.get(name)} now"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]


def posterior_fingerprint(posterior: Posterior) -> str:
    """Hash of a model, its draws and its structural error."""
    digest = hashlib.sha256(config_hash(to_spec(posterior.model)).encode())
    for name, leaf in sorted(learned(posterior.model).items()):
        digest.update(name.encode() + np.ascontiguousarray(leaf).tobytes())
    for name, raw in sorted(posterior.structure.raw.items()) if posterior.structure is not None else ():
        digest.update(name.encode() + np.ascontiguousarray(raw).tobytes())
    return digest.hexdigest()[:16]


def region_fingerprint(region: Region) -> str:
    """Hash of the maps and the weather of a region, and of the checksums of its daily maps: of their sizes, where it carries none."""
    digest = hashlib.sha256(repr(region.grid).encode() + region.days[[0, -1]].tobytes())
    for name in region.names:
        array = region.group[name]
        if array.metadata.dimension_names == ("time", "y", "x"):
            kept, files = region.recorded.get(name), sorted((region.path / name).rglob("*"))
            if kept is None:
                digest.update(repr([(file.name, file.stat().st_size) for file in files if file.is_file()]).encode())
            else:
                digest.update(repr(kept.fingerprint(array)).encode())
        elif array.ndim and array.size and name not in ("x", "y", "time", "spatial_ref"):
            for start in range(0, array.shape[0], array.chunks[0]):
                digest.update(np.ascontiguousarray(array[start : start + array.chunks[0]]).tobytes())
    return digest.hexdigest()[:16]
