"""The physics: pure, keyword-only functions of named arrays that broadcast, array in and array out.

Here belongs an equation with its reference and its doctest. Not here: networks, parameters' values or priors, loops over
time, files, units other than the internal ones. A function does not know that it is differentiated, batched, Bayesian or
mapped. Its argument names are rows of `hybridflux.vocabulary`; that is its whole declaration. Things with memory are a
`Memory` of such functions.
"""

import sys
from types import ModuleType

from hybridflux.process import declare, deep_water, direct, light, observation, respiration, stress, vegetation, water
from hybridflux.process.call import Memory, arguments, call, product

__all__ = [
    "Memory", "arguments", "call", "declare", "deep_water", "direct", "light", "observation", "product", "respiration", "stress",
    "vegetation", "water",
]  # fmt: skip


class _Room(ModuleType):
    """This room; called, it is the decorator `declare.process`, because `hf.process` names both."""

    def __call__(self, *args, **kwargs):
        return declare.process(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
