"""R-hat and effective draws of chains, by ArviZ: rank-normalised split R-hat and bulk effective sample size.

Vehtari et al. 2021, Bayesian Analysis 16, 667-718, 10.1214/20-BA1221.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import ModuleType

import numpy as np


def arviz() -> ModuleType:
    """ArviZ, imported when it is first needed: it takes seconds; what it says of its own next version is not for a user of hybridflux."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        return arviz


def convergence(chained: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> R-hat and effective draws of each element; R-hat is NaN where all draws are the same.

    Args:
        chained: name -> draws `[chain, draw, ...]`.
    """
    az = arviz()
    data = az.convert_to_dataset({name: np.asarray(values, float) for name, values in chained.items()})
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat, effective = az.rhat(data), az.ess(data)
    return {name: (r_hat[name].to_numpy(), effective[name].to_numpy()) for name in chained}
