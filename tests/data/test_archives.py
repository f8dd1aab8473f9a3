"""Every way FLUXNET files come: names, packings, several resolutions, damage."""

import gzip
import io
import zipfile

import pytest

from hybridflux.data.archives import find_archives, survey
from hybridflux.data.fluxnet_table import read_table

COLUMNS = frozenset(("TIMESTAMP", "TIMESTAMP_START", "TA_F", "NEE_VUT_REF"))
CSV = b"TIMESTAMP,TA_F,NEE_VUT_REF,OTHER\n20010101,3.5,-9999,7\n20010102,4.5,-1.25,7\n"
HALFHOURS = b"TIMESTAMP_START,TIMESTAMP_END,TA_F\n200101010000,200101010030,3\n"


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def put(folder, name, content=CSV):
    (folder / "fluxnet_dd").mkdir(exist_ok=True)
    (folder / "fluxnet_dd" / name).write_bytes(content)


@pytest.mark.parametrize(
    "name",
    [
        "FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2014_1-4.csv",
        "FLX_FR-Fon_FLUXNET2015_SUBSET_DD_2005-2014_1-4.csv",
        "FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2020_beta-3.csv",
        "ICOSETC_FR-Fon_FLUXNET_DD_L2.csv",
        "EUF_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2020.csv",
        "AMF_FR-Fon_FLUXNET_FULLSET_DD_2005-2020_3-5.csv",
        "AMF_FR-Fon_FLUXNET_FLUXMET_DD_2005-2023_v1.3_r1.csv",
    ],
)
@pytest.mark.parametrize("packing", ["csv", "csv.gz", "zip"])
def test_every_name_and_packing_is_read(tmp_path, name, packing):
    if packing == "csv":
        put(tmp_path, name)
    elif packing == "csv.gz":
        put(tmp_path, name + ".gz", gzip.compress(CSV))
    else:
        members = {
            name: CSV,
            name.replace("_DD_", "_MM_"): CSV,
            name.replace("_DD_", "_HH_"): HALFHOURS,
            "FLX_FR-Fon_FLUXNET2015_ERAI_DD_1989-2014_1-4.csv": CSV,
            "FLX_FR-Fon_FLUXNET2015_AUXNEE_2005-2014_1-4.csv": CSV,
            "__MACOSX/._" + name: b"",
        }
        put(tmp_path, name.replace("_DD", "").replace(".csv", ".zip"), zipped(**members))
    archives = find_archives(tmp_path)
    assert list(archives) == ["FR-Fon"] and archives["FR-Fon"].resolution == "DD"
    table = read_table(archives["FR-Fon"], COLUMNS)
    assert list(table.columns) == ["TIMESTAMP", "TA_F", "NEE_VUT_REF"] and table["TIMESTAMP"].tolist() == ["20010101", "20010102"]
    assert table["NEE_VUT_REF"].isna().tolist() == [True, False]


def test_a_zip_without_days_gives_its_half_hours(tmp_path):
    put(
        tmp_path,
        "ICOSETC_FR-Fon_ARCHIVE_L2.zip",
        zipped(**{"ICOSETC_FR-Fon_FLUXNET_HH_L2.csv": HALFHOURS, "ICOSETC_FR-Fon_VARINFO_HH_L2.csv": CSV}),
    )
    archive = find_archives(tmp_path)["FR-Fon"]
    assert archive.resolution == "HH" and archive.finer is None
    assert str(archive) == "ICOSETC_FR-Fon_ARCHIVE_L2.zip:ICOSETC_FR-Fon_FLUXNET_HH_L2.csv"


def test_days_before_half_hours_and_full_before_subset(tmp_path):
    for name in ("FULLSET_DD", "SUBSET_DD", "FULLSET_HH"):
        put(tmp_path, f"FLX_FR-Fon_FLUXNET2015_{name}_2005-2014_1-4.csv")
    archive = find_archives(tmp_path)["FR-Fon"]
    assert "FULLSET_DD" in archive.table_name and archive.finer.resolution == "HH"


@pytest.mark.parametrize(
    ("halves", "warned"),
    [
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_HH_2006-2012_1-4", False),
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_HH_2005-2020_beta-3", True),
        ("ICOSETC_FR-Fon_FLUXNET_HH_L2", True),
    ],
)
def test_half_hours_of_other_years_or_networks_are_warned_of(tmp_path, halves, warned):
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2014_1-4.csv")
    put(tmp_path, f"{halves}.csv")
    found = survey(tmp_path)
    assert (f"{halves}.csv: of half-hours only the days of FLX_FR-Fon" in found.beside.get("FR-Fon", "")) == warned
    put(tmp_path, f"{halves.replace('_HH_', '_DD_')}.csv")
    assert not survey(tmp_path).beside


def test_a_zip_beside_its_own_content_is_no_conflict(tmp_path):
    name = "FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2014_1-4.csv"
    put(tmp_path, name)
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015_FULLSET_2005-2014_1-4.zip", zipped(**{name: CSV}))
    assert find_archives(tmp_path)["FR-Fon"].member is None


def test_files_of_other_processings_or_years_are_offered_together(tmp_path):
    """FULLSET before SUBSET of the same product; each with the half-hours of its own product."""
    full = "FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2014_1-4"
    names = (full, full.replace("FULLSET", "SUBSET"), "ICOSETC_FR-Fon_FLUXNET_DD_L2")
    for name in (*names, names[2].replace("_DD_", "_HH_")):
        put(tmp_path, f"{name}.csv")
    archive = find_archives(tmp_path)["FR-Fon"]
    assert [one.table_name for one in (archive, *archive.others)] == [names[0], names[2]]
    assert archive.others[0].finer.table_name == "ICOSETC_FR-Fon_FLUXNET_HH_L2"


