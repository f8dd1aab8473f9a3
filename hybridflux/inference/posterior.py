"""A posterior: the fitted model with a draw axis on everything learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from numpy.typing import ArrayLike

from hybridflux.inference import posterior_file
from hybridflux.inference.batch import Indices, names_of
from hybridflux.inference.conditioned_error import UNUSED, simulate_given
from hybridflux.inference.predictive_draws import predictive_draws
from hybridflux.inference.tower_residuals import TowerResiduals
from hybridflux.inference.training_days import TrainingDays
from hybridflux.inference.unknown_plant_type import kinds_and_errors
from hybridflux.model.flux import HybridFlux
from hybridflux.model.gross_error import GrossError
from hybridflux.model.learned import learned, over_draws, parameters_over_draws, pooled_effects, populations, with_learned
from hybridflux.model.sequences import HasSequences, Sequences, sequences_of
from hybridflux.model.site_discrepancy import SiteDiscrepancy
from hybridflux.model.sources import is_daily
from hybridflux.model.spec import from_spec, leaf_of_version_1, to_spec
from hybridflux.model.stacked import MemberKind, Stacked
from hybridflux.model.structural_error import StructuralError
from hybridflux.process import direct
from hybridflux.vocabulary import CARBON, PLANT_TYPES, SIGN

if TYPE_CHECKING:
    import arviz
    import pandas as pd

RESIDUALS, TRAINING, DISCREPANCY = "tower_residuals", "training_days", "site_discrepancy"
"""Groups of a file."""
WITHOUT, OF_KINDS = "draws_without", "draws_without_of_kinds"
"""Entries of `info`: place -> numbers of the draws that were not fitted to it, and these of each kind of member of a stacked posterior."""


@dataclass(frozen=True)
class Posterior:
    """Draws of a model.

    Attributes:
        model: the model, a leading draw axis on each learned leaf.
        indices: the places and years of the fit.
        chains: how many chains the draws come from, in order.
        stats: per draw, e.g. `diverging`, `lp`; `[draw]`.
        info: method, settings, diagnostics, provenance; JSON types.
        observed: what the fit was compared with, `[day, place]`; written, not read back.
        structure: error of the model itself, with memory: its prior and what the towers add; None in files of before.
        gross: error that GPP and RECO have in common beside it; None in files of before, and where one of them was not measured.
        residuals: what the draws get wrong at the towers of the fit; None in files of before.
        training: a sample of the days of the fit; None in files of before.
        discrepancy: what the draws get wrong at each place of the fit, by season, weather and vegetation; None in files of before.
    """

    model: HybridFlux
    indices: Indices
    chains: int = 1
    stats: Mapping[str, np.ndarray] = field(default_factory=dict)
    info: Mapping = field(default_factory=dict)
    observed: Mapping[str, xr.DataArray] = field(default_factory=dict)
    structure: StructuralError | None = None
    gross: GrossError | None = None
    residuals: TowerResiduals | None = None
    training: TrainingDays | None = None
    discrepancy: SiteDiscrepancy | None = None

    @property
    def draws(self) -> int:
        """How many draws."""
        return next(iter(learned(self.model).values())).shape[0]

    @property
    def places(self) -> tuple[str, ...]:
        """The places of the fit."""
        return self.indices.places

    def thin(self, draws: int) -> Posterior:
        """Exactly `draws` draws: evenly spaced, or each repeated when there are fewer (members of an ensemble).

        Repeated draws still differ in the effects of new places.
        """
        few = draws <= self.draws
        return self.pick(np.linspace(0, self.draws - 1, draws).round().astype(int) if few else np.arange(draws) % self.draws)

    def pick(self, numbers: ArrayLike) -> Posterior:
        """Only some draws, by their numbers from 0, in the order asked for."""
        pick = np.asarray(numbers, int)
        values = {name: jnp.asarray(np.asarray(leaf)[pick]) for name, leaf in learned(self.model).items()}  # host: nothing to compile
        return replace(
            self, model=with_learned(self.model, values), chains=1, stats={name: value[pick] for name, value in self.stats.items()},
            info=_of_picked(self.info, pick),
            residuals=None if self.residuals is None else self.residuals.pick(pick),
            discrepancy=None if self.discrepancy is None else self.discrepancy.pick(pick),
        )  # fmt: skip

    def of_kind(self, kind: str) -> Posterior:
        """The members of one kind of a stacked posterior, `process` or `network`, as often as they are among the draws.

        Process members are what products that need causes take; a posterior that is not stacked has no others.

        Raises:
            ValueError: there are no members of that kind.
        """
        kinds = self.model.kinds() if isinstance(self.model, Stacked) else {"process": self.model}
        if kind not in kinds:
            raise ValueError(f"this posterior has no `{kind}` members; it has {', '.join(kinds)}")
        if kinds[kind] is self.model:
            return self
        info = {name: value for name, value in self.info.items() if name != OF_KINDS} | {WITHOUT: self.info.get(OF_KINDS, {}).get(kind, {})}
        return replace(self, model=kinds[kind], info=info, residuals=None, discrepancy=None)

    def of_causes(self) -> Posterior:
        """The draws that know causes, which scenarios and the ledger of a drought take: of a stacked posterior its process members.

        Raises:
            ValueError: GPP or RECO is a network of weather and vegetation, which knows none.
        """
        found = self.of_kind("process")
        if any(function in (direct.productivity, direct.respiration) for function in found.model.functions()):
            raise ValueError(
                "this posterior is of networks of weather and vegetation, which know no causes: what a change of drivers does "
                "is a question to a model of processes; fit hybrid_water, or stacked, whose process members are taken"
            )
        return found

    @property
    def left_out(self) -> np.ndarray | None:
        """`[draw, place]`, who was not fitted by which draw; None where every draw was fitted to every place."""
        without: Mapping[str, list[int]] = self.info.get(WITHOUT, {})
        return np.stack([np.isin(np.arange(self.draws), without[place]) for place in self.places], axis=1) if without else None

    def with_structure(self, error: StructuralError, spread: Mapping[str, np.ndarray]) -> Posterior:
        """With a structural error and new spreads of the populations; effects of the places of the fit keep their size.

        Args:
            error: draws of it, taken in turn by the draws of the posterior.
            spread: leaf of a population's spread -> draws, taken in turn.
        """
        leaves = learned(self.model)
        values: dict[str, Array] = {}
        for table, name, _ in populations(self.model):
            if name in spread:
                wide = jnp.asarray(np.resize(spread[name], self.draws), jnp.float32)
                values |= {name: wide, table: leaves[table] * jnp.exp(0.5 * (leaves[name] - wide))[:, None]}
        return replace(self, model=with_learned(self.model, values), structure=error)

    def at(self, sequences: Sequences, *, key: PRNGKeyArray) -> HybridFlux:
        """The stacked model with the effects of other places: known ones keep theirs, new ones draw from the population."""
        here, there = self.indices, Indices.of(sequences)
        known = np.array([here.places.index(place) if place in here.places else -1 for place in there.places])
        in_years = np.array([here.years.index(year) if year in here.years else -1 for year in there.years])
        known_year = np.where((known[:, None] >= 0) & (in_years >= 0), known[:, None] * len(here.years) + in_years, -1).reshape(-1)
        rows = {"site": known, "site_year": known_year}
        tables = {}
        for number, (path, by) in enumerate(pooled_effects(self.model).items()):
            fitted = learned(self.model)[path]
            fresh = jax.random.normal(jax.random.fold_in(key, number), (self.draws, len(rows[by])))
            tables[path] = jnp.where(rows[by] >= 0, fitted[:, np.maximum(rows[by], 0)], fresh)
        return with_learned(self.model, tables)

    def predict(
        self, towers: Sequences | HasSequences, *,
        seed: int = 0, noise: bool = False, variables: Iterable[str] = CARBON, draws: int | None = None, residuals: str = UNUSED,
        discrepancy: bool = True,
    ) -> xr.Dataset:  # fmt: skip
        """Daily fluxes with their spread, as xarray.

        Args:
            towers: `Towers`, or `Sequences` with the drivers of the places.
            seed: of the effects of places and years that took no part in the fit, and of the noise; the same seed gives the same draws.
            noise: add the errors of the model and of measuring (the spread named `predictive`), else the spread is
                `parameter+random_effects`.
            variables: fluxes, what the model is compared with (`nee_night`, `swc`), and diagnostics such as `evapotranspiration`.
            draws: as many draws, see `thin`; all of the posterior by default.
            residuals: months of the fit through whose residuals the structural error of a known tower passes (`conditioned_error`):
                `unused`; `other-months`, those without a day asked for; `all-months`, as maps. With either of these the draws have a
                structural error also without `noise`, and the spread says so; places without a residual draw theirs anew.
            discrepancy: add to GPP, RECO and NEE of known places what the draws get wrong there (`model.site_discrepancy`), where the fit
                found that and `residuals`, which know the same otherwise, are unused; with `noise` these draws keep a part of their
                departures from their mean (`model.known_place_error`). Maps and budgets are without it.

        Returns:
            Variables `(draw, time, place)` with `units` and `long_name`, fluxes in gC m-2 d-1, NEE positive to the atmosphere; along
            `place` the coordinate `known`: whether it took part in the fit. The attributes name `spread` and `sign`.

        Raises:
            KeyError: a variable that the model does not predict.
            ValueError: a driver that the towers do not have; residuals that the posterior does not remember.
        """
        predicted = tuple(dict.fromkeys((*CARBON, *self.model.observed, *sorted(self.model.states_and_diagnostics()))))
        variables = tuple(variables)
        unknown = [name for name in variables if name not in predicted]
        if unknown:
            raise KeyError(f"the model does not predict {', '.join(unknown)[:80]}; it predicts {', '.join(predicted)}")
        sequences = sequences_of(towers, self.model.needs_at_towers())
        drawn = (self if draws is None else self.thin(draws)).simulate(
            sequences, key=jax.random.key(seed), noise=noise, variables=variables, residuals=residuals,
            discrepancy=discrepancy and residuals == UNUSED,
        )  # fmt: skip
        coords = {
            "time": ("time", sequences.days.astype("datetime64[ns]"), {"standard_name": "time", "long_name": "local standard day"}),
            "place": list(sequences.places),
            "known": ("place", np.isin(sequences.places, self.places), {"long_name": "whether the place took part in the fit"}),
        }
        rows = {name: self.model.rows[name] for name in drawn}
        described = {name: {"units": row.units, "long_name": getattr(row, "long_name", name)} for name, row in rows.items()}
        data = {name: (("draw", "time", "place"), np.asarray(values), described[name]) for name, values in drawn.items()}
        drawn_errors = "" if residuals == UNUSED else "+structural_error"
        about = {"spread": "predictive" if noise else f"parameter+random_effects{drawn_errors}", "sign": SIGN, "seed": seed}
        about |= {} if residuals == UNUSED else {"residuals": residuals}
        about["site_discrepancy"] = int(discrepancy and residuals == UNUSED and self.discrepancy is not None)
        return xr.Dataset(data, coords, about)

    def simulate(
        self, sequences: Sequences, *, key: PRNGKeyArray, noise: bool = False, variables: Sequence[str] = CARBON, residuals: str = UNUSED,
        discrepancy: bool = False,
    ) -> dict[str, Array]:  # fmt: skip
        """What `predict` gives, as arrays of JAX `[draw, time, place]`, for loops over places.

        Args:
            sequences: drivers of the places.
            key: random key of the effects of new places and of the noise.
            noise: add the errors of the model and of measuring (the spread named `predictive`), else the spread is
                `parameter+random_effects`.
            variables: as `predict`. Only the three fluxes have a structural error.
            residuals: as `predict`.
            discrepancy: as `predict`; here asked for.

        Raises:
            ValueError: noise of a state or diagnostic that no observation of the model is compared with; residuals as `predict`.
        """
        unseen = [name for name in variables if name not in (*CARBON, *self.model.observed)]
        if noise and unseen:
            raise ValueError(f"no error of {', '.join(unseen)} is known: the model is compared with {', '.join(self.model.observed)} alone")
        if discrepancy and residuals != UNUSED:
            raise ValueError(f"residuals `{residuals}` and the discrepancy of known places say the same twice; take one of them")
        if residuals != UNUSED:
            return simulate_given(self, sequences, key, noise, variables, residuals)
        effects, errors = jax.random.split(key)
        names = {name: jnp.asarray(values) for name, values in names_of(self.model, sequences).items()}
        known = {name: jnp.asarray(np.nan_to_num(values)) for name, values in sequences.uncertainty.items()} if noise else {}
        kinds, of_net, of_gross = kinds_and_errors(self, sequences)
        structure = of_net.of_draws(self.draws) if noise and of_net is not None else None
        gross = of_gross.of_draws(self.draws) if structure is not None and of_gross is not None else None
        keys = jax.random.split(errors, self.draws)
        shape = (len(sequences.days), len(sequences.places))
        drawn = self.at(sequences, key=effects)
        added, left, has_left = None, None, np.zeros(shape[1], bool)
        numbers = [self.places.index(place) if place in self.places else -1 for place in sequences.places]
        if discrepancy and self.discrepancy is not None and max(numbers) >= 0:
            added = jnp.asarray(self.discrepancy.of(sequences, numbers))
            if noise and self.discrepancy.error is not None:
                has_left = self.discrepancy.known(numbers)
                left = self.discrepancy.error.at(numbers, self.draws) if has_left.any() else None
        where = jnp.asarray(has_left), bool(has_left.all())
        return predictive_draws(drawn, names, known, keys, structure, gross, added, left, *where, noise, tuple(variables), shape, kinds)

    def save(self, path: str | Path) -> None:
        """Write one netCDF file in the ArviZ schema; `Posterior.load` gives the same posterior back."""
        spec = to_spec(self.model)
        leaves = {name: np.asarray(leaf) for name, leaf in learned(self.model).items()}
        header = {
            "spec": spec,
            "learned": sorted(leaves),
            "places": list(self.indices.places),
            "years": list(self.indices.years),
            "info": dict(self.info),
            "structure": None if self.structure is None else {name: np.asarray(raw).tolist() for name, raw in self.structure.raw.items()},
            "gross": None if self.gross is None else self.gross.to_header(),
        }
        groups = {} if self.residuals is None else {RESIDUALS: self.residuals.to_arrays()}
        if self.training is not None:
            header[TRAINING], groups[TRAINING] = self.training.to_file()
        if self.discrepancy is not None:
            header[DISCREPANCY], groups[DISCREPANCY] = list(self.discrepancy.inputs), self.discrepancy.to_arrays()
        contents, physical = posterior_file.Contents(leaves, self.chains, dict(self.stats), header, groups), self.parameter_draws()
        posterior_file.write(path, contents, physical, self.observed, {name: self.model.row_of(name) for name in physical})

    @classmethod
    def load(cls, path: str | Path) -> Posterior:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a posterior of this version.
        """
        leaves, chains, stats, header, groups = posterior_file.read(path)
        names = leaf_of_version_1 if header["spec"].get("version") == 1 else str
        model = with_learned(from_spec(header["spec"]), {names(name): jnp.asarray(leaf) for name, leaf in leaves.items()})
        raw = header.get("structure")
        structure = None if raw is None else StructuralError({name: jnp.asarray(values, jnp.float32) for name, values in raw.items()})
        gross = GrossError.from_header(header["gross"]) if header.get("gross") else None
        residuals = TowerResiduals(**groups[RESIDUALS]) if RESIDUALS in groups else None
        training = TrainingDays.from_file(header[TRAINING], groups[TRAINING]) if TRAINING in groups else None
        discrepancy = SiteDiscrepancy.from_arrays(header[DISCREPANCY], groups[DISCREPANCY]) if DISCREPANCY in groups else None
        return cls(
            model, Indices(tuple(header["places"]), tuple(header["years"])), chains, stats, header["info"], structure=structure,
            gross=gross, residuals=residuals, training=training, discrepancy=discrepancy,
        )  # fmt: skip

    def parameter_draws(self) -> dict[str, np.ndarray]:
        """Values of learned parameters that do not change by day, at the centre of the population: `[draw]` or `[draw, plant_type]`."""
        return _physical(self.model)

    def summary(self) -> pd.DataFrame:
        """One row a learned parameter: prior and posterior quantiles, contraction, R-hat, ESS (see `inference.summary.parameter_table`)."""
        from hybridflux.inference.summary import parameter_table  # pandas, which a map does not need

        return parameter_table(self)

    def to_arviz(self, towers: Sequences | HasSequences | None = None, *, seed: int = 0) -> arviz.InferenceData | xr.DataTree:
        """The posterior for ArviZ: `arviz.plot_forest(posterior.to_arviz())`, `arviz.loo(posterior.to_arviz(towers), var_name="nee")`.

        Args:
            towers: `Towers` or `Sequences` whose measured days are compared with the model: groups `log_likelihood`, the terms of the
                composite likelihood, weights included, `(chain, draw, <target>_day)`, and `observed_data`. Without them there is no
                `log_likelihood`, and `observed_data` is that of the fit, which a file does not give back.
            seed: of the prior draws, and of the effects of places that took no part in the fit.

        Returns:
            `InferenceData` of ArviZ 0.x, a `DataTree` for ArviZ 1: groups `posterior` and `prior` (learned parameters that do not change
            by day, in their units), `sample_stats` where a method gives them, `observed_data`.
        """
        from hybridflux.inference.arviz_groups import to_arviz

        return to_arviz(self, towers, seed)

    def prior_draws(self, draws: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
        """The same from the prior."""
        key = jax.random.key(seed)
        leaves = learned(self.model)
        values = {
            name: jax.random.normal(jax.random.fold_in(key, number), (draws, *leaf.shape[1:]))
            for number, (name, leaf) in enumerate(leaves.items())
        }
        return _physical(with_learned(self.model, values))


def _of_picked(info: Mapping[str, Any], pick: np.ndarray) -> dict[str, Any]:
    """What is known of a fit, for some of its draws: which of these left a place out."""

    def numbered(without: Mapping[str, list[int]]) -> dict[str, list[int]]:
        return {place: np.flatnonzero(np.isin(pick, numbers)).tolist() for place, numbers in without.items()}

    found = dict(info)
    if WITHOUT in info:
        found[WITHOUT] = numbered(info[WITHOUT])
    if OF_KINDS in info:
        found[OF_KINDS] = {kind: numbered(without) for kind, without in info[OF_KINDS].items()}
    return found


def _physical(model: HybridFlux) -> dict[str, np.ndarray]:
    values = {name: np.asarray(value) for name, value in _of_population(model)}
    return {name: value[:, 0] if value.ndim == 2 and value.shape[1] == 1 else value for name, value in values.items()}


@eqx.filter_jit
def _of_population(model: HybridFlux) -> list[tuple[str, Array]]:
    """Names and values of `Posterior.parameter_draws`, as one program: many small ones take a second of a new process."""
    static = [
        name
        for name, source in model.sources.items()
        if learned(source) and not isinstance(source, MemberKind) and not any(is_daily(n) for n in source.reads() if n != "site_year")
    ]
    static = [name for name in static if set(model.sources[name].reads()) <= {"plant_type", "site", "site_year"}]
    names = {"plant_type": np.arange(len(PLANT_TYPES)), "site": np.full(1, -1), "site_year": np.full(1, -1)}
    values = dict(parameters_over_draws(model, names, only=static))
    for target, one in model.observed.items():
        for name, source in one.all_sources().items():
            if learned(source):
                of_draw = lambda draw, t=target, n=name: draw.observed[t].all_sources()[n].value(draw.observed[t].row(n), names)  # noqa: E731
                values[f"{name}.{target}"] = over_draws(model, of_draw)
    return list(values.items())
