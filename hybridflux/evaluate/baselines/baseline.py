"""The protocol of a baseline."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from types import ModuleType
from typing import Protocol

import numpy as np

from hybridflux.model.sequences import Sequences


class Baseline(Protocol):
    """Anything fitted to the targets of sequences that predicts them elsewhere.

    One that knows how sure it is has `draws(sequences, count=..., seed=...)` too: variable -> `[draw, time, place]`, gC m-2 d-1.

    Attributes:
        needs: names of the drivers and covariates it reads.
    """

    @property
    def needs(self) -> Collection[str]: ...

    def fit(self, sequences: Sequences) -> Baseline:
        """The same baseline, fitted."""
        ...

    def predict(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Variable -> `[time, place]`, gC m-2 d-1."""
        ...


def extra(module: str, baseline: str) -> ModuleType:
    """A module of the extra `baselines`.

    Raises:
        ModuleNotFoundError: it is not installed; names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ModuleNotFoundError(f"the {baseline} baseline needs {package}: pip install 'hybridflux[baselines]'") from error
