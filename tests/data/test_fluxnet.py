"""One tower file: units, targets, quality, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.archives import find_archives
from hybridflux.data.fluxnet import DRIVERS, Quality, read_tower


def read(folder, site="FR-Aaa", **quality):
    return read_tower(find_archives(folder.path)[site], Quality(**quality))


def test_units_and_rates(one_site, table):
    frame = read(one_site)
    assert set(DRIVERS) <= set(frame.columns) and frame.index.freqstr == "D"
    np.testing.assert_allclose(frame["par"], table["SW_IN_F"] * 0.0864 * 0.45)
    np.testing.assert_allclose(frame["nee_night"], table["NEE_VUT_REF_NIGHT"] * 1.03775, rtol=1e-5)
    weighted = frame["day_fraction"] * frame["nee_day"] + (1 - frame["day_fraction"]) * frame["nee_night"]
    np.testing.assert_allclose(weighted, frame["nee"], atol=1e-4)
    assert frame["tmin"].isna().all()


def test_night_partitioning_first_day_partitioning_where_it_is_alone(one_site, table):
    table.loc[0, "GPP_NT_VUT_REF"] = np.nan
    one_site.write("FR-Aaa", table)
    frame = read(one_site)
    assert frame["gpp"].iloc[0] == pytest.approx(table["GPP_DT_VUT_REF"].iloc[0])
    assert frame["gpp"].iloc[1] == pytest.approx(table["GPP_NT_VUT_REF"].iloc[1])


def test_quality_masks_each_flux_by_its_own_column(one_site, table):
    table.loc[0, "NEE_VUT_REF_QC"] = 0.74
    table.loc[1, "NEE_VUT_REF_QC"] = np.nan
    table.loc[2, "NEE_VUT_REF_DAY_QC"] = 0.1
    one_site.write(
        "FR-Aaa",
        table.assign(QC_FILTERED=np.eye(len(table), dtype=int)[1], MET_SOURCE=["tower"] * 3 + ["neighbour"] + ["era"] * (len(table) - 4)),
    )
    frame = read(one_site)
    measured = frame[["nee", "gpp", "reco", "nee_uncertainty", "nee_day", "nee_night"]].notna().iloc[:5].to_numpy()
    assert measured[0].tolist() == [False] * 4 + [True, True]
    assert measured[1].all(), "the source publishes only good days"
    assert measured[2].tolist() == [True] * 4 + [False, True]
    assert not measured[3].any(), "weather of a neighbour"
    assert measured[4].all()
    assert read(one_site, share=0.7)["nee"].notna().iloc[0]
    assert not read(one_site, exclude_met=("era",))["nee"].notna().iloc[4]


def test_uncertainty_falls_back_to_the_estimate(one_site, table):
    table.loc[:1, "NEE_VUT_REF_RANDUNC"] = np.nan
    one_site.write("FR-Aaa", table.assign(NEE_RANDUNC_EST=np.r_[0.5, 0.0, np.full(len(table) - 2, 0.9)]))
    error = read(one_site)["nee_uncertainty"].to_numpy()
    assert error[0] == 0.5 and np.isnan(error[1]) and error[2] == 0.3, "an error of zero is no error estimate"


def test_soil_water_is_converted_from_percent(one_site, table):
    one_site.write("FR-Aaa", table.assign(SWC_F_MDS_1=25.0))
    assert read(one_site)["swc"].unique() == pytest.approx(0.25)


def test_missing_dates_become_days_without_data(one_site, table):
    one_site.write("FR-Aaa", table.drop(index=range(10, 15)))
    frame = read(one_site)
    assert len(frame) == 730 and frame["tair"].isna().sum() == 5


def test_the_coldest_half_hour_of_a_finer_table_gives_tmin(one_site, table):
    halves = pd.date_range("2009-01-01", "2010-12-31 23:30", freq="30min")
    finer = pd.DataFrame({"TIMESTAMP_START": halves.strftime("%Y%m%d%H%M"), "TA_F": np.where(halves.hour == 5, -3.0, 8.0)})
    finer.to_csv(one_site.path / "fluxnet_dd" / "FLX_FR-Aaa_FLUXNET2015_FULLSET_HH_2009-2010_1-4.csv", index=False)
    one_site.write("FR-Aaa", table.assign(TA_F=7.0))
    assert (read(one_site)["tmin"] == -3.0).all()


def test_days_with_dashes_are_the_same_days(one_site, table):
    expected = read(one_site)
    one_site.write("FR-Aaa", table.assign(TIMESTAMP=pd.to_datetime(table["TIMESTAMP"]).dt.strftime("%Y-%m-%d")))
    pd.testing.assert_frame_equal(read(one_site), expected)


def test_the_constant_threshold_where_there_is_no_variable_one(one_site, table, caplog):
    constant = table.rename(columns={name: name.replace("_VUT_", "_CUT_") for name in table})
    one_site.write("FR-Aaa", constant.assign(NEE_VUT_REF=np.nan))
    frame = read(one_site)
    np.testing.assert_allclose(frame["nee"], table["NEE_VUT_REF"])
    assert frame["nee_night"].notna().all() and "NEE_CUT_REF, with a constant friction-velocity threshold, is taken" in caplog.text
    one_site.write("FR-Aaa", pd.concat([table, 2 * constant.filter(like="_CUT_")], axis=1))
    np.testing.assert_allclose(read(one_site)["nee"], table["NEE_VUT_REF"])


def spoil(table, how):
    if how == "twice":
        return table.iloc[[0, 1, 1, 2]]
    if how == "unsorted":
        return table.iloc[[0, 2, 1, 3, 4]]
    if how == "shuffled":
        return table.sample(frac=1.0, random_state=0)
    if how == "weekly":
        return table.iloc[::7]
    if how == "header only":
        return table.iloc[:0]
    if how == "rounded":
        return table.assign(TIMESTAMP=table["TIMESTAMP"].astype(float).map("{:.2E}".format))
    if how == "day first":
        return table.assign(TIMESTAMP=pd.to_datetime(table["TIMESTAMP"]).dt.strftime("%d/%m/%Y"))
    if how == "no flux":
        return table.assign(NEE_VUT_REF=np.nan)
    if how == "no weather":
        return table.assign(VPD_F=np.nan)
    return table.drop(columns=how.split())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("twice", "column TIMESTAMP, row 4: 20090102 comes twice; sort the rows"),
        ("unsorted", "row 4: 20090102 comes after a later day"),
        ("shuffled", "comes after a later day; sort the rows"),
        ("weekly", "7 days apart; the daily"),
        ("header only", "no rows"),
        ("rounded", r"row 2: `2.01E.07` is not a day; YYYYMMDD is expected, and a spreadsheet has rounded it away"),
        ("day first", "row 2: `01/01/2009` is not a day; YYYYMMDD"),
        ("no flux", "column NEE_VUT_REF: -9999 on all days"),
        ("no weather", "column VPD_F: -9999 on all days"),
        ("NEE_VUT_REF P_F", "lacks column P_F, NEE_VUT_REF; hybridflux reads the FLUXNET product"),
        ("NEE_VUT_REF_QC", "lacks column NEE_VUT_REF_QC, which tells measured days from filled ones"),
        ("TIMESTAMP", "lacks column TIMESTAMP"),
    ],
)
def test_refusals_name_file_column_row_and_cure(one_site, table, how, message):
    path = one_site.write("FR-Aaa", spoil(table, how))
    with pytest.raises(ValueError, match=f"{path.name}.*{message}"):
        read(one_site)


def test_quality_is_a_share():
    with pytest.raises(ValueError, match="qc is 75; it is a share"):
        Quality(75)
