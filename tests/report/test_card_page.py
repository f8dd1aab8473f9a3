"""The page and the Markdown of a card: well formed, complete, nothing from elsewhere, and honest about what is missing."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from hybridflux.evaluate.calibration import PIT
from hybridflux.evaluate.card import make_card
from hybridflux.evaluate.scores import COLUMNS
from hybridflux.evaluate.steps import STEPS
from hybridflux.report.card_page import write_card
from hybridflux.report.card_table import markdown

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balanced(HTMLParser):
    """Fails where a tag is not closed in order; counts table rows."""

    def __init__(self):
        super().__init__()
        self.open, self.rows = [], 0

    def handle_starttag(self, tag, attributes):
        self.rows += tag == "tr"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def scores(models=("hybrid", "forest", "VPRM"), steps=tuple(STEPS), variables=("NEE", "GPP", "RECO")):
    rng = np.random.default_rng(0)
    rows = []
    for model in models:
        for step in steps:
            for variable in variables:
                for site, igbp in (("A", "ENF"), ("B", "CRO"), ("C", "ENF")):
                    row = dict.fromkeys(COLUMNS, np.nan) | {"site": site, "igbp": igbp, "variable": variable, "known": False}
                    row |= {"n": 50, "nse": rng.uniform(), "r2": 0.6, "rmse": 2.0, "bias": -0.1, "crps": 1.0, "model": model, "step": step}
                    if model != "VPRM":
                        row |= {"coverage50": 0.45, "coverage80": 0.77, "coverage90": 0.88} | dict(zip(PIT, [5] * 10, strict=True))
                    rows.append(row)
    return pd.DataFrame(rows)


CEILING = {"kind": "ceiling", "name": "known <site>", "variable": "NEE", "step": "day", "score": "nse", "value": 0.9, "source": "issue"}


@pytest.fixture(scope="module")
def card():
    return make_card(scores(), title="Towers <never> seen", references=[CEILING], notes=["QC >= 0.75."], origin={"seed": 1, "time": "now"})


@pytest.fixture(scope="module")
def page(card, tmp_path_factory):
    return write_card(card, tmp_path_factory.mktemp("card") / "card.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_complete(page):
    parsed = Balanced()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    clips = re.findall(r'<clipPath id="([^"]+)"', page)
    assert clips and len(clips) == len(set(clips))
    assert re.findall(r'<section id="(\w+)"', page) == ["short", "skill", "steps", "drought", "types", "calibration", "ceilings", "origin"]
    assert page.count("How to read") == 7 and page.count("<svg") == 6
    assert parsed.rows == 3 * 4 + 3 * 4 + 3 * 4 + 3 * 5 + 1 + 6 + 2


def test_nothing_is_loaded_from_elsewhere_and_text_is_escaped(page):
    assert not re.search(r"https?:|//cdn|@import|<link[^>]+stylesheet|<script|url\((?!#)", page)
    assert "Towers &lt;never&gt; seen" in page and "<never>" not in page and "known &lt;site&gt;" in page
    assert "#0a0b0" not in page and "nan" not in re.sub(r"<[^>]*>", "", page).lower().replace("nanc", "")


def test_what_is_missing_is_said(tmp_path):
    few = make_card(scores(models=("VPRM",), steps=("day",), variables=("NEE",)), title="Few")
    text = write_card(few, tmp_path / "card.html").read_text(encoding="utf-8")
    Balanced().feed(text)
    assert "No model of this card is probabilistic: not available" in text
    assert "Ceilings and goals: not available" in text and "Provenance not available" in text
    assert "others not available" in text and "<svg" not in text


def test_the_way_to_a_ceiling(card, page):
    row = {each["model"]: each["nse"] for each in card["skill"] if (each["step"], each["variable"], each["igbp"]) == ("day", "NEE", "all")}
    other = max(row["forest"], row["VPRM"])
    covered = f"{100 * (row['hybrid'] - other) / (0.9 - other):.0f}\u202f%".replace("-", "\u2212")
    assert covered in page.split('id="ceilings"')[1]


def test_markdown_has_every_model_and_a_dash_for_what_is_not_there(card):
    text = markdown(card)
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert [len(block.strip().splitlines()) - 2 for block in tables] == [9, 9, 3 * 8 * 3]
    for block in tables:
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1
    assert text.startswith("# Towers <never> seen") and "## Unseen sites" in text
    vprm = next(line for line in text.splitlines() if line.startswith("| VPRM | NEE"))
    assert vprm.endswith("| - | - | - |")
