"""Daily series of an index from irregular clear views: cleaned, filled, with an honest standard deviation.

Here belong pure functions of arrays `[view, pixel]` and `[time, pixel]`: the process, its filter and smoother, which views to believe, the
numbers a region's pixels share, draws of a series. Not here: files, dates, masks of a product, what an index means.
"""

from hybridflux.series.daily import Daily, fill
from hybridflux.series.hyper import learn
from hybridflux.series.paths import draw
from hybridflux.series.prior import Prior

__all__ = ["Daily", "Prior", "draw", "fill", "learn"]
