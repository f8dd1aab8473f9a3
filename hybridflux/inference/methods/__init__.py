"""The family of methods: each is a frozen object with the verb `fit`, in a file of its own, and chosen by its name."""

from hybridflux.registry import Registry

_HERE = "hybridflux.inference.methods"
METHODS = Registry(
    "methods",
    "posterior method",
    {
        "map": f"{_HERE}.map:MAP",
        "ensemble": f"{_HERE}.ensemble:Ensemble",
        "laplace": f"{_HERE}.laplace:LaplaceApproximation",
        "svi": f"{_HERE}.svi:SVI",
        "nuts": f"{_HERE}.nuts:NUTS",
        "randomised": f"{_HERE}.randomised:RandomisedEnsemble",
    },
    references=True,
)
"""Name -> subclass of `base.AbstractMethod`."""
