"""hybridflux: a differentiable hybrid carbon-flux model, fitted to towers and mapped at 10 m.

`fluxes = process(drivers, parameters)` and `parameters = sources(covariates)`; a posterior is the same model with one
more leading axis. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.

The public names below are imported when they are first used, so `import hybridflux` costs nothing.

>>> import hybridflux as hf
>>> hf.PARAMETERS["q10"].typical
1.5
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    # words
    "VARIABLES": "vocabulary",
    "PARAMETERS": "vocabulary",
    "PLANT_TYPES": "vocabulary",
    "Covariate": "vocabulary",
    "Parameter": "vocabulary",
    "Variable": "vocabulary",
    # physics: modules of functions
    "process": "process",
    "check_process": "process.declare",
    "Memory": "process.call",
    "light": "process.light",
    "stress": "process.stress",
    "respiration": "process.respiration",
    "water": "process.water",
    # model
    "HybridFlux": "model.flux",
    "Fixed": "model.sources",
    "Shared": "model.sources",
    "PerClass": "model.sources",
    "Neural": "model.sources",
    "Given": "model.sources",
    "Pooled": "model.sources",
    "Laplace": "model.noise",
    "StudentT": "model.noise",
    "Constant": "model.noise",
    "Observed": "model.observed",
    "observe": "model.observe",
    "Sequences": "model.sequences",
    # inference
    "MAP": "inference",
    "Ensemble": "inference",
    "LaplaceApproximation": "inference",
    "SVI": "inference",
    "NUTS": "inference",
    "Posterior": "inference.posterior",
    # data
    "open_towers": "data.towers",
    "load_catalog": "data.catalog",
    # region and products
    "add_map": "region.store.add_map",
    "map_region": "region.map",
    "KEEP": "region.outputs",
    "PeriodMaps": "region.outputs",
    "DailyMaps": "region.outputs",
    "ZoneTotals": "region.outputs",
    "DailySeries": "region.outputs",
    "Output": "region.outputs",
    "ArraySpec": "region.outputs",
    "run_scenario": "products.scenario",
    "budget_table": "products.budget",
    "write_report": "report.page",
}
"""Public name -> the module that holds it (or is it)."""

__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module `hybridflux` has no attribute `{name}`")
    module = import_module(f"hybridflux.{_HOME[name]}")
    found = module if _HOME[name].rpartition(".")[2] == name and not hasattr(module, name) else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
