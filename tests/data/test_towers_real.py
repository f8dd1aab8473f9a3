"""The 76 European towers: which days count, what the drivers are worth."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.archives import find_archives
from hybridflux.data.fluxnet import Quality, read_tower
from hybridflux.data.solar import potential_par
from hybridflux.data.tower_checks import Screen
from hybridflux.data.tower_drivers import derive_temperatures
from hybridflux.data.towers import open_towers

DRIVERS = ("tair", "tmin", "par", "par_potential", "vpd", "rain", "fapar", "co2", "tair_30d", "plant_type", "elevation")


@pytest.fixture(scope="module")
def towers(shared):
    return open_towers(shared / "data" / "towers", vegetation="modis_fpar_c5_8day", needs=DRIVERS, screen=None)


@pytest.fixture(scope="module")
def sequences(towers):
    return towers.sequences(DRIVERS)


def test_the_45_sites_and_their_days(shared, towers, sequences):
    """The published folds lose days after the last composite (7) and in a 48-day hole of the series in summer 2013 (up to 24)."""
    published = pd.read_csv(shared / "data" / "towers" / "folds_by_site.csv").set_index("site_id")["n_days_used"]
    assert set(towers.sites.index) == set(published.index)
    ours = pd.Series(np.isfinite(sequences.targets["nee"]).sum(axis=0), sequences.places)
    more = (ours - published[ours.index]).drop(["FI-Sod", "FI-Lom"])  # dark months without composites, bridged here
    assert more.between(0, 31).all()
    days = sequences.days
    hole = (days > np.datetime64("2013-08-13")) & (days < np.datetime64("2013-09-06"))
    after = days > np.datetime64("2016-11-24")
    explained = pd.Series(np.isfinite(sequences.targets["nee"][hole | after]).sum(axis=0), sequences.places)
    assert (more == explained[more.index]).mean() > 0.9


def test_one_tower_respires_next_to_nothing(towers):
    """IT-Lav, NEE of -1948 gC m-2 yr-1: next to no CO2 passes its sensor at night (E12)."""
    fluxes = towers.daily[["gpp", "reco"]].to_dataframe().reset_index(level="site")
    assert [site for site, frame in fluxes.groupby("site") if Screen().fault(frame)] == ["IT-Lav"]


def test_absorbed_radiation_follows_productivity(towers, sequences):
    absorbed = sequences.drivers["fapar"] * sequences.drivers["par"]
    known = np.isfinite(sequences.targets["gpp"])
    r = [np.corrcoef(absorbed[known[:, i], i], sequences.targets["gpp"][known[:, i], i])[0, 1] for i in range(len(towers))]
    assert np.median(r) > 0.80


def test_rates_of_day_and_night_make_the_day(towers):
    daily = towers.daily
    built = daily["day_fraction"] * daily["nee_day"] + (1 - daily["day_fraction"]) * daily["nee_night"]
    assert float(np.abs(built - daily["nee"]).quantile(0.99)) < 0.01


def test_temperatures_of_day_and_night_make_the_day(towers):
    """Where both were measured; the sources of the columns differ at some towers, hence a few tenths in the tail."""
    daily = towers.daily
    given = np.logical_and.reduce([daily[f"{name}_flag"] == 0 for name in ("tair", "tair_day", "tair_night", "day_fraction")])
    built = daily["day_fraction"] * daily["tair_day"] + (1 - daily["day_fraction"]) * daily["tair_night"]
    off = np.abs(built - daily["tair"]).where(given)
    assert given.mean() > 0.3 and float(off.quantile(0.9)) < 0.05
    assert (daily["tmax"] >= daily["tair"] - 1e-4).where(daily["tmax"].notnull(), True).all()
    sites = [site for site in towers.sites.index if np.isfinite(daily["vpd_day"].sel(site=site)).all()]
    drivers = towers.select(sites).sequences(("tmax", "tair_day", "vpd_day", "vpd")).drivers
    assert len(sites) > 30 and (drivers["vpd_day"].mean(axis=0) > drivers["vpd"].mean(axis=0)).all()


def test_shares_of_given_drivers(towers):
    shares = towers.flag_shares()
    assert shares.loc[["tair", "par", "vpd"], "given"].min() > 0.999
    assert (towers.daily["tmin"] <= towers.daily["tair"] + 1e-4).all()


def test_derived_minimum_against_the_measured_one(shared):
    """Root mean square error of about 1.6 K where a site has no minimum of its own."""
    archives = find_archives(shared / "data" / "towers", ["FI-Hyy", "FR-Fon", "IT-Ro2", "DE-Geb"])
    for archive in archives.values():
        frame = read_tower(archive, Quality())
        guess = derive_temperatures(frame.assign(tmin=np.nan))[0]["tmin"]
        assert np.sqrt(((guess - frame["tmin"]) ** 2).mean()) < 2.2, archive


def test_potential_radiation_agrees_with_the_sun(towers):
    given = towers.daily["par_potential"].where(towers.daily["par_potential_flag"] == 0)
    for site, latitude in towers.sites["lat"].items():
        known = given.sel(site=site).dropna("time")
        sun = potential_par(latitude, known["time"].dt.dayofyear.to_numpy())
        assert float(np.abs(sun - known).mean() / known.mean()) < 0.04, site


def test_a_choice_of_sites_and_years(shared):
    towers = open_towers(shared / "data" / "towers", sites="FR-Pue,DE-Tha", years=(2010, 2011), needs=DRIVERS)
    assert dict(towers.daily.sizes) == {"time": 730, "site": 2}
    assert all(towers.daily[name].dtype == np.float32 for name in ("tair", "fapar", "nee"))
