"""The specification of a run: all that decides its results, as plain values; whoever goes on with a run reads it from `run.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.model.leaf_response import LeafResponse
from hybridflux.model.learned import learned
from hybridflux.model.spec import to_spec
from hybridflux.provenance import canonical_json, config_hash
from hybridflux.region.draws.field_basis import FieldBasis
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.draws.spread import Draws, Spread
from hybridflux.region.drivers.calendar import Calendar, Period
from hybridflux.region.drivers.open import Region
from hybridflux.region.store import blocks

WORDS = {
    "region": "name of the region store",
    "region_fingerprint": "content of the region store (its fingerprint)",
    "posterior_fingerprint": "posterior (its fingerprint)",
    "draws": "number of draws",
    "seed": "seed of the draws",
    "effect_length": "distance over which effects of places are alike [m]",
    "effect_nugget": "share of the variance of effects that belongs to an ecosystem alone",
    "towers": "towers that the effects of places pass through",
    "start": "first day",
    "end": "last day",
    "changes": "changes of drivers",
    "usual": "drivers of the usual year",
    "leaves": "response of leaves to missing rain",
    "within": "ranges outside which pixels are left out",
    "keep": "outputs",
}
"""Field of a specification -> what it is, where its name does not say it."""


@dataclass(frozen=True)
class RunSpec:
    """All that decides the results of a run.

    Attributes:
        region: name of the region store.
        region_fingerprint: of its content (`region_fingerprint`).
        posterior_fingerprint: of model, draws and structural error (`posterior_fingerprint`).
        draws: how many, of which spread, by which seed.
        period: first and last mapped day.
        changes: of drivers, as text.
        within: covariate, or `plant_type`, outside whose range at the towers pixels are left out -> that range, or the plant types there.
        keep: outputs (`outputs.base.Output`).
        usual: changes of drivers that make the usual year, as text, where a run is mapped against that.
        leaves: response by which NIRv and LSWI follow the rain deficit; None where they are held.
    """

    region: str
    region_fingerprint: str
    posterior_fingerprint: str
    draws: Draws
    period: Period
    changes: tuple[str, ...]
    within: Mapping[str, tuple]
    keep: tuple
    usual: tuple[str, ...] = ()
    leaves: LeafResponse | None = None

    def to_json(self) -> dict:
        """As plain values of JSON; without a nugget and towers as in earlier versions, whose runs can go on."""
        drawn = {name: value for name, value in asdict(self.draws).items() if value or name not in ("effect_nugget", "towers")}
        described = {
            "region": self.region, "region_fingerprint": self.region_fingerprint, "posterior_fingerprint": self.posterior_fingerprint,
            "draws": drawn.pop("number"), **drawn, **asdict(self.period), "changes": self.changes, "within": self.within,
            "keep": [output.to_json() for output in self.keep],
        } | ({"usual": self.usual} if self.usual else {}) | ({"leaves": self.leaves.to_json()} if self.leaves else {})  # fmt: skip
        return json.loads(canonical_json(described))

    @classmethod
    def from_json(cls, values: Mapping, outputs_of: Callable[[list], tuple]) -> RunSpec:
        """What `to_json` gave.

        Args:
            values: as `to_json` gave them.
            outputs_of: makes outputs of what their `to_json` gave (`run.keep.outputs_of`).

        Raises:
            ValueError: an output or a spread that this version does not know.
            KeyError: a field is missing.
        """
        return cls(
            *(values[name] for name in ("region", "region_fingerprint", "posterior_fingerprint")),
            Draws(
                values["draws"], values["spread"], values["seed"], values["effect_length"], values.get("effect_nugget", 0.0),
                tuple(KnownTower(**tower) for tower in values.get("towers", ())),
            ),
            Period(values["start"], values["end"]),
            tuple(values["changes"]),
            {name: tuple(limits) for name, limits in values["within"].items()},
            outputs_of(values["keep"]),
            tuple(values.get("usual", ())),
            LeafResponse(**values["leaves"]) if "leaves" in values else None,
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the specification: equal for runs of equal results."""
        return config_hash(self.to_json())


def differences(found: Mapping, wanted: Mapping) -> list[str]:
    """What differs between two specifications as JSON, one line each.

    >>> differences({"draws": 50, "seed": 0}, {"draws": 64, "seed": 0})
    ['number of draws: 50 there, 64 now']
    """
    return [
        f"{WORDS.get(name, name)}: {found.get(name)} there, {wanted.get(name)} now"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]


