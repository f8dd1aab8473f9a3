"""Baselines, scored in the same run as a model: climatology, three kinds of trees, and VPRM.

`baseline.fit(sequences).predict(sequences)` gives variable -> `[time, place]`; probabilistic ones also have `.draws(sequences)`. A
published VPRM needs no fit, its `fit` returns itself. The trees need the extra `baselines`. One from outside is a class with the same
methods and `needs` (`Baseline`), chosen by its name as those here (`baseline_of`).
"""

from collections.abc import Collection
from dataclasses import replace

from hybridflux.evaluate.baselines.baseline import Baseline
from hybridflux.evaluate.baselines.boosted_trees import LightGBM, XGBoost
from hybridflux.evaluate.baselines.forest import QuantileForest
from hybridflux.evaluate.baselines.mean_seasonal_cycle import Climatology
from hybridflux.evaluate.baselines.predictors import PREDICTORS, REFLECTANCE_PREDICTORS
from hybridflux.evaluate.baselines.refit import RefittedVPRM
from hybridflux.evaluate.baselines.vprm import VPRM
from hybridflux.registry import Registry

__all__ = [
    "BASELINES", "PREDICTORS", "REFLECTANCE_PREDICTORS", "VPRM", "Baseline", "Climatology", "LightGBM", "QuantileForest", "RefittedVPRM",
    "XGBoost", "baseline_of",
]  # fmt: skip

_HERE = "hybridflux.evaluate.baselines"
BASELINES = Registry(
    "baselines",
    "baseline",
    {
        "climatology": f"{_HERE}:Climatology",
        "lightgbm": f"{_HERE}:LightGBM",
        "xgboost": f"{_HERE}:XGBoost",
        "quantile-forest": f"{_HERE}:QuantileForest",
        "vprm": f"{_HERE}:VPRM",
        "vprm-refitted": f"{_HERE}:RefittedVPRM",
    },
    references=True,
)
"""Name -> class of a baseline."""


def baseline_of(name: str, drivers: Collection[str] = ()) -> Baseline:
    """A baseline that is not fitted yet, with its usual settings.

    Args:
        name: of `BASELINES`: of hybridflux, of an installed package, registered, or `module:Class` of an imported module.
        drivers: what the model beside it reads; where NIRv is among it, trees read NIRv and LSWI in place of FPAR, so that all see the
            same satellites.

    Raises:
        ValueError: nothing has this name, or what has it lacks `fit`, `predict` or `needs`.
    """
    found = BASELINES(name)
    baseline = found() if isinstance(found, type) else found
    lacks = [part for part in ("needs", "fit", "predict") if not hasattr(baseline, part)]
    if lacks:
        raise ValueError(f"`{name[:80]}` is no baseline: it has no {', '.join(lacks)}; see hybridflux.evaluate.baselines.Baseline")
    if "nirv" in drivers and isinstance(baseline, LightGBM | XGBoost | QuantileForest) and baseline.predictors == PREDICTORS:
        return replace(baseline, predictors=REFLECTANCE_PREDICTORS)
    return baseline
