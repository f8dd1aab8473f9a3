"""What is kept of a run: one file for each output, the store of maps, totals merged over tiles, GeoTIFFs.

An output is an object with the contract of `base.py`; `KEEP` is what a run keeps unless it is given others.
"""

from hybridflux.region.outputs.base import ArraySpec, Output
from hybridflux.region.outputs.daily_maps import DailyMaps
from hybridflux.region.outputs.daily_series import DailySeries
from hybridflux.region.outputs.period_maps import AnomalyMaps, Applicability, PeriodMaps, TrendMaps
from hybridflux.region.outputs.zone_totals import PixelTotals, ZoneTotals

KEEP: tuple[Output, ...] = (PeriodMaps(), ZoneTotals(), DailySeries())
"""Maps of months and years, totals of zones and the daily series of land covers, of NEE, GPP and RECO."""

__all__ = [
    "KEEP", "AnomalyMaps", "Applicability", "ArraySpec", "DailyMaps", "DailySeries", "Output", "PeriodMaps", "PixelTotals",
    "TrendMaps", "ZoneTotals",
]  # fmt: skip
