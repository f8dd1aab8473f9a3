"""Daily series of an index from irregular clear views: cleaned, gap-filled, with a standard deviation that holds what it claims.

Here belong pure functions of arrays `[view, pixel]` and `[time, pixel]`: the process, its filter and smoother, the rejection of outliers,
the hyperparameters that pixels share, draws of a series, and what its drops say of mowing, harvest and felling. Not here: files, dates,
masks of a product, the meaning of an index.
"""

from hybridflux.series.cover import crops_grown, winter_cover
from hybridflux.series.cuts import CROP, GRASS, CutModel, Cuts, find_cuts
from hybridflux.series.fellings import FellingModel, Fellings, find_fellings
from hybridflux.series.gap_filling import Daily, fill
from hybridflux.series.hyperparameters import SeriesProcess
from hybridflux.series.marginal_likelihood import learn
from hybridflux.series.seen_days import seen_days
from hybridflux.series.simulation_smoother import draw

__all__ = [
    "CROP",
    "GRASS",
    "CutModel",
    "Cuts",
    "Daily",
    "FellingModel",
    "Fellings",
    "SeriesProcess",
    "crops_grown",
    "draw",
    "fill",
    "find_cuts",
    "find_fellings",
    "learn",
    "seen_days",
    "winter_cover",
]
