"""Inference: one probabilistic model, several methods, one verb `method.fit(model, sequences, seed=...) -> Posterior`.

Belongs here: priors and likelihood put together, optimisers and samplers, posteriors on disk.
Does not belong here: equations, files of towers, maps.

The names of `__init__.pyi` are imported when they are first used: a map needs a posterior, and none of the samplers.
"""

from hybridflux import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
