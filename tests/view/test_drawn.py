"""A polygon is a zone that is made afterwards: its draws are those that the run would have given such a zone."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from hybridflux.limits import Refused
from hybridflux.products.totals import open_totals
from hybridflux.region.map import job_of_run
from hybridflux.view.drawn import DrawnBudget, DrawnPolygon, are_paired, difference, polygon_totals, write_geopackage
from hybridflux.view.pixel import series
from hybridflux.view.viewer import Viewer
from tests.view.conftest import ask, served

pytestmark = pytest.mark.long

WEST, NORTH, PIXEL = 638_000.0, 6_851_000.0, 10.0  # of the region of tests


def box(first_row, end_row, first_column, end_column, name="field"):
    """A polygon of whole pixels."""
    x = [WEST + PIXEL * column for column in (first_column, end_column)]
    y = [NORTH - PIXEL * row for row in (first_row, end_row)]
    return DrawnPolygon.of(name, [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])])


@pytest.fixture(scope="module")
def jobs(mapped):
    return SimpleNamespace(control=job_of_run(mapped.control), changed=job_of_run(mapped.changed))


@pytest.mark.parametrize(("zone", "rows"), [("north", (0, 12)), ("south", (12, 24))])
def test_a_polygon_that_is_a_zone_has_its_draws(mapped, jobs, zone, rows):
    run, found = open_totals(mapped.control), polygon_totals(jobs.control, box(*rows, 0, 20))
    months, cells = np.arange(3), np.flatnonzero(run.zone == zone)
    np.testing.assert_allclose(found.area.sum(), run.area[cells].sum(), rtol=1e-12)
    for flux in ("GPP", "RECO"):
        np.testing.assert_allclose(found.sum(flux, slice(None), months), run.sum(flux, cells, months), rtol=1e-6)
    apart = found.sum("NEE", slice(None), months) - run.sum("NEE", cells, months)
    assert np.abs(apart).max() < 1e-6 * run.sum("GPP", cells, months).max()


def test_parts_of_a_polygon_add_up_draw_by_draw(jobs):
    whole, months = polygon_totals(jobs.control, box(3, 17, 2, 19)), np.arange(3)
    parts = [polygon_totals(jobs.control, box(3, 17, *columns)) for columns in ((2, 9), (9, 19))]
    for flux in ("GPP", "RECO"):
        total = sum(part.sum(flux, slice(None), months) for part in parts)
        np.testing.assert_allclose(total, whole.sum(flux, slice(None), months), rtol=1e-6)


def test_one_pixel_is_that_of_the_maps(mapped, jobs):
    row, column = 7, 11
    totals = polygon_totals(jobs.control, box(row, row + 1, column, column + 1))
    maps = series(Viewer.open([mapped.control]).runs[0], row, column)
    rate = totals.total["GPP"][:].sum(0) / totals.area.sum() / totals.days[:, None]
    np.testing.assert_allclose(rate.mean(-1), maps["monthly"]["GPP"][""], atol=0.0011)  # half a step of the integers
    np.testing.assert_allclose(rate.std(-1, ddof=1), maps["monthly"]["GPP"]["_sd"], atol=0.0011)


def test_the_difference_of_two_runs_is_made_draw_by_draw(mapped, jobs):
    assert are_paired(jobs.control, jobs.changed)
    totals = [polygon_totals(job, box(0, 12, 0, 20)) for job in (jobs.control, jobs.changed)]
    runs, months = [open_totals(run) for run in (mapped.control, mapped.changed)], np.arange(3)
    cells = np.flatnonzero(runs[0].zone == "north")
    expected = runs[0].sum("GPP", cells, months) - runs[1].sum("GPP", cells, months)
    found = difference(*totals).sum("GPP", slice(None), months)
    np.testing.assert_allclose(found, expected, atol=1e-6 * runs[0].sum("GPP", cells, months).max())
    assert found.min() > 0  # less rain, less photosynthesis


def test_what_cannot_be_drawn_is_said(jobs, monkeypatch):
    with pytest.raises(ValueError, match="no centre of a pixel"):
        polygon_totals(jobs.control, box(100, 110, 0, 5))
    with pytest.raises(ValueError, match="no pixel with vegetation"):
        polygon_totals(jobs.control, box(22, 24, 16, 20))
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_DRAWN", "50")
    with pytest.raises(Refused, match="HYBRIDFLUX_LIMIT_DRAWN"):
        polygon_totals(jobs.control, box(0, 10, 0, 10))
    refused = DrawnBudget(box(0, 10, 0, 10), 0)
    refused.work(lambda run: jobs.control)
    assert refused.state == "refused" and "HYBRIDFLUX_LIMIT_DRAWN" in refused.error


def test_polygons_as_geopackage(jobs, tmp_path):
    import pyogrio
    import shapely

    drawn = [DrawnBudget(box(0, 12, 0, 20, "a 'name'; DROP TABLE x"), 0), DrawnBudget(box(100, 110, 0, 5, "<b>"), 0)]
    for one in drawn:
        one.work(lambda run: jobs.control)
    write_geopackage(tmp_path / "polygons.gpkg", drawn, jobs.control.region.grid.crs)
    about, _, shapes, fields = pyogrio.raw.read(tmp_path / "polygons.gpkg")
    columns = dict(zip(about["fields"], fields, strict=True))
    assert columns["name"].tolist() == ["a 'name'; DROP TABLE x", "<b>"] and "2154" in about["crs"]
    assert shapely.from_wkb(shapes[0]).equals(drawn[0].polygon.shape)
    mean = next(name for name in columns if name.startswith("NEE_") and "_mean_" in name)
    np.testing.assert_allclose(columns[mean], [drawn[0].rows[0]["mean"], np.nan])


def test_the_server_makes_budgets_of_polygons_and_zones(mapped):
    for server in served([mapped.control, mapped.changed]):
        corners = [list(corner) for corner in box(0, 12, 0, 20).corners]
        body = json.dumps({"run": 0, "other": 1, "corners": corners}).encode()
        status, _, content = ask(
            server, "polygon", method="POST", body=body, Content_Type="application/json", Origin=f"http://127.0.0.1:{server.server_port}"
        )
        assert status == 200
        until = time.monotonic() + 120
        while (found := json.loads(ask(server, f"polygon/{json.loads(content)['number']}")[2]))["state"] == "working":
            assert time.monotonic() < until
            time.sleep(0.1)
        assert found["state"] == "done" and {row["variable"] for row in found["apart"]} == {"NEE", "GPP", "RECO"}
        zone = json.loads(ask(server, "pixel/0/5/5")[2])["zone"]
        assert zone["name"] == "north"
        for mine, its in zip(found["rows"], zone["rows"], strict=True):
            assert mine["variable"] == its["variable"]
            for name in ("q05", "q95", "area_ha"):
                np.testing.assert_allclose(mine[name], its[name], rtol=1e-5)
        rates = json.loads(ask(server, "pixel/0/5/5")[2])["zone"]["months"]
        assert rates["frames"] == ["2018-05", "2018-06", "2018-07"]
        totals = open_totals(mapped.control)
        cells = totals.zone == "north"
        gpp = totals.total["GPP"][np.flatnonzero(cells)].sum(0).mean(-1) / totals.area[cells].sum() / [31, 30, 31]
        np.testing.assert_allclose(rates["series"]["GPP"][""], gpp, atol=1e-4)
        colours = json.loads(ask(server, "zones/0/2018/0")[2])
        assert colours["units"] == "gC m-2" and {one["name"] for one in colours["zones"].values()} == {"north", "south"}
        flux = next(row["mean"] for row in zone["rows"] if row["variable"] == "NEE")
        np.testing.assert_allclose(next(one["value"][0] for one in colours["zones"].values() if one["name"] == "north"), flux, atol=0.01)
        numbers = np.frombuffer(ask(server, "tile/0/zone/zone/0/0/0/0")[2], "<i4").reshape(256, 256)
        assert numbers[3, 3] == 1 and numbers[20, 3] == 2 and numbers[30, 3] == 0
        assert ask(server, "zones/0/1999/0")[0] == 404
        assert ask(server, "polygons.gpkg")[2].startswith(b"SQLite format 3")


def test_the_ledger_is_shown_by_zone(mapped, tmp_path):
    from hybridflux.products.carbon_ledger import ledger_table
    from hybridflux.products.sheet import write_table
    from hybridflux.products.totals import run_record

    table = ledger_table(mapped.control)  # of a part of a year: nothing is known of its export
    known = (table["zone"] == "north") & (table["land_cover"] == "all") & (table["variable"] == "NBP")
    table.loc[known, ["mean", "q05", "q95"]] = [-40.25, -90.5, 15.125]
    write_table(table, tmp_path / "ledger.csv", run_record(mapped.control))
    viewer = Viewer.open([mapped.control, mapped.changed], ledger=tmp_path / "ledger.csv")
    zones = viewer.zones[0]
    names = [one["name"] for one in viewer.describe()["runs"][0]["zones"]]
    assert names[:3] == ["NEE", "GPP", "RECO"] and {"NBP", "export"} <= set(names) and len(viewer.describe()["runs"][1]["zones"]) == 3
    number = next(number for number, name in zones.names.items() if name == "north")
    value = {"name": "north", "value": [-40.25, -90.5, 15.125]}
    assert zones.by_number("2018", "NBP") == {"units": "gC m-2", "zones": {str(number): value}}
    assert zones.by_number("2018", "export")["zones"] == {}
    rows = zones.budget("north")["ledger"]
    assert {row["variable"] for row in rows} == set(names[3:]) and viewer.zones[1].budget("north")["ledger"] == []
    assert {row["mean"] for row in zones.budget("south")["ledger"] if row["variable"] == "NBP"} == {None}  # its export is not known
    (tmp_path / "other.csv").write_text("zone,value\nnorth,1\n")
    with pytest.raises(ValueError, match="hybridflux ledger"):
        Viewer.open([mapped.control], ledger=tmp_path / "other.csv")
