import re

import pytest

from hybridflux.report.page import write_report

pytestmark = pytest.mark.long

SECTIONS = ("numbers", "maps", "seasons", "budget", "scenario", "inventory", "assimilated", "towers", "parameters", "origin")
LARGEST = 5e6


@pytest.fixture(scope="module")
def full(mapped, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report(
        mapped.run, out, posterior=mapped.posterior, towers=mapped.sequences, scenario=mapped.scenario,
        inventory=mapped.inventory, truth=mapped.truth,
    )  # fmt: skip
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bare(mapped, tmp_path_factory):
    return write_report(mapped.run, tmp_path_factory.mktemp("page") / "bare.html").read_text(encoding="utf-8")


def sections(page):
    return re.findall(r'<section id="(\w+)"', page)


def test_every_section_is_there(full):
    assert tuple(sections(full)) == SECTIONS
    assert all(f'href="#{name}"' in full for name in SECTIONS)


def test_a_bare_run_is_enough(bare):
    assert sections(bare) == ["numbers", "maps", "seasons", "budget", "origin"]


@pytest.mark.parametrize("page", ["full", "bare"])
def test_nothing_is_loaded_from_elsewhere(page, request):
    text = request.getfixturevalue(page)
    assert not re.search(r"https?:|//cdn|@import|<link[^>]+stylesheet|<script[^>]+src|url\((?!#)", text)
    assert len(text) < LARGEST


def test_figures_follow_the_theme(full):
    assert full.count("<svg") > 20
    assert "#0a0b0" not in full  # stand-in colours of figures
    assert "DejaVu" not in full


def test_units_sign_and_spread_are_said(full):
    assert "positive to the atmosphere" in full
    assert "negative = uptake" in full
    assert "parameter+random_effects" in full
    assert "gC m⁻² d⁻¹" in full and "gC\u202fm<sup>−2</sup>\u202fyr<sup>−1</sup>" in full


def test_truth_stands_beside_the_estimates(full, bare):
    assert "<th>Truth</th><th>Inside</th>" in full and "Truth" not in bare
    assert re.search(r'class="(yes|no)">', full)


def test_ids_are_not_shared_between_figures(full):
    ids = re.findall(r'<clipPath id="([^"]+)"', full)
    assert len(ids) == len(set(ids))


def test_a_title_cannot_break_the_page(mapped, tmp_path):
    text = write_report(mapped.run, tmp_path / "page.html", title="<script>alert(1)</script>").read_text(encoding="utf-8")
    assert "<script>alert" not in text


def test_the_head_of_the_page_answers_as_the_updated_draws_do(full):
    begun = [full[full.index(words) :][:500] for words in ("Against the inventory", "Do fluxes and stocks agree?")]
    card, answer = (re.sub(r"<[^>]*>", " ", text) for text in begun)
    places, said = re.search(r"(\d+)\s+places, draws updated by it", card)[1], re.search(r"of (\d+) places ([^.]*)", answer, re.IGNORECASE)
    assert places == said[1]
    counts = lambda text: {word: int(count) for count, word in re.findall(r"(\d+)\s+(agree|disagree|undecidable)", text)}  # noqa: E731
    assert counts(card) == counts(said[2]) and sum(counts(card).values()) == int(places)
