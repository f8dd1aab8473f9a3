"""The page of several runs: which draws are shared, differences draw by draw, sums over years beside an inventory."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.products.inventory import Entry
from hybridflux.products.scenario import open_scenario
from hybridflux.products.totals import open_totals
from hybridflux.report import runs_page
from hybridflux.report.runs_page import Column, write_runs_report
from hybridflux.report.style import number

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def page(mapped, tmp_path_factory):
    runs = [mapped.scenario / "control", mapped.scenario / "changed"]
    return write_runs_report(runs, tmp_path_factory.mktemp("page") / "both.html").read_text(encoding="utf-8")


def test_a_scenario_beside_its_control_has_the_effect_of_the_scenario(mapped, page):
    effect = open_scenario(mapped.scenario)
    cells, area = np.arange(len(effect.control.area)), effect.control.area.sum()
    draws = (effect.changed.sum("NEE", cells, slice(None)) - effect.control.sum("NEE", cells, slice(None))) / area
    row = page.split("Change of NEE</h3>")[1].split("<tbody>")[1].split("</tr>")[0]
    low, high = np.quantile(draws, [0.05, 0.95])
    assert f"<td>{number(draws.mean())}</td><td>{number(low)} to {number(high)}</td>" in row
    assert "same posterior draws" in page and "rain=*0.5" in page and "https://" not in page


def test_maps_of_all_runs_have_one_scale(page):
    assert re.findall(r'<section id="(\w+)"', page) == ["numbers", "maps", "differences", "origin"]
    ends = re.findall(r'"hi":([\d.]+)', page)
    assert len(ends) == 6 and len(set(ends)) == 3 and len(page) < 5e6


def test_ledgers_of_droughts_stand_beside_the_runs(mapped, tmp_path, monkeypatch):
    monkeypatch.setattr(runs_page, "droughts_section", lambda folders: f"ledgers of {', '.join(map(str, folders))}")
    runs = [part for name in ("control", "changed") for part in ("--run", str(mapped.scenario / name))]
    (tmp_path / "d2017").mkdir()
    (tmp_path / "d2018").mkdir()
    ledgers = [part for name in ("d2017", "d2018") for part in ("--drought", str(tmp_path / name))]
    done = CliRunner().invoke(app, ["report", *runs, *ledgers, "--out", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    section = (tmp_path / "page.html").read_text(encoding="utf-8").split('<section id="drought"')[1].split("</section>")[0]
    assert f"ledgers of {tmp_path / 'd2017'}, {tmp_path / 'd2018'}" in section


def test_runs_that_do_not_share_draws_have_no_interval_of_their_difference(mapped, tmp_path):
    text = write_runs_report([mapped.run, mapped.scenario / "control"], tmp_path / "a.html").read_text(encoding="utf-8")
    assert "draws are not the same" in text
    row = text.split("Change of NEE</h3>")[1].split("<tbody>")[1].split("</tr>")[0]
    assert row.split("</td><td>")[2] == "–"


@pytest.mark.parametrize("runs", [1, 2])
def test_one_run_is_refused(mapped, tmp_path, runs):
    with pytest.raises(ValueError, match="two runs or more|named twice"):
        write_runs_report([mapped.run] * runs, tmp_path / "a.html")


def column(period, value, *drivers):
    label = f"{period} {drivers[0]}" if drivers else str(period)
    return Column(label, drivers, str(period), {flux: np.array([value, value + 2.0]) for flux in ("NEE", "GPP", "RECO")})


def differences(*columns):
    section = runs_page._differences(columns, True)
    rows = section.body.split("Change of NEE")[1].split("</table>")[0].split("<tr>")[2:] if section else []
    return {cells[0]: cells[1] for cells in (re.findall(r"<td>(.*?)</td>", row) for row in rows)}


def test_an_anomaly_is_a_year_less_the_mean_of_the_others():
    shown = differences(column(2020, 10.0), column(2021, 40.0), column(2022, 70.0))
    assert shown == {"2020, less the other years": "−45", "2021, less the other years": "0", "2022, less the other years": "45"}


def test_an_anomaly_is_of_the_same_drivers_and_of_the_same_months():
    """A dry scenario counted as a year like the others, and three months were taken from five."""
    dry = "rain=*0.1"
    years = column(2017, 10.0), column(2018, 500.0, dry), column(2018, 30.0), column(2019, 50.0)
    assert differences(*years) == {
        "2017, less the other years": "−30", "2018, less the other years": "0", "2019, less the other years": "30",
        "2018, less 2018 rain=*0.1": "−470",
    }  # fmt: skip
    assert differences(years[0], years[1], years[3]) == {"2017, less the other years": "−40", "2019, less the other years": "40"}
    seasons = column("2018-06..2018-08", 7.0), column("2019-05..2019-09", 20.0), column("2019-06..2019-08", 9.0)
    assert differences(*seasons[:2]) == {}
    assert differences(*seasons) == {f"{one.label}, less these months of other years": shown
                                     for one, shown in zip((seasons[0], seasons[2]), ("−2", "2"), strict=True)}  # fmt: skip
    assert differences(seasons[0], column("2018-06..2018-08", 1.0, dry)) == {"2018-06..2018-08 rain=*0.1, less 2018-06..2018-08": "−6"}


def test_sums_over_years_are_of_the_same_drivers(mapped):
    totals, dry = open_totals(mapped.run), "rain=*0.1"
    assert runs_page._sums([column(2017, 10.0), column(2018, 30.0, dry)], True, totals, []) is None
    assert runs_page._sums([column("2018-06..2018-08", 1.0), column("2019-06..2019-08", 1.0)], True, totals, []) is None
    section = runs_page._sums([column(2017, 10.0, dry), column(2018, 5.0), column(2018, 30.0, dry)], True, totals, [])
    assert section is not None and "from 2017 on under rain=*0.1" in section.body


def test_a_map_of_a_summer_is_not_per_year():
    """The unit of the first run stood at all maps."""
    axes = {"y": np.arange(4) * 10.0, "x": np.arange(5) * 10.0}
    frames = [(label, xr.Dataset({flux: (("time", "y", "x"), np.ones((1, 4, 5), np.float32)) for flux in ("NEE", "GPP", "RECO")}
                                 | {"days": ("time", [days])}, coords=axes))
              for label, days in (("2018", 365), ("summer", 92))]  # fmt: skip
    for shown in (frames, frames[::-1]):
        (group,) = runs_page._maps(shown, 10**6)["groups"]
        titles = json.dumps(group["layers"])
        assert titles.count("2018 [gC") == titles.count("summer [gC") == 3
        assert titles.count("yr") == 3 and "yr" not in group["units"]
    assert "yr" in runs_page._maps(frames[:1], 10**6)["groups"][0]["units"]


def test_what_the_inventory_says_is_weighted_by_the_area_of_land_covers(mapped):
    totals = replace(open_totals(mapped.run))
    covers = {str(cover): totals.area[totals.land_cover == cover].sum() for cover in np.unique(totals.land_cover.astype(str))}
    entries = [Entry("region", cover, (2022, 2022), {"export": (100.0 + n, 5.0)}) for n, cover in enumerate(covers)]
    expected = sum((100.0 + n) * area for n, area in enumerate(covers.values())) / totals.area.sum()
    assert runs_page._measured(entries, totals, 2022)["export"][0] == pytest.approx(expected)
    assert np.isnan(runs_page._measured(entries[1:], totals, 2022)["export"][0])
    assert np.isnan(runs_page._measured(entries, totals, 2021)["export"][0])
