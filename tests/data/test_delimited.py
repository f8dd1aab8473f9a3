"""Text tables of people and spreadsheets: encodings, delimiters, decimal marks, stray cells; what has two meanings is refused."""

import gzip

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.delimited import read_cells, sniff

HEADER, ROW = ["Site ID", "name", "value"], ["FR-Aaa", "Forêt de l'Été", "48.5"]


def written(tmp_path, text, encoding="utf-8", name="table.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_delimiter_and_line_end_gives_the_same_cells(tmp_path, encoding, delimiter, end):
    text = end.join(delimiter.join(cells) for cells in (HEADER, ROW)) + end
    cells = read_cells(written(tmp_path, text, encoding), ("site_id", "value"))
    assert cells.text.loc[2].tolist() == ROW and cells.numbers("value").tolist() == [48.5]


def test_empty_rows_and_columns_comments_and_blanks_are_left_out_and_rows_counted_as_in_the_file(tmp_path):
    text = '# made by hand\n"Site_Id" , value ,,\n\n FR-Aaa ,1.5,,\n,,,\nDE-Bbb,,,\n,,,\n,,,\n'
    cells = read_cells(written(tmp_path, text), ("site_id", "value"))
    assert list(cells.text.columns) == ["site_id", "value"] and cells.text["site_id"].to_dict() == {4: "FR-Aaa", 6: "DE-Bbb"}
    np.testing.assert_array_equal(cells.numbers("value"), [1.5, np.nan])


def test_an_alias_gives_way_to_the_name_itself(tmp_path):
    cells = read_cells(written(tmp_path, "latitude,LAT\n1,2\n"), ("lat",), {"latitude": "lat"})
    assert list(cells.text.columns) == ["latitude", "lat"] and cells.numbers("lat").tolist() == [2]


def test_gzip_and_excels_line_of_the_separator(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"sep=;\r\nyear;value\r\n2001;1,5\r\n"))
    assert read_cells(path, ("year",)).numbers("value").tolist() == [1.5]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a;b\n48,5;1\n", [48.5]),
        ("a;b\n1,100;1\n", [1.1]),  # Excel puts semicolons where the comma is the decimal mark
        ("a;b\n1.5;1\n", [1.5]),
        ("a\tb\n0,25;\t1\n", None),
        ("a\tb\n0,25\t1\n", [0.25]),
        ("a;b\n-9999,0;1,5\n-9999,00;1\n0,5;1\n", [np.nan, np.nan, 0.5]),
        ("a,b\n-9999,1\nNA,1\n#N/A,1\n,1\n\u2212.5,1\n1e-3,1\n", [np.nan, np.nan, np.nan, np.nan, -0.5, 1e-3]),
    ],
)
def test_numbers(tmp_path, text, values):
    cells = read_cells(written(tmp_path, text), ("a",))
    if values is None:
        with pytest.raises(ValueError, match="column a, row 2"):
            cells.numbers("a")
    else:
        np.testing.assert_array_equal(cells.numbers("a"), values)


@pytest.mark.parametrize(
    ("text", "cell", "cure"),
    [
        ('a,b\n"1,100",1\n', "1,100", "thousands separator"),
        ("a\tb\n1,100\t1\n", "1,100", "thousands separator"),
        ("a;b\n1.100;0,5\n", "1.100", "thousands separator"),
        ("a;b\n1,100;48.5\n", "1,100", "thousands separator"),
        ('a,b\n"1\u202f100",1\n', "1\u202f100", "thousands separator"),
        ('a,b\n"48,5",1\n', "48,5", "decimal comma"),
        ("a,b\n100 m,1\n", "100 m", "`m` stands behind it"),
        ("a,b\nUTC+1,1\n", "UTC.1", "is not a number; write the number alone"),
        ("a,b\ninf,1\n", "inf", "is not a number"),
        ("a,b\n#REF!,1\n", "#REF!", "a formula of the spreadsheet"),
    ],
)
def test_a_cell_of_two_meanings_is_refused_with_file_column_row_and_cure(tmp_path, text, cell, cure):
    with pytest.raises(ValueError, match=f"^table.csv, column a, row 2: `{cell}` .*{cure}"):
        read_cells(written(tmp_path, text), ("a",)).numbers("a")


def test_all_faults_of_a_column_are_named_and_values_are_cut(tmp_path):
    path = written(tmp_path, "a,b\n" + f"{'x' * 500},1\n" * 8)
    with pytest.raises(ValueError, match="row 2: `x{40}...`.*row 6: .*and 3 more") as error:
        read_cells(path).numbers("a")
    assert len(str(error.value)) < 900


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"PK\x03\x04rest", "Excel workbook, not a text table; save it as CSV"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"a,b\n48,5,2\n", "row 2 has 3 cells, the header 2.*decimal commas need semicolons"),
        (b"a,a\n1,2\n", "column a twice"),
        (b"a,,b\n1,2,3\n", "column 2 has values but no name"),
        (b"b,c\n1,2\n", "lacks column a; it has b, c; it must have a,b"),
        (b'a,b\n"1,2\n', "quotation mark not closed"),
        (b"\x1f\x8bbroken", "damaged or cut short"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^table.csv.*{message}"):
        read_cells(path, ("a",), example="a,b")


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2018-02-01", "2018-2-3", "2018/03/01", "20180401"], ["2018-02-01", "2018-02-03", "2018-03-01", "2018-04-01"]),
        (["2018-02-01T00:00:00Z", "2018-02-01 10:30"], ["2018-02-01", "2018-02-01"]),
        (["01/02/2018", "31/12/2018"], ["2018-02-01", "2018-12-31"]),
        (["01/02/2018", "12/31/2018"], ["2018-01-02", "2018-12-31"]),
        (["01.02.2018"], ["2018-02-01"]),
    ],
)
def test_dates_of_one_reading(tmp_path, dates, expected):
    cells = read_cells(written(tmp_path, "date\n" + "\n".join(dates)), ("date",))
    assert cells.dates("date").tolist() == list(pd.to_datetime(expected))


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (["01/02/2018"], "`01/02/2018` may be day/month or month/day; write YYYY-MM-DD"),
        (["31/01/2018", "01/31/2018"], "mixes day/month and month/day"),
        (["2018-13-01"], "is not a date"),
        (["1 Jan 18"], "is not a date"),
        (["43101"], "is the number by which a spreadsheet counts days"),
    ],
)
def test_dates_of_two_readings_or_none(tmp_path, dates, message):
    with pytest.raises(ValueError, match=f"table.csv, column date, row 2: .*{message}"):
        read_cells(written(tmp_path, "date\n" + "\n".join(dates)), ("date",)).dates("date")


def test_the_dialect_of_the_head_of_a_long_file_survives_a_character_cut_in_two():
    assert sniff("année;valeur é".encode()[:-1]).encoding == "utf-8"
    assert sniff("DATE;T_Q\n".encode("utf-16")).delimiter == ";"
