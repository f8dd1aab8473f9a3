"""Losses by class on the page: the sentence says the order and the probability of the tables, the curves their water."""

import re

import pandas as pd

from hybridflux.causes import CAUSES
from hybridflux.products.drought_classes import class_table, difference_table
from hybridflux.report.drought_classes_section import classes_sections, section_of
from hybridflux.report.drought_section import COLOURS
from tests.products.test_drought_classes import made_up

ROW = {"by": "crop", "against": "water missing", "over": "pixels", "water_units": "mm", "variable": "GPP", "class": "maize"}
CURVE = [ROW | {"quantity": "curve", "cause": "all", "water": water, "mean": -4 * water, "q05": -5 * water, "q95": -3 * water}
         for water in (10.0, 20.0, 30.0)]  # fmt: skip
SLOPES = [ROW | {"quantity": "slope", "cause": cause, "mean": mean, "q05": 1.2 * mean, "q95": 0.8 * mean}
          for cause, mean in (("all", -40.0), ("soil_water", -25.0))]  # fmt: skip


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", html, flags=re.S)).replace("\u202f", " ").replace("−", "-")


def test_the_order_of_the_losses_and_how_sure_it_is_stand_in_a_sentence():
    found = made_up()
    html = section_of(class_table("crop", found), difference_table("crop", found), pd.DataFrame(CURVE + SLOPES), COLOURS)
    text = plain(html)
    assert html.count("<svg") == 3 and len(CAUSES) == len(COLOURS)
    assert re.search(r"(Maize|Grass) lost 1[45]\d gC m -2 of GPP .* orchard lost (9|10)\d gC m -2 .* with a probability of 9\d %", text)
    assert re.search(r"In per cent of its usual, grass lost most \(-(29|30|31) %\)", text)
    assert re.search(r"Where 10 mm more water was missing, GPP of maize changed by -40 gC m -2 \(-48 to -32\), -25 of it by soil", text)


def test_a_ledger_without_tables_of_classes_has_no_such_section(tmp_path):
    assert list(classes_sections(tmp_path, COLOURS)) == []
