"""The site as `make docs` built it, opened from its folder in Chromium: search works, and nothing is asked of the net."""

import pytest

from docs.site.stage import ROOT
from tests.view.chromium import Browser, program

SITE = ROOT / "site"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="no site: make docs builds it"),
    pytest.mark.skipif(program() is None, reason="no Chromium"),
]


def test_search_works_without_a_server():
    with Browser(1280, 900) as browser:
        browser.send("Page.navigate", url=(SITE / "concepts" / "draws.html").as_uri())
        browser.wait("document.readyState === 'complete' && document.querySelectorAll('iframe').length === 1")
        browser.run("document.querySelector('[data-md-toggle=search]').click()")
        browser.run("(() => { const field = document.querySelector('[data-md-component=search-query]'); field.focus();"
                    " field.value = 'root zone'; field.dispatchEvent(new Event('keyup')); })()")  # fmt: skip
        browser.wait("[...document.querySelectorAll('.md-search-result__link')].some(one => one.href.includes('root_zone_capacity'))")
        assert not browser.complaints
        assert {address.split(":")[0] for address in browser.requests} <= {"file", "data"}
