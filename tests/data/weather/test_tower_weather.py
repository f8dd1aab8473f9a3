"""The nearest tower as a weather station: which one, how far, and what was filled."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.site_table import distance_km
from hybridflux.data.weather import reader

PARIS = (2.4, 48.4, 2.6, 48.6)


@pytest.fixture
def read(catalog):
    def call(place, extent=PARIS, start="2009-03-01", end="2010-02-28", utc_offset=1.0):
        return reader("tower-weather")(catalog["tower-weather"], place, extent, np.datetime64(start), np.datetime64(end), utc_offset)

    return call


def test_nearest_with_weather_wins(read, folder, make_table):
    folder.sites.loc[0, "lat"] = 48.6
    folder.sites["utc_offset"] = 1
    folder.write_sites()
    weather = read(folder.path)
    assert weather.origin["site"] == "DE-Bbb" and weather.origin["distance_km"] == pytest.approx(0.0, abs=0.1)
    folder.write("DE-Bbb", make_table().iloc[400:])
    weather = read(folder.path)
    assert weather.origin["site"] == "FR-Aaa" and weather.origin["nearer_without_weather"] == ["DE-Bbb (0 km) gives 7%"]
    assert weather.elevation.tolist() == [100.0] and weather.other_days == ""
    with pytest.warns(UserWarning, match="days of FR-Aaa are UTC.01:00 days, those of the region UTC.00:00"):
        assert read(folder.path, utc_offset=0.0).other_days == "local standard days of the tower (UTC+01:00)"


def test_a_nearer_tower_without_a_record_is_passed_over(read, folder):
    folder.sites.loc[0, "lat"] = 48.6
    folder.sites["utc_offset"] = 1
    folder.write_sites()
    folder.file("DE-Bbb").write_bytes(b"")
    weather = read(folder.path)
    assert weather.origin["site"] == "FR-Aaa" and "DE-Bbb (0 km) gives nothing: " in weather.origin["nearer_without_weather"][0]


def test_values_are_those_of_the_file_and_gaps_are_told(read, one_site, make_table):
    table = make_table()
    table.loc[100:103, "TA_F"] = np.nan
    table.loc[200:239, "VPD_F"] = np.nan
    one_site.sites["utc_offset"] = 1
    one_site.write_sites()
    one_site.write("FR-Aaa", table)
    with pytest.warns(UserWarning, match="on 88% of the 365 days .*; filled are tair 4 interpolated, .*vpd 40 climatology"):
        weather = read(one_site.path, start="2009-01-01", end="2009-12-31")
    assert weather.values["par"][:, 0] == pytest.approx(table["SW_IN_F"][:365] * 0.0864 * 0.45, rel=1e-5)
    assert weather.values["rain"].sum() == pytest.approx(table["P_F"][:365].sum(), rel=1e-5)
    filled = weather.origin["filled_days"]
    assert filled["tair"] == {"interpolated": 4} and filled["vpd"] == {"climatology": 40} and "par" not in filled
    assert all(np.isfinite(values).all() for values in weather.values.values())


def test_far_and_too_far(read, one_site):
    one_site.sites["utc_offset"] = 1
    one_site.sites["lat"] = 49.9
    one_site.write_sites()
    with pytest.warns(UserWarning, match=r"FR-Aaa, 156 km away"):
        read(one_site.path)
    with pytest.raises(ValueError, match="no tower within 300 km gives weather on 80% of the days .*: there is none; name a site"):
        read(one_site.path, extent=(20.0, 48.0, 20.1, 48.1))
    with pytest.warns(UserWarning, match="km away"):
        assert read(f"{one_site.path}#FR-Aaa", extent=(20.0, 48.0, 20.1, 48.1)).origin["distance_km"] > 1000


def test_a_short_record_is_refused_unless_the_site_is_named(read, one_site):
    one_site.sites["utc_offset"] = 1
    one_site.write_sites()
    with pytest.raises(ValueError, match=r"FR-Aaa \(0 km\) gives 67%"):
        read(one_site.path, start="2009-01-01", end="2011-12-31")
    with pytest.warns(UserWarning, match="FR-Aaa gives all its weather on 67% of the 1095 days"):
        weather = read(f"{one_site.path}#FR-Aaa", start="2009-01-01", end="2011-12-31")
    assert weather.origin["filled_days"]["rain"] == {"climatology": 365}
    with pytest.raises(ValueError, match="gives 0%"):
        read(f"{one_site.path}#FR-Aaa", start="2015-01-01", end="2015-12-31")


def test_other_clock_is_warned_of(read, one_site):
    one_site.sites["utc_offset"] = 0
    one_site.write_sites()
    with pytest.warns(UserWarning, match=r"days of FR-Aaa are UTC\+00:00 days, those of the region UTC\+01:00"):
        read(one_site.path)


def test_unknown_names(read, one_site):
    with pytest.raises(ValueError, match="FR-Bbb is not in"):
        read(f"{one_site.path}#FR-Bbb")
    one_site.file("FR-Aaa").unlink()
    with pytest.raises(FileNotFoundError, match="no FLUXNET file of FR-Aaa"):
        read(f"{one_site.path}#FR-Aaa")
    with pytest.raises(ValueError, match="no reader of weather for the format `era-5`. Did you mean `era5`"):
        reader("era-5")


def test_every_format_of_the_catalog_has_a_reader(catalog):
    formats = {dataset.format for dataset in catalog.values() if dataset.kind == "meteo"}
    assert formats == set(reader.own)
    assert all(callable(reader(name)) for name in reader.own)


def test_distance():
    assert distance_km(48.8566, 2.3522, 43.6045, 1.4440) == pytest.approx(588, abs=2)  # Paris to Toulouse, great circle


def test_bouconne_and_meuse(read, shared):
    towers = shared / "data" / "towers"
    bouconne = read(towers, (1.20, 43.64, 1.26, 43.67), "2018-01-01", "2018-12-31")
    assert bouconne.origin["site"] == "FR-Tou" and bouconne.origin["distance_km"] < 20
    assert bouconne.origin["days_by_source"] == {"tower": 365}
    table = pd.read_csv(next((towers / "fluxnet_dd").glob("FLX_FR-Tou_*")), index_col="TIMESTAMP")
    assert bouconne.values["tair"][:, 0] == pytest.approx(table.loc[20180101:20181231, "TA_F"], abs=1e-4)
    with pytest.warns(UserWarning, match="FR-Hes, 14[0-9] km away"):
        meuse = read(towers, (5.33, 49.26, 5.37, 49.30), "2016-01-01", "2020-12-31")
    assert meuse.origin["days_by_source"] == {"era": 1827}, "reanalysis at the tower: said, not hidden"


def test_weather_of_a_tower_with_two_files_comes_from_both(read, one_site, make_table):
    one_site.sites["utc_offset"] = 1
    one_site.write_sites()
    one_site.write("FR-Aaa", make_table(end="2009-12-31").assign(MET_SOURCE="tower"))
    later = make_table("2010-01-01", "2011-12-31", seed=5).assign(MET_SOURCE="era")
    later.to_csv(one_site.path / "fluxnet_dd" / "ICOSETC_FR-Aaa_FLUXNET_DD_L2.csv", index=False)
    weather = read(one_site.path)
    assert weather.origin["days_by_source"] == {"tower": 306, "era": 59}
    assert weather.origin["file"].endswith("_1-4.csv, ICOSETC_FR-Aaa_FLUXNET_DD_L2.csv")
    assert weather.values["tair"][306:, 0] == pytest.approx(later["TA_F"][:59], rel=1e-5)
