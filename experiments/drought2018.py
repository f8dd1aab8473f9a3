"""The summer of 2018 at towers around Flanders: by how much its weather, its vegetation and the measured GPP departed from usual summers.

What towers saw becomes changes of drivers that turn the summer of 2018 into a usual one. NIRv is that of Sentinel-2 at 10 m (2017-2024, the
drought of 2018 against the other summers), brought to the instrument of the region by the line of the catalog; LSWI that of MODIS at 1 km
(against 2000-2017), which dilutes a field by its surroundings: a lower bound.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from e15_scale import sentinel2

from hybridflux.data.catalog import load_catalog
from hybridflux.data.points import read_points
from hybridflux.data.reflectance import SMOOTHER, daily
from hybridflux.data.site_table import read_sites
from hybridflux.data.towers import open_towers

YEAR, SUMMER, LEAST_SUMMERS = 2018, (6, 7, 8), 3
WEATHER_AT = ("BE-Lon", "BE-Bra")  # 120 km from Roeselare, with weather of 2018
NEAR = {"lat": (46.0, 56.0), "lon": (-1.0, 16.0)}  # where the summer was dry
COVERS = {"GRA": ("GRA",), "CRO": ("CRO",), "forest": ("ENF", "DBF", "MF")}
LIKE, FAPAR_LIKE = "modis-1km-points", "modis-fpar-c5"
AMOUNTS = ("par", "vpd", "rain")
PUBLISHED = "GPP of the summer of 2018 against 2016 at 34 towers, grassland -38 %, forests -10 % (Fu et al. 2020, 10.1098/rstb.2019.0747)"


def _near(data: Path) -> pd.DataFrame:
    """Towers where the summer was dry."""
    table = read_sites(data / "towers").rows
    return table[table.lat.between(*NEAR["lat"]) & table.lon.between(*NEAR["lon"])]


def summer_means(series: pd.Series) -> pd.Series:
    """Mean of June to August of each year with enough days."""
    summer = series[series.index.month.isin(SUMMER)].dropna()
    by_year = summer.groupby(summer.index.year)
    return by_year.mean()[by_year.count() >= 60]


def departure(means: pd.Series) -> float | None:
    """2018 minus the mean of the other summers, where there are enough."""
    others = means.drop(YEAR, errors="ignore")
    return float(means[YEAR] - others.mean()) if YEAR in means and len(others) >= LEAST_SUMMERS else None


@cache  # reading takes seconds
def usual_weather(data: Path, at: tuple[str, ...] = WEATHER_AT) -> dict[str, str]:
    """Changes of drivers that give the summer of 2018 the usual mean weather of the towers nearby, or of those of some names."""
    towers = open_towers(data / "towers", sites=",".join(at), needs=("tair", *AMOUNTS), screen=None)
    days, changes = f"@{YEAR}-06-01:{YEAR}-08-31", {}
    for name in ("tair", *AMOUNTS):
        values = towers.daily[name].to_pandas()
        values = values.T if values.shape[0] == len(at) else values
        means = [summer_means(values[site]) for site in values]
        if name == "tair":
            changes[name] = f"{-np.mean([departure(one) for one in means]):+.3f}{days}"
        else:
            changes[name] = f"*{np.mean([one.drop(YEAR).mean() / one[YEAR] for one in means]):.3f}{days}"
    return changes


@cache
def vegetation_departures(data: Path) -> pd.DataFrame:
    """Departure of NDVI, NIRv and LSWI in the summer of 2018 by land cover: mean over towers, its standard error, towers."""
    near = _near(data)
    modis = data / "towers" / "reflectance" / "modis_1km.csv.gz"
    fine = sentinel2(data / "towers", list(near.index))
    views = {
        "ndvi": fine["ndvi"],
        "nirv": fine["nirv"],
        "lswi": read_points(modis, load_catalog()[LIKE], ("lswi",), list(near.index))["lswi"],
    }
    rows = []
    for index, seen in views.items():
        found = {site: departure(summer_means(of[index])) for site, of in daily(seen, SMOOTHER[index], index).items()}
        for cover, kinds in COVERS.items():
            values = np.array([value for site, value in found.items() if value is not None and near.igbp[site] in kinds])
            error = values.std(ddof=1) / np.sqrt(len(values))
            rows.append({"index": index, "land_cover": cover, "mean": values.mean(), "error": error, "towers": len(values)})
    return pd.DataFrame(rows)


def usual_vegetation(departures: pd.DataFrame, cover: str, *, line: bool) -> dict[str, str]:
    """Changes that take the departures of a land cover out of the summer of 2018; fapar follows NDVI by the line of its regions.

    Args:
        departures: of `vegetation_departures`, by land cover and index.
        cover: of which.
        line: whether NIRv of the region is that of MODIS by the line of the catalog.
    """
    of = departures["mean"][cover]
    slope = load_catalog()[LIKE].lines["nirv"]["all"].slope if line else 1.0
    days = f"@{YEAR}-06-01:{YEAR}-08-31"
    to_fapar = load_catalog()[FAPAR_LIKE].lines["ndvi"]
    departures = {"nirv": slope * of["nirv"], "lswi": of["lswi"], "fapar": to_fapar.get(cover, to_fapar["all"]).slope * of["ndvi"]}
    return {name: f"{-departure:+.4f}{days}" for name, departure in departures.items()}


def measured_losses(data: Path) -> pd.DataFrame:
    """Measured GPP of the summer of 2018 against the mean of the other summers of 2017-2023, per cent, at towers nearby."""
    near = _near(data)
    gpp = pd.read_csv(data / "towers" / "gpp_2017_2023.csv.gz", parse_dates=["date"])
    gpp = gpp[(gpp.NEE_VUT_MEAN_QC >= 0.5) & gpp.site_id.isin(near.index)]
    rows = []
    for site, of in gpp.groupby("site_id"):
        means = summer_means(of.set_index("date").GPP_NT_VUT_REF)
        change = departure(means)
        if change is not None:
            usual = means.drop(YEAR).mean()
            kind = near.igbp[site]
            cover = next((name for name, kinds in COVERS.items() if kind in kinds), kind)
            rows.append({"site": site, "land_cover": cover, "summers": len(means) - 1, "usual": usual, "percent": 100 * change / usual})
    return pd.DataFrame(rows)
