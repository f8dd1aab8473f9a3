"""Ledgers of several seasons and scenarios on one page: their numbers are those of each, their differences are made draw by draw."""

import re
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridflux.causes import CAUSES
from hybridflux.cli import app
from hybridflux.products.drought import ALL, RUN, changes_of, drought_table, run_drought
from hybridflux.products.drought_outputs import DroughtTotals
from hybridflux.products.totals import file_of, read_totals
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.report.drought_section import signed
from hybridflux.report.droughts_section import Season, droughts_section
from hybridflux.report.style import interval

pytestmark = pytest.mark.long
USUAL = {"rain": "*1.6", "vpd": "*0.7", "tair": "-2", "par": "*0.95", "fapar": "*1.1"}


@pytest.fixture(scope="module")
def folders(make_region, make_posterior, tmp_path_factory):
    """The summers of two years, of the same draws."""
    folder = tmp_path_factory.mktemp("ledgers")
    region = make_region(folder / "region.zarr", size=(10, 10), tile=10).path
    for year in (2017, 2018):
        season = Period(f"{year}-06-01", f"{year}-07-31")
        run_drought(make_posterior(), region, folder / f"summer{year}", period=season, usual=USUAL, draws=5)
    return [folder / "summer2017", folder / "summer2018"]


def cells(html):
    rows = html.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    return [re.findall(r"<td>(.*?)</td>", row) for row in rows]


def region_draws(folder):
    totals = read_totals(file_of(folder / RUN, DroughtTotals()))
    every, months = np.arange(len(totals.area)), np.arange(len(totals.months))
    return changes_of({name.lower(): totals.sum(name, every, months) / totals.area.sum() for name in totals.total})


def test_each_season_has_its_losses_by_cause_and_its_interval(folders):
    rows = cells(droughts_section(folders).split("By cause")[1])
    assert [row[0] for row in rows] == ["summer2017<br>2017-06 to 2017-07", "summer2018<br>2018-06 to 2018-07"]
    for row, folder in zip(rows, folders, strict=True):
        table = drought_table(folder / RUN)
        of = table[(table.zone == "region") & (table.land_cover == ALL)].set_index(["variable", "cause"])
        assert row[1 : len(CAUSES) + 1] == [signed(of.loc[("GPP", cause), "mean"]) for cause in CAUSES]
        assert row[len(CAUSES) + 1 : len(CAUSES) + 3] == [signed(of.loc[("GPP", ALL), "mean"]),
                                                          interval(*of.loc[("GPP", ALL), ["q05", "q95"]])]  # fmt: skip


def test_differences_are_made_draw_by_draw(folders):
    rows = cells(droughts_section(folders).split("GPP, less that of summer2017")[1])
    first, second = (region_draws(folder) for folder in folders)
    assert len(rows) == 1 + len(CAUSES)
    for row, cause in zip(rows, (ALL, *CAUSES), strict=True):
        draws = second["GPP", cause] - first["GPP", cause]
        assert row[1:] == [signed(draws.mean()), interval(*np.quantile(draws, [0.05, 0.95]))]
    assert sum(float(row[1].replace("−", "-")) for row in rows[1:]) == pytest.approx(float(rows[0][1].replace("−", "-")), abs=3)


def test_ledgers_of_other_draws_have_no_interval_of_their_difference(folders, monkeypatch):
    plain = Season.of
    monkeypatch.setattr(Season, "of", lambda path: plain(path).__class__(**plain(path).__dict__ | {"draws": (path.name,)}))
    html = droughts_section(folders)
    assert "do not share draws" in html and {row[2] for row in cells(html.split("GPP, less that of")[1])} == {"–"}


def test_the_report_of_several_runs_has_them(folders, make_posterior, tmp_path):
    map_region(make_posterior(), folders[0].parent / "region.zarr", tmp_path / "run", draws=2, period=Period("2017-06-01", "2017-06-10"))
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    runs = [part for name in ("run", "again") for part in ("--run", str(tmp_path / name))]
    runs += [part for folder in folders for part in ("--drought", str(folder))]
    done = CliRunner().invoke(app, ["report", *runs, "--out", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<section id="drought"' in page and "summer2018, 2018-06 to 2018-07" in page and len(page) < 5e6
    with pytest.raises(ValueError, match="named twice"):
        droughts_section([folders[0], folders[0]])
