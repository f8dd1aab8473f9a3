"""What is kept of a run: the result of a tile in order, the store of fluxes, totals of zones merged over tiles, GeoTIFFs."""

from hybridflux.region.outputs.daily_maps import DailyMaps
from hybridflux.region.outputs.period_maps import PeriodMaps

__all__ = ["KEEP", "DailyMaps", "PeriodMaps"]

KEEP = (PeriodMaps(),)
"""What a run keeps unless it is said otherwise."""
