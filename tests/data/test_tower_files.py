"""Several files of one tower: joined where they are of other years, and refused where nothing says which is the later processing."""

import numpy as np
import pytest

from hybridflux.data.archives import find_archives
from hybridflux.data.fluxnet import Quality
from hybridflux.data.site_table import read_sites
from hybridflux.data.tower_files import read_record
from hybridflux.data.towers import open_towers

OLD, NEW = "FLX_FR-Aaa_FLUXNET2015_FULLSET_DD_2009-2010_1-4.csv", "ICOSETC_FR-Aaa_FLUXNET_DD_L2.csv"


@pytest.fixture
def add(one_site, make_table):
    """Writes a later processing, whose NEE is half as large as that of the older one."""

    def write(start, end, name=NEW):
        table = make_table(start, end, seed=7)
        fluxes = [one for one in table if one.startswith(("NEE", "GPP", "RECO")) and not one.endswith("_QC")]
        table.assign(**{one: table[one] / 2 for one in fluxes}).to_csv(one_site.path / "fluxnet_dd" / name, index=False)
        return table

    return write


def gpp(towers):
    return towers.daily["gpp"].to_pandas()["FR-Aaa"]


def test_files_of_other_years_are_one_record(one_site, table, add, caplog):
    add("2012-01-01", "2012-12-31")
    towers = open_towers(one_site.path)
    assert towers.daily.sizes["time"] == 4 * 365 + 1
    np.testing.assert_allclose(gpp(towers)[:730], table["GPP_NT_VUT_REF"], rtol=1e-6)
    assert gpp(towers)["2011"].isna().all() and gpp(towers)["2012"].max() == pytest.approx(5, abs=0.01)
    assert f"FR-Aaa has 2 files: {OLD} gives 2009-01-01 to 2010-12-31; {NEW} gives 2012-01-01 to 2012-12-31. Processings" in caplog.text


def test_the_later_processing_gives_the_days_that_both_have(one_site, table, add, caplog):
    add("2010-07-01", "2012-06-30")
    towers = open_towers(one_site.path)
    np.testing.assert_allclose(gpp(towers)[:546], table["GPP_NT_VUT_REF"][:546], rtol=1e-6)
    assert gpp(towers)["2010-07-01"] < 5.1 < 9.8 < gpp(towers)["2009-07-01"]
    assert f"{OLD} gives 2009-01-01 to 2010-06-30; {NEW} gives 2010-07-01 to 2012-06-30" in caplog.text


def test_weather_on_both_sides_of_another_file_is_reported_as_two_parts(one_site, add, caplog):
    table = add("2008-07-01", "2012-06-30")
    table.assign(NEE_VUT_REF=table["NEE_VUT_REF"].where(table["TIMESTAMP"] > "20110000", -9999)).to_csv(
        one_site.path / "fluxnet_dd" / NEW, index=False
    )
    assert open_towers(one_site.path).daily.sizes["time"] == 4 * 365 + 1
    assert f"{NEW} gives 2008-07-01 to 2008-12-31 and 2011-01-01 to 2012-06-30; {OLD} gives 2009-01-01 to 2010-12-31. P" in caplog.text


def test_a_file_within_the_years_of_another_is_not_read(one_site, add, caplog):
    add("2008-01-01", "2010-12-31", "FLX_FR-Aaa_FLUXNET2015_SUBSET_DD_2008-2010_beta-3.csv")
    towers = open_towers(one_site.path)
    assert towers.daily.sizes["time"] == 366 + 730 and gpp(towers).max() == pytest.approx(5, abs=0.01)
    assert f"{OLD} is not read, for all its days, of 2009 to 2010, lie within those of the other" in caplog.text
    assert "Processings differ" not in caplog.text


def test_a_file_without_measured_nee_gives_nothing(one_site, add, caplog):
    table = add("2012-01-01", "2012-12-31")
    table.assign(NEE_VUT_REF_QC=0.0).to_csv(one_site.path / "fluxnet_dd" / NEW, index=False)
    assert open_towers(one_site.path).daily.sizes["time"] == 730
    assert f"{NEW} is not read, for it has no day of measured NEE" in caplog.text


@pytest.mark.parametrize("name", [NEW, "AAA_FR-Aaa_FLUXNET_DD_L2.csv"])  # behind the other file and before it
def test_a_file_with_an_empty_column_is_passed_over_and_named(one_site, table, add, caplog, name):
    add("2012-01-01", "2012-12-31", name)
    path = one_site.path / "fluxnet_dd" / name
    table.assign(NEE_VUT_REF=-9999).to_csv(path, index=False)
    np.testing.assert_allclose(gpp(open_towers(one_site.path)), table["GPP_NT_VUT_REF"], rtol=1e-6)
    assert f"a file of FR-Aaa is not read: {name}, column NEE_VUT_REF: -9999 on all days" in caplog.text
    one_site.file("FR-Aaa").unlink()
    with pytest.raises(ValueError, match="no site left: FR-Aaa: .*column NEE_VUT_REF: -9999 on all days; leave this site out"):
        open_towers(one_site.path)


def test_two_processings_of_the_same_years_are_refused_with_files_years_and_cure(folder, make_table):
    for site in ("FR-Aaa", "DE-Bbb"):
        make_table().to_csv(folder.path / "fluxnet_dd" / f"FLX_{site}_FLUXNET2015_FULLSET_DD_2009-2010_beta-3.csv", index=False)
    with pytest.raises(ValueError, match="(?s)2 faults.*two files for FR-Aaa.*two files for DE-Bbb") as refused:
        open_towers(folder.path)
    assert f"{OLD} and {OLD.replace('1-4', 'beta-3')} both have measured NEE of 2009 to 2010" in str(refused.value)
    assert "move one of them out of the folder" in str(refused.value)


def test_units_are_those_of_each_file(one_site, add, make_table):
    """In a joined record the long file would hide that the short one is in kelvin."""
    table = add("2012-01-01", "2012-12-31")
    table.assign(TA_F=table["TA_F"] + 273.15).to_csv(one_site.path / "fluxnet_dd" / NEW, index=False)
    with pytest.raises(ValueError, match=f"{NEW}, column TA_F looks like kelvin"):
        open_towers(one_site.path)


def test_the_days_of_each_file_are_reported(one_site, add):
    add("2010-07-01", "2012-06-30")
    archive = find_archives(one_site.path)["FR-Aaa"]
    frame, given = read_record(archive, Quality(), read_sites(one_site.path).rows.loc["FR-Aaa"])
    assert {one.path.name: len(days) for one, days in given.items()} == {OLD: 546, NEW: 731} and len(frame) == 546 + 731
