"""Totals read some cells at a time: the same to the last bit for any number of them, and small in memory."""

import dataclasses
import json
import tracemalloc

import h5netcdf
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.products import budget, totals
from hybridflux.products.budget import budget_table
from hybridflux.products.totals import open_totals
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

MONTHS = np.arange(12)
MOVED = 0.2
"""Mean error of every other cell, which towers know [gC]."""


def many_zones(folder, zones, draws, order=("draw", "month")):
    """A run folder of one year with as many zones, one to three land covers in each, and a structural error."""
    random = np.random.default_rng(0)
    kinds = [PLANT_TYPES.index(code) for code in ("CRO", "GRA", "WAT")]
    zone, kind = np.divmod(np.unique(random.integers(0, 3 * zones, 2 * zones)), 3)
    months = np.arange("2018-01", "2019-01", dtype="datetime64[M]")
    xr.Dataset(
        coords={
            "flux": ["NEE", "GPP", "RECO"], "month": months.astype("datetime64[ns]"), "draw": np.arange(draws), "zone": ("cell", zone),
            "plant_type": ("cell", np.array(kinds)[kind]), "area": ("cell", random.uniform(1e3, 1e5, len(zone))),
            "days": ("month", pd.DatetimeIndex(months).days_in_month.values),
        },
        attrs={"spread": "parameter", "zone_names": json.dumps({"1": "zebra", "2": "aardvark"})},
    ).to_netcdf(folder / "totals.nc", engine="h5netcdf")  # fmt: skip
    with h5netcdf.File(folder / "totals.nc", "a") as file:
        total = file.create_variable("total", ("flux", "cell", *order), float)
        structural = file.create_variable("structural", ("cell", *order), float)
        for first in range(0, len(zone), 1000):
            rows = slice(first, min(first + 1000, len(zone)))
            gpp, reco, error = random.random((3, rows.stop - first, 12, draws))
            for number, values in enumerate((reco - gpp, gpp, reco)):
                total[number, rows] = values if order[-1] == "draw" else values.swapaxes(1, 2)
            error = 3.0 * gpp * (error - error.mean(-1, keepdims=True))  # draws with more GPP err more
            error -= error.mean(-1, keepdims=True) - MOVED * (np.arange(first, rows.stop)[:, None, None] % 2)
            structural[rows] = error if order[-1] == "draw" else error.swapaxes(1, 2)
    (folder / "run.json").write_text(json.dumps({"state": "done"}))
    return folder


@pytest.fixture(scope="module", params=[("draw", "month"), ("month", "draw")], ids=["month last", "as before"])
def run(request, tmp_path_factory):
    return many_zones(tmp_path_factory.mktemp("run"), 40, 7, request.param)


@pytest.mark.parametrize("flux", ["NEE", "GPP", "RECO"])
def test_a_structural_error_leaves_the_mean_of_the_maps(run, flux):
    """In every cell and month, and so in every row of a budget, but for what towers say of NEE; draws stay NEE = RECO - GPP."""
    plain, wide = open_totals(run), open_totals(run).with_structural_error()
    moved = wide.total[flux][:].mean(-1) - plain.total[flux][:].mean(-1)
    of_gpp = plain.total["GPP"][:] / (plain.total["GPP"][:] + plain.total["RECO"][:])
    share = {"NEE": np.ones((1, 1, 1)), "GPP": -of_gpp, "RECO": 1.0 - of_gpp}
    np.testing.assert_allclose(moved, np.mean(share[flux], -1) * plain.structural["NEE"][:].mean(-1), rtol=1e-9, atol=1e-14)
    assert (wide.total[flux][:].std(-1) > plain.total[flux][:].std(-1)).mean() > 0.6
    np.testing.assert_allclose(wide.total["NEE"][:], wide.total["RECO"][:] - wide.total["GPP"][:], atol=1e-12)
    rows = budget_table(run).query("variable == @flux and land_cover != 'all' and zone == 'region'").set_index("land_cover")
    for cover, row in rows.iterrows():
        cells = plain.land_cover == cover
        expected = (plain.total[flux][:].mean(-1) + moved)[cells].sum() / plain.area[cells].sum()
        assert row["mean"] == pytest.approx(expected, rel=1e-12) and row["total_tCO2"] == pytest.approx(
            expected * row["area_ha"] * 44 / 1200
        )


