"""Messages about a towers folder: codes and spellings of covariates, half-hours without nights, files that are not read."""

import pandas as pd
import pytest

from hybridflux.data.towers import open_towers


@pytest.mark.parametrize("code", ["-999", "9999", "99999", "-99999", "-32768", "-3.4028235e+38"])
def test_a_code_of_missing_values_is_no_covariate(folder, code):
    """-9999 is taken for an empty cell; codes of other sources of data, which were taken for numbers, are refused."""
    folder.sites["age"] = ["80", code]
    folder.write_sites()
    towers = open_towers(folder.path)
    with pytest.raises(ValueError, match="sites.csv, column age: `.*` at DE-Bbb .1 cells. is a code of missing values; leave the cell"):
        towers.sequences(["age"])
    assert towers.select("FR-Aaa").sequences(["age"]).drivers["age"].tolist() == [80]


def test_a_column_is_found_whatever_its_case_and_blanks(folder):
    folder.sites["Canopy Height"] = [20.5, 31]
    folder.sites["Stand Age (years)"] = [80, 10]
    folder.write_sites()
    towers = open_towers(folder.path)
    assert towers.sequences(["canopy_height"]).drivers["canopy_height"].tolist() == [20.5, 31]
    with pytest.raises(ValueError, match=r"`stand_age_years` is not a variable.*Did you mean `Stand Age \(years\)`"):
        towers.sequences(["stand_age_years"])


def test_half_hours_without_nights_are_warned_of(one_site):
    times = pd.date_range("2009-01-01", "2009-03-31 23:30", freq="30min")
    halves = pd.DataFrame({"TIMESTAMP_START": times.strftime("%Y%m%d%H%M"), "TA_F": 10.0, "SW_IN_F": 200.0, "VPD_F": 5.0, "P_F": 0.0})
    halves = halves.assign(NEE_VUT_REF=-3.0, NEE_VUT_REF_QC=0)[(times.hour >= 6) & (times.hour < 18)]
    one_site.file("FR-Aaa").unlink()
    halves.to_csv(one_site.path / "FLX_FR-Aaa_FLUXNET2015_FULLSET_HH_2009-2009_1-4.csv", index=False)
    with pytest.raises(ValueError, match="column TA_F: no day has values in 46 of its 48 half-hours .*, nights too; leave this site out"):
        open_towers(one_site.path)


def test_folders_and_workbooks_are_named_where_no_file_is_found(folder):
    name = "FLX_{}_FLUXNET2015_FULLSET_2009-2010_1-4"
    inside = folder.path / "fluxnet_dd" / name.format("FR-Aaa")
    inside.mkdir()
    for site in ("FR-Aaa", "DE-Bbb"):
        folder.file(site).rename(inside / folder.file(site).name)
    (folder.path / "fluxnet_dd" / f"{name.format('DE-Bbb')}.xlsx").write_bytes(b"PK")
    (folder.path / "fluxnet_dd" / "my_towers").mkdir()
    with pytest.raises(FileNotFoundError) as refused:
        open_towers(folder.path)
    for said in (
        "_FR-Aaa_FLUXNET2015_FULLSET_2009-2010_1-4 is a folder, which is not looked into; move its files",
        "_DE-Bbb_FLUXNET2015_FULLSET_2009-2010_1-4.xlsx is a workbook of a spreadsheet; save its table as CSV",
        "other names: my_towers/ (folders, which end in /, are not looked into)",
    ):
        assert said in str(refused.value)
