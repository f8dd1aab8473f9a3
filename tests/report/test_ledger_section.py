"""The ledger on the page: parts with their sign, NBP with its interval, and what is not known."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from hybridflux.products.carbon_ledger import carry, ledger_of
from hybridflux.products.management import Flow
from hybridflux.products.totals import RunTotals
from hybridflux.report.ledger_section import ledger_section

MONTHS = pd.date_range("2017-01-01", "2018-12-01", freq="MS")


def section(*flows):
    """The section of two land covers whose NEE is -20 and -10 gC m-2 a month, and the table it is made of."""
    error = 1 + 0.1 * np.linspace(-1, 1, 21)
    nee = np.multiply.outer(np.array([[-20.0], [-10.0]]) * np.ones(24), error)
    totals = RunTotals(
        {"NEE": nee, "GPP": -3 * nee, "RECO": -2 * nee}, np.array(["a", "b"], object), np.array(["CRO", "GRA"], object), np.ones(2), MONTHS,
        MONTHS.days_in_month.to_numpy(), "parameter",
    )  # fmt: skip
    table = ledger_of(totals, carry(totals, [], flows, 0))
    return ledger_section(table), table


@pytest.fixture(scope="module")
def known():
    return section(Flow("region", "all", "export", (2017, 2018), 150.0, 0.0), Flow("region", "GRA", "import", (2017, 2018), 40.0, 0.0))


def test_parts_and_gain_stand_in_the_table_and_in_the_figure(known):
    page, _ = known
    row = re.search(r"<td>Grassland</td>.*?</tr>", page)[0]
    cells = re.findall(r"<td>([^<]*)</td>", row)
    assert cells == ["Grassland", "360", "240", "−120", "150", "40", "–", "–", "10", "−1 to 21".replace(" ", " ")]
    assert "−NEE − export + import − fire − leaching" in page and "positive when the land gains carbon" in page
    drawn = ElementTree.fromstring(re.search(r"<svg.*?</svg>", page, re.S)[0])
    words = "".join(drawn.itertext())
    assert "gain of the land" in words and "NBP, 90 %" in words and "export" in words and "fire" not in words


def test_sums_over_years_are_shown(known):
    page, table = known
    total = table[(table.quantity == "cumulative") & (table.variable == "NBP") & (table.zone == "region") & (table.land_cover == "all")]
    assert total["mean"].item() == pytest.approx(2 * (180 - 150 + 20)) and "NBP summed over years" in page and "<td>100</td>" in page


def test_without_export_there_is_no_gain_and_the_page_says_why():
    page, _ = section(Flow("region", "GRA", "export", (2017, 2018), 150.0, 0.0))
    cropland = re.search(r"<td>Cropland</td>.*?</tr>", page)[0]
    assert cropland.count("<td>–</td>") == 6 and "export is not known of CRO, 50% of the area" in page


def test_a_year_that_is_known_is_shown_before_a_mean_that_is_not():
    page, _ = section(Flow("region", "all", "export", (2018, 2018), 150.0, 0.0))
    assert "period 2018." in page and re.search(r"<td>Grassland</td>.*?</tr>", page)[0].count("<td>150</td>") == 1