@dataclass(frozen=True)
class Job:
    """A run with what it works on: all that `run_tile` needs, picklable.

    Attributes:
        spec: what decides the results.
        region: with its changes.
        posterior: thinned to the draws of the run.
        out: run folder.
        calendar: days.
        by_cell: blocks of one weather cell.
        uncertain: daily maps of vegetation whose errors are drawn.
    """

    spec: RunSpec
    region: Region
    posterior: Posterior
    out: Path
    calendar: Calendar
    by_cell: bool
    uncertain: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Of the specification."""
        return self.spec.hash

    @property
    def draws(self) -> int:
        """Number of draws carried through every pixel."""
        return self.posterior.draws

    @property
    def spread(self) -> Spread:
        """What differs between the draws."""
        return self.spec.draws.spread

    @property
    def seed(self) -> int:
        """Seed of the draws."""
        return self.spec.draws.seed

    @property
    def keep(self) -> tuple:
        """Outputs."""
        return self.spec.keep

    @property
    def field_basis(self) -> FieldBasis | None:
        """Of the structural error; None where the posterior does not know it, or no output adds it up."""
        if self.posterior.structure is None or not any(output.has_structural_error for output in self.keep):
            return None
        return FieldBasis.of(self.posterior, self.spec.draws.towers or (), self.region.grid)

    @property
    def files(self) -> tuple[str, ...]:
        """Files that outputs make of the totals of all tiles."""
        return tuple(output.file for output in self.keep if output.file)

    @property
    def tile_size(self) -> float:
        """Bytes of the stored maps of a whole tile, half of what a kernel gives back for its pixels."""
        return self.region.grid.tile**2 * sum(output.cost(self.calendar, self.draws) for output in self.keep) / 2

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Covariate -> lowest and highest value at the towers of the fit; empty for posteriors that do not know them."""
        return {name: tuple(limits) for name, limits in self.posterior.info.get("ranges", {}).items()}

    @property
    def at_towers(self) -> dict[str, int] | None:
        """Plant type -> number of towers of the fit; None for posteriors that do not record them."""
        return self.posterior.info.get("plant_types")

    def marker(self, tile_id: str) -> Path:
        """File that says a tile is done."""
        return self.out / "tiles" / f"{tile_id}.json"

    def totals(self, tile_id: str) -> Path:
        """File of the totals of a tile; others lie beside it (`TileTotals.save`)."""
        return self.out / "totals" / f"{tile_id}.npz"

    @property
    def store(self) -> Path:
        """The store of fluxes."""
        return self.out / "fluxes.zarr"


def posterior_fingerprint(posterior: Posterior) -> str:
    """Hash of a model, its draws, its structural error and what it gets wrong at its towers."""
    digest = hashlib.sha256(config_hash(to_spec(posterior.model)).encode())
    for name, leaf in sorted(learned(posterior.model).items()):
        digest.update(name.encode() + np.ascontiguousarray(leaf).tobytes())
    for name, raw in sorted(posterior.structure.raw.items()) if posterior.structure is not None else ():
        digest.update(name.encode() + np.ascontiguousarray(raw).tobytes())
    if posterior.gross is not None:
        digest.update(repr(posterior.gross.to_header()).encode())
    for name, values in sorted(posterior.residuals.to_arrays().items()) if posterior.residuals is not None else ():
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def region_fingerprint(region: Region) -> str:
    """Hash of the maps and the weather of a region, and of the checksums of its daily maps: of their sizes, where it carries none."""
    digest = hashlib.sha256(repr(region.grid).encode() + region.days[[0, -1]].tobytes())
    for name in region.names:
        array = region.array(name)
        if array.metadata.dimension_names == ("time", "y", "x"):
            kept, files = region.recorded.get(name), sorted((region.path / name).rglob("*"))
            if kept is None:
                digest.update(repr([(file.name, file.stat().st_size) for file in files if file.is_file()]).encode())
            else:
                digest.update(repr(kept.fingerprint(array)).encode())
        elif array.ndim and array.size and name not in ("x", "y", "time", "spatial_ref"):
            for start in range(0, array.shape[0], array.chunks[0]):
                digest.update(blocks.read(array, (slice(start, start + array.chunks[0]),)).tobytes())
    return digest.hexdigest()[:16]
