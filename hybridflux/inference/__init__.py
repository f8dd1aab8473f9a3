"""Inference: one probabilistic model, several methods, one verb `method.fit(model, sequences, seed=...) -> Posterior`.

Belongs here: priors and likelihood put together, optimisers and samplers, posteriors on disk.
Does not belong here: equations, files of towers, maps.

The names below are imported when they are first used: a map needs a posterior, and none of the samplers.
"""

from importlib import import_module

_HOME = {
    "MAP": "methods",
    "Ensemble": "methods",
    "LaplaceApproximation": "methods",
    "NUTS": "methods",
    "Posterior": "posterior",
    "SVI": "methods",
    "method_of": "methods.settings",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module `hybridflux.inference` has no attribute `{name}`")
    found = getattr(import_module(f"hybridflux.inference.{_HOME[name]}"), name)
    globals()[name] = found
    return found
