"""Irrigation of the user: what was declared is what the pixels get, nothing else changes, and runs show it."""

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.ingest.irrigate import irrigate
from hybridflux.products.drought import drought_record, run_drought
from hybridflux.products.totals import open_totals
from hybridflux.records import run_record
from hybridflux.region.draws.irrigation_error import CELL, ERROR, PARCEL, WATER, factors, is_drawn
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.region.store import layout
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long
TABLE = "zone,land_cover,start,end,mm,sd\nnorth,CRO,2018-06-01,2018-08-31,184,20\nnorth,all,2018-07-10,,30,5\n"


@pytest.fixture(scope="module")
def copies(make_region, tmp_path_factory):
    folder = tmp_path_factory.mktemp("water")
    (folder / "water.csv").write_text(TABLE)
    region = make_region(folder / "dry.zarr", size=(20, 20), tile=10).path
    return region, folder / "wet.zarr", irrigate(region, folder / "water.csv", folder / "wet.zarr"), folder


def water_of(path):
    """Water of every day of the pixels of each zone and plant type, litres."""
    region, found = open_region(path), {}
    for tile in region.tiles():
        drivers = read_tile(region, tile, ("rain", "tair", "fapar"), slice(0, len(region.days)))
        rain = drivers.weather["rain"][:, drivers.cell] * drivers.area
        for key in set(zip(drivers.zone.tolist(), drivers.plant_type.tolist(), strict=True)):
            here = (drivers.zone == key[0]) & (drivers.plant_type == key[1])
            litres, area = found.get(key, (0.0, 0.0))
            found[key] = litres + rain[:, here].sum(1), area + drivers.area[here].sum()
    return found


def test_the_water_added_is_the_water_declared(copies):
    dry, wet, record, _ = copies
    before, after, region = water_of(dry), water_of(wet), open_region(wet)
    summer = (region.days >= np.datetime64("2018-06-01")) & (region.days <= np.datetime64("2018-08-31"))
    declared = {(row["zone"], row["land_cover"]): row for row in record["irrigated"]}
    assert {zone for zone, _ in declared} == {"north"} and declared["north", "CRO"]["sd"] == pytest.approx(np.hypot(20, 5))
    for (zone, kind), (litres, area) in after.items():
        more = litres - before[zone, kind][0]
        mm = (214.0 if PLANT_TYPES[kind] == "CRO" else 30.0) if zone == 1 else 0.0
        assert more.sum() / area == pytest.approx(mm, rel=1e-5, abs=1e-6) and not more[~summer].any()


def test_fluxes_change_where_water_came_and_nowhere_else_and_the_run_says_so(copies, make_posterior):
    dry, wet, _, folder = copies
    runs = {}
    for path in (dry, wet):
        out = folder / path.stem
        map_region(make_posterior(), path, out, draws=3, period=Period("2018-05-01", "2018-09-30"), keep=(ZoneTotals(),))
        runs[path.stem] = open_totals(out)
    change = (runs["wet"].total["GPP"][:] - runs["dry"].total["GPP"][:]).sum((1, 2)) / runs["dry"].area
    north, crops = runs["dry"].zone == "north", runs["dry"].land_cover == "CRO"
    assert (change[~north] == 0).all() and (change[north] >= 0).all() and change[north & crops] > change[north & ~crops].max()
    assert any("declared in water.csv" in one for one in run_record(folder / "wet")["attribution"])
    season, usual = Period("2018-08-01", "2018-08-03"), {"tair": "-2", "par": "*0.95", "vpd": "*0.7", "rain": "*1.6", "fapar": "*1.1"}
    run_drought(make_posterior(), wet, folder / "ledger", period=season, usual=usual, draws=1)
    assert "irrigation beyond what the region declares" in drought_record(folder / "ledger")["not_held"]


def test_what_cannot_be_added_says_why_and_the_error_of_the_amounts_moves_them(copies, tmp_path):
    dry, *_ = copies
    for table, said in (
        ("zone,start,mm\neast,2018-06-01,20\n", "has the zones east"),
        ("zone,start,mm\nnorth,2019-06-01,20\n", "holds 2017-01-01 to 2018-12-31"),
        ("zone,start,mm\nnorth,2018-06-01,2000\n", "more than 150 mm a day"),
        ("zone,start,mm\nnorth,June,20\n", "is not a date"),
    ):
        (tmp_path / "w.csv").write_text(table)
        with pytest.raises(ValueError, match=said):
            irrigate(dry, tmp_path / "w.csv", tmp_path / "x.zarr")
    (tmp_path / "w.csv").write_text(TABLE)
    options = ["--water", tmp_path / "w.csv", "--out", tmp_path / "more.zarr", "--shift", "1"]
    done = CliRunner().invoke(app, [str(one) for one in ("region", "irrigate", dry, *options)], catch_exceptions=False)
    assert done.exit_code == 0 and "north CRO: 239.0 mm (sd 20.6)" in done.output
    more = open_region(tmp_path / "more.zarr").group.attrs[layout.IRRIGATION]  # the store says what was added to it
    assert max(row["mm"] for row in more["irrigated"]) == pytest.approx(214 + 25) and more["shift_sd"] == 1.0


