"""Carbon export by harvest and wood removal, gains of biomass and soil, and their measurement by an inventory.

For every parcel and year: gain = -NEE - export = biomass + soil, exactly. An inventory measures each pool with an error. A real
soil inventory needs ten years; the twin gives the change of one year, so that a one-year budget can be closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.spreadsheet import write_csv
from hybridflux.twin.landscape import Landscape
from hybridflux.twin.phenology import Greenness
from hybridflux.twin.region_truth import RegionTruth
from hybridflux.vocabulary import PLANT_TYPES

FORESTS = ("DBF", "ENF", "MF", "EBF")
THINNED = 0.3  # share of the forest parcels that lose wood in a year
WOOD = 180.0, 380.0  # gC m-2 removed where wood is removed
FOREST_SOIL = 18.0, 12.0  # gC m-2 yr-1 gained by forest soil: mean and standard deviation over parcels
ERROR = {"biomass": 40.0, "soil": 55.0, "export": 12.0}
"""Standard error of a zone's inventory, gC m-2 yr-1; biomass of fields and meadows and wood-free export are known better."""
SMALL_ERROR = 10.0
REGION = "region"


@dataclass(frozen=True)
class Ledger:
    """True pools of each parcel, mean over the mapped years, gC m-2 yr-1 `[parcel]`; NaN without vegetation.

    Attributes:
        nee: net exchange, positive to the atmosphere.
        export: carbon that leaves with harvest and wood.
        biomass: gain of biomass.
        soil: gain of soil.
    """

    nee: np.ndarray
    export: np.ndarray
    biomass: np.ndarray
    soil: np.ndarray


def make_ledger(land: Landscape, green: Greenness, truth: RegionTruth, years: tuple[int, int], rng: np.random.Generator) -> Ledger:
    """Export and stock changes that balance the true fluxes of whole years.

    Args:
        land: the region.
        green: harvests and mowings, with the exported share of each.
        truth: true fluxes of the region.
        years: first and last year, both included.
        rng: source of random numbers.
    """
    number, span = len(land.cover), years[1] - years[0] + 1
    when = truth.days.astype("datetime64[Y]").astype(int) + 1970
    inside = (when >= years[0]) & (when <= years[1])
    nee = truth.by_parcel["NEE"][inside].sum(axis=0) / span
    export = np.zeros(number)
    for parcel in range(number):
        for cut, (start, share) in zip(green.cuts[parcel], green.export[parcel], strict=True):
            if inside[cut]:
                export[parcel] += share * truth.by_parcel["GPP"][start:cut, parcel].sum() / span
    wood = (rng.random(number) < THINNED) * rng.uniform(*WOOD, number)
    forest = np.isin(land.cover, FORESTS)
    export = np.where(np.isnan(nee), np.nan, np.where(forest, wood, export))
    gain = -nee - export
    soil = np.where(forest, rng.normal(*FOREST_SOIL, number), gain - rng.normal(0, 6, number))
    return Ledger(nee, export, gain - soil, np.where(np.isnan(nee), np.nan, soil))


def pools(land: Landscape, ledger: Ledger, area: np.ndarray) -> pd.DataFrame:
    """True pools per zone and land cover: zone, land_cover, area [m2] and NEE, export, biomass, soil [gC m-2 yr-1]."""
    per_parcel = pd.DataFrame(
        {
            "zone": [land.zone_names[number] for number in land.commune], "land_cover": land.cover,
            "area": np.bincount(land.parcel.ravel(), area.ravel()),
            "nee": ledger.nee, "export": ledger.export, "biomass": ledger.biomass, "soil": ledger.soil,
        }
    ).dropna()  # fmt: skip
    terms = ["nee", "export", "biomass", "soil"]
    weighted = per_parcel.assign(**{name: per_parcel[name] * per_parcel["area"] for name in terms})
    sums = weighted.groupby(["zone", "land_cover"])[["area", *terms]].sum().reset_index()
    order = sums["land_cover"].map(PLANT_TYPES.index)
    sums = sums.assign(order=order).sort_values(["zone", "order"], ignore_index=True).drop(columns="order")
    return sums.assign(**{name: sums[name] / sums["area"] for name in terms})


def write_inventory(path: str | Path, true_pools: pd.DataFrame, years: tuple[int, int], rng: np.random.Generator) -> None:
    """Measure the pools with error and write the table that `hybridflux budget --inventory` reads.

    Rows of a zone have independent errors; rows of the region are their means weighted by area.
    """
    rows, measured = [], {}
    for entry in true_pools.itertuples():
        for pool in ("biomass", "soil", "export"):
            sd = _error(pool, entry.land_cover, getattr(entry, pool))
            value = getattr(entry, pool) + sd * rng.standard_normal()
            measured.setdefault((entry.land_cover, pool), []).append((entry.area, value, sd))
            rows.append((entry.zone, entry.land_cover, pool, *years, value, sd))
    regional = []
    for (cover, pool), parts in measured.items():
        area, value, sd = np.array(parts).T
        share = area / area.sum()
        regional.append((REGION, cover, pool, *years, (share * value).sum(), np.sqrt(((share * sd) ** 2).sum())))
    columns = ["zone", "land_cover", "pool", "start_year", "end_year", "value", "sd"]
    write_csv(pd.DataFrame(regional + rows, columns=columns).round(1), path)


def _error(pool, cover, value):
    if (pool == "biomass" and cover not in FORESTS) or (pool == "export" and cover in FORESTS):
        return SMALL_ERROR
    return ERROR[pool] + (0.05 * abs(value) if pool == "export" else 0.0)
