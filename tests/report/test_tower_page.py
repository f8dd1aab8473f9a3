"""The page of towers: complete, readable offline, honest about what was in the fit."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hybridflux.report.tower_page import write_tower_report

pytestmark = pytest.mark.long

SECTIONS = ["numbers", "fits", "residuals", "responses", "parameters", "calibration", "unseen", "origin"]


@pytest.fixture(scope="module")
def page(mapped, tmp_path_factory):
    """With one tower that was left out by two draws, and one the posterior has not seen."""
    first = mapped.sequences.places[0]
    info = {"draws_without": {first: [1, 5]}, "method": "Ensemble", "concerns": ["2 of 8 members <far> behind"], "seed": 1}
    stranger = replace(mapped.sequences, places=(*mapped.sequences.places[:2], "XX-New"))
    return write_tower_report(replace(mapped.posterior, info=info), stranger, tmp_path_factory.mktemp("p") / "t.html").read_text("utf-8")


def test_every_section_is_there(page):
    assert re.findall(r'<section id="(\w+)"', page) == SECTIONS
    body = dict(zip(SECTIONS, re.split(r"<section id", page)[1:], strict=True))
    assert body["fits"].count("<svg") == 6  # days and months of three towers
    each = 3 * 5  # light, temperature, VPD, soil water, greenness of three plant types: in the growing season, at the corners, factors
    assert body["responses"].count("<svg") == 3 * each and body["responses"].count("<details>") == 1
    assert "Signs that contradict physics" in body["responses"] and "wet and cool" in body["responses"]
    assert body["unseen"].count("<svg") == 1 and body["calibration"].count("<svg") == 2 * 6
    assert "Sites of the fit" in body["calibration"] and "Sites that are not in the fit" in body["calibration"]
    assert body["residuals"].count("<svg") == 3 + 2


def test_who_was_in_the_fit_is_said(page, mapped):
    assert "3 towers, 2 of them in the fit" in page
    rows = dict(re.findall(r"<td>(XX-\w+)</td><td>\w+</td><td>(yes|no)</td>", page))
    assert rows == {mapped.sequences.places[0]: "yes", mapped.sequences.places[1]: "yes", "XX-New": "no"}
    assert "NSE of daily NEE, left out" in page and "NSE of daily NEE, not in the fit" in page
    assert "2 of 8 members &lt;far&gt; behind" in page


def test_units_sign_and_nothing_from_elsewhere(page):
    assert "positive to the atmosphere" in page and "gC m⁻² d⁻¹" in page and "MJ m⁻² d⁻¹" in page and "hPa" in page
    assert not re.search(r"https?:|//cdn|@import|<link[^>]+stylesheet|<script[^>]+src|url\((?!#)", page)
    assert "#0a0b0" not in page and "nan" not in re.sub(r"<[^>]*>", "", page).lower().replace("nanc", "")
    ids = re.findall(r'<clipPath id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_without_draws_that_left_a_tower_out_the_way_is_named(mapped, tmp_path):
    one = mapped.sequences.select(mapped.sequences.places[:1])
    text = write_tower_report(mapped.posterior, one, tmp_path / "t.html").read_text("utf-8")
    assert "--leave-site-out" in text and "left out</div>" not in text


def test_towers_without_measured_nee_are_refused(mapped, tmp_path):
    empty = replace(mapped.sequences, targets={name: np.full_like(each, np.nan) for name, each in mapped.sequences.targets.items()})
    with pytest.raises(ValueError, match="no NEE was measured at XX-"):
        write_tower_report(mapped.posterior, empty, tmp_path / "t.html")
