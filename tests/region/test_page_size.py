"""A page with every section stays under 5 MB whatever the region: no section grows with pixels, zones or days."""

import re

import numpy as np
import pandas as pd
import pytest

from hybridflux.products.carbon_ledger import ledger_table
from hybridflux.products.drought import run_drought
from hybridflux.products.scenario import run_scenario
from hybridflux.products.totals import open_totals
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.report import effect, map_viewer
from hybridflux.report.page import write_report

pytestmark = pytest.mark.long

ZONES = 240  # two pixels each
YEARS = Period("2017-01-01", "2018-12-31")
SUMMER = Period("2018-06-01", "2018-07-31")
MOST = {
    "numbers": 5e3, "maps": 5e3, "seasons": 85e3, "budget": 65e3, "years": 30e3, "scenario": 60e3, "drought": 90e3, "ledger": 30e3,
    "inventory": 40e3, "assimilated": 80e3, "parameters": 130e3, "origin": 30e3,
}  # fmt: skip
"""Of each section, bytes. A row of a table is 300 and more, so that one for each zone instead of the largest 40 would be 60 kB more."""

ELSEWHERE = {"towers": 350e3, "csv": 300e3, "seasons": 200e3}
"""What this page does not have: fits of six towers, which are the most; `ROWS` of the budget inside of the page, which are left out where
there are more; and nine land covers of `MOST_STEPS` in place of four of 73."""


@pytest.fixture(scope="module")
def page(make_region, make_posterior, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zones")
    zone = np.arange(1, ZONES + 1).reshape(12, 20).repeat(2, axis=0)
    names = {int(number): f"parcel {number:04d}" for number in zone.flat}
    region = make_region(folder / "region.zarr", tile=24, zone=zone, zone_names=names).path
    posterior = make_posterior()
    map_region(posterior, region, folder / "run", draws=5, period=YEARS, keep=(*KEEP, DailyMaps()))
    run_scenario(posterior, region, {"rain": "*0.5"}, folder / "scenario", draws=2, period=SUMMER)
    usual = {"rain": "*1.6", "vpd": "*0.7", "tair": "-2", "par": "*0.95", "fapar": "*1.1"}
    run_drought(posterior, region, folder / "drought", period=SUMMER, usual=usual, draws=2)
    here = [zone for zone, cover, _ in open_totals(folder / "run").groups() if cover == "all"]
    pools = {"biomass": 5.0, "soil": 10.0, "export": 50.0}
    stocks = [(name, "all", pool, 2017, 2018, value, 20.0) for name in here for pool, value in pools.items()]
    columns = ["zone", "land_cover", "pool", "start_year", "end_year", "value", "sd"]
    pd.DataFrame(stocks, columns=columns).to_csv(folder / "inventory.csv", index=False)
    harvests = [(name, "all", f"{year}-07-20", "harvest", 4) for name in here[1:] for year in (2017, 2018)]
    pd.DataFrame(harvests, columns=["zone", "land_cover", "date", "event", "date_sd"]).to_csv(folder / "events.csv", index=False)
    write_report(
        folder / "run", folder / "page.html", posterior=posterior, scenario=folder / "scenario", droughts=[folder / "drought"],
        inventory=folder / "inventory.csv", ledger=ledger_table(folder / "run", events=folder / "events.csv"),
    )  # fmt: skip
    return (folder / "page.html").read_text(encoding="utf-8")


def test_no_section_grows_with_zones_or_days(page):
    sizes = {found[1]: len(found[0].encode()) for found in re.finditer(r'<section id="(\w+)".*?</section>', page, re.S)}
    assert set(sizes) == set(MOST)
    assert {name: size for name, size in sizes.items() if size > MOST[name]} == {}
    maps = sum(map_viewer.MOST.values()) + sum(effect.MOST.values())  # which they keep to: test_map_viewer.py
    assert sum(MOST.values()) + maps + sum(ELSEWHERE.values()) < 5e6 and len(page) < 5e6