def in_memory(found):
    """The same totals as arrays."""
    return dataclasses.replace(found, **{of: {flux: one[:] for flux, one in getattr(found, of).items()} for of in ("total", "structural")})


def test_what_is_read_is_what_was_written(run):
    data, found = (
        xr.open_dataset(run / "totals.nc", engine="h5netcdf").load().transpose("flux", "cell", "month", "draw", ...),
        open_totals(run),
    )
    dry = np.flatnonzero(data["plant_type"] != PLANT_TYPES.index("WAT"))
    assert 0 < len(dry) < data.sizes["cell"] and found.total["GPP"].shape == (len(dry), 12, 7)
    np.testing.assert_array_equal(found.total["GPP"][:], data["total"][1, dry])
    picked = np.array([30, 2, 3, 2, 17])
    np.testing.assert_array_equal(found.total["NEE"][picked], data["total"][0, dry[picked]])
    np.testing.assert_array_equal(found.structural["NEE"][found.zone == "zebra"], data["structural"][dry[data["zone"].values[dry] == 1]])
    assert found.total["RECO"][:0].shape == (0, 12, 7)


@pytest.mark.parametrize("most", [1, 7000])
def test_sums_do_not_depend_on_how_much_is_in_memory(run, monkeypatch, most):
    lazy = open_totals(run).with_structural_error()
    groups = [cells for *_, cells in lazy.groups()]
    expected = {flux: lazy.sums(flux, groups, MONTHS) for flux in lazy.total}
    monkeypatch.setattr(totals, "AT_ONCE", most)
    arrays = in_memory(open_totals(run)).with_structural_error()
    for flux, sums in expected.items():
        np.testing.assert_array_equal(lazy.sums(flux, groups, MONTHS), sums)
        np.testing.assert_array_equal(arrays.sums(flux, groups, MONTHS), sums)
        np.testing.assert_array_equal(lazy.sum(flux, groups[0], MONTHS), sums[0])
        np.testing.assert_allclose(sums[0], arrays.total[flux][:].sum(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(expected["NEE"], expected["RECO"] - expected["GPP"], rtol=1e-9, atol=1e-9)


def test_groups_are_the_region_its_land_covers_and_each_zone_with_its_own(run):
    found = open_totals(run)
    wanted = []
    for name in ["region", *sorted(set(found.zone))]:
        here = np.ones(len(found.zone), bool) if name == "region" else found.zone == name
        wanted.append((name, "all", np.flatnonzero(here).tolist()))
        wanted += [(name, code, np.flatnonzero(here & (found.land_cover == code)).tolist()) for code in PLANT_TYPES]
    assert [(zone, cover, cells.tolist()) for zone, cover, cells in found.groups()] == [one for one in wanted if one[2]]


def test_a_budget_does_not_depend_on_how_many_rows_are_made_at_once(run, monkeypatch):
    table = budget_table(run)
    monkeypatch.setattr(budget, "GROUPS_AT_ONCE", 3)
    pd.testing.assert_frame_equal(budget_table(run), table, check_exact=True)
    assert table["zone"].tolist()[:9] == ["region"] * 9 and table["variable"].tolist()[:3] == ["NEE", "GPP", "RECO"]


def test_a_budget_of_many_zones_is_small_in_memory(tmp_path):
    run = many_zones(tmp_path, 20_000, 50)
    stored = (run / "totals.nc").stat().st_size
    tracemalloc.start()
    table = budget_table(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table["zone"].nunique() > 14_000 and stored > 5e8 and peak < 1.5e8, f"{peak / 1e6:.0f} MB"
