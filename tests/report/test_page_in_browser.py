"""Tables of a page as Chromium lays them out."""

import dataclasses

import numpy as np
import pytest

from hybridflux.products.assimilation import assimilate_totals
from hybridflux.products.assimilation_table import table_of
from hybridflux.products.inventory import Entry
from hybridflux.report.assimilation_section import assimilation_section
from hybridflux.report.markup import Section, document
from tests.report.test_budget_tables import totals
from tests.view.chromium import Browser, program

pytestmark = [pytest.mark.long, pytest.mark.skipif(program() is None, reason="no Chromium: install it, or name one in HYBRIDFLUX_CHROMIUM")]

ZONE, COVER = "Grand-Champ-sur-Meuse", "DBF"


def test_no_column_of_an_assimilation_is_cut_off_on_a_laptop(tmp_path):
    """Names of places in one line had pushed the last three of ten columns out of the page."""
    of_zone = dataclasses.replace(totals(), zone=np.array([ZONE], object), land_cover=np.array([COVER], object))
    entry = Entry(ZONE, COVER, (2018, 2018), {"biomass": (75.0, 9.0), "soil": (10.0, 9.0), "export": (60.0, 20.0)})
    entry.carried["export"] = (60.0, 20.0)
    body = assimilation_section(table_of(assimilate_totals(of_zone, [entry])))
    page = tmp_path / "page.html"
    page.write_text(document("run report", "A region", "", [Section("assimilated", "Assimilated", "Assimilated", body)]), encoding="utf-8")
    with Browser(1280, 900) as browser:
        browser.send("Page.navigate", url=page.as_uri())
        browser.wait("document.readyState === 'complete' && document.querySelector('.wide table')")
        widths = browser.run("[...document.querySelectorAll('.wide')].map(one => [one.scrollWidth, one.clientWidth])")
        assert ZONE in browser.run("document.querySelector('.wide tbody').textContent")
        assert [of for of in widths if of[0] > of[1]] == []
