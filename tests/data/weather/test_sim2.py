"""SIM2 tables of Meteo-France."""

import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer

from hybridflux.data.weather import reader
from hybridflux.data.weather.air import saturation_pressure

DAYS = np.arange(np.datetime64("2018-05-01"), np.datetime64("2018-06-01"))
EAST, NORTH = Transformer.from_crs("EPSG:27572", "EPSG:4326", always_xy=True).transform(600_000, 1_850_000)


@pytest.fixture
def read(catalog, tmp_path):
    def call(table, start="2018-05-02", end="2018-05-30", extent=(EAST - 0.02, NORTH - 0.02, EAST + 0.02, NORTH + 0.02)):
        table.to_csv(tmp_path / "QUOT_SIM2_2010-2019.csv.gz", sep=";", index=False)
        return reader("sim2")(catalog["sim2"], tmp_path, extent, np.datetime64(start), np.datetime64(end), 1.0)

    return call


@pytest.mark.parametrize("suffix", ["_Q", ""])
def test_columns_units_and_places(read, make_sim2, suffix):
    weather = read(make_sim2(DAYS, cells=((6000, 18500), (6080, 18500), (7000, 18500)), suffix=suffix))
    assert len(weather.latitude) == 2, "the third cell is 100 km away"
    assert weather.latitude[0] == pytest.approx(NORTH) and weather.longitude[0] == pytest.approx(EAST)
    assert EAST == pytest.approx(2.337, abs=0.01), "the grid counts from the meridian of Paris"
    assert weather.values["rain"] == pytest.approx(1.5), "rain and snow"
    assert weather.values["par"] == pytest.approx(15.0 * 0.45), "1500 J cm-2"
    tmin, warmest = weather.values["tmin"], weather.values["tair"] + 6
    expected = 0.5 * (saturation_pressure(tmin) + saturation_pressure(warmest)) * 0.3
    assert weather.values["vpd"] == pytest.approx(expected, rel=1e-5)
    assert "06 UTC" in weather.other_days


SAVED = {
    "French Excel": dict(sep=";", decimal=",", encoding="utf-8-sig"),
    "English Excel": dict(sep=",", encoding="cp1252"),
    "LibreOffice": dict(sep="\t", decimal=",", encoding="utf-16"),
    "quoted": dict(sep=";", quoting=1),
}
DATES = {"as delivered": "%Y%m%d", "ISO": "%Y-%m-%d", "French": "%d/%m/%Y"}
PAIRS = [(how, form) for how in SAVED for form in DATES.values()] + [("English Excel", "%Y%m%d.0")]


@pytest.mark.parametrize(("how", "form"), PAIRS)
def test_tables_saved_again_by_a_spreadsheet(read, make_sim2, tmp_path, catalog, how, form):
    table = make_sim2(DAYS)
    expected = read(table)
    table["DATE"] = pd.to_datetime(table["DATE"]).dt.strftime(form)
    table = table.rename(columns={"LAMBX": "lambx "})
    path = tmp_path / "QUOT_SIM2_2010-2019.csv.gz"
    table.to_csv(path, index=False, compression=None if how == "quoted" else "gzip", **SAVED[how])
    found = reader("sim2")(catalog["sim2"], path, (EAST - 0.02, NORTH - 0.02, EAST + 0.02, NORTH + 0.02), DAYS[1], DAYS[-2], 1.0)
    for name, values in expected.values.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("T_Q", "12.5 C", r"QUOT_SIM2_2010-2019.csv.gz, column T_Q, row 7: `12.5 C` is not a number alone"),
        ("SSI_Q", "#REF!", r"column SSI_Q, row 7: .* formula of the spreadsheet"),
        ("LAMBX", "east", r"column LAMBX, row 7: `east` is not a number"),
        ("DATE", "mai 2018", r"QUOT_SIM2_2010-2019.csv.gz, column DATE, row 7: `mai 2018` is not a date; write YYYY-MM-DD or YYYYMMDD"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(read, make_sim2, column, cell, said):
    table = make_sim2(DAYS).astype(object)
    table.loc[5, column] = cell
    with pytest.raises(ValueError, match=said):
        read(table)


def test_a_date_of_two_readings_is_refused(read, make_sim2):
    table = make_sim2(DAYS[:12])
    table["DATE"] = pd.to_datetime(table["DATE"]).dt.strftime("%d/%m/%Y")
    with pytest.raises(ValueError, match=r"column DATE, row 2: `01/05/2018` may be day/month or month/day"):
        read(table, end="2018-05-10")


def test_refused(read, make_sim2, tmp_path, catalog):
    table = make_sim2(DAYS)
    with pytest.raises(ValueError, match="SSI_Q"):
        read(table.drop(columns="SSI_Q"))
    with pytest.raises(ValueError, match="1 of 29 days are missing, the first is 2018-05-10"):
        read(table[table["DATE"] != "20180510"])
    with pytest.raises(ValueError, match="comes 2 times"):
        read(pd.concat([table, table[table["DATE"] == "20180510"]]))
    with pytest.raises(ValueError, match="`tair` is .* outside"):
        read(table.assign(T_Q=table["T_Q"] + 273.15))
    with pytest.raises(ValueError, match="on its clearest day"):
        read(table.assign(SSI_Q=table["SSI_Q"] / 100))
    with pytest.raises(ValueError, match="mean relative humidity would be 0.70%; the file is perhaps in a fraction"):
        read(table.assign(HU_Q=table["HU_Q"] / 100))
    with pytest.raises(ValueError, match="no row of the extent"):
        read(table, extent=(10.0, 50.0, 10.1, 50.1))
    path = tmp_path / "QUOT_SIM2_2010-2019.csv.gz"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="is damaged or no table"):
        reader("sim2")(catalog["sim2"], path, (EAST, NORTH, EAST, NORTH), DAYS[0], DAYS[-1], 1.0)
