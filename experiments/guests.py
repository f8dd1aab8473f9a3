"""French towers without a vegetation series, made readable for E07: they borrow the mean course of FPAR of their plant type.

FR-Hes, FR-LGt and FR-Tou have daily flux files but no FPAR. FR-Aur and FR-Lam have monthly files alone: each day gets the monthly mean of
TA_F, SW_IN_F, VPD_F and P_F (it rains a little every day), and the daily minimum and night temperature are those that `data.drivers`
derives from it. None of them is ever fitted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.gaps import GIVEN
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
MISSING = -9999.0


def open_guests(data: Path, hosts: Towers, folder: Path) -> Towers:
    """The five towers, from a towers folder that is written here.

    Args:
        data: the towers folder of the real data.
        hosts: towers with FPAR, whose mean course is lent.
        folder: is made.
    """
    for part in ("fluxnet_dd", "satellite"):
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
    lent = [pd.DataFrame({"site_id": site, "date": days, "fapar": mean_course(hosts, row.igbp, days)}) for site, row in sites.iterrows()]
    pd.concat(lent).to_csv(folder / "satellite" / "lent.csv", index=False)
    return open_towers(folder)


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


def mean_course(hosts: Towers, igbp: str, days: np.ndarray) -> np.ndarray:
    """FPAR [1] of each day: the mean over all years and, every site alike, over the sites of a plant type."""
    own = hosts.daily.sel(site=lenders(hosts, igbp))
    given = np.where(own["fapar_flag"].to_numpy() == GIVEN, own["fapar"].to_numpy(), np.nan)
    dates = own["time"].to_numpy().astype("datetime64[D]")
    course = np.nanmean([seasonal_cycle(dates, series, WINDOW) for series in given.T], axis=0)
    return course[day_of_year(days) - 1].round(4)