def test_other_files_and_sites_are_left_alone(tmp_path):
    put(tmp_path, "notes.csv")
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015_FULLSET_YY_2005-2014_1-4.csv")
    put(tmp_path, "FLX_DE-Tha_FLUXNET2015_FULLSET_2005-2014.zip", b"damaged, but not asked for")
    assert find_archives(tmp_path, ["FR-Fon"]) == {}
    found = survey(tmp_path, ["FR-Fon"])
    assert "_YY_2005-2014_1-4.csv holds YY, the daily .DD. or" in found.unread["FR-Fon"].replace("(DD)", ".DD.") and not found.beside
    assert found.unknown == ("notes.csv",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_DD.csv.gz", gzip.compress(CSV * 50, mtime=0)[:60], "damaged or cut short.*download it again"),
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_DD.csv", b"", "not a readable FLUXNET table"),
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_DD.csv", b"\xff\xfe\x00\x81" * 9, "damaged or cut short|not a readable"),
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_HH.parquet", CSV, "not a readable FLUXNET table"),
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_DD.csv", CSV.replace(b"4.5", b"4,5;"), "not a readable|not a number"),
        ("FLX_FR-Fon_FLUXNET2015_FULLSET_DD.csv", CSV.replace(b"4.5", b"n/d"), "column TA_F, row 3: `n/d` is not a number"),
    ],
    ids=("gzip cut", "empty", "binary", "parquet", "comma", "word"),
)
def test_damage_is_named(tmp_path, name, content, message):
    put(tmp_path, name, content)
    with pytest.raises(ValueError, match=f"(?s){name}.*({message})"):
        read_table(find_archives(tmp_path)["FR-Fon"], COLUMNS)


def test_a_damaged_zip_and_a_zip_without_tables_are_named(tmp_path):
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015.zip", b"PK nothing")
    with pytest.raises(ValueError, match="FLX_FR-Fon_FLUXNET2015.zip is not a readable zip"):
        find_archives(tmp_path)
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015.zip", zipped(**{"FLX_FR-Fon_FLUXNET2015_FULLSET_YY.csv": CSV}))
    found = survey(tmp_path)
    assert not found.archives and "holds no FLUXNET table of days" in found.unread["FR-Fon"] and "FULLSET_YY.csv" in found.unread["FR-Fon"]


def test_a_zip_with_a_password_is_named(tmp_path):
    """Bit 0 of the flags of an entry, in its own header and in the directory (APPNOTE 4.4.4), says that it is encrypted."""
    content = bytearray(zipped(**{"FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2014_1-4.csv": CSV}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015_FULLSET_2005-2014_1-4.zip", bytes(content))
    with pytest.raises(ValueError, match="(?s)FLX_FR-Fon_FLUXNET2015_FULLSET_2005-2014_1-4.zip.*password"):
        read_table(find_archives(tmp_path)["FR-Fon"], COLUMNS)


def test_ameriflux_base_is_ignored_beside_fluxnet_and_named_where_it_is_alone(tmp_path):
    """As the AmeriFlux portal offers both: BASE has comments before its header and other columns."""
    base = b"# Site: FR-Fon\n# Version: 17-5\nTIMESTAMP_START,TIMESTAMP_END,FC\n200101010000,200101010030,1\n"
    put(tmp_path, "AMF_FR-Fon_BASE-BADM_17-5.zip", zipped(**{"AMF_FR-Fon_BASE_HH_17-5.csv": base, "AMF_FR-Fon_BIF_2.xlsx": b""}))
    put(tmp_path, "AMF_FR-Fon_BASE_HH_17-5.csv", base)
    alone = survey(tmp_path)
    assert not alone.archives and "is AmeriFlux BASE" in alone.unread["FR-Fon"] and "ameriflux.lbl.gov" in alone.unread["FR-Fon"]
    put(tmp_path, "AMF_FR-Fon_FLUXNET_FULLSET_DD_2005-2020_3-5.csv")
    found = survey(tmp_path)
    assert found.archives["FR-Fon"].path.name.startswith("AMF_FR-Fon_FLUXNET") and found.archives["FR-Fon"].finer is None
    assert "ignored: AMF_FR-Fon_BASE" in found.beside["FR-Fon"]


def test_names_in_lower_case_are_read_and_spelt_as_in_the_table(tmp_path):
    put(tmp_path, "flx_fr-fon_fluxnet2015_fullset_dd_2005-2014_1-4.CSV")
    archive = find_archives(tmp_path, ["FR-Fon"])["FR-Fon"]
    assert archive.resolution == "DD" and len(read_table(archive, COLUMNS)) == 2


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"),
        CSV.replace(b",", b";").replace(b".", b","),
        CSV.replace(b",", b"\t").decode().encode("utf-16"),
        CSV + b",,,\n,,,\n",
        CSV.replace(b"-9999", b"-6999"),
        CSV.replace(b"20010101", b"20010101.0").replace(b"TA_F", b' "TA_F"'),
    ],
    ids=("plain", "BOM", "semicolons", "unicode text", "empty rows", "-6999", "stamps as numbers"),
)
def test_a_table_saved_again_by_a_spreadsheet_has_the_same_values(tmp_path, content):
    put(tmp_path, "FLX_FR-Fon_FLUXNET2015_FULLSET_DD_2005-2014_1-4.csv", content)
    table = read_table(find_archives(tmp_path)["FR-Fon"], COLUMNS)
    assert table["TIMESTAMP"].tolist() == ["20010101", "20010102"] and table["TA_F"].tolist() == [3.5, 4.5]
    assert table["NEE_VUT_REF"].fillna(99).tolist() == [99, -1.25]
