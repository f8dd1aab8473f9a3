"""Baselines, scored in the same run as a model: climatology, three kinds of trees, and VPRM.

`baseline.fit(sequences).predict(sequences)` gives variable -> `[time, place]`; probabilistic ones also have `.draws(sequences)`. A
published VPRM needs no fit, its `fit` returns itself. The trees need the extra `baselines`.
"""

from hybridflux.evaluate.baselines.baseline import FLUXES, Baseline
from hybridflux.evaluate.baselines.boosted_trees import LightGBM, XGBoost
from hybridflux.evaluate.baselines.forest import QuantileForest
from hybridflux.evaluate.baselines.mean_seasonal_cycle import Climatology
from hybridflux.evaluate.baselines.predictors import PREDICTORS
from hybridflux.evaluate.baselines.refit import RefittedVPRM
from hybridflux.evaluate.baselines.vprm import VPRM

__all__ = ["FLUXES", "PREDICTORS", "VPRM", "Baseline", "Climatology", "LightGBM", "QuantileForest", "RefittedVPRM", "XGBoost"]
