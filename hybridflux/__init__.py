"""hybridflux: a differentiable hybrid carbon-flux model, fitted to towers and mapped at 10 m.

`fluxes = process(drivers, parameters)` and `parameters = sources(covariates)`; a posterior is the same model with one
more leading axis. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.

The public names stand in `__init__.pyi` and are imported when they are first used, so `import hybridflux` costs nothing.

>>> import hybridflux as hf
>>> hf.PARAMETERS["q10"].typical
1.5
"""

from hybridflux import lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
