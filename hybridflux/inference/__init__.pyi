"""The names of the room (see `lazy.attach`)."""

from hybridflux.inference.methods.base import AbstractMethod as AbstractMethod
from hybridflux.inference.methods.base import Drawn as Drawn
from hybridflux.inference.methods.ensemble import Ensemble as Ensemble
from hybridflux.inference.methods.laplace import LaplaceApproximation as LaplaceApproximation
from hybridflux.inference.methods.map import MAP as MAP
from hybridflux.inference.methods.nuts import NUTS as NUTS
from hybridflux.inference.methods.randomised import RandomisedEnsemble as RandomisedEnsemble
from hybridflux.inference.methods.settings import method_of as method_of
from hybridflux.inference.methods.svi import SVI as SVI
from hybridflux.inference.posterior import Posterior as Posterior
