"""French towers without a vegetation series, made readable for E07: they borrow the mean course of reflectance of their plant type.

FR-Hes, FR-LGt and FR-Tou have daily flux files but no reflectance. FR-Aur and FR-Lam have monthly files alone: each day gets the monthly
mean of TA_F, SW_IN_F, VPD_F and P_F (it rains a little every day), and the daily minimum and night temperature are those that
`data.drivers` derives from it. None of them is ever fitted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.reflectance import FOLDER
from hybridflux.data.towers import Towers, open_towers
from hybridflux.evaluate.seasons import day_of_year, seasonal_cycle

DAILY = ("FR-Hes", "FR-LGt", "FR-Tou")
MONTHLY = {
    "FR-Aur": {"name": "Aurade", "lat": 43.5496, "lon": 1.1061, "elev": 250.0, "igbp": "CRO", "utc_offset": 1},
    "FR-Lam": {"name": "Lamasquere", "lat": 43.4964, "lon": 1.2379, "elev": 181.0, "igbp": "CRO", "utc_offset": 1},
}
"""Places of the sites that `sites.csv` does not list, as FLUXNET gives them."""
COLUMNS = ("TA_F", "SW_IN_F", "VPD_F", "P_F", "NEE_VUT_REF", "NEE_VUT_REF_QC")
WINDOW = 15  # days of the running mean of the borrowed course
EVERY = 4  # days between two borrowed views
VIEWS = "modis_1km.csv.gz"
BANDS = ("red", "nir", "swir1640")
MISSING = -9999.0


def open_guests(data: Path, hosts: Towers, folder: Path, needs: Iterable[str]) -> Towers:
    """The five towers, from a towers folder that is written here.

    Args:
        data: the towers folder of the real data.
        hosts: towers with reflectance, whose mean course is lent.
        folder: is made.
        needs: what the model reads.
    """
    for part in ("fluxnet_dd", FOLDER):
        (folder / part).mkdir(parents=True, exist_ok=True)
    shutil.copy(data / "co2_annual.csv", folder)
    sites = pd.read_csv(data / "sites.csv").set_index("site_id").loc[list(DAILY), ["name", "lat", "lon", "elev", "igbp", "utc_offset"]]
    sites = pd.concat([sites, pd.DataFrame(MONTHLY).T])
    sites.to_csv(folder / "sites.csv", index_label="site_id")
    for site in DAILY:
        for file in (data / "fluxnet_dd").glob(f"FLX_{site}_*"):
            shutil.copy(file, folder / "fluxnet_dd")
    for site in MONTHLY:
        (file,) = (data / "monthly").glob(f"FLX_{site}_*")
        of_months(pd.read_csv(file)).to_csv(folder / "fluxnet_dd" / f"FLX_{site}_FLUXNET2015_FULLSET_DD_2005-2020.csv", index=False)
    days = np.arange(np.datetime64("2004-01-01"), np.datetime64("2021-01-01"))
    views = pd.read_csv(data / FOLDER / VIEWS, parse_dates=["date"])
    courses = {igbp: mean_course(views, lenders(hosts, igbp)) for igbp in sites["igbp"].unique()}
    number = day_of_year(days[::EVERY]) - 1
    lent = [courses[row.igbp].iloc[number].round().assign(site_id=site, date=days[::EVERY]) for site, row in sites.iterrows()]
    pd.concat(lent).dropna().to_csv(folder / FOLDER / VIEWS, index=False)
    return open_towers(folder, needs=needs, screen=None)


def of_months(table: pd.DataFrame) -> pd.DataFrame:
    """Monthly rows repeated on each of their days: monthly means and sums stay what they are."""
    months = pd.to_datetime(table["TIMESTAMP"].astype(str), format="%Y%m")
    rows = table.loc[:, list(COLUMNS)].fillna(MISSING)
    days = months.dt.days_in_month.to_numpy()
    stamps = [f"{day:%Y%m%d}" for month, count in zip(months, days, strict=True) for day in pd.date_range(month, periods=count)]
    return rows.loc[rows.index.repeat(days)].reset_index(drop=True).assign(TIMESTAMP=stamps)


def lenders(hosts: Towers, igbp: str) -> list[str]:
    """The towers of a plant type."""
    return list(hosts.sites.index[hosts.sites["igbp"] == igbp])


def mean_course(views: pd.DataFrame, sites: list[str]) -> pd.DataFrame:
    """Reflectance [1e-4] of each day of the year: the mean over all years and, every site alike, over the sites."""
    courses = []
    for _, own in views[views["site_id"].isin(sites)].groupby("site_id"):
        courses.append(seasonal_cycle(own["date"].to_numpy("datetime64[D]"), own[list(BANDS)].to_numpy(float).T, WINDOW))
    return pd.DataFrame(np.nanmean(courses, axis=0).T, columns=BANDS)
