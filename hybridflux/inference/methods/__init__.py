"""The family of methods: each is a frozen object with the verb `fit`."""

from hybridflux.inference.methods.base import AbstractMethod
from hybridflux.inference.methods.ensemble import Ensemble
from hybridflux.inference.methods.laplace import LaplaceApproximation
from hybridflux.inference.methods.map import MAP
from hybridflux.inference.methods.nuts import NUTS
from hybridflux.inference.methods.svi import SVI

__all__ = ["MAP", "NUTS", "SVI", "AbstractMethod", "Ensemble", "LaplaceApproximation"]
