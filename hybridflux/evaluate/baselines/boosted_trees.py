"""Gradient-boosted trees on `PREDICTORS`, one model per flux, trained on that flux (they need the extra `baselines`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hybridflux.evaluate.baselines.baseline import extra
from hybridflux.evaluate.baselines.predictors import PREDICTORS, drivers_of, predictor_table
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import CARBON

TREES = 400
LIGHTGBM = {
    "objective": "regression", "num_leaves": 31, "learning_rate": 0.05, "num_threads": 1, "seed": 0, "deterministic": True,
    "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
XGBOOST = {"objective": "reg:squarederror", "tree_method": "hist", "max_depth": 6, "eta": 0.05, "subsample": 0.8, "nthread": 1, "seed": 0}


@dataclass(frozen=True)
class _Boosted:
    """Base of both libraries.

    Attributes:
        variables: fluxes to predict.
        predictors: drivers and `day_of_year`.
        trees: boosting rounds.
        settings: parameters of the library.
        boosters: variable -> trees, once fitted.
    """

    variables: Sequence[str] = CARBON
    predictors: Sequence[str] = PREDICTORS
    trees: int = TREES
    settings: Mapping[str, Any] = field(default_factory=dict)
    boosters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[str, ...]:
        """What towers are asked for."""
        return drivers_of(self.predictors)

    def fit(self, sequences: Sequences):
        """Trees of these sites, from the days each flux was measured.

        Raises:
            ModuleNotFoundError: the library is not installed.
            ValueError: the sequences lack a predictor.
        """
        library = extra(type(self).__name__.lower(), type(self).__name__)
        table = predictor_table(sequences, self.predictors, type(self).__name__)
        boosters = {}
        for name in self.variables:
            seen = np.isfinite(sequences.targets[name])
            boosters[name] = self._train(library, table[seen], sequences.targets[name][seen])
        return replace(self, boosters=boosters)

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        if not self.boosters:
            raise ValueError(f"these trees are not fitted; use {type(self).__name__}().fit(sequences).predict(...)")
        table = predictor_table(sequences, self.predictors, type(self).__name__)
        rows = table.reshape(-1, table.shape[-1])
        return {name: self._values(booster, rows).reshape(table.shape[:2]) for name, booster in self.boosters.items()}


@dataclass(frozen=True)
class LightGBM(_Boosted):
    """Trees of lightgbm."""

    settings: Mapping[str, Any] = field(default_factory=lambda: dict(LIGHTGBM))

    def _train(self, lightgbm, rows: np.ndarray, target: np.ndarray):
        data = lightgbm.Dataset(rows, target, feature_name=list(self.predictors))
        return lightgbm.train(dict(self.settings), data, num_boost_round=self.trees)

    @staticmethod
    def _values(booster, rows: np.ndarray) -> np.ndarray:
        return booster.predict(rows)


@dataclass(frozen=True)
class XGBoost(_Boosted):
    """Trees of xgboost."""

    settings: Mapping[str, Any] = field(default_factory=lambda: dict(XGBOOST))

    def _train(self, xgboost, rows: np.ndarray, target: np.ndarray):
        return xgboost.train(dict(self.settings), xgboost.DMatrix(rows, target), num_boost_round=self.trees)

    @staticmethod
    def _values(booster, rows: np.ndarray) -> np.ndarray:
        return booster.inplace_predict(rows)
