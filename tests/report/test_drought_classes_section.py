"""Losses by class on the page: the sentence says the order and the probability of the tables, the curves their water."""

import re

import pandas as pd

from hybridflux.causes import CAUSES
from hybridflux.products.drought_classes import class_table, difference_table
from hybridflux.report.drought_bars import COLOURS
from hybridflux.report.drought_classes_section import classes_sections, drawn_parts, section_of
from tests.products.test_drought_classes import made_up

ROW = {"by": "crop", "class": "maize", "against": "soil water left", "over": "pixels", "water_units": "share of capacity"}
ROW |= {"variable": "GPP"}
CURVE = [ROW | {"quantity": "curve", "cause": "all", "water": water, "area_ha": area, "mean": -40 / water, "q05": -50 / water,
                "q95": -30 / water}
         for water, area in ((0.2, 4.0), (0.4, 5.0), (0.6, 4.0), (0.7, 0.2))]  # fmt: skip

def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", html, flags=re.S)).replace("\u202f", " ").replace("−", "-")


def test_the_order_of_the_losses_and_how_sure_it_is_stand_in_a_sentence():
    found = made_up()
    html = section_of(class_table("crop", found), difference_table("crop", found), pd.DataFrame(CURVE))
    text = plain(html)
    assert html.count("<svg") == 3 and len(CAUSES) == len(COLOURS)
    assert re.search(r"(Maize|Grass) lost 1[45]\d gC m -2 of GPP .* orchard lost (9|10)\d gC m -2 .* with a probability of 9\d %", text)
    assert re.search(r"In per cent of its usual, grass lost most \(-(29|30|31) %\)", text)
    assert re.search(r"For each 10 mm of water missing, soil water changed GPP by -3[6-9].\d gC m -2 .* in (maize|grass) and -2\d.\d", text)


def test_a_part_of_few_pixels_is_not_drawn():
    assert drawn_parts(pd.DataFrame(CURVE))["water"].tolist() == [0.2, 0.4, 0.6]


def test_a_ledger_without_tables_of_classes_has_no_such_section(tmp_path):
    assert list(classes_sections(tmp_path)) == []
