"""A random forest with a predictive distribution: the targets in its leaves (needs the extra `baselines`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtr

from hybridflux.evaluate.baselines.baseline import extra
from hybridflux.evaluate.baselines.predictors import PREDICTORS, drivers_of, predictor_table
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import CARBON

FOREST = {"n_estimators": 100, "min_samples_leaf": 20, "max_features": 1 / 3, "max_samples": 0.2, "n_jobs": 1, "random_state": 0}
MEMORY = 30.0  # days: structural errors at towers fade in about five weeks, Kountouris et al. 2015, 10.5194/bg-12-7403-2015


@dataclass(frozen=True)
class QuantileForest:
    """Quantile regression forest on `PREDICTORS`, one per flux, trained on that flux.

    The predictive distribution of a day is that of the training targets in the leaves it falls into, with equal weight of every tree:
    Meinshausen 2006, Journal of Machine Learning Research 7, 983. Each draw takes one tree for the whole series and, in its leaf, the
    target of a rank that changes slowly, with `memory`: the distribution of a day does not depend on the memory, that of monthly and annual
    means does.

    Attributes:
        variables: fluxes to predict.
        predictors: drivers and `day_of_year`.
        memory: days after which the correlation of the ranks of a draw is 1/e; 0 for independent days.
        settings: parameters of scikit-learn's forest.
        forests: variable -> forest, once fitted.
    """

    variables: Sequence[str] = CARBON
    predictors: Sequence[str] = PREDICTORS
    memory: float = MEMORY
    settings: Mapping[str, Any] = field(default_factory=lambda: dict(FOREST))
    forests: Mapping[str, LeafTargets] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[str, ...]:
        """What towers are asked for."""
        return drivers_of(self.predictors)

    def fit(self, sequences: Sequences) -> QuantileForest:
        """A forest of these sites, from the days each flux was measured.

        Raises:
            ModuleNotFoundError: scikit-learn is not installed.
            ValueError: the sequences lack a predictor.
        """
        ensemble = extra("sklearn.ensemble", "QuantileForest")
        table = predictor_table(sequences, self.predictors, "QuantileForest")
        forests = {}
        for name in self.variables:
            seen = np.isfinite(sequences.targets[name])
            rows, target = table[seen], sequences.targets[name][seen]
            forests[name] = LeafTargets.of(ensemble.RandomForestRegressor(**self.settings).fit(rows, target), rows, target)
        return replace(self, forests=forests)

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Mean of the predictive distribution: variable -> `[time, place]`, gC m-2 d-1."""
        rows, shape = self._rows(sequences)
        return {name: forest.mean(rows).reshape(shape) for name, forest in self.forests.items()}

    def draws(self, sequences: Sequences, count: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
        """Predictive draws: variable -> `[draw, time, place]`, gC m-2 d-1.

        Args:
            sequences: days to predict.
            count: number of draws; a multiple of the number of trees lets all trees count the same.
            seed: seed of the ranks.
        """
        rows, shape = self._rows(sequences)
        leaves = {name: forest.leaves(rows).reshape(*shape, -1) for name, forest in self.forests.items()}
        out = {name: np.empty((count, *shape), np.float32) for name in self.forests}
        rng = np.random.default_rng(seed)
        for draw in range(count):
            ranks = wandering_ranks(rng, shape, self.memory)
            for name, forest in self.forests.items():
                tree = draw % forest.trees
                out[name][draw] = forest.target_of_rank(tree, leaves[name][..., tree], ranks)
        return out

    def _rows(self, sequences: Sequences) -> tuple[np.ndarray, tuple[int, int]]:
        if not self.forests:
            raise ValueError("this forest is not fitted; use QuantileForest().fit(sequences).draws(...)")
        table = predictor_table(sequences, self.predictors, "QuantileForest")
        return table.reshape(-1, table.shape[-1]), table.shape[:2]


@dataclass(frozen=True)
class LeafTargets:
    """A forest and the training targets in its leaves.

    Attributes:
        forest: scikit-learn's.
        targets: targets of every tree, ordered by leaf and value, `[tree, row]`.
        first: where the targets of a node begin, of every tree `[node]`.
        count: number of targets of a node, of every tree `[node]`.
    """

    forest: Any
    targets: np.ndarray
    first: tuple[np.ndarray, ...]
    count: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, forest, rows: np.ndarray, target: np.ndarray) -> LeafTargets:
        """Drop all rows `[row, predictor]` with their targets `[row]` into the trees."""
        leaves = forest.apply(rows)
        ordered = np.stack([target[np.lexsort((target, leaf))] for leaf in leaves.T]).astype(np.float32)
        count = tuple(np.bincount(leaf, minlength=tree.tree_.node_count) for leaf, tree in zip(leaves.T, forest.estimators_, strict=True))
        return cls(forest, ordered, tuple(np.cumsum(each) - each for each in count), count)

    @property
    def trees(self) -> int:
        """How many."""
        return len(self.targets)

    def leaves(self, rows: np.ndarray) -> np.ndarray:
        """The leaf of each row in each tree, `[row, tree]`."""
        return self.forest.apply(rows).astype(np.int32)

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """Mean of the targets in the leaves, every tree with equal weight, `[row]`."""
        leaves, total = self.leaves(rows), np.zeros(len(rows))
        for tree, (first, count) in enumerate(zip(self.first, self.count, strict=True)):
            held = count > 0
            mean = np.zeros(len(count))
            sums = np.concatenate([[0.0], np.cumsum(self.targets[tree], dtype=float)])
            mean[held] = (sums[(first + count)[held]] - sums[first[held]]) / count[held]
            total += mean[leaves[:, tree]]
        return total / self.trees

    def target_of_rank(self, tree: int, leaves: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """The target at a rank in (0, 1) of each leaf, shape of `leaves`."""
        return self.targets[tree][self.first[tree][leaves] + (ranks * self.count[tree][leaves]).astype(np.int64)]


def wandering_ranks(rng: np.random.Generator, shape: tuple[int, int], memory: float) -> np.ndarray:
    """Ranks `[time, place]`, each uniform in (0, 1), whose normal scores are a first-order autoregression.

    Args:
        rng: random generator.
        shape: days and places.
        memory: days after which the correlation is 1/e.
    """
    kept = np.exp(-1.0 / memory) if memory > 0 else 0.0
    score = rng.normal(size=shape)
    score[1:] *= np.sqrt(1.0 - kept**2)
    return np.clip(ndtr(lfilter([1.0], [1.0, -kept], score, axis=0)), 1e-7, 1.0 - 1e-7)
