"""A towers folder from end to end, and everything it refuses."""

import logging

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.gaps import CLIMATOLOGY, DERIVED, GIVEN
from hybridflux.data.tower_checks import Screen
from hybridflux.data.towers import open_towers

NAMES = {
    "tair",
    "tmin",
    "par",
    "vpd",
    "rain",
    "fapar",
    "co2",
    "tair_30d",
    "fapar_7d",
    "plant_type",
    "latitude",
    "elevation",
    "fapar_top",
    "site",
}


def test_a_folder_becomes_sequences_without_gaps(folder):
    towers = open_towers(folder.path)
    assert len(towers) == 2 and dict(towers.daily.sizes) == {"time": 730, "site": 2}
    assert repr(towers) == "Towers: 2 sites (1 DBF, 1 ENF), 2009-01-01 to 2010-12-31, 1460 days of measured NEE; 0 left out"
    sequences = towers.sequences(NAMES)
    assert sequences.places == ("FR-Aaa", "DE-Bbb") and sequences.days.dtype == "datetime64[D]"
    assert set(sequences.drivers) == NAMES - {"site"}
    for name, values in sequences.drivers.items():
        assert np.isfinite(values).all(), name
        assert values.dtype == (np.int32 if name == "plant_type" else np.float32), name
    assert sequences.drivers["plant_type"].tolist() == [3, 0]
    assert [sequences.latitude.tolist(), sequences.longitude.tolist()] == [towers.sites["lat"].tolist(), towers.sites["lon"].tolist()]
    assert {name: values.dtype for name, values in sequences.targets.items()} == dict.fromkeys(
        ("nee", "nee_day", "nee_night", "gpp", "reco", "swc"), np.dtype("float32")
    )
    np.testing.assert_allclose(sequences.uncertainty["nee"], 0.3, rtol=1e-6)


def test_records_of_different_length_share_an_axis(folder, make_table):
    folder.write("DE-Bbb", make_table("2010-03-01", "2011-03-31"))
    towers = open_towers(folder.path)
    assert towers.daily.sizes["time"] == 730 + 90
    flags = towers.daily["tair_flag"].sel(site="DE-Bbb")
    assert (flags[: 365 + 59] == CLIMATOLOGY).all() and (flags[365 + 59 :] == GIVEN).all()
    only = towers.select("DE-Bbb")
    assert str(only.daily["time"].to_numpy()[0])[:10] == "2010-03-01" and only.daily.sizes["time"] == 396
    assert open_towers(folder.path, years=2010).daily.sizes["time"] == 365
    later = open_towers(folder.path, years="2011:2012")
    assert list(later.sites.index) == ["DE-Bbb"]
    assert later.left_out == {"FR-Aaa": "no day of measured NEE in 2011 to 2012; its record is of 2009 to 2010"}


MADE_OF_MORE_DAYS = ("tair", "tair_30d", "rain_90d", "co2_7d", "fapar_7d", "fapar_top", "fapar_base")


