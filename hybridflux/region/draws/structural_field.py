"""The structural error of a region: a field for each plant type and draw, which passes through what towers in or near the region measured.

The field has the correlation that the posterior learned between towers (`inference.fit_structural_correlation`): neighbours share a part
of it, and the part that belongs to an ecosystem alone averages out over a region. Plant types err independently: monthly anomalies of
left-out towers of different types correlate by .06 within 150 km (E12). Of a posterior that says nothing of its correlation the error is
the same in all cells of a plant type, an upper bound.

Towers are known as effects are (`tower_effects`, Matheron's rule): what the prior field at the months of the towers and a draw of their
measuring errors leave of their residuals goes through the gain of a Gaussian process. So the months that a tower measured are known at its
ecosystem, what comes again every year or lasts is known there in other years too, and with distance the field becomes that of the prior.
A cell is the mean over its pixels, with its mean activity and its mean amplitude: the score of the amplitude is a field of the same
correlation, which passes through the scores that a draw has at the towers, given all that each measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import numpy as np

from hybridflux.inference.place_amplitude import score_given
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.tower_residuals import TowerResiduals
from hybridflux.model.structural_covariance import Errors, Periods, covariance, roots, size_of, unit_means
from hybridflux.model.structural_error import LEVEL, StructuralError, amplitude, memory_of
from hybridflux.region.draws.field_basis import FieldBasis
from hybridflux.vocabulary import PLANT_TYPES

PARTS = 3  # weeks, years, place
SCORE = PARTS  # number of the random stream of amplitudes
NET, GROSS = crc32(b"structural error"), crc32(b"structural error of gross fluxes")
"""Numbers of the random streams."""


class Measured(NamedTuple):
    """Months that the towers of a plant type measured.

    Attributes:
        tower: numbers of the towers in the basis `[tower]`.
        months: all calendar months in which one measured.
        rows: months in `Posterior.residuals` `[row]`.
        of_tower: index of the tower of each `[row]`.
        of_month: index of its month `[row]`.
        waves: of the basis at the towers `[tower, wave]`.
        correlation: of the towers `[tower, tower]`.
    """

    tower: np.ndarray
    months: Periods
    rows: np.ndarray
    of_tower: np.ndarray
    of_month: np.ndarray
    waves: np.ndarray
    correlation: np.ndarray


class Units(NamedTuple):
    """Processes of weeks and of years, of variance one, over some periods.

    Attributes:
        means: covariances of their means (`unit_means`).
        roots: of these.
    """

    means: tuple[np.ndarray, np.ndarray]
    roots: list[np.ndarray]


class OfKind(NamedTuple):
    """The fields of a plant type, of variance one, and what its towers add.

    Attributes:
        waves: weights of the waves of the fields of weeks and of years `[wave, month, draw]`, and for good `[wave, 1, draw]`.
        tower: numbers of the towers in the basis `[tower]`.
        score: weights of the waves of the score of the amplitude `[wave, draw]`.
        scores: what the towers add to it, per correlation with a tower `[tower, draw]`.
        weeks: per correlation with a tower, to be multiplied by the size `[tower, month, draw]`.
        lasting: the same, to be multiplied by the activity.
    """

    waves: list[np.ndarray]
    tower: np.ndarray
    score: np.ndarray
    scores: np.ndarray
    weeks: np.ndarray
    lasting: np.ndarray


@dataclass(frozen=True)
class StructuralField:
    """A structural error of a run: of NEE, or of what GPP and RECO have in common.

    Attributes:
        basis: of the fields.
        months: mapped days of each month.
        seed: of the run.
        hyperparameters: name -> value of each plant type and draw `[plant type, draw]`, and `LEVEL`.
        places: of the posterior, to whose numbers the residuals refer.
        residuals: of the draws at the towers of the fit; None where they are not known.
        stream: number of its random numbers.
    """

    basis: FieldBasis
    months: Periods
    seed: int
    hyperparameters: dict[str, np.ndarray]
    places: tuple[str, ...] = ()
    residuals: TowerResiduals | None = None
    stream: int = NET
    _made: dict[int, OfKind] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, basis: FieldBasis, posterior: Posterior, months: Periods, seed: int) -> StructuralField:
        """The error of NEE, of a posterior that knows it."""
        assert posterior.structure is not None
        values = hyperparameters_of(posterior.structure.of_draws(posterior.draws))
        return cls(basis, months, seed, values, posterior.places, posterior.residuals)

    @classmethod
    def of_gross_fluxes(cls, basis: FieldBasis, posterior: Posterior, months: Periods, seed: int) -> StructuralField:
        """The error that GPP and RECO have in common, of a posterior that knows it."""
        assert posterior.gross is not None
        return cls(basis, months, seed, hyperparameters_of(posterior.gross.error.of_draws(posterior.draws)), stream=GROSS)

    @property
    def draws(self) -> int:
        """How many."""
        return self.hyperparameters["structural_floor"].shape[1]

    def error(self, carbon: np.ndarray, area: np.ndarray, plant_type: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Error of some cells `[cell, month, draw]`, gC; what no tower adds has mean zero over the draws.

        Args:
            carbon: GPP and RECO of each cell `[cell, month, 2, draw]`, gC.
            area: of each cell `[cell]`, m2.
            plant_type: of each cell `[cell]`.
            features: `FieldBasis.sums` of each cell `[cell, feature]`.
        """
        size = area[:, None, None] * (self.months.end - self.months.first)[:, None]
        activity, means = carbon.sum(axis=2) / 2.0 / size, features / area[:, None]
        found = np.empty(activity.shape)
        for kind in np.unique(plant_type):
            here = plant_type == kind
            found[here] = self._of_cells(int(kind), activity[here], means[here])
        return found * size

    def _of_cells(self, kind: int, activity: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Error of cells of a plant type `[cell, month, draw]`, gC m-2 d-1."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        made, of, waves = self._made[kind], self._of_type(kind), means[:, : self.basis.waves]
        near = means[:, self.basis.waves + made.tower]
        variance = ((waves * self.basis.weights(np.ones(self.basis.waves))) ** 2).sum(axis=1)[:, None]
        of_cell = amplitude(of["structural_amplitude"], waves @ made.score + near @ made.scores, variance, of[LEVEL])[:, None]
        size, activity = of_cell * size_of(of, activity), of_cell * activity
        error = size * np.tensordot(waves, made.waves[0], 1)
        lasting = of["structural_year"] * np.tensordot(waves, made.waves[1], 1)
        lasting += of["structural_place"] * np.tensordot(waves, made.waves[2], 1)  # the same in all months
        error += activity * lasting
        error -= error.mean(axis=-1, keepdims=True)
        if len(made.tower):
            error += size * np.tensordot(near, made.weeks, 1)
            error += activity * np.tensordot(near, made.lasting, 1)
        return error

    def _measured(self, kind: int) -> Measured:
        """Of the towers of a plant type."""
        tower = np.array([at for at, one in enumerate(self.basis.towers) if PLANT_TYPES.index(one.plant_type) == kind], int)
        at, waves = self.basis.at(self.basis.at_towers[tower]), self.basis.waves
        known, nothing = self.residuals, np.zeros(0, int)
        rows, of_tower, first, end, of_month = nothing, nothing, nothing, nothing, nothing
        if known is not None and len(tower):
            places = np.array([self.places.index(self.basis.towers[number].name) for number in tower])
            rows = np.flatnonzero(np.isin(known.place, places))
            of_tower = (known.place[rows, None] == places).argmax(axis=1)
            first, once, of_month = np.unique(known.first[rows], return_index=True, return_inverse=True)
            end = known.end[rows][once]
        return Measured(tower, Periods(first, end), rows, of_tower, of_month, at[:, :waves], at[:, waves + tower])

    def _make(self, kind: int) -> OfKind:
        """Draw the fields, and condition them on the towers."""
        measured, mapped, draws = self._measured(kind), len(self.months.first), self.draws
        every = self.months.and_then(measured.months)
        waves = [np.empty((self.basis.waves, months, draws), np.float32) for months in (mapped, mapped, 1)]
        prior, normal = np.empty((PARTS, len(measured.rows), draws)), np.empty((len(measured.rows), draws))
        units: dict[tuple[float, ...], Units] = {}
        score = np.empty((self.basis.waves, draws))
        for draw in range(draws):
            values = self._of_draw(kind, draw)
            if (memory := memory_of(values)) not in units:
                units[memory] = Units(found := unit_means(values, every, every), [roots(one) for one in found])
            random = [self._random(kind, draw, part) for part in range(PARTS)]
            for part, root in enumerate(units[memory].roots):
                shock = random[part].standard_normal((len(every.first), self.basis.waves), np.float32)  # mapped months first
                path = root @ self.basis.weights(shock)
                waves[part][..., draw] = path[:mapped].T
                prior[part, :, draw] = (measured.waves @ path[mapped:].T)[measured.of_tower, measured.of_month]
            place = self.basis.weights(random[2].standard_normal(self.basis.waves, np.float32))
            waves[2][:, 0, draw], prior[2, :, draw] = place, (measured.waves @ place)[measured.of_tower]
            normal[:, draw] = random[2].standard_normal(len(measured.rows))
            score[:, draw] = self.basis.weights(self._random(kind, draw, SCORE).standard_normal(self.basis.waves))
        scores, amplitudes = self._amplitudes(kind, measured, units, measured.waves @ score)
        return OfKind(waves, measured.tower, score, scores, *self._through(kind, measured, units, prior, normal, amplitudes))

    def _amplitudes(self, kind: int, measured: Measured, units: dict, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the towers add to the scores of a field `[tower, draw]`, and their amplitudes `[tower, draw]`.

        Args:
            kind: plant type.
            measured: months of the towers.
            units: as of `_through`.
            prior: scores of the field at the towers `[tower, draw]`.
        """
        mapped, of, known, given = len(self.months.first), self._of_type(kind), self.residuals, prior.copy()
        for draw in range(prior.shape[1]) if known is not None else ():
            values, row, random = self._of_draw(kind, draw), int(known.row[draw]), self._random(kind, draw, SCORE + 1)
            noise = known.noise(values, row)
            for tower, share in enumerate(random.uniform(size=len(measured.tower))):
                own = measured.of_tower == tower
                rows, activity = measured.rows[own], known.activity[row, measured.rows[own]].astype(float)
                here = Errors(mapped + measured.of_month[own], size_of(values, activity), activity)
                error = covariance(values, units[memory_of(values)].means, here, here, 1.0)
                residual = known.residual[row, rows].astype(float)
                given[tower, draw] = score_given(error, noise[rows], residual, values["structural_amplitude"], values[LEVEL], share)
        shared = measured.correlation + 1e-6 * np.eye(len(prior))
        return np.linalg.solve(shared, given - prior), amplitude(of["structural_amplitude"], given, level=of[LEVEL])

    def _through(
        self, kind: int, measured: Measured, units: dict, prior: np.ndarray, normal: np.ndarray, amplitudes: np.ndarray
    ) -> np.ndarray:
        """What the towers add to weeks, and to what lasts `[2, tower, month, draw]`.

        Args:
            kind: plant type.
            measured: months of the towers.
            units: of mapped months, then those of the towers, by `memory_of`.
            prior: unit fields there `[part, row, draw]`.
            normal: standard normal numbers for their measuring errors `[row, draw]`.
            amplitudes: of the towers `[tower, draw]`.
        """
        mapped, of, known = len(self.months.first), self._of_type(kind), self.residuals
        found = np.zeros((2, len(measured.tower), mapped, normal.shape[1]))
        if known is None or not len(measured.rows):
            return found
        activity, residual = (values[known.row][:, measured.rows].T.astype(float) for values in (known.activity, known.residual))
        size, activity = (amplitudes[measured.of_tower] * one for one in (size_of(of, activity), activity))
        of_draws = [self._of_draw(kind, draw) for draw in range(normal.shape[1])]
        noise = np.stack([known.noise(one, int(row))[measured.rows] for one, row in zip(of_draws, known.row, strict=True)], axis=1)
        error = size * prior[0] + activity * (of["structural_year"] * prior[1] + of["structural_place"] * prior[2]) + noise**0.5 * normal
        left = residual - (error - error.mean(axis=1, keepdims=True))
        alike = measured.correlation[np.ix_(measured.of_tower, measured.of_tower)]
        of_tower = measured.of_tower[:, None] == np.arange(len(measured.tower))
        for draw, values in enumerate(of_draws):
            weeks, years = units[memory_of(values)].means
            here = Errors(mapped + measured.of_month, size[:, draw], activity[:, draw])
            within = covariance(values, (weeks, years), here, here, alike) + np.diag(noise[:, draw])
            gain = np.linalg.solve(within, left[:, draw])[:, None] * of_tower  # [row, tower]
            lasting = values["structural_year"] ** 2 * years[:mapped, here.period] + values["structural_place"] ** 2
            found[0, ..., draw] = (weeks[:mapped, here.period] @ (here.size[:, None] * gain)).T
            found[1, ..., draw] = (lasting @ (here.activity[:, None] * gain)).T
        return found

    def _random(self, kind: int, draw: int, part: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.stream, kind, draw, part])

    def _of_type(self, kind: int) -> dict[str, np.ndarray]:
        return {name: values[kind] for name, values in self.hyperparameters.items()}

    def _of_draw(self, kind: int, draw: int) -> dict[str, float]:
        return {name: float(values[draw]) for name, values in self._of_type(kind).items()}


def hyperparameters_of(error: StructuralError) -> dict[str, np.ndarray]:
    """Name -> value of each plant type and draw `[plant type, draw]`, and `LEVEL`."""
    of_types = [error.of_type(kind) for kind in range(len(PLANT_TYPES))]
    return {name: np.array([one[name] for one in of_types], float) for name in of_types[0]}
