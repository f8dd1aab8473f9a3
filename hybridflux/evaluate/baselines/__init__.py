"""What any model has to beat, in the same run: climatology, trees of three kinds and VPRM.

`baseline.fit(sequences).predict(sequences)` gives variable -> `[time, place]`; what has a spread also has `.draws(sequences)`. A
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
