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
