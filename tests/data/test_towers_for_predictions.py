"""Towers for predictions: places without a measured flux, and drivers that were missing."""

import numpy as np
import pytest

from hybridflux.data.towers import open_towers


def test_a_place_whose_fluxes_nobody_measured_is_there_where_no_measured_ones_are_asked_for(folder, make_table):
    weather = make_table().drop(columns=[name for name in make_table() if name.startswith(("NEE", "GPP", "RECO"))])
    folder.write("DE-Bbb", weather)
    with pytest.raises(ValueError, match="lacks column NEE_VUT_REF"):
        open_towers(folder.path)
    both = open_towers(folder.path, measured=False)
    assert list(both.sites.index) == ["FR-Aaa", "DE-Bbb"]
    assert [int(both.daily["nee"].sel(site=site).count()) for site in both.sites.index] == [730, 0]
    assert np.isfinite(both.sequences({"tair", "rain", "fapar"}).drivers["tair"]).all()
    folder.write("DE-Bbb", make_table().assign(NEE_VUT_REF=np.nan))
    assert "column NEE_VUT_REF: -9999 on all days" in open_towers(folder.path).left_out["DE-Bbb"]
    assert not open_towers(folder.path, measured=False).left_out
    assert open_towers(folder.path, years=2010, measured=False).daily.sizes == {"time": 365, "site": 2}
    folder.write("DE-Bbb", weather[weather["TIMESTAMP"] < "20100101"])
    later = open_towers(folder.path, years=2010, measured=False)
    assert later.left_out == {"DE-Bbb": "no day of weather in 2010 to 2010; its record is of 2009 to 2009"}


def test_drivers_that_are_a_climatology_are_named(folder, make_table):
    table = make_table()
    table.loc[100:129, "P_F"] = np.nan
    folder.write("DE-Bbb", table)
    absent = open_towers(folder.path).climatologies({"rain", "tair_30d", "plant_type", "site"})
    assert list(absent) == ["rain"] and absent["rain"].sum(axis=0).tolist() == [0, 30]


def test_years_of_weather_after_the_last_flux_can_be_predicted(folder, make_table):
    table = make_table()
    table.loc[table["TIMESTAMP"] >= "20100101", [name for name in table if name.startswith(("NEE", "GPP", "RECO"))]] = np.nan
    folder.write("DE-Bbb", table)
    assert "no day of measured NEE in 2010" in open_towers(folder.path, years=2010).left_out["DE-Bbb"]
    later = open_towers(folder.path, years=2010, measured=False)
    assert not later.left_out and not later.daily["nee"].sel(site="DE-Bbb").notnull().any()


def test_a_file_of_weather_alone_gives_the_days_that_the_file_with_fluxes_has_not(folder, make_table):
    fluxes, weather = make_table("2009-01-01", "2009-12-31"), make_table("2009-07-01", "2010-12-31", seed=5)
    folder.write("DE-Bbb", fluxes)
    folder.file("DE-Bbb").rename(folder.file("DE-Bbb").with_name("FLX_DE-Bbb_FLUXNET2015_FULLSET_DD_2009-2009_1-4.csv"))
    lacking = [name for name in weather if name.startswith(("NEE", "GPP", "RECO"))]
    weather.drop(columns=lacking).to_csv(folder.path / "fluxnet_dd" / "ICOSETC_DE-Bbb_FLUXNET_DD_L2.csv", index=False)
    both = open_towers(folder.path, sites="DE-Bbb", measured=False).daily.sel(site="DE-Bbb")
    assert int(both["nee"].count()) == 365 and both.sizes["time"] == 730
    np.testing.assert_allclose(both["tair"], [*fluxes["TA_F"], *weather["TA_F"][184:]], rtol=1e-6)
