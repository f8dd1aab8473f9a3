"""The page in Chromium: clicks, keys, values equal to the store; nothing is asked of any other machine, and a name runs no code."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import shapely

from hybridflux.region.store.layout import NODATA
from hybridflux.view.static_viewer import write_static
from hybridflux.view.viewer import Viewer
from tests.view.chromium import Browser, program
from tests.view.conftest import EVIL, made_up_run, served

pytestmark = [pytest.mark.long, pytest.mark.skipif(program() is None, reason="no Chromium: install it, or name one in HYBRIDFLUX_CHROMIUM")]


@contextmanager
def page(address, **size):
    """A browser on a page; at the end it must have complained of nothing and asked nobody else."""
    with Browser(**size) as browser:
        browser.open(address)
        browser.settle()
        yield browser
        assert not browser.complaints
        home = address.rpartition("/")[0]
        assert [one for one in browser.requests if not one.startswith((home, "data:", "blob:"))] == []


def place_of(browser, row, column):
    """Where the middle of a pixel is in the window."""
    return browser.run(
        f"(() => {{ const r = viewer.map.canvas.getBoundingClientRect(), [x, y] = viewer.map.toScreen({column} + .5, {row} + .5);"
        " return [r.left + x, r.top + y]; })()"
    )


def value_of(browser, layer="NEE"):
    """The value that the panel gives."""
    browser.wait(f"document.querySelector('.value[data-layer={layer}]')")
    return float(browser.run(f"document.querySelector('.value[data-layer={layer}]').dataset.value"))


def frame_of(browser):
    return browser.run("viewer.s.frame")


def test_a_click_gives_the_values_of_the_store(server, made_up):
    with page(server.address) as browser:
        for row, column in ((120, 333), (599, 539), (300, 0)):
            browser.click(*place_of(browser, row, column))
            browser.wait(f"viewer.pixel && viewer.pixel.row === {row} && viewer.pixel.column === {column}")
            expected = made_up.values["monthly/NEE"][frame_of(browser), row, column]
            assert value_of(browser) == pytest.approx(expected * 0.01)
            assert f"row {row}, column {column}" in browser.run("document.querySelector('.side').innerText")
        browser.click(*place_of(browser, 20, 20))
        browser.wait("document.querySelector('.side').innerText.includes('No flux is mapped')")


def test_colours_are_those_of_the_values(server, made_up):
    with page(server.address) as browser:
        browser.press("h")
        browser.run("viewer.map.view = {x: 300.5, y: 200.5, s: 12}, viewer.map.redraw()")
        browser.settle()
        lut = np.array(browser.run("[...viewer.map.sides[0].lut].map(w => [w & 255, w >> 8 & 255, w >> 16 & 255])"))
        low, high = browser.run("[viewer.map.sides[0].low, viewer.map.sides[0].high]")
        for row, column in ((200, 300), (203, 310), (190, 288)):
            x, y = browser.run(f"viewer.map.toScreen({column} + .5, {row} + .5)")
            drawn = browser.run(f"[...viewer.map.context.getImageData({x} | 0, {y} | 0, 1, 1).data].slice(0, 3)")
            value = made_up.values["monthly/NEE"][frame_of(browser), row, column] * 0.01
            place = int(np.clip(np.rint((value - low) / (high - low) * 255), 0, 255))
            assert np.abs(lut[[max(place - 1, 0), place, min(place + 1, 255)]] - drawn).sum(1).min() == 0


def test_the_sign_is_hatched_where_quantiles_have_both(server, made_up):
    with page(server.address) as browser:
        browser.run("viewer.map.view = {x: 300, y: 300, s: 4}, viewer.map.redraw()")
        browser.settle()
        mask = "[...viewer.map.sides[0].mask('0/1/1').getContext('2d').getImageData(0, 0, 256, 256).data].filter((_, i) => i % 4 === 3)"
        found = np.array(browser.run(mask)).reshape(256, 256) > 0
        low, high = (made_up.values[f"monthly/NEE_{q}"][frame_of(browser), 256:512, 256:512] for q in ("q05", "q95"))
        np.testing.assert_array_equal(found, (low < 0) & (high > 0) & (low != NODATA))


def test_keys_reach_everything(server):
    with page(server.address) as browser:
        state = "JSON.stringify([viewer.s.group, viewer.s.layer, viewer.s.ending, viewer.s.compare, viewer.s.frame])"
        first = json.loads(browser.run(state))
        for key in ("y", "u", "c", "c", "2", "."):
            browser.press(key)
        browser.settle()
        assert json.loads(browser.run(state)) == ["annual", "GPP", "", "difference", 1] != first
        before = browser.run("[viewer.map.view.x, viewer.map.view.s]")
        for key in ("+", "ArrowRight"):
            browser.press(key)
        x, scale = browser.run("[viewer.map.view.x, viewer.map.view.s]")
        assert scale == pytest.approx(1.5 * before[1]) and x > before[0]
        browser.press("?")
        assert browser.run("document.querySelector('dialog[open]').innerText.includes('swipe')")


def test_the_trend_is_a_layer_of_its_own(server, made_up):
    with page(server.address) as browser:
        browser.press("t")
        browser.settle()
        browser.click(*place_of(browser, 120, 333))
        browser.settle()
        browser.wait("viewer.pixel && viewer.pixel.row === 120")
        assert browser.run("[viewer.s.group, viewer.s.layer, viewer.frames[0]]") == ["record", "NEE_trend", "2021-2022"]
        assert value_of(browser, "NEE_trend") == pytest.approx(made_up.values["record/NEE_trend"][0, 120, 333] * 0.01)
        assert browser.run("document.querySelectorAll('.side figure.chart').length") == 0  # there is one date
        shown = browser.run("document.querySelector('.legend').innerText").replace("\n", " ")
        assert shown.startswith("NEE trend, mean of the draws [gC m⁻² yr⁻²]") and "negative: uptake grows" in shown and "hatched" in shown
        browser.run("viewer.set({layer: 'NEE_trend_rising'})")
        browser.settle()
        scale = browser.run("(({low, high, ends}) => [low, high, ends])(viewer.map.sides[0])")
        assert scale == [0, 1, ["all fall", "all rise"]]


def test_a_swipe_and_a_difference_are_of_two_dates(server, made_up):
    with page(server.address) as browser:
        browser.run("viewer.go(0)")
        browser.press("c")
        browser.settle()
        split = "viewer.map.split"
        browser.run("viewer.map.view = {x: 300, y: 300, s: 4}, viewer.map.redraw()")
        x, y = place_of(browser, 299.5, 299.5)  # the middle
        browser.drag((x, y), (x + 150, y))
        assert browser.run(split) > 0.6 and browser.run("viewer.map.sides.length") == 2
        browser.press("c")
        browser.settle()
        browser.run("viewer.map.view = {x: 300, y: 300, s: 4}, viewer.map.redraw()")
        browser.settle()
        found = browser.run("viewer.map.sides[0].value('0/1/1', 5 * 256 + 7)")
        months = made_up.values["monthly/NEE"][:, 261, 263].astype(float)
        assert found == pytest.approx(0.01 * (months[0] - months[12]), abs=1e-5)  # the other January is the mean of the others


@pytest.mark.parametrize(
    ("frames", "date", "number"),
    [("frames.slice(3)", "2021-07", 3), ("frames.map(date => date.replace(/^202/, '203'))", "2031-07", 6)],
    ids=["begins later", "other years"],
)
def test_the_other_run_is_named_by_its_own_date(made_up, frames, date, number):
    with contextmanager(served)([made_up.path, made_up.path]) as server, page(server.address) as browser:
        browser.run(f"((group, {{frames}}) => group.frames = {frames})(...Array(2).fill(viewer.d.runs[1].groups.monthly))")
        browser.run("viewer.go(6), viewer.set({compare: 'swipe'})")
        browser.settle()
        assert browser.run("viewer.frames[6]") == "2021-07" and browser.run("viewer.otherTerms().map(term => term.frame)") == [number]
        heads = browser.run("[...document.querySelectorAll('.heads b')].map(one => one.textContent.split(' ').at(-1))")
        assert heads == ["2021-07", date]


def test_a_variable_that_no_zone_has_is_not_known(server):
    with page(server.address) as browser:
        assert browser.run("legend({title: 'fire', of: new Map(), units: ''}).innerText") == "firenot known"


def test_names_are_text(server):
    with page(server.address) as browser:
        assert browser.run("document.querySelector('h1').textContent") == f"Valley {EVIL}"
        assert browser.run("document.querySelectorAll('img').length + document.querySelectorAll('h1 *').length") == 0


@pytest.mark.parametrize("press", ["", "l"])
def test_it_fits_a_phone_in_both_languages(server, press):
    with page(server.address, width=390, height=844, phone=True) as browser:
        if press:
            browser.press(press)
        browser.press("c")
        browser.settle()
        assert browser.run("document.documentElement.scrollWidth") <= 390 and browser.run("innerWidth") == 390
        text = browser.run("document.body.innerText")
        assert ("Incertitude" if press else "Uncertainty") in text and ("négatif" if press else "negative: uptake") in text
        assert browser.run("document.documentElement.lang") == ("fr" if press else "en")
        english, french = (set(browser.run(f"Object.keys(WORDS.{name})")) for name in ("en", "fr"))
        assert english == french


def test_a_static_page_opens_from_the_disk(tmp_path):
    values = made_up_run(tmp_path / "run", shape=(300, 280))
    write_static([tmp_path / "run"], tmp_path / "static")
    with page((tmp_path / "static" / "index.html").as_uri()) as browser:
        browser.click(*place_of(browser, 120, 133))
        assert value_of(browser) == pytest.approx(values["monthly/NEE"][frame_of(browser), 120, 133] * 0.01)
        assert "polygon" not in browser.run("document.querySelector('.tools').innerText")


def test_a_polygon_is_drawn_and_budgeted(mapped):
    for server in served([mapped.control, mapped.changed]):
        with page(server.address) as browser:
            browser.run("viewer.set({compare: 'difference'})")
            browser.press("p")
            for row, column in ((-0.5, -0.5), (-0.5, 19.5), (11.5, 19.5), (11.5, -0.5)):
                browser.click(*place_of(browser, row, column))
            browser.press("p")
            browser.send("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
            assert browser.run("document.documentElement.scrollWidth") <= 390  # two runs have more controls
            browser.wait("document.querySelector('[data-polygon=\"0\"]')", 150)
            zone = Viewer.open([mapped.control]).zones[0].budget("north")["rows"]
            rows = "[...document.querySelectorAll('[data-polygon=\"0\"] tr[data-variable]')]"
            shown = browser.run(f"{rows}.map(row => [row.dataset.variable, +row.dataset.mean])")
            assert [name for name, _ in shown] == ["NEE", "GPP", "RECO"] * 2
            corners = browser.run("viewer.drawn[0].corners")
            assert shapely.Polygon(corners).area == pytest.approx(12 * 20, rel=0.05)  # a click is a whole point of the window
            np.testing.assert_allclose([mean for _, mean in shown[:3]], [row["mean"] for row in zone], rtol=0.05)
