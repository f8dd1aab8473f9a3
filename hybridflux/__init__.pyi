"""The public names, each with the module that it is imported from when it is first used (`lazy.attach`)."""

from hybridflux.data.catalog import load_catalog as load_catalog
from hybridflux.data.imagery.scene import Scene as Scene
from hybridflux.data.towers import open_towers as open_towers
from hybridflux.data.weather.daily_weather import Weather as Weather
from hybridflux.inference.methods.base import AbstractMethod as AbstractMethod
from hybridflux.inference.methods.base import Drawn as Drawn
from hybridflux.inference.methods.ensemble import Ensemble as Ensemble
from hybridflux.inference.methods.laplace import LaplaceApproximation as LaplaceApproximation
from hybridflux.inference.methods.map import MAP as MAP
from hybridflux.inference.methods.nuts import NUTS as NUTS
from hybridflux.inference.methods.svi import SVI as SVI
from hybridflux.inference.posterior import Posterior as Posterior
from hybridflux.model import observe as observe
from hybridflux.model.flux import HybridFlux as HybridFlux
from hybridflux.model.noise import Constant as Constant
from hybridflux.model.noise import Laplace as Laplace
from hybridflux.model.noise import StudentT as StudentT
from hybridflux.model.observed import Observed as Observed
from hybridflux.model.sequences import Sequences as Sequences
from hybridflux.model.sources import Fixed as Fixed
from hybridflux.model.sources import Given as Given
from hybridflux.model.sources import Neural as Neural
from hybridflux.model.sources import PerClass as PerClass
from hybridflux.model.sources import Pooled as Pooled
from hybridflux.model.sources import Shared as Shared
from hybridflux.process import light as light
from hybridflux.process import respiration as respiration
from hybridflux.process import stress as stress
from hybridflux.process import water as water
from hybridflux.process.call import Memory as Memory
from hybridflux.process.declare import check_process as check_process
from hybridflux.process.declare import process as process
from hybridflux.products.budget import budget_table as budget_table
from hybridflux.products.scenario import run_scenario as run_scenario
from hybridflux.region.map import map_region as map_region
from hybridflux.region.store.add_map import add_map as add_map
from hybridflux.registry import register as register
from hybridflux.report.page import write_report as write_report
from hybridflux.vocabulary import PARAMETERS as PARAMETERS
from hybridflux.vocabulary import PLANT_TYPES as PLANT_TYPES
from hybridflux.vocabulary import VARIABLES as VARIABLES
from hybridflux.vocabulary import Covariate as Covariate
from hybridflux.vocabulary import Parameter as Parameter
from hybridflux.vocabulary import Variable as Variable

__version__: str
