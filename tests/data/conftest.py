"""Synthetic towers folders: two years of plausible weather and fluxes in the layout a user downloads."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.solar import day_fraction, potential_par
from hybridflux.units import PAR_PER_SHORTWAVE

LATITUDE = 48.5


def daily_table(start="2009-01-01", end="2010-12-31", seed=0):
    """A FLUXNET daily table (FULLSET columns that are read)."""
    rng = np.random.default_rng(seed)
    days = pd.date_range(start, end)
    doy = days.day_of_year.to_numpy()
    season = np.cos(2 * np.pi * (doy - 200) / 365)
    clear = rng.uniform(0.2, 0.75, len(days))
    tair = 10 + 9 * season + rng.normal(0, 2, len(days))
    potential = potential_par(LATITUDE, doy) / (PAR_PER_SHORTWAVE * 0.0864)
    day = np.round(48 * day_fraction(LATITUDE, doy))
    nee_day, nee_night = -4 - 5 * season, 2 + season
    table = pd.DataFrame(
        {
            "TIMESTAMP": days.strftime("%Y%m%d"),
            "TA_F": tair,
            "TA_F_NIGHT": tair - 2,
            "SW_IN_POT": potential,
            "SW_IN_F": potential * clear,
            "VPD_F": np.clip(6 + 5 * season + rng.normal(0, 1, len(days)), 0.1, None),
            "P_F": np.where(rng.random(len(days)) < 0.3, rng.exponential(6, len(days)), 0),
            "DAY_D": day,
            "NIGHT_D": 48 - day,
            "NEE_VUT_REF": 1.0377504 * (day * nee_day + (48 - day) * nee_night) / 48,
            "NEE_VUT_REF_QC": 1.0,
            "NEE_VUT_REF_DAY": nee_day,
            "NEE_VUT_REF_DAY_QC": 1.0,
            "NEE_VUT_REF_NIGHT": nee_night,
            "NEE_VUT_REF_NIGHT_QC": 1.0,
            "NEE_VUT_REF_RANDUNC": 0.3,
            "GPP_NT_VUT_REF": 6 + 4 * season,
            "GPP_DT_VUT_REF": 7 + 4 * season,
            "RECO_NT_VUT_REF": 4 + 2 * season,
            "RECO_DT_VUT_REF": 4 + 2 * season,
        }
    )
    return table


def vegetation_table(sites, start="2008-06-01", end="2011-06-30"):
    """An 8-day series for some sites."""
    dates = pd.date_range(start, end, freq="8D")
    fapar = 0.5 + 0.3 * np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 200) / 365)
    return pd.concat([pd.DataFrame({"site_id": site, "date": dates.strftime("%Y-%m-%d"), "fapar": fapar.round(3)}) for site in sites])


class TowersFolder:
    """Writes the parts of a towers folder; each can be replaced or spoilt by a test."""

    def __init__(self, path, sites=("FR-Aaa", "DE-Bbb")):
        self.path = path
        self.sites = pd.DataFrame(
            {"site_id": sites, "name": sites, "lat": LATITUDE, "lon": 2.5, "elev": 100.0, "igbp": ["DBF", "ENF"][: len(sites)]}
        )
        (path / "fluxnet_dd").mkdir()
        (path / "satellite").mkdir()
        self.write_sites()
        for number, site in enumerate(sites):
            self.write(site, daily_table(seed=number))
        self.write_vegetation(vegetation_table(sites))

    def write_sites(self):
        self.sites.to_csv(self.path / "sites.csv", index=False)

    def write_vegetation(self, table, name="series.csv"):
        table.to_csv(self.path / "satellite" / name, index=False)

    def file(self, site, ending="csv"):
        return self.path / "fluxnet_dd" / f"FLX_{site}_FLUXNET2015_FULLSET_DD_2009-2010_1-4.{ending}"

    def write(self, site, table):
        table.fillna(-9999).to_csv(self.file(site), index=False)
        return self.file(site)


@pytest.fixture
def table():
    return daily_table()


@pytest.fixture
def make_table():
    return daily_table


@pytest.fixture
def make_vegetation():
    return vegetation_table


@pytest.fixture
def folder(tmp_path):
    return TowersFolder(tmp_path)


@pytest.fixture
def one_site(tmp_path):
    return TowersFolder(tmp_path, sites=("FR-Aaa",))
