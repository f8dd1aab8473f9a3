"""The model: process functions with a source for each parameter, as one equinox pytree.

Belongs here: what a parameter is made of, how a day becomes a series, observation errors, saving a model as JSON.
Does not belong here: equations (process/), priors and samplers (inference/), files of data (data/).
"""

from hybridflux.model.flux import HybridFlux
from hybridflux.model.noise import Laplace, StudentT
from hybridflux.model.power_of import PowerOf
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Fixed, Given, Neural, PerClass, Pooled, Shared

__all__ = ["Fixed", "Given", "HybridFlux", "Laplace", "Neural", "PerClass", "Pooled", "PowerOf", "Sequences", "Shared", "StudentT"]
