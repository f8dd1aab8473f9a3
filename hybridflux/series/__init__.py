"""Daily series of an index from irregular clear views: cleaned, gap-filled, with a standard deviation that holds what it claims.

Here belong pure functions of arrays `[view, pixel]` and `[time, pixel]`: the process, its filter and smoother, the rejection of outliers,
the hyperparameters that pixels share, and draws of a series. Not here: files, dates, masks of a product, the meaning of an index.
"""

from hybridflux.series.gap_filling import Daily, fill
from hybridflux.series.hyperparameters import SeriesProcess
from hybridflux.series.marginal_likelihood import learn
from hybridflux.series.simulation_smoother import draw

__all__ = ["Daily", "SeriesProcess", "draw", "fill", "learn"]
