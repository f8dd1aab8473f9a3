"""Inference: one probabilistic model, several methods, one verb `method.fit(model, sequences, seed=...) -> Posterior`.

Belongs here: priors and likelihood put together, optimisers and samplers, posteriors on disk.
Does not belong here: equations, files of towers, maps.
"""

from hybridflux.inference.methods import MAP, NUTS, SVI, Ensemble, LaplaceApproximation
from hybridflux.inference.posterior import Posterior

__all__ = ["MAP", "NUTS", "SVI", "Ensemble", "LaplaceApproximation", "Posterior"]
