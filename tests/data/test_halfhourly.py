"""Half-hours to days: the rules on small tables, and real towers against their daily files."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.archives import find_archives
from hybridflux.data.clock import Noon
from hybridflux.data.fluxnet import DAILY_COLUMNS
from hybridflux.data.fluxnet_table import read_table
from hybridflux.data.halfhourly import HALFHOURLY_COLUMNS, to_daily
from hybridflux.units import GC_PER_UMOL_PER_SECOND_DAY


def halfhours(days=3, step="30min"):
    times = pd.date_range("2004-03-01", periods=days * int(pd.Timedelta("1D") / pd.Timedelta(step)), freq=step)
    light = (times.hour >= 6) & (times.hour < 18)
    return pd.DataFrame(
        {
            "TIMESTAMP_START": times.strftime("%Y%m%d%H%M"),
            "TA_F": np.where(light, 12.0, 4.0),
            "SW_IN_F": np.where(light, 400.0, 0.0),
            "SW_IN_POT": np.where(light, 800.0, 0.0),
            "VPD_F": 5.0,
            "P_F": 0.1,
            "NEE_VUT_REF": np.where(light, -10.0, 3.0),
            "NEE_VUT_REF_QC": np.where(times.hour == 0, 2, np.where(times.hour == 12, 1, 0)),
            "NEE_VUT_REF_RANDUNC": 2.0,
        }
    )


@pytest.mark.parametrize("step", ["30min", "60min"])
def test_a_day_of_known_halves(step):
    daily = to_daily(halfhours(step=step), "file")
    day = daily.iloc[1]
    steps = 48 if step == "30min" else 24
    assert daily["TIMESTAMP"].tolist() == ["20040301", "20040302", "20040303"]
    assert day["TA_F"] == 8 and day["TMIN_F"] == 4 and day["TA_F_NIGHT"] == 4 and day["SW_IN_F"] == 200
    assert day["TMAX_F"] == day["TA_F_DAY"] == 12 and day["VPD_F_DAY"] == 5
    assert day["P_F"] == pytest.approx(0.1 * steps)
    assert day["NEE_VUT_REF"] == pytest.approx(-3.5 * GC_PER_UMOL_PER_SECOND_DAY)
    assert (day["NEE_VUT_REF_DAY"], day["NEE_VUT_REF_NIGHT"]) == (-10, 3), "umol m-2 s-1, as in official daily files"
    assert day["NEE_VUT_REF_QC"] == pytest.approx(23 / 24), "flags 0 and 1 are good"
    assert day["NEE_VUT_REF_NIGHT_QC"] == pytest.approx(11 / 12) and day["NEE_VUT_REF_DAY_QC"] == 1
    assert day["DAY_D"] == day["NIGHT_D"] == steps / 2
    assert day["NEE_VUT_REF_RANDUNC"] == pytest.approx(2 / np.sqrt(steps) * GC_PER_UMOL_PER_SECOND_DAY)


def test_end_stamps_give_the_same_days():
    table = halfhours()
    ends = pd.to_datetime(table.pop("TIMESTAMP_START"), format="%Y%m%d%H%M") + pd.Timedelta("30min")
    shifted = table.assign(TIMESTAMP_END=ends.dt.strftime("%Y%m%d%H%M"))
    pd.testing.assert_frame_equal(to_daily(shifted, "file"), to_daily(halfhours(), "file"))


def test_halves_of_uneven_days_make_the_whole():
    table = halfhours()
    table["TA_F"] += np.linspace(0, 6, len(table))
    table["SW_IN_POT"] = np.where(np.arange(len(table)) % 48 < 17, 0.0, 500.0)
    day = to_daily(table, "file").iloc[1]
    share = day["DAY_D"] / 48
    assert share == 31 / 48 and share * day["TA_F_DAY"] + (1 - share) * day["TA_F_NIGHT"] == pytest.approx(day["TA_F"])
    assert day["TMIN_F"] < day["TA_F_NIGHT"] < day["TA_F"] < day["TA_F_DAY"] < day["TMAX_F"]


def test_a_day_needs_46_half_hours():
    table = halfhours()
    table.loc[[5, 6], "TA_F"] = np.nan
    table.loc[[48, 49, 50], "TA_F"] = np.nan
    daily = to_daily(table.drop(index=range(100, 103)), "file")
    assert daily["TA_F"].notna().tolist() == [True, False, False]
    assert daily["NEE_VUT_REF"].notna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="TIMESTAMP_START"), "lacks column TIMESTAMP_START"),
        (lambda t: t.iloc[[0, 1, 1, 2]], "row 4: 200403010030 comes twice"),
        (lambda t: t.iloc[::6], "usual step is 0 days 03:00:00; half-hours or hours"),
        (lambda t: t.assign(TIMESTAMP_START="noon"), "row 2: `noon` is not a time; YYYYMMDDHHMM"),
    ],
)
def test_refusals(spoil, message):
    with pytest.raises(ValueError, match=f"my file.*{message}"):
        to_daily(spoil(halfhours()).reset_index(drop=True), "my file")


def test_another_time_zone_is_noticed():
    table = halfhours()
    assert len(to_daily(table, "file", noon=Noon(12.3))) == 3
    with pytest.raises(
        ValueError, match=r"light is centred on 12.0 h, the sun of this longitude and utc_offset on 17.9 h; the stamps must"
    ):
        to_daily(table, "file", noon=Noon(17.9))


@pytest.mark.parametrize("site", ["FR-Pue", "DE-Tha"])
def test_real_half_hours_give_the_daily_file(shared, site):
    """Within the rounding of the two files: 0.05 W m-2, 0.006 of every other unit, the shares to 1e-4; stamps are UTC+1."""
    archive = find_archives(shared / "data" / "towers", [site])[site]
    daily = read_table(archive, DAILY_COLUMNS).set_index("TIMESTAMP")
    noon = Noon.of({"FR-Pue": 3.596, "DE-Tha": 13.567}[site], 1.0)
    ours = to_daily(read_table(archive.finer, HALFHOURLY_COLUMNS), archive.finer, noon).set_index("TIMESTAMP")
    both = [name for name in ours if name in daily]
    assert len(both) >= 14
    for name in both:
        error = (daily[name] - ours[name]).abs().dropna()
        assert len(error) > 5000, name
        assert error.max() <= (0.05 if name == "SW_IN_F" else 1e-4 if name.endswith("_QC") else 6e-3), name