def gpp_by_cell(path, out, posterior, draws):
    """GPP of a summer with little rain by zone and land cover, `[draw]`."""
    region, period = open_region(path).with_changes({"rain": "*0.15"}), Period("2018-05-01", "2018-09-30")
    map_region(posterior, region, out, draws=draws, period=period, keep=(ZoneTotals(),))
    totals = open_totals(out)
    return dict(zip(zip(totals.zone, totals.land_cover, strict=True), totals.total["GPP"][:].sum(1), strict=True))


def test_each_draw_has_the_fluxes_of_the_water_that_it_drew(copies, make_posterior, make_region, tmp_path):
    """The second draw of a run is that of a run whose table has the amounts it has drawn, and the others are not; tiles do not matter."""
    dry, wet, _, folder = copies
    posterior, draws = make_posterior(draws=3), Draws(3, "parameter", seed=4)
    found = gpp_by_cell(wet, tmp_path / "run", posterior, draws)
    region = open_region(wet)
    drawn = factors(region, [2018], 3, 4)[1, 0, region.group[CELL][:]]
    of_parcel = dict(zip(region.group[PARCEL][:].tolist(), (1 + drawn).tolist(), strict=True))  # crops have both rows, the others one
    water, parcel = region.group[WATER][:].sum(0), region.group[PARCEL][:]
    crops, others = (of_parcel[parcel[np.isclose(water, mm, rtol=1e-4)][0]] for mm in (214, 30))
    assert abs(crops - 1) > 0.01 and abs(others - 1) > 0.01
    rows = [f"north,CRO,2018-06-01,2018-08-31,{184 * crops}", f"north,CRO,2018-07-10,,{30 * crops}"]
    rows += [f"north,{code},2018-07-10,,{30 * others}" for code in ("DBF", "GRA", "ENF")]
    (tmp_path / "drawn.csv").write_text("\n".join(["zone,land_cover,start,end,mm", *rows]))
    irrigate(dry, tmp_path / "drawn.csv", tmp_path / "drawn.zarr")
    exact = gpp_by_cell(tmp_path / "drawn.zarr", tmp_path / "exact", posterior, draws)
    for key, values in found.items():
        assert values[1] == pytest.approx(exact[key][1], rel=1e-5)
    assert np.abs(found["north", "CRO"] / exact["north", "CRO"] - 1)[[0, 2]].max() > 1e-4
    small = make_region(tmp_path / "small.zarr", size=(20, 20), tile=8).path
    irrigate(small, folder / "water.csv", tmp_path / "w8.zarr")
    for key, values in gpp_by_cell(tmp_path / "w8.zarr", tmp_path / "run8", posterior, draws).items():
        np.testing.assert_allclose(values, found[key], rtol=1e-5)


def test_factors_have_the_mean_of_one_and_the_declared_error_and_an_irrigated_region_is_not_irrigated_again(copies, tmp_path):
    dry, wet, _, folder = copies
    region = open_region(wet)
    drawn = 1 + factors(region, [2017, 2018], 4000, 1).astype(float)
    of_year, cells = drawn[:, 1], region.group[CELL][:]
    declared = region.group[ERROR][:][1]
    assert sorted(set(np.round(declared, 4).tolist())) == pytest.approx([np.hypot(20, 5) / 214, 5 / 30], abs=1e-4)
    np.testing.assert_allclose(of_year[:, cells].mean(0), 1.0, atol=0.01)
    np.testing.assert_allclose(of_year[:, cells].std(0), declared, rtol=0.05)
    np.testing.assert_array_equal(factors(region, [2018], 7, 1)[:, 0], factors(region, [2017, 2018], 4000, 1)[:7, 1])
    assert (np.delete(of_year, cells, axis=1) == 1).all() and (drawn[:, 0] == 1).all()
    assert "its standard deviation in the draws" in region.attribution[-1]
    with pytest.raises(ValueError, match="is irrigated already; put all rows into one table"):
        irrigate(wet, folder / "water.csv", tmp_path / "again.zarr")
    assert not is_drawn(open_region(dry))
