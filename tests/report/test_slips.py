"""Small regions and parts of years on the page of a run: nothing is rounded to nothing, every number names its period and its days."""

import json
import re
import shutil

import pandas as pd
import pytest

from hybridflux.region.drivers.calendar import Period
from hybridflux.report.budget_tables import area_ha, tonnes
from hybridflux.report.page import _thinned, write_report

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def part(mapped, tmp_path_factory):
    """The page of two months; the run's record names a plant type that no tower has, and a credit."""
    from hybridflux.region.map import map_region

    folder = tmp_path_factory.mktemp("part")
    map_region(mapped.posterior, mapped.region, folder / "run", draws=4, period=Period("2022-05-01", "2022-06-15"))
    record = json.loads((folder / "run" / "run.json").read_text())
    del record["checksum"]  # changed on purpose
    record |= {"attribution": ["Contains modified Copernicus Sentinel data 2022"]}
    record["plant_types"] = {"at_towers": {"DBF": 1}, "without_tower": {"MF": round(0.125 * record["pixels"])}}
    (folder / "run" / "run.json").write_text(json.dumps(record))
    shutil.rmtree(folder / "run" / "cog")
    return write_report(folder / "run", folder / "page.html").read_text("utf-8")


def test_headlines_name_their_period_and_days(part):
    cards = re.findall(r'<div class="name">(.*?)</div>', part)[:3]
    assert all("46 days" in card and "2022" in card for card in cards), cards
    assert "2022-05-01 to 2022-06-15, 46 days" in part
    assert "2022-06, 15 days" in part and '"2022-05"' in part  # frames of the maps


def test_small_areas_and_totals_are_not_rounded_away(part):
    text = re.sub(r"<[^>]*>", "|", part)
    assert not re.search(r"\|0\|ha|\| ?0 ha", text) and "ktCO" not in text and "Total, t CO" in text
    assert area_ha(0.3) == "0.300" and tonnes(pd.Series([999.0]))[1] == ""


def test_what_no_tower_has_and_the_credit_are_told(part):
    assert "No tower of the posterior has this plant type:" in part and "mixed forest (12 % of the pixels)" in part
    assert "Contains modified Copernicus Sentinel data 2022" in part and "NEE = RECO - GPP, positive to the atmosphere" in part


def test_what_is_not_thinned_is_not_said():
    assert _thinned({"stride": 1, "step": 3}) == "every 3rd date" and "1" not in _thinned({"stride": 2, "step": 1})