def test_years_cut_days_and_not_what_running_means_and_ranges_are_made_of(folder, make_vegetation):
    """A later year of a longer record has the drivers that it has in the whole record, and targets of no other year."""
    greening = make_vegetation(["FR-Aaa", "DE-Bbb"])
    greening.loc[greening["date"] < "2010", "fapar"] *= 0.5
    folder.write_vegetation(greening)
    whole, year = (open_towers(folder.path, years=years).sequences(MADE_OF_MORE_DAYS) for years in (None, 2010))
    assert year.days.tolist() == whole.days[365:].tolist()
    for name in MADE_OF_MORE_DAYS:
        expected = whole.drivers[name][365:] if whole.drivers[name].ndim == 2 else whole.drivers[name]
        np.testing.assert_allclose(year.drivers[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)
    assert {values.shape for values in year.targets.values()} == {(365, 2)}


def test_towers_that_are_selected_keep_their_running_means(folder, make_table):
    folder.write("DE-Bbb", make_table("2010-03-01", "2011-03-31"))
    both, later = open_towers(folder.path), open_towers(folder.path, years="2010:2011")
    expected = both.sequences(MADE_OF_MORE_DAYS).select(["DE-Bbb"])
    for towers in (both.select("DE-Bbb"), later.select("DE-Bbb"), later.select(["DE-Bbb", "FR-Aaa"]).select("DE-Bbb")):
        found = towers.sequences(MADE_OF_MORE_DAYS)
        days = np.isin(expected.days, found.days)
        assert days.sum() == len(found.days) == 396
        for name, values in found.drivers.items():
            of_both = expected.drivers[name]
            np.testing.assert_allclose(values, of_both[days] if of_both.ndim == 2 else of_both, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_day_counts_only_with_the_drivers_it_needs(folder, table, make_vegetation):
    table.loc[100:119, "VPD_F"] = np.nan
    table.loc[200:203, "VPD_F"] = np.nan
    folder.write("FR-Aaa", table)
    folder.write_vegetation(make_vegetation(["FR-Aaa", "DE-Bbb"], end="2010-06-30"))
    towers = open_towers(folder.path)

    def measured(*names):
        return np.isfinite(towers.sequences(names).targets["nee"][:, 0]).sum()

    assert measured("tair") == 730 and measured("vpd") == 710 and measured("vpd_7d") == 710
    covered = np.isfinite(towers.sequences(["fapar"]).targets["nee"][:, 0])
    assert covered[:545].all() and not covered[555:].any(), "no measured vegetation after June 2010"


def test_night_temperatures_are_derived_and_flagged(folder):
    towers = open_towers(folder.path)
    assert (towers.daily["tmin_flag"] == DERIVED).all() and (towers.daily["tair_night_flag"] == GIVEN).all()
    below = (towers.daily["tair"] - towers.daily["tmin"]).to_numpy()
    assert 2 < below.mean() < 6 and below.min() >= 0
    shares = towers.flag_shares()
    assert shares.loc["tmin", "derived"] == 1 and np.allclose(shares.sum(axis=1), 1)


def test_what_few_models_need_may_lack(folder, table):
    """A file without daytime means is read; only who asks for them is told."""
    folder.write("FR-Aaa", table.assign(TMAX_F=table["TA_F"] + 5, TA_F_DAY=table["TA_F"] + 2, VPD_F_DAY=table["VPD_F"] + 1))
    towers = open_towers(folder.path)
    drivers = towers.select("FR-Aaa").sequences(("tair", "tmax", "tair_day", "vpd", "vpd_day")).drivers
    for more, of, by in (("tmax", "tair", 5), ("tair_day", "tair", 2), ("vpd_day", "vpd", 1)):
        assert drivers[more] == pytest.approx(drivers[of] + by, abs=1e-4)
    with pytest.raises(ValueError, match="no `vpd_day` at DE-Bbb"):
        towers.sequences(("vpd_day",))


def test_soil_water_is_a_target_on_the_days_it_was_measured(folder, table):
    """As a driver it has no gaps; as a target it is there where its flag is good, or where a file without flags has it."""
    rng = np.random.default_rng(0)
    water = 20 + 10 * rng.random(len(table))
    quality = rng.random(len(table))
    folder.write("FR-Aaa", table.assign(SWC_F_MDS_1=water, SWC_F_MDS_1_QC=quality))
    folder.write("DE-Bbb", table.assign(SWC_F_MDS_1=np.where(np.arange(len(table)) < 300, water, -9999.0)))
    sequences = open_towers(folder.path).sequences(("tair", "swc"))
    swc = sequences.targets["swc"]
    assert np.array_equal(np.isfinite(swc[:, 0]), quality >= 0.75)
    assert np.isfinite(swc[:, 1]).sum() == 300 and np.isfinite(sequences.drivers["swc"]).all()
    assert swc[quality >= 0.75, 0] == pytest.approx(water[quality >= 0.75] / 100, abs=1e-6)


def test_potential_radiation_comes_from_the_sun_where_absent(folder, table):
    with_columns = open_towers(folder.path, sites="FR-Aaa").daily
    folder.write("FR-Aaa", table.drop(columns=["SW_IN_POT", "DAY_D", "NIGHT_D"]))
    without = open_towers(folder.path, sites="FR-Aaa").daily
    assert (without["par_potential_flag"] == DERIVED).all()
    np.testing.assert_allclose(without["par_potential"], with_columns["par_potential"], rtol=1e-4)
    np.testing.assert_allclose(without["day_fraction"], with_columns["day_fraction"], atol=0.02)


def test_sites_left_out_are_listed_once(folder, make_vegetation, caplog):
    folder.write_vegetation(make_vegetation(["FR-Aaa"]))
    folder.file("DE-Bbb").rename(folder.path / "fluxnet_dd" / "FLX_XX-Xxx_FLUXNET2015_FULLSET_DD_2009-2010_1-4.csv")
    with caplog.at_level(logging.WARNING):
        towers = open_towers(folder.path)
    assert towers.left_out == {"XX-Xxx": "no row in sites.csv", "DE-Bbb": "no flux file"}
    assert [record.message for record in caplog.records] == ["2 sites left out: XX-Xxx (no row in sites.csv); DE-Bbb (no flux file)"]
    folder.write("DE-Bbb", towers.daily.to_dataframe().iloc[:0])  # never read: no vegetation
    assert open_towers(folder.path).left_out["DE-Bbb"] == "no vegetation series"


def test_nothing_left_is_an_error(folder, make_vegetation):
    folder.write_vegetation(make_vegetation(["XX-Xxx"]))
    with pytest.raises(ValueError, match="no site left: FR-Aaa: no vegetation series; DE-Bbb: no vegetation series"):
        open_towers(folder.path)
    for site in ("FR-Aaa", "DE-Bbb"):
        folder.file(site).unlink()
    with pytest.raises(FileNotFoundError, match="no FLUXNET file of FR-Aaa, DE-Bbb in .*fluxnet_dd; names begin like"):
        open_towers(folder.path)


def test_unknown_names_and_absent_drivers(folder, table):
    towers = open_towers(folder.path)
    with pytest.raises(KeyError, match="`tairr` is not a variable.*Did you mean `tair`"):
        towers.sequences(["tairr"])
    with pytest.raises(ValueError, match="no `swc` at FR-Aaa, DE-Bbb; leave these sites out"):
        towers.sequences(["swc"])
    with pytest.raises(ValueError, match="do not give `gpp`"):
        towers.sequences(["gpp"])
    folder.write("FR-Aaa", table.assign(SWC_F_MDS_1=30.0))
    sequences = open_towers(folder.path, sites="FR-Aaa").sequences(["swc"])
    assert sequences.drivers["swc"].mean() == pytest.approx(0.3)


def test_unknown_soil_capacity_is_assumed_aloud(folder, caplog):
    with caplog.at_level(logging.WARNING):
        assert open_towers(folder.path).sequences(["soil_capacity"]).drivers["soil_capacity"].tolist() == [150, 150]
    assert "FR-Aaa, DE-Bbb: 150 mm assumed" in caplog.text
    folder.sites["soil_capacity"] = [120, np.nan]
    folder.write_sites()
    assert open_towers(folder.path).sequences(["soil_capacity"]).drivers["soil_capacity"].tolist() == [120, 150]


@pytest.mark.parametrize(
    ("column", "convert", "message"),
    [
        ("TA_F", lambda x: x + 273.15, "column TA_F looks like kelvin"),
        ("TA_F_NIGHT", lambda x: x + 273.15, "column TA_F_NIGHT looks like kelvin"),
        ("VPD_F", lambda x: x * 100, "column VPD_F looks like Pa; FLUXNET has hPa; convert it"),
        ("VPD_F", lambda x: x / 10, "column VPD_F looks like kPa"),
        ("SW_IN_F", lambda x: x * 2.1, "column SW_IN_F looks like umol m-2 s-1 of photons"),
        ("P_F", lambda x: x / 1000, "column P_F looks like m or kg m-2 s-1.*FLUXNET has mm d-1"),
        ("P_F", lambda x: 0 * x, "column P_F looks like .*no rain at all .0 a year"),
        ("P_F", lambda x: x * 25, "column P_F .*(looks like 0.1 mm|outside 0 to 500)"),
        ("NEE_VUT_REF", lambda x: -x, "column NEE_VUT_REF falls where RECO - GPP rises; FLUXNET counts NEE positive"),
        ("NEE_VUT_REF_NIGHT", lambda x: -x, "column NEE_VUT_REF is -2.* gC m-2 d-1 in the usual night"),
        ("SW_IN_F", lambda x: x * 86400, "column SW_IN_F looks like J m-2"),
        ("SW_IN_F", lambda x: x * 0.0864, "column SW_IN_F looks like MJ m-2"),
        ("SWC_F_MDS_1", lambda x: x / 100, "column SWC_F_MDS_1 looks like m3 m-3; FLUXNET has percent"),
        ("SWC_F_MDS_1", lambda x: x * 10, "column SWC_F_MDS_1: 730 days of `swc` outside 0 to 1"),
        ("NEE_VUT_REF", lambda x: x * 44 / 12, "column NEE_VUT_REF is 3.67 times NEE_VUT_REF_DAY and _NIGHT: one of them is in"),
        ("NEE_VUT_REF", lambda x: x / 1.0377504, "column NEE_VUT_REF is 0.964 times NEE_VUT_REF_DAY and _NIGHT: .* convert it"),
        ("NEE_VUT_REF_QC", lambda x: x * 98, "column NEE_VUT_REF_QC goes up to 98; the flag of a day is .*: divide per cent by 100"),
        ("P_F", lambda x: x.where(x.index != 7, -999.0), "column P_F, row 9: -999 is no value of a tower .1 such cells.; write .* -9999"),
        ("SW_IN_F", lambda x: x.where(x.index != 7, 9999.0), "column SW_IN_F, row 9: 9999 is no value of a tower"),
        ("P_F", lambda x: x - 1, "column P_F: .* days of `rain` outside 0 to 500"),
        (
            "SW_IN_POT",
            lambda x: x[::-1].to_numpy() * 1.5,
            "SW_IN_POT is .* off for the latitude 48.5 of sites.csv; are lat and lon swapped",
        ),
    ],
)
def test_wrong_units_are_named(one_site, table, column, convert, message):
    table["SWC_F_MDS_1"] = 30.0
    path = one_site.write("FR-Aaa", table.assign(**{column: convert(table[column])}))
    with pytest.raises(ValueError, match=f"{path.name}.*{message}"):
        open_towers(one_site.path)


def test_nee_that_is_a_multiple_of_reco_less_gpp_is_in_another_unit(one_site, table):
    table = table.drop(columns=["NEE_VUT_REF_DAY", "NEE_VUT_REF_NIGHT"])
    table["RECO_NT_VUT_REF"] = table["NEE_VUT_REF"] + table["GPP_NT_VUT_REF"]
    one_site.write("FR-Aaa", table)
    open_towers(one_site.path)
    one_site.write("FR-Aaa", table.assign(NEE_VUT_REF=table["NEE_VUT_REF"] * 0.0216))  # gC m-2 of half an hour for umol m-2 s-1
    with pytest.raises(ValueError, match="column NEE_VUT_REF is 0.0216 times RECO - GPP"):
        open_towers(one_site.path)


def test_a_file_that_was_cut_within_its_last_row_is_refused(one_site):
    path = one_site.file("FR-Aaa")
    path.write_text(path.read_text()[:-200])
    with pytest.raises(ValueError, match="the last row, 731, has no SW_IN_F, VPD_F, P_F, which every other row has: the file is"):
        open_towers(one_site.path)


def test_a_table_that_names_other_sites_is_spoken_of(one_site, make_vegetation, caplog):
    """Mostly another spelling; the tower alone was said to have no vegetation."""
    one_site.write_vegetation(make_vegetation(["FR_Aaa", "Anywhere"]))
    with pytest.raises(ValueError, match="no vegetation series"):
        open_towers(one_site.path)
    assert "series.csv names no site that is read: it has FR_Aaa, Anywhere, and sites.csv FR-Aaa; spell them as there" in caplog.text


def test_swapped_coordinates_are_noticed(one_site):
    one_site.sites[["lat", "lon"]] = [2.5, 48.5]
    one_site.write_sites()
    with pytest.raises(ValueError, match="off for the latitude 2.5 of sites.csv; are lat and lon swapped"):
        open_towers(one_site.path)


def test_the_other_hemisphere_is_noticed_without_potential_radiation(one_site, table):
    one_site.write("FR-Aaa", table.drop(columns="SW_IN_POT"))
    assert len(open_towers(one_site.path)) == 1
    one_site.sites["lat"] = -48.5
    one_site.write_sites()
    with pytest.raises(ValueError, match="SW_IN_F is above the sun outside the atmosphere on .* latitude -48.5 .*; south is negative"):
        open_towers(one_site.path)


def test_half_hours_are_enough_and_their_time_zone_is_checked(one_site):
    times = pd.date_range("2009-01-01", "2009-12-31 23:30", freq="30min")
    height = np.clip(np.cos((times.hour + times.minute / 60 - 12.6) * np.pi / 12), 0, None)
    halves = pd.DataFrame({"TIMESTAMP_START": times.strftime("%Y%m%d%H%M"), "TA_F": 10 + 4 * height, "SW_IN_F": 400 * height})
    halves = halves.assign(VPD_F=5.0, P_F=0.05, NIGHT=(height == 0).astype(int), NEE_VUT_REF=2 - 9 * height, NEE_VUT_REF_QC=0)
    one_site.file("FR-Aaa").unlink()
    halves.to_csv(one_site.path / "FLX_FR-Aaa_FLUXNET2015_FULLSET_HH_2009-2009_1-4.csv", index=False)
    one_site.sites["utc_offset"] = 1
    one_site.write_sites()
    towers = open_towers(one_site.path)
    assert towers.daily.sizes["time"] == 365 and int(towers.daily["nee_night"].count()) == 365
    assert (towers.daily["tmin_flag"] == GIVEN).all() and float(towers.daily["tmin"].max()) == 10
    one_site.sites["utc_offset"] = 0
    one_site.write_sites()
    with pytest.raises(ValueError, match="centred on 12.8 h, the sun .* on 11.8 h; .* utc_offset in sites.csv is wrong"):
        open_towers(one_site.path)


def test_a_few_wild_values_are_dropped_and_reported(one_site, table, caplog):
    table.loc[[5, 6], "VPD_F"] = 900.0
    one_site.write("FR-Aaa", table)
    with caplog.at_level(logging.WARNING):
        towers = open_towers(one_site.path)
    assert "column VPD_F: 2 days of `vpd` outside 0 to 80, the first on 2009-01-06 (900); dropped" in caplog.text
    assert towers.daily["vpd_flag"].to_numpy()[5:7, 0].tolist() == [1, 1]


@pytest.mark.parametrize("share", [0.3, 0.4])
def test_a_record_of_next_to_no_respiration_is_left_out_unless_it_is_asked_for(folder, table, share):
    folder.write("FR-Aaa", table.assign(**{f"RECO_{way}_VUT_REF": share * table[f"GPP_{way}_VUT_REF"] for way in ("NT", "DT")}))
    towers = open_towers(folder.path)
    assert ("FR-Aaa" in towers.left_out) == (share < 0.35) and "DE-Bbb" in towers.sites.index
    if share < 0.35:
        said = towers.left_out["FR-Aaa"]
        assert "RECO is 0.30 of GPP over 730 measured days, less than 0.35" in said and "`screen=None`" in said and "--no-screen" in said
    assert "FR-Aaa" in open_towers(folder.path, screen=None).sites.index
    assert "FR-Aaa" in open_towers(folder.path, screen=Screen(least_respiration=0.2)).sites.index


def test_one_excluded_source_may_be_a_text(one_site, table):
    one_site.write("FR-Aaa", table.assign(MET_SOURCE="tower"))
    with pytest.raises(ValueError, match="no site left: FR-Aaa: no day of measured NEE"):
        open_towers(one_site.path, exclude_met="tower")


def test_co2_from_a_file_and_built_in(one_site, caplog):
    built_in = open_towers(one_site.path).daily["co2"].to_numpy()
    assert built_in[181, 0] == pytest.approx(387.64, abs=0.1), "the annual mean of 2009 in its middle"
    assert (np.diff(built_in[:, 0]) > 0).all()
    (one_site.path / "co2_annual.csv").write_text("year,co2_ppm\n2000,400\n2001,402\n")
    assert open_towers(one_site.path).daily["co2"].to_numpy()[181, 0] == pytest.approx(418, abs=0.1), "extrapolated along the last slope"
    (one_site.path / "co2_annual.csv").write_text("year,ppm\n2000,400\n")
    with pytest.raises(ValueError, match="co2_annual.csv lacks column co2_ppm; it has year, ppm; it must have year,co2_ppm"):
        open_towers(one_site.path)
    (one_site.path / "co2_annual.csv").write_text("year,co2_ppm\n2000,0.04\n2001,0.04\n")
    with pytest.raises(ValueError, match="between 280 and 600 ppm"):
        open_towers(one_site.path)
    (one_site.path / "co2_annual.csv").write_text("# Mauna Loa\nyear,mean,unc\n1991,355.5,0.1\n1992,356.5,0.1\n")
    assert open_towers(one_site.path).daily["co2"].to_numpy()[181, 0] == pytest.approx(373.5, abs=0.1), "as NOAA publishes it"
    assert "extrapolated over 18 years beyond the annual means of 1991 to 1992" in caplog.text
    (one_site.path / "co2_annual.csv").write_text("year;co2_ppm\n2008;385,5\n2009;387,0\n2010;390,0\n;\n")
    assert open_towers(one_site.path).daily["co2"].to_numpy()[181, 0] == pytest.approx(387, abs=0.1), "decimal commas"
    (one_site.path / "co2_annual.csv").write_text("year,co2_ppm\n2000,-9999\n2001,402\n")
    with pytest.raises(ValueError, match="co2_annual.csv, column co2_ppm, row 2 is missing"):
        open_towers(one_site.path)



@pytest.mark.parametrize("spoil", ["class", "no bytes", "no rows", "no values"])
def test_one_site_without_use_does_not_stop_the_others(folder, table, spoil, caplog):
    """Case 06: left out with a line, in the warning and in the summary."""
    if spoil == "class":
        folder.sites.loc[1, "igbp"] = "CVM"
        folder.write_sites()
    elif spoil == "no bytes":
        folder.file("DE-Bbb").write_bytes(b"")
    else:
        folder.write("DE-Bbb", table.iloc[:0] if spoil == "no rows" else table.assign(P_F=np.nan))
    with caplog.at_level(logging.WARNING):
        towers = open_towers(folder.path)
    assert list(towers.sites.index) == ["FR-Aaa"] and list(towers.left_out) == ["DE-Bbb"]
    assert "1 sites left out: DE-Bbb (" in caplog.text and "DE-Bbb is left out: " in repr(towers)
    with pytest.raises(ValueError, match="no site left: DE-Bbb: "):
        open_towers(folder.path, sites="DE-Bbb")


def test_faults_of_all_sites_come_in_one_message_and_those_of_others_do_not_matter(folder, table):
    folder.write("FR-Aaa", table.assign(TA_F=table["TA_F"] + 273.15))
    folder.sites["elev"] = ["100", "1,100"]
    folder.write_sites()
    with pytest.raises(ValueError, match="(?s)2 faults.*TA_F looks like kelvin.*\n.*DE-Bbb: column elev, row 3: `1,100`"):
        open_towers(folder.path)
    folder.write("FR-Aaa", table)
    assert len(open_towers(folder.path, sites="FR-Aaa")) == 1


def test_site_ids_in_lower_case_and_in_blanks_are_the_same_sites(folder, make_vegetation):
    folder.sites["site_id"] = ["fr-aaa", " DE-Bbb "]
    folder.write_sites()
    folder.write_vegetation(make_vegetation(["FR-AAA", "DE-Bbb"]))
    towers = open_towers(folder.path)
    assert list(towers.sites.index) == ["fr-aaa", "DE-Bbb"] and not towers.left_out


def test_files_with_other_names_are_listed_where_none_is_left(one_site):
    one_site.file("FR-Aaa").rename(one_site.path / "fluxnet_dd" / "my tower 2009.csv")
    with pytest.raises(FileNotFoundError, match="no FLUXNET file of FR-Aaa.*other names: my tower 2009.csv"):
        open_towers(one_site.path)


def test_covariates_of_ones_own_are_columns_of_the_table(folder):
    """README: sites.csv may hold them; numbers in full, or the sites without are named."""
    folder.sites["canopy_height"] = [20.5, 31]
    folder.sites["stand"] = ["young", "old"]
    folder.sites["age"] = [np.nan, 80]
    folder.sites["soil_capacity"] = [0.15, 0.1]
    folder.write_sites()
    towers = open_towers(folder.path)
    assert towers.sequences(["tair", "canopy_height"]).drivers["canopy_height"].tolist() == [20.5, 31]
    for name, message in {
        "stand": "column stand: `young` at FR-Aaa, `old` at DE-Bbb .2 cells. is not a number",
        "age": "no `age` for FR-Aaa; write it, leave these sites out",
        "biomass_2": "`biomass_2` is not a variable of hybridflux and not a column of sites.csv, which has canopy_height, stand, age",
        "soil_capacity": "column soil_capacity: `0.15` at FR-Aaa, .* between 5 and 1000; write the number alone, and check the unit",
    }.items():
        with pytest.raises(ValueError, match=message):
            towers.sequences([name])
